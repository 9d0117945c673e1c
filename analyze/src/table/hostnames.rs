//! `hostnames`: what kind of network peers are in, by their reverse names.

use polars::prelude::{
    DataFrame, DataType, IntoColumn, IntoLazy, JoinArgs, JoinType, LazyFrame, NamedFrom, PolarsResult,
    Series, SortMultipleOptions, UnionArgs, col, concat, len, lit,
};
use schema::table::{HostnameOutcome, Table};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::{
    hostname::{self, Rules},
    replay::{
        by_address::{ByAddress, PARTS},
        workers,
    },
};

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
    let (names, peers) = (looked_up(input)?, &input.replay.addresses);
    let of_part = |part: &usize| match (names.read(*part)?, peers.read(*part)?) {
        (Some(names), Some(peers)) => by_domain(names, peers).map(Some),
        _ => Ok(None),
    };
    let of_parts = workers::each(&(0..PARTS).collect::<Vec<_>>(), of_part)?;
    let of_parts: Vec<LazyFrame> = of_parts.into_iter().flatten().map(IntoLazy::lazy).collect();
    if of_parts.is_empty() {
        return DEFINITION.empty();
    }
    DEFINITION.finish(
        concat(of_parts, UnionArgs::default())?
            .group_by(DOMAIN.map(col))
            .agg(COUNTS.map(|name| col(name).sum())),
    )
}

/// What tells domains apart.
const DOMAIN: [&str; 3] = ["registrable_domain", "top_level_domain", "kind"];

/// What is counted of each.
const COUNTS: [&str; 4] = ["addresses", "peers", "contacted_peers", "confirmed_downloads"];

/// The addresses that were looked up and what came of it: `ip`, `time`, `run`, `hostname`. A lookup that failed tells
/// nothing.
fn looked_up(input: &Input<'_>) -> PolarsResult<ByAddress> {
    let told = [HostnameOutcome::NoName, HostnameOutcome::Ok]
        .iter()
        .fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome.as_str()))));
    let mut found = ByAddress::default();
    for rows in input.log.scan_each(Table::Hostnames)? {
        let rows = rows
            .filter(input.rules.selection.in_time().and(told.clone()).and(col("ip").is_not_null()))
            .select(["ip", "time", "run", "hostname"].map(col));
        found.push(&rows.collect()?)?;
    }
    Ok(found)
}

/// Counts peers at some addresses by the domain of the last name found for each.
fn by_domain(names: DataFrame, peers: DataFrame) -> PolarsResult<DataFrame> {
    let names = names
        .lazy()
        .sort(["ip", "time", "run", "hostname"], SortMultipleOptions::default())
        .group_by_stable([col("ip")])
        .agg([col("hostname").last()])
        .collect()?;
    let counts = ["peers", "contacted_peers", "confirmed_downloads"].map(|name| col(name).sum());
    let peers = peers.lazy().group_by([col("ip")]).agg(counts);
    let by_ip = || [col("ip")];
    domains(&names)?
        .lazy()
        .join(peers, by_ip(), by_ip(), JoinArgs::new(JoinType::Inner))
        .group_by(DOMAIN.map(col))
        .agg(
            [&[len().cast(DataType::UInt64).alias("addresses")], &COUNTS.map(|name| col(name).sum())[1..]]
                .concat(),
        )
        .collect()
}

/// The addresses with what their names tell: `ip` and [`DOMAIN`].
fn domains(names: &DataFrame) -> PolarsResult<DataFrame> {
    let rules = Rules::embedded();
    let hostnames = names.column("hostname")?.str()?;
    let texts = |name: &str, read: &dyn Fn(&str) -> Option<String>| {
        Series::new(name.into(), hostnames.iter().map(|name| read(name?)).collect::<Vec<_>>()).into_column()
    };
    let kinds: Vec<&str> =
        hostnames.iter().map(|name| name.map_or(hostname::UNKNOWN, |name| rules.kind(name))).collect();
    let owned = |text: Option<&str>| text.map(str::to_owned);
    DataFrame::new_infer_height(vec![
        names.column("ip")?.clone(),
        texts("registrable_domain", &|name| owned(hostname::registrable_domain(name))),
        texts("top_level_domain", &|name| owned(hostname::top_level_domain(name))),
        Series::new("kind".into(), kinds).into_column(),
    ])
}
