//! A lab's plan on a simulated clock: peers come, download, tell as their client does, and go; a schedule meets them.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schema::table::ContactOutcome;

use super::Budget;
use crate::{
    clock::Clock,
    plan::{PeerPlan, Plan, PlanOptions, schedule::threshold_pieces},
    profile::{Role, Tells},
};

/// Time for a connection and both handshakes.
const HANDSHAKE: Duration = Duration::from_millis(100);
/// The settle time of a capture.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a connect to nowhere takes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer is named by a source at most this long after it has come up.
const NAMED_WITHIN: Duration = Duration::from_secs(10);
/// What a capture folds HAVEs to.
const HAVE_RESOLUTION: Duration = Duration::from_secs(1);
/// Clients with a shorter idle limit than this hang up whatever they hear (aria2).
const HANGS_UP_ANYWAY: Duration = Duration::from_secs(30);

/// What a schedule wants to be done.
pub(super) enum Act {
    Close(u64),
    /// The contact's number and the plan's peer.
    Dial(u64, usize),
}

/// What a contact brings.
#[derive(Clone, Copy)]
pub(super) enum Meeting {
    Handshake([u8; 20]),
    Claimed { pieces: u32, piece_count: u32 },
    Seen { pieces: u32, piece_count: u32, claimed: bool, opening: bool, settled: bool },
    Settled,
}

/// A schedule.
pub(super) trait Visitor {
    fn named(&mut self, now: Instant, peer: usize, plan: &Plan);
    fn next(&mut self, now: Instant) -> Option<Act>;
    fn wake(&self, now: Instant) -> Option<Instant>;
    fn met(&mut self, now: Instant, contact: u64, meeting: Meeting);
    fn ended(&mut self, now: Instant, contact: u64, outcome: ContactOutcome);
}

/// What a schedule found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) crossings: usize,
    pub(super) confirmed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Named(usize),
    Answer(u64),
    Claim(u64),
    Settle(u64),
    Tell(u64),
    Gone(u64),
    Failed(u64),
}

/// An open contact.
struct Talk {
    peer: usize,
    claimed: Option<u32>,
    settled: bool,
    told: u32,
}

/// What was seen of a peer, as the replay judges it.
#[derive(Clone, Copy, Default)]
struct Known {
    below: bool,
    above_later: bool,
    believed: bool,
}

struct Simulation<'a, V> {
    plan: &'a Plan,
    visitor: V,
    start: Instant,
    now: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    pushed: u64,
    talks: HashMap<u64, Talk>,
    known: Vec<Known>,
    chance: ChaCha8Rng,
}

/// Plays the plan for a schedule.
pub(super) fn play<V: Visitor>(
    plan: &Plan,
    options: &PlanOptions,
    budget: Budget,
    visitor: impl FnOnce(Instant) -> V,
) -> Outcome {
    let start = Clock::start().instant().into_std();
    let mut simulation = Simulation {
        plan,
        visitor: visitor(start),
        start,
        now: start,
        events: BinaryHeap::new(),
        pushed: 0,
        talks: HashMap::new(),
        known: vec![Known::default(); plan.peers.len()],
        chance: ChaCha8Rng::seed_from_u64(options.seed),
    };
    for (number, peer) in plan.peers.iter().enumerate() {
        let named = peer.joins + NAMED_WITHIN.mul_f64(simulation.chance.random());
        simulation.push(named, Event::Named(number));
    }
    simulation.run(start + options.length, budget);
    let crossed = |peer: &&PeerPlan| {
        let until = peer.leaves.unwrap_or(options.length).min(options.length);
        !peer.profile.nat && peer.schedule.crosses().is_some_and(|at| at <= until)
    };
    Outcome {
        crossings: plan.peers.iter().filter(crossed).count(),
        confirmed: simulation.known.iter().filter(|known| known.above_later && known.believed).count(),
    }
}

