//! What is true of one endpoint's peers: observations in order of time → confirmed, already complete, or flagged; speeds.
//!
//! `generations` tells who was there when, `peer` judges each. The rules are those of the design's "Rules for what is
//! true", each worded so that a window of SQL says the same: `schema/sql/views.sql` does, and a test holds the two
//! against each other. All counts are pieces, all times microseconds.

mod generations;
mod peer;

use std::cmp::Ordering;

use super::{rows::PeerId, speed::Bytes, threshold::Threshold};
use generations::Generations;

/// How long a peer's opening burst is held back by default, µs: what a contact without a `contacts` row is given.
pub const SETTLE_US: i64 = 2_000_000;

/// What an observation was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// A bitfield or `have_all` of the opening burst: the handshake itself claimed pieces.
    Handshake,
    /// An opening burst that claimed none: `have_none`, silence.
    Nothing,
    /// HAVE messages.
    Have,
}

/// One known observation of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When, µs.
    pub time: i64,
    /// Pieces the peer had claimed by then in this contact.
    pub pieces: u32,
    /// The contact, by its place in the order of runs and numbers.
    pub contact: u32,
    /// What it was made of.
    pub claim: Claim,
    /// Whether the opening burst was over. If not, the count says "at least" and never "at most".
    pub settled: bool,
}

/// A contact, as far as the judgement needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// When its handshake was complete, µs; `None` where its `contacts` row was lost.
    pub handshake_at: Option<i64>,
    /// The peer ID of its handshake.
    pub peer_id: Option<PeerId>,
}

/// The torrent, as far as the judgement needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torrent {
    /// Number of pieces, at least 1.
    pub piece_count: u32,
    /// What pieces are in bytes; `None` until the metadata is known.
    pub bytes: Option<Bytes>,
}

/// A peer's way past one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// At or above it when first seen.
    Already,
    /// Seen below it, and later at or above.
    Crossed(Crossing),
}

/// The interval that dates a download: after `below_at`, not later than `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The last observation below the threshold before the first above, µs.
    pub below_at: i64,
    /// Pieces then.
    pub below_pieces: u32,
    /// The first observation at or above the threshold, µs.
    pub at: i64,
    /// Pieces then.
    pub pieces: u32,
    /// Whether both were made in one contact.
    pub live: bool,
}

/// What became of one peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Its first observation, µs.
    pub first_at: i64,
    /// Pieces then.
    pub first_pieces: u32,
    /// The peer ID last seen.
    pub peer_id: Option<PeerId>,
    /// Its way past each threshold, in the order of the thresholds; `None` where it never reached one.
    pub reached: Vec<Option<Reached>>,
    /// Its count went down under the same peer ID, or peer IDs took turns.
    pub backwards: bool,
    /// Some handshake of it claimed pieces, and it was once seen with some pieces but not all: it neither
    /// super-seeds nor did so until it turned into a plain seeder.
    pub believed: bool,
    /// Mean speed up to the first threshold, or to the last gain before it, bytes/s.
    pub mean_speed: Option<f64>,
    /// Highest speed until then, bytes/s.
    pub max_speed: Option<f64>,
}

impl Verdict {
    /// Forgets the peer it was of; the next one begins with this observation.
    fn begin(&mut self, first: &Observation, thresholds: usize) {
        let mut reached = std::mem::take(&mut self.reached);
        reached.clear();
        reached.resize(thresholds, None);
        *self = Self { first_at: first.time, first_pieces: first.pieces, reached, ..Self::default() };
    }
}

impl Observation {
    /// The order of a peer's observations: that of their times, and else whatever makes it the same every time.
    pub fn by_order(&self, other: &Self) -> Ordering {
        let rest = |row: &Self| (row.pieces, row.contact, row.claim, row.settled);
        // Mostly the time tells.
        self.time.cmp(&other.time).then_with(|| rest(self).cmp(&rest(other)))
    }
}

/// A torrent and the thresholds in its pieces.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The torrent.
    pub torrent: Torrent,
    /// The thresholds in pieces; the first is the one in force.
    needed: Vec<u32>,
    generations: Generations,
    reading: peer::Reading,
}

impl Judge {
    /// A judge of a torrent's peers.
    pub fn of(torrent: Torrent, thresholds: &[Threshold]) -> Self {
        let needed = thresholds.iter().map(|threshold| threshold.pieces(torrent.piece_count)).collect();
        Self { torrent, needed, generations: Generations::default(), reading: peer::Reading::default() }
    }

    /// Judges the observations of one endpoint, in their order; one verdict per peer that was there, in order.
    ///
    /// None may be beyond the torrent. `opening` tells of the contacts.
    pub fn judge(
        &mut self,
        observations: &[Observation],
        opening: impl Fn(u32) -> Opening,
        mut each: impl FnMut(&Verdict),
    ) {
        self.generations.sort(observations, &opening);
        for generation in 0..self.generations.count() {
            let members = self.generations.members(generation);
            if let Some(verdict) = self.reading.judge(&self.torrent, &self.needed, members, &opening) {
                each(verdict);
            }
        }
    }
}
