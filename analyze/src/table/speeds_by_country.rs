//! `speeds_by_country`: the distribution of speeds in each country.

use super::definition::{Definition, Kind, column};

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
