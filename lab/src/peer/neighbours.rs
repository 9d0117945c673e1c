//! Who a peer is connected to, and what it tells of them (PEX, BEP 11).

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use wire::peer::pex::{Flags, UtPex};

/// A message is sent this often at most. BEP 11 says once a minute; a lab lives for no more than two.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// As often it is looked whether there is something to tell.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// The peers connected to one, by the address where they listen.
#[derive(Debug, Default)]
pub struct Neighbours(Mutex<BTreeMap<SocketAddr, Neighbour>>);

#[derive(Clone, Copy, Debug)]
struct Neighbour {
    flags: Flags,
    connections: u32,
}

/// A neighbour for as long as this lives.
#[derive(Debug)]
pub struct Presence<'a> {
    neighbours: &'a Neighbours,
    address: SocketAddr,
}

impl Neighbours {
    /// One more connection with the peer that listens there.
    pub fn came(&self, address: SocketAddr, flags: Flags) -> Presence<'_> {
        let mut known = self.lock();
        known.entry(address).or_insert(Neighbour { flags, connections: 0 }).connections += 1;
        Presence { neighbours: self, address }
    }

    fn now(&self) -> BTreeMap<SocketAddr, Flags> {
        self.lock().iter().map(|(address, neighbour)| (*address, neighbour.flags)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Neighbour>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        let mut known = self.neighbours.lock();
        if let Some(neighbour) = known.get_mut(&self.address) {
            neighbour.connections -= 1;
            if neighbour.connections == 0 {
                known.remove(&self.address);
            }
        }
    }
}

/// What one connection was told of the neighbours.
#[derive(Debug)]
pub struct Gossip {
    /// Where the other side takes it.
    pub to: u8,
    told: BTreeMap<SocketAddr, Flags>,
    next: Instant,
}

impl Gossip {
    /// Nothing so far; the first message goes out at once.
    pub const fn new(to: u8, now: Instant) -> Self {
        Self { to, told: BTreeMap::new(), next: now }
    }

    /// When to ask again.
    pub const fn wake(&self) -> Instant {
        self.next
    }

    /// What has changed since the last message, if it is time for one and there is something to tell.
    pub fn due(
        &mut self,
        now: Instant,
        neighbours: &Neighbours,
        listener: Option<SocketAddr>,
    ) -> Option<UtPex> {
        if now < self.next {
            return None;
        }
        let mut here = neighbours.now();
        here.retain(|address, _| Some(*address) != listener);
        let added = here.iter().filter(|(address, _)| !self.told.contains_key(address));
        let added = added.map(|(address, flags)| (*address, Some(*flags))).collect::<Vec<_>>();
        let dropped =
            self.told.keys().copied().filter(|address| !here.contains_key(address)).collect::<Vec<_>>();
        if added.is_empty() && dropped.is_empty() {
            self.next = now + LOOK_EVERY;
            return None;
        }
        (self.told, self.next) = (here, now + TELL_EVERY);
        Some(UtPex { added, dropped, left_out: 0 })
    }
}
