//! `thresholds`: how the count depends on the threshold.

use super::definition::{Definition, Kind, column};

/// What `thresholds` holds.
pub const DEFINITION: Definition = Definition {
    name: "thresholds",
    title: "Thresholds",
    about: "Confirmed downloads had the threshold been another one, 0.90 to 1.00, over all torrents.",
    key: 1,
    columns: &[
        column("threshold", Kind::Share, "Share of the pieces a peer must have."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads at this threshold."),
        column("already_complete", Kind::Count, "Peers at or above this threshold when first seen."),
    ],
};
