//! The swarms of a run: one per info-hash of the list, shared by every source and contact.
//!
//! What the list said is fixed; metadata that is missing (magnets, bare info-hashes) is learnt once from a peer.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use schema::{
    InfoHash, InfoHashV2, PeerId,
    table::{Torrent, TorrentOrigin},
};
use wire::magnet::PeerName;

/// What is announced as left to download while the size is not known, bytes.
///
/// Trackers leave peers out of an answer to one that has nothing left, so it must be above 0.
const LEFT_UNKNOWN_BYTES: u64 = 1 << 30;

/// Begins every peer ID of ours (BEP 20): client and version.
const PEER_ID_PREFIX: [u8; 8] = *b"-SW0100-";

/// Index of a swarm in the run's list of swarms; it means nothing outside the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SwarmId(pub u32);

impl SwarmId {
    /// Position in the run's slice of swarms.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an info dictionary says, as far as a capture needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// SHA-256 of the info dictionary, for v2 and hybrid torrents.
    pub info_hash_v2: Option<InfoHashV2>,
    /// Suggested name.
    pub name: String,
    /// Bytes per piece.
    pub piece_length: u64,
    /// Number of pieces, and so of bits in a bitfield.
    pub piece_count: u32,
    /// Content in bytes, padding files left out.
    pub size_bytes: u64,
    /// Whether only trackers may be asked for peers (BEP 27).
    pub private: bool,
}

/// What one entry of the list says about a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The swarm's info-hash (truncated SHA-256 for a v2-only torrent).
    pub info_hash: InfoHash,
    /// SHA-256 of the info dictionary, where the entry tells it.
    pub info_hash_v2: Option<InfoHashV2>,
    /// Name from the file, or `dn` of the magnet.
    pub name: Option<String>,
    /// What kind of entry it is.
    pub origin: TorrentOrigin,
    /// Announce URLs by tier (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// Peers named by a magnet's `x.pe`.
    pub peers: Vec<PeerName>,
    /// Known at once only for a `.torrent` file.
    pub metadata: Option<Metadata>,
}

/// One watched swarm.
pub struct Swarm {
    /// Its place in the run.
    pub id: SwarmId,
    /// What handshakes and announces carry.
    pub info_hash: InfoHash,
    /// SHA-256 of the info dictionary, where the list told it.
    pub info_hash_v2: Option<InfoHashV2>,
    /// What we call ourselves in this swarm: `-SW0100-` and randomness, one per run and swarm.
    pub peer_id: PeerId,
    /// Tells a tracker that it is still us after our address changed (BEP 7); stable for the run.
    pub key: u32,
    /// What kind of entry named it.
    pub origin: TorrentOrigin,
    /// Announce URLs by tier (BEP 12); every one of them is asked.
    pub trackers: Vec<Vec<String>>,
    /// Peers named by a magnet's `x.pe`.
    pub peers: Vec<PeerName>,
    name: Option<String>,
    metadata: OnceLock<Metadata>,
}

impl Swarm {
    /// A swarm from its description; `peer_id` and `key` come from the edge, which has the randomness.
    pub fn new(id: SwarmId, description: Description, peer_id: PeerId, key: u32) -> Self {
        let Description { info_hash, info_hash_v2, name, origin, trackers, peers, metadata } = description;
        let metadata = metadata.map_or_else(OnceLock::new, OnceLock::from);
        Self { id, info_hash, info_hash_v2, peer_id, key, origin, trackers, peers, name, metadata }
    }

    /// The metadata, once it is known.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.get()
    }

    /// Keeps metadata that was checked against the info-hash; false if it was known already.
    pub fn learn(&self, metadata: Metadata) -> bool {
        self.metadata.set(metadata).is_ok()
    }

    /// Whether only trackers may be asked for peers (BEP 27), as far as the metadata is known.
    pub fn is_private(&self) -> bool {
        self.metadata().is_some_and(|metadata| metadata.private)
    }

    /// Number of pieces, once it is known.
    pub fn piece_count(&self) -> Option<u32> {
        self.metadata().map(|metadata| metadata.piece_count)
    }

    /// The name, from the metadata or the list.
    pub fn name(&self) -> Option<&str> {
        self.metadata().map(|metadata| metadata.name.as_str()).or(self.name.as_deref())
    }

    /// What is announced as left to download, bytes: everything, as we never hold a piece; always above 0.
    pub fn left_bytes(&self) -> u64 {
        self.metadata().map_or(LEFT_UNKNOWN_BYTES, |metadata| metadata.size_bytes.max(1))
    }

    /// The row that tells what is known, with `origin` `metadata` for what a peer told.
    pub fn torrent_row(&self, origin: TorrentOrigin) -> Torrent {
        let metadata = self.metadata();
        Torrent {
            info_hash: self.info_hash,
            info_hash_v2: self.info_hash_v2.or(metadata.and_then(|metadata| metadata.info_hash_v2)),
            name: self.name().map(ToOwned::to_owned),
            piece_length: metadata.map(|metadata| metadata.piece_length),
            piece_count: metadata.map(|metadata| metadata.piece_count),
            size_bytes: metadata.map(|metadata| metadata.size_bytes),
            private: metadata.map(|metadata| metadata.private),
            origin,
            trackers: self.trackers.iter().flatten().cloned().collect(),
        }
    }
}

