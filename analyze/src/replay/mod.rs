//! The replay: raw rows → what is true of every peer, by the design's "Rules for what is true".
//!
//! A log is read in ranges of info-hashes, so that memory follows the largest torrent and not the log. Within one,
//! polars reads, joins and sorts; [`judge`] passes once over each peer's observations.

pub mod arrival;
pub mod identity;
pub mod judge;
pub mod observations;
pub mod ourselves;
pub mod peers;
pub mod presence;
pub mod range;
pub mod scrape;
pub mod sightings;
pub mod speed;
pub mod threshold;
pub mod torrents;

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use crate::log::{Log, Selection};

pub use identity::Identity;
pub use threshold::Threshold;

/// The rules of a replay that the user may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Which rows count.
    pub selection: Selection,
    /// Share of the pieces a peer must have.
    pub threshold: Threshold,
    /// Faster peers are flagged, bytes/s.
    pub max_plausible_speed: u64,
    /// Length of the buckets of the tables over time, µs.
    pub bucket_us: i64,
    /// What makes two contacts those of one peer.
    pub identity: Identity,
}

/// What the tables asked for need besides contacts; the rest is neither read nor computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct Needs {
    /// When peers were online.
    pub presence: bool,
    /// What peers said of their pieces.
    pub progress: bool,
    /// Seeders and leechers over time.
    pub seeders: bool,
    /// Who named which peers.
    pub sightings: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            threshold: Threshold::default(),
            max_plausible_speed: 125_000_000,
            bucket_us: 3_600_000_000,
            identity: Identity::default(),
        }
    }
}

/// The thresholds of the table `thresholds`: 0.90 to 1.00.
pub fn threshold_series() -> Vec<Threshold> {
    (90..=100).filter_map(Threshold::percent).collect()
}

/// What the replay of a whole log found.
#[derive(Debug)]
pub struct Replay {
    /// One row per torrent; see [`torrents::read`].
    pub torrents: DataFrame,
    /// One row per peer that was contacted or observed; see [`peers::COLUMNS`].
    pub peers: DataFrame,
    /// `info_hash`, `peers`, `contacted_peers`.
    pub swarms: DataFrame,
    /// `ip`, `peers`, `contacted_peers`: peers are counted once per torrent.
    pub addresses: DataFrame,
    /// Confirmed downloads and already complete peers at each of [`threshold_series`].
    pub thresholds: Vec<AtThreshold>,
    /// Peers by torrent, the set of sources that named them, and how they answered.
    pub source_sets: Vec<sightings::NamedPeers>,
    /// In how many rounds addresses were named; see [`sightings::rounds`].
    pub rounds: DataFrame,
    /// Peers by bucket; see [`observations::Observed::seeders`].
    pub seeders: DataFrame,
    /// How long peers were online.
    pub sessions: presence::Sessions,
    /// `hour` (µs), `source`, `received`, `new`.
    pub source_hours: DataFrame,
    /// Peers by number of contacts: tried, and with a handshake.
    pub visits: (BTreeMap<u64, u64>, BTreeMap<u64, u64>),
}

/// What would be counted at another threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtThreshold {
    /// Confirmed downloads.
    pub confirmed: u64,
    /// Peers at or above it when first seen.
    pub already_complete: u64,
}

impl Replay {
    /// What a log without rows holds.
    pub fn empty() -> PolarsResult<Self> {
        Ok(Self {
            torrents: DataFrame::empty(),
            peers: peers::empty()?,
            swarms: DataFrame::empty(),
            addresses: DataFrame::empty(),
            thresholds: vec![AtThreshold::default(); threshold_series().len()],
            source_sets: Vec::new(),
            rounds: DataFrame::empty(),
            seeders: DataFrame::empty(),
            sessions: presence::Sessions::default(),
            source_hours: DataFrame::empty(),
            visits: (BTreeMap::new(), BTreeMap::new()),
        })
    }
}

/// Replays the log; `progress` is told how many raw rows each range held when it is done.
pub fn replay(log: &Log, rules: &Rules, needs: Needs, progress: &dyn Fn(u64)) -> PolarsResult<Replay> {
    let context = range::Context::new(log, rules, needs)?;
    let mut parts = Vec::new();
    for range in range::ranges(log, &rules.selection)? {
        parts.push(range::replay(&context, &range)?);
        progress(range.rows);
    }
    range::merge(&context, parts)
}
