//! Which announcements of others are taken: those about our swarms, as many as an honest network has.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::swarm::Swarm;

/// Announcements taken per second, over time.
const PER_SECOND: u32 = 20;
/// And at once.
const BURST: u32 = 100;
/// One address is heard this often, over time; a client with many swarms sends several announcements in a row.
const ADDRESS_EVERY: Duration = Duration::from_millis(500);
/// And so often at once.
const ADDRESS_BURST: u32 = 20;
/// Addresses that are told apart; no network has more that speak at once.
const ADDRESSES_MAX: usize = 4096;

/// Our swarms by info-hash, and when each was announced last.
pub(super) struct Heard {
    by_info_hash: HashMap<[u8; 20], usize>,
    announced: Vec<Instant>,
}

impl Heard {
    pub fn new(swarms: &[Arc<Swarm>], now: Instant) -> Self {
        let by_info_hash = swarms.iter().map(|swarm| (swarm.info_hash.0, swarm.id.index())).collect();
        Self { by_info_hash, announced: vec![now; swarms.len()] }
    }

    /// The swarm of that name, if it is ours and not private.
    pub fn swarm(&self, info_hash: wire::InfoHash, swarms: &[Arc<Swarm>]) -> Option<Arc<Swarm>> {
        let swarm = swarms.get(*self.by_info_hash.get(&info_hash.0)?)?;
        (!swarm.is_private()).then(|| Arc::clone(swarm))
    }

    pub fn announced(&mut self, swarm: &Swarm, now: Instant) {
        if let Some(at) = self.announced.get_mut(swarm.id.index()) {
            *at = now;
        }
    }

    /// Time since we announced a swarm, or since the start.
    pub fn since(&self, swarm: &Swarm, now: Instant) -> Duration {
        self.announced.get(swarm.id.index()).map_or(Duration::ZERO, |at| now.saturating_duration_since(*at))
    }
}

/// Keeps floods out, of one address and of all.
pub(super) struct Limits {
    even_at: Instant,
    addresses: HashMap<IpAddr, Instant>,
}

impl Limits {
    pub fn new(now: Instant) -> Self {
        Self { even_at: now, addresses: HashMap::new() }
    }

    /// Whether one more announcement of this address is taken.
    pub fn let_in(&mut self, now: Instant, ip: IpAddr) -> bool {
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&ip) {
            self.addresses.retain(|_, even_at| *even_at > now);
            if self.addresses.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let of_address = self.addresses.entry(ip).or_insert(now);
        is_taken(of_address, now, ADDRESS_EVERY, ADDRESS_BURST)
            && is_taken(&mut self.even_at, now, Duration::from_secs(1) / PER_SECOND, BURST)
    }
}

/// A rate with a burst: `even_at` is when all that was taken has had its time.
fn is_taken(even_at: &mut Instant, now: Instant, every: Duration, burst: u32) -> bool {
    if *even_at > now + every * (burst - 1) {
        return false;
    }
    *even_at = (*even_at).max(now) + every;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_flood_of_one_address_leaves_room_for_others() {
        let now = Clock::start().instant();
        let mut limits = Limits::new(now);
        let from = |host: u8| IpAddr::from([10, 0, 0, host]);
        let mut taken = |host, at| (0..1000).filter(|_| limits.let_in(at, from(host))).count();
        assert_eq!(taken(1, now), 20);
        assert_eq!(taken(2, now), 20);
        assert_eq!((3..20).map(|host| taken(host, now)).sum::<usize>(), 60, "100 in all");
        assert_eq!(taken(1, now + Duration::from_secs(1)), 2);
    }

    #[test]
    fn memory_is_bounded_by_the_addresses_of_a_moment() {
        let now = Clock::start().instant();
        let mut limits = Limits::new(now);
        for n in 0..20_000_u32 {
            limits.let_in(now, IpAddr::from(n.to_be_bytes()));
        }
        assert!(limits.addresses.len() <= ADDRESSES_MAX);
        let later = now + Duration::from_mins(1);
        assert!(limits.let_in(later, IpAddr::from([1, 2, 3, 4])));
        assert!(limits.addresses.len() <= ADDRESSES_MAX);
    }
}
