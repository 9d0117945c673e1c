//! `torrents`: what is watched, and what its metadata says.

use crate::value::{InfoHash, InfoHashV2};

closed_set! {
    /// Where a torrent's description comes from.
    TorrentOrigin {
        /// A `.torrent` file (BEP 3, BEP 52).
        File = 0, "file";
        /// A bare info-hash in the list.
        InfoHash = 1, "info_hash";
        /// A magnet link (BEP 9, BEP 53).
        Magnet = 2, "magnet";
        /// An info dictionary fetched from a peer and checked against the info-hash (BEP 9).
        Metadata = 3, "metadata";
    }
}

define_table! {
    /// A torrent imported, or its metadata learnt: a magnet has a row of each.
    Torrent in "torrents" {
        /// The swarm: SHA-1 of the info dictionary, or the truncated SHA-256 for a v2-only torrent.
        info_hash: InfoHash,
        /// SHA-256 of the info dictionary; null for a v1 torrent or where it is not known.
        info_hash_v2: Option<InfoHashV2>,
        /// Suggested name; null where it is not known. Bytes that are not UTF-8 are replaced.
        name: Option<String>,
        /// Bytes per piece; null until the metadata is known.
        piece_length: Option<u64>,
        /// Number of pieces, and so of bits in a bitfield; null until the metadata is known.
        piece_count: Option<u32>,
        /// Content in bytes, padding files left out; null until the metadata is known.
        size_bytes: Option<u64>,
        /// Whether only trackers may be asked for peers (BEP 27); null until the metadata is known.
        private: Option<bool>,
        /// Where this description comes from.
        origin: TorrentOrigin,
        /// Announce URLs, tiers flattened in order (BEP 12).
        trackers: Vec<String>,
    }
}
