//! What a session is told of: how it behaves, and who we are in its swarm.

use std::time::Duration;

use crate::{InfoHash, PeerId};

/// How sessions behave; the same for all of a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A connection without a whole handshake is given up after this time.
    pub handshake_timeout: Duration,
    /// HAVEs are folded to one observation per this time; zero tells each.
    pub have_resolution: Duration,
    /// A peer that has been silent for this time is given up.
    pub idle_timeout: Duration,
    /// A keep-alive is sent when we have been silent for this time.
    pub keep_alive: Duration,
    /// Whether observations carry bitfields.
    pub record_bitfields: bool,
    /// The opening burst is one observation, which is known after this time.
    pub settle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(15),
            have_resolution: Duration::from_secs(1),
            // ctorrent keeps an idle connection for 440 s; everyone else speaks every two minutes.
            idle_timeout: Duration::from_mins(8),
            // libtorrent and rtorrent hang up after 120 s without a byte. rqbit does after 10 s, but tells nothing
            // on a held connection either, so that it is visited instead of held.
            keep_alive: Duration::from_mins(1),
            record_bitfields: false,
            settle: Duration::from_secs(2),
        }
    }
}

/// Who closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The peer, or the network between.
    Peer,
    /// We.
    Us,
}

/// Who we are in a swarm.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The swarm.
    pub info_hash: InfoHash,
    /// What we call ourselves.
    pub peer_id: PeerId,
    /// The port we listen on, told in the extended handshake.
    pub listen_port: Option<u16>,
    /// Our name, told in the extended handshake.
    pub client: &'static str,
    /// Pieces of the torrent, where its metadata is known.
    pub piece_count: Option<u32>,
    /// Whether the peer is asked for others (BEP 11); never in a private torrent (BEP 27).
    pub pex: bool,
    /// Whether peers may introduce others (BEP 55), which takes uTP; never in a private torrent.
    pub introductions: bool,
}
