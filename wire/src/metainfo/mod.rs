//! Torrent files (BEP 3, 12, 27, 47, 52): what a swarm is about, with the exact info-hashes.
//!
//! The info dictionary is hashed as its bytes stand in the file; it is never written anew. Everything else
//! in it is checked, because a piece count that is wrong makes every observation wrong.

mod error;
mod files;

use std::collections::HashSet;

use crate::{
    InfoHash, InfoHashV2,
    bencode::{self, Dict},
};
pub use error::Error;

/// A torrent file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// What the swarm shares.
    pub info: Info,
    /// Announce URLs by tier (BEP 12), repeats and empty tiers left out.
    pub trackers: Vec<Vec<String>>,
}

/// An info dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Names the swarm: the v1 hash, or for a v2-only torrent its truncated v2 hash (BEP 52).
    pub info_hash: InfoHash,
    /// SHA-1 of the info dictionary; `None` for a v2-only torrent.
    pub info_hash_v1: Option<InfoHash>,
    /// SHA-256 of the info dictionary; `None` for a v1-only torrent.
    pub info_hash_v2: Option<InfoHashV2>,
    /// Suggested name (`name.utf-8` before `name`), bytes that are not UTF-8 replaced.
    pub name: String,
    /// Bytes per piece, at least 1.
    pub piece_length: u64,
    /// Pieces, and so bits in a bitfield, at least 1. A hybrid has its v1 part's, padding files included.
    pub piece_count: u32,
    /// Content, padding files left out (BEP 47).
    pub size_bytes: u64,
    /// Whether only trackers may be asked for peers (BEP 27).
    pub private: bool,
}

/// Reads a torrent file.
pub fn parse(bytes: &[u8]) -> Result<Metainfo, Error> {
    let dict = bencode::parse(bytes)?.as_dict().ok_or(Error::NotADictionary)?;
    let info = dict.get(b"info")?.ok_or(Error::Missing("info"))?;
    Ok(Metainfo { info: parse_info(info.raw())?, trackers: trackers(dict)? })
}

/// Reads an info dictionary alone, as peers send it (BEP 9).
pub fn parse_info(bytes: &[u8]) -> Result<Info, Error> {
    let dict = bencode::parse(bytes)?.as_dict().ok_or(Error::WrongType("info"))?;
    let piece_length = positive(dict, "piece length")?;
    let v1 = match dict.get(b"pieces")? {
        Some(pieces) => Some(files::v1(dict, pieces, piece_length)?),
        None => None,
    };
    let v2 = match dict.get(b"meta version")?.map(|version| version.as_i64()) {
        Some(Some(2)) => Some(files::v2(dict, piece_length)?),
        Some(version) if v1.is_none() => return Err(Error::MetaVersion(version)),
        _ => None,
    };
    if let (Some(v1), Some(v2)) = (&v1, &v2)
        && v1.size_bytes != v2.size_bytes
    {
        return Err(Error::Hybrid { v1_bytes: v1.size_bytes, v2_bytes: v2.size_bytes });
    }
    let info_hash_v1 = v1.is_some().then(|| InfoHash::of_info(bytes));
    let info_hash_v2 = v2.is_some().then(|| InfoHashV2::of_info(bytes));
    let info_hash = info_hash_v1.or(info_hash_v2.map(|hash| hash.truncated()));
    let content = v1.or(v2).ok_or(Error::Missing("pieces"))?;
    if content.piece_count == 0 {
        return Err(Error::Empty);
    }
    Ok(Info {
        info_hash: info_hash.ok_or(Error::Missing("pieces"))?,
        info_hash_v1,
        info_hash_v2,
        name: name(dict)?,
        piece_length,
        piece_count: content.piece_count,
        size_bytes: content.size_bytes,
        private: dict.get(b"private")?.and_then(|flag| flag.as_i64()).is_some_and(|flag| flag != 0),
    })
}

fn name(dict: Dict<'_>) -> Result<String, Error> {
    let utf8 = dict.get(b"name.utf-8")?.and_then(|name| name.as_bytes());
    let plain = || -> Result<_, Error> {
        dict.get(b"name")?.ok_or(Error::Missing("name"))?.as_bytes().ok_or(Error::WrongType("name"))
    };
    let name = match utf8 {
        Some(name) => name,
        None => plain()?,
    };
    Ok(String::from_utf8_lossy(name).into_owned())
}

/// The number under `key`, which must be there and above 0.
fn positive(dict: Dict<'_>, key: &'static str) -> Result<u64, Error> {
    let value = dict.get(key.as_bytes())?.ok_or(Error::Missing(key))?;
    value.as_u64().filter(|&number| number > 0).ok_or(Error::NotPositive(key))
}

/// `announce-list`, or `announce` where that has no URL in it (BEP 12). Neither need be there.
///
/// Some makers write `announce-list` as one flat list of URLs: each is a tier then.
fn trackers(dict: Dict<'_>) -> Result<Vec<Vec<String>>, Error> {
    let mut tiers = Vec::new();
    let mut seen = HashSet::new();
    let listed = dict.get(b"announce-list")?.and_then(|value| value.as_list());
    for tier in listed.into_iter().flatten() {
        let urls = match tier.as_list() {
            Some(urls) => urls.into_iter().collect(),
            None => vec![tier],
        };
        let urls = urls.into_iter().filter_map(|url| tracker(url.as_bytes()?));
        let urls: Vec<String> = urls.filter(|url| seen.insert(url.clone())).collect();
        if !urls.is_empty() {
            tiers.push(urls);
        }
    }
    if tiers.is_empty() {
        let announce = dict.get(b"announce")?.and_then(|url| tracker(url.as_bytes()?));
        tiers.extend(announce.map(|url| vec![url]));
    }
    Ok(tiers)
}

fn tracker(url: &[u8]) -> Option<String> {
    let url = str::from_utf8(url).ok()?.trim();
    (!url.is_empty()).then(|| url.to_owned())
}

#[cfg(test)]
mod tests;
