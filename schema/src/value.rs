//! The values that columns hold: identifiers and times, each with one canonical text.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER_PERMISSIVE;
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

/// A text that stands for no value of the type it was read as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct UnknownText {
    /// What it was read as.
    pub what: &'static str,
    /// The text found.
    pub text: String,
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

/// The eight reserved bytes of a handshake (BEP 3, BEP 4), big-endian; as text 16 hex digits in the order sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reserved(pub u64);

/// One life of a capture process: start time and randomness, safe in file names, e.g. `20260102T030405Z-9f86d081`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub String);

/// Lower-case hex without an allocation: what one column of millions of rows costs depends on it.
macro_rules! hex_text {
    ($($name:ident, $bytes:literal, $what:literal;)*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 2 * $bytes];
                data_encoding::HEXLOWER.encode_mut(&self.0, &mut text);
                f.write_str(str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = UnknownText;

            fn from_str(text: &str) -> Result<Self, UnknownText> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| UnknownText { what: $what, text: text.to_owned() })
            }
        }
    )* };
}

hex_text! {
    InfoHash, 20, "info-hash";
    InfoHashV2, 32, "v2 info-hash";
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Reserved {
    type Err = UnknownText;

    fn from_str(text: &str) -> Result<Self, UnknownText> {
        let unknown = |_| UnknownText { what: "reserved bytes", text: text.to_owned() };
        u64::from_str_radix(text, 16).map(Self).map_err(unknown)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
