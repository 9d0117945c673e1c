//! `capture discover`: lists swarms by asking DHT nodes for samples of what they hold (BEP 51), and how large each is
//! (BEP 33). It announces nothing and contacts no peer.
//!
//! options → sockets, a node that only asks, a walk per family → `found` writes each info-hash once.

pub mod cli;
mod found;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Write},
    net::{IpAddr, SocketAddr},
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
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{AbortOnDropHandle, TaskTracker},
};
use wire::{
    InfoHash,
    dht::{
        lookup::Pace,
        node::{Asked, Besides, Config, Event, Node, Outcome, SearchId},
        walk::Walk,
    },
    tracker::Family,
};

use self::{cli::Format, found::Found};
use crate::{
    address::AddressPolicy,
    clock::Clock,
    sources::dht::{PACE, TIMEOUT, VERSION, routers},
    udp::{
        self, Udp,
        krpc::{self, Port},
    },
};

/// Swarms whose size is looked for at once.
const SCRAPES_MAX: usize = 24;
/// Swarms that wait for that; while more do, no node is asked for others.
const WAITING_MAX: usize = 1000;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// With nobody left to ask, those known are taken in again this often.
const AGAIN: Duration = Duration::from_secs(1);
/// Addresses to begin from that may wait for us.
const ROUTERS_WAITING_MAX: usize = 16;

/// What discovery needs from the edge.
pub struct Setup {
    /// Tells the time.
    pub clock: Clock,
    /// Which nodes may be contacted.
    pub policy: Arc<AddressPolicy>,
    /// Send from these addresses, one per family.
    pub bind: Vec<IpAddr>,
    /// Where to begin, as `HOST:PORT`.
    pub routers: Vec<String>,
    /// Questions per second, at most.
    pub queries_per_second: u32,
    /// Whether a host may be any number of nodes, as in a lab.
    pub unrestricted: bool,
    /// Whether each swarm's size is looked for.
    pub scrape: bool,
    /// How swarms are written.
    pub format: Format,
    /// Swarms to find.
    pub limit: usize,
    /// The longest it may take.
    pub run_for: Option<Duration>,
    /// Ends it early.
    pub cancel: CancellationToken,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Swarms written.
    pub swarms: usize,
    /// Nodes that were asked for a sample.
    pub asked: u64,
    /// Nodes that answered.
    pub answered: u64,
    /// Nodes that answered with a sample.
    pub sampled: u64,
}

/// Writes swarms until there are enough, the time is over, or nobody wants to read more.
pub async fn run(setup: Setup, out: &mut dyn Write) -> io::Result<Counts> {
    let mut discovery = Discovery::start(setup)?;
    match discovery.run(out).await {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(discovery.counts),
        ended => ended.map(|()| discovery.counts),
    }
}

/// One family: its socket and its walk.
struct Side {
    family: Family,
    port: Port,
    walk: Walk,
    /// When the nodes of the routing table are taken in again.
    again_at: Instant,
}

struct Discovery {
    setup: Setup,
    node: Node,
    ipv4: Option<Side>,
    ipv6: Option<Side>,
    routers: mpsc::Receiver<SocketAddr>,
    is_lost: Arc<AtomicBool>,
    found: Found,
    /// Swarms whose size is looked for, by family: one search each.
    scrapes: HashMap<SearchId, InfoHash>,
    counts: Counts,
    _reading: DropGuard,
    _resolving: AbortOnDropHandle<()>,
}

impl Discovery {
    fn start(setup: Setup) -> io::Result<Self> {
        let now = setup.clock.instant();
        let mut udp = Udp::open(&udp::Setup {
            listen: Vec::new(),
            bind: setup.bind.clone(),
            policy: Arc::clone(&setup.policy),
            clock: setup.clock,
            krpc: true,
            utp_connections_max: None,
        });
        let mut side = |family| {
            let walk = Walk::new(rand::random(), !setup.unrestricted);
            udp.take_krpc(family).map(|port| Side { family, port, walk, again_at: now })
        };
        let (ipv4, ipv6) = (side(Family::Ipv4), side(Family::Ipv6));
        let reading = setup.cancel.child_token();
        udp.spawn(&TaskTracker::new(), &reading);
        let families: Vec<Family> = [&ipv4, &ipv6].into_iter().flatten().map(|side| side.family).collect();
        if families.is_empty() {
            return Err(io::Error::other("no UDP socket could be opened"));
        }
        let policy = Arc::clone(&setup.policy);
        let config = Config {
            read_only: true,
            families,
            ids: HashMap::new(),
            queries_per_second: setup.queries_per_second,
            pace: Pace { restrict: !setup.unrestricted, ..PACE },
            timeout: TIMEOUT,
            version: VERSION,
            allows: Arc::new(move |address| policy.check_endpoint(address).is_ok()),
        };
        let is_lost = Arc::new(AtomicBool::new(true));
        let (resolved, routers) = mpsc::channel(ROUTERS_WAITING_MAX);
        let resolving = routers::resolve(
            setup.routers.clone(),
            Arc::clone(&setup.policy),
            Arc::clone(&is_lost),
            resolved,
        );
        Ok(Self {
            node: Node::new(config, rand::random(), now.into_std()),
            ipv4,
            ipv6,
            routers,
            is_lost,
            found: Found::new(setup.format, setup.limit, setup.scrape),
            scrapes: HashMap::new(),
            counts: Counts::default(),
            setup,
            _reading: reading.drop_guard(),
            _resolving: AbortOnDropHandle::new(tokio::spawn(resolving)),
        })
    }

