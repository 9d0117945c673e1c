//! Datagram → message, behind bencode's guard.

use std::net::SocketAddr;

use super::{
    Body, Cause, ERROR_TEXT_MAX, Error, Message, Query, Response, Samples, Scrape, TOKEN_MAX,
    TRANSACTION_MAX, VERSION_MAX, Want,
};
use crate::{
    InfoHash,
    bencode::{self, Dict, Value},
    compact,
    dht::{NodeInfo, bloom::Bloom, node_id::NodeId},
};

const ID_LEN: usize = 20;

impl Message {
    /// Reads a datagram.
    pub fn decode(datagram: &[u8]) -> Result<Self, Error> {
        let parsed =
            bencode::parse(datagram).map_err(|error| Error { transaction: None, cause: error.into() })?;
        let dict = parsed.as_dict().ok_or(Error { transaction: None, cause: Cause::Field("t") })?;
        let transaction = bytes(dict, "t").ok().flatten().filter(|id| id.len() <= TRANSACTION_MAX);
        let transaction = transaction.ok_or(Error { transaction: None, cause: Cause::Field("t") })?.to_vec();
        let read = || -> Result<_, Cause> {
            let version =
                bytes(dict, "v")?.map(|version| version.iter().take(VERSION_MAX).copied().collect());
            Ok((version, body(dict)?))
        };
        match read() {
            Ok((version, body)) => Ok(Self { transaction, version, body }),
            Err(cause) => Err(Error { transaction: Some(transaction), cause }),
        }
    }
}

fn body(dict: Dict<'_>) -> Result<Body, Cause> {
    match bytes(dict, "y")? {
        Some(b"q") => {
            let arguments = inner(dict, "a")?;
            Ok(Body::Query {
                id: id(arguments, "id")?.ok_or(Cause::Field("id"))?,
                read_only: flag(dict, "ro")?,
                query: query(bytes(dict, "q")?.ok_or(Cause::Field("q"))?, arguments)?,
            })
        }
        Some(b"r") => Ok(Body::Response {
            external: bytes(dict, "ip")?.and_then(address),
            response: response(inner(dict, "r")?)?,
        }),
        Some(b"e") => error(dict),
        _ => Err(Cause::Field("y")),
    }
}

fn query(method: &[u8], arguments: Dict<'_>) -> Result<Query, Cause> {
    let info_hash = || {
        let hash = id(arguments, "info_hash")?.ok_or(Cause::Field("info_hash"))?;
        Ok::<_, Cause>(InfoHash(hash.0))
    };
    let target = || id(arguments, "target")?.ok_or(Cause::Field("target"));
    Ok(match method {
        b"announce_peer" => {
            let implied_port = flag(arguments, "implied_port")?;
            let port =
                arguments.get(b"port")?.and_then(|port| port.as_u64()).and_then(|port| port.try_into().ok());
            Query::AnnouncePeer {
                info_hash: info_hash()?,
                implied_port,
                // Where the UDP port stands for it, any port or none will do.
                port: port.or(implied_port.then_some(0)).ok_or(Cause::Field("port"))?,
                seed: flag(arguments, "seed")?,
                token: token(arguments)?.ok_or(Cause::Field("token"))?,
            }
        }
        b"find_node" => Query::FindNode { target: target()?, want: want(arguments)? },
        b"get_peers" => Query::GetPeers {
            info_hash: info_hash()?,
            scrape: flag(arguments, "scrape")?,
            want: want(arguments)?,
        },
        b"ping" => Query::Ping,
        b"sample_infohashes" => Query::SampleInfohashes { target: target()?, want: want(arguments)? },
        method => {
            let target = match id(arguments, "target") {
                Ok(Some(target)) => Some(target),
                _ => id(arguments, "info_hash").ok().flatten(),
            };
            Query::Unknown { method: method.iter().take(VERSION_MAX).copied().collect(), target }
        }
    })
}

