//! Who is contacted when, which contact is kept open and which is closed: a state machine without IO.
//!
//! ```text
//! add ─▶ Queued ─ a place, and the address rested ─▶ Busy ─ contact ended ─▶ Waiting ─ due ─▶ Queued …
//! ```
//! Leechers are held, as one that leaves on finishing is seen to finish only on an open connection; clients that tell
//! nothing on one are visited instead, the oftener the nearer they are to the threshold.

mod arrival;
mod client;
mod follow_up;
mod habit;
mod ladder;
mod limit;
mod open;
mod pace;
mod plan;
mod queue;
mod terms;
#[cfg(test)]
mod tests;
mod worth;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use self::{
    client::Clients,
    ladder::Ladder,
    limit::Limits,
    open::{Held, Open},
    pace::{Rate, Spacing},
    plan::{Class, Plan, Stage, Tick},
    worth::Worth,
};
pub use self::{
    client::{KEEP_ALIVE, Program, keep_alive_by_table},
    habit::Habit,
    ladder::{Offer, Rung, Rungs},
    limit::Limit,
    pace::SPACING,
    plan::THRESHOLD_PERCENT,
    terms::{Action, ContactNumbers, Origin, Pacing, ScheduleCounts, Seen, Why},
};
use wire::peer::pex::Flags as Hints;

use crate::{
    registry::{PeerKey, Registry},
    swarm::SwarmId,
};

/// A complete peer is looked at again after this time at the earliest.
pub const COMPLETE_REVISIT: Duration = Duration::from_mins(30);
/// While all places are taken, the least useful contact is looked for this often.
const FULL_RECHECK: Duration = Duration::from_millis(500);

/// Decides who is contacted when.
pub struct Schedule {
    pacing: Pacing,
    start: Instant,
    plans: Vec<Plan>,
    /// Peers by the time they are due; void where the plan has another time.
    waiting: BinaryHeap<Reverse<(Tick, PeerKey)>>,
    waiting_count: u64,
    /// Peers that are due, by class; void where the plan has another class or stage.
    queues: [VecDeque<PeerKey>; Class::ALL.len()],
    queued: usize,
    worth: Worth,
    clients: Clients,
    /// Pieces of each swarm's torrent, once known.
    piece_counts: Vec<Option<u32>>,
    open: HashMap<u64, Open>,
    /// Outgoing contacts in `open`.
    out: usize,
    /// Outgoing contacts in `open` that were told to close.
    closing: usize,
    held: Held,
    reviews: BinaryHeap<Reverse<(Instant, u64)>>,
    /// Open incoming contacts by address, with the hash of their peer ID.
    incoming: HashMap<(SwarmId, IpAddr), Vec<(u64, u32)>>,
    ladder: Ladder,
    rate: Rate,
    spacing: Spacing,
    limits: Limits,
    random: u64,
    next_contact: ContactNumbers,
    counts: ScheduleCounts,
}

impl Schedule {
    /// An empty schedule; `seed` decides the jitter of delays.
    pub fn new(now: Instant, pacing: Pacing, numbers: ContactNumbers, seed: u64) -> Self {
        Self {
            pacing,
            start: now,
            plans: Vec::new(),
            waiting: BinaryHeap::new(),
            waiting_count: 0,
            queues: Default::default(),
            queued: 0,
            worth: Worth::default(),
            clients: Clients::default(),
            piece_counts: Vec::new(),
            open: HashMap::new(),
            out: 0,
            closing: 0,
            held: Held::default(),
            reviews: BinaryHeap::new(),
            incoming: HashMap::new(),
            ladder: Ladder::new(pacing.rungs, seed.rotate_left(32)),
            rate: Rate::new(now, pacing.per_second),
            spacing: Spacing::default(),
            limits: Limits::new(pacing.ip, pacing.network),
            random: seed,
            next_contact: numbers,
            counts: ScheduleCounts::default(),
        }
    }

