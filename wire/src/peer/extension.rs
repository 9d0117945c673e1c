//! What rides on extended messages (BEP 10): the extended handshake, and metadata exchange (BEP 9).
//!
//! Message 20, extended id 0 is the handshake; the others have the ids its `m` gives to names.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::bencode::{self, Dict};

/// The extended id of the handshake itself (BEP 10).
pub const HANDSHAKE_ID: u8 = 0;
/// The name of introductions in a handshake's `m` (BEP 55).
pub const UT_HOLEPUNCH: &str = "ut_holepunch";
/// The name of metadata exchange in a handshake's `m` (BEP 9).
pub const UT_METADATA: &str = "ut_metadata";
/// The name of peer exchange in a handshake's `m` (BEP 11).
pub const UT_PEX: &str = "ut_pex";

/// The longest client name kept, bytes. Real ones stay under 60.
const MAX_VERSION_BYTES: usize = 256;

/// An extended handshake (BEP 10). A peer may send it again; what it leaves out then stays as it was.
///
/// Every field may be absent. A field of the wrong type counts as absent, because clients differ: aria2 and
/// some old ones send `p` as 0, µTorrent sent `yourip` of odd lengths, and the rest is sound all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// Extended ids by name; 0 means the extension is off. Names that are not UTF-8 are left out.
    pub m: BTreeMap<String, u8>,
    /// Client name and version, bytes that are not UTF-8 replaced, cut at 256 bytes.
    pub v: Option<String>,
    /// The port the sender listens on.
    pub p: Option<u16>,
    /// Requests the sender queues.
    pub reqq: Option<u32>,
    /// Bytes of the info dictionary (BEP 9). Some send 0 or leave it out while they have none.
    pub metadata_size: Option<u32>,
    /// Whether the sender wants nothing any more, complete or not (BEP 21).
    pub upload_only: Option<bool>,
    /// The address the sender sees us at.
    pub yourip: Option<IpAddr>,
    /// The sender's IPv4 address, by its own word.
    pub ipv4: Option<Ipv4Addr>,
    /// The sender's IPv6 address, by its own word.
    pub ipv6: Option<Ipv6Addr>,
}

#[derive(Serialize)]
struct HandshakeDict<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv4: Option<ByteBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipv6: Option<ByteBuf>,
    m: &'a BTreeMap<String, u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reqq: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_only: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    yourip: Option<ByteBuf>,
}

impl ExtendedHandshake {
    /// Reads the payload of an extended message with id 0. Bytes behind its dictionary are ignored.
    pub fn decode(payload: &[u8]) -> Result<Self, bencode::Error> {
        let (value, _) = bencode::parse_prefix(payload)?;
        let dict = value.as_dict().ok_or_else(|| not_a_dict("an extended handshake"))?;
        let names = dict.get(b"m")?.and_then(|m| m.as_dict());
        let m = names.into_iter().flatten().filter_map(|(name, id)| {
            let id = u8::try_from(id.as_u64()?).ok()?;
            Some((str::from_utf8(name).ok()?.to_owned(), id))
        });
        let yourip = octets::<4>(dict, b"yourip")?.map(|ip| IpAddr::V4(ip.into()));
        Ok(Self {
            m: m.collect(),
            v: dict.get(b"v")?.and_then(|v| v.as_bytes()).map(text),
            p: number(dict, b"p")?,
            reqq: number(dict, b"reqq")?,
            metadata_size: number(dict, b"metadata_size")?,
            upload_only: number::<u64>(dict, b"upload_only")?.map(|flag| flag != 0),
            yourip: yourip.or(octets::<16>(dict, b"yourip")?.map(|ip| IpAddr::V6(ip.into()))),
            ipv4: octets::<4>(dict, b"ipv4")?.map(Ipv4Addr::from),
            ipv6: octets::<16>(dict, b"ipv6")?.map(Ipv6Addr::from),
        })
    }

