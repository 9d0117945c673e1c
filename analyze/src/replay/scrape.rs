//! Downloads as trackers count them: how far the `downloaded` counter of each tracker rose during the capture.
//!
//! Counters of different trackers count the same downloads, so the largest rise stands and nothing is summed over
//! trackers. A counter that falls was reset, or answers come from several machines behind one name.

use std::collections::BTreeMap;

use polars::prelude::{PolarsResult, SortMultipleOptions, col, lit};
use schema::table::{RequestOutcome, Table};

use crate::log::{Log, Selection};

/// The rise of one counter over the answers of one tracker, in order of time.
///
/// After a fall, only what comes on top counts; a value beyond the old height is the old counter again, and counts
/// against that height. Falls themselves count nothing, so a reset loses what was counted around it.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    last: Option<u64>,
    high: u64,
    rise: u64,
    first: Option<u64>,
    falls: u64,
    answers: u64,
}

impl Counter {
    fn observe(&mut self, value: u64) {
        if let Some(last) = self.last {
            if value > last {
                let base = if last < self.high && value >= self.high { self.high } else { last };
                self.rise += value - base;
            }
            self.falls += u64::from(value < last);
        }
        self.first.get_or_insert(value);
        self.answers += 1;
        self.high = self.high.max(value);
        self.last = Some(value);
    }
}

/// What one tracker counted of one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The torrent.
    pub info_hash: String,
    /// The tracker's announce URL.
    pub endpoint: String,
    /// The address family it was asked over; answers of two families may come from two machines.
    pub family: Option<String>,
    /// Answers with a counter.
    pub answers: u64,
    /// The counter at first.
    pub first: u64,
    /// The counter at last.
    pub last: u64,
    /// How often it fell.
    pub resets: u64,
    /// How far it rose.
    pub downloads: u64,
}

/// Info-hash, announce URL and family.
type Tracker<'a> = (&'a str, &'a str, Option<&'a str>);

/// What each tracker counted, by torrent, tracker and family.
pub fn counted(log: &Log, selection: &Selection) -> PolarsResult<Vec<Counted>> {
    let answers = log
        .select(Table::Requests, selection)?
        .filter(col("downloaded").is_not_null().and(col("outcome").eq(lit(RequestOutcome::Ok.as_str()))))
        .select([col("info_hash"), col("endpoint"), col("family"), col("time"), col("downloaded")])
        .sort(["info_hash", "endpoint", "family", "time", "downloaded"], SortMultipleOptions::default())
        .collect()?;
    let text = |name: &str| Ok::<_, polars::prelude::PolarsError>(answers.column(name)?.str()?.iter());
    let trackers = text("info_hash")?.zip(text("endpoint")?).zip(text("family")?);
    let mut counters: Vec<(Tracker<'_>, Counter)> = Vec::new();
    for (((info_hash, endpoint), family), value) in trackers.zip(answers.column("downloaded")?.i64()?.iter())
    {
        let (Some(info_hash), Some(Ok(value))) = (info_hash, value.map(u64::try_from)) else { continue };
        let tracker = (info_hash, endpoint.unwrap_or_default(), family);
        match counters.last_mut() {
            Some((current, counter)) if *current == tracker => counter.observe(value),
            _ => {
                let mut counter = Counter::default();
                counter.observe(value);
                counters.push((tracker, counter));
            }
        }
    }
    let told = |((info_hash, endpoint, family), counter): (Tracker<'_>, Counter)| Counted {
        info_hash: info_hash.to_owned(),
        endpoint: endpoint.to_owned(),
        family: family.map(str::to_owned),
        answers: counter.answers,
        first: counter.first.unwrap_or_default(),
        last: counter.last.unwrap_or_default(),
        resets: counter.falls,
        downloads: counter.rise,
    };
    Ok(counters.into_iter().map(told).collect())
}

/// The largest rise of any one tracker's counter, by info-hash; torrents no tracker counted are absent.
pub fn downloads(counted: Vec<Counted>) -> BTreeMap<String, u64> {
    let mut rises: BTreeMap<String, u64> = BTreeMap::new();
    for tracker in counted {
        let rise = rises.entry(tracker.info_hash).or_default();
        *rise = tracker.downloads.max(*rise);
    }
    rises
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rise(values: &[u64]) -> u64 {
        let mut counter = Counter::default();
        for value in values {
            counter.observe(*value);
        }
        counter.rise
    }

    #[test]
    fn a_counter_counts_from_its_first_value() {
        assert_eq!(rise(&[]), 0);
        assert_eq!(rise(&[500]), 0);
        assert_eq!(rise(&[500, 500, 510]), 10);
    }

    #[test]
    fn a_reset_loses_nothing_but_the_fall() {
        assert_eq!(rise(&[500, 510, 0, 7]), 17);
    }

    #[test]
    fn two_machines_behind_one_name_are_not_added_up() {
        assert_eq!(rise(&[1000, 3, 1000, 3, 1001]), 1);
    }
}
