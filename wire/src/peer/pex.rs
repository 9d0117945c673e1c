//! Peer exchange (BEP 11): addresses that a peer has connected to and left since its last message.
//!
//! An extended message whose payload is a dictionary of compact lists (see [`compact`]):
//!
//! | key | holds |
//! | --- | --- |
//! | `added`, `added6` | addresses, 6 and 18 bytes each |
//! | `added.f`, `added6.f` | a byte of [`Flags`] for each of them |
//! | `dropped`, `dropped6` | addresses, likewise |
//!
//! BEP 11 allows 50 additions and one message a minute. Deviations that are taken: any key absent or of another type,
//! flags missing or fewer than addresses (old clients send none), a torn entry at the end, more addresses than allowed.

use std::{fmt, net::SocketAddr};

use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::{
    bencode::{self, Dict},
    compact::{self, V4_LEN, V6_LEN},
};

/// Addresses kept of each list; four times what BEP 11 allows, as a first message may be longer.
pub const ADDRESSES_MAX: usize = 200;

/// What the sender knows of an address it names. Hearsay: a hint at how to connect, never a claim of pieces.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// Prefers encrypted connections (MSE).
    pub const ENCRYPTION: Self = Self(0x01);
    /// Introduces others by `ut_holepunch` (BEP 55).
    pub const HOLEPUNCH: Self = Self(0x08);
    /// The sender connected to it, so it is reachable there.
    pub const REACHABLE: Self = Self(0x10);
    /// Has every piece, or wants none.
    pub const SEED: Self = Self(0x02);
    /// Speaks uTP (BEP 29).
    pub const UTP: Self = Self(0x04);

    /// Whether every flag of `flags` is set.
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// The flags of both.
    #[must_use]
    pub fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags({:#04x})", self.0)
    }
}

/// A `ut_pex` message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UtPex {
    /// Addresses the sender has connected to, those of IPv4 first; flags where it sent them.
    pub added: Vec<(SocketAddr, Option<Flags>)>,
    /// Addresses the sender has left, those of IPv4 first.
    pub dropped: Vec<SocketAddr>,
    /// Addresses beyond [`ADDRESSES_MAX`] of a list, and torn ones; not sent.
    pub left_out: usize,
}

#[derive(Serialize)]
struct Fields {
    added: ByteBuf,
    #[serde(rename = "added.f")]
    added_f: ByteBuf,
    #[serde(skip_serializing_if = "is_empty")]
    added6: ByteBuf,
    #[serde(rename = "added6.f", skip_serializing_if = "is_empty")]
    added6_f: ByteBuf,
    dropped: ByteBuf,
    #[serde(skip_serializing_if = "is_empty")]
    dropped6: ByteBuf,
}

fn is_empty(bytes: &ByteBuf) -> bool {
    bytes.is_empty()
}

impl UtPex {
    /// Reads the payload of an extended message with the id agreed for `ut_pex`. Bytes behind its dictionary are
    /// ignored.
    pub fn decode(payload: &[u8]) -> Result<Self, bencode::Error> {
        let (value, _) = bencode::parse_prefix(payload)?;
        let dict = value
            .as_dict()
            .ok_or_else(|| bencode::Error::Type("a ut_pex message is no dictionary".to_owned()))?;
        let mut message = Self::default();
        for (added, flags, entry) in
            [(&b"added"[..], &b"added.f"[..], V4_LEN), (b"added6", b"added6.f", V6_LEN)]
        {
            let flags = string(dict, flags)?;
            let addresses = message.addresses(string(dict, added)?, entry);
            let flag = |at: usize| flags.get(at).map(|&byte| Flags(byte));
            message.added.extend(addresses.into_iter().enumerate().map(|(at, address)| (address, flag(at))));
        }
        for (dropped, entry) in [(&b"dropped"[..], V4_LEN), (b"dropped6", V6_LEN)] {
            let addresses = message.addresses(string(dict, dropped)?, entry);
            message.dropped.extend(addresses);
        }
        Ok(message)
    }

    /// Unpacks the whole entries of a list, up to the limit, and counts the others.
    fn addresses(&mut self, list: &[u8], entry: usize) -> Vec<SocketAddr> {
        let kept = (list.len() / entry).min(ADDRESSES_MAX);
        self.left_out += list.len().div_ceil(entry) - kept;
        let whole = list.get(..kept * entry).unwrap_or_default();
        let decoded = if entry == V4_LEN { compact::decode_v4(whole) } else { compact::decode_v6(whole) };
        decoded.unwrap_or_default()
    }

    /// The payload of an extended message.
    pub fn encode(&self) -> Vec<u8> {
        let (v4, v6): (Vec<_>, Vec<_>) = self.added.iter().copied().partition(|(peer, _)| peer.is_ipv4());
        let addresses = |peers: &[(SocketAddr, _)]| peers.iter().map(|(peer, _)| *peer).collect::<Vec<_>>();
        let flags = |peers: &[(_, Option<Flags>)]| {
            ByteBuf::from(peers.iter().map_while(|(_, flags)| flags.map(|f| f.0)).collect::<Vec<_>>())
        };
        let fields = Fields {
            added: ByteBuf::from(compact::encode_v4(&addresses(&v4))),
            added_f: flags(&v4),
            added6: ByteBuf::from(compact::encode_v6(&addresses(&v6))),
            added6_f: flags(&v6),
            dropped: ByteBuf::from(compact::encode_v4(&self.dropped)),
            dropped6: ByteBuf::from(compact::encode_v6(&self.dropped)),
        };
        bencode::to_bytes(&fields).unwrap_or_default()
    }
}

