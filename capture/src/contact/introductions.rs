//! Introductions (BEP 55): a peer that we cannot reach, behind a NAT, is asked for through one that is connected to it.
//!
//! ```text
//! ut_pex names T with the holepunch flag ─▶ named ─ a dial of T fails ─▶ unreached ─▶ the contact that named it
//!     asks its peer ─▶ `connect` ─▶ What::Introduced ─▶ the scheduler dials T over uTP at once
//! ```
//! Bounded: peers named, questions a contact asks and introductions it may make; a peer is asked for once in a while.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::swarm::SwarmId;

/// Peers that are named and not reached, over all contacts.
const NAMED_MAX: usize = 10_000;
/// Of these, those of one contact.
const OF_CONTACT_MAX: usize = 50;
/// A peer is asked for this often at most, whoever could introduce it.
const ASK_FOR_EVERY: Duration = Duration::from_mins(10);
/// A contact looks for peers to ask for this often, and so asks for no more than one in this time.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The other peer is told the address that the one asked sees us at, which over a TCP connection of ours has another port
/// than uTP: a NAT that heeds ports will not let us in. Such a contact waits this long for a better one to ask.
const PATIENCE: Duration = Duration::from_secs(30);
/// A contact looks so soon after it named some: it may not be open for long.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// For this long after it named any; until then they were dialled.
const LOOK_FOR: Duration = Duration::from_mins(2);
/// Peers a contact is asked for in all.
const ASKED_MAX: u32 = 40;
/// Introductions taken of a contact in all.
const INTRODUCED_MAX: u32 = 64;

/// A peer that someone can introduce.
#[derive(Debug, Default)]
struct Named {
    failed: bool,
    asked_at: Option<Instant>,
    /// The contacts that named it and may still be asked.
    by: Vec<u64>,
}

/// Peers of a run that someone can introduce and that were not reached.
#[derive(Debug, Default)]
pub struct Introductions(Mutex<HashMap<(SwarmId, SocketAddr), Named>>);

impl Introductions {
    /// A dial of `peer` found nobody.
    pub fn failed(&self, swarm: SwarmId, peer: SocketAddr) {
        if let Some(named) = self.lock().get_mut(&(swarm, peer)) {
            named.failed = true;
        }
    }

    /// `peer` was reached; it needs no introduction.
    pub fn reached(&self, swarm: SwarmId, peer: SocketAddr) {
        self.lock().remove(&(swarm, peer));
    }

    fn name(&self, contact: u64, swarm: SwarmId, peer: SocketAddr) {
        let mut named = self.lock();
        let has_room = named.len() < NAMED_MAX;
        match named.entry((swarm, peer)) {
            Entry::Occupied(named) => named.into_mut().by.push(contact),
            Entry::Vacant(place) if has_room => place.insert(Named::default()).by.push(contact),
            Entry::Vacant(_) => {}
        }
    }

    /// One of `peers` to be asked for now; forgets those that were reached.
    fn due(&self, now: Instant, swarm: SwarmId, peers: &mut Vec<SocketAddr>) -> Option<SocketAddr> {
        let mut named = self.lock();
        peers.retain(|peer| named.contains_key(&(swarm, *peer)));
        peers.iter().copied().find(|peer| {
            let Some(named) = named.get_mut(&(swarm, *peer)) else { return false };
            let rested = named.asked_at.is_none_or(|at| now >= at + ASK_FOR_EVERY);
            let due = named.failed && rested;
            if due {
                named.asked_at = Some(now);
            }
            due
        })
    }

