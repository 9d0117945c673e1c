//! When a peer can have come at the earliest: after the last answer of the same source that did not name it.
//!
//! A peer that was never named before came between that answer and the one that named it; halfway is taken. Where a source
//! answers all the time, or names a part of its peers at random, this is too late. Times are microseconds.

use std::collections::BTreeMap;

use polars::prelude::{
    DataFrame, IntoColumn, IntoLazy, LazyFrame, NamedFrom, PolarsResult, Series, SortMultipleOptions,
    UniqueKeepStrategy, col, lit,
};
use schema::table::Source;

use super::{
    identity::{key, left_join},
    sightings::code_column,
};

/// Answers closer together belong to one round of asking: many nodes, many trackers.
const ROUND_US: i64 = 30_000_000;

/// Rounds are told to this.
const STEP_US: i64 = 10_000_000;

/// When each source answered about each torrent.
struct Rounds(BTreeMap<(String, i64), Vec<i64>>);

impl Rounds {
    fn read(sightings: &LazyFrame) -> PolarsResult<Self> {
        let answers = sightings
            .clone()
            .filter(col("source").neq(lit(Source::Incoming.as_str())))
            .select([
                col("info_hash"),
                code_column().alias("code"),
                (col("time") - col("time") % lit(STEP_US)).alias("time"),
            ])
            .unique(None, UniqueKeepStrategy::Any)
            .sort(["info_hash", "code", "time"], SortMultipleOptions::default())
            .collect()?;
        let mut rounds: BTreeMap<(String, i64), Vec<i64>> = BTreeMap::new();
        let sources = answers.column("info_hash")?.str()?.iter().zip(answers.column("code")?.i64()?.iter());
        for ((info_hash, code), time) in sources.zip(answers.column("time")?.i64()?.iter()) {
            if let (Some(info_hash), Some(code), Some(time)) = (info_hash, code, time) {
                rounds.entry((info_hash.to_owned(), code)).or_default().push(time);
            }
        }
        Ok(Self(rounds))
    }

    /// Halfway between the answer that named a peer first and the round before; `None` where there was none.
    fn came_after(&self, info_hash: &str, code: i64, named_at: i64) -> Option<i64> {
        if code == i64::from(u8::from(Source::Incoming)) {
            return Some(named_at);
        }
        let times = self.0.get(&(info_hash.to_owned(), code))?;
        let before = times.partition_point(|time| *time <= named_at - ROUND_US);
        let before = times.get(before.checked_sub(1)?)?;
        Some(i64::midpoint(*before, named_at))
    }
}

/// Adds `came_after` to peers that reached the threshold; null where nothing tells. `named` is
/// [`super::sightings::peers`]'s.
pub fn add_arrivals(peers: DataFrame, named: &DataFrame, sightings: &LazyFrame) -> PolarsResult<DataFrame> {
    let rounds = Rounds::read(sightings)?;
    let named = named.clone().lazy().select([key(), vec![col("first").alias("named_first")]].concat());
    let mut peers = peers.lazy().join(named, key(), key(), left_join()).collect()?;
    let reached = peers.column("reached_at")?.i64()?.iter();
    let first = peers.column("named_first")?.i64()?.iter();
    let after: Vec<Option<i64>> = peers
        .column("info_hash")?
        .str()?
        .iter()
        .zip(reached.zip(first))
        .map(|(info_hash, (reached, first))| {
            // The time of the first sighting and the code of its source in one number.
            let (_, first) = (reached?, first?);
            rounds.came_after(info_hash?, first.rem_euclid(8), first.div_euclid(8))
        })
        .collect();
    peers.with_column(Series::new("came_after".into(), after).into_column())?;
    peers.drop("named_first")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DHT: i64 = 0;
    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_peer_came_between_two_rounds() {
        let rounds = Rounds(BTreeMap::from([(
            ("a".to_owned(), DHT),
            vec![0, 10 * SECOND, 600 * SECOND, 610 * SECOND],
        )]));
        assert_eq!(
            rounds.came_after("a", DHT, 612 * SECOND),
            Some(311 * SECOND),
            "612 s is of the round of 600 s"
        );
        assert_eq!(rounds.came_after("a", DHT, 5 * SECOND), None, "of the first round");
        assert_eq!(rounds.came_after("a", 4, 612 * SECOND), None, "another source");
        assert_eq!(rounds.came_after("b", DHT, 612 * SECOND), None, "another torrent");
        let incoming = i64::from(u8::from(Source::Incoming));
        assert_eq!(rounds.came_after("a", incoming, 612 * SECOND), Some(612 * SECOND));
    }
}
