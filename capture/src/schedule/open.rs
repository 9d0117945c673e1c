//! A contact while it lasts: how useful it is to hold it, and when to shake hands again instead.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    Habit, Pacing, Rung, SPACING, Seen, Why,
    client::ClientId,
    next_random,
    plan::{Belief, Flags, Plan, Tick, is_above},
};
use crate::{registry::PeerKey, swarm::SwarmId};

/// A peer that claimed nothing and then tells of pieces is asked again after this time.
const DOUBT: Duration = Duration::from_secs(3);
/// Shortest time without a HAVE before a fresh handshake.
const PATIENCE_MIN: Duration = Duration::from_secs(4);
/// A contact whose peer is this near to the threshold makes place for nobody: another visit would take as long.
const NEAR: Duration = Duration::from_secs(5);
/// An estimate is trusted to no less than a piece, but no more than this.
const DOUBTFUL_PIECE_MAX: Duration = Duration::from_secs(5);
/// Held contacts looked at to find the least useful one.
const SAMPLE: usize = 24;
/// A peer of unknown speed is taken to need this long for the whole torrent.
const UNKNOWN_DOWNLOAD_TIME: Duration = Duration::from_hours(1);

/// An open contact.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Open {
    pub(super) swarm: SwarmId,
    pub(super) ip: IpAddr,
    /// `None` for an incoming contact of which the peer's listening port is not known.
    pub(super) peer: Option<PeerKey>,
    pub(super) rung: Rung,
    pub(super) outgoing: bool,
    pub(super) handshake: bool,
    /// Whether the peer would not have what obfuscation offered.
    pub(super) refused: bool,
    pub(super) habit: Habit,
    pub(super) closing: Option<Why>,
    pub(super) review_at: Option<Instant>,
    pub(super) settled_at: Option<Instant>,
    /// When the peer last told of a piece.
    pub(super) told_at: Option<Instant>,
    /// The peer's program.
    pub(super) client: ClientId,
    /// The program of a connection from the same address that was open when this one began, and its peer's ID.
    pub(super) second_to: Option<(ClientId, u32)>,
    /// To be closed before the opening burst is over: the next visit is more urgent.
    pub(super) hurried: bool,
    /// Whether what the visit was worth has been noted.
    pub(super) noted: bool,
    /// Whether it showed that the peer had crossed the threshold.
    pub(super) crossed: bool,
    pub(super) pieces: Option<u32>,
    pub(super) piece_count: Option<u32>,
    pub(super) complete: bool,
    /// Whether anything about its pieces was observed.
    pub(super) known: bool,
    /// Whether it has more pieces than when it was last seen.
    pub(super) gained: bool,
    /// Whether it told of pieces after the opening burst.
    pub(super) told: bool,
    /// Whether its opening burst was no claim of pieces.
    pub(super) opened_empty: bool,
}

impl Open {
    pub(super) fn new(swarm: SwarmId, ip: IpAddr, peer: Option<PeerKey>, rung: Rung, outgoing: bool) -> Self {
        Self {
            swarm,
            ip,
            peer,
            rung,
            outgoing,
            handshake: !outgoing,
            refused: false,
            habit: Habit::Unknown,
            closing: None,
            review_at: None,
            settled_at: None,
            told_at: None,
            client: ClientId::default(),
            second_to: None,
            hurried: false,
            noted: false,
            crossed: false,
            pieces: None,
            piece_count: None,
            complete: false,
            known: false,
            gained: false,
            told: false,
            opened_empty: false,
        }
    }

    /// Takes an observation.
    pub(super) fn observe(&mut self, now: Instant, seen: &Seen) {
        self.known = true;
        self.pieces = seen.pieces.or(self.pieces);
        self.piece_count = seen.piece_count.or(self.piece_count);
        self.complete = seen.complete;
        self.told_at = Some(now);
        if seen.opening {
            self.opened_empty = seen.settled && !seen.claimed;
        } else {
            self.told = true;
        }
    }

    /// Whether the peer must claim its pieces in another handshake to be believed, and it is time for that.
    pub(super) fn needs_handshake(&self, belief: Belief) -> bool {
        let (Some(pieces), true) = (self.pieces, self.opened_empty) else { return false };
        let near = |percent: u64| {
            self.piece_count.is_some_and(|count| u64::from(pieces) * 100 >= u64::from(count) * percent)
        };
        match belief {
            Belief::Untested => pieces > 0,
            Belief::TestedEarly => near(90),
            Belief::TestedNear => self.piece_count.is_some_and(|count| is_above(pieces, count)),
            Belief::TestedAfter | Belief::Believed => false,
        }
    }

