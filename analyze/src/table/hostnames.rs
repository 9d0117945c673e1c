//! `hostnames`: what kind of network peers are in, by their reverse names.

use polars::prelude::{
    DataFrame, DataType, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, SortMultipleOptions, col,
    len, lit,
};
use schema::table::{HostnameOutcome, Table};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::hostname::{self, Rules};

/// What `hostnames` holds.
pub const DEFINITION: Definition = Definition {
    name: "hostnames",
    title: "Host names",
    about: "Peers by the registrable domain of their address's reverse name, over all torrents; only addresses that were \
            looked up. The kind follows rules on names (see `analyze/assets/hostnames`) and is a guess.",
    key: 3,
    columns: &[
        column(
            "registrable_domain",
            Kind::Text,
            "The domain below the public suffix; empty for addresses without a name.",
        ),
        column("top_level_domain", Kind::Text, "The last label; empty for addresses without a name."),
        column("kind", Kind::Text, "`isp`, `hosting`, `seedbox`, `vpn`, or `unknown` where no rule matches."),
        column("addresses", Kind::Count, "Different addresses."),
        column("peers", Kind::Count, "Unique peers, each once per torrent."),
        column("contacted_peers", Kind::Count, "Peers whose handshake was received at least once."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads."),
    ],
};

/// Counts peers by domain.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let looked_up = looked_up(input)?;
    if looked_up.height() == 0 || input.replay.addresses.height() == 0 {
        return DEFINITION.empty();
    }
    let confirmed = input
        .of_parts(|part| part.filter(col("confirmed")).select([col("ip")]))?
        .group_by([col("ip")])
        .agg([len().cast(DataType::UInt64).alias("confirmed_downloads")]);
    let by_ip = || [col("ip")];
    let rows = looked_up
        .lazy()
        .join(
            input.replay.addresses.clone().lazy(),
            by_ip(),
            by_ip(),
            polars::prelude::JoinArgs::new(polars::prelude::JoinType::Inner),
        )
        .join(confirmed, by_ip(), by_ip(), super::left_join())
        .group_by(["registrable_domain", "top_level_domain", "kind"].map(col))
        .agg([
            len().alias("addresses"),
            col("peers").sum(),
            col("contacted_peers").sum(),
            col("confirmed_downloads").fill_null(lit(0_u64)).sum(),
        ]);
    DEFINITION.finish(rows)
}

/// The last name found for each address that was looked up, classified: `ip`, `registrable_domain`,
/// `top_level_domain`, `kind`. A lookup that failed tells nothing.
fn looked_up(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let told = [HostnameOutcome::NoName, HostnameOutcome::Ok]
        .iter()
        .fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome.as_str()))));
    let rows = input
        .log
        .select(Table::Hostnames, &input.rules.selection)?
        .filter(told.and(col("ip").is_not_null()))
        .sort(["ip", "time", "run", "hostname"], SortMultipleOptions::default())
        .group_by_stable([col("ip")])
        .agg([col("hostname").last()])
        .collect()?;
    let rules = Rules::embedded();
    let names: Vec<Option<&str>> = rows.column("hostname")?.str()?.iter().collect();
    let domains: Vec<Option<&str>> =
        names.iter().map(|name| hostname::registrable_domain((*name)?)).collect();
    let top_levels: Vec<Option<&str>> =
        names.iter().map(|name| hostname::top_level_domain((*name)?)).collect();
    let kinds: Vec<&str> =
        names.iter().map(|name| name.map_or(hostname::UNKNOWN, |name| rules.kind(name))).collect();
    DataFrame::new_infer_height(vec![
        rows.column("ip")?.clone(),
        Series::new("registrable_domain".into(), domains).into_column(),
        Series::new("top_level_domain".into(), top_levels).into_column(),
        Series::new("kind".into(), kinds).into_column(),
    ])
}
