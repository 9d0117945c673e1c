//! How exactly the downloads of single torrents are dated: the table `confirmed_downloads` → the points of their curves.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::PolarsResult;
use serde::Serialize;

use super::{place, whole_count};
use crate::figure::confirmed_downloads::{PARTS, kinds_of_torrents};
use crate::table::Tables;

/// Intervals of one torrent, ms: the median, then of both kinds, watched live and between two visits, the curve.
type Curves = (u64, [Curve; 2]);

/// How many downloads, and the lengths of their intervals, ascending: of many only those that are drawn.
type Curve = (usize, Vec<u64>);

/// The curves by torrent.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Dated(BTreeMap<usize, Curves>);

impl Dated {
    /// Reads the table.
    pub fn of(tables: &Tables, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let mut intervals: BTreeMap<usize, [Vec<f64>; 2]> = BTreeMap::new();
        let columns = ["info_hash", "below_at", "confirmed_at", "evidence"];
        tables.read("confirmed_downloads", &columns, kinds_of_torrents, |part| {
            for (hash, kinds) in part {
                let Some(torrent) = place(places, Some(&hash)) else { continue };
                for (all, more) in intervals.entry(torrent).or_default().iter_mut().zip(kinds) {
                    all.extend(more);
                }
            }
        })?;
        let curves = |(torrent, mut kinds): (usize, [Vec<f64>; 2])| {
            let mut all: Vec<f64> = kinds.iter().flatten().copied().collect();
            all.sort_by(f64::total_cmp);
            let median = all.get(all.len() / 2).copied().unwrap_or_default();
            for kind in &mut kinds {
                kind.sort_by(f64::total_cmp);
            }
            (torrent, (milliseconds(median), kinds.map(|kind| curve(&kind))))
        };
        Ok(Self(intervals.into_iter().map(curves).collect()))
    }
}

fn milliseconds(interval_us: f64) -> u64 {
    whole_count((interval_us / 1e3).round())
}

/// The points of a curve: every value of a few, of many those at its parts.
fn curve(intervals: &[f64]) -> Curve {
    let last = intervals.len().saturating_sub(1);
    let values = if intervals.len() <= PARTS + 1 {
        intervals.to_vec()
    } else {
        (0..=PARTS).filter_map(|part| intervals.get(last * part / PARTS).copied()).collect()
    };
    (intervals.len(), values.into_iter().map(milliseconds).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::fixture;

    #[test]
    fn a_curve_has_as_many_points_as_are_drawn() {
        let second = |number: usize| number as f64 * 1e6;
        assert_eq!(curve(&[]), (0, Vec::new()));
        assert_eq!(curve(&[second(1), second(2)]), (2, vec![1_000, 2_000]));
        let many: Vec<f64> = (0..201).map(second).collect();
        let (number, values) = curve(&many);
        assert_eq!((number, values.len()), (201, PARTS + 1));
        assert_eq!((values[0], values[1], values[PARTS]), (0, 10_000, 200_000));
    }

    #[test]
    fn torrents_sum_up_to_all_of_them() {
        let tables = fixture::many(19, 34);
        let hashes: Vec<String> = (0..19).map(fixture::hash).collect();
        let places = hashes.iter().enumerate().map(|(place, hash)| (hash.as_str(), place)).collect();
        let found = Dated::of(&tables, &places).unwrap();
        let all = found.0.values().flat_map(|(_, kinds)| kinds).map(|(number, _)| number);
        assert_eq!(all.sum::<usize>(), tables.get("confirmed_downloads").unwrap().height());
        assert!(found.0.values().all(|(median, _)| *median >= 100));
    }
}