/// The string under `key`; empty where it is absent or something else.
fn string<'a>(dict: Dict<'a>, key: &[u8]) -> Result<&'a [u8], bencode::Error> {
    Ok(dict.get(key)?.and_then(|value| value.as_bytes()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::{collection::vec, option, prelude::*};
    use serde_bytes::Bytes;

    use super::*;

    /// Addresses of one family with flags for the first few of them, as the format has it.
    fn flagged<A>(max: usize) -> impl Strategy<Value = Vec<(SocketAddr, Option<Flags>)>>
    where
        A: Arbitrary,
        SocketAddr: From<(A, u16)>,
    {
        (vec(any::<(A, u16)>(), 0..max), option::of(vec(any::<u8>(), max))).prop_map(|(peers, flags)| {
            let flag = |at: usize| flags.as_ref().map(|flags| Flags(flags[at]));
            peers.into_iter().enumerate().map(|(at, peer)| (peer.into(), flag(at))).collect()
        })
    }

    fn message() -> impl Strategy<Value = UtPex> {
        let dropped = (vec(any::<(Ipv4Addr, u16)>(), 0..9), vec(any::<(Ipv6Addr, u16)>(), 0..9));
        (flagged::<Ipv4Addr>(60), flagged::<Ipv6Addr>(60), dropped).prop_map(|(v4, v6, dropped)| UtPex {
            added: [v4, v6].concat(),
            dropped: dropped
                .0
                .into_iter()
                .map(SocketAddr::from)
                .chain(dropped.1.into_iter().map(Into::into))
                .collect(),
            left_out: 0,
        })
    }

    proptest! {
        #[test]
        fn messages_round_trip(message in message()) {
            let payload = message.encode();
            prop_assert_eq!(bencode::check(&payload), Ok(()));
            for length in 0..payload.len() {
                prop_assert!(UtPex::decode(&payload[..length]).is_err());
            }
            prop_assert_eq!(UtPex::decode(&payload), Ok(message));
        }

        #[test]
        fn lists_of_any_length_are_bounded(added: Vec<u8>, flags: Vec<u8>, long in 0..5000_usize) {
            let list = [added, vec![1; long]].concat();
            let payload = bencode::to_bytes(&std::collections::BTreeMap::from([
                ("added", Bytes::new(&list)), ("added.f", Bytes::new(&flags)), ("added6", Bytes::new(&list)),
            ])).unwrap();
            let message = UtPex::decode(&payload).unwrap();
            prop_assert!(message.added.len() <= 2 * ADDRESSES_MAX);
            let told = list.len().div_ceil(V4_LEN) + list.len().div_ceil(V6_LEN);
            prop_assert_eq!(message.added.len() + message.left_out, told);
            let flagged = message.added.iter().filter(|(_, flags)| flags.is_some()).count();
            prop_assert_eq!(flagged, flags.len().min(list.len() / V4_LEN).min(ADDRESSES_MAX));
        }

        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>, message in message(), cut: prop::sample::Index) {
            UtPex::decode(&bytes).ok();
            let payload = message.encode();
            UtPex::decode(&[&payload[..cut.index(payload.len())], &bytes].concat()).ok();
        }
    }

    #[test]
    fn the_messages_of_real_clients_are_read() {
        // libtorrent 2: every key, those of the other family empty.
        let payload =
            b"d5:added12:\x7f\0\0\x01\x1a\xe1\x0a\0\0\x02\x1a\xe27:added.f2:\x05\x126:added60:8:added6.f0:\
            7:dropped6:\x7f\0\0\x01\x1a\xe18:dropped60:e";
        let message = UtPex::decode(payload).unwrap();
        let (first, second) = ("127.0.0.1:6881".parse().unwrap(), "10.0.0.2:6882".parse().unwrap());
        assert_eq!(message.added, [(first, Some(Flags(0x05))), (second, Some(Flags(0x12)))]);
        assert_eq!((message.dropped, message.left_out), (vec![first], 0));
        assert!(Flags(0x05).has(Flags::ENCRYPTION.with(Flags::UTP)) && !Flags(0x05).has(Flags::SEED));
        assert!(Flags(0x12).has(Flags::SEED.with(Flags::REACHABLE)) && !Flags(0x12).has(Flags::HOLEPUNCH));
        // Clients before BEP 11 was written down: no flags, nothing dropped.
        let message = UtPex::decode(b"d5:added6:\x7f\0\0\x01\x1a\xe1e").unwrap();
        assert_eq!(message.added, [(first, None)]);
    }

    #[test]
    fn each_defect_costs_no_more_than_itself() {
        assert_eq!(UtPex::decode(b"de"), Ok(UtPex::default()));
        assert_eq!(UtPex::decode(b"d5:addedi5e7:droppedlee"), Ok(UtPex::default()));
        let torn = UtPex::decode(b"d5:added8:\x7f\0\0\x01\x1a\xe1\x0a\0e").unwrap();
        assert_eq!((torn.added.len(), torn.left_out), (1, 1));
        let error = |payload: &[u8]| UtPex::decode(payload).map_err(|error| error.to_string()).unwrap_err();
        assert_eq!(error(b"le"), "bencode: a ut_pex message is no dictionary");
        assert!(error(b"d5:added0:5:added0:e").contains("added"));
    }
}
