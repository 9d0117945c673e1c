//! What names peers: each source turns its answers into [`Answer`]s on one bounded channel to the registry.
//!
//! A source that finds the channel full waits: the registry sets the pace, and no answer is dropped.

pub mod dht;
pub mod incoming;
pub mod lsd;
pub mod magnet;
pub mod pex;
pub mod tracker;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
};

use schema::table::Source;
use tokio::sync::mpsc;

use crate::swarm::SwarmId;

/// Answers that may wait for the registry.
pub const ANSWERS_WAITING_MAX: usize = 256;

/// Addresses that one source named for one swarm at once, repeats included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The swarm they were named for.
    pub swarm: SwarmId,
    /// What kind of source named them.
    pub source: Source,
    /// Who named them: the announce URL, or a node's or peer's address and port; none for incoming and magnet.
    pub endpoint: Option<Arc<str>>,
    /// The addresses, each with its PEX flags where it has some.
    pub peers: Vec<(SocketAddr, Option<u8>)>,
}

/// Requests to sources since the start of the run, for the gauges.
#[derive(Debug, Default)]
pub struct RequestCounts {
    /// Answered.
    pub ok: AtomicU64,
    /// Not answered, or with a refusal.
    pub failed: AtomicU64,
}

/// The channel from every source to the registry.
pub fn channel() -> (mpsc::Sender<Answer>, mpsc::Receiver<Answer>) {
    mpsc::channel(ANSWERS_WAITING_MAX)
}
