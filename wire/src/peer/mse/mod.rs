//! Message Stream Encryption (MSE, also PE): a handshake before the handshake, after which both directions look random.
//!
//! ```text
//! 1 A → B   Ya, PadA
//! 2 B → A   Yb, PadB
//! 3 A → B   HASH("req1", S), HASH("req2", SKEY) ^ HASH("req3", S),
//!           RC4( VC, crypto_provide, len(PadC), PadC, len(IA) ), RC4( IA )
//! 4 B → A   RC4( VC, crypto_select, len(PadD), PadD ), payload
//! 5 A → B   payload
//! ```
//! S is the Diffie–Hellman secret, SKEY the info-hash, VC eight zero bytes, IA the initiator's first payload. Nobody
//! tells the length of `PadA` and `PadB`: B looks for the hash that ends the one, A for the encrypted VC that ends the
//! other. The payload is RC4 or plaintext, as B selected; IA is RC4 in any case.
//!
//! Source: the Vuze wiki's "Message Stream Encryption". It hides what is spoken; it keeps no secret from anybody who
//! knows the info-hash and sits between, and so no key is refused as weak.

mod cipher;
mod initiator;
mod key;
mod responder;
#[cfg(test)]
mod tests;

pub use self::{
    cipher::{Ciphers, SwarmKeys},
    initiator::Initiator,
    key::{KEY_LEN, Secret},
    responder::Responder,
};
use crate::InfoHash;

/// Longest of each of the four pads, bytes.
pub const PAD_MAX: u16 = 512;

/// The verification constant.
const VC: [u8; 8] = [0; 8];

/// What may carry the payload: a set of methods, as `crypto_provide` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(pub u32);

impl Methods {
    /// The payload as it is.
    pub const PLAINTEXT: Self = Self(1);
    /// The payload under RC4.
    pub const RC4: Self = Self(2);
    /// Both.
    pub const ANY: Self = Self(3);

    /// The one method that `crypto_select` names, if this set has it and it is one.
    fn method(self, select: u32) -> Option<Method> {
        match select & self.0 {
            _ if select.count_ones() != 1 => None,
            1 => Some(Method::Plaintext),
            2 => Some(Method::Rc4),
            _ => None,
        }
    }
}

/// What carries the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The payload as it is.
    Plaintext,
    /// RC4, as the handshake.
    Rc4,
}

impl Method {
    fn bits(self) -> u32 {
        match self {
            Self::Plaintext => Methods::PLAINTEXT.0,
            Self::Rc4 => Methods::RC4.0,
        }
    }
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither side's methods are the other's.
    #[error("MSE: no common method, the peer has {0:#x}")]
    NoMethod(u32),
    /// What should end the pad did not come within its longest length: it is another protocol, or another swarm.
    #[error("MSE: no end of the pad within {PAD_MAX} bytes")]
    NoSync,
    /// A pad is longer than it may be.
    #[error("MSE: a pad of {0} bytes")]
    PadTooLong(u16),
    /// The peer means a swarm that is none of ours.
    #[error("MSE: none of our swarms")]
    UnknownSwarm,
    /// What should decrypt to zeros does not.
    #[error("MSE: the verification constant is wrong")]
    Unverified,
}

/// A handshake that is done.
#[derive(Debug)]
pub struct Established {
    /// The swarm both sides know.
    pub info_hash: InfoHash,
    /// What carries the payload.
    pub method: Method,
    /// Encrypts and decrypts everything that follows.
    pub ciphers: Ciphers,
    /// Payload that came with the end of the handshake, decrypted.
    pub payload: Vec<u8>,
}

/// The place of `needle` at or after `from`, with at most [`PAD_MAX`] bytes of pad before it.
///
/// `Ok(None)`: more bytes are needed. `from` moves on, so that bytes are not looked at again with each that comes.
fn find_end_of_pad(received: &[u8], needle: &[u8], from: &mut usize) -> Result<Option<usize>, Error> {
    let rest = received.get(*from..).unwrap_or_default();
    let pad_max = usize::from(PAD_MAX);
    let starts_left = (pad_max + 1).saturating_sub(*from);
    if let Some(place) = rest.windows(needle.len()).take(starts_left).position(|window| window == needle) {
        return Ok(Some(*from + place));
    }
    *from = received.len().saturating_sub(needle.len() - 1).max(*from);
    if *from > pad_max { Err(Error::NoSync) } else { Ok(None) }
}

/// Takes `len` bytes off the front of `received`, if there are so many.
fn take(received: &mut Vec<u8>, len: usize) -> Option<Vec<u8>> {
    let rest = (received.len() >= len).then(|| received.split_off(len))?;
    Some(std::mem::replace(received, rest))
}

/// Reads the length of a pad.
fn pad_len(bytes: &[u8]) -> Result<usize, Error> {
    let len = bytes.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
    if len > PAD_MAX { Err(Error::PadTooLong(len)) } else { Ok(len.into()) }
}
