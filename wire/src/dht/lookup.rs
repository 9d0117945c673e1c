//! Finding the nodes nearest to a point (BEP 5): ask the nearest known for nearer ones, until the [`K`] nearest that
//! are alive have all answered.
//!
//! ```text
//! fresh ─ asked ─▶ waiting ─ answer ─▶ answered
//!                     └─ late: another is asked besides ─ timeout, error ─▶ failed
//! ```

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    K, NodeInfo, host_of, network_of,
    node_id::{Distance, NodeId},
};

/// Candidates kept; the furthest of those not asked give way.
const CANDIDATES_MAX: usize = 256;
/// Candidates of one network (an IPv4 /24 or IPv6 /48), where that is limited.
const PER_NETWORK_MAX: usize = 3;

/// How a lookup goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Queries under way at once.
    pub alpha: usize,
    /// A query that takes longer makes room for another, and may yet be answered.
    pub late_after: Duration,
    /// Whether a host is asked once, and a network in three places, at most.
    pub restrict: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Answered { token: Option<Vec<u8>> },
    Failed,
    Fresh,
    Waiting { since: Instant },
}

#[derive(Clone, Debug)]
struct Candidate {
    address: SocketAddr,
    /// None for a router, of which the address alone is known until it answers: it is the furthest.
    id: Option<NodeId>,
    distance: Option<Distance>,
    state: State,
}

impl Candidate {
    fn order(&self) -> (bool, Option<Distance>) {
        (self.distance.is_none(), self.distance)
    }

    /// Whether its ID is one that its address may have (BEP 42).
    fn fits(&self) -> bool {
        self.id.is_some_and(|id| id.fits(self.address.ip()))
    }
}

/// One search for the nodes nearest to a point.
#[derive(Clone, Debug)]
pub struct Lookup {
    target: NodeId,
    pace: Pace,
    /// Nearest first.
    candidates: Vec<Candidate>,
    hosts: HashMap<u128, usize>,
    networks: HashMap<u128, usize>,
}

impl Lookup {
    /// A search that knows nobody yet.
    pub fn new(target: NodeId, pace: Pace) -> Self {
        Self { target, pace, candidates: Vec::new(), hosts: HashMap::new(), networks: HashMap::new() }
    }

    /// What is searched for.
    pub fn target(&self) -> NodeId {
        self.target
    }

    /// Adds a node that somebody named.
    pub fn add(&mut self, node: NodeInfo) {
        self.insert(node.address, Some(node.id));
    }

    /// Adds a router to begin from.
    pub fn add_router(&mut self, address: SocketAddr) {
        self.insert(address, None);
    }

    fn insert(&mut self, address: SocketAddr, id: Option<NodeId>) {
        if self.candidates.iter().any(|candidate| candidate.address == address) || !self.counts(address) {
            return;
        }
        let distance = id.map(|id| id.distance(&self.target));
        let candidate = Candidate { address, id, distance, state: State::Fresh };
        let place = self.candidates.partition_point(|other| other.order() <= candidate.order());
        self.candidates.insert(place, candidate);
        if self.candidates.len() > CANDIDATES_MAX
            && let Some(place) = self.candidates.iter().rposition(|other| other.state == State::Fresh)
        {
            let dropped = self.candidates.remove(place);
            self.forget(dropped.address);
        }
    }

    /// Takes a place for the host and its network, if there is one.
    fn counts(&mut self, address: SocketAddr) -> bool {
        if !self.pace.restrict {
            return true;
        }
        let of_network = self.networks.entry(network_of(address.ip())).or_default();
        let of_host = self.hosts.entry(host_of(address.ip())).or_default();
        let has_place = *of_host == 0 && *of_network < PER_NETWORK_MAX;
        if has_place {
            *of_host += 1;
            *of_network += 1;
        }
        has_place
    }

