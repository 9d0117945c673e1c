//! KRPC (BEP 5): one bencoded dictionary per UDP datagram, a query or what answers it.
//!
//! | key | in | is |
//! | --- | --- | --- |
//! | `t` | all | transaction ID, echoed |
//! | `y` | all | `q` query, `r` response, `e` error |
//! | `q`, `a`, `ro` | query | method, arguments, 1 from a read-only node (BEP 43) |
//! | `r`, `ip` | response | values; the asker's address as seen (BEP 42) |
//! | `e` | error | list of code and text |
//! | `v` | all | client and version |
//!
//! Arguments and values are in the docs of [`Query`] and [`Response`]. A field of the wrong type or size makes a
//! message malformed if it cannot be understood without; else it counts as absent, as clients differ in the rest.

mod decode;
mod encode;

use std::net::SocketAddr;

use super::{NodeInfo, bloom::Bloom, node_id::NodeId};
use crate::{InfoHash, bencode};

/// Longest transaction ID that is taken, bytes. Real ones have 2 to 8.
pub const TRANSACTION_MAX: usize = 32;
/// Longest write token that is kept, bytes; a longer one counts as absent. Real ones have 4 to 20.
pub const TOKEN_MAX: usize = 128;
/// Longest version that is kept, bytes. Real ones have 4.
pub const VERSION_MAX: usize = 16;
/// Longest error text that is kept, bytes.
pub const ERROR_TEXT_MAX: usize = 256;

/// BEP 5: the arguments are wrong.
pub const PROTOCOL_ERROR: i64 = 203;
/// BEP 5: there is no such method.
pub const METHOD_UNKNOWN: i64 = 204;

/// A datagram's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Chosen by who asks, echoed by who answers.
    pub transaction: Vec<u8>,
    /// The sender's client and version, two letters and two bytes by custom; cut at [`VERSION_MAX`].
    pub version: Option<Vec<u8>>,
    /// What it says.
    pub body: Body,
}

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The query was not served.
    Error {
        /// A number of BEP 5, mostly 201 to 204.
        code: i64,
        /// For people; bytes that are not UTF-8 replaced, cut at [`ERROR_TEXT_MAX`].
        text: String,
    },
    /// Asks something.
    Query {
        /// Who asks.
        id: NodeId,
        /// Whether the asker answers no queries itself, and belongs in no routing table (BEP 43).
        read_only: bool,
        /// What is asked.
        query: Query,
    },
    /// Answers a query.
    Response {
        /// Where the answering node sees us (BEP 42).
        external: Option<SocketAddr>,
        /// The answer.
        response: Response,
    },
}

/// Which families of nodes are asked for (BEP 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// `n4`
    pub ipv4: bool,
    /// `n6`
    pub ipv6: bool,
}

/// A question and its arguments; every one has `id` besides, the asker's ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// `announce_peer` (BEP 5): takes the asker into a swarm.
    AnnouncePeer {
        /// `info_hash`
        info_hash: InfoHash,
        /// `implied_port`: the asker's UDP port is the peer's port, whatever `port` says.
        implied_port: bool,
        /// `port` that the peer listens on.
        port: u16,
        /// `seed` (BEP 33)
        seed: bool,
        /// `token` that a `get_peers` of this node gave.
        token: Vec<u8>,
    },
    /// `find_node` (BEP 5): nodes near a point.
    FindNode {
        /// `target`
        target: NodeId,
        /// `want` (BEP 32); none leaves it at the family asked over.
        want: Option<Want>,
    },
    /// `get_peers` (BEP 5): a swarm's peers, and nodes near its point.
    GetPeers {
        /// `info_hash`
        info_hash: InfoHash,
        /// `scrape`: bloom filters instead of, or besides, peers (BEP 33).
        scrape: bool,
        /// `want` (BEP 32)
        want: Option<Want>,
    },
    /// `ping` (BEP 5)
    Ping,
    /// `sample_infohashes` (BEP 51): some of the swarms that the node holds peers of, and nodes near a point.
    SampleInfohashes {
        /// `target`
        target: NodeId,
        /// `want` (BEP 32)
        want: Option<Want>,
    },
    /// A method that is not one of the above.
    Unknown {
        /// Its name, at most [`VERSION_MAX`] bytes kept.
        method: Vec<u8>,
        /// Its `target` or `info_hash`: such a query may be answered as `find_node` (libtorrent's DHT extensions).
        target: Option<NodeId>,
    },
}

/// An answer. Which fields there are depends on the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// `id` of the answering node.
    pub id: NodeId,
    /// `nodes` (26 bytes each) and `nodes6` (38 bytes each, BEP 32) in this order.
    pub nodes: Vec<NodeInfo>,
    /// `values`: peers, 6 or 18 bytes each; entries of other lengths are left out.
    pub values: Vec<SocketAddr>,
    /// `token` for announcing to this node.
    pub token: Option<Vec<u8>>,
    /// `BFsd` and `BFpe` (BEP 33), where there are both.
    pub scrape: Option<Scrape>,
    /// `samples`, `num`, `interval` (BEP 51).
    pub samples: Option<Samples>,
}

impl Response {
    /// An answer that says nothing but who answers.
    pub fn new(id: NodeId) -> Self {
        Self { id, nodes: Vec::new(), values: Vec::new(), token: None, scrape: None, samples: None }
    }
}

/// The peers a node holds of a swarm, as filters (BEP 33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrape {
    /// `BFsd`: peers that said they seed.
    pub seeds: Bloom,
    /// `BFpe`: the others.
    pub peers: Bloom,
}

/// The swarms a node holds peers of (BEP 51).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// `samples`
    pub info_hashes: Vec<InfoHash>,
    /// `num`: of so many.
    pub num: Option<u64>,
    /// `interval`: another selection is drawn after so many seconds.
    pub interval_s: Option<u64>,
}

/// A datagram that is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    /// The transaction it seems to belong to, if that could be read.
    pub transaction: Option<Vec<u8>>,
    /// What is wrong.
    #[source]
    pub cause: Cause,
}

/// Why a datagram is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Not one sound bencoded value, or a key stands twice.
    #[error(transparent)]
    Bencode(#[from] bencode::Error),
    /// Without a field it needs, or with one of the wrong type or size.
    #[error("KRPC: {0:?} is missing or is not as it should be")]
    Field(&'static str),
}

#[cfg(test)]
mod tests;
