//! The first 68 bytes each side of a peer connection sends (BEP 3).
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 1 | length of the protocol's name, 19 |
//! | 1 | 19 | `BitTorrent protocol` |
//! | 20 | 8 | reserved: extension bits (BEP 4) |
//! | 28 | 20 | info-hash |
//! | 48 | 20 | peer ID |

use crate::{InfoHash, PeerId};

/// Bytes of a handshake.
pub const LEN: usize = 68;

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";
const RESERVED: usize = 20;
const INFO_HASH: usize = 28;
const PEER_ID: usize = 48;

/// The eight reserved bytes, big-endian, with the bits BEP 4 assigns.
///
/// Clients set bits of their own as well (e.g. `XB` at the front, a `1` in byte 0): unknown bits are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reserved(pub u64);

impl Reserved {
    /// Byte 7, bit 0x01: speaks the DHT, and may send PORT (BEP 5).
    pub const DHT: u64 = 0x01;
    /// Byte 5, bit 0x10: extension protocol (BEP 10).
    pub const EXTENSION: u64 = 0x10_00_00;
    /// Byte 7, bit 0x04: Fast extension (BEP 6).
    pub const FAST: u64 = 0x04;
    /// Byte 7, bit 0x10: has the v2 info dictionary of a hybrid torrent (BEP 52).
    pub const V2: u64 = 0x10;

    /// Whether the sender speaks the DHT (BEP 5).
    pub fn dht(self) -> bool {
        self.0 & Self::DHT != 0
    }

    /// Whether the sender understands extended messages (BEP 10).
    pub fn extension(self) -> bool {
        self.0 & Self::EXTENSION != 0
    }

    /// Whether the sender understands the Fast extension (BEP 6); it is in force if both sides do.
    pub fn fast(self) -> bool {
        self.0 & Self::FAST != 0
    }

    /// Whether the sender can go on in v2 on a hybrid's v1 swarm (BEP 52).
    pub fn v2(self) -> bool {
        self.0 & Self::V2 != 0
    }
}

/// A whole handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// What the sender can do.
    pub reserved: Reserved,
    /// The swarm it means.
    pub info_hash: InfoHash,
    /// What it calls itself.
    pub peer_id: PeerId,
}

/// Bytes that begin no handshake: an encrypted one (MSE), or another protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a BitTorrent handshake: byte {offset} is {byte:#04x}")]
pub struct Error {
    /// The first byte that differs from the protocol's name.
    pub offset: usize,
    /// Its value.
    pub byte: u8,
}

/// Whether `bytes` begin with the protocol's name; `None` while they are too few to tell.
pub fn begins(bytes: &[u8]) -> Option<bool> {
    let same = bytes.iter().zip(PROTOCOL).all(|(byte, expected)| byte == expected);
    (!same || bytes.len() >= PROTOCOL.len()).then_some(same)
}

impl Handshake {
    /// The handshake's bytes.
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let fields = PROTOCOL
            .iter()
            .copied()
            .chain(self.reserved.0.to_be_bytes())
            .chain(self.info_hash.0)
            .chain(self.peer_id.0);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    /// Reads a handshake off the front of `bytes`. `None`: all sound so far, and [`LEN`] bytes are needed.
    ///
    /// Fails at the first byte that differs from the protocol's name, so that another protocol (an MSE
    /// initiator, an HTTP probe) is told apart as early as it can be.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Error> {
        for (offset, (&byte, &expected)) in bytes.iter().zip(PROTOCOL).enumerate() {
            if byte != expected {
                return Err(Error { offset, byte });
            }
        }
        Ok(Self::fields(bytes))
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let reserved = bytes.get(RESERVED..)?.first_chunk()?;
        let info_hash = bytes.get(INFO_HASH..)?.first_chunk()?;
        let peer_id = bytes.get(PEER_ID..)?.first_chunk()?;
        Some(Self {
            reserved: Reserved(u64::from_be_bytes(*reserved)),
            info_hash: InfoHash(*info_hash),
            peer_id: PeerId(*peer_id),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips_and_every_truncation_wants_more(reserved: u64, hash: [u8; 20], id: [u8; 20], after: Vec<u8>) {
            let handshake =
                Handshake { reserved: Reserved(reserved), info_hash: InfoHash(hash), peer_id: PeerId(id) };
            let mut bytes = handshake.encode().to_vec();
            for length in 0..LEN {
                prop_assert_eq!(Handshake::decode(&bytes[..length]), Ok(None));
            }
            bytes.extend(after);
            prop_assert_eq!(Handshake::decode(&bytes), Ok(Some(handshake)));
        }

        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(Some(handshake)) = Handshake::decode(&bytes) {
                prop_assert_eq!(&handshake.encode()[..], &bytes[..LEN]);
            }
        }
    }

    #[test]
    fn bits_stand_where_their_beps_put_them() {
        let mut bytes = [0; 8];
        bytes[7] = 0x01;
        assert!(Reserved(u64::from_be_bytes(bytes)).dht());
        bytes[7] = 0x04;
        assert!(Reserved(u64::from_be_bytes(bytes)).fast());
        bytes[7] = 0x10;
        assert!(Reserved(u64::from_be_bytes(bytes)).v2());
        bytes[7] = 0;
        bytes[5] = 0x10;
        let reserved = Reserved(u64::from_be_bytes(bytes));
        assert!(reserved.extension() && !reserved.fast() && !reserved.dht() && !reserved.v2());
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        assert_eq!(begins(b""), None);
        assert_eq!(begins(b"\x13BitTorrent pro"), None);
        assert_eq!(begins(b"\x13BitTorrent protocol, and more"), Some(true));
        assert_eq!(begins(b"\x13BitTorrent Pr"), Some(false));
        assert_eq!(Handshake::decode(b"GET / HTTP/1.1"), Err(Error { offset: 0, byte: b'G' }));
        assert_eq!(Handshake::decode(b"\x13BitTorrent Protocol"), Err(Error { offset: 12, byte: b'P' }));
    }
}
