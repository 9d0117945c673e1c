//! The names of swarms and peers: 20- and 32-byte values with one canonical text, lower-case hex.
//!
//! BEP 3 (SHA-1 info-hash, peer ID), BEP 52 (SHA-256 info-hash and its truncation), BEP 9 (base32 text).

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// Names a swarm on trackers and in handshakes: SHA-1 of the info dictionary (BEP 3), or for a v2-only
/// torrent the first 20 bytes of its SHA-256 (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHash(pub [u8; 20]);

/// SHA-256 of the info dictionary of a v2 or hybrid torrent (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoHashV2(pub [u8; 32]);

/// The 20 bytes a peer calls itself (BEP 3), often beginning with its client's name (BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub [u8; 20]);

/// A text that is no info-hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has the right length, and a character outside the alphabet of that length.
    #[error("an info-hash of {length} characters must be {alphabet}")]
    Character {
        /// Characters in the text.
        length: usize,
        /// The alphabet this length calls for.
        alphabet: &'static str,
    },
    /// The text has a length that no info-hash has.
    #[error("an info-hash has {expected} characters, not {length}")]
    Length {
        /// Characters in the text.
        length: usize,
        /// The lengths that are right, in words.
        expected: &'static str,
    },
}

impl InfoHash {
    /// The v1 info-hash of an info dictionary's raw bytes (BEP 3).
    pub fn of_info(info: &[u8]) -> Self {
        Self(Sha1::digest(info).into())
    }
}

impl InfoHashV2 {
    /// The v2 info-hash of an info dictionary's raw bytes (BEP 52).
    pub fn of_info(info: &[u8]) -> Self {
        Self(Sha256::digest(info).into())
    }

    /// The 20 bytes by which trackers, the DHT and handshakes know a v2 swarm (BEP 52).
    pub fn truncated(&self) -> InfoHash {
        let mut short = [0; 20];
        for (to, from) in short.iter_mut().zip(self.0) {
            *to = from;
        }
        InfoHash(short)
    }
}

/// 40 hex digits or 32 base32 characters, either case (BEP 9).
impl FromStr for InfoHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let length = text.chars().count();
        let (decoded, alphabet) = match length {
            32 => (BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok(), "base32 (A-Z, 2-7)"),
            40 => (HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(), "hex digits"),
            _ => return Err(Error::Length { length, expected: "40 (hex) or 32 (base32)" }),
        };
        decoded.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(Error::Character { length, alphabet })
    }
}

/// 64 hex digits, either case.
impl FromStr for InfoHashV2 {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let length = text.chars().count();
        if length != 64 {
            return Err(Error::Length { length, expected: "64 (hex)" });
        }
        let decoded = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        decoded
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(Error::Character { length, alphabet: "hex digits" })
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for InfoHashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

impl fmt::Debug for InfoHashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHashV2({self})")
    }
}

/// The printable form clients are known by, e.g. `-TR3000-\x8f…`.
impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hex_and_base32_name_the_same_swarm(bytes: [u8; 20]) {
            let hash = InfoHash(bytes);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            prop_assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
            let base32 = BASE32_NOPAD.encode(&bytes);
            prop_assert_eq!(base32.parse(), Ok(hash));
            prop_assert_eq!(base32.to_lowercase().parse(), Ok(hash));
        }

        #[test]
        fn v2_text_round_trips(bytes: [u8; 32]) {
            let hash = InfoHashV2(bytes);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
            prop_assert_eq!(&hash.truncated().0[..], &bytes[..20]);
        }

        #[test]
        fn any_text_is_a_hash_or_an_error(text in "\\PC{0,70}") {
            assert!(text.parse::<InfoHash>().map_or(true, |hash| hash.0.len() == 20));
            assert!(text.parse::<InfoHashV2>().map_or(true, |hash| hash.0.len() == 32));
        }
    }

    #[test]
    fn known_digests() {
        assert_eq!(InfoHash::of_info(b"").to_string(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!(
            InfoHashV2::of_info(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let message = |text: &str| text.parse::<InfoHash>().map_err(|e| e.to_string());
        assert_eq!(message("abc"), Err("an info-hash has 40 (hex) or 32 (base32) characters, not 3".into()));
        assert_eq!(message(&"g".repeat(40)), Err("an info-hash of 40 characters must be hex digits".into()));
        assert_eq!(
            message(&"1".repeat(32)),
            Err("an info-hash of 32 characters must be base32 (A-Z, 2-7)".into())
        );
    }
}
