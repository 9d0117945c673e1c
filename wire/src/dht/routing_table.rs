//! The nodes we know, more of them the nearer they are to us (BEP 5), one table per family (BEP 32).
//!
//! A bucket holds the nodes that share exactly so many bits with our ID. A *good* node answered within 15 minutes,
//! a *bad* one failed twice in a row, the others are *questionable*. Bad nodes give way to those waiting, and those whose
//! ID is not one their address may have (BEP 42) to those whose ID is.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    K, NodeInfo, host_of, network_of,
    node_id::{BITS, NodeId},
};

/// A node that answered within this time is good (BEP 5).
pub const GOOD_FOR: Duration = Duration::from_mins(15);
/// Failures in a row that make a node bad.
const FAILURES_BAD: u8 = 2;
/// The bucket of the far half of the ID space has this many places, each nearer one half as many, but [`K`].
const LARGEST_BUCKET: usize = 128;
/// Nodes of one network (an IPv4 /24 or IPv6 /48) in one bucket.
const PER_NETWORK_MAX: usize = 2;

/// How far a node can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It failed twice in a row.
    Bad,
    /// It answered lately.
    Good,
    /// Neither.
    Questionable,
}

#[derive(Clone, Debug)]
struct Entry {
    node: NodeInfo,
    /// When it last answered; none where it only asked us something.
    answered: Option<Instant>,
    /// When it last was tried or heard of.
    touched: Instant,
    failures: u8,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    nodes: Vec<Entry>,
    /// Newest last.
    waiting: VecDeque<Entry>,
}

/// The nodes of one family.
#[derive(Clone, Debug)]
pub struct RoutingTable {
    own: NodeId,
    restrict: bool,
    buckets: Vec<Bucket>,
}

impl Entry {
    /// Whether its ID is one that its address may have (BEP 42).
    fn fits(&self) -> bool {
        self.node.id.fits(self.node.address.ip())
    }

    fn state(&self, now: Instant) -> State {
        if self.failures >= FAILURES_BAD {
            return State::Bad;
        }
        match self.answered {
            Some(at) if now.saturating_duration_since(at) < GOOD_FOR => State::Good,
            _ => State::Questionable,
        }
    }
}

impl RoutingTable {
    /// An empty table around `own`. With `restrict`, hosts and networks have limits: one node per host (an IPv4
    /// address or IPv6 /64) in all and two per network in a bucket, against someone who runs very many.
    pub fn new(own: NodeId, restrict: bool) -> Self {
        Self { own, restrict, buckets: vec![Bucket::default(); BITS] }
    }

    /// Takes note of a node that answered us.
    pub fn answered(&mut self, now: Instant, node: NodeInfo) {
        self.heard(now, node, Some(now));
    }

    /// Takes note of a node that asked us something: it is there, but need not answer.
    pub fn asked_us(&mut self, now: Instant, node: NodeInfo) {
        self.heard(now, node, None);
    }

    fn heard(&mut self, now: Instant, node: NodeInfo, answered: Option<Instant>) {
        if node.id == self.own {
            return;
        }
        if let Some(entry) = self.at_address(node.address) {
            if entry.node.id == node.id {
                entry.touched = now;
                if answered.is_some() {
                    entry.answered = answered;
                    entry.failures = 0;
                }
                return;
            }
            // It calls itself something else: where it sat it is no longer. A question could be forged.
            if answered.is_none() {
                return;
            }
            self.remove(node.address);
        }
        let new = Entry { node, answered, touched: now, failures: 0 };
        self.insert(now, new);
    }

    fn insert(&mut self, now: Instant, new: Entry) {
        let index = self.index(&new.node.id);
        if self.restrict && !self.is_within_limits(index, &new.node) {
            return;
        }
        let Some(bucket) = self.buckets.get_mut(index) else { return };
        // Whoever has the same name from elsewhere is not driven out by it.
        if bucket.nodes.iter().any(|entry| entry.node.id == new.node.id) {
            return;
        }
        let capacity = capacity(index);
        if bucket.nodes.len() < capacity {
            bucket.nodes.push(new);
        } else if let Some(bad) = bucket.nodes.iter_mut().find(|entry| entry.state(now) == State::Bad) {
            *bad = new;
        } else if new.fits()
            && let Some(misfit) = bucket.nodes.iter_mut().find(|entry| !entry.fits())
        {
            *misfit = new;
        } else {
            bucket.waiting.retain(|entry| entry.node.address != new.node.address);
            bucket.waiting.push_back(new);
            if bucket.waiting.len() > K {
                bucket.waiting.pop_front();
            }
        }
    }

