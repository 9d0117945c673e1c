//! Who is in which swarm: the lab's peers by their schedules, observers by their announces.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// What a scrape tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Complete members.
    pub seeders: u64,
    /// The others.
    pub leechers: u64,
    /// Downloads completed since the lab began.
    pub downloaded: u64,
}

/// The members of every swarm.
#[derive(Debug)]
pub struct Members {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    swarms: Vec<Swarm>,
    chance: ChaCha8Rng,
}

#[derive(Clone, Debug, Default)]
struct Swarm {
    members: BTreeMap<SocketAddr, Member>,
    downloaded: u64,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    complete: bool,
    observer: bool,
}

impl Members {
    /// So many swarms, all empty.
    pub fn new(swarms: usize, seed: u64) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(seed);
        Self { state: Mutex::new(State { swarms: vec![Swarm::default(); swarms], chance }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T: Default>(&self, swarm: usize, change: impl FnOnce(&mut Swarm) -> T) -> T {
        self.state().swarms.get_mut(swarm).map(change).unwrap_or_default()
    }

    /// A peer of the lab comes up.
    pub fn join(&self, swarm: usize, address: SocketAddr, complete: bool) {
        self.with(swarm, |swarm| {
            swarm.members.insert(address, Member { complete, observer: false });
        });
    }

    /// A peer of the lab completes its download.
    pub fn complete(&self, swarm: usize, address: SocketAddr) {
        self.with(swarm, |swarm| {
            if let Some(member) = swarm.members.get_mut(&address) {
                member.complete = true;
                swarm.downloaded += 1;
            }
        });
    }

    /// A peer of the lab goes, or the tracker has not heard of it for too long.
    pub fn leave(&self, swarm: usize, address: SocketAddr) {
        self.with(swarm, |swarm| {
            swarm.members.remove(&address);
        });
    }

    /// Somebody from outside announces itself.
    pub fn observe(&self, swarm: usize, address: SocketAddr, complete: bool) {
        self.with(swarm, |swarm| {
            swarm.members.entry(address).or_insert(Member { complete, observer: true });
        });
    }

    /// Somebody from outside says it stops; the lab's own peers cannot be made to.
    pub fn leave_observer(&self, swarm: usize, address: SocketAddr) {
        self.with(swarm, |swarm| {
            if swarm.members.get(&address).is_some_and(|member| member.observer) {
                swarm.members.remove(&address);
            }
        });
    }

    /// The swarm's true counts.
    pub fn counts(&self, swarm: usize) -> Counts {
        self.with(swarm, |swarm| {
            let seeders = swarm.members.values().filter(|member| member.complete).count();
            Counts {
                seeders: seeders as u64,
                leechers: (swarm.members.len() - seeders) as u64,
                downloaded: swarm.downloaded,
            }
        })
    }

    /// A random choice of so many members at most: observers, and peers of the lab.
    pub fn name(&self, swarm: usize, limit: usize) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mut state = self.state();
        let State { swarms, chance } = &mut *state;
        let Some(swarm) = swarms.get(swarm) else { return (Vec::new(), Vec::new()) };
        let members: Vec<_> = swarm.members.iter().collect();
        let (mut observers, mut peers) = (Vec::new(), Vec::new());
        for (address, member) in members.sample(chance, limit) {
            if member.observer { observers.push(**address) } else { peers.push(**address) }
        }
        (observers, peers)
    }
}
