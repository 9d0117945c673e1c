//! The bencoded bodies HTTP trackers answer with, read and written.
//!
//! Real trackers differ, so much is taken: peers packed or as dictionaries, `peers6` beside either, numbers
//! that are negative or too large counted as absent, words that are not UTF-8, keys out of order.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::{
    InfoHash,
    bencode::{self, Dict, Value},
    compact,
    tracker::{AnnounceResponse, ScrapeEntry},
};

/// An answer that brings nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The tracker will not serve us, in its own words, bytes that are not UTF-8 replaced.
    #[error("the tracker refuses: {0}")]
    Failure(String),
    /// Not bencode, such as a web page.
    #[error("the answer is not bencoded: {0}")]
    Bencode(#[from] bencode::Error),
    /// Bencode, and not what was asked for.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
}

/// Reads the answer to an announce.
///
/// Peers in dictionaries that are no address and port are left out and counted: BEP 3 allows host names, which no
/// tracker of today sends, and trackers of I2P name its destinations.
pub fn decode_announce(body: &[u8]) -> Result<AnnounceResponse, ResponseError> {
    let dict = answer(body)?;
    let mut left_out = 0;
    let mut peers = match dict.get(b"peers")? {
        None => Vec::new(),
        Some(value) => match (value.as_bytes(), value.as_list()) {
            (Some(packed), _) => compact::decode_v4(packed).map_err(|e| malformed(&e))?,
            (None, Some(list)) => {
                let peers: Vec<Option<SocketAddr>> = list.into_iter().map(peer).collect();
                left_out =
                    u32::try_from(peers.iter().filter(|peer| peer.is_none()).count()).unwrap_or(u32::MAX);
                peers.into_iter().flatten().collect()
            }
            (None, None) => return Err(malformed(&"\"peers\" is neither a string nor a list")),
        },
    };
    if let Some(packed) = dict.get(b"peers6")?.and_then(|value| value.as_bytes()) {
        peers.extend(compact::decode_v6(packed).map_err(|e| malformed(&e))?);
    }
    Ok(AnnounceResponse {
        peers,
        left_out,
        interval_s: seconds(dict, b"interval")?,
        min_interval_s: seconds(dict, b"min interval")?,
        seeders: count(dict, b"complete")?,
        leechers: count(dict, b"incomplete")?,
        downloaded: count(dict, b"downloaded")?,
        warning: dict.get(b"warning message")?.and_then(|value| value.as_bytes()).map(text),
        tracker_id: dict.get(b"tracker id")?.and_then(|value| value.as_bytes()).map(<[u8]>::to_vec),
    })
}

/// Reads the answer to a scrape, swarms that were not asked about included.
pub fn decode_scrape(body: &[u8]) -> Result<Vec<ScrapeEntry>, ResponseError> {
    let dict = answer(body)?;
    let files = dict.get(b"files")?.ok_or_else(|| malformed(&"it has no \"files\""))?;
    let files = files.as_dict().ok_or_else(|| malformed(&"\"files\" is no dictionary"))?;
    let mut entries = Vec::new();
    for (hash, counts) in files {
        let (Ok(hash), Some(counts)) = (hash.try_into(), counts.as_dict()) else { continue };
        entries.push(ScrapeEntry {
            info_hash: InfoHash(hash),
            seeders: count(counts, b"complete")?,
            leechers: count(counts, b"incomplete")?,
            downloaded: count(counts, b"downloaded")?,
        });
    }
    Ok(entries)
}

/// The answer's dictionary, unless it is a refusal.
fn answer(body: &[u8]) -> Result<Dict<'_>, ResponseError> {
    let dict = bencode::parse(trimmed(body))?.as_dict().ok_or_else(|| malformed(&"it is no dictionary"))?;
    match dict.get(b"failure reason")?.and_then(|value| value.as_bytes()) {
        Some(reason) => Err(ResponseError::Failure(text(reason))),
        None => Ok(dict),
    }
}

