//! `confirmed_hourly`: confirmed downloads over time.

use polars::prelude::{DataFrame, PolarsResult, col, len, lit};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `confirmed_hourly` holds.
pub const DEFINITION: Definition = Definition {
    name: "confirmed_hourly",
    title: "Confirmed downloads over time",
    about: "Confirmed downloads by the hour, or bucket, of `confirmed_at`; hours without any have no row.",
    key: 2,
    columns: &[
        column("hour", Kind::Time, super::HOUR_ABOUT),
        column("info_hash", Kind::Text, "The torrent."),
        column("confirmed_downloads", Kind::Count, "Downloads confirmed in that time."),
    ],
};

/// Counts confirmed downloads by bucket and torrent.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let at = || col("reached_at");
    let rows = input
        .peers()?
        .filter(col("confirmed"))
        .with_column((at() - at() % lit(input.rules.bucket_us)).alias("hour"))
        .group_by([col("hour"), col("info_hash")])
        .agg([len().alias("confirmed_downloads")]);
    DEFINITION.finish(rows)
}
