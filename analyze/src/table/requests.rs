//! `requests`: how the sources answered.

use polars::prelude::{
    DataFrame, Expr, LazyFrame, PolarsResult, QuantileMethod, SortMultipleOptions, col, len, lit, when,
};
use schema::table::{Source, Table};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `requests` holds.
pub const DEFINITION: Definition = Definition {
    name: "requests",
    title: "Requests",
    about: "Requests to sources by tracker, kind and outcome; `ok` is success, every other outcome a cause of \
            failure.",
    key: 5,
    columns: &[
        column("source", Kind::Text, "What kind of source was asked."),
        column("endpoint", Kind::Text, "The tracker's announce URL; empty for other sources."),
        column("family", Kind::Text, "`ipv4` or `ipv6`; empty where no connection was tried."),
        column("kind", Kind::Text, "What was asked, e.g. `announce`."),
        column("outcome", Kind::Text, "How it ended, e.g. `ok` or `timed_out`."),
        column("requests", Kind::Count, "Requests that ended so."),
        column("share", Kind::Share, "Their part of all requests of this source, endpoint, family and kind."),
        column("peers", Kind::Count, "Addresses in the answers, repeats included; empty where none can be."),
        column("median_duration_us", Kind::Microseconds, "Median time to the end of the request."),
        column("p95_duration_us", Kind::Microseconds, "95th percentile of the same."),
    ],
};

/// Counts requests by tracker and outcome.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let outcomes = requests(input)?
        .group_by(["source", "endpoint", "family", "kind", "outcome"].map(col))
        .agg([
            len().alias("requests"),
            when(col("peers").count().gt(lit(0)))
                .then(col("peers").sum())
                .otherwise(lit(polars::prelude::NULL))
                .alias("peers"),
            quantile("duration_us", 0.5, "median_duration_us"),
            quantile("duration_us", 0.95, "p95_duration_us"),
        ])
        .collect()?;
    DEFINITION.finish(super::with_share(&outcomes, "requests", &["source", "endpoint", "family", "kind"]))
}

/// The same by torrent, over families of addresses.
pub fn of_torrents(input: &Input<'_>) -> PolarsResult<DataFrame> {
    const KEY: [&str; 5] = ["info_hash", "source", "endpoint", "kind", "outcome"];
    requests(input)?
        .group_by(KEY.map(col))
        .agg([len().alias("requests")])
        .sort(KEY, SortMultipleOptions::default())
        .collect()
}

/// Every request; of sources that are no trackers nobody asks which node or peer it was.
fn requests(input: &Input<'_>) -> PolarsResult<LazyFrame> {
    let is = |source: Source| col("source").eq(lit(source.as_str()));
    let tracker = is(Source::TrackerHttp).or(is(Source::TrackerUdp));
    let endpoint = when(tracker).then(col("endpoint")).otherwise(lit(polars::prelude::NULL));
    Ok(input.log.select(Table::Requests, &input.rules.selection)?.with_column(endpoint.alias("endpoint")))
}

/// A quantile of a whole number that was observed: no interpolation.
pub fn quantile(column: &str, share: f64, name: &str) -> Expr {
    col(column).quantile(lit(share), QuantileMethod::Nearest).alias(name)
}
