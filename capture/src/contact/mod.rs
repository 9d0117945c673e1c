//! Contacts: one task for each attempt to talk to a peer, which observes it and writes its rows.
//!
//! `dial` makes the connection, `link` obfuscates it, `session` drives the protocol over it; incoming ones come from
//! `sources::incoming`.
//! What the scheduler must know goes to it as a [`ContactEvent`].

pub mod dial;
pub mod introductions;
mod keep_alive;
mod link;
pub mod outcome;
mod rows;
pub mod session;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schema::table::ContactOutcome;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::peer::{mse::SwarmKeys, session::Settings};

use self::introductions::Introductions;
pub use self::keep_alive::KeepAlives;
use crate::{
    address::AddressPolicy,
    clock::Clock,
    log::Log,
    schedule::{Habit, Rung, Seen, Why},
    sources::pex::Pex,
    swarm::{Swarm, SwarmId},
    udp::Utp,
};

/// What we call ourselves in the extended handshake.
pub const CLIENT: &str = concat!("Swarmtally ", env!("CARGO_PKG_VERSION"));

/// Contacts that ask peers of one swarm for its metadata at the same time; one honest peer suffices.
const METADATA_FETCHES_MAX: usize = 3;

/// What all contacts of a run share.
pub struct Context {
    /// The clock.
    pub clock: Clock,
    /// Where rows go.
    pub log: Log,
    /// Which addresses may be contacted.
    pub policy: Arc<AddressPolicy>,
    /// Addresses to connect from, at most one of each family.
    pub bind: Vec<IpAddr>,
    /// What connects over uTP.
    pub utp: Utp,
    /// Peers that others can introduce.
    pub introductions: Introductions,
    /// How long a connect may take.
    pub connect_timeout: Duration,
    /// The swarms that obfuscated peers may mean; `None` where MSE is not spoken.
    pub mse: Option<SwarmKeys>,
    /// How sessions behave.
    pub settings: Settings,
    /// The port we tell peers that we listen on.
    pub listen_port: Option<u16>,
    /// Where addresses go that peers name; `None` where they are not asked.
    pub pex: Option<Pex>,
    /// Every swarm, by [`SwarmId`].
    pub swarms: Arc<[Arc<Swarm>]>,
    /// Where the scheduler hears of contacts.
    pub events: mpsc::Sender<ContactEvent>,
    /// Ends every contact.
    pub cancel: CancellationToken,
    /// Places to ask for metadata, by [`SwarmId`].
    pub metadata_fetches: Vec<Arc<Semaphore>>,
    /// How often each client is to hear from us.
    pub keep_alives: KeepAlives,
    /// Bytes of all contacts.
    pub traffic: Traffic,
}

/// Bytes exchanged with peers.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Traffic {
    /// Adds the bytes of a contact.
    pub fn add(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
    }

    /// Bytes received so far.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes sent so far.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }
}

/// Places to ask for metadata, for so many swarms.
pub fn metadata_fetches(swarms: usize) -> Vec<Arc<Semaphore>> {
    std::iter::repeat_with(|| Arc::new(Semaphore::new(METADATA_FETCHES_MAX))).take(swarms).collect()
}

/// What the scheduler hears of contacts.
#[derive(Debug)]
pub struct ContactEvent {
    /// The contact's number.
    pub contact: u64,
    /// What happened.
    pub what: What,
}

/// What happened to a contact.
#[derive(Debug)]
pub enum What {
    /// The opening burst has brought a claim, and is not over.
    Claimed {
        /// Pieces claimed so far; `None` for all of an unknown number.
        pieces: Option<u32>,
        /// Pieces of the torrent, where its metadata is known.
        piece_count: Option<u32>,
    },
    /// It ended; its row is written.
    Ended(ContactOutcome),
    /// The peer's extended handshake came.
    Extended {
        /// What the client is known to do.
        habit: Habit,
        /// Whether it says it will not download.
        upload_only: bool,
        /// For an incoming contact, the peer's listening address.
        listens_at: Option<SocketAddr>,
    },
    /// The peer's handshake came.
    Handshake {
        /// The peer's ID.
        peer_id: [u8; 20],
    },
    /// The peer hung up on a held connection.
    HungUp {
        /// How long it was open.
        open: Duration,
        /// How long we had sent nothing.
        silent: Duration,
    },
    /// A peer that connected to us named one of our swarms.
    Incoming {
        /// The swarm.
        swarm: SwarmId,
        /// The peer's address.
        ip: IpAddr,
        /// The peer's ID.
        peer_id: [u8; 20],
        /// The way it came.
        rung: Rung,
        /// Closes the contact.
        close: oneshot::Sender<Why>,
    },
    /// The peer introduced another, which connects to us now.
    Introduced {
        /// The other's address.
        peer: SocketAddr,
    },
    /// The peer obfuscates, and would not have what we offered to carry the payload.
    Refused,
    /// The peer's pieces were observed.
    Seen(Seen),
    /// The opening burst is over.
    Settled,
}
