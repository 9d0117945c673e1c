//! Numbers of peers by torrent, where a table needs every one of them: a list of all, and where in it each torrent's are.

use std::{collections::BTreeMap, ops::Range};

use polars::prelude::{LazyFrame, PolarsResult};

use super::Input;
use crate::replay::workers;

/// Values of peers, those of a torrent next to each other.
#[derive(Debug)]
pub struct ByTorrent<T> {
    /// All of them.
    pub values: Vec<T>,
    /// Each torrent, and where its values are.
    torrents: BTreeMap<String, Range<usize>>,
}

impl<T: Send> ByTorrent<T> {
    /// What `read` reads of the peers, which come torrent by torrent, with each its torrent.
    pub fn of(
        input: &Input<'_>,
        read: impl Fn(LazyFrame) -> PolarsResult<Vec<(String, Vec<T>)>> + Sync,
    ) -> PolarsResult<Self> {
        let mut found = Self { values: Vec::new(), torrents: BTreeMap::new() };
        workers::in_order(
            &input.parts()?,
            |part| read(part.clone()),
            |part| {
                for (info_hash, of_torrent) in part {
                    let begin = found.values.len();
                    found.values.extend(of_torrent);
                    found.torrents.entry(info_hash).or_insert(begin..begin).end = found.values.len();
                }
                Ok(())
            },
        )?;
        Ok(found)
    }

    /// The torrents, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[T])> {
        let of = |place: &Range<usize>| self.values.get(place.clone()).unwrap_or_default();
        self.torrents.iter().map(move |(info_hash, place)| (info_hash.as_str(), of(place)))
    }
}

/// Puts values with one torrent after another into one list.
pub fn grouped<'a, T>(values: impl Iterator<Item = (Option<&'a str>, Option<T>)>) -> Vec<(String, Vec<T>)> {
    let mut torrents: Vec<(String, Vec<T>)> = Vec::new();
    for (info_hash, value) in values.filter_map(|(info_hash, value)| info_hash.zip(value)) {
        match torrents.last_mut() {
            Some((last, of_torrent)) if last == info_hash => of_torrent.push(value),
            _ => torrents.push((info_hash.to_owned(), vec![value])),
        }
    }
    torrents
}
