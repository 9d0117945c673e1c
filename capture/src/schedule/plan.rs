//! What is remembered of a peer between contacts, and what follows from it for the next one. 48 bytes a peer.

use std::time::Duration;

use wire::peer::pex::Flags as Hints;

use super::{Habit, ladder::Ways};

/// The share of the pieces, in percent, at which a download counts as one by default.
pub const THRESHOLD_PERCENT: u64 = 98;

/// Time since the start of the run in hundredths of a second: 497 days in four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(pub(super) u32);

impl Tick {
    const MILLIS: u128 = 10;

    /// The first tick at or after `elapsed`.
    pub(super) fn at(elapsed: Duration) -> Self {
        Self(u32::try_from(elapsed.as_micros().div_ceil(Self::MILLIS * 1000)).unwrap_or(u32::MAX))
    }

    pub(super) fn elapsed(self) -> Duration {
        Duration::from_millis(u64::from(self.0) * 10)
    }

    pub(super) fn since(self, earlier: Self) -> Duration {
        Self(self.0.saturating_sub(earlier.0)).elapsed()
    }
}

/// Where a peer is in its round of contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Never to be contacted.
    Blocked,
    /// In contact with us.
    Busy,
    /// Known, and no contact planned.
    #[default]
    Idle,
    /// Due, and waiting for a place.
    Queued,
    /// Not due before a time.
    Waiting,
}

/// Which queue a peer that is due waits in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Class {
    /// Never contacted before.
    #[default]
    First,
    /// Reached before, and still downloading.
    Revisit,
    /// Failed before, or complete.
    Retry,
    /// About to cross the threshold, or in need of a second handshake to be believed.
    Urgent,
}

/// How far the belief in a peer's HAVEs has been tested (BEP 16: a super-seeder claims nothing and reveals one piece
/// after the other).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Belief {
    /// No handshake was followed by a claim of pieces, and no second one was tried.
    #[default]
    Untested,
    /// A second handshake was tried, with the same result.
    TestedEarly,
    /// Another was tried near the threshold.
    TestedNear,
    /// And another after it.
    TestedAfter,
    /// A handshake was followed by a claim of pieces.
    Believed,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    /// When it is due; an entry of the queue of waiting peers with another time is void.
    pub(super) due: Tick,
    /// When `pieces` was seen.
    pub(super) seen: Tick,
    /// Pieces last seen.
    pub(super) pieces: u32,
    /// Pieces a second since the anchor.
    pub(super) rate: f32,
    /// Pieces from which the rate is counted.
    anchor: u32,
    /// When they were seen.
    anchored: Tick,
    /// Outgoing contacts so far.
    pub(super) attempts: u32,
    /// Hash of the peer ID last seen, 0 before.
    pub(super) peer_id: u32,
    /// How long a held connection may be without a HAVE, seconds; 0 before the first contact.
    pub(super) patience_s: u16,
    /// Failures in a row.
    pub(super) failures: u8,
    /// Visits in a row that brought nothing new.
    pub(super) stale: u8,
    /// Times it was due and found an incoming contact of its address that may be itself.
    pub(super) deferrals: u8,
    pub(super) stage: Stage,
    pub(super) class: Class,
    pub(super) belief: Belief,
    pub(super) flags: Flags,
    /// What other peers said of it (BEP 11).
    pub(super) hints: Hints,
    pub(super) ways: Ways,
}

/// A rate is told over no less time than this.
const RATE_OVER_MIN: Duration = Duration::from_secs(2);
/// A rate is told over about this time at most.
const RATE_OVER_MAX: Duration = Duration::from_mins(1);

/// A peer with less patience left, in seconds, that kept quiet is visited.
const QUIET_BELOW_S: u16 = 5;

/// So often a peer that was never reached waits for an incoming contact of its address to tell who it is.
pub(super) const DEFERRALS_MAX: u8 = 3;

