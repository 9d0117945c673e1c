//! `confirmed_hourly`: confirmed downloads over time.

use polars::prelude::{DataFrame, PolarsResult, col, lit};

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
    let hour = at() - at() % lit(input.rules.bucket_us);
    let by = [("hour", hour), ("info_hash", col("info_hash"))];
    let rows = input.sums(&by, &[("confirmed_downloads", col("confirmed"))])?;
    DEFINITION.finish(rows.filter(col("confirmed_downloads").gt(lit(0_u64))))
}
