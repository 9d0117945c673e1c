//! `contacts`: every attempt to talk to a peer, in either direction, successful or not.

use std::net::IpAddr;

use crate::value::{InfoHash, PeerId, Reserved};

closed_set! {
    /// Who opened the connection.
    Direction {
        /// The peer connected to us.
        In = 0, "in";
        /// We connected to the peer.
        Out = 1, "out";
    }
}

closed_set! {
    /// What carried the connection.
    Transport {
        /// TCP.
        Tcp = 0, "tcp";
        /// uTP over UDP (BEP 29).
        Utp = 1, "utp";
    }
}

closed_set! {
    /// Whether the connection was obfuscated.
    Encryption {
        /// Message Stream Encryption.
        Mse = 0, "mse";
        /// None.
        Plain = 1, "plain";
    }
}

closed_set! {
    /// How a contact ended; those with a handshake have `handshake_us` and `open_us`.
    ContactOutcome {
        /// After the handshake: the peer closed the connection.
        ClosedByRemote = 0, "closed_by_remote";
        /// The connection could not be made for another cause; `error` tells it.
        ConnectFailed = 1, "connect_failed";
        /// No connection in time.
        ConnectTimedOut = 2, "connect_timed_out";
        /// The peer closed the connection before its handshake was whole.
        HandshakeClosed = 3, "handshake_closed";
        /// What the peer sent is no BitTorrent handshake.
        HandshakeMalformed = 4, "handshake_malformed";
        /// The connection was reset before the handshake was whole.
        HandshakeReset = 5, "handshake_reset";
        /// Connected, but no whole handshake in time.
        HandshakeTimedOut = 6, "handshake_timed_out";
        /// After the handshake: the peer was silent for too long.
        IdleTimedOut = 7, "idle_timed_out";
        /// After the handshake: a limit of our own (open contacts, bytes, hold time for others' sake).
        OurLimit = 8, "our_limit";
        /// After the handshake: the peer broke the protocol; `error` tells how.
        ProtocolError = 9, "protocol_error";
        /// The peer refused the connection.
        Refused = 10, "refused";
        /// After the handshake: the connection was reset.
        Reset = 11, "reset";
        /// The peer is ourselves.
        SelfConnection = 12, "self_connection";
        /// After the handshake: the capture ended.
        Shutdown = 13, "shutdown";
        /// No route to the peer.
        Unreachable = 14, "unreachable";
        /// After the handshake: we had what we came for and closed.
        VisitDone = 15, "visit_done";
        /// The peer's handshake named a swarm we do not watch, or another than asked for.
        WrongInfoHash = 16, "wrong_info_hash";
        /// The capture ended before the handshake was whole.
        ShutdownEarly = 17, "shutdown_early";
    }
}

impl ContactOutcome {
    /// Whether the peer's handshake arrived whole and was for this swarm: the contact succeeded.
    pub const fn has_handshake(self) -> bool {
        matches!(
            self,
            Self::ClosedByRemote
                | Self::IdleTimedOut
                | Self::OurLimit
                | Self::ProtocolError
                | Self::Reset
                | Self::Shutdown
                | Self::VisitDone
        )
    }
}

define_table! {
    /// A contact, written when it ends; it began at `time` − `connect_us` − `handshake_us` − `open_us`.
    Contact in "contacts" {
        /// The contact's number, unique within its run.
        contact: u64,
        /// The swarm; for an incoming contact that failed before it named one, or obfuscated one not ours, all zeros.
        info_hash: InfoHash,
        /// The peer's address, IPv4-mapped made IPv4.
        ip: IpAddr,
        /// The peer's port; for an incoming contact the remote port of the connection, see `listen_port`.
        port: u16,
        /// Who opened the connection.
        direction: Direction,
        /// What carried it.
        transport: Transport,
        /// Whether it was obfuscated, or was to be; an incoming one is `plain` until its first bytes say otherwise.
        encryption: Encryption,
        /// How often this peer had been contacted in this direction, this time included; 1 is the first contact.
        attempt: u32,
        /// How it ended.
        outcome: ContactOutcome,
        /// The cause in words where the outcome alone does not tell it; else null.
        error: Option<String>,
        /// From the connect to the connection or its failure, µs; null for incoming contacts.
        connect_us: Option<u64>,
        /// From the connection to the peer's whole handshake or the failure, an obfuscating handshake included, µs; null
        /// without a connection.
        handshake_us: Option<u64>,
        /// From the handshake to the end, µs; null without a handshake.
        open_us: Option<u64>,
        /// The peer ID of the handshake; null without one.
        peer_id: Option<PeerId>,
        /// The handshake's eight reserved bytes in hex (BEP 3, BEP 4); null without a handshake.
        reserved: Option<Reserved>,
        /// The extended handshake's `v` (BEP 10), bytes that are not UTF-8 replaced; null where it has none.
        client: Option<String>,
        /// The extended handshake's `p`, the port the peer listens on (BEP 10); null where it has none.
        listen_port: Option<u16>,
        /// The extended handshake's `upload_only` (BEP 21); null where it has none.
        upload_only: Option<bool>,
        /// The extended handshake's `metadata_size` in bytes (BEP 9); null where it has none.
        metadata_size: Option<u64>,
        /// Pieces after the opening burst; null where they were never known.
        pieces_first: Option<u32>,
        /// Pieces when the contact ended; null where they were never known.
        pieces_last: Option<u32>,
        /// Whole messages received after the handshake, keep-alives included.
        messages: u64,
        /// The longest time without a byte from the peer after the handshake, µs; null without a handshake.
        max_gap_us: Option<u64>,
        /// Bytes received, those of an obfuscating handshake included.
        bytes_in: u64,
        /// Bytes sent, those of an obfuscating handshake included.
        bytes_out: u64,
    }
}