    /// Takes note that a node did not answer.
    pub fn failed(&mut self, now: Instant, address: SocketAddr) {
        let Some(entry) = self.at_address(address) else { return };
        entry.failures = entry.failures.saturating_add(1);
        entry.touched = now;
        let (id, is_bad) = (entry.node.id, entry.state(now) == State::Bad);
        let index = self.index(&id);
        if is_bad
            && let Some(bucket) = self.buckets.get_mut(index)
            && let Some(next) = bucket.waiting.pop_back()
        {
            bucket.nodes.retain(|entry| entry.node.address != address);
            self.insert(now, next);
        }
    }

    /// The nodes nearest to `target` that are not bad, nearest first.
    pub fn closest(&self, now: Instant, target: &NodeId, count: usize) -> Vec<NodeInfo> {
        let usable = self.entries().filter(|entry| entry.state(now) != State::Bad);
        let mut nodes: Vec<NodeInfo> = usable.map(|entry| entry.node).collect();
        nodes.sort_by_cached_key(|node| node.id.distance(target));
        nodes.truncate(count);
        nodes
    }

    /// The node that was left alone longest, if it is not known to be good and was not tried lately.
    pub fn questionable(&self, now: Instant) -> Option<NodeInfo> {
        let untried = |entry: &&Entry| {
            entry.state(now) == State::Questionable
                && (entry.answered.is_none() && entry.failures == 0
                    || now.saturating_duration_since(entry.touched) >= GOOD_FOR / 15)
        };
        self.entries().filter(untried).min_by_key(|entry| entry.touched).map(|entry| entry.node)
    }

    /// The nodes that answered at least once and are not bad, those heard of last first.
    pub fn proven(&self, now: Instant) -> Vec<NodeInfo> {
        let proven = |entry: &&Entry| entry.answered.is_some() && entry.state(now) != State::Bad;
        let mut entries: Vec<&Entry> = self.entries().filter(proven).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.answered));
        entries.into_iter().map(|entry| entry.node).collect()
    }

    /// How many bits are shared with the nearest known node, at most: where a look at our own neighbourhood ends.
    pub fn depth(&self) -> usize {
        self.buckets.iter().rposition(|bucket| !bucket.nodes.is_empty()).unwrap_or(0)
    }

    /// Nodes in the table, those waiting left out.
    pub fn len(&self) -> usize {
        self.entries().count()
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    fn at_address(&mut self, address: SocketAddr) -> Option<&mut Entry> {
        self.buckets
            .iter_mut()
            .flat_map(|bucket| &mut bucket.nodes)
            .find(|entry| entry.node.address == address)
    }

    fn remove(&mut self, address: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.nodes.retain(|entry| entry.node.address != address);
        }
    }

    fn index(&self, id: &NodeId) -> usize {
        self.own.distance(id).shared_bits().min(BITS - 1)
    }

    fn is_within_limits(&self, index: usize, node: &NodeInfo) -> bool {
        let (host, network) = (host_of(node.address.ip()), network_of(node.address.ip()));
        if self.entries().any(|entry| host_of(entry.node.address.ip()) == host) {
            return false;
        }
        let bucket = self.buckets.get(index).into_iter().flat_map(|bucket| &bucket.nodes);
        let of_network = bucket.filter(|entry| network_of(entry.node.address.ip()) == network).count();
        of_network < PER_NETWORK_MAX
    }
}

