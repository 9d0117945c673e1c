//! `sources_hourly`: what each source contributed over time.

use polars::prelude::{DataFrame, IntoLazy, LazyFrame, PolarsResult, col};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `sources_hourly` holds.
pub const DEFINITION: Definition = Definition {
    name: "sources_hourly",
    title: "Sources over time",
    about: "Addresses each source named in each hour, or bucket, new and repeated, over all torrents.",
    key: 2,
    columns: &[
        column("hour", Kind::Time, super::HOUR_ABOUT),
        column("source", Kind::Text, "What named the peers, e.g. `tracker_udp`."),
        column("received", Kind::Count, "Addresses received, repeats included."),
        column("new", Kind::Count, "Addresses no source had named before."),
        column("duplicate", Kind::Count, "Addresses some source had named before: received − new."),
    ],
};

/// Counts addresses by bucket and source.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    DEFINITION.finish(counted(input))
}

/// The counts before they are put in order.
pub fn counted(input: &Input<'_>) -> LazyFrame {
    let hours = input.replay.source_hours.clone();
    hours.lazy().with_column((col("received") - col("new")).alias("duplicate"))
}
