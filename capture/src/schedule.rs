//! Who is contacted when, which contact is kept open and which is closed: a state machine without IO.
//!
//! ```text
//! add ─▶ Queued ─ a place, and the address rested ─▶ Busy ─ contact ended ─▶ Waiting ─ due ─▶ Queued …
//! ```
//! Leechers are held, as one that leaves on finishing is seen to finish only on an open connection; clients that tell
//! nothing on one are visited instead, the oftener the nearer they are to the threshold.

mod client;
mod follow_up;
mod habit;
mod ladder;
mod limit;
mod open;
mod pace;
mod plan;
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
    plan::{Class, Flags, Plan, Stage, Tick},
    worth::Worth,
};
pub use self::{
    client::{KEEP_ALIVE, Program, keep_alive_by_table},
    habit::Habit,
    ladder::{Rung, Rungs},
    limit::Limit,
    pace::SPACING,
    plan::THRESHOLD_PERCENT,
};
use wire::peer::pex::Flags as Hints;

use crate::{
    registry::{PeerKey, Registry},
    swarm::SwarmId,
};

/// A complete peer is looked at again after this time at the earliest.
pub const COMPLETE_REVISIT: Duration = Duration::from_mins(30);
/// A peer whose address has an unidentified incoming connection open is looked at again after this time.
const TWIN_DEFERRAL: Duration = Duration::from_secs(10);
/// While all places are taken, the least useful contact is looked for this often.
const FULL_RECHECK: Duration = Duration::from_millis(500);
/// Lists that grow with the peers known grow by this part of themselves, as doubling would waste as much as is used.
const GROWTH: usize = 32;

/// Limits and habits of the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Outgoing contacts open at once.
    pub max_out: usize,
    /// Contacts begun per second.
    pub per_second: u32,
    /// Longest time a contact is held.
    pub hold: Duration,
    /// Longest time between visits to a peer that is still downloading.
    pub revisit: Duration,
    /// The ways that may be tried.
    pub rungs: Rungs,
    /// What one address gets.
    pub ip: Limit,
    /// What one network gets.
    pub network: Limit,
}

/// Who named a peer, as far as it says how likely the peer is to be there and to download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A DHT node.
    Dht,
    /// A peer, a magnet, the peer itself.
    Other,
    /// A tracker.
    Tracker,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close this contact.
    Close {
        /// Its number.
        contact: u64,
        /// As its row will tell.
        why: Why,
    },
    /// Contact this peer.
    Dial {
        /// Number of the new contact.
        contact: u64,
        /// The peer.
        peer: PeerKey,
        /// How often it was contacted, this time included.
        attempt: u32,
        /// The way to it.
        rung: Rung,
    },
}

/// Why we close a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// We had what we came for.
    Done,
    /// Its place is needed for another.
    Limit,
}

/// What an observation means to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Seen {
    /// Whether it is a claim of pieces, rather than HAVEs or nothing.
    pub claimed: bool,
    /// Whether the peer has all pieces.
    pub complete: bool,
    /// Whether it stands for the opening burst.
    pub opening: bool,
    /// Pieces of the torrent, where known.
    pub piece_count: Option<u32>,
    /// Pieces of the peer, where known.
    pub pieces: Option<u32>,
    /// Whether it tells at most as well as at least.
    pub settled: bool,
}

/// Figures of the scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleCounts {
    /// Outgoing contacts begun.
    pub contacts_started: u64,
    /// First outgoing contacts with a handshake.
    pub first_ok: u64,
    /// First outgoing contacts without one.
    pub first_failed: u64,
    /// Later outgoing contacts with a handshake.
    pub later_ok: u64,
    /// Later outgoing contacts without one.
    pub later_failed: u64,
    /// Peers seen below the threshold and later at or above it.
    pub crossings: u64,
    /// Peers last seen at or above the threshold.
    pub complete: u64,
}

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

