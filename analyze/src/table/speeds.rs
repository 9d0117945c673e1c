//! `speeds`: how fast each peer downloaded while it was watched.

use polars::prelude::{LazyFrame, col};

use super::definition::{Definition, Kind, column};

/// What `speeds` holds.
pub const DEFINITION: Definition = Definition {
    name: "speeds",
    title: "Speeds",
    about: "Download speed of every peer that gained pieces between two known observations; flagged peers are \
            left out.",
    key: 4,
    columns: &[
        column("info_hash", Kind::Text, "The torrent."),
        column("ip", Kind::Text, "The peer's address."),
        column("port", Kind::Number, "The port the peer listens on; empty where it is not known."),
        column("peer_id", Kind::Text, "The peer ID last seen, 40 hex digits; empty where it is not known."),
        column(
            "mean_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "From the first observation to the threshold, or to the last gain below it.",
        ),
        column(
            "max_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "Highest speed between two known observations at least 5 s apart; else empty.",
        ),
        column("country", Kind::Text, "ISO 3166-1 alpha-2 code; empty where unknown."),
    ],
};

/// Peers whose speed is known and can be trusted.
pub fn of_peers(peers: LazyFrame) -> LazyFrame {
    let known = col("flagged").not().and(col("mean_speed_bytes_per_s").is_not_null());
    peers.filter(known)
}
