//! A peer of the lab: it joins on schedule, listens, connects, talks, and goes.
//!
//! `life` (join … leave) → `connection` (who is let in, handshakes; `stream` obfuscates, over TCP or `utp`) → `session`
//! (messages) or `hostile`. `neighbours` are those it is connected to, of whom it tells the others.

pub mod connection;
pub mod hostile;
pub mod life;
pub mod neighbours;
pub mod session;
pub mod stream;
pub mod utp;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::{InfoHash, PeerId, peer::handshake::Reserved};

use self::{neighbours::Neighbours, utp::UtpSocket};
use crate::{
    plan::{PeerPlan, torrent::Torrent},
    profile::SecondConnection,
    swarm::World,
};

/// A peer that has joined.
#[derive(Debug)]
pub struct Peer {
    /// What it is to do.
    pub plan: PeerPlan,
    /// Its swarm's torrent.
    pub torrent: Arc<Torrent>,
    /// The lab around it.
    pub world: Arc<World>,
    /// Where it listens, or says it does.
    pub address: SocketAddr,
    /// Cancelled when it goes.
    pub gone: CancellationToken,
    /// Who is connected to it, as far as they said where they listen.
    pub neighbours: Neighbours,
    /// Its uTP socket, if it speaks that.
    pub utp: Option<Arc<UtpSocket>>,
    connections: Mutex<HashMap<IpAddr, Connections>>,
}

/// Connections with one IP address, in either direction.
#[derive(Clone, Copy, Debug, Default)]
struct Connections {
    open: u32,
    accepted: u32,
    last_closed: Option<Instant>,
}

impl Peer {
    /// A peer that listens at this address, or says it does.
    pub fn new(plan: PeerPlan, torrent: Arc<Torrent>, world: Arc<World>, address: SocketAddr) -> Self {
        let gone = world.end.child_token();
        let neighbours = Neighbours::default();
        Self { plan, torrent, world, address, gone, neighbours, utp: None, connections: Mutex::default() }
    }

    /// The swarm's info-hash.
    pub fn info_hash(&self) -> InfoHash {
        InfoHash(self.torrent.info_hash)
    }

    /// What the peer calls itself.
    pub fn peer_id(&self) -> PeerId {
        PeerId(self.plan.peer_id)
    }

    /// The abilities its handshake shows.
    pub fn reserved(&self) -> Reserved {
        let client = self.plan.profile.client;
        let fast = if client.fast { Reserved::FAST } else { 0 };
        let extension = if client.version.is_some() { Reserved::EXTENSION } else { 0 };
        Reserved(fast | extension)
    }

    /// Pieces the peer has; after its time, those it left with.
    pub fn pieces(&self, now: Instant) -> u32 {
        let elapsed = self.world.elapsed(now);
        self.plan.schedule.count_at(self.plan.leaves.map_or(elapsed, |leaves| elapsed.min(leaves)))
    }

    /// Chance of its own for the n-th connection.
    pub fn chance(&self, nth: u32) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.plan.seed);
        rng.set_stream(u64::from(nth));
        rng
    }

    /// Enters a connection with this address; `None` if the client takes no further one. Gives its number among
    /// those with the address.
    fn enter(&self, ip: IpAddr, now: Instant) -> Option<u32> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = connections.entry(ip).or_default();
        if let SecondConnection::Refused(cooldown) = self.plan.profile.client.second_connection {
            let cooling = entry.last_closed.is_some_and(|closed| now < closed + cooldown);
            if entry.open > 0 || cooling {
                return None;
            }
        }
        entry.open += 1;
        entry.accepted += 1;
        Some(entry.accepted - 1)
    }

    /// Connections open, in either direction.
    fn open_connections(&self) -> u32 {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.values().map(|entry| entry.open).sum()
    }

    /// Whether a connection with this address is open.
    fn is_connected(&self, ip: IpAddr) -> bool {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.get(&ip).is_some_and(|entry| entry.open > 0)
    }

    /// Leaves a connection that was entered.
    fn leave(&self, ip: IpAddr, now: Instant) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = connections.entry(ip).or_default();
        entry.open = entry.open.saturating_sub(1);
        entry.last_closed = Some(now);
    }
}

#[cfg(test)]
mod tests;
