//! `flagged`: peers whose counts cannot be trusted, and why.

use polars::prelude::{LazyFrame, col};

use super::definition::{Definition, Kind, column};

/// What `flagged` holds.
pub const DEFINITION: Definition = Definition {
    name: "flagged",
    title: "Flagged peers",
    about: "Peers that are never confirmed because what they said cannot be trusted; one row each, with every \
            reason that applies.",
    key: 4,
    columns: &[
        column("info_hash", Kind::Text, "The torrent."),
        column("ip", Kind::Text, "The peer's address."),
        column("port", Kind::Number, "The port the peer listens on; empty where it is not known."),
        column("peer_id", Kind::Text, "The peer ID last seen, 40 hex digits; empty where it is not known."),
        column("first_at", Kind::Time, "The peer's first known observation."),
        column("crossed", Kind::Truth, "Whether it would be a confirmed download without the flag."),
        column(
            "backwards",
            Kind::Truth,
            "Its count went down under the same peer ID, or peer IDs took turns at its address.",
        ),
        column(
            "have_only",
            Kind::Truth,
            "It crossed the threshold by HAVEs alone and never claimed a piece in a handshake, or claimed none and \
             then all with nothing in between: it may have super-seeded.",
        ),
        column(
            "implausible_speed",
            Kind::Truth,
            "It was faster than `--max-plausible-speed` between two observations.",
        ),
        column("max_speed_bytes_per_s", Kind::BytesPerSecond, "Its highest speed; empty where not measured."),
    ],
};

/// Those of some peers.
pub fn of_peers(peers: LazyFrame) -> LazyFrame {
    peers.filter(col("flagged"))
}