/// The body without the line ends that trackers written in PHP leave behind it.
fn trimmed(body: &[u8]) -> &[u8] {
    body.trim_ascii_end()
}

/// A peer of the dictionary form; `None` for what is no address and port.
fn peer(value: Value<'_>) -> Option<SocketAddr> {
    let dict = value.as_dict()?;
    let field = |key: &[u8]| dict.get(key).ok().flatten();
    let port = u16::try_from(field(b"port")?.as_u64()?).ok()?;
    let ip = str::from_utf8(field(b"ip")?.as_bytes()?).ok()?.parse::<IpAddr>().ok()?;
    Some(SocketAddr::new(ip, port))
}

fn count(dict: Dict<'_>, key: &[u8]) -> Result<Option<u64>, ResponseError> {
    Ok(dict.get(key)?.and_then(|value| value.as_u64()))
}

fn seconds(dict: Dict<'_>, key: &[u8]) -> Result<Option<u32>, ResponseError> {
    Ok(count(dict, key)?.and_then(|seconds| seconds.try_into().ok()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn malformed(what: &impl ToString) -> ResponseError {
    ResponseError::Malformed(what.to_string())
}

#[derive(Serialize)]
struct AnnounceDict<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    downloaded: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<u32>,
    #[serde(rename = "min interval", skip_serializing_if = "Option::is_none")]
    min_interval: Option<u32>,
    peers: Peers,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers6: Option<ByteBuf>,
    #[serde(rename = "tracker id", skip_serializing_if = "Option::is_none")]
    tracker_id: Option<ByteBuf>,
    #[serde(rename = "warning message", skip_serializing_if = "Option::is_none")]
    warning_message: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Peers {
    Dictionaries(Vec<PeerDict>),
    Packed(ByteBuf),
}

#[derive(Serialize)]
struct PeerDict {
    ip: String,
    port: u16,
}

#[derive(Serialize)]
struct ScrapeDict {
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    downloaded: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<u64>,
}

/// The body that answers an announce, with peers packed or as dictionaries.
pub fn encode_announce(response: &AnnounceResponse, compact: bool) -> Vec<u8> {
    let (peers, peers6) = if compact {
        let v6 = compact::encode_v6(&response.peers);
        let peers6 = (!v6.is_empty()).then(|| ByteBuf::from(v6));
        (Peers::Packed(ByteBuf::from(compact::encode_v4(&response.peers))), peers6)
    } else {
        let peer = |peer: &SocketAddr| PeerDict { ip: peer.ip().to_string(), port: peer.port() };
        (Peers::Dictionaries(response.peers.iter().map(peer).collect()), None)
    };
    let dict = AnnounceDict {
        complete: response.seeders,
        downloaded: response.downloaded,
        incomplete: response.leechers,
        interval: response.interval_s,
        min_interval: response.min_interval_s,
        peers,
        peers6,
        tracker_id: response.tracker_id.clone().map(ByteBuf::from),
        warning_message: response.warning.as_deref(),
    };
    bencode::to_bytes(&dict).unwrap_or_default()
}

/// The body that answers a scrape.
pub fn encode_scrape(entries: &[ScrapeEntry]) -> Vec<u8> {
    let files: BTreeMap<ByteBuf, ScrapeDict> = entries
        .iter()
        .map(|entry| {
            let counts = ScrapeDict {
                complete: entry.seeders,
                downloaded: entry.downloaded,
                incomplete: entry.leechers,
            };
            (ByteBuf::from(entry.info_hash.0), counts)
        })
        .collect();
    bencode::to_bytes(&BTreeMap::from([("files", files)])).unwrap_or_default()
}

/// The body that refuses.
pub fn encode_failure(reason: &str) -> Vec<u8> {
    bencode::to_bytes(&BTreeMap::from([("failure reason", reason)])).unwrap_or_default()
}

#[cfg(test)]
mod tests;
