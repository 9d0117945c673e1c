//! Swarm sizes from bloom filters (BEP 33): 256 bytes that hold who is in a swarm, without naming anyone.
//!
//! Two bits of SHA-1(IP) are set per IP, of either family. Filters of several nodes merge by OR.

use std::{fmt, net::IpAddr};

use sha1::{Digest as _, Sha1};

/// Bytes of a filter.
pub const LEN: usize = 256;
const BITS: u16 = 2048;
const HASHES: f64 = 2.0;

/// Up to some 6,000 IPs, of which the number can be told.
#[derive(Clone, PartialEq, Eq)]
pub struct Bloom(Box<[u8; LEN]>);

impl Default for Bloom {
    fn default() -> Self {
        Self(Box::new([0; LEN]))
    }
}

impl Bloom {
    /// A filter as a node sends it; `None` where the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Box::new(bytes)))
    }

    /// The filter as it is sent.
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// Adds an IP; adding it again changes nothing.
    pub fn insert(&mut self, ip: IpAddr) {
        let digest: [u8; 20] = match ip.to_canonical() {
            IpAddr::V4(ip) => Sha1::digest(ip.octets()).into(),
            IpAddr::V6(ip) => Sha1::digest(ip.octets()).into(),
        };
        let [a, b, c, d, ..] = digest;
        for bit in [u16::from_le_bytes([a, b]) % BITS, u16::from_le_bytes([c, d]) % BITS] {
            if let Some(byte) = self.0.get_mut(usize::from(bit / 8)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// Adds everything that is in `other`.
    pub fn merge(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(*other.0) {
            *to |= from;
        }
    }

    /// How many IPs it most likely holds: `ln(zeros / 2048) ÷ (2 × ln(1 − 1/2048))` (BEP 33).
    ///
    /// Biased low: peers behind one NAT are one IP. A filter without zero bits tells of some 7,800: "at least".
    pub fn size(&self) -> f64 {
        let bits = f64::from(BITS);
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        let zeros = f64::from(zeros).clamp(1.0, bits - 1.0);
        if self.0.iter().all(|&byte| byte == 0) {
            return 0.0;
        }
        (zeros / bits).ln() / (HASHES * (1.0 - 1.0 / bits).ln())
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom(about {:.0})", self.size())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use data_encoding::HEXUPPER;
    use proptest::prelude::*;

    use super::*;

    const BEP_33: &str = "\
        F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75EE7CCBAEFE5EEDB1FBFAFF67F6ABFF5E43DD\
        BCA3FD9B9FFDF4FFD3E9DFF12D1BDF59DB53DBE9FA5B7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE148246C2BC\
        5DBFF7E7EFDCF24FD8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81FC7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3FA1FC77BFE07\
        FFF905B7B7FFC7FEFEFFE0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5BFAF2E9EBFFFFEECD67ADBF7C67F17EFD5D75EBA\
        6FFEBA7FFF47A91EB1BFBB53E8ABFB5762ABE8FF237279BFEFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFFFBFD9F6AEFFEEE\
        76B6FD8F72EF";

    #[test]
    fn the_example_of_bep_33() {
        let mut bloom = Bloom::default();
        for last in 0..=255 {
            bloom.insert(Ipv4Addr::new(192, 0, 2, last).into());
        }
        for last in 0..=0x3e7 {
            bloom.insert(Ipv6Addr::from_bits(0x2001_0db8 << 96 | last).into());
        }
        assert!((bloom.size() - 1224.9308).abs() < 0.001, "{}", bloom.size());
        assert_eq!(HEXUPPER.encode(bloom.as_bytes()), BEP_33);
    }

    #[test]
    fn an_empty_filter_holds_nobody() {
        assert!(Bloom::default().size().abs() < f64::EPSILON);
        assert!(Bloom(Box::new([0xff; LEN])).size() > 6000.0);
        assert_eq!(Bloom::from_bytes(&[0; 255]), None);
    }

    proptest! {
        #[test]
        fn merging_is_inserting_all(a: Vec<u32>, b: Vec<u128>) {
            let (mut first, mut second, mut both) = (Bloom::default(), Bloom::default(), Bloom::default());
            for ip in a.iter().map(|&bits| IpAddr::V4(bits.into())) {
                first.insert(ip);
                both.insert(ip);
            }
            for ip in b.iter().map(|&bits| IpAddr::V6(bits.into())) {
                second.insert(ip);
                both.insert(ip);
            }
            first.merge(&second);
            prop_assert_eq!(&first, &both);
            prop_assert_eq!(Bloom::from_bytes(both.as_bytes()), Some(both));
        }

        #[test]
        fn the_size_is_near_the_truth(count in 10_u32..1000) {
            let mut bloom = Bloom::default();
            (0..count).for_each(|n| bloom.insert(IpAddr::V4(n.wrapping_mul(0x9e37_79b9).into())));
            let error = (bloom.size() - f64::from(count)).abs() / f64::from(count);
            prop_assert!(error < 0.2, "{count}: {}", bloom.size());
        }
    }
}
