//! Every peer ever named, each once: a peer is an address and port in a swarm.
//!
//! Bounded per swarm and overall, as a hostile source may name any number of addresses; what finds no place is
//! counted. About 30 bytes a peer.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hashbrown::HashTable;

use crate::{
    address::{AddressPolicy, NotAllowed},
    swarm::SwarmId,
};

/// Peers known in one swarm at most; the largest swarms measured had a fifth of it.
pub const SWARM_PEERS_MAX: u32 = 2_000_000;
/// Peers known over all swarms at most.
pub const PEERS_MAX: u32 = 20_000_000;

/// A peer's place in the registry; it means nothing outside the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub u32);

impl PeerKey {
    /// Position in lists kept beside the registry.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A peer: an address in a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The swarm.
    pub swarm: SwarmId,
    /// The address, IPv4-mapped made IPv4.
    pub ip: IpAddr,
    /// The port it listens on.
    pub port: u16,
}

impl Peer {
    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// What the registry made of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighted {
    /// Named before, or turned away before.
    Known(PeerKey),
    /// Named for the first time, to be contacted.
    New(PeerKey),
    /// Named for the first time, never to be contacted.
    NewNotAllowed(NotAllowed),
    /// Our own address.
    Ourselves,
    /// No place left.
    Full,
}

/// Counters of the registry, from the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryCounts {
    /// Addresses named, repeats included.
    pub sightings: u64,
    /// Addresses named for the first time.
    pub sightings_new: u64,
    /// Peers that are never contacted.
    pub not_allowed: u64,
    /// New addresses that found no place.
    pub overflow: u64,
}

/// The peers of a run.
pub struct Registry {
    policy: Arc<AddressPolicy>,
    peers: Vec<Peer>,
    index: HashTable<u32>,
    hasher: RandomState,
    per_swarm: Vec<u32>,
    own: HashSet<SocketAddr>,
    counts: RegistryCounts,
    swarm_peers_max: u32,
    peers_max: u32,
}

impl Registry {
    /// An empty registry for `swarms` swarms.
    pub fn new(policy: Arc<AddressPolicy>, swarms: usize) -> Self {
        Self::with_limits(policy, swarms, SWARM_PEERS_MAX, PEERS_MAX)
    }

    /// As [`Self::new`], with limits of one's own.
    pub fn with_limits(
        policy: Arc<AddressPolicy>,
        swarms: usize,
        swarm_peers_max: u32,
        peers_max: u32,
    ) -> Self {
        Self {
            policy,
            peers: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            per_swarm: vec![0; swarms],
            own: HashSet::new(),
            counts: RegistryCounts::default(),
            swarm_peers_max,
            peers_max,
        }
    }

    /// Takes an address a source named.
    pub fn sight(&mut self, swarm: SwarmId, address: SocketAddr) -> Sighted {
        self.counts.sightings += 1;
        self.register(swarm, address)
    }

    /// Takes an address that was learnt without a source naming it: the port an incoming peer says it listens on.
    pub fn register(&mut self, swarm: SwarmId, address: SocketAddr) -> Sighted {
        let peer = Peer { swarm, ip: address.ip().to_canonical(), port: address.port() };
        if self.own.contains(&peer.address()) {
            return Sighted::Ourselves;
        }
        if let Some(key) = self.find(&peer) {
            return Sighted::Known(key);
        }
        let total = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        let Some(in_swarm) = self.per_swarm.get_mut(swarm.index()) else { return Sighted::Full };
        if *in_swarm >= self.swarm_peers_max || total >= self.peers_max {
            self.counts.overflow += 1;
            return Sighted::Full;
        }
        *in_swarm += 1;
        self.counts.sightings_new += 1;
        let (peers, hasher) = (&mut self.peers, &self.hasher);
        if peers.len() == peers.capacity() {
            // Doubling would waste as much as is used.
            peers.reserve_exact(64 + peers.len() / 32);
        }
        peers.push(peer);
        self.index.insert_unique(hash(hasher, &peer), total, |&at| {
            peers.get(at as usize).map_or(0, |peer| hash(hasher, peer))
        });
        match self.policy.check_endpoint(peer.address()) {
            Ok(()) => Sighted::New(PeerKey(total)),
            Err(why) => {
                self.counts.not_allowed += 1;
                Sighted::NewNotAllowed(why)
            }
        }
    }