    /// Takes a peer the registry has just met; it is due at once.
    pub fn add(&mut self, now: Instant, peer: PeerKey, origin: Origin) {
        self.grow(peer);
        let Some(plan) = self.plans.get(peer.index()).filter(|plan| plan.stage == Stage::Idle) else {
            return;
        };
        let class = match origin {
            // A seeder, if it is one, does not run away by finishing.
            _ if plan.hints.has(Hints::SEED) => Class::Seed,
            Origin::Dht => Class::Dht,
            Origin::Other => Class::Named,
            Origin::Tracker => Class::Tracker,
        };
        self.wait(peer, class, now);
    }

    /// Takes what another peer said of one (BEP 11), to be told before [`Self::add`]: hearsay, so that it decides the
    /// order of what is tried, and nothing else.
    pub fn hinted(&mut self, peer: PeerKey, hints: Hints) {
        self.grow(peer);
        if let Some(plan) = self.plans.get_mut(peer.index()) {
            plan.hints = plan.hints.with(hints);
        }
    }

    /// Everything that others said of a peer.
    pub fn hints(&self, peer: PeerKey) -> Hints {
        self.plans.get(peer.index()).map(|plan| plan.hints).unwrap_or_default()
    }

    /// Takes a peer that must not be contacted.
    pub fn block(&mut self, peer: PeerKey) {
        self.grow(peer);
        self.leave_waiting(peer);
        if let Some(plan) = self.plans.get_mut(peer.index()) {
            plan.stage = Stage::Blocked;
        }
    }

    /// The next thing to do at `now`, if any; to be asked again until there is none.
    pub fn next(&mut self, now: Instant, registry: &Registry) -> Option<Action> {
        self.queue_due(now, registry);
        if let Some(action) = self.review_due(now) {
            return Some(action);
        }
        while self.queued > 0 && self.rate.is_ready(now) {
            if self.out >= self.pacing.max_out {
                return self.release(now);
            }
            let peer = self.take_queued()?;
            let Some(place) = registry.peer(peer) else { continue };
            match self.deferred_until(now, peer, place.swarm, place.ip) {
                Some(at) => self.wait_as_before(peer, at),
                None => return self.dial(now, peer, place.swarm, place.ip, None),
            }
        }
        None
    }

