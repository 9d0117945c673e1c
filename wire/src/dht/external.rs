//! Our address as others see it (BEP 42's `ip`): what enough nodes on different networks agree on.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use super::network_of;

/// Networks that must agree.
const VOTES_NEEDED: usize = 5;
/// Addresses that are counted at once; whoever lies with more is not heard.
const ADDRESSES_MAX: usize = 16;

/// Counts who sees us where.
#[derive(Debug, Default)]
pub(super) struct Votes {
    seen: HashMap<IpAddr, HashSet<u128>>,
}

impl Votes {
    /// Takes the word of `voter`; gives the address that is settled by it, and begins anew.
    pub(super) fn add(&mut self, voter: IpAddr, address: IpAddr) -> Option<IpAddr> {
        if !self.seen.contains_key(&address) && self.seen.len() >= ADDRESSES_MAX {
            return None;
        }
        let voters = self.seen.entry(address).or_default();
        voters.insert(network_of(voter));
        if voters.len() < VOTES_NEEDED {
            return None;
        }
        self.seen.clear();
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_has_one_vote() {
        let (ours, wrong): (IpAddr, IpAddr) =
            ("198.51.100.1".parse().unwrap(), "198.51.100.2".parse().unwrap());
        let from = |network: u8, host: u8| IpAddr::from([10, 0, network, host]);
        let mut votes = Votes::default();
        assert!((0..200).all(|host| votes.add(from(0, host), wrong).is_none()));
        assert!((0..4).all(|network| votes.add(from(network, 1), ours).is_none()));
        assert_eq!(votes.add(from(4, 1), ours), Some(ours));
    }
}
