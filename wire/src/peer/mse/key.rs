//! The Diffie–Hellman exchange: generator 2 over a 768-bit safe prime, and the hashes made of its secret.

use num_bigint::BigUint;
use sha1::{Digest as _, Sha1};

use super::PAD_MAX;
use crate::InfoHash;

/// Bytes of a public key, and of the shared secret.
pub const KEY_LEN: usize = 96;

const PRIME: [u8; KEY_LEN] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc9, 0x0f, 0xda, 0xa2, 0x21, 0x68, 0xc2, 0x34, 0xc4,
    0xc6, 0x62, 0x8b, 0x80, 0xdc, 0x1c, 0xd1, 0x29, 0x02, 0x4e, 0x08, 0x8a, 0x67, 0xcc, 0x74, 0x02, 0x0b,
    0xbe, 0xa6, 0x3b, 0x13, 0x9b, 0x22, 0x51, 0x4a, 0x08, 0x79, 0x8e, 0x34, 0x04, 0xdd, 0xef, 0x95, 0x19,
    0xb3, 0xcd, 0x3a, 0x43, 0x1b, 0x30, 0x2b, 0x0a, 0x6d, 0xf2, 0x5f, 0x14, 0x37, 0x4f, 0xe1, 0x35, 0x6d,
    0x6d, 0x51, 0xc2, 0x45, 0xe4, 0x85, 0xb5, 0x76, 0x62, 0x5e, 0x7e, 0xc6, 0xf4, 0x4c, 0x42, 0xe9, 0xa6,
    0x3a, 0x36, 0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x05, 0x63,
];
const GENERATOR: u8 = 2;

/// What one side draws at random for a handshake.
#[derive(Clone, Debug)]
pub struct Secret {
    private_key: BigUint,
    /// `PadA` or `PadB`.
    pad: Vec<u8>,
    /// Length of `PadC` or `PadD`, which are zeros.
    later_pad: u16,
}

impl Secret {
    /// A private key, the bytes of the first pad, and the length of the second; pads are cut at [`PAD_MAX`].
    pub fn new(private_key: [u8; 20], mut pad: Vec<u8>, later_pad: u16) -> Self {
        pad.truncate(PAD_MAX.into());
        Self { private_key: BigUint::from_bytes_be(&private_key), pad, later_pad: later_pad.min(PAD_MAX) }
    }

    /// The public key and the pad behind it: all that is said before the other side's key is known.
    pub(super) fn opening(&self) -> Vec<u8> {
        [&bytes(&power(&BigUint::from(GENERATOR), &self.private_key)), &self.pad[..]].concat()
    }

    /// The secret that both sides now share.
    pub(super) fn shared(&self, their_key: &[u8]) -> Shared {
        Shared(bytes(&power(&BigUint::from_bytes_be(their_key), &self.private_key)))
    }

    pub(super) fn later_pad(&self) -> u16 {
        self.later_pad
    }
}

fn power(base: &BigUint, exponent: &BigUint) -> BigUint {
    base.modpow(exponent, &BigUint::from_bytes_be(&PRIME))
}

/// A number below the prime in as many bytes as the prime has.
fn bytes(number: &BigUint) -> [u8; KEY_LEN] {
    let mut bytes = [0; KEY_LEN];
    let digits = number.to_bytes_be();
    bytes.iter_mut().rev().zip(digits.iter().rev()).for_each(|(to, from)| *to = *from);
    bytes
}

/// S, the shared secret.
#[derive(Clone, Debug)]
pub(super) struct Shared([u8; KEY_LEN]);

impl Shared {
    /// What ends `PadA`.
    pub(super) fn end_of_pad(&self) -> [u8; 20] {
        hash(&[b"req1", &self.0])
    }

    /// What hides which swarm is meant.
    pub(super) fn mask(&self) -> [u8; 20] {
        hash(&[b"req3", &self.0])
    }

    /// The RC4 key of one direction.
    pub(super) fn cipher_key(&self, direction: [u8; 4], info_hash: &InfoHash) -> [u8; 20] {
        hash(&[&direction, &self.0, &info_hash.0])
    }
}

/// What a swarm is looked up by.
pub(super) fn swarm_hash(info_hash: &InfoHash) -> [u8; 20] {
    hash(&[b"req2", &info_hash.0])
}

/// One of the two under the other.
pub(super) fn xor(one: [u8; 20], other: [u8; 20]) -> [u8; 20] {
    let mut mixed = one;
    mixed.iter_mut().zip(other).for_each(|(to, from)| *to ^= from);
    mixed
}

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    parts.iter().fold(Sha1::new(), Sha1::chain_update).finalize().into()
}