fn response(values: Dict<'_>) -> Result<Response, Cause> {
    let mut nodes = packed_nodes(values, "nodes", compact::V4_LEN, compact::decode_v4)?;
    nodes.extend(packed_nodes(values, "nodes6", compact::V6_LEN, compact::decode_v6)?);
    let listed = values.get(b"values")?.and_then(|list| list.as_list());
    let peers = listed.into_iter().flatten().filter_map(|value| address(value.as_bytes()?)).collect();
    let bloom = |key| Ok::<_, Cause>(bytes(values, key)?.and_then(Bloom::from_bytes));
    let scrape = bloom("BFsd")?.zip(bloom("BFpe")?).map(|(seeds, peers)| Scrape { seeds, peers });
    let number = |key: &str| Ok::<_, Cause>(values.get(key.as_bytes())?.and_then(|number| number.as_u64()));
    let samples = match bytes(values, "samples")?.map(<[u8]>::as_chunks::<ID_LEN>) {
        None => None,
        Some((hashes, [])) => Some(Samples {
            info_hashes: hashes.iter().copied().map(InfoHash).collect(),
            num: number("num")?,
            interval_s: number("interval")?,
        }),
        Some(_) => return Err(Cause::Field("samples")),
    };
    Ok(Response {
        id: id(values, "id")?.ok_or(Cause::Field("id"))?,
        nodes,
        values: peers,
        token: token(values)?,
        scrape,
        samples,
    })
}

fn error(dict: Dict<'_>) -> Result<Body, Cause> {
    let list = dict.get(b"e")?.and_then(|list| list.as_list()).ok_or(Cause::Field("e"))?;
    let mut items = list.into_iter();
    let code = items.next().and_then(|code| code.as_i64()).ok_or(Cause::Field("e"))?;
    let text = items.next().and_then(|text| text.as_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let cut = text.floor_char_boundary(ERROR_TEXT_MAX);
    Ok(Body::Error { code, text: text.get(..cut).unwrap_or_default().to_owned() })
}

fn packed_nodes(
    values: Dict<'_>,
    key: &'static str,
    address_len: usize,
    decode: fn(&[u8]) -> Result<Vec<SocketAddr>, compact::Error>,
) -> Result<Vec<NodeInfo>, Cause> {
    let packed = bytes(values, key)?.unwrap_or_default();
    let entries = packed.chunks_exact(ID_LEN + address_len);
    if !entries.remainder().is_empty() {
        return Err(Cause::Field(key));
    }
    let node = |entry: &[u8]| {
        let (id, address) = entry.split_first_chunk::<ID_LEN>()?;
        Some(NodeInfo { id: NodeId(*id), address: decode(address).ok()?.first().copied()? })
    };
    Ok(entries.filter_map(node).collect())
}

fn address(packed: &[u8]) -> Option<SocketAddr> {
    let decoded = match packed.len() {
        compact::V4_LEN => compact::decode_v4(packed),
        compact::V6_LEN => compact::decode_v6(packed),
        _ => return None,
    };
    decoded.ok()?.first().copied()
}

fn inner<'a>(dict: Dict<'a>, key: &'static str) -> Result<Dict<'a>, Cause> {
    dict.get(key.as_bytes())?.and_then(|value| value.as_dict()).ok_or(Cause::Field(key))
}

fn bytes<'a>(dict: Dict<'a>, key: &str) -> Result<Option<&'a [u8]>, Cause> {
    Ok(dict.get(key.as_bytes())?.and_then(|value: Value<'a>| value.as_bytes()))
}

/// An ID; none where the key is missing, an error where it is something else.
fn id(dict: Dict<'_>, key: &'static str) -> Result<Option<NodeId>, Cause> {
    let Some(value) = dict.get(key.as_bytes())? else { return Ok(None) };
    let id = value.as_bytes().and_then(|bytes| bytes.try_into().ok()).ok_or(Cause::Field(key))?;
    Ok(Some(NodeId(id)))
}

fn flag(dict: Dict<'_>, key: &str) -> Result<bool, Cause> {
    Ok(dict.get(key.as_bytes())?.and_then(|value| value.as_i64()).is_some_and(|value| value != 0))
}

fn token(dict: Dict<'_>) -> Result<Option<Vec<u8>>, Cause> {
    Ok(bytes(dict, "token")?.filter(|token| token.len() <= TOKEN_MAX).map(<[u8]>::to_vec))
}

fn want(arguments: Dict<'_>) -> Result<Option<Want>, Cause> {
    let Some(list) = arguments.get(b"want")?.and_then(|want| want.as_list()) else { return Ok(None) };
    let mut want = Want { ipv4: false, ipv6: false };
    for family in list {
        match family.as_bytes() {
            Some(b"n4") => want.ipv4 = true,
            Some(b"n6") => want.ipv6 = true,
            _ => {}
        }
    }
    Ok((want.ipv4 || want.ipv6).then_some(want))
}
