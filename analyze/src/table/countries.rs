//! `countries`: where peers and confirmed downloads are.

use polars::prelude::{DataFrame, PolarsResult};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `countries` holds.
pub const DEFINITION: Definition = Definition {
    name: "countries",
    title: "Countries",
    about: "Peers, confirmed downloads and speeds by country, over all torrents.",
    key: 1,
    columns: &[
        column("country", Kind::Text, "ISO 3166-1 alpha-2 code; empty for addresses of unknown country."),
        column("peers", Kind::Count, "Unique peers, each once per torrent."),
        column("contacted_peers", Kind::Count, "Peers whose handshake was received at least once."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads."),
        column("median_speed_bytes_per_s", Kind::BytesPerSecond, "Median of the peers' mean speeds."),
        column("max_speed_bytes_per_s", Kind::BytesPerSecond, "Highest speed measured."),
    ],
};

/// Counts by place.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    DEFINITION.finish(super::by_place(input, &["country"])?)
}