impl<V: Visitor> Simulation<'_, V> {
    /// An event at this offset from the start, but not before now.
    fn push(&mut self, at: Duration, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse(((self.start + at).max(self.now), self.pushed, event)));
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn run(&mut self, end: Instant, budget: Budget) {
        loop {
            while let Some(act) = self.visitor.next(self.now) {
                match act {
                    Act::Close(contact) => self.close(contact),
                    Act::Dial(contact, peer) => self.dial(contact, peer),
                }
                assert!(self.talks.len() <= budget.max_open, "more contacts than the budget has");
            }
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let wake = self.visitor.wake(self.now).map(|at| at.max(self.now + Duration::from_micros(100)));
            let Some(next) = event.into_iter().chain(wake).min().filter(|at| *at <= end) else { return };
            self.now = next.max(self.now);
            while let Some(&Reverse((at, _, event))) = self.events.peek() {
                if at > self.now {
                    break;
                }
                self.events.pop();
                self.happen(event);
            }
        }
    }

    fn dial(&mut self, contact: u64, peer: usize) {
        let now = self.elapsed();
        let Some(plan) = self.plan.peers.get(peer) else { return };
        self.talks.insert(contact, Talk { peer, claimed: None, settled: false, told: 0 });
        let away = plan.away.is_some_and(|(from, to)| (from..to).contains(&now));
        let up = plan.joins <= now && plan.leaves.is_none_or(|leaves| now < leaves) && !away;
        match plan.profile.role {
            Role::Blackhole => self.push(now + CONNECT_TIMEOUT, Event::Failed(contact)),
            Role::Hostile(_) | Role::Unresponsive => self.push(now + HANDSHAKE, Event::Failed(contact)),
            _ if up && !plan.profile.nat => self.push(now + HANDSHAKE, Event::Answer(contact)),
            _ => self.push(now + HANDSHAKE, Event::Failed(contact)),
        }
    }

    fn close(&mut self, contact: u64) {
        if let Some(Talk { claimed: Some(pieces), settled: false, peer, .. }) = self.talks.get(&contact) {
            self.see(contact, *peer, *pieces, true, false);
        }
        if self.talks.remove(&contact).is_some() {
            self.visitor.ended(self.now, contact, ContactOutcome::VisitDone);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Named(peer) => self.visitor.named(self.now, peer, self.plan),
            Event::Answer(contact) => self.answer(contact),
            Event::Claim(contact) => self.claim(contact),
            Event::Settle(contact) => self.settle(contact),
            Event::Tell(contact) => self.tell(contact),
            Event::Gone(contact) => self.end(contact, ContactOutcome::ClosedByRemote),
            Event::Failed(contact) => self.end(contact, ContactOutcome::Refused),
        }
    }

    fn end(&mut self, contact: u64, outcome: ContactOutcome) {
        if outcome == ContactOutcome::ClosedByRemote {
            self.tell(contact);
        }
        if self.talks.remove(&contact).is_some() {
            self.visitor.ended(self.now, contact, outcome);
        }
    }

    fn peer_of(&self, contact: u64) -> Option<&PeerPlan> {
        self.plan.peers.get(self.talks.get(&contact)?.peer)
    }

    fn answer(&mut self, contact: u64) {
        let now = self.elapsed();
        let Some(peer) = self.peer_of(contact).cloned() else { return };
        let client = peer.profile.client;
        self.visitor.met(self.now, contact, Meeting::Handshake(peer.peer_id));
        let completes =
            peer.schedule.time_of(peer.schedule.piece_count()).filter(|_| client.closes_on_completion);
        let hangs_up = client.idle_limit.filter(|limit| *limit == HANGS_UP_ANYWAY).map(|limit| now + limit);
        let goes = [peer.leaves, peer.away.map(|(from, _)| from), completes, hangs_up];
        if let Some(goes) = goes.into_iter().flatten().filter(|at| *at > now).min() {
            self.push(goes, Event::Gone(contact));
        }
        let (from_ms, to_ms) = client.opening_delay_ms;
        let delay = Duration::from_millis(self.chance.random_range(from_ms..=to_ms));
        self.push(now + delay, Event::Claim(contact));
    }

    fn claim(&mut self, contact: u64) {
        let now = self.elapsed();
        let Some(peer) = self.peer_of(contact) else { return };
        let (reveals, tells) = (peer.profile.role == Role::SuperSeeder, peer.profile.client.tells);
        let pieces = if reveals { 0 } else { peer.schedule.count_at(now) };
        let piece_count = peer.schedule.piece_count();
        if let Some(talk) = self.talks.get_mut(&contact) {
            (talk.claimed, talk.told) = (Some(pieces), pieces);
        }
        self.visitor.met(self.now, contact, Meeting::Claimed { pieces, piece_count });
        self.push(now + SETTLE, Event::Settle(contact));
        let every = match tells {
            _ if reveals => Some(HAVE_RESOLUTION),
            Tells::AtOnce => Some(HAVE_RESOLUTION),
            Tells::InBatches(batch) => Some(batch),
            Tells::OnHandshake => None,
        };
        if let Some(every) = every {
            self.push(now + every.max(SETTLE + Duration::from_millis(1)), Event::Tell(contact));
        }
    }

    fn settle(&mut self, contact: u64) {
        let Some(talk) = self.talks.get_mut(&contact) else { return };
        talk.settled = true;
        let (peer, pieces) = (talk.peer, talk.claimed.unwrap_or_default());
        self.see(contact, peer, pieces, true, true);
        self.visitor.met(self.now, contact, Meeting::Settled);
    }

    fn tell(&mut self, contact: u64) {
        let now = self.elapsed();
        let Some((talk, peer)) = self.talks.get(&contact).zip(self.peer_of(contact)) else { return };
        let (number, told) = (talk.peer, talk.told);
        let reveals = peer.profile.role == Role::SuperSeeder;
        let leaves = peer.leaves.is_some_and(|leaves| leaves <= now);
        let every = match peer.profile.client.tells {
            _ if reveals => HAVE_RESOLUTION,
            Tells::AtOnce => HAVE_RESOLUTION,
            // What would be in the next batch is lost with a peer that leaves before it.
            Tells::InBatches(batch) if !leaves => batch,
            Tells::InBatches(_) | Tells::OnHandshake => return,
        };
        if !talk.settled {
            return;
        }
        let complete = peer.schedule.piece_count();
        let pieces = if reveals { (told + 1).min(complete) } else { peer.schedule.count_at(now) };
        if pieces > told {
            if let Some(talk) = self.talks.get_mut(&contact) {
                talk.told = pieces;
            }
            self.see(contact, number, pieces, false, true);
        }
        if pieces < complete {
            self.push(now + every, Event::Tell(contact));
        }
    }

    /// An observation reaches the schedule and the log.
    fn see(&mut self, contact: u64, peer: usize, pieces: u32, opening: bool, settled: bool) {
        let Some((plan, known)) = self.plan.peers.get(peer).zip(self.known.get_mut(peer)) else { return };
        let piece_count = plan.schedule.piece_count();
        let above = pieces >= threshold_pieces(piece_count);
        known.above_later |= above && known.below;
        known.below |= !above && settled;
        known.believed |= opening && pieces > 0;
        let seen = Meeting::Seen { pieces, piece_count, claimed: opening && pieces > 0, opening, settled };
        self.visitor.met(self.now, contact, seen);
    }
}
