//! What other nodes get from us: nodes, peers that announced themselves to us, and samples of their swarms.
//!
//! BEP 5, 33, 51. Peers are kept for 30 minutes; swarms and peers per swarm are bounded, the first come stay.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    K, NodeInfo,
    bloom::Bloom,
    family_of,
    krpc::{METHOD_UNKNOWN, PROTOCOL_ERROR, Query, Response, Samples, Scrape, Want},
    node_id::NodeId,
    token::Tokens,
};
use crate::{InfoHash, tracker::Family};

/// An announce is good for this long.
const PEER_FOR: Duration = Duration::from_mins(30);
const SWARMS_MAX: usize = 2000;
const PEERS_PER_SWARM_MAX: usize = 1000;
/// Peers in an answer: what fits into a datagram of 1,400 bytes beside nodes and token.
const VALUES_V4_MAX: usize = 100;
const VALUES_V6_MAX: usize = 45;
const SAMPLES_MAX: usize = 20;
/// Indexers are asked to come again no sooner (BEP 51).
const SAMPLES_INTERVAL_S: u64 = 300;

#[derive(Clone, Copy, Debug)]
struct Peer {
    address: SocketAddr,
    seed: bool,
    until: Instant,
}

/// Answers queries.
pub struct Server {
    tokens: Tokens,
    swarms: HashMap<InfoHash, Vec<Peer>>,
    answers: usize,
}

/// What an answer needs to know of the rest of the node.
pub struct Asker<'a> {
    /// When it asked.
    pub now: Instant,
    /// From where.
    pub from: SocketAddr,
    /// Our own ID towards it.
    pub id: NodeId,
    /// The nodes of a family nearest to a point.
    pub nodes: &'a dyn Fn(Family, &NodeId) -> Vec<NodeInfo>,
}

