//! What is remembered of a peer between contacts, and what follows from it for the next one. 48 bytes a peer.

use std::time::Duration;

use wire::peer::pex::Flags as Hints;

use super::{Habit, client::ClientId, ladder::Ways};

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

/// Why a peer is to be visited, and so which queue it waits in when it is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Class {
    /// Seen complete, or says it wants no more.
    Complete,
    /// Failed before.
    Retry,
    /// Never contacted, and said to be a seeder.
    Seed,
    /// Reached before, and still on its way.
    Revisit,
    /// Never contacted, named by the DHT.
    Dht,
    /// Never contacted, named by a tracker.
    #[default]
    Tracker,
    /// Never contacted, named by a peer, a magnet or itself.
    Named,
    /// Lost while it was downloading, or in need of a second handshake to be believed.
    Urgent,
    /// Seen below the threshold, which it should have crossed by then.
    Crossed,
}

impl Class {
    /// Every kind, in the order of the queues.
    pub(super) const ALL: [Self; 9] = [
        Self::Complete,
        Self::Retry,
        Self::Seed,
        Self::Revisit,
        Self::Dht,
        Self::Tracker,
        Self::Named,
        Self::Urgent,
        Self::Crossed,
    ];

    /// Whether the peer was never contacted.
    pub(super) fn is_first(self) -> bool {
        matches!(self, Self::Seed | Self::Dht | Self::Tracker | Self::Named)
    }

    /// What is expected of so many visits before any is made: confirmed downloads.
    pub(super) fn expectation(self) -> (f32, f32) {
        match self {
            Self::Complete => (20.0, 0.01),
            Self::Retry => (20.0, 0.3),
            Self::Seed => (20.0, 0.2),
            Self::Revisit => (10.0, 0.8),
            Self::Dht => (20.0, 2.0),
            Self::Tracker => (20.0, 3.0),
            Self::Named => (20.0, 3.5),
            Self::Urgent => (10.0, 4.0),
            Self::Crossed => (10.0, 6.0),
        }
    }
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

/// Pieces a second in two bytes: the upper half of the number, which is right to a hundredth.
#[derive(Clone, Copy, Debug, Default)]
struct Speed(u16);

impl Speed {
    fn of(pieces_per_second: f32) -> Self {
        Self(u16::try_from(pieces_per_second.to_bits() >> 16).unwrap_or_default())
    }

    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
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
    /// Hash of the peer ID last seen, 0 before.
    pub(super) peer_id: u32,
    /// Outgoing contacts so far.
    pub(super) attempts: u16,
    /// Pieces a second while it gained any, of late.
    speed: Speed,
    /// How long it had gained nothing when it was last seen, seconds.
    unchanged_s: u16,
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
    /// The program of the peer ID last seen.
    pub(super) client: ClientId,
    pub(super) flags: Flags,
    /// What other peers said of it (BEP 11).
    pub(super) hints: Hints,
    pub(super) ways: Ways,
}

/// A rate is told over no less time than this.
const RATE_OVER_MIN: Duration = Duration::from_secs(2);
/// A rate is told over about this time at most.
const RATE_OVER_MAX: Duration = Duration::from_mins(1);

/// A peer of unknown speed with this part of the pieces may cross the threshold at any moment.
const NEAR_PERCENT: u64 = 90;
/// A pause is taken for one that ends at any moment for so long: transmission with a download limit waits up to half a
/// minute for its last tenth, and may leave soon after.
const PAUSE_MAX: Duration = Duration::from_mins(2);
/// A peer that may reach the threshold within this time is visited as often as may be.
const SPRINT: Duration = Duration::from_secs(6);
/// A peer that gains pieces is asked this long before it is expected to cross the threshold.
const HEAD_START: Duration = Duration::from_secs(8);
/// What is left of the highest speed each time the peer is seen at a lower one.
const SPEED_KEPT: f32 = 0.9;

/// So many pieces must be overdue until a peer counts as stalled.
const OVERDUE_PIECES: u32 = 3;

/// A peer with less patience left, in seconds, that kept quiet is visited.
const QUIET_BELOW_S: u16 = 5;

/// So often a peer that was never reached waits for an incoming contact of its address to tell who it is.
pub(super) const DEFERRALS_MAX: u8 = 3;

/// Yes-or-no facts of a plan, two bytes in all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags(u16);

impl Flags {
    /// At or above the threshold when last seen.
    pub(super) const ABOVE: u16 = 1;
    /// Has all pieces.
    pub(super) const COMPLETE: u16 = 1 << 1;
    /// Its pieces were seen at least once.
    pub(super) const SEEN: u16 = 1 << 2;
    /// Was reached by a connection of ours.
    pub(super) const REACHED: u16 = 1 << 3;
    /// Says it will not download (BEP 21).
    pub(super) const UPLOAD_ONLY: u16 = 1 << 4;
    /// Known to be below the threshold at some time.
    pub(super) const WAS_BELOW: u16 = 1 << 5;
    /// The next handshake tells whether the client told its progress on the last held connection.
    pub(super) const ON_TRIAL: u16 = 1 << 6;
    /// Was seen to gain pieces without telling.
    pub(super) const KEPT_QUIET: u16 = 1 << 7;
    /// Told of pieces on the last held connection.
    pub(super) const TOLD: u16 = 1 << 8;

