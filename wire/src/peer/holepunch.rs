//! Introductions (BEP 55): a peer connected to two others has them connect to each other at the same time over uTP.
//!
//! An extended message:
//!
//! | bytes | field |
//! | --- | --- |
//! | 0 | 0 rendezvous: introduce me, 1 connect: you are introduced, 2 error: I cannot |
//! | 1 | 0 IPv4, 1 IPv6 |
//! | 2–5 or 2–17 | the address of the other peer |
//! | 2 more | its port |
//! | 4 more | the error, 0 where there is none |
//!
//! Deviations that are taken: the error left out where there is none (libtorrent does), and bytes behind it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

const RENDEZVOUS: u8 = 0;
const CONNECT: u8 = 1;
const ERROR: u8 = 2;
const IPV4: u8 = 0;
const IPV6: u8 = 1;

/// Why a peer does not introduce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub u32);

impl Refusal {
    /// The address asked for cannot be that of a peer.
    pub const NO_SUCH_PEER: Self = Self(1);
    /// The one asked has no connection to it.
    pub const NOT_CONNECTED: Self = Self(2);
    /// The other peer does not take introductions.
    pub const NO_SUPPORT: Self = Self(3);
    /// The one asked is it.
    pub const NO_SELF: Self = Self(4);
}

/// What a `ut_holepunch` message says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum UtHolepunch {
    /// Connect to this peer over uTP now: it does the same.
    Connect(SocketAddr),
    /// No introduction to this peer.
    Error(SocketAddr, Refusal),
    /// Introduce the sender to this peer.
    Rendezvous(SocketAddr),
}

impl fmt::Debug for UtHolepunch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(peer) => write!(f, "Connect({peer})"),
            Self::Error(peer, refusal) => write!(f, "Error({peer}, {})", refusal.0),
            Self::Rendezvous(peer) => write!(f, "Rendezvous({peer})"),
        }
    }
}

/// A payload that is no `ut_holepunch` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It ends too soon.
    #[error("a ut_holepunch message of {0} bytes is cut short")]
    Short(usize),
    /// A kind of address that BEP 55 does not name.
    #[error("a ut_holepunch message has an address of kind {0}")]
    UnknownAddress(u8),
    /// A kind that BEP 55 does not name.
    #[error("a ut_holepunch message is of kind {0}")]
    UnknownKind(u8),
}

impl UtHolepunch {
    /// Reads the payload of an extended message with the id agreed for `ut_holepunch`.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let short = || Error::Short(payload.len());
        let (&[kind, family], rest) = payload.split_first_chunk().ok_or_else(short)?;
        let (ip, rest): (IpAddr, _) = match family {
            IPV4 => {
                let (ip, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
                (Ipv4Addr::from(*ip).into(), rest)
            }
            IPV6 => {
                let (ip, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
                (Ipv6Addr::from(*ip).into(), rest)
            }
            family => return Err(Error::UnknownAddress(family)),
        };
        let (port, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let peer = SocketAddr::new(ip, u16::from_be_bytes(*port));
        match kind {
            RENDEZVOUS => Ok(Self::Rendezvous(peer)),
            CONNECT => Ok(Self::Connect(peer)),
            ERROR => {
                let error = rest.first_chunk().ok_or_else(short)?;
                Ok(Self::Error(peer, Refusal(u32::from_be_bytes(*error))))
            }
            kind => Err(Error::UnknownKind(kind)),
        }
    }

    /// The payload of an extended message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, peer, error) = match *self {
            Self::Rendezvous(peer) => (RENDEZVOUS, peer, 0),
            Self::Connect(peer) => (CONNECT, peer, 0),
            Self::Error(peer, refusal) => (ERROR, peer, refusal.0),
        };
        let mut payload = match peer.ip() {
            IpAddr::V4(ip) => [&[kind, IPV4][..], &ip.octets()].concat(),
            IpAddr::V6(ip) => [&[kind, IPV6][..], &ip.octets()].concat(),
        };
        payload.extend(peer.port().to_be_bytes());
        payload.extend(error.to_be_bytes());
        payload
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_byte_by_byte() {
        let v4 = SocketAddr::from(([1, 2, 3, 4], 0x1a_e1));
        let connect = UtHolepunch::Connect(v4);
        assert_eq!(connect.encode(), b"\x01\0\x01\x02\x03\x04\x1a\xe1\0\0\0\0");
        let v6: SocketAddr = "[2001:db8::1]:2".parse().unwrap();
        let error = UtHolepunch::Error(v6, Refusal::NOT_CONNECTED);
        assert_eq!(error.encode(), b"\x02\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x02\0\0\0\x02");
        assert_eq!(UtHolepunch::decode(b"\0\0\x01\x02\x03\x04\x1a\xe1"), Ok(UtHolepunch::Rendezvous(v4)));
    }

    #[test]
    fn each_defect_has_its_error() {
        assert_eq!(UtHolepunch::decode(b""), Err(Error::Short(0)));
        assert_eq!(UtHolepunch::decode(b"\0\x01\x01\x02\x03\x04\x1a\xe1"), Err(Error::Short(8)));
        assert_eq!(UtHolepunch::decode(b"\x02\0\x01\x02\x03\x04\x1a\xe1\0\0"), Err(Error::Short(10)));
        assert_eq!(UtHolepunch::decode(b"\0\x02\x01\x02\x03\x04\x1a\xe1"), Err(Error::UnknownAddress(2)));
        assert_eq!(UtHolepunch::decode(b"\x03\0\x01\x02\x03\x04\x1a\xe1"), Err(Error::UnknownKind(3)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_alike(ip: IpAddr, port: u16, kind in 0..3, error: u32) {
            let peer = SocketAddr::new(ip, port);
            let message = match kind {
                0 => UtHolepunch::Rendezvous(peer),
                1 => UtHolepunch::Connect(peer),
                _ => UtHolepunch::Error(peer, Refusal(error)),
            };
            prop_assert_eq!(UtHolepunch::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
            if let Ok(message) = UtHolepunch::decode(&bytes) {
                prop_assert_eq!(UtHolepunch::decode(&message.encode()), Ok(message));
            }
        }
    }
}