/// Yes-or-no facts of a plan, a byte in all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags(u8);

impl Flags {
    /// At or above the threshold when last seen.
    pub(super) const ABOVE: u8 = 1;
    /// Has all pieces.
    pub(super) const COMPLETE: u8 = 1 << 1;
    /// Its pieces were seen at least once.
    pub(super) const SEEN: u8 = 1 << 2;
    /// Was reached by a connection of ours.
    pub(super) const REACHED: u8 = 1 << 3;
    /// Says it will not download (BEP 21).
    pub(super) const UPLOAD_ONLY: u8 = 1 << 4;
    /// Known to be below the threshold at some time.
    pub(super) const WAS_BELOW: u8 = 1 << 5;
    /// The next handshake tells whether the client told its progress on the last held connection.
    pub(super) const ON_TRIAL: u8 = 1 << 6;
    /// Was seen to gain pieces without telling.
    pub(super) const KEPT_QUIET: u8 = 1 << 7;

    pub(super) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8, on: bool) {
        if on { self.0 |= flag } else { self.0 &= !flag }
    }
}

/// Whether so many pieces are at or above the threshold.
pub(super) fn is_above(pieces: u32, piece_count: u32) -> bool {
    u64::from(pieces) * 100 >= u64::from(piece_count) * THRESHOLD_PERCENT
}

impl Plan {
    /// Time until the peer is at the threshold, or complete if it is past that; `None` while its rate is unknown.
    pub(super) fn eta(&self, now: Tick, piece_count: Option<u32>) -> Option<Duration> {
        let piece_count = piece_count?;
        if self.rate <= 0.0 || !self.flags.has(Flags::SEEN) {
            return None;
        }
        let threshold = (u64::from(piece_count) * THRESHOLD_PERCENT).div_ceil(100);
        let threshold = u32::try_from(threshold).unwrap_or(piece_count);
        let goal = if self.pieces >= threshold { piece_count } else { threshold };
        let seconds = f64::from(goal.saturating_sub(self.pieces)) / f64::from(self.rate);
        let eta = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Some(eta.saturating_sub(now.since(self.seen)))
    }

    /// Whether the client gained pieces without telling, so often that it is visited instead of held.
    pub(super) fn is_known_quiet(&self) -> bool {
        self.flags.has(Flags::KEPT_QUIET) && self.patience_s < QUIET_BELOW_S
    }

    /// Adapts the patience after a held connection without a HAVE: halved if pieces were gained, doubled if not.
    pub(super) fn judge_patience(&mut self, habit: Habit, gained: bool, revisit: Duration) {
        let current = match self.patience_s {
            0 => habit.patience().as_secs(),
            seconds => seconds.into(),
        };
        let judged = if gained { current / 2 } else { (current * 2).min(revisit.as_secs()) };
        self.flags.set(Flags::KEPT_QUIET, gained);
        self.patience_s = u16::try_from(judged.max(1)).unwrap_or(u16::MAX);
    }

    /// Takes a count of pieces. The rate is that since an anchor, which moves on once it is old; batches of HAVEs
    /// that come in an instant after seconds of nothing are evened out so.
    pub(super) fn see(&mut self, now: Tick, pieces: u32) {
        if !self.flags.has(Flags::SEEN) || pieces < self.pieces {
            self.flags.set(Flags::SEEN, true);
            self.rate = 0.0;
            self.anchor = pieces;
            self.anchored = now;
        }
        if pieces > self.pieces {
            self.stale = 0;
        }
        self.pieces = pieces;
        self.seen = now;
        let elapsed = now.since(self.anchored);
        if elapsed < RATE_OVER_MIN {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "an estimate needs no more digits")]
        let rate = (f64::from(pieces - self.anchor) / elapsed.as_secs_f64()) as f32;
        self.rate = rate;
        if elapsed >= RATE_OVER_MAX {
            self.anchor = pieces;
            self.anchored = now;
        }
    }
}
