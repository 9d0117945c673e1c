//! `speeds_by_country`: the distribution of speeds in each country.

use polars::prelude::{DataFrame, PolarsResult, QuantileMethod, col, len, lit};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `speeds_by_country` holds.
pub const DEFINITION: Definition = Definition {
    name: "speeds_by_country",
    title: "Speeds by country",
    about: "Quartiles of the peers' mean speeds in each country; quartiles interpolate linearly.",
    key: 1,
    columns: &[
        column("country", Kind::Text, "ISO 3166-1 alpha-2 code; empty where unknown."),
        column("peers", Kind::Count, "Peers with a measured speed."),
        column("min_speed_bytes_per_s", Kind::BytesPerSecond, "The slowest peer's mean speed."),
        column("q1_speed_bytes_per_s", Kind::BytesPerSecond, "First quartile of the mean speeds."),
        column("median_speed_bytes_per_s", Kind::BytesPerSecond, "Median of the mean speeds."),
        column("q3_speed_bytes_per_s", Kind::BytesPerSecond, "Third quartile of the mean speeds."),
        column("max_speed_bytes_per_s", Kind::BytesPerSecond, "The fastest peer's mean speed."),
    ],
};

/// Quartiles of the mean speeds.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let speed = || col("mean_speed_bytes_per_s");
    let quantile = |share: f64| speed().quantile(lit(share), QuantileMethod::Linear);
    let measured = input.of_parts(|part| super::speeds::of_peers(part).select([col("country"), speed()]))?;
    let rows = measured.group_by([col("country")]).agg([
        len().alias("peers"),
        speed().min().alias("min_speed_bytes_per_s"),
        quantile(0.25).alias("q1_speed_bytes_per_s"),
        quantile(0.5).alias("median_speed_bytes_per_s"),
        quantile(0.75).alias("q3_speed_bytes_per_s"),
        speed().max().alias("max_speed_bytes_per_s"),
    ]);
    DEFINITION.finish(rows)
}
