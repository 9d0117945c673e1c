//! A network of hundreds of nodes with a clock of its own: lookups against what is true of it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap},
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    K,
    lookup::Pace,
    node::{Asked, Besides, Config, Event, Node, Outcome, SearchId},
    node_id::NodeId,
    random::Random,
    walk::Walk,
};
use crate::{InfoHash, tracker::Family};

const SWARM: InfoHash = InfoHash([0x5a; 20]);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrival { to: SocketAddr, from: SocketAddr, datagram: Vec<u8> },
    Wake(SocketAddr),
}

/// Nodes, the datagrams between them, and the time.
struct Network {
    now: Instant,
    nodes: BTreeMap<SocketAddr, Node>,
    agenda: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    happenings: u64,
    woken_at: HashMap<SocketAddr, Instant>,
    random: Random,
    loss_percent: u8,
    events: Vec<(SocketAddr, Event)>,
}

fn config(read_only: bool, family: Family, id: NodeId) -> Config {
    Config {
        read_only,
        families: vec![family],
        ids: HashMap::from([(family, id)]),
        queries_per_second: 200,
        pace: Pace { alpha: 4, late_after: Duration::from_millis(500), restrict: true },
        timeout: Duration::from_secs(2),
        version: *b"ST01",
        allows: Arc::new(|_| true),
    }
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn new(seed: u8, loss_percent: u8) -> Self {
        Self {
            now: Instant::now(),
            nodes: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            happenings: 0,
            woken_at: HashMap::new(),
            random: Random::new([seed; 32]),
            loss_percent,
            events: Vec::new(),
        }
    }

    /// A network in which all have found each other through the first.
    fn joined(seed: u8, loss_percent: u8, family: Family, count: usize) -> Self {
        let mut network = Self::new(seed, loss_percent);
        let router = network.add(false, family, None);
        for _ in 1..count {
            network.add(false, family, Some(router));
            network.run(Duration::from_millis(50));
        }
        network.run(Duration::from_secs(12));
        network
    }

    fn add(&mut self, read_only: bool, family: Family, router: Option<SocketAddr>) -> SocketAddr {
        let [a, b, c, d] = self.random.bytes();
        let address: SocketAddr = match family {
            Family::Ipv4 => ([a, b, c, d], 6881).into(),
            Family::Ipv6 => {
                (Ipv6Addr::new(0x2001, a.into(), b.into(), c.into(), d.into(), 0, 0, 1), 6881).into()
            }
        };
        let id = NodeId::for_ip(address.ip(), self.random.bytes());
        let mut node = Node::new(config(read_only, family, id), self.random.bytes(), self.now);
        if let Some(router) = router {
            node.add_router(router);
        }
        self.nodes.insert(address, node);
        self.attend(address);
        address
    }

    fn plan(&mut self, at: Instant, happening: Happening) {
        self.happenings += 1;
        self.agenda.push(Reverse((at, self.happenings, happening)));
    }

    /// Takes from a node all that it has.
    fn attend(&mut self, address: SocketAddr) {
        let Some(node) = self.nodes.get_mut(&address) else { return };
        let mut sent = Vec::new();
        while let Some(datagram) = node.poll_transmit(self.now) {
            sent.push(datagram);
        }
        while let Some(event) = node.poll_event() {
            self.events.push((address, event));
        }
        let wake = node.poll_timeout(self.now).max(self.now + Duration::from_micros(1));
        if self.woken_at.get(&address).is_none_or(|&at| wake < at || at <= self.now) {
            self.woken_at.insert(address, wake);
            self.plan(wake, Happening::Wake(address));
        }
        for (to, datagram) in sent {
            assert!(datagram.len() < 1400, "a datagram that would be split");
            let [lost, delay] = self.random.bytes();
            if lost % 100 >= self.loss_percent {
                let at = self.now + Duration::from_millis(10 + u64::from(delay) / 2);
                self.plan(at, Happening::Arrival { to, from: address, datagram });
            }
        }
    }

    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(Reverse((at, ..))) = self.agenda.peek()
            && *at <= until
        {
            let Some(Reverse((at, _, happening))) = self.agenda.pop() else { return };
            self.now = at;
            let address = match happening {
                Happening::Arrival { to, from, datagram } => {
                    if let Some(node) = self.nodes.get_mut(&to) {
                        node.handle_datagram(at, from, &datagram);
                    }
                    to
                }
                Happening::Wake(address) => {
                    self.woken_at.remove(&address);
                    if let Some(node) = self.nodes.get_mut(&address) {
                        node.handle_timeout(at);
                    }
                    address
                }
            };
            self.attend(address);
        }
        self.now = until;
    }

    fn find(&mut self, address: SocketAddr, family: Family, besides: Besides) -> SearchId {
        let search =
            self.nodes.get_mut(&address).unwrap().find_peers(self.now, family, SWARM, besides).unwrap();
        self.attend(address);
        search
    }

    /// The outcomes of one kind in one search.
    fn outcomes(&self, search: SearchId, of: SocketAddr, kind: Asked) -> Vec<(SocketAddr, &Outcome)> {
        let ended = self.events.iter().filter_map(|(at, event)| match event {
            Event::Ended { search: id, asked, node, outcome, .. }
                if *id == search && *asked == kind && *at == of =>
            {
                Some((*node, outcome))
            }
            _ => None,
        });
        ended.collect()
    }

    fn is_finished(&self, search: SearchId, of: SocketAddr) -> bool {
        self.events.iter().any(|(at, event)| {
            *at == of && matches!(event, Event::Finished { search: id, .. } if *id == search)
        })
    }

    /// The serving nodes that truly are nearest to the swarm, but for `except`.
    fn nearest(&self, family: Family, except: SocketAddr) -> BTreeSet<SocketAddr> {
        let target = NodeId::from(SWARM);
        let mut nodes: Vec<_> = self
            .nodes
            .iter()
            .filter(|(address, _)| **address != except)
            .filter_map(|(address, node)| Some((node.id(family)?.distance(&target), *address)))
            .collect();
        nodes.sort_unstable();
        nodes.into_iter().take(K).map(|(_, address)| address).collect()
    }
}

