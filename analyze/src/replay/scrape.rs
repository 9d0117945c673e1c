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
}

impl Counter {
    fn observe(&mut self, value: u64) {
        if let Some(last) = self.last
            && value > last
        {
            let base = if last < self.high && value >= self.high { self.high } else { last };
            self.rise += value - base;
        }
        self.high = self.high.max(value);
        self.last = Some(value);
    }
}

/// The largest rise of any one tracker's counter, by info-hash; torrents no tracker counted are absent.
pub fn downloads(log: &Log, selection: &Selection) -> PolarsResult<BTreeMap<String, u64>> {
    let answers = log
        .select(Table::Requests, selection)?
        .filter(col("downloaded").is_not_null().and(col("outcome").eq(lit(RequestOutcome::Ok.as_str()))))
        .select([col("info_hash"), col("endpoint"), col("family"), col("time"), col("downloaded")])
        .sort(["info_hash", "endpoint", "family", "time", "downloaded"], SortMultipleOptions::default())
        .collect()?;
    let text = |name: &str| Ok::<_, polars::prelude::PolarsError>(answers.column(name)?.str()?.iter());
    let trackers = text("endpoint")?.zip(text("family")?);
    let mut rises: BTreeMap<String, u64> = BTreeMap::new();
    let mut current = (None, None);
    let mut counter = Counter::default();
    for ((info_hash, tracker), value) in
        text("info_hash")?.zip(trackers).zip(answers.column("downloaded")?.i64()?.iter())
    {
        let (Some(info_hash), Some(Ok(value))) = (info_hash, value.map(u64::try_from)) else { continue };
        if current != (Some(info_hash), Some(tracker)) {
            current = (Some(info_hash), Some(tracker));
            counter = Counter::default();
        }
        counter.observe(value);
        let rise = rises.entry(info_hash.to_owned()).or_default();
        *rise = counter.rise.max(*rise);
    }
    Ok(rises)
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