/// Numbers contacts within the run, over both directions.
#[derive(Clone, Debug, Default)]
pub struct ContactNumbers(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl ContactNumbers {
    /// A number that was not given before; the first is 1.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    }
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

    /// Takes an incoming contact, as soon as its handshake told the swarm.
    pub fn incoming(&mut self, contact: u64, swarm: SwarmId, ip: IpAddr, peer_id: &[u8; 20], rung: Rung) {
        let id = hash_id(peer_id);
        self.incoming.entry((swarm, ip)).or_default().push((contact, id));
        self.open.insert(contact, Open::new(swarm, ip, None, rung, false));
    }

    /// Says which peer an incoming contact comes from; false if that peer is in contact with us already.
    pub fn attach(&mut self, contact: u64, peer: PeerKey) -> bool {
        self.grow(peer);
        let (Some(open), Some(plan)) = (self.open.get_mut(&contact), self.plans.get_mut(peer.index())) else {
            return false;
        };
        if open.peer.is_some() || plan.stage == Stage::Busy {
            return false;
        }
        open.peer = Some(peer);
        plan.ways.came_by(open.rung);
        if plan.stage != Stage::Blocked {
            self.leave_waiting(peer);
            if let Some(plan) = self.plans.get_mut(peer.index()) {
                plan.stage = Stage::Busy;
            }
        }
        true
    }

    /// Whether a peer was dialled, and never reached so far.
    pub fn is_unreached(&self, peer: PeerKey) -> bool {
        self.plans.get(peer.index()).is_some_and(|plan| {
            let is_free = matches!(plan.stage, Stage::Queued | Stage::Waiting);
            is_free && plan.attempts > 0 && !plan.flags.has(Flags::REACHED)
        })
    }

    /// The peer connects to us over uTP now, and can be reached by that alone: it is dialled at once, or not at all.
    pub fn introduced(&mut self, now: Instant, peer: PeerKey, registry: &Registry) -> Option<Action> {
        self.grow(peer);
        let place = registry.peer(peer)?;
        let stage = self.plans.get(peer.index())?.stage;
        let is_free = self.out < self.pacing.max_out && self.rate.is_ready(now);
        let may_be =
            self.pacing.rungs.has(Rung::PLAIN_UTP) && self.limits.allowed_at(now, place.ip).is_none();
        if matches!(stage, Stage::Busy | Stage::Blocked) || !is_free || !may_be {
            return None;
        }
        self.leave_waiting(peer);
        self.dial(now, peer, place.swarm, place.ip, Some(Rung::PLAIN_UTP))
    }

    /// The swarm of an open contact.
    pub fn swarm_of(&self, contact: u64) -> Option<SwarmId> {
        self.open.get(&contact).map(|open| open.swarm)
    }

    /// The peer's handshake came.
    pub fn handshake(&mut self, contact: u64, peer_id: &[u8; 20]) {
        let Some(open) = self.open.get_mut(&contact) else { return };
        open.handshake = true;
        open.client = self.clients.id_of(peer_id);
        open.habit = self.clients.habit(open.client, Habit::of(peer_id, None));
        let id = hash_id(peer_id);
        if let Some((client, _)) = open.second_to.take_if(|(_, first)| *first == id) {
            self.clients.second_connection(client, true);
        }
        if let Some(plan) = open.peer.and_then(|peer| self.plans.get_mut(peer.index())) {
            plan.peer_id = id;
            plan.client = open.client;
            plan.ways.client(peer_id);
            if open.outgoing {
                plan.flags.set(Flags::REACHED, true);
            }
        }
    }

    /// The peer's extended handshake came.
    pub fn extended(&mut self, contact: u64, habit: Habit, upload_only: bool) {
        let Some(open) = self.open.get_mut(&contact) else { return };
        if habit != Habit::Unknown {
            open.habit = self.clients.habit(open.client, habit);
        }
        if let Some(plan) = open.peer.and_then(|peer| self.plans.get_mut(peer.index())) {
            plan.flags.set(Flags::UPLOAD_ONLY, upload_only);
        }
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

    /// When a peer may be dialled that is, or may be, connected to us by itself.
    fn deferred_for_twin(
        &mut self,
        now: Instant,
        peer: PeerKey,
        swarm: SwarmId,
        ip: IpAddr,
    ) -> Option<Instant> {
        let twins = self.incoming.get(&(swarm, ip))?;
        let plan = self.plans.get_mut(peer.index())?;
        // A client that came to us refuses our connection. It is this peer if the peer ID is the same; before the
        // first contact the ID is not known, and the peer waits a while for the other side to tell its port.
        let is_twin = twins.iter().any(|&(_, id)| id == plan.peer_id);
        let refuses = |contact: &u64| {
            let client = self.open.get(contact).map(|open| open.client).unwrap_or_default();
            !self.clients.accepts_second(client)
        };
        let may_be_twin = plan.peer_id == 0
            && plan.deferrals < plan::DEFERRALS_MAX
            && twins.iter().any(|(contact, _)| refuses(contact));
        if is_twin || may_be_twin {
            plan.deferrals = plan.deferrals.saturating_add(1);
            return Some(now + TWIN_DEFERRAL);
        }
        None
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

    fn queue_due(&mut self, now: Instant, registry: &Registry) {
        let tick = self.tick(now);
        while let Some(&Reverse((due, peer))) = self.waiting.peek() {
            if self.start + due.elapsed() > now {
                return;
            }
            self.waiting.pop();
            let piece_count = registry
                .peer(peer)
                .and_then(|place| self.piece_counts.get(place.swarm.index()).copied().flatten());
            let Some(plan) = self.plans.get_mut(peer.index()) else { continue };
            if plan.due != due {
                continue;
            }
            match plan.stage {
                Stage::Waiting => {
                    plan.stage = Stage::Queued;
                    self.waiting_count -= 1;
                    self.queued += 1;
                }
                Stage::Queued if plan.class == Class::Revisit => {}
                Stage::Blocked | Stage::Busy | Stage::Idle | Stage::Queued => continue,
            }
            if plan.class == Class::Revisit {
                if plan.should_have_crossed(tick, piece_count) {
                    plan.class = Class::Crossed;
                } else if let Some(eta) = plan.eta(tick, piece_count).filter(|eta| !eta.is_zero()) {
                    // If it is not served until then, it is worth more.
                    plan.due = Tick::at(now.saturating_duration_since(self.start) + eta).max(Tick(due.0 + 1));
                    self.waiting.push(Reverse((plan.due, peer)));
                }
            }
            if let Some(queue) = self.queues.get_mut(plan.class as usize) {
                if queue.len() == queue.capacity() {
                    queue.reserve_exact(64 + queue.len() / GROWTH);
                }
                queue.push_back(peer);
            }
        }
    }

    fn take_queued(&mut self) -> Option<PeerKey> {
        loop {
            let queues = &self.queues;
            let waits = |class: Class| queues.get(class as usize).is_some_and(|queue| !queue.is_empty());
            let class = self.worth.choose(waits)?;
            let peer = self.queues.get_mut(class as usize)?.pop_front()?;
            // A peer that came to us meanwhile, was found to be ourselves, or changed its class, is not queued here.
            let is_queued = |plan: &Plan| plan.stage == Stage::Queued && plan.class == class;
            if self.plans.get(peer.index()).is_some_and(is_queued) {
                self.queued -= 1;
                return Some(peer);
            }
        }
    }

    /// Whether somebody waits for whom a held contact may be given up.
    fn is_worth_a_place(&self) -> bool {
        let worthy = |class: &Class| !matches!(class, Class::Complete | Class::Retry | Class::Seed);
        let waits = |class: Class| self.queues.get(class as usize).is_some_and(|queue| !queue.is_empty());
        Class::ALL.into_iter().filter(worthy).any(waits)
    }

    fn wait(&mut self, peer: PeerKey, class: Class, until: Instant) {
        let due = Tick::at(until.saturating_duration_since(self.start));
        let Some(plan) = self.plans.get_mut(peer.index()) else { return };
        if plan.stage == Stage::Blocked {
            return;
        }
        plan.class = class;
        plan.stage = Stage::Waiting;
        plan.due = due;
        self.waiting_count += 1;
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.reserve_exact(64 + self.waiting.len() / GROWTH);
        }
        self.waiting.push(Reverse((due, peer)));
    }

    fn wait_as_before(&mut self, peer: PeerKey, until: Instant) {
        let class = self.plans.get(peer.index()).map(|plan| plan.class).unwrap_or_default();
        self.wait(peer, class, until);
    }

    /// A peer that waits or is due leaves the round.
    fn leave_waiting(&mut self, peer: PeerKey) {
        match self.plans.get(peer.index()).map(|plan| plan.stage) {
            Some(Stage::Waiting) => self.waiting_count -= 1,
            Some(Stage::Queued) => self.queued -= 1,
            _ => {}
        }
    }

    fn grow(&mut self, peer: PeerKey) {
        let len = peer.index() + 1;
        if self.plans.len() >= len {
            return;
        }
        if self.plans.capacity() < len {
            self.plans.reserve_exact(len - self.plans.len() + len / GROWTH);
        }
        self.plans.resize(len, Plan::default());
    }

    /// Bytes taken by what grows with the peers known.
    pub fn memory_bytes(&self) -> usize {
        let queues: usize = self.queues.iter().map(VecDeque::capacity).sum();
        self.plans.capacity() * size_of::<Plan>()
            + self.waiting.capacity() * size_of::<Reverse<(Tick, PeerKey)>>()
            + queues * size_of::<PeerKey>()
    }

    fn tick(&self, now: Instant) -> Tick {
        Tick::at(now.saturating_duration_since(self.start))
    }
}

/// A peer ID in four bytes; never 0.
fn hash_id(peer_id: &[u8; 20]) -> u32 {
    let fnv = peer_id
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    fnv.max(1)
}

/// The next of a sequence of random-looking numbers (`SplitMix64`).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
