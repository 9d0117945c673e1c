//! Walking the DHT for its swarms (BEP 51): each node is asked for a sample of the info-hashes it holds, and again after
//! the interval it names while it holds more than it told.
//!
//! ```text
//! named by a node ─▶ fresh ─ asked ─▶ answered ─ holds more ─▶ resting ─ interval ─▶ asked …
//!                                       └─ has told all, or says nothing of samples ─▶ done
//! ```

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    NodeInfo, host_of,
    krpc::Samples,
    node_id::{BITS, NodeId},
    random::Random,
};

/// Nodes that wait for their first turn; of more, the oldest are forgotten, and named again by others.
const FRESH_MAX: usize = 20_000;
/// Hosts that are told apart, some 60 bytes each; no more are asked beyond them.
const HOSTS_MAX: usize = 1_000_000;
/// A node is asked again no sooner, whatever it says.
const INTERVAL_MIN: Duration = Duration::from_secs(10);
/// And no later than BEP 51 allows it to say.
const INTERVAL_MAX: Duration = Duration::from_hours(6);
/// A node that told all it holds may hold more by then.
const TOLD_ALL: Duration = Duration::from_mins(30);
/// Nodes taken from one answer.
const NODES_MAX: usize = 16;

/// What one node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// What it calls itself.
    pub id: NodeId,
    /// Nodes it named.
    pub nodes: Vec<NodeInfo>,
    /// Its sample; `None` from a node that does not know of BEP 51.
    pub samples: Option<Samples>,
}

/// A walk over the nodes of one family.
pub struct Walk {
    random: Random,
    /// Whether a host is asked under one port only.
    restrict: bool,
    fresh: VecDeque<NodeInfo>,
    /// Hosts that were ever taken in.
    seen: HashSet<u128>,
    resting: BinaryHeap<Reverse<(Instant, SocketAddr)>>,
}

impl Walk {
    /// A walk that knows nobody; `seed` are 32 bytes. With `restrict`, a host (an IPv4 address or IPv6 /64) is one node.
    pub fn new(seed: [u8; 32], restrict: bool) -> Self {
        Self {
            random: Random::new(seed),
            restrict,
            fresh: VecDeque::new(),
            seen: HashSet::new(),
            resting: BinaryHeap::new(),
        }
    }

    /// Takes in a node that somebody named.
    pub fn add(&mut self, node: NodeInfo) {
        let key = if self.restrict {
            host_of(node.address.ip())
        } else {
            host_of(node.address.ip()) ^ (u128::from(node.address.port()) << 32)
        };
        if self.seen.len() >= HOSTS_MAX || !self.seen.insert(key) {
            return;
        }
        if self.fresh.len() >= FRESH_MAX {
            self.fresh.pop_front();
        }
        self.fresh.push_back(node);
    }

    /// Whom to ask next, and for which target: a point anywhere, so that the nodes it names lie anywhere.
    pub fn next(&mut self, now: Instant) -> Option<(SocketAddr, NodeId)> {
        let target = NodeId(self.random.bytes());
        if let Some(Reverse((at, address))) = self.resting.peek().copied()
            && at <= now
        {
            self.resting.pop();
            return Some((address, target));
        }
        let node = self.fresh.pop_front()?;
        // Within its own neighbourhood a node knows most others: half of the questions are for that.
        let [coin, bits] = self.random.bytes();
        let target = match coin % 2 {
            0 => target,
            _ => node.id.at_shared_bits(usize::from(bits) % (BITS / 8), target.0),
        };
        Some((node.address, target))
    }

    /// When the next node has rested; [`Self::next`] may have others before.
    pub fn wake(&self) -> Option<Instant> {
        self.resting.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes what a node answered.
    pub fn sampled(&mut self, now: Instant, node: SocketAddr, answer: &Sampled) {
        answer.nodes.iter().take(NODES_MAX).for_each(|&node| self.add(node));
        let Some(samples) = &answer.samples else { return };
        let interval = Duration::from_secs(samples.interval_s.unwrap_or(0)).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let has_more = samples.num.is_some_and(|num| num > samples.info_hashes.len() as u64);
        let rest = if has_more { interval } else { interval.max(TOLD_ALL) };
        if self.resting.len() < HOSTS_MAX {
            self.resting.push(Reverse((now + rest, node)));
        }
    }

    /// Nodes that were ever taken in.
    pub fn seen(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InfoHash;

    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn start() -> Instant {
        Instant::now()
    }

    fn node(n: u32) -> NodeInfo {
        NodeInfo { id: NodeId([7; 20]), address: ((0x0a00_0000 + n).to_be_bytes(), 6881).into() }
    }

    fn told(count: u8, num: u64, interval_s: u64) -> Sampled {
        let info_hashes = (0..count).map(|n| InfoHash([n; 20])).collect();
        let samples = Some(Samples { info_hashes, num: Some(num), interval_s: Some(interval_s) });
        Sampled { id: NodeId([1; 20]), nodes: vec![], samples }
    }

    #[test]
    fn a_node_is_asked_once_and_again_after_its_interval_if_it_holds_more() {
        let (mut walk, now) = (Walk::new([1; 32], true), start());
        (0..3).for_each(|n| walk.add(node(n)));
        walk.add(NodeInfo { address: (node(0).address.ip(), 1).into(), ..node(0) });
        let asked: Vec<_> = std::iter::from_fn(|| walk.next(now)).map(|(address, _)| address).collect();
        assert_eq!(asked, [node(0).address, node(1).address, node(2).address], "a host is one node");
        walk.sampled(now, asked[0], &told(20, 100, 60));
        walk.sampled(now, asked[1], &told(2, 2, 60));
        walk.sampled(now, asked[2], &Sampled { samples: None, ..told(0, 0, 0) });
        assert_eq!((walk.next(now), walk.wake()), (None, Some(now + Duration::from_mins(1))));
        let later = now + Duration::from_mins(1);
        assert_eq!(walk.next(later).map(|(address, _)| address), Some(asked[0]));
        assert_eq!(walk.wake(), Some(now + TOLD_ALL));
        // Whoever says 0 is asked every 10 s, not at once.
        walk.sampled(later, asked[0], &told(20, 100, 0));
        assert_eq!(walk.wake(), Some(later + INTERVAL_MIN));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut walk, now) = (Walk::new([1; 32], true), start());
        (0..2).for_each(|half| (0..20_000).for_each(|n| walk.add(node(half * 20_000 + n))));
        assert_eq!(walk.fresh.len(), FRESH_MAX);
        let flood = Sampled { nodes: (50_000..55_000).map(node).collect(), ..told(0, 0, 0) };
        let seen = walk.seen();
        walk.sampled(now, node(0).address, &flood);
        assert!(walk.seen() <= seen + NODES_MAX);
    }
}