    /// A contact introduces nobody any more; whom no other one named is forgotten.
    fn forget(&self, contact: u64, swarm: SwarmId, peers: &[SocketAddr]) {
        let mut named = self.lock();
        for peer in peers {
            let Entry::Occupied(mut entry) = named.entry((swarm, *peer)) else { continue };
            entry.get_mut().by.retain(|other| *other != contact);
            if entry.get().by.is_empty() {
                entry.remove();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(SwarmId, SocketAddr), Named>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one contact can introduce and has introduced.
#[derive(Debug)]
pub(super) struct Broker {
    contact: u64,
    swarm: SwarmId,
    peers: Vec<SocketAddr>,
    /// When it may ask at first.
    asks_from: Instant,
    look_at: Instant,
    look_until: Instant,
    asked: u32,
    introduced: u32,
}

impl Broker {
    /// `seen_at_port`: whether the peer sees us at the port of our uTP.
    pub(super) fn new(now: Instant, contact: u64, swarm: SwarmId, seen_at_port: bool) -> Self {
        let asks_from = if seen_at_port { now } else { now + PATIENCE };
        Self {
            contact,
            swarm,
            peers: Vec::new(),
            asks_from,
            look_at: asks_from,
            look_until: now,
            asked: 0,
            introduced: 0,
        }
    }

    /// The contact named peers that it can introduce.
    pub(super) fn named(
        &mut self,
        now: Instant,
        peers: impl Iterator<Item = SocketAddr>,
        shared: &Introductions,
    ) {
        for peer in peers {
            if self.peers.len() < OF_CONTACT_MAX && !self.peers.contains(&peer) {
                self.peers.push(peer);
                shared.name(self.contact, self.swarm, peer);
                self.look_at = self.asks_from.max(now + LOOK_SOON);
            }
        }
        self.look_until = now + LOOK_FOR;
    }

    /// A peer to ask for at `now`.
    pub(super) fn due(&mut self, now: Instant, shared: &Introductions) -> Option<SocketAddr> {
        if now < self.look_at || self.asked >= ASKED_MAX || self.peers.is_empty() {
            return None;
        }
        if now >= self.look_until {
            shared.forget(self.contact, self.swarm, &self.peers);
            self.peers = Vec::new();
            return None;
        }
        self.look_at = now + LOOK_EVERY;
        let due = shared.due(now, self.swarm, &mut self.peers);
        self.asked += u32::from(due.is_some());
        due
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.peers.is_empty() && self.asked < ASKED_MAX).then_some(self.look_at)
    }

    /// Whether one more introduction is taken.
    pub(super) fn may_introduce(&mut self) -> bool {
        self.introduced = self.introduced.saturating_add(1);
        self.introduced <= INTRODUCED_MAX
    }

    /// Nobody can be introduced by the contact any more.
    pub(super) fn end(&mut self, shared: &Introductions) {
        shared.forget(self.contact, self.swarm, &self.peers);
        self.peers = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const SWARM: SwarmId = SwarmId(3);

    fn peer(port: u16) -> SocketAddr {
        ([10, 0, 0, 1], port).into()
    }

    #[test]
    fn who_was_named_and_not_reached_is_asked_for_once_in_a_while() {
        let (shared, start) = (Introductions::default(), Clock::start().instant().into_std());
        let mut broker = Broker::new(start, 1, SWARM, true);
        assert_eq!((broker.due(start, &shared), broker.deadline()), (None, None));
        shared.failed(SWARM, peer(1));
        broker.named(start, (1..=3).map(peer), &shared);
        assert_eq!(broker.deadline(), Some(start + LOOK_SOON));
        let start = start + LOOK_SOON;
        assert_eq!(broker.due(start, &shared), None, "it was not known to be of interest when it failed");
        shared.failed(SWARM, peer(1));
        shared.failed(SWARM, peer(2));
        shared.reached(SWARM, peer(2));
        assert_eq!(broker.due(start, &shared), None, "it has just looked");
        let later = start + LOOK_EVERY;
        assert_eq!(broker.deadline(), Some(later));
        assert_eq!(broker.due(later, &shared), Some(peer(1)));
        assert_eq!(broker.peers, [peer(1), peer(3)]);
        let mut other = Broker::new(later, 2, SWARM, true);
        other.named(later, (1..=3).map(peer), &shared);
        assert_eq!(other.due(later + LOOK_SOON, &shared), None, "it was asked for");
        assert_eq!(broker.due(start + LOOK_FOR, &shared), None);
        assert_eq!(broker.deadline(), None);
        assert_eq!(shared.lock().len(), 3, "what another still waits for");
        other.end(&shared);
        assert!(shared.lock().is_empty());
        let mut patient = Broker::new(start, 3, SWARM, false);
        patient.named(start, [peer(1)].into_iter(), &shared);
        shared.failed(SWARM, peer(1));
        assert_eq!(patient.due(later, &shared), None);
        assert_eq!(patient.due(start + PATIENCE, &shared), Some(peer(1)));
    }

    #[test]
    fn who_was_named_by_two_is_asked_for_though_one_of_them_ends() {
        let (shared, start) = (Introductions::default(), Clock::start().instant().into_std());
        let [mut visited, mut held] = [1, 2].map(|contact| Broker::new(start, contact, SWARM, true));
        visited.named(start, [peer(1)].into_iter(), &shared);
        held.named(start, [peer(1)].into_iter(), &shared);
        visited.end(&shared);
        shared.failed(SWARM, peer(1));
        assert_eq!(held.due(start + LOOK_SOON, &shared), Some(peer(1)));
        // What was reached meanwhile, and named anew by another, is that one's.
        let mut third = Broker::new(start, 3, SWARM, true);
        shared.reached(SWARM, peer(1));
        third.named(start, [peer(1)].into_iter(), &shared);
        held.end(&shared);
        assert_eq!(shared.lock().len(), 1);
        third.end(&shared);
        assert!(shared.lock().is_empty());
    }

    #[test]
    fn floods_find_an_end() {
        let (shared, start) = (Introductions::default(), Clock::start().instant().into_std());
        let mut asked = 0;
        let mut broker = Broker::new(start, 1, SWARM, true);
        for round in 0..1000_u16 {
            let before = start + LOOK_EVERY * u32::from(round);
            let now = before + LOOK_EVERY;
            broker.named(before, (0..100).map(|n| peer(round.wrapping_mul(100).wrapping_add(n))), &shared);
            broker.peers.iter().for_each(|&peer| shared.failed(SWARM, peer));
            asked += u32::from(broker.due(now, &shared).is_some());
            assert!(broker.peers.len() <= OF_CONTACT_MAX);
        }
        assert_eq!(asked, ASKED_MAX);
        assert_eq!((0..1000).filter(|_| broker.may_introduce()).count(), INTRODUCED_MAX as usize);
        for port in 0..=u16::MAX {
            shared.name(1, SWARM, peer(port));
        }
        assert_eq!(shared.lock().len(), NAMED_MAX);
    }
}
