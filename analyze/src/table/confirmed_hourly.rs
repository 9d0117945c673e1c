//! `confirmed_hourly`: confirmed downloads over time.

use super::definition::{Definition, Kind, column};

/// What `confirmed_hourly` holds.
pub const DEFINITION: Definition = Definition {
    name: "confirmed_hourly",
    title: "Confirmed downloads over time",
    about: "Confirmed downloads by the hour (or `--bucket`) of `confirmed_at`; hours without any have no row.",
    key: 2,
    columns: &[
        column("hour", Kind::Time, "When the hour, or bucket, begins."),
        column("info_hash", Kind::Text, "The torrent."),
        column("confirmed_downloads", Kind::Count, "Downloads confirmed in that hour."),
    ],
};
