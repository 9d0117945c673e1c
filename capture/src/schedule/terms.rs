//! What the scheduler is told, and what it answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Limit, Rung, Rungs};
use crate::registry::PeerKey;

/// Limits and habits of the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct Pacing {
    /// Outgoing contacts open at once.
    pub max_out: usize,
    /// Contacts begun per second.
    pub per_second: u32,
    /// Longest time a contact is held.
    pub hold: Duration,
    /// Longest time between visits to a peer that is still downloading.
    pub revisit: Duration,
    /// The ways that may be tried.
    pub rungs: Rungs,
    /// What one address gets.
    pub ip: Limit,
    /// What one network gets.
    pub network: Limit,
}

/// Who named a peer, as far as it says how likely the peer is to be there and to download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A DHT node.
    Dht,
    /// A peer, a magnet, the peer itself.
    Other,
    /// A tracker.
    Tracker,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close this contact.
    Close {
        /// Its number.
        contact: u64,
        /// As its row will tell.
        why: Why,
    },
    /// Contact this peer.
    Dial {
        /// Number of the new contact.
        contact: u64,
        /// The peer.
        peer: PeerKey,
        /// How often it was contacted, this time included.
        attempt: u32,
        /// The way to it.
        rung: Rung,
    },
}

/// Why we close a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// We had what we came for.
    Done,
    /// Its place is needed for another.
    Limit,
}

/// What an observation means to the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Seen {
    /// Whether it is a claim of pieces, rather than HAVEs or nothing.
    pub claimed: bool,
    /// Whether the peer has all pieces.
    pub complete: bool,
    /// Whether it stands for the opening burst.
    pub opening: bool,
    /// Pieces of the torrent, where known.
    pub piece_count: Option<u32>,
    /// Pieces of the peer, where known.
    pub pieces: Option<u32>,
    /// Whether it tells at most as well as at least.
    pub settled: bool,
}

/// Figures of the scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleCounts {
    /// Outgoing contacts begun.
    pub contacts_started: u64,
    /// First outgoing contacts with a handshake.
    pub first_ok: u64,
    /// First outgoing contacts without one.
    pub first_failed: u64,
    /// Later outgoing contacts with a handshake.
    pub later_ok: u64,
    /// Later outgoing contacts without one.
    pub later_failed: u64,
    /// Peers seen below the threshold and later at or above it.
    pub crossings: u64,
    /// Peers last seen at or above the threshold.
    pub complete: u64,
}

/// Numbers contacts within the run, over both directions.
#[derive(Clone, Debug, Default)]
pub struct ContactNumbers(Arc<AtomicU64>);

impl ContactNumbers {
    /// A number that was not given before; the first is 1.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