fn capacity(index: usize) -> usize {
    LARGEST_BUCKET.checked_shr(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(0).max(K)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn start() -> Instant {
        Instant::now()
    }

    fn node(first: u8, rest: u8, ip: [u8; 4]) -> NodeInfo {
        let mut id = [rest; 20];
        id[0] = first;
        NodeInfo { id: NodeId(id), address: (ip, 6881).into() }
    }

    /// A node of the bucket that shares no bit with the own ID 0.
    fn far(n: u8) -> NodeInfo {
        node(0x80, n, [10, n, 0, 1])
    }

    /// A node of a bucket with [`K`] places.
    fn near(n: u8) -> NodeInfo {
        node(0x01, n, [10, n, 0, 1])
    }

    fn table(restrict: bool) -> RoutingTable {
        RoutingTable::new(NodeId([0; 20]), restrict)
    }

    #[test]
    fn a_full_bucket_keeps_who_is_there_until_one_fails() {
        let (mut table, now) = (table(true), start());
        (0..9).for_each(|n| table.answered(now, near(n)));
        assert_eq!(table.len(), K);
        assert!(!table.closest(now, &near(8).id, 1).contains(&near(8)));
        table.failed(now, near(3).address);
        assert_eq!(table.len(), K);
        table.failed(now, near(3).address);
        assert_eq!(table.closest(now, &near(8).id, 1), [near(8)]);
        assert!(!table.closest(now, &near(3).id, 100).contains(&near(3)));
    }

    #[test]
    fn nodes_with_ids_of_their_choice_give_way() {
        let (mut table, now) = (table(true), start());
        let chosen = |n| node(0x01, n, [20, n, 0, 1]);
        (0..8).for_each(|n| table.answered(now, chosen(n)));
        assert_eq!(table.len(), K);
        table.answered(now, near(20));
        assert!(table.closest(now, &near(20).id, 8).contains(&near(20)));
        assert_eq!(table.len(), K);
        table.answered(now, chosen(9));
        assert!(!table.closest(now, &chosen(9).id, 8).contains(&chosen(9)), "but not to each other");
    }

    #[test]
    fn nodes_grow_questionable_and_bad() {
        let (mut table, now) = (table(true), start());
        table.answered(now, far(1));
        table.asked_us(now, far(2));
        assert_eq!(table.questionable(now), Some(far(2)), "it never answered");
        assert_eq!(table.proven(now), [far(1)]);
        table.failed(now, far(2).address);
        assert_eq!(table.questionable(now), None, "it was tried just now");
        let later = now + GOOD_FOR;
        table.failed(later, far(2).address);
        assert_eq!(table.questionable(later), Some(far(1)));
        assert_eq!(table.closest(later, &far(1).id, 8), [far(1)], "bad ones are not named");
        table.answered(later, far(2));
        assert_eq!(table.proven(later).first(), Some(&far(2)));
    }

    #[test]
    fn one_owner_gets_few_places() {
        let now = start();
        for (restrict, hosts, networks) in [(true, 1, 2), (false, 9, 9)] {
            let (mut one_host, mut one_network) = (table(restrict), table(restrict));
            for n in 0..9 {
                one_host.answered(now, NodeInfo { address: ([10, 0, 0, 1], n.into()).into(), ..far(n) });
                one_network.answered(now, node(0x80, n, [10, 0, 0, n]));
            }
            assert_eq!((one_host.len(), one_network.len()), (hosts, networks));
        }
        let mut v6 = table(true);
        let at = |address: &str| address.parse().unwrap();
        v6.answered(now, NodeInfo { address: at("[2001:db8::1]:1"), ..far(1) });
        v6.answered(now, NodeInfo { address: at("[2001:db8::2]:1"), ..far(2) });
        assert_eq!(v6.len(), 1, "a /64 has one owner");
    }

    #[test]
    fn a_name_cannot_be_taken_over_and_a_renamed_node_moves() {
        let (mut table, now) = (table(true), start());
        table.answered(now, far(1));
        table.answered(now, NodeInfo { address: far(2).address, ..far(1) });
        assert_eq!(table.closest(now, &far(1).id, 8), [far(1)]);
        table.asked_us(now, NodeInfo { id: far(9).id, ..far(1) });
        assert_eq!(table.closest(now, &far(1).id, 8), [far(1)], "a question may be forged");
        table.answered(now, NodeInfo { id: far(9).id, ..far(1) });
        assert_eq!(table.closest(now, &far(1).id, 8), [NodeInfo { id: far(9).id, ..far(1) }]);
        table.answered(now, NodeInfo { id: NodeId([0; 20]), ..far(5) });
        assert_eq!(table.len(), 1, "we are not in our own table");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn the_closest_are_the_closest_and_the_table_is_bounded(
            ids in vec(any::<[u8; 20]>(), 0..400),
            target: [u8; 20],
        ) {
            let (mut table, now, target) = (table(true), start(), NodeId(target));
            for (n, id) in (0_u32..).zip(ids) {
                table.answered(now, NodeInfo { id: NodeId(id), address: ((n << 8).to_be_bytes(), 1).into() });
            }
            prop_assert!(table.len() <= 2 * LARGEST_BUCKET + K * BITS);
            let closest = table.closest(now, &target, K);
            let all = table.closest(now, &target, usize::MAX);
            let furthest = closest.iter().map(|node| node.id.distance(&target)).max();
            prop_assert!(all.iter().skip(K).all(|node| Some(node.id.distance(&target)) >= furthest));
            prop_assert_eq!(all.len(), table.len());
        }
    }
}
