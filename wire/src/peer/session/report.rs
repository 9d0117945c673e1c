//! What a session tells its caller: events as they happen, and a summary at the end.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::FetchError;
use crate::{
    PeerId, bencode,
    peer::{
        extension::ExtendedHandshake,
        handshake::{Handshake, Reserved},
        pex::UtPex,
    },
};

/// Something that happened in a session.
#[derive(Debug)]
pub enum Event {
    /// The opening burst has brought a claim; what it is worth is told as an observation once the burst is over.
    Claimed {
        /// Pieces claimed so far; `None` for all of an unknown number.
        pieces: Option<u32>,
        /// Pieces of the torrent, where its metadata is known.
        piece_count: Option<u32>,
    },
    /// The session is over for a cause of its own; the connection is to be closed.
    Ended(End),
    /// The peer's extended handshake came, or amended an earlier one.
    Extended(Extended),
    /// The peer's handshake came whole. An incoming session waits for [`super::Session::accept`].
    Handshake(Handshake),
    /// The peer says that another connects to us over uTP now, and that we do well to do the same (BEP 55).
    Introduced(SocketAddr),
    /// The info dictionary, checked against the info-hash.
    Metadata(Vec<u8>),
    /// The peer did not give the info dictionary.
    MetadataFailed(FetchError),
    /// The peer's pieces.
    Observation(Observation),
    /// The peer named others (BEP 11), or sent something else in place of them.
    Pex(Result<UtPex, bencode::Error>),
    /// The opening burst is over; its observation came before, but for silence, which is told with the first HAVE or
    /// at the end.
    Settled,
}

/// Why a session ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// What came first is no handshake.
    HandshakeMalformed(String),
    /// No whole handshake in time.
    HandshakeTimedOut,
    /// The peer was silent for too long.
    IdleTimedOut,
    /// The peer broke the protocol, or claims what cannot be.
    ProtocolError(String),
    /// The peer has our own peer ID.
    SelfConnection,
    /// The peer answered for another swarm.
    WrongInfoHash,
}

/// What kind of statement an observation rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bitfield, and the HAVEs of the opening burst.
    Bitfield,
    /// HAVEs.
    Have,
    /// All pieces.
    HaveAll,
    /// No pieces, and the HAVEs of the opening burst.
    HaveNone,
    /// Nothing during the settle time, by a peer without Fast.
    Silence,
}

/// One statement about a peer's pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When it was made.
    pub at: Instant,
    /// What it rests on.
    pub kind: Kind,
    /// Whether it is the session's first, which stands for the opening burst.
    pub opening: bool,
    /// False where it tells at least, but not at most, what the peer has.
    pub settled: bool,
    /// Pieces claimed so far; `None` for all of an unknown number.
    pub pieces: Option<u32>,
    /// Pieces of the torrent, where its metadata is known.
    pub piece_count: Option<u32>,
    /// The piece of a single HAVE.
    pub piece: Option<u32>,
    /// The pieces as a bitfield, where asked for and neither all nor none.
    pub bitfield: Option<Vec<u8>>,
}

/// What the extended handshake told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// `v`, bytes that are not UTF-8 replaced.
    pub client: Option<String>,
    /// `p`.
    pub listen_port: Option<u16>,
    /// `metadata_size` in bytes.
    pub metadata_size: Option<u32>,
    /// `upload_only` (BEP 21).
    pub upload_only: Option<bool>,
}

/// Figures of a session.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// When the peer's handshake was whole.
    pub handshake_at: Option<Instant>,
    /// The peer ID of the handshake.
    pub peer_id: Option<PeerId>,
    /// The reserved bytes of the handshake.
    pub reserved: Option<Reserved>,
    /// `v` of the extended handshake.
    pub client: Option<String>,
    /// `p` of the extended handshake.
    pub listen_port: Option<u16>,
    /// `metadata_size` of the extended handshake.
    pub metadata_size: Option<u32>,
    /// `upload_only` of the extended handshake.
    pub upload_only: Option<bool>,
    /// Pieces after the opening burst, where they are known.
    pub pieces_first: Option<u32>,
    /// Pieces at the end, where they are known.
    pub pieces_last: Option<u32>,
    /// Whole messages received after the handshake, keep-alives included.
    pub messages: u64,
    /// Longest time without a byte from the peer after the handshake.
    pub max_gap: Option<Duration>,
    /// Bytes received, the handshake included.
    pub bytes_in: u64,
    /// Bytes sent, the handshake included.
    pub bytes_out: u64,
}

impl Summary {
    /// Adds what an extended handshake tells; what it leaves out stays (BEP 10).
    pub(super) fn amend(&mut self, extended: &ExtendedHandshake) -> Extended {
        if let Some(client) = &extended.v {
            self.client = Some(client.clone());
        }
        self.listen_port = extended.p.filter(|&port| port != 0).or(self.listen_port);
        self.metadata_size = extended.metadata_size.filter(|&size| size != 0).or(self.metadata_size);
        self.upload_only = extended.upload_only.or(self.upload_only);
        Extended {
            client: self.client.clone(),
            listen_port: self.listen_port,
            metadata_size: self.metadata_size,
            upload_only: self.upload_only,
        }
    }
}
