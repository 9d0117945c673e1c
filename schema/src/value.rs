//! The values that columns hold: identifiers and times, each with one canonical text.

use serde::{Deserialize, Serialize};

/// A WAL byte that names no member of a closed set: the file was written by a newer version, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} is no code of {set}")]
pub struct UnknownCode {
    /// The set's type name.
    pub set: &'static str,
    /// The byte found.
    pub code: u8,
}

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// Names a swarm: SHA-1 of the info dictionary (BEP 3), or the first 20 bytes of its SHA-256 (BEP 52).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InfoHash(pub [u8; 20]);

/// SHA-256 of the info dictionary of a v2 or hybrid torrent (BEP 52).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InfoHashV2(pub [u8; 32]);

/// The 20 bytes a peer calls itself in its handshake (BEP 3, BEP 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PeerId(pub [u8; 20]);

/// One life of a capture process: start time and randomness, safe in file names, e.g. `20260102T030405Z-9f86d081`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub String);
