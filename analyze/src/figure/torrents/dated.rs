//! How exactly the downloads of single torrents are dated: the table `confirmed_downloads` → the points of their curves.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::PolarsResult;
use serde::Serialize;

use super::{place, whole_count};
use crate::figure::confirmed_downloads::{Watched, curve_ranks, intervals};
use crate::table::Tables;

/// Intervals of one torrent, ms: the median, then of both kinds, watched live and between two visits, the curve.
type Curves = (u64, [Curve; 2]);

/// How many downloads, and the lengths of their intervals, ascending: of many only those that are drawn.
type Curve = (u64, Vec<u64>);

/// The curves by torrent.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Dated(BTreeMap<usize, Curves>);

impl Dated {
    /// Reads the table.
    pub fn of(tables: &Tables, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let mut torrents: BTreeMap<usize, Curves> = BTreeMap::new();
        for ((hash, watched), found) in intervals(tables, true, ranks)? {
            let Some(torrent) = place(places, hash.as_deref()) else { continue };
            let (median, [live, in_visits]) = torrents.entry(torrent).or_default();
            let lengths: Vec<u64> = found.values.into_iter().map(milliseconds).collect();
            match watched {
                Watched::Live => *live = (found.count, lengths),
                Watched::InVisits => *in_visits = (found.count, lengths),
                Watched::Anyhow => *median = lengths.first().copied().unwrap_or_default(),
            }
        }
        Ok(Self(torrents))
    }
}

/// The ranks of what is told: of a few intervals all, of many the points of the curve; and the median.
fn ranks(watched: Watched, count: u64) -> Vec<u64> {
    let points = curve_ranks(count).count() as u64;
    match watched {
        Watched::Anyhow => vec![count / 2],
        _ if count <= points => (0..count).collect(),
        _ => curve_ranks(count).collect(),
    }
}

fn milliseconds(interval_us: f64) -> u64 {
    whole_count((interval_us / 1e3).round())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::fixture;

    #[test]
    fn a_curve_has_as_many_points_as_are_drawn() {
        assert_eq!(ranks(Watched::Live, 0), Vec::<u64>::new());
        assert_eq!(ranks(Watched::Live, 2), [0, 1]);
        assert_eq!(ranks(Watched::Live, 21), (0..21).collect::<Vec<_>>());
        let many = ranks(Watched::InVisits, 201);
        assert_eq!((many.len(), many[0], many[1], many[20]), (21, 0, 10, 200));
        assert_eq!(ranks(Watched::Anyhow, 201), [100]);
    }

    #[test]
    fn torrents_sum_up_to_all_of_them() {
        let tables = fixture::many(19, 34);
        let hashes: Vec<String> = (0..19).map(fixture::hash).collect();
        let places = hashes.iter().enumerate().map(|(place, hash)| (hash.as_str(), place)).collect();
        let found = Dated::of(&tables, &places).unwrap();
        let all = found.0.values().flat_map(|(_, kinds)| kinds).map(|(number, _)| number);
        assert_eq!(all.sum::<u64>(), tables.get("confirmed_downloads").unwrap().height() as u64);
        assert!(found.0.values().all(|(median, _)| *median >= 100));
    }
}
