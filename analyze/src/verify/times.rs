//! When there were rows, run by run, and when there were none.

use std::collections::BTreeMap;

use super::{Gap, RunSpan, Verified};
use crate::time::{SECOND_US, rfc3339};

/// Times are kept as the first and last of each stretch of this length, so that memory does not grow with rows.
const STRETCH_US: i64 = 10 * SECOND_US;

/// The times of a run's rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    rows: u64,
    stretches: BTreeMap<i64, (i64, i64)>,
    /// The last stretch added to, which the next time most often falls into.
    last: Option<(i64, i64, i64)>,
    /// Whether the run ended in good order.
    pub(super) stopped: bool,
    /// Numbers of write-ahead files of which there are segments.
    pub(super) seqs: std::collections::BTreeSet<u32>,
}

impl Times {
    pub(super) fn add(&mut self, time: i64) {
        self.rows += 1;
        let stretch = time.div_euclid(STRETCH_US);
        match &mut self.last {
            Some((last, from, to)) if *last == stretch => {
                (*from, *to) = ((*from).min(time), (*to).max(time));
            }
            _ => {
                self.settle();
                self.last = Some((stretch, time, time));
            }
        }
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        other.settle();
        self.settle();
        self.rows += other.rows;
        self.stopped |= other.stopped;
        self.seqs.extend(other.seqs);
        for (stretch, (from, to)) in other.stretches {
            self.widen(stretch, from, to);
        }
    }

    fn settle(&mut self) {
        if let Some((stretch, from, to)) = self.last.take() {
            self.widen(stretch, from, to);
        }
    }

    fn widen(&mut self, stretch: i64, from: i64, to: i64) {
        let known = self.stretches.entry(stretch).or_insert((from, to));
        *known = (known.0.min(from), known.1.max(to));
    }

    fn span(&self) -> Option<(i64, i64)> {
        let (first, last) = (self.stretches.first_key_value()?, self.stretches.last_key_value()?);
        Some((first.1.0, last.1.1))
    }
}

/// Adds the runs and the gaps within and between them.
pub(super) fn tell(mut times: BTreeMap<String, Times>, gap_us: i64, verified: &mut Verified) {
    times.values_mut().for_each(Times::settle);
    let spans = times.iter().filter_map(|(run, times)| Some((times.span()?, run, times)));
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|(span, run, _)| (*span, (*run).clone()));
    let mut covered_to = None;
    for ((first, last), run, times) in spans {
        if let Some(before) = covered_to.filter(|before| first - before >= gap_us) {
            verified.gaps.push(gap(None, before, first));
        }
        covered_to = covered_to.max(Some(last));
        let stretches = times.stretches.values();
        for (before, after) in stretches.clone().zip(stretches.skip(1)) {
            if after.0 - before.1 >= gap_us {
                verified.gaps.push(gap(Some(run), before.1, after.0));
            }
        }
        let numbers = 0..times.seqs.last().copied().unwrap_or_default();
        verified.runs.push(RunSpan {
            run: run.clone(),
            rows: times.rows,
            first_at: rfc3339(first),
            last_at: rfc3339(last),
            stopped: times.stopped,
            missing: numbers.filter(|seq| !times.seqs.contains(seq)).collect(),
        });
    }
}

fn gap(run: Option<&String>, from: i64, to: i64) -> Gap {
    let seconds = u64::try_from((to - from) / SECOND_US).unwrap_or_default();
    Gap { run: run.cloned(), from: rfc3339(from), to: rfc3339(to), seconds }
}
