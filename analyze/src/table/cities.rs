//! `cities`: where peers and confirmed downloads are, by city.

use polars::prelude::{DataFrame, PolarsResult};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `cities` holds; made only with a city database.
pub const DEFINITION: Definition = Definition {
    name: "cities",
    title: "Cities",
    about: "Peers, confirmed downloads and speeds by city, over all torrents; needs `--geoip-city`.",
    key: 4,
    columns: &[
        column("country", Kind::Text, "ISO 3166-1 alpha-2 code; empty where unknown."),
        column("city", Kind::Text, "English name; empty where the database names none."),
        column("latitude", Kind::Degrees, "Degrees north; empty where unknown."),
        column("longitude", Kind::Degrees, "Degrees east; empty where unknown."),
        column("peers", Kind::Count, "Unique peers, each once per torrent."),
        column("contacted_peers", Kind::Count, "Peers whose handshake was received at least once."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads."),
        column("median_speed_bytes_per_s", Kind::BytesPerSecond, "Median of the peers' mean speeds."),
        column("max_speed_bytes_per_s", Kind::BytesPerSecond, "Highest speed measured."),
    ],
};

/// Counts by place.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    DEFINITION.finish(super::by_place(input, &["country", "city", "latitude", "longitude"])?)
}
