//! One DHT node of ours, in both families: it looks swarms up, keeps its routing tables, and answers if it serves.
//!
//! Bytes and time in by `handle_*`, datagrams, events and the next deadline out of `poll_*`; call `poll_transmit` and
//! `poll_event` until they give nothing after every call that changes something.

mod family;
mod receive;
mod search;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{family::FamilyState, search::Search};
use super::{
    NodeInfo,
    budget::Budget,
    krpc::{Body, Message, Query, Scrape, Want},
    lookup::Pace,
    node_id::NodeId,
    random::Random,
    server::Server,
    walk::Sampled,
};
use crate::{InfoHash, tracker::Family};

/// How often tables are looked after.
const MAINTENANCE_EVERY: Duration = Duration::from_secs(1);
/// A token is good for one to two of these.
const ROTATE_EVERY: Duration = Duration::from_mins(5);
/// Datagrams that may wait to be taken; answers beyond that are dropped.
const OUT_MAX: usize = 256;
/// Nodes that may wait to be asked for samples.
const SAMPLINGS_MAX: usize = 64;
/// Queries of others answered per second, at most: we are no amplifier.
const ANSWERS_PER_SECOND: u32 = 500;

/// What kind of node it is.
#[derive(Clone)]
pub struct Config {
    /// Ask, but answer nobody (BEP 43).
    pub read_only: bool,
    /// The families there are sockets for.
    pub families: Vec<Family>,
    /// Our IDs of an earlier life, by family.
    pub ids: HashMap<Family, NodeId>,
    /// Queries sent per second, at most, over all searches.
    pub queries_per_second: u32,
    /// How searches go about it.
    pub pace: Pace,
    /// A query without an answer fails after this long.
    pub timeout: Duration,
    /// Our client and version (`v`).
    pub version: [u8; 4],
    /// Whether an address may be sent anything.
    pub allows: Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>,
}

/// Names a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SearchId(u64);

/// What a search for a swarm does besides collecting peers, at the nodes nearest to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Besides {
    /// Announces us with this port.
    pub announce: Option<u16>,
    /// Asks for bloom filters (BEP 33).
    pub scrape: bool,
}

/// What was asked in a search for a swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `announce_peer`
    Announce,
    /// `get_peers`
    GetPeers,
    /// `get_peers` with `scrape` (BEP 33).
    Scrape,
}

/// How a query ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Answered {
        /// The peers in it, IPv4-mapped made IPv4.
        peers: Vec<SocketAddr>,
        /// The filters in it.
        scrape: Option<Scrape>,
    },
    /// With a KRPC error.
    Failure {
        /// Its number.
        code: i64,
        /// Its text.
        text: String,
    },
    /// With something that could not be understood.
    Malformed(String),
    /// With nothing in time.
    TimedOut,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A query of a search for a swarm ended.
    Ended {
        /// The search.
        search: SearchId,
        /// What was asked.
        asked: Asked,
        /// Whom.
        node: SocketAddr,
        /// When the query left.
        began: Instant,
        /// When its answer came, or was given up.
        ended: Instant,
        /// How it ended.
        outcome: Outcome,
    },
    /// A search for a swarm is over.
    Finished {
        /// The search.
        search: SearchId,
        /// Nodes that answered.
        answered: u32,
        /// Nodes that did not.
        failed: u32,
    },
    /// A node was asked for a sample of its swarms, see [`Node::sample`].
    Sampled {
        /// Which.
        node: SocketAddr,
        /// What it answered; `None` for nothing that could be understood in time.
        answer: Option<Sampled>,
    },
    /// The search for our own neighbourhood is over; it is repeated by itself.
    Joined {
        /// Of this family.
        family: Family,
        /// Nodes in the routing table.
        nodes: usize,
    },
}

type Transaction = [u8; 4];

/// A query under way.
struct Pending {
    to: SocketAddr,
    began: Instant,
    purpose: Purpose,
}

#[derive(Clone, Copy)]
enum Purpose {
    Ping,
    Sample,
    Search(SearchId, Asked),
}

