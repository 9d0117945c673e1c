//! `networks`: where peers and confirmed downloads are, by autonomous system.

use polars::prelude::{DataFrame, PolarsResult};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `networks` holds; made only with a network database.
pub const DEFINITION: Definition = Definition {
    name: "networks",
    title: "Networks",
    about: "Peers, confirmed downloads and speeds by autonomous system, over all torrents; needs `--geoip-asn`.",
    key: 2,
    columns: &[
        column("asn", Kind::Number, "Autonomous system number; empty where unknown."),
        column("organization", Kind::Text, "Who runs it; empty where unknown."),
        column("peers", Kind::Count, "Unique peers, each once per torrent."),
        column("contacted_peers", Kind::Count, "Peers whose handshake was received at least once."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads."),
        column("median_speed_bytes_per_s", Kind::BytesPerSecond, "Median of the peers' mean speeds."),
        column("max_speed_bytes_per_s", Kind::BytesPerSecond, "Highest speed measured."),
    ],
};

/// Counts by place.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    DEFINITION.finish(super::by_place(input, &["asn", "organization"])?)
}
