//! `progress`: every statement about a peer's pieces.

use std::net::IpAddr;

use crate::{table::Direction, value::InfoHash};

closed_set! {
    /// What a peer said, or failed to say, about its pieces.
    ProgressKind {
        /// A bitfield (BEP 3) and the HAVEs that followed it in the opening burst; empty, with HAVEs, it is `have_none`.
        Bitfield = 0, "bitfield";
        /// One HAVE (BEP 3), or several folded into one row.
        Have = 1, "have";
        /// All pieces (BEP 6).
        HaveAll = 2, "have_all";
        /// No pieces (BEP 6) or an empty bitfield, and the HAVEs that followed in the opening burst.
        HaveNone = 3, "have_none";
        /// Nothing at all during the settle time, on an open connection, by a peer without the Fast extension that did
        /// not itself hang up within five settle times.
        Silence = 4, "silence";
    }
}

define_table! {
    /// A piece-count observation.
    ///
    /// The first of a contact stands for its whole opening burst and is written when the settle time is over or the
    /// contact ends, with the time of the burst's last claim; every later one is a HAVE. A silence row has the time at
    /// which the settle time was over.
    Progress in "progress" {
        /// The contact's number, unique within its run.
        contact: u64,
        /// The swarm.
        info_hash: InfoHash,
        /// The peer's address, IPv4-mapped made IPv4.
        ip: IpAddr,
        /// The peer's port; for an incoming contact the remote port of the connection.
        port: u16,
        /// Who opened the connection.
        direction: Direction,
        /// What was said.
        kind: ProgressKind,
        /// Whether the opening burst is known to be over. A row with false tells at least, never at most, what the
        /// peer has.
        settled: bool,
        /// Pieces the peer has claimed in this contact so far; null for `have_all` while the piece count is unknown.
        pieces: Option<u32>,
        /// Pieces of the torrent; null while its metadata is unknown.
        piece_count: Option<u32>,
        /// The piece's index where the row is a single HAVE; null elsewhere.
        piece: Option<u32>,
        /// The pieces as a bitfield (BEP 3), with `--record-bitfields`; else null.
        bitfield: Option<Vec<u8>>,
    }
}
