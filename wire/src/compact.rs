//! Peer addresses as trackers, PEX and the DHT pack them: address then port, big-endian, no separators.
//!
//! | family | bytes of an entry | source |
//! | --- | --- | --- |
//! | IPv4 | 0–3 address, 4–5 port | BEP 23, BEP 15, BEP 11 |
//! | IPv6 | 0–15 address, 16–17 port | BEP 7, BEP 15, BEP 11 |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 entry.
pub const V4_LEN: usize = 6;
/// Bytes of an IPv6 entry.
pub const V6_LEN: usize = 18;

/// A list whose length is no multiple of an entry's: its writer disagrees with us about the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes of compact peers are not a whole number of {entry}-byte entries")]
pub struct Error {
    /// Bytes in the list.
    pub length: usize,
    /// Bytes in an entry of the expected family.
    pub entry: usize,
}

/// Unpacks IPv4 entries. Port 0 and odd addresses are kept: what to contact is the caller's policy.
pub fn decode_v4(bytes: &[u8]) -> Result<Vec<SocketAddr>, Error> {
    let (entries, rest) = bytes.as_chunks::<V4_LEN>();
    if !rest.is_empty() {
        return Err(Error { length: bytes.len(), entry: V4_LEN });
    }
    let peer = |&[a, b, c, d, high, low]: &[u8; V4_LEN]| {
        SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
    };
    Ok(entries.iter().map(peer).collect())
}

/// Unpacks IPv6 entries. IPv4-mapped addresses stay as they are.
pub fn decode_v6(bytes: &[u8]) -> Result<Vec<SocketAddr>, Error> {
    let (entries, rest) = bytes.as_chunks::<V6_LEN>();
    if !rest.is_empty() {
        return Err(Error { length: bytes.len(), entry: V6_LEN });
    }
    let peer = |&[ref address @ .., high, low]: &[u8; V6_LEN]| {
        SocketAddr::from((Ipv6Addr::from(*address), u16::from_be_bytes([high, low])))
    };
    Ok(entries.iter().map(peer).collect())
}

/// Packs the IPv4 addresses of `peers`; those of the other family are left out.
pub fn encode_v4(peers: &[SocketAddr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for peer in peers {
        if let IpAddr::V4(address) = peer.ip() {
            bytes.extend(address.octets());
            bytes.extend(peer.port().to_be_bytes());
        }
    }
    bytes
}

/// Packs the IPv6 addresses of `peers`; those of the other family are left out.
pub fn encode_v6(peers: &[SocketAddr]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for peer in peers {
        if let IpAddr::V6(address) = peer.ip() {
            bytes.extend(address.octets());
            bytes.extend(peer.port().to_be_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_round_trip(v4: Vec<([u8; 4], u16)>, v6: Vec<([u8; 16], u16)>) {
            let v4: Vec<SocketAddr> = v4.into_iter().map(SocketAddr::from).collect();
            let v6: Vec<SocketAddr> = v6.into_iter().map(SocketAddr::from).collect();
            let both = [v4.clone(), v6.clone()].concat();
            prop_assert_eq!(decode_v4(&encode_v4(&both)), Ok(v4));
            prop_assert_eq!(decode_v6(&encode_v6(&both)), Ok(v6));
        }

        #[test]
        fn any_bytes_decode_or_say_why(bytes: Vec<u8>) {
            prop_assert_eq!(decode_v4(&bytes).is_ok(), bytes.len() % V4_LEN == 0);
            prop_assert_eq!(decode_v6(&bytes).is_ok(), bytes.len() % V6_LEN == 0);
        }
    }

    #[test]
    fn port_is_big_endian_and_may_be_zero() {
        let peers = decode_v4(&[127, 0, 0, 1, 0x1a, 0xe1, 10, 0, 0, 2, 0, 0]).unwrap();
        assert_eq!(peers, ["127.0.0.1:6881".parse().unwrap(), "10.0.0.2:0".parse().unwrap()]);
    }
}