    fn forget(&mut self, address: SocketAddr) {
        for (counts, key) in
            [(&mut self.hosts, host_of(address.ip())), (&mut self.networks, network_of(address.ip()))]
        {
            if let Some(count) = counts.get_mut(&key) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Whom to ask next; call it again until there is none.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        let late_after = self.pace.late_after;
        let is_late = |candidate: &Candidate| match candidate.state {
            State::Waiting { since } => now.saturating_duration_since(since) >= late_after,
            _ => false,
        };
        let waiting = self.candidates.iter().filter(|one| matches!(one.state, State::Waiting { .. }));
        if waiting.filter(|one| !is_late(one)).count() >= self.pace.alpha {
            return None;
        }
        // Who is late may be dead: the search goes on as if it were.
        let mut in_reach = self.reach(|one| one.state != State::Failed && !is_late(one));
        let (place, _) = in_reach.find(|(_, one)| one.state == State::Fresh)?;
        drop(in_reach);
        let next = self.candidates.get_mut(place)?;
        next.state = State::Waiting { since: now };
        Some(next.address)
    }

    /// The [`K`] nearest of those that count, and the [`K`] nearest of them whose ID fits (BEP 42): whoever may choose
    /// any ID could sit nearest to a swarm, and hide those who hold its peers.
    fn reach(&self, counts: impl Fn(&Candidate) -> bool) -> impl Iterator<Item = (usize, &Candidate)> {
        let (mut nearest, mut fitting) = (0, 0);
        self.candidates.iter().enumerate().filter(move |(_, one)| {
            if !counts(one) || (nearest >= K && (fitting >= K || !one.fits())) {
                return false;
            }
            nearest += 1;
            fitting += usize::from(one.fits());
            true
        })
    }

    /// When a query under way becomes late, so that [`Self::next`] may name another.
    pub fn next_late(&self, now: Instant) -> Option<Instant> {
        let late = self.candidates.iter().filter_map(|candidate| match candidate.state {
            State::Waiting { since } => Some(since + self.pace.late_after),
            _ => None,
        });
        late.filter(|&at| at > now).min()
    }

    /// A node answered, with its ID and its token for announcing.
    pub fn answered(&mut self, address: SocketAddr, id: NodeId, token: Option<Vec<u8>>) {
        let Some(place) = self.candidates.iter().position(|candidate| candidate.address == address) else {
            return;
        };
        let mut candidate = self.candidates.remove(place);
        candidate.state = State::Answered { token };
        candidate.id = Some(id);
        candidate.distance = Some(id.distance(&self.target));
        let place = self.candidates.partition_point(|other| other.order() <= candidate.order());
        self.candidates.insert(place, candidate);
    }

    /// A node did not answer, or with an error.
    pub fn failed(&mut self, address: SocketAddr) {
        if let Some(candidate) = self.candidates.iter_mut().find(|candidate| candidate.address == address) {
            candidate.state = State::Failed;
        }
    }

    /// Whether the [`K`] nearest of those alive have answered, with IDs that fit and over all, or all there are.
    pub fn is_done(&self) -> bool {
        let mut nearest = self.reach(|candidate| candidate.state != State::Failed);
        nearest.all(|(_, candidate)| matches!(candidate.state, State::Answered { .. }))
    }

    /// The nodes to announce to, each with its token: of those that answered the nearest with an ID that fits, nearest
    /// first, and only where these are fewer than [`K`] the nearest of the others (BEP 42).
    pub fn closest(&self) -> impl Iterator<Item = (NodeInfo, Option<&[u8]>)> {
        let of = |fits| {
            self.candidates.iter().filter(move |candidate| candidate.fits() == fits).filter_map(|candidate| {
                match &candidate.state {
                    State::Answered { token } => {
                        Some((NodeInfo { id: candidate.id?, address: candidate.address }, token.as_deref()))
                    }
                    _ => None,
                }
            })
        };
        of(true).chain(of(false)).take(K)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: NodeId = NodeId([0; 20]);
    const PACE: Pace = Pace { alpha: 3, late_after: Duration::from_secs(1), restrict: true };

    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn start() -> Instant {
        Instant::now()
    }

    /// The nth nearest node.
    fn node(n: u8) -> NodeInfo {
        let mut id = [0; 20];
        id[0] = n;
        NodeInfo { id: NodeId(id), address: ([10, n, 0, 1], 6881).into() }
    }

    fn asked(lookup: &mut Lookup, now: Instant) -> Vec<SocketAddr> {
        std::iter::from_fn(|| lookup.next(now)).collect()
    }

    fn addresses(numbers: impl IntoIterator<Item = u8>) -> Vec<SocketAddr> {
        numbers.into_iter().map(|n| node(n).address).collect()
    }

    #[test]
    fn the_nearest_are_asked_a_few_at_a_time() {
        let (mut lookup, now) = (Lookup::new(TARGET, PACE), start());
        for n in [9, 5, 7, 3, 8] {
            lookup.add(node(n));
        }
        assert_eq!(asked(&mut lookup, now), addresses([3, 5, 7]));
        lookup.add(node(1));
        lookup.answered(node(5).address, node(5).id, None);
        assert_eq!(asked(&mut lookup, now), addresses([1]));
        lookup.failed(node(3).address);
        assert_eq!(asked(&mut lookup, now), addresses([8]));
        assert!(!lookup.is_done());
        for n in [1, 7, 8] {
            lookup.answered(node(n).address, node(n).id, Some(vec![n]));
        }
        assert_eq!(asked(&mut lookup, now), addresses([9]));
        lookup.failed(node(9).address);
        assert!(lookup.is_done());
        let closest: Vec<_> =
            lookup.closest().map(|(node, token)| (node, token.map(<[u8]>::to_vec))).collect();
        assert_eq!(
            closest,
            [(node(1), Some(vec![1])), (node(5), None), (node(7), Some(vec![7])), (node(8), Some(vec![8]))]
        );
    }

    #[test]
    fn far_nodes_are_not_asked_once_enough_near_ones_answered() {
        let (mut lookup, now) = (Lookup::new(TARGET, PACE), start());
        (1..=20).for_each(|n| lookup.add(node(n)));
        let mut all = Vec::new();
        while !lookup.is_done() {
            for address in asked(&mut lookup, now) {
                all.push(address);
                let n = u8::try_from(all.len()).unwrap();
                lookup.answered(address, node(n).id, None);
            }
        }
        assert_eq!(all, addresses(1..=8));
    }

    #[test]
    fn a_late_node_is_passed_by_and_still_waited_for() {
        let (mut lookup, now) = (Lookup::new(TARGET, PACE), start());
        (1..=12).for_each(|n| lookup.add(node(n)));
        assert_eq!(asked(&mut lookup, now), addresses(1..=3));
        assert_eq!(lookup.next_late(now), Some(now + PACE.late_after));
        let later = now + PACE.late_after;
        assert_eq!(asked(&mut lookup, later), addresses(4..=6));
        (4..=11).for_each(|n| {
            lookup.answered(node(n).address, node(n).id, None);
            asked(&mut lookup, later);
        });
        assert!(!lookup.is_done(), "the three nearest are not given up");
        lookup.answered(node(1).address, node(1).id, None);
        for n in [2, 3] {
            lookup.failed(node(n).address);
        }
        assert!(lookup.is_done());
        assert!(lookup.closest().any(|(one, _)| one == node(1)));
    }

    #[test]
    fn one_owner_cannot_fill_the_search() {
        let mut lookup = Lookup::new(TARGET, PACE);
        for n in 0..50 {
            lookup.add(NodeInfo { id: node(n).id, address: ([10, 0, 0, n], 1).into() });
            lookup.add(NodeInfo { id: node(n).id, address: ([10, 0, 1, 1], u16::from(n)).into() });
        }
        assert_eq!(lookup.candidates.len(), PER_NETWORK_MAX + 1);
        let mut lookup = Lookup::new(TARGET, Pace { restrict: false, ..PACE });
        for n in 0..2000_u16 {
            let id = NodeId([u8::try_from(n % 256).unwrap(); 20]);
            lookup.add(NodeInfo { id, address: ([10, 0, 0, 1], n).into() });
        }
        assert_eq!(lookup.candidates.len(), CANDIDATES_MAX);
    }

    #[test]
    fn nodes_with_ids_of_their_choice_hide_nobody_and_hold_nothing() {
        let (mut lookup, now) = (Lookup::new(TARGET, PACE), start());
        let chosen = |n: u8| {
            let mut id = [0; 20];
            id[10] = n;
            NodeInfo { id: NodeId(id), address: ([20, n, 0, 1], 6881).into() }
        };
        let sound = |n: u8| {
            let address: SocketAddr = ([30, n, 0, 1], 6881).into();
            NodeInfo { id: NodeId::for_ip(address.ip(), [n; 20]), address }
        };
        (0..20).for_each(|n| lookup.add(chosen(n)));
        (0..20).for_each(|n| lookup.add(sound(n)));
        assert!(!chosen(1).id.fits(chosen(1).address.ip()));
        let mut all = Vec::new();
        while let Some(address) = lookup.next(now) {
            all.push(address);
            let named =
                (0..20).map(|n| if address.ip() == chosen(n).address.ip() { chosen(n) } else { sound(n) });
            let node = named.into_iter().find(|node| node.address == address).unwrap();
            lookup.answered(address, node.id, Some(vec![1]));
        }
        assert!(lookup.is_done());
        assert_eq!(all.len(), 2 * K, "the nearest of all, and the nearest that fit");
        assert!(lookup.closest().all(|(node, _)| node.id.fits(node.address.ip())));
        assert_eq!(lookup.closest().count(), K);
        let mut few = Lookup::new(TARGET, PACE);
        few.add(chosen(1));
        few.add(sound(1));
        while let Some(address) = few.next(now) {
            let node = if address == chosen(1).address { chosen(1) } else { sound(1) };
            few.answered(address, node.id, None);
        }
        let closest: Vec<NodeInfo> = few.closest().map(|(node, _)| node).collect();
        assert_eq!(closest, [sound(1), chosen(1)], "better one that does not fit than none");
    }

    #[test]
    fn a_router_is_asked_when_nobody_nearer_is_known() {
        let (mut lookup, now) = (Lookup::new(TARGET, PACE), start());
        assert!(lookup.is_done(), "with nobody to ask there is nothing to wait for");
        lookup.add_router(([192, 0, 2, 1], 6881).into());
        lookup.add(node(1));
        assert_eq!(asked(&mut lookup, now), [node(1).address, ([192, 0, 2, 1], 6881).into()]);
    }
}
