//! What a DHT node calls itself: 20 bytes, their XOR distance (BEP 5), and how they follow from the IP (BEP 42).
//!
//! | bits of the ID | are |
//! | --- | --- |
//! | 0–20 | the first 21 of CRC32C(masked IP with `r` in its top three bits) |
//! | 21–156 | random |
//! | 157–159 | `r`, random |

use std::{fmt, net::IpAddr};

use data_encoding::HEXLOWER;

use crate::InfoHash;

/// Bits in an ID.
pub const BITS: usize = 160;

const V4_MASK: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
const V6_MASK: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

/// A node's ID, and any other point of the ID space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 20]);

/// How far apart two points are; smaller is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance([u8; 20]);

impl Distance {
    /// Bits that both points begin with, 0 to 160.
    pub fn shared_bits(&self) -> usize {
        let differing = self.0.iter().position(|&byte| byte != 0);
        differing.map_or(BITS, |at| at * 8 + self.0.get(at).map_or(0, |byte| byte.leading_zeros() as usize))
    }
}

impl NodeId {
    /// The XOR distance (BEP 5).
    pub fn distance(&self, other: &Self) -> Distance {
        let mut distance = [0; 20];
        for ((to, a), b) in distance.iter_mut().zip(self.0).zip(other.0) {
            *to = a ^ b;
        }
        Distance(distance)
    }

    /// An ID that a node at `ip` may have (BEP 42), its free bits taken from `random`.
    pub fn for_ip(ip: IpAddr, random: [u8; 20]) -> Self {
        let [.., r] = random;
        let bound = bound_bits(ip, r);
        let mut id = random;
        let [first, second, third, ..] = &mut id;
        [*first, *second, *third] = [bound[0], bound[1], bound[2] | (*third & 0x07)];
        Self(id)
    }

    /// Whether a node at `ip` may have this ID (BEP 42). On local networks every ID will do.
    pub fn fits(&self, ip: IpAddr) -> bool {
        let [first, second, third, .., r] = self.0;
        is_local(ip) || bound_bits(ip, r) == [first, second, third & 0xf8]
    }

    /// A random point that shares exactly `bits` bits with this one, for looking into that part of the ID space.
    #[must_use]
    pub fn at_shared_bits(&self, bits: usize, random: [u8; 20]) -> Self {
        let mut id = random;
        for (at, (to, own)) in id.iter_mut().zip(self.0).enumerate() {
            for bit in 0..8 {
                let mask = 0x80_u8 >> bit;
                let own = own & mask;
                match (at * 8 + bit).cmp(&bits) {
                    std::cmp::Ordering::Less => *to = *to & !mask | own,
                    std::cmp::Ordering::Equal => *to = *to & !mask | (own ^ mask),
                    std::cmp::Ordering::Greater => {}
                }
            }
        }
        Self(id)
    }
}

/// The first 21 bits of an ID of a node at `ip`, the rest of the third byte 0.
fn bound_bits(ip: IpAddr, r: u8) -> [u8; 3] {
    let mut masked: Vec<u8> = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().iter().zip(V4_MASK).map(|(byte, mask)| byte & mask).collect(),
        IpAddr::V6(ip) => ip.octets().iter().zip(V6_MASK).map(|(byte, mask)| byte & mask).collect(),
    };
    if let Some(first) = masked.first_mut() {
        *first |= (r & 0x07) << 5;
    }
    let [first, second, third, _] = crc32c::crc32c(&masked).to_be_bytes();
    [first, second, third & 0xf8]
}

/// Whether BEP 42 exempts the address: it is not the one that others would see.
pub(super) fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// A swarm is looked for around the point its info-hash names.
impl From<InfoHash> for NodeId {
    fn from(info_hash: InfoHash) -> Self {
        Self(info_hash.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(hex: &str) -> NodeId {
        NodeId(hex.parse::<InfoHash>().unwrap().0)
    }

    #[test]
    fn the_examples_of_bep_42_fit() {
        for (ip, text) in [
            ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            assert!(id(text).fits(ip), "{ip}");
            assert_eq!(NodeId::for_ip(ip, id(text).0), id(text));
            assert!(!id(text).fits("43.213.53.84".parse().unwrap()));
        }
    }

    #[test]
    fn local_networks_are_exempt() {
        for ip in
            ["10.1.2.3", "172.16.0.1", "192.168.9.9", "169.254.1.1", "127.0.0.1", "fd00::1", "fe80::1", "::1"]
        {
            assert!(NodeId([0xaa; 20]).fits(ip.parse().unwrap()), "{ip}");
        }
        assert!(!NodeId([0xaa; 20]).fits("172.32.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn an_id_made_for_an_address_fits_it(v4: u32, v6: u128, random: [u8; 20]) {
            for ip in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
                prop_assert!(NodeId::for_ip(ip, random).fits(ip));
            }
        }

        #[test]
        fn distance_is_a_metric(a: [u8; 20], b: [u8; 20], c: [u8; 20]) {
            let (a, b, c) = (NodeId(a), NodeId(b), NodeId(c));
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a.distance(&a).shared_bits(), BITS);
            // Of two points at the same distance from a third there is only one.
            prop_assert_eq!(a.distance(&b) == a.distance(&c), b == c);
        }

        #[test]
        fn a_point_shares_as_many_bits_as_asked(own: [u8; 20], random: [u8; 20], bits in 0..BITS) {
            let own = NodeId(own);
            prop_assert_eq!(own.distance(&own.at_shared_bits(bits, random)).shared_bits(), bits);
        }
    }
}