/// The swarms of a run, each with a peer ID and a key of its own.
pub fn assemble(descriptions: impl IntoIterator<Item = Description>) -> Arc<[Arc<Swarm>]> {
    let swarm =
        |(id, description)| Arc::new(Swarm::new(SwarmId(id), description, random_peer_id(), rand::random()));
    (0..).zip(descriptions).map(swarm).collect()
}

fn random_peer_id() -> PeerId {
    // Letters and digits, as other clients have them: trackers and logs need not escape them.
    let letter =
        |byte: u8| char::from_digit(u32::from(byte) % 36, 36).and_then(|letter| u8::try_from(letter).ok());
    let random = rand::random::<[u8; 12]>().map(|byte| letter(byte).unwrap_or(b'0'));
    let mut id = [0; 20];
    id.iter_mut().zip(PEER_ID_PREFIX.iter().chain(&random)).for_each(|(to, from)| *to = *from);
    PeerId(id)
}

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Swarm({} ", self.id.0)?;
        for byte in self.info_hash.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(size_bytes: u64) -> Metadata {
        Metadata {
            info_hash_v2: Some(InfoHashV2([2; 32])),
            name: "from the metadata".into(),
            piece_length: 16_384,
            piece_count: 4,
            size_bytes,
            private: false,
        }
    }

    fn magnet() -> Swarm {
        let description = Description {
            info_hash: InfoHash([1; 20]),
            info_hash_v2: None,
            name: Some("from the link".into()),
            origin: TorrentOrigin::Magnet,
            trackers: vec![vec!["http://a/announce".into()], vec!["udp://b:1".into(), "udp://c:1".into()]],
            peers: vec![],
            metadata: None,
        };
        Swarm::new(SwarmId(0), description, PeerId([b'x'; 20]), 7)
    }

    #[test]
    fn metadata_is_learnt_once() {
        let swarm = magnet();
        assert_eq!(swarm.name(), Some("from the link"));
        assert!(swarm.learn(metadata(60_000)));
        assert!(!swarm.learn(metadata(1)));
        assert_eq!(swarm.name(), Some("from the metadata"));
        assert_eq!(swarm.left_bytes(), 60_000);
        let row = swarm.torrent_row(TorrentOrigin::Metadata);
        assert_eq!(row.info_hash_v2, Some(InfoHashV2([2; 32])));
        assert_eq!(row.trackers, ["http://a/announce", "udp://b:1", "udp://c:1"]);
    }

    #[test]
    fn every_swarm_has_a_peer_id_of_its_own() {
        let description = |n| Description {
            info_hash: InfoHash([n; 20]),
            info_hash_v2: None,
            name: None,
            origin: TorrentOrigin::InfoHash,
            trackers: vec![],
            peers: vec![],
            metadata: None,
        };
        let swarms = assemble([1, 2].map(description));
        assert_eq!((swarms[1].id, swarms[1].info_hash), (SwarmId(1), InfoHash([2; 20])));
        assert_ne!(swarms[0].peer_id, swarms[1].peer_id);
        for swarm in swarms.iter() {
            assert!(swarm.peer_id.0.starts_with(b"-SW0100-"));
            assert!(swarm.peer_id.0[8..].iter().all(u8::is_ascii_alphanumeric));
        }
    }

    #[test]
    fn something_is_always_left() {
        let swarm = magnet();
        assert!(swarm.left_bytes() > 0);
        swarm.learn(metadata(0));
        assert!(swarm.left_bytes() > 0);
    }
}