    /// When [`Self::next`] is to be asked again at the latest, if nothing happens before.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        let waiting = self.waiting.peek().map(|Reverse((due, _))| self.start + due.elapsed());
        let review = self.reviews.peek().map(|Reverse((at, _))| *at);
        let queued = (self.queued > 0)
            .then(|| if self.out >= self.pacing.max_out { now + FULL_RECHECK } else { self.rate.ready_at() });
        [waiting, review, queued].into_iter().flatten().min()
    }

    /// The swarm of an open contact.
    pub fn swarm_of(&self, contact: u64) -> Option<SwarmId> {
        self.open.get(&contact).map(|open| open.swarm)
    }

    /// Contacts without a handshake yet, outgoing ones.
    pub fn opening(&self) -> u64 {
        self.open.values().filter(|open| !open.handshake).count() as u64
    }

    /// Contacts with a handshake, of both directions.
    pub fn open(&self) -> u64 {
        self.open.values().filter(|open| open.handshake).count() as u64
    }

    /// Peers that are due and wait for a place.
    pub fn due(&self) -> u64 {
        self.queued as u64
    }

    /// Peers that are due later.
    pub fn waiting(&self) -> u64 {
        self.waiting_count
    }

    /// Counters so far.
    pub fn counts(&self) -> ScheduleCounts {
        self.counts
    }

    /// When a peer that is due may be dialled; `None` for now.
    fn deferred_until(&mut self, now: Instant, peer: PeerKey, swarm: SwarmId, ip: IpAddr) -> Option<Instant> {
        if let Some(at) = self.spacing.allowed_at(now, swarm, ip) {
            return Some(at);
        }
        self.deferred_for_twin(now, peer, swarm, ip).or_else(|| self.limits.allowed_at(now, ip))
    }

    fn dial(
        &mut self,
        now: Instant,
        peer: PeerKey,
        swarm: SwarmId,
        ip: IpAddr,
        rung: Option<Rung>,
    ) -> Option<Action> {
        let plan = self.plans.get_mut(peer.index())?;
        plan.stage = Stage::Busy;
        plan.attempts = plan.attempts.saturating_add(1);
        let attempt = plan.attempts.into();
        let contact = self.next_contact.next();
        let rung = rung.unwrap_or_else(|| self.ladder.rung(plan.ways, plan.hints));
        let mut open = Open::new(swarm, ip, Some(peer), rung, true);
        open.second_to = self.incoming.get(&(swarm, ip)).and_then(|here| {
            let &(first, id) = here.first()?;
            Some((self.open.get(&first)?.client, id))
        });
        self.open.insert(contact, open);
        if self.piece_counts.len() <= swarm.index() {
            self.piece_counts.resize(swarm.index() + 1, None);
        }
        self.out += 1;
        self.counts.contacts_started += 1;
        self.rate.take();
        self.spacing.note(now, swarm, ip);
        self.limits.begin(now, ip);
        Some(Action::Dial { contact, peer, attempt, rung })
    }

    /// Frees a place for a peer that is due, where a contact is held that is of less use.
    fn release(&mut self, now: Instant) -> Option<Action> {
        let at_once = self.pacing.max_out / 20 + 1;
        if self.closing >= self.queued.min(at_once) || !self.is_worth_a_place() {
            return None;
        }
        let tick = self.tick(now);
        let (open, plans) = (&self.open, &self.plans);
        let contact = self.held.least_useful(&mut self.random, |contact| {
            let open = open.get(&contact)?;
            let plan = plans.get(open.peer?.index())?;
            open.uselessness(tick, plan)
        })?;
        Some(self.close(contact, Why::Limit))
    }

    fn close(&mut self, contact: u64, why: Why) -> Action {
        if let Some(open) = self.open.get_mut(&contact) {
            open.closing = Some(why);
            self.closing += usize::from(open.outgoing);
        }
        Action::Close { contact, why }
    }

    /// Whether another contact would cost nobody his own.
    fn has_spare(&mut self, now: Instant) -> bool {
        self.queued == 0 && self.out < self.pacing.max_out && self.rate.is_ready(now)
    }

    fn review_due(&mut self, now: Instant) -> Option<Action> {
        let has_spare = self.has_spare(now);
        while let Some(&Reverse((at, contact))) = self.reviews.peek() {
            if at > now {
                return None;
            }
            self.reviews.pop();
            let Some(open) = self.open.get_mut(&contact) else { continue };
            if open.review_at != Some(at) {
                continue;
            }
            open.review_at = None;
            let tick = Tick::at(now.saturating_duration_since(self.start));
            let plan = open.peer.and_then(|peer| self.plans.get_mut(peer.index()));
            match open.review(now, tick, plan, &self.pacing, has_spare) {
                Some(at) => self.review_at(contact, at),
                None => return Some(self.close(contact, Why::Done)),
            }
        }
        None
    }

    /// Looks at a contact again at `at`, or before if that was planned.
    fn review_at(&mut self, contact: u64, at: Instant) {
        let Some(open) = self.open.get_mut(&contact) else { return };
        if open.closing.is_some() || open.review_at.is_some_and(|planned| planned <= at) {
            return;
        }
        open.review_at = Some(at);
        self.reviews.push(Reverse((at, contact)));
    }

    fn tick(&self, now: Instant) -> Tick {
        Tick::at(now.saturating_duration_since(self.start))
    }
}

/// The next of a sequence of random-looking numbers (`SplitMix64`).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
