//! `summary`: one row per torrent, and one for all of them.

use super::definition::{Definition, Kind, column};

/// What `summary` holds.
pub const DEFINITION: Definition = Definition {
    name: "summary",
    title: "Summary",
    about: "One row per torrent and one, `all`, for the whole capture: how many peers were seen and what is \
            known of their downloads.",
    key: 1,
    columns: &[
        column("info_hash", Kind::Text, "The torrent, or `all`."),
        column(
            "name",
            Kind::Text,
            "The torrent's suggested name; empty where it is not known and for `all`.",
        ),
        column("size_bytes", Kind::Bytes, "The content's size; empty where it is not known and for `all`."),
        column("piece_count", Kind::Count, "Pieces of the torrent; empty where not known and for `all`."),
        column(
            "unique_peers",
            Kind::Count,
            "Peers named by any source or met in any contact, each once per torrent.",
        ),
        column("contacted_peers", Kind::Count, "Peers whose handshake was received at least once."),
        column(
            "confirmed_downloads",
            Kind::Count,
            "Peers seen below the threshold and later at or above it: a lower bound.",
        ),
        column("already_complete", Kind::Count, "Peers at or above the threshold when first seen."),
        column(
            "flagged",
            Kind::Count,
            "Peers whose counts cannot be trusted; never confirmed. See `flagged`.",
        ),
        column(
            "scrape_downloads",
            Kind::Count,
            "Downloads the trackers counted meanwhile: the largest count of any one tracker, never a sum over \
             trackers; empty without an answer. For `all` the sum over torrents.",
        ),
        column(
            "estimated_downloads",
            Kind::Count,
            "Estimated downloads; empty while no estimator is applied.",
        ),
        column("estimated_downloads_low", Kind::Count, "Lower end of the estimate's interval."),
        column("estimated_downloads_high", Kind::Count, "Upper end of the estimate's interval."),
        column(
            "median_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "Median of the peers' mean speeds; empty where none was measured.",
        ),
    ],
};