    async fn run(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let began = self.setup.clock.instant();
        let ends_at = self.setup.run_for.map(|duration| began + duration);
        let cancel = self.setup.cancel.clone();
        let mut progress_at = began + PROGRESS_EVERY;
        while !self.found.is_done() {
            self.act(out).await?;
            if self.found.is_done() {
                break;
            }
            let wake = self.wake().min(progress_at);
            let (ipv4, ipv6) = (&mut self.ipv4, &mut self.ipv6);
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                () = sleep_until(ends_at.unwrap_or(began)), if ends_at.is_some() => break,
                (from, datagram) = krpc::receive(ipv4.as_mut().map(|side| &mut side.port)) => {
                    self.node.handle_datagram(self.setup.clock.instant().into_std(), from, &datagram);
                }
                (from, datagram) = krpc::receive(ipv6.as_mut().map(|side| &mut side.port)) => {
                    self.node.handle_datagram(self.setup.clock.instant().into_std(), from, &datagram);
                }
                Some(router) = self.routers.recv() => self.node.add_router(router),
                () = sleep_until(wake) => {}
            }
            if self.setup.clock.instant() >= progress_at {
                progress_at += PROGRESS_EVERY;
                self.tell_progress();
            }
        }
        // What was found and not measured any more is written without a size.
        self.found.write_rest(out)?;
        self.counts.swarms = self.found.written();
        out.flush()
    }

    /// Does all that is due.
    async fn act(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let now = self.setup.clock.instant();
        if now.into_std() >= self.node.poll_timeout(now.into_std()) {
            self.node.handle_timeout(now.into_std());
        }
        while let Some(event) = self.node.poll_event() {
            self.hear(now, event, out)?;
        }
        self.walk_on(now);
        self.scrape(now);
        while let Some((to, datagram)) = self.node.poll_transmit(now.into_std()) {
            let side = if to.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
            if let Some(side) = side {
                side.port.send(to, &datagram).await;
            }
            self.walk_on(now);
        }
        out.flush()
    }

    fn wake(&self) -> Instant {
        let now = self.setup.clock.instant();
        let sides = [&self.ipv4, &self.ipv6].into_iter().flatten();
        let rested = sides.map(|side| {
            side.walk.wake().map_or(side.again_at, |at| side.again_at.min(Instant::from_std(at)))
        });
        rested.fold(Instant::from_std(self.node.poll_timeout(now.into_std())), Instant::min)
    }

    /// Asks more nodes for samples, as far as there is room for what they would tell.
    fn walk_on(&mut self, now: Instant) {
        for side in [&mut self.ipv4, &mut self.ipv6].into_iter().flatten() {
            if now >= side.again_at {
                side.again_at = now + AGAIN;
                let known = self.node.proven(now.into_std(), side.family);
                for node in known {
                    side.walk.add(node);
                }
            }
            while self.node.has_room_to_sample() && self.found.waiting() < WAITING_MAX {
                let Some((node, target)) = side.walk.next(now.into_std()) else { break };
                self.counts.asked += u64::from(self.node.sample(node, target));
            }
        }
    }

    fn scrape(&mut self, now: Instant) {
        while self.scrapes.len() < SCRAPES_MAX {
            let Some(info_hash) = self.found.next_to_measure() else { return };
            let besides = Besides { announce: None, scrape: true };
            let mut searches = 0;
            for family in [Family::Ipv4, Family::Ipv6] {
                if self.node.known(family) == 0 {
                    continue;
                }
                let search = self.node.find_peers(now.into_std(), family, info_hash, besides);
                if let Some(search) = search {
                    self.scrapes.insert(search, info_hash);
                    searches += 1;
                }
            }
            self.found.measuring(info_hash, searches);
        }
    }

    fn hear(&mut self, now: Instant, event: Event, out: &mut dyn Write) -> io::Result<()> {
        match event {
            Event::Sampled { node, answer: Some(answer) } => {
                self.counts.answered += 1;
                let side = if node.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
                if let Some(side) = side {
                    side.walk.sampled(now.into_std(), node, &answer);
                }
                let Some(samples) = answer.samples else { return Ok(()) };
                self.counts.sampled += 1;
                for info_hash in samples.info_hashes {
                    self.found.add(info_hash, out)?;
                }
            }
            Event::Ended {
                search, asked: Asked::Scrape, outcome: Outcome::Answered { scrape, .. }, ..
            } => {
                if let (Some(info_hash), Some(scrape)) = (self.scrapes.get(&search), scrape) {
                    self.found.measured(*info_hash, &scrape);
                }
            }
            Event::Finished { search, .. } => {
                if let Some(info_hash) = self.scrapes.remove(&search) {
                    self.found.finished(info_hash, out)?;
                }
            }
            Event::Joined { .. } => {
                let known = self.node.known(Family::Ipv4) + self.node.known(Family::Ipv6);
                self.is_lost.store(known == 0, Ordering::Relaxed);
            }
            Event::Ended { .. } | Event::Sampled { answer: None, .. } => {}
        }
        Ok(())
    }

    fn tell_progress(&self) {
        let Counts { asked, answered, sampled, .. } = self.counts;
        let seen: usize = [&self.ipv4, &self.ipv6].into_iter().flatten().map(|side| side.walk.seen()).sum();
        tracing::info!(
            "{} swarms found, {} written; of {seen} nodes heard of {asked} were asked, {answered} answered, {sampled} \
             with swarms",
            self.found.len(),
            self.found.written(),
        );
    }
}