/// One node of the DHT.
pub struct Node {
    config: Config,
    random: Random,
    families: HashMap<Family, FamilyState>,
    searches: BTreeMap<SearchId, Search>,
    searches_begun: u64,
    /// Whose turn to send it was last.
    turn: SearchId,
    pending: HashMap<Transaction, Pending>,
    /// In the order in which they fall due.
    deadlines: VecDeque<(Instant, Transaction)>,
    pings: VecDeque<SocketAddr>,
    samplings: VecDeque<(SocketAddr, NodeId)>,
    server: Option<Server>,
    queries: Budget,
    answers: Budget,
    /// Whether the budget held something back.
    held_back: bool,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    maintain_at: Instant,
    rotate_at: Instant,
}

impl Node {
    /// A node that knows nobody; `seed` are 32 bytes nobody can guess.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let mut random = Random::new(seed);
        let state = |&family: &Family| {
            let id = config.ids.get(&family).copied().unwrap_or_else(|| NodeId(random.bytes()));
            (family, FamilyState::new(id, config.pace.restrict, now))
        };
        let families = config.families.iter().map(state).collect();
        let server = (!config.read_only).then(|| Server::new(random.bytes()));
        Self {
            families,
            searches: BTreeMap::new(),
            searches_begun: 0,
            turn: SearchId(0),
            pending: HashMap::new(),
            deadlines: VecDeque::new(),
            pings: VecDeque::new(),
            samplings: VecDeque::new(),
            server,
            queries: Budget::new(config.queries_per_second, now),
            answers: Budget::new(ANSWERS_PER_SECOND, now),
            held_back: false,
            out: VecDeque::new(),
            events: VecDeque::new(),
            maintain_at: now,
            rotate_at: now + ROTATE_EVERY,
            config,
            random,
        }
    }

    /// Our ID in a family.
    pub fn id(&self, family: Family) -> Option<NodeId> {
        self.families.get(&family).map(|state| state.id)
    }

    /// The nodes of a family that answered us, for the next life.
    pub fn proven(&self, now: Instant, family: Family) -> Vec<NodeInfo> {
        self.families.get(&family).map(|state| state.table.proven(now)).unwrap_or_default()
    }

    /// Nodes in the routing table of a family.
    pub fn known(&self, family: Family) -> usize {
        self.families.get(&family).map_or(0, |state| state.table.len())
    }

    /// Adds an address to begin from while hardly a node is known.
    pub fn add_router(&mut self, address: SocketAddr) {
        if (self.config.allows)(address)
            && let Some(state) = self.state_of(address)
        {
            self.maintain_at = state.add_router(address).min(self.maintain_at);
        }
    }

    /// Adds a node that was known in an earlier life, or that a peer told of.
    pub fn add_hint(&mut self, node: NodeInfo) {
        if (self.config.allows)(node.address)
            && let Some(state) = self.state_of(node.address)
        {
            self.maintain_at = state.add_hint(node).min(self.maintain_at);
        }
    }

    /// What to send next, and to whom.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        if let Some(answer) = self.out.pop_front() {
            return Some(answer);
        }
        let is_idle = self.pings.is_empty() && self.samplings.is_empty() && self.searches.is_empty();
        self.held_back = self.queries.next() > now && !is_idle;
        if self.held_back {
            return None;
        }
        if let Some(to) = self.pings.pop_front() {
            return Some(self.query(now, to, Purpose::Ping, Query::Ping));
        }
        // Searches come first: they wait for each other's answers, so that they leave room.
        if let Some(datagram) = self.next_of_searches(now) {
            return Some(datagram);
        }
        let (to, target) = self.samplings.pop_front()?;
        let query = self.with_want(Query::SampleInfohashes { target, want: None });
        Some(self.query(now, to, Purpose::Sample, query))
    }

    fn next_of_searches(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let order: Vec<SearchId> = self
            .searches
            .range(SearchId(self.turn.0 + 1)..)
            .chain(self.searches.range(..=self.turn))
            .map(|(id, _)| *id)
            .collect();
        for id in order {
            let Some((to, asked, query)) = self.searches.get_mut(&id).and_then(|search| search.next(now))
            else {
                continue;
            };
            self.turn = id;
            let query = self.with_want(query);
            return Some(self.query(now, to, Purpose::Search(id, asked), query));
        }
        None
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self, now: Instant) -> Instant {
        let deadline = self.deadlines.front().map(|(at, _)| *at);
        let late = self.searches.values().filter_map(|search| search.next_late(now)).min();
        let budget = self.held_back.then(|| self.queries.next());
        [deadline, late, budget].into_iter().flatten().fold(self.maintain_at, Instant::min)
    }

    /// Gives up queries without an answer, and looks after the tables.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, transaction)) = self.deadlines.front()
            && at <= now
        {
            self.deadlines.pop_front();
            if let Some(pending) = self.pending.remove(&transaction) {
                if let Some(state) = self.state_of(pending.to) {
                    state.table.failed(now, pending.to);
                }
                self.end(now, &pending, Outcome::TimedOut);
            }
        }
        if now >= self.maintain_at {
            self.maintain_at = now + MAINTENANCE_EVERY;
            self.maintain(now);
        }
    }

    fn maintain(&mut self, now: Instant) {
        if now >= self.rotate_at {
            self.rotate_at = now + ROTATE_EVERY;
            let secret = self.random.bytes();
            if let Some(server) = &mut self.server {
                server.rotate(now, secret);
            }
        }
        let mut joins = Vec::new();
        for (family, state) in &mut self.families {
            let questionable = state.table.questionable(now).map(|node| node.address);
            self.pings.extend(questionable.filter(|to| !self.pings.contains(to)));
            if state.takes_join(now) {
                joins.push((*family, state.join_target(self.random.bytes())));
            }
        }
        for (family, target) in joins {
            self.begin(now, family, Search::join(target, self.config.pace));
        }
    }

    /// A query's datagram, after which its answer is waited for.
    fn query(
        &mut self,
        now: Instant,
        to: SocketAddr,
        purpose: Purpose,
        query: Query,
    ) -> (SocketAddr, Vec<u8>) {
        // Nothing is taken unless all is, so the budget agrees with what leaves.
        self.queries.take(now);
        let transaction = loop {
            let transaction = self.random.bytes();
            if !self.pending.contains_key(&transaction) {
                break transaction;
            }
        };
        let id = self.state_of(to).map_or(NodeId([0; 20]), |state| state.id);
        self.pending.insert(transaction, Pending { to, began: now, purpose });
        self.deadlines.push_back((now + self.config.timeout, transaction));
        let body = Body::Query { id, read_only: self.config.read_only, query };
        let message =
            Message { transaction: transaction.to_vec(), version: Some(self.config.version.to_vec()), body };
        (to, message.encode())
    }

    /// Asks for nodes of both families while one of ours knows hardly a node (BEP 32).
    fn with_want(&self, mut query: Query) -> Query {
        let both =
            self.families.len() == 2 && self.families.values().any(|state| state.table.len() < super::K);
        if let Query::FindNode { want, .. } | Query::GetPeers { want, .. } = &mut query
            && both
        {
            *want = Some(Want { ipv4: true, ipv6: true });
        }
        query
    }

    /// Asks a node for a sample of the swarms it holds and for nodes near `target` (BEP 51); false where it may not be
    /// asked, or too many wait.
    pub fn sample(&mut self, node: SocketAddr, target: NodeId) -> bool {
        let is_asked = (self.config.allows)(node)
            && self.families.contains_key(&super::family_of(node))
            && self.has_room_to_sample();
        if is_asked {
            self.samplings.push_back((node, target));
        }
        is_asked
    }

    /// Whether [`Self::sample`] may be called.
    pub fn has_room_to_sample(&self) -> bool {
        self.samplings.len() < SAMPLINGS_MAX
    }

    /// Ends a search without a further word: nothing more is asked, and what is under way is told no more.
    pub fn cancel(&mut self, search: SearchId) {
        self.searches.remove(&search);
    }

    fn state_of(&mut self, address: SocketAddr) -> Option<&mut FamilyState> {
        self.families.get_mut(&super::family_of(address))
    }

    /// Looks for the peers of a swarm in one family; `None` where there is no socket for it.
    pub fn find_peers(
        &mut self,
        now: Instant,
        family: Family,
        info_hash: InfoHash,
        besides: Besides,
    ) -> Option<SearchId> {
        self.begin(now, family, Search::peers(info_hash, besides, self.config.pace))
    }
}