    /// When to look at the contact again; `None` to close it. `has_spare`: another contact would cost nobody his own.
    pub(super) fn review(
        &self,
        now: Instant,
        tick: Tick,
        plan: Option<&mut Plan>,
        pacing: &Pacing,
        has_spare: bool,
    ) -> Option<Instant> {
        if self.hurried {
            return None;
        }
        let settled_at = self.settled_at?;
        let hold_ends = settled_at + pacing.hold;
        let believed = !self.needs_handshake(plan.as_ref().map(|plan| plan.belief).unwrap_or_default());
        if now >= hold_ends || (self.complete && believed) {
            return None;
        }
        if !believed {
            // A peer that came to us, too: if it can neither be reached nor comes again, it could not be believed
            // in any case.
            let doubted_at = if self.complete { now } else { settled_at + DOUBT };
            return (doubted_at > now).then_some(doubted_at);
        }
        // A client that tells nothing on an open connection is lost by letting it go no more than by keeping it.
        if self.habit == Habit::Silent {
            return None;
        }
        // A peer that may not be reachable from here is lost when it is let go, unless it tells us nothing in any case.
        let keeps_quiet = self.habit == Habit::Unreliable && !self.told;
        let Some(plan) = plan.filter(|plan| self.outgoing || plan.flags.has(Flags::REACHED) || keeps_quiet)
        else {
            return Some(hold_ends);
        };
        if plan.flags.has(Flags::UPLOAD_ONLY) || plan.is_known_quiet() {
            return None;
        }
        // Past the threshold there is no hurry.
        let eta = plan.eta(tick, self.piece_count).filter(|_| !plan.flags.has(Flags::ABOVE));
        let mut ask_at = self.ask_at(now, settled_at, eta, plan);
        // What it has not told by then it may not tell before it leaves.
        let tells_late = matches!(self.habit, Habit::Batches | Habit::Unreliable);
        if has_spare
            && tells_late
            && let Some(pause) = plan.ask_after(self.piece_count)
        {
            ask_at = ask_at.min(self.told_at.unwrap_or(settled_at).max(settled_at) + pause);
        }
        if now >= ask_at {
            plan.flags.set(Flags::ON_TRIAL, !self.told);
            return None;
        }
        Some(ask_at.min(hold_ends))
    }

    /// When to ask a peer that tells nothing meanwhile by a fresh handshake.
    fn ask_at(&self, now: Instant, settled_at: Instant, eta: Option<Duration>, plan: &Plan) -> Instant {
        let (patience_s, piece_time) = (plan.patience_s, plan.piece_time());
        let told_at = self.told_at.unwrap_or(settled_at).max(settled_at);
        let patience = match patience_s {
            0 => self.habit.patience(),
            seconds => Duration::from_secs(seconds.into()),
        };
        let Some(eta) = eta else { return told_at + patience };
        match self.habit {
            // The crossing would be told with the next batch, unless the peer leaves before that.
            Habit::Batches => {
                let early = SPACING + piece_time.unwrap_or_default().min(DOUBTFUL_PIECE_MAX);
                (now + eta.saturating_sub(early)).min(told_at + patience)
            }
            Habit::Silent | Habit::Unknown | Habit::Unreliable => {
                told_at + patience.min((eta / 2).max(PATIENCE_MIN))
            }
            Habit::Tells => told_at + patience,
        }
    }

    /// How long it would take until the contact tells what it is held for; `None` if it keeps its place.
    pub(super) fn uselessness(&self, tick: Tick, plan: &Plan) -> Option<Duration> {
        if self.closing.is_some() || self.settled_at.is_none() {
            return None;
        }
        let eta = plan.eta(tick, self.piece_count).unwrap_or_else(|| {
            let missing = match (self.pieces, self.piece_count) {
                (Some(pieces), Some(count)) if count > 0 => 1.0 - f64::from(pieces) / f64::from(count),
                _ => 1.0,
            };
            UNKNOWN_DOWNLOAD_TIME.mul_f64(missing.clamp(0.0, 1.0))
        });
        (eta > NEAR).then_some(eta)
    }
}

/// The contacts that are held, to draw samples from.
#[derive(Debug, Default)]
pub(super) struct Held {
    contacts: Vec<u64>,
    places: std::collections::HashMap<u64, usize>,
}

impl Held {
    pub(super) fn insert(&mut self, contact: u64) {
        if self.places.insert(contact, self.contacts.len()).is_none() {
            self.contacts.push(contact);
        }
    }

    pub(super) fn remove(&mut self, contact: u64) {
        let Some(place) = self.places.remove(&contact) else { return };
        self.contacts.swap_remove(place);
        if let Some(&moved) = self.contacts.get(place) {
            self.places.insert(moved, place);
        }
    }

    /// Of a sample, the contact with the greatest score, leaving out those without one.
    pub(super) fn least_useful(
        &self,
        random: &mut u64,
        score: impl Fn(u64) -> Option<Duration>,
    ) -> Option<u64> {
        let len = self.contacts.len() as u64;
        let sample: Vec<u64> = if self.contacts.len() <= SAMPLE {
            self.contacts.clone()
        } else {
            let draw = |_| {
                let place = usize::try_from(next_random(random) % len).unwrap_or_default();
                self.contacts.get(place).copied()
            };
            (0..SAMPLE).filter_map(draw).collect()
        };
        let scored = sample.into_iter().filter_map(|contact| Some((score(contact)?, contact)));
        scored.max_by_key(|&(score, _)| score).map(|(_, contact)| contact)
    }
}