    pub(super) fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn set(&mut self, flag: u16, on: bool) {
        if on { self.0 |= flag } else { self.0 &= !flag }
    }
}

/// Whether so many pieces are at or above the threshold.
pub(super) fn is_above(pieces: u32, piece_count: u32) -> bool {
    u64::from(pieces) * 100 >= u64::from(piece_count) * THRESHOLD_PERCENT
}

fn threshold_pieces(piece_count: u32) -> u32 {
    let threshold = (u64::from(piece_count) * THRESHOLD_PERCENT).div_ceil(100);
    u32::try_from(threshold).unwrap_or(piece_count)
}

impl Plan {
    /// Time until the peer is at the threshold, or complete if it is past that; `None` while its rate is unknown.
    pub(super) fn eta(&self, now: Tick, piece_count: Option<u32>) -> Option<Duration> {
        let piece_count = piece_count?;
        if self.rate <= 0.0 || !self.flags.has(Flags::SEEN) {
            return None;
        }
        let threshold = threshold_pieces(piece_count);
        let goal = if self.pieces >= threshold { piece_count } else { threshold };
        let seconds = f64::from(goal.saturating_sub(self.pieces)) / f64::from(self.rate);
        let eta = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Some(eta.saturating_sub(now.since(self.seen)))
    }

    /// Time a piece takes it; `None` while its rate is unknown.
    pub(super) fn piece_time(&self) -> Option<Duration> {
        (self.rate > 0.0).then(|| Duration::try_from_secs_f32(1.0 / self.rate).unwrap_or(Duration::MAX))
    }

    /// Whether it has gained nothing for so long that several pieces are overdue.
    pub(super) fn is_stalled(&self) -> bool {
        let unchanged = Duration::from_secs(self.unchanged_s.into());
        self.piece_time().is_none_or(|piece_time| unchanged > piece_time.saturating_mul(OVERDUE_PIECES))
    }

    /// The least time until the peer crosses the threshold: at its speed, of which a pause takes nothing away, as it may
    /// end at any moment. `None` if it is past the threshold, has paused for long, or nothing is known of its speed.
    pub(super) fn soonest(&self, now: Tick, piece_count: Option<u32>) -> Option<Duration> {
        let piece_count =
            piece_count.filter(|_| self.flags.has(Flags::SEEN) && !self.flags.has(Flags::ABOVE))?;
        if Duration::from_secs(self.unchanged_s.into()) >= PAUSE_MAX {
            return None;
        }
        if self.speed.get() <= 0.0 {
            let near = u64::from(self.pieces) * 100 >= u64::from(piece_count) * NEAR_PERCENT;
            return near.then_some(Duration::ZERO);
        }
        let missing = threshold_pieces(piece_count).saturating_sub(self.pieces);
        let time = Duration::try_from_secs_f64(f64::from(missing) / f64::from(self.speed.get())).ok()?;
        Some(if self.unchanged_s == 0 { time.saturating_sub(now.since(self.seen)) } else { time })
    }

    /// How long after it was last seen a peer that tells late is to be asked; `None` if there is no hurry.
    pub(super) fn ask_after(&self, piece_count: Option<u32>) -> Option<Duration> {
        let soonest = self.soonest(self.seen, piece_count)?;
        let at_once = soonest <= SPRINT || self.unchanged_s > 0;
        Some(if at_once { Duration::ZERO } else { (soonest / 2).max(soonest.saturating_sub(HEAD_START)) })
    }

    /// Whether it may cross the threshold before the next visit, however soon that is.
    pub(super) fn is_at_the_brink(&self, now: Tick, piece_count: Option<u32>) -> bool {
        self.soonest(now, piece_count).is_some_and(|time| time <= SPRINT)
    }

    /// Whether it was below the threshold, and should be past it by now.
    pub(super) fn should_have_crossed(&self, now: Tick, piece_count: Option<u32>) -> bool {
        let below = self.flags.has(Flags::WAS_BELOW) && !self.flags.has(Flags::ABOVE);
        below && self.eta(now, piece_count).is_some_and(|eta| eta.is_zero())
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
            self.speed = Speed::default();
            self.anchor = pieces;
            self.anchored = now;
            self.seen = now;
            self.unchanged_s = 0;
        }
        let gains = pieces > self.pieces;
        if gains {
            self.stale = 0;
            self.unchanged_s = 0;
        } else {
            let seconds = u16::try_from(now.since(self.seen).as_secs()).unwrap_or(u16::MAX);
            self.unchanged_s = self.unchanged_s.saturating_add(seconds);
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
        if gains {
            self.speed = Speed::of(rate.max(self.speed.get() * SPEED_KEPT));
        }
        if elapsed >= RATE_OVER_MAX {
            self.anchor = pieces;
            self.anchored = now;
        }
    }
}
