//! What a report must say about itself: which data it stands on, with which rules, and what was wrong with them.

use serde::Serialize;

/// Facts about the data and the options of a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// Version of the analyze program.
    pub version: String,
    /// The data folders as the user named them.
    pub data: Vec<String>,
    /// The first row's time, RFC 3339; `None` without any row.
    pub first_at: Option<String>,
    /// The last row's time, RFC 3339; `None` without any row.
    pub last_at: Option<String>,
    /// The runs of the capture, by start.
    pub runs: Vec<Run>,
    /// Torrents that were watched.
    pub torrents: u64,
    /// Raw rows read, by raw table.
    pub rows: Vec<(String, u64)>,
    /// Segments that could be read.
    pub segments: u64,
    /// The threshold as text, e.g. `0.98`.
    pub threshold: String,
    /// Speeds beyond this are implausible, bytes per second.
    pub max_plausible_speed_bytes_per_s: u64,
    /// What makes two contacts those of one peer: `endpoint`, `ip` or `peer_id`.
    pub identity: String,
    /// Only rows at or after this time count, RFC 3339.
    pub since: Option<String>,
    /// Only rows before this time count, RFC 3339.
    pub until: Option<String>,
    /// Only these torrents count; empty for all.
    pub info_hashes: Vec<String>,
    /// Length of the buckets of the tables over time, seconds.
    pub bucket_s: u64,
    /// How the tables' files end, without the dot; the first where they have several forms.
    #[serde(skip)]
    pub extension: &'static str,
    /// Where locations come from, with the attribution their licence asks for.
    pub geolocation: Vec<GeoSource>,
    /// Files that could not be read and are left out.
    pub damaged: Vec<Damaged>,
    /// Anything else the reader must know, one sentence each.
    pub notes: Vec<String>,
}

/// One life of a capture process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The run's name.
    pub run: String,
    /// The place it ran.
    pub vantage: Option<String>,
    /// Version of the capture program.
    pub version: Option<String>,
    /// When it began, RFC 3339.
    pub started_at: Option<String>,
    /// When it ended in good order, RFC 3339; `None` where it was killed or still runs.
    pub stopped_at: Option<String>,
    /// Why it ended.
    pub reason: Option<String>,
}

/// A source of locations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeoSource {
    /// What it tells: `country`, `city`, `network`.
    pub tells: String,
    /// Name and date of the database.
    pub name: String,
    /// Text that must stand in the report; `None` where none is known to be asked for.
    pub attribution: Option<String>,
}

/// A file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}