fn answered<'a>(outcomes: &[(SocketAddr, &'a Outcome)]) -> BTreeMap<SocketAddr, &'a [SocketAddr]> {
    let peers = outcomes.iter().filter_map(|(node, outcome)| match outcome {
        Outcome::Answered { peers, .. } => Some((*node, peers.as_slice())),
        _ => None,
    });
    peers.collect()
}

/// Lets every fifth node of a network announce itself in the swarm, and a newcomer look for them.
fn finds_all(network: &mut Network, family: Family) -> (SearchId, SocketAddr) {
    let peers: Vec<SocketAddr> = network.nodes.keys().copied().step_by(5).collect();
    for &peer in &peers {
        network.find(peer, family, Besides { announce: Some(51413), scrape: false });
    }
    network.run(Duration::from_secs(6));
    let watcher = network.add(true, family, peers.first().copied());
    network.run(Duration::from_secs(2));
    let search = network.find(watcher, family, Besides { announce: None, scrape: true });
    network.run(Duration::from_secs(8));
    assert!(network.is_finished(search, watcher));

    let outcomes = network.outcomes(search, watcher, Asked::GetPeers);
    let told = answered(&outcomes);
    let found: BTreeSet<SocketAddr> = told.values().flat_map(|peers| peers.iter().copied()).collect();
    let announced: BTreeSet<_> = peers.iter().map(|peer| SocketAddr::new(peer.ip(), 51413)).collect();
    assert_eq!(found, announced, "every peer of the swarm");
    let nearest = network.nearest(family, watcher);
    let asked: BTreeSet<_> = outcomes.iter().map(|(node, _)| *node).collect();
    assert!(nearest.is_subset(&asked), "the nearest nodes are asked: {nearest:?} of {asked:?}");
    let watcher_is_unknown = network.nodes.iter().all(|(address, node)| {
        *address == watcher || node.proven(network.now, family).iter().all(|known| known.address != watcher)
    });
    assert!(watcher_is_unknown, "who only reads is in no table");
    (search, watcher)
}

#[test]
fn a_lookup_finds_the_nearest_nodes_and_all_peers_and_goes_around_those_that_left() {
    let mut network = Network::joined(1, 0, Family::Ipv4, 220);
    let (search, watcher) = finds_all(&mut network, Family::Ipv4);
    let outcomes = network.outcomes(search, watcher, Asked::GetPeers);
    let told = answered(&outcomes);
    assert!(network.nearest(Family::Ipv4, watcher).iter().all(|node| told.contains_key(node)));
    assert!(outcomes.len() < 40, "{} queries", outcomes.len());
    let sizes = network.outcomes(search, watcher, Asked::Scrape);
    assert_eq!(sizes.len(), K);
    for (_, outcome) in &sizes {
        let Outcome::Answered { scrape: Some(scrape), .. } = outcome else { panic!("{outcome:?}") };
        assert!((scrape.peers.size() - 44.0).abs() < 4.0, "{scrape:?}");
    }

    let gone: Vec<SocketAddr> =
        network.nodes.keys().copied().filter(|at| *at != watcher).step_by(3).collect();
    network.nodes.retain(|address, _| !gone.contains(address));
    let search = network.find(watcher, Family::Ipv4, Besides::default());
    network.run(Duration::from_secs(8));
    assert!(network.is_finished(search, watcher));
    let outcomes = network.outcomes(search, watcher, Asked::GetPeers);
    assert!(outcomes.iter().any(|(_, outcome)| **outcome == Outcome::TimedOut));
    let told = answered(&outcomes);
    let reached =
        network.nearest(Family::Ipv4, watcher).iter().filter(|node| told.contains_key(node)).count();
    assert!(
        reached >= K - 2,
        "{reached} of the nearest that are left, though the tables still name the others"
    );
}

