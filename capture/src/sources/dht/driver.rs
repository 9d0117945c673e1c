//! The task that owns the node: datagrams, deadlines, swarms that are due and nodes to keep, one after another.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use wire::{
    InfoHash,
    dht::{
        lookup::Pace,
        node::{Besides, Config, Event, Node, SearchId},
    },
    tracker::Family,
};

use super::{
    LOOK_UP_EVERY, LOOK_UP_EVERY_MIN, PACE, Setup, TIMEOUT, VERSION,
    plan::{Plan, Turn},
    report::{Query, Report},
    routers,
    state::{NODES_MAX, State},
};
use crate::{
    clock::Clock,
    sources::{RequestCounts, tracker::ListenPorts},
    swarm::Swarm,
    udp::krpc::{Port, receive},
};

/// Nodes are kept on disk this often, and when the run ends.
const SAVE_EVERY: Duration = Duration::from_mins(5);
/// Swarms are looked up once our own neighbourhood is found, or this much is known.
const KNOWN_ENOUGH: usize = 32;
/// Addresses to begin from that may wait for us.
const ROUTERS_WAITING_MAX: usize = 16;

/// One family: its socket and its searches.
struct Side {
    family: Family,
    port: Port,
    plan: Plan,
    joined: bool,
    running: HashMap<SearchId, Turn>,
}

/// Everything of the DHT.
pub(super) struct Driver {
    node: Node,
    ipv4: Option<Side>,
    ipv6: Option<Side>,
    swarms: Arc<[Arc<Swarm>]>,
    ports: ListenPorts,
    clock: Clock,
    counts: Arc<RequestCounts>,
    reports: mpsc::Sender<Report>,
    routers: mpsc::Receiver<SocketAddr>,
    is_lost: Arc<AtomicBool>,
    state: PathBuf,
    keeps_nodes: bool,
    save_at: Instant,
    ending: CancellationToken,
    _resolving: AbortOnDropHandle<()>,
}

impl Driver {
    /// Loads what is known; none if there is no socket of either family.
    pub async fn new(setup: Setup, reports: mpsc::Sender<Report>) -> Option<Self> {
        let now = setup.clock.instant();
        let every = setup.look_up_every.unwrap_or(LOOK_UP_EVERY).max(LOOK_UP_EVERY_MIN);
        let swarms = setup.swarms.len();
        let side = |family, port: Option<Port>| {
            let port = port?;
            tracing::debug!("the DHT is asked over {} from {:?}", name(family), port.address());
            let plan = Plan::new(swarms, every, now);
            Some(Side { family, port, plan, joined: false, running: HashMap::new() })
        };
        let [ipv4, ipv6] = setup.udp;
        let (ipv4, ipv6) = (side(Family::Ipv4, ipv4), side(Family::Ipv6, ipv6));
        let families: Vec<Family> = [&ipv4, &ipv6].into_iter().flatten().map(|side| side.family).collect();
        if families.is_empty() {
            return None;
        }
        let path = setup.state.clone();
        let kept = tokio::task::spawn_blocking(move || State::load(&path)).await.unwrap_or_default();
        let policy = Arc::clone(&setup.policy);
        let config = Config {
            read_only: !setup.serve,
            families,
            ids: kept.ids,
            queries_per_second: setup.queries_per_second,
            pace: Pace { restrict: !setup.unrestricted, ..PACE },
            timeout: TIMEOUT,
            version: VERSION,
            allows: Arc::new(move |address| policy.check_endpoint(address).is_ok()),
        };
        let mut node = Node::new(config, rand::random(), now.into_std());
        kept.nodes.into_iter().for_each(|known| node.add_hint(known));
        let is_lost = Arc::new(AtomicBool::new(true));
        let (found, routers) = mpsc::channel(ROUTERS_WAITING_MAX);
        let resolving = routers::resolve(setup.routers, setup.policy, Arc::clone(&is_lost), found);
        Some(Self {
            node,
            ipv4,
            ipv6,
            swarms: setup.swarms,
            ports: setup.ports,
            clock: setup.clock,
            counts: setup.counts,
            reports,
            routers,
            is_lost,
            state: setup.state,
            keeps_nodes: setup.keeps_nodes,
            save_at: now + SAVE_EVERY,
            ending: setup.ending,
            _resolving: AbortOnDropHandle::new(tokio::spawn(resolving)),
        })
    }

    /// Looks swarms up until the run ends.
    pub async fn run(mut self) {
        loop {
            self.act().await;
            let wake = self.wake();
            let (ipv4, ipv6) = (&mut self.ipv4, &mut self.ipv6);
            tokio::select! {
                biased;
                () = self.ending.cancelled() => break,
                (from, datagram) = receive(ipv4.as_mut().map(|side| &mut side.port)) => {
                    self.node.handle_datagram(self.clock.instant().into_std(), from, &datagram);
                }
                (from, datagram) = receive(ipv6.as_mut().map(|side| &mut side.port)) => {
                    self.node.handle_datagram(self.clock.instant().into_std(), from, &datagram);
                }
                Some(router) = self.routers.recv() => self.node.add_router(router),
                () = sleep_until(wake) => {}
            }
        }
        self.save().await;
    }