    /// The payload of an extended message with id 0.
    pub fn encode(&self) -> Vec<u8> {
        let dict = HandshakeDict {
            ipv4: self.ipv4.map(|ip| ByteBuf::from(ip.octets())),
            ipv6: self.ipv6.map(|ip| ByteBuf::from(ip.octets())),
            m: &self.m,
            metadata_size: self.metadata_size,
            p: self.p,
            reqq: self.reqq,
            upload_only: self.upload_only.map(u8::from),
            v: self.v.as_deref(),
            yourip: self.yourip.map(|ip| match ip {
                IpAddr::V4(ip) => ByteBuf::from(ip.octets()),
                IpAddr::V6(ip) => ByteBuf::from(ip.octets()),
            }),
        };
        bencode::to_bytes(&dict).unwrap_or_default()
    }

    /// The extended id under which the sender wants messages of this name; `None` where it takes none.
    pub fn id_of(&self, name: &str) -> Option<u8> {
        self.m.get(name).copied().filter(|&id| id != 0)
    }
}

/// A message of the metadata exchange (BEP 9). Pieces of metadata are 16 KiB, the last one shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UtMetadata {
    /// Asks for a piece.
    Request {
        /// The piece's index.
        piece: u32,
    },
    /// Brings a piece.
    Data {
        /// The piece's index.
        piece: u32,
        /// Bytes of the whole metadata; some clients leave it out.
        total_size: Option<u32>,
        /// The piece, which stands behind the dictionary.
        bytes: Vec<u8>,
    },
    /// Refuses a piece.
    Reject {
        /// The piece's index.
        piece: u32,
    },
    /// A kind that BEP 9 does not name, to be ignored.
    Unknown {
        /// Its `msg_type`.
        msg_type: i64,
    },
}

#[derive(Serialize)]
struct MetadataDict {
    msg_type: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    piece: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_size: Option<u32>,
}

impl UtMetadata {
    /// Reads the payload of an extended message with the id agreed for [`UT_METADATA`].
    pub fn decode(payload: &[u8]) -> Result<Self, bencode::Error> {
        let (value, bytes) = bencode::parse_prefix(payload)?;
        let dict = value.as_dict().ok_or_else(|| not_a_dict("a ut_metadata message"))?;
        let msg_type = dict.get(b"msg_type")?.and_then(|kind| kind.as_i64());
        let msg_type = msg_type.ok_or_else(|| missing("a ut_metadata message", "msg_type"))?;
        let piece = number(dict, b"piece")?.ok_or_else(|| missing("a ut_metadata message", "piece"));
        match msg_type {
            0 => Ok(Self::Request { piece: piece? }),
            1 => Ok(Self::Data {
                piece: piece?,
                total_size: number(dict, b"total_size")?,
                bytes: bytes.to_vec(),
            }),
            2 => Ok(Self::Reject { piece: piece? }),
            msg_type => Ok(Self::Unknown { msg_type }),
        }
    }

    /// The payload of an extended message.
    pub fn encode(&self) -> Vec<u8> {
        let (msg_type, piece, total_size, bytes): (_, _, _, &[u8]) = match self {
            Self::Request { piece } => (0, Some(*piece), None, &[]),
            Self::Data { piece, total_size, bytes } => (1, Some(*piece), *total_size, bytes),
            Self::Reject { piece } => (2, Some(*piece), None, &[]),
            Self::Unknown { msg_type } => (*msg_type, None, None, &[]),
        };
        let mut payload =
            bencode::to_bytes(&MetadataDict { msg_type, piece, total_size }).unwrap_or_default();
        payload.extend_from_slice(bytes);
        payload
    }
}

fn not_a_dict(what: &str) -> bencode::Error {
    bencode::Error::Type(format!("{what} is no dictionary"))
}

fn missing(what: &str, key: &str) -> bencode::Error {
    bencode::Error::Type(format!("{what} has no sound {key:?}"))
}

fn number<T: TryFrom<u64>>(dict: Dict<'_>, key: &[u8]) -> Result<Option<T>, bencode::Error> {
    Ok(dict.get(key)?.and_then(|value| T::try_from(value.as_u64()?).ok()))
}

fn octets<const N: usize>(dict: Dict<'_>, key: &[u8]) -> Result<Option<[u8; N]>, bencode::Error> {
    Ok(dict.get(key)?.and_then(|value| value.as_bytes()?.try_into().ok()))
}

/// A client's name as text of bounded length.
fn text(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(MAX_VERSION_BYTES));
    text
}

#[cfg(test)]
mod tests;