#[test]
fn a_lookup_finds_all_peers_over_ipv6_though_packets_are_lost() {
    finds_all(&mut Network::joined(2, 5, Family::Ipv6, 200), Family::Ipv6);
}

#[test]
fn the_budget_holds_and_nobody_starves() {
    let mut network = Network::joined(5, 0, Family::Ipv4, 50);
    let watcher = *network.nodes.keys().next().unwrap();
    let began = network.now;
    let searches: Vec<SearchId> =
        (0..40).map(|_| network.find(watcher, Family::Ipv4, Besides::default())).collect();
    network.run(Duration::from_secs(5));
    assert!(searches.iter().all(|&search| network.is_finished(search, watcher)));
    let mut seconds: BTreeMap<u64, usize> = BTreeMap::new();
    for (at, event) in &network.events {
        if let Event::Ended { began: sent, .. } = event
            && *at == watcher
        {
            *seconds.entry((*sent - began).as_secs()).or_default() += 1;
        }
    }
    assert!(seconds.values().all(|&sent| sent <= 250), "{seconds:?}");
    assert!(seconds.values().sum::<usize>() >= 40 * K);
}

#[test]
fn with_nobody_to_ask_a_search_ends_at_once() {
    let mut network = Network::new(6, 0);
    let lonely = network.add(true, Family::Ipv4, None);
    let search = network.find(lonely, Family::Ipv4, Besides { announce: Some(1), scrape: true });
    assert!(network.is_finished(search, lonely));
    assert!(
        network
            .nodes
            .get_mut(&lonely)
            .unwrap()
            .find_peers(network.now, Family::Ipv6, SWARM, Besides::default())
            .is_none()
    );
}

#[test]
fn an_id_comes_to_fit_the_address_that_others_see() {
    let mut network = Network::joined(7, 0, Family::Ipv4, 40);
    let router = *network.nodes.keys().next().unwrap();
    let newcomer = network.add(true, Family::Ipv4, Some(router));
    let wrong = NodeId([0x11; 20]);
    let mut node = Node::new(config(true, Family::Ipv4, wrong), [9; 32], network.now);
    node.add_router(router);
    network.nodes.insert(newcomer, node);
    network.attend(newcomer);
    network.run(Duration::from_secs(8));
    let node = &network.nodes[&newcomer];
    assert!(node.id(Family::Ipv4).unwrap().fits(newcomer.ip()));
    assert!(node.known(Family::Ipv4) >= K);
}

#[test]
fn a_walk_finds_every_swarm_of_the_network() {
    let mut network = Network::joined(8, 2, Family::Ipv4, 150);
    let holders: Vec<SocketAddr> = network.nodes.keys().copied().collect();
    let swarms: BTreeSet<InfoHash> = (0..60).map(|_| InfoHash(network.random.bytes())).collect();
    for (info_hash, holder) in swarms.iter().zip(&holders) {
        let announce = Besides { announce: Some(51413), scrape: false };
        network
            .nodes
            .get_mut(holder)
            .unwrap()
            .find_peers(network.now, Family::Ipv4, *info_hash, announce)
            .unwrap();
        network.attend(*holder);
    }
    network.run(Duration::from_secs(10));
    let walker = network.add(true, Family::Ipv4, holders.first().copied());
    network.run(Duration::from_secs(3));
    let mut walk = Walk::new([3; 32], true);
    let (mut found, mut asked) = (BTreeSet::new(), 0);
    for _ in 0..200 {
        let now = network.now;
        let node = network.nodes.get_mut(&walker).unwrap();
        node.proven(now, Family::Ipv4).into_iter().for_each(|known| walk.add(known));
        while node.has_room_to_sample()
            && let Some((to, target)) = walk.next(now)
        {
            asked += usize::from(node.sample(to, target));
        }
        network.attend(walker);
        network.run(Duration::from_millis(100));
        let now = network.now;
        for (at, event) in std::mem::take(&mut network.events) {
            if let Event::Sampled { node, answer: Some(sampled) } = event
                && at == walker
            {
                found.extend(sampled.samples.iter().flat_map(|samples| samples.info_hashes.iter().copied()));
                walk.sampled(now, node, &sampled);
            }
        }
    }
    assert_eq!(found, swarms);
    assert!(asked >= 140, "{asked} of 150 nodes");
    assert!(asked <= 300, "nobody is asked again before its interval: {asked}");
}

#[test]
fn a_cancelled_search_asks_nobody_more() {
    let mut network = Network::joined(9, 0, Family::Ipv4, 60);
    let watcher = *network.nodes.keys().next().unwrap();
    let search = network.find(watcher, Family::Ipv4, Besides { announce: Some(1), scrape: true });
    network.events.clear();
    network.nodes.get_mut(&watcher).unwrap().cancel(search);
    network.attend(watcher);
    network.run(Duration::from_secs(8));
    let told = |event: &Event| matches!(event, Event::Ended { search: id, .. } | Event::Finished { search: id, .. } if *id == search);
    assert!(!network.events.iter().any(|(at, event)| *at == watcher && told(event)));
}