/// Why a query is not served: the number and text of a KRPC error.
pub type Refusal = (i64, &'static str);

impl Server {
    /// A server without peers; its first tokens follow from `secret`.
    pub fn new(secret: [u8; 16]) -> Self {
        Self { tokens: Tokens::new(secret), swarms: HashMap::new(), answers: 0 }
    }

    /// Takes a fresh secret for tokens, and forgets peers whose time is over.
    pub fn rotate(&mut self, now: Instant, secret: [u8; 16]) {
        self.tokens.rotate(secret);
        self.swarms.retain(|_, peers| {
            peers.retain(|peer| peer.until > now);
            !peers.is_empty()
        });
    }

    /// The answer to a query.
    pub fn answer(&mut self, asker: &Asker<'_>, query: &Query) -> Result<Response, Refusal> {
        self.answers = self.answers.wrapping_add(1);
        let plain = Response::new(asker.id);
        Ok(match query {
            Query::AnnouncePeer { info_hash, implied_port, port, seed, token } => {
                if !self.tokens.is_good(token, asker.from.ip()) {
                    return Err((PROTOCOL_ERROR, "bad token"));
                }
                let port = if *implied_port { asker.from.port() } else { *port };
                if port == 0 {
                    return Err((PROTOCOL_ERROR, "port 0 cannot be connected to"));
                }
                self.keep(asker.now, *info_hash, SocketAddr::new(asker.from.ip(), port), *seed);
                plain
            }
            Query::FindNode { target, want } => Response { nodes: nodes(asker, target, *want), ..plain },
            Query::GetPeers { info_hash, scrape, want } => Response {
                nodes: nodes(asker, &(*info_hash).into(), *want),
                token: Some(self.tokens.token(asker.from.ip()).to_vec()),
                // Filters and peers together are too long for one packet (BEP 33).
                values: if *scrape { Vec::new() } else { self.values(asker, *info_hash) },
                scrape: if *scrape { self.scrape(asker.now, *info_hash) } else { None },
                ..plain
            },
            Query::Ping => plain,
            Query::SampleInfohashes { target, want } => {
                Response { nodes: nodes(asker, target, *want), samples: Some(self.samples()), ..plain }
            }
            Query::Unknown { target: Some(target), .. } => {
                Response { nodes: nodes(asker, target, None), ..plain }
            }
            Query::Unknown { target: None, .. } => return Err((METHOD_UNKNOWN, "method unknown")),
        })
    }

    fn keep(&mut self, now: Instant, info_hash: InfoHash, address: SocketAddr, seed: bool) {
        if !self.swarms.contains_key(&info_hash) && self.swarms.len() >= SWARMS_MAX {
            return;
        }
        let peers = self.swarms.entry(info_hash).or_default();
        let peer = Peer { address, seed, until: now + PEER_FOR };
        if let Some(known) = peers.iter_mut().find(|known| known.address == address) {
            *known = peer;
            return;
        }
        peers.retain(|peer| peer.until > now);
        if peers.len() < PEERS_PER_SWARM_MAX {
            peers.push(peer);
        }
    }

    /// Peers of the asker's family; of many, others each time.
    fn values(&self, asker: &Asker<'_>, info_hash: InfoHash) -> Vec<SocketAddr> {
        let Some(peers) = self.swarms.get(&info_hash) else { return Vec::new() };
        let (is_ipv4, now) = (asker.from.is_ipv4(), asker.now);
        let alive = peers.iter().filter(|peer| peer.until > now && peer.address.is_ipv4() == is_ipv4);
        let mut alive: Vec<SocketAddr> = alive.map(|peer| peer.address).collect();
        let max = if is_ipv4 { VALUES_V4_MAX } else { VALUES_V6_MAX };
        if alive.len() > max {
            let turn = self.answers.wrapping_mul(max) % alive.len();
            alive.rotate_left(turn);
            alive.truncate(max);
        }
        alive
    }

    fn scrape(&self, now: Instant, info_hash: InfoHash) -> Option<Scrape> {
        let peers = self.swarms.get(&info_hash)?;
        let mut scrape = Scrape { seeds: Bloom::default(), peers: Bloom::default() };
        for peer in peers.iter().filter(|peer| peer.until > now) {
            let filter = if peer.seed { &mut scrape.seeds } else { &mut scrape.peers };
            filter.insert(peer.address.ip());
        }
        Some(scrape)
    }

    fn samples(&self) -> Samples {
        let skip = if self.swarms.len() > SAMPLES_MAX {
            self.answers % (self.swarms.len() - SAMPLES_MAX + 1)
        } else {
            0
        };
        Samples {
            info_hashes: self.swarms.keys().skip(skip).take(SAMPLES_MAX).copied().collect(),
            num: Some(self.swarms.len() as u64),
            interval_s: Some(SAMPLES_INTERVAL_S),
        }
    }
}

/// The nodes nearest to `target`, of the families wanted, else of the asker's (BEP 32).
fn nodes(asker: &Asker<'_>, target: &NodeId, want: Option<Want>) -> Vec<NodeInfo> {
    let own = family_of(asker.from);
    let want = want.unwrap_or(Want { ipv4: own == Family::Ipv4, ipv6: own == Family::Ipv6 });
    let of = |wanted: bool, family| if wanted { (asker.nodes)(family, target) } else { Vec::new() };
    let mut nodes = of(want.ipv4, Family::Ipv4);
    nodes.truncate(K);
    nodes.extend(of(want.ipv6, Family::Ipv6).into_iter().take(K));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: InfoHash = InfoHash([7; 20]);

    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn start() -> Instant {
        Instant::now()
    }

    fn asker(now: Instant, n: u16) -> Asker<'static> {
        let [high, low] = n.to_be_bytes();
        let nodes: &dyn Fn(Family, &NodeId) -> Vec<NodeInfo> = &|_, _| Vec::new();
        Asker { now, from: ([10, 0, high, low], 1000).into(), id: NodeId([1; 20]), nodes }
    }

    fn peers(server: &mut Server, asker: &Asker<'_>, scrape: bool) -> Response {
        let query = Query::GetPeers { info_hash: SWARM, scrape, want: None };
        server.answer(asker, &query).unwrap()
    }

    fn announce(
        server: &mut Server,
        asker: &Asker<'_>,
        implied_port: bool,
        seed: bool,
    ) -> Result<(), Refusal> {
        let token = peers(server, asker, false).token.unwrap();
        let query = Query::AnnouncePeer { info_hash: SWARM, implied_port, port: 2000, seed, token };
        server.answer(asker, &query).map(drop)
    }

    #[test]
    fn peers_are_kept_for_a_while() {
        let (mut server, now) = (Server::new([1; 16]), start());
        announce(&mut server, &asker(now, 1), false, false).unwrap();
        announce(&mut server, &asker(now, 2), true, true).unwrap();
        let told = peers(&mut server, &asker(now, 3), false);
        assert_eq!(told.values, [([10, 0, 0, 1], 2000).into(), ([10, 0, 0, 2], 1000).into()]);
        let scrape = peers(&mut server, &asker(now, 3), true).scrape.unwrap();
        assert!((scrape.seeds.size() - 1.0).abs() < 0.1 && (scrape.peers.size() - 1.0).abs() < 0.1);
        assert!(peers(&mut server, &asker(now + PEER_FOR, 3), false).values.is_empty());
        server.rotate(now + PEER_FOR, [2; 16]);
        assert!(server.swarms.is_empty());
    }

    #[test]
    fn a_token_of_another_is_refused() {
        let (mut server, now) = (Server::new([1; 16]), start());
        let token = peers(&mut server, &asker(now, 1), false).token.unwrap();
        let query =
            Query::AnnouncePeer { info_hash: SWARM, implied_port: false, port: 1, seed: false, token };
        assert_eq!(server.answer(&asker(now, 2), &query), Err((PROTOCOL_ERROR, "bad token")));
        assert!(server.answer(&asker(now, 1), &query).is_ok());
    }

    #[test]
    fn an_answer_fits_a_packet_and_many_answers_tell_all() {
        let (mut server, now) = (Server::new([1; 16]), start());
        for n in 0..300 {
            announce(&mut server, &asker(now, n), false, false).unwrap();
        }
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20 {
            let values = peers(&mut server, &asker(now, 999), false).values;
            assert_eq!(values.len(), VALUES_V4_MAX);
            seen.extend(values);
        }
        assert_eq!(seen.len(), 300);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut server, now) = (Server::new([1; 16]), start());
        for n in 0..2 * u16::try_from(SWARMS_MAX).unwrap() {
            let mut hash = [0; 20];
            hash[..2].copy_from_slice(&n.to_be_bytes());
            server.keep(now, InfoHash(hash), ([10, 0, 0, 1], 1).into(), false);
            server.keep(now, InfoHash([0; 20]), ([10, 0, 0, 1], n + 1).into(), false);
        }
        assert_eq!(server.swarms.len(), SWARMS_MAX);
        assert_eq!(server.swarms[&InfoHash([0; 20])].len(), PEERS_PER_SWARM_MAX);
        let query = Query::SampleInfohashes { target: NodeId([0; 20]), want: None };
        let samples = server.answer(&asker(now, 1), &query).unwrap().samples.unwrap();
        assert_eq!((samples.info_hashes.len(), samples.num), (SAMPLES_MAX, Some(SWARMS_MAX as u64)));
    }

    #[test]
    fn unknown_methods_are_errors_unless_they_have_a_target() {
        let mut server = Server::new([1; 16]);
        let query = |target| Query::Unknown { method: b"vote".to_vec(), target };
        let asker = asker(start(), 1);
        assert_eq!(server.answer(&asker, &query(None)), Err((METHOD_UNKNOWN, "method unknown")));
        assert_eq!(server.answer(&asker, &query(Some(NodeId([0; 20])))), Ok(Response::new(asker.id)));
    }
}
