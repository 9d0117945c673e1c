//! `confirmed_downloads`: one row per confirmed download, with the interval that dates it.

use polars::prelude::{LazyFrame, col, lit, when};

use super::definition::{Definition, Kind, column};

/// What `confirmed_downloads` holds.
pub const DEFINITION: Definition = Definition {
    name: "confirmed_downloads",
    title: "Confirmed downloads",
    about: "One row per peer that was seen below the threshold and later at or above it. The download crossed the \
            threshold after `below_at` and not later than `confirmed_at`.",
    key: 4,
    columns: &[
        column("info_hash", Kind::Text, "The torrent."),
        column("ip", Kind::Text, "The peer's address."),
        column(
            "port",
            Kind::Number,
            "The port the peer listens on; empty for one that only came in and did not tell it.",
        ),
        column("peer_id", Kind::Text, "The peer ID last seen, 40 hex digits; empty where it is not known."),
        column(
            "client",
            Kind::Text,
            "The client by its extended handshake's `v`, else by its peer ID (BEP 20); empty where neither tells.",
        ),
        column(
            "below_at",
            Kind::Time,
            "The last known observation below the threshold before the first above.",
        ),
        column("below_pieces", Kind::Count, "Pieces the peer had then."),
        column("confirmed_at", Kind::Time, "The first known observation at or above the threshold."),
        column("confirmed_pieces", Kind::Count, "Pieces the peer had then."),
        column("piece_count", Kind::Count, "Pieces of the torrent."),
        column("evidence", Kind::Text, "`live`: both observations in one contact; `revisit`: in two."),
        column(
            "mean_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "Mean download speed from the first observation to `confirmed_at`; empty where they are less than 1 s \
             apart.",
        ),
        column(
            "max_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "Highest speed between two known observations at least 5 s apart; else empty.",
        ),
        column("country", Kind::Text, "ISO 3166-1 alpha-2 code; empty where unknown."),
        column("asn", Kind::Number, "Autonomous system number; empty where unknown."),
    ],
};

/// Those of some peers.
pub fn of_peers(peers: LazyFrame) -> LazyFrame {
    peers.filter(col("confirmed")).with_columns([
        col("reached_at").alias("confirmed_at"),
        col("reached_pieces").alias("confirmed_pieces"),
        when(col("live")).then(lit("live")).otherwise(lit("revisit")).alias("evidence"),
        polars::prelude::coalesce(&[col("client"), col("client_of_id")]).alias("client"),
    ])
}