    /// Says that `address` is our own, so that it is not registered in any further swarm.
    pub fn mark_own(&mut self, address: SocketAddr) {
        self.counts.not_allowed += u64::from(self.own.insert(address));
    }

    /// The peer behind a key of this registry.
    pub fn peer(&self, key: PeerKey) -> Option<Peer> {
        self.peers.get(key.index()).copied()
    }

    /// Peers known.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether no peer is known.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Bytes taken by the peers known.
    pub fn memory_bytes(&self) -> usize {
        self.peers.capacity() * size_of::<Peer>() + self.index.allocation_size()
    }

    /// Counters so far.
    pub fn counts(&self) -> RegistryCounts {
        self.counts
    }

    fn find(&self, peer: &Peer) -> Option<PeerKey> {
        let found =
            self.index.find(hash(&self.hasher, peer), |&at| self.peers.get(at as usize) == Some(peer));
        found.copied().map(PeerKey)
    }
}

fn hash(hasher: &RandomState, peer: &Peer) -> u64 {
    hasher.hash_one((peer.swarm, peer.ip, peer.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(swarm_peers_max: u32, peers_max: u32) -> Registry {
        Registry::with_limits(Arc::default(), 2, swarm_peers_max, peers_max)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_peer_is_an_address_and_port_in_a_swarm() {
        let mut registry = registry(10, 10);
        let first = registry.sight(SwarmId(0), address("1.2.3.4:5"));
        assert_eq!(first, Sighted::New(PeerKey(0)));
        assert_eq!(registry.sight(SwarmId(0), address("[::ffff:1.2.3.4]:5")), Sighted::Known(PeerKey(0)));
        assert_eq!(registry.sight(SwarmId(0), address("1.2.3.4:6")), Sighted::New(PeerKey(1)));
        assert_eq!(registry.sight(SwarmId(1), address("1.2.3.4:5")), Sighted::New(PeerKey(2)));
        assert_eq!(registry.counts().sightings, 4);
        assert_eq!(registry.counts().sightings_new, 3);
        assert_eq!(registry.peer(PeerKey(1)).map(|peer| peer.port), Some(6));
    }

    #[test]
    fn private_addresses_and_port_zero_are_kept_but_not_contacted() {
        let mut registry = registry(10, 10);
        assert!(matches!(registry.sight(SwarmId(0), address("10.0.0.1:5")), Sighted::NewNotAllowed(_)));
        assert!(matches!(registry.sight(SwarmId(0), address("1.2.3.4:0")), Sighted::NewNotAllowed(_)));
        assert!(matches!(registry.sight(SwarmId(0), address("10.0.0.1:5")), Sighted::Known(_)));
        assert_eq!(registry.counts().not_allowed, 2);
        assert_eq!(registry.len(), 2);
    }

    #[test]
    fn millions_of_addresses_find_a_bounded_place() {
        let mut registry = registry(100, 150);
        for swarm in [0, 1] {
            for port in 1..=1000 {
                registry.sight(SwarmId(swarm), SocketAddr::new([1, 2, 3, 4].into(), port));
            }
        }
        assert_eq!(registry.len(), 150);
        assert_eq!(registry.counts().overflow, 1850);
        assert_eq!(registry.sight(SwarmId(0), address("1.2.3.4:7")), Sighted::Known(PeerKey(6)));
    }

    #[test]
    fn our_own_address_is_not_registered() {
        let mut registry = registry(10, 10);
        registry.mark_own(address("1.2.3.4:5"));
        assert_eq!(registry.sight(SwarmId(1), address("1.2.3.4:5")), Sighted::Ourselves);
        assert!(registry.is_empty());
    }
}