    /// Does all that is due: begins searches, sends, and tells of what ended.
    async fn act(&mut self) {
        let now = self.clock.instant();
        if now.into_std() >= self.node.poll_timeout(now.into_std()) {
            self.node.handle_timeout(now.into_std());
        }
        self.leave_private();
        self.begin_searches(now);
        while let Some((to, datagram)) = self.node.poll_transmit(now.into_std()) {
            let side = if to.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
            if let Some(side) = side {
                side.port.send(to, &datagram).await;
            }
        }
        while let Some(event) = self.node.poll_event() {
            self.tell(now, event).await;
        }
        if now >= self.save_at {
            self.save_at = now + SAVE_EVERY;
            self.save().await;
        }
    }

    fn wake(&self) -> Instant {
        let now = self.clock.instant();
        let sides = [&self.ipv4, &self.ipv6].into_iter().flatten();
        let due = sides.filter(|side| self.is_ready(side)).filter_map(|side| side.plan.wake());
        due.fold(Instant::from_std(self.node.poll_timeout(now.into_std())).min(self.save_at), Instant::min)
    }

    /// Whether a search is likely to find its way.
    fn is_ready(&self, side: &Side) -> bool {
        let known = self.node.known(side.family);
        known >= KNOWN_ENOUGH || side.joined && known > 0
    }

    fn begin_searches(&mut self, now: Instant) {
        for (family, port) in [(Family::Ipv4, self.ports.ipv4), (Family::Ipv6, self.ports.ipv6)] {
            if !self.side(family).is_some_and(|side| self.is_ready(side)) {
                continue;
            }
            while let Some(turn) = self.side_mut(family).and_then(|side| side.plan.next(now)) {
                let besides = Besides { announce: port, scrape: true };
                let info_hash = self
                    .swarms
                    .get(turn.swarm)
                    .filter(|swarm| !swarm.is_private())
                    .map(|swarm| swarm.info_hash.0);
                let search = info_hash
                    .and_then(|hash| self.node.find_peers(now.into_std(), family, InfoHash(hash), besides));
                let Some(side) = self.side_mut(family) else { return };
                match search {
                    Some(search) => drop(side.running.insert(search, turn)),
                    None => side.plan.dropped(),
                }
            }
        }
    }

    /// Ends the searches for swarms whose metadata has just told that they are private (BEP 27).
    fn leave_private(&mut self) {
        for side in [&mut self.ipv4, &mut self.ipv6].into_iter().flatten() {
            let swarms = &self.swarms;
            let is_private = |turn: &Turn| swarms.get(turn.swarm).is_some_and(|swarm| swarm.is_private());
            for (search, _) in side.running.extract_if(|_, turn| is_private(turn)) {
                self.node.cancel(search);
                side.plan.dropped();
            }
        }
    }

    async fn tell(&mut self, now: Instant, event: Event) {
        match event {
            Event::Ended { search, asked, node, began, ended, outcome } => {
                let family = if node.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
                let turn = self.side(family).and_then(|side| side.running.get(&search));
                let Some(swarm) = turn.and_then(|turn| self.swarms.get(turn.swarm)) else { return };
                let query = Query { asked, node, began, ended, outcome };
                let mut report = Report::new(swarm, query, self.clock, &self.counts);
                if swarm.is_private() {
                    // It was asked for before its metadata said so.
                    report.answer = None;
                }
                // Nobody hears it any more only where a test has ended.
                self.reports.send(report).await.ok();
            }
            Event::Finished { search, answered, .. } => {
                for side in [&mut self.ipv4, &mut self.ipv6].into_iter().flatten() {
                    if let Some(turn) = side.running.remove(&search) {
                        side.plan.finished(now, turn, answered > 0, rand::random());
                    }
                }
            }
            Event::Sampled { .. } => {}
            Event::Joined { family, nodes } => {
                tracing::debug!("the DHT over {}: {nodes} nodes known", name(family));
                if let Some(side) = self.side_mut(family) {
                    side.joined |= nodes > 0;
                }
                let known = self.node.known(Family::Ipv4) + self.node.known(Family::Ipv6);
                self.is_lost.store(known == 0, Ordering::Relaxed);
            }
        }
    }

    fn side(&self, family: Family) -> Option<&Side> {
        match family {
            Family::Ipv4 => self.ipv4.as_ref(),
            Family::Ipv6 => self.ipv6.as_ref(),
        }
    }

    fn side_mut(&mut self, family: Family) -> Option<&mut Side> {
        match family {
            Family::Ipv4 => self.ipv4.as_mut(),
            Family::Ipv6 => self.ipv6.as_mut(),
        }
    }

    /// Keeps the nodes that answered, unless addresses are hidden; without any, what was kept before stays.
    async fn save(&self) {
        let now = self.clock.instant().into_std();
        let mut state = State::default();
        for family in [Family::Ipv4, Family::Ipv6] {
            state.ids.extend(self.node.id(family).map(|id| (family, id)));
            state.nodes.extend(self.node.proven(now, family).into_iter().take(NODES_MAX));
        }
        match self.keeps_nodes {
            true if state.nodes.is_empty() => return,
            true => {}
            false => state.nodes.clear(),
        }
        let path = self.state.clone();
        let saved =
            tokio::task::spawn_blocking(move || state.save(&path).map_err(|error| (path, error))).await;
        if let Ok(Err((path, error))) = saved {
            tracing::warn!("cannot keep the known DHT nodes in {}: {error}", path.display());
        }
    }

    #[cfg(test)]
    pub(super) fn address(&self) -> SocketAddr {
        let side = self.ipv4.as_ref().expect("a socket");
        side.port.address().expect("an address")
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
