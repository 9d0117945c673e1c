//! When a peer can have come at the earliest: after the last answer of the same source that did not name it.
//!
//! A peer that was never named before came between that answer and the one that named it; halfway is taken. Where a source
//! answers all the time, or names a part of its peers at random, this is too late. Times are microseconds.

use std::collections::{BTreeMap, HashMap};

use schema::table::{Source, Table};

use super::{
    columns::{Numbers, Texts, Words},
    pieces::Piece,
    rows::Address,
    segments::{Segment, SegmentError},
    workers,
};
use crate::log::Selection;

/// Answers closer together belong to one round of asking: many nodes, many trackers.
const ROUND_US: i64 = 30_000_000;

/// Rounds are told to this.
const STEP_US: i64 = 10_000_000;

/// When each source answered about each torrent.
#[derive(Clone, Debug, Default)]
pub struct Rounds(HashMap<(Address, Source), Steps>);

impl Rounds {
    /// Reads every sighting's source and time, but those of incoming connections.
    pub fn read(segments: &[Segment], selection: &Selection) -> Result<Self, SegmentError> {
        let groups = workers::row_groups(segments, &[Table::Sightings]);
        let mut rounds = Self::default();
        let read = |(segment, pieces): &(&Segment, &[Piece])| of_pieces(segment, pieces, selection);
        workers::in_order(&groups, read, |found| {
            for (key, steps) in found.0 {
                rounds.0.entry(key).or_default().merge(&steps);
            }
            Ok(())
        })?;
        Ok(rounds)
    }

    /// Halfway between the answer that named a peer first and the round before; `None` where there was none.
    pub fn came_after(&self, info_hash: Address, source: Source, named_at: i64) -> Option<i64> {
        if source == Source::Incoming {
            return Some(named_at);
        }
        let steps = self.0.get(&(info_hash, source))?;
        let before = steps.last_until((named_at - ROUND_US).div_euclid(STEP_US))?;
        Some(i64::midpoint(before * STEP_US, named_at))
    }
}

/// A set of whole numbers, those of 64 that follow one another as the bits of one: an answer each step for days takes no
/// more than one in ten minutes.
#[derive(Clone, Debug, Default)]
struct Steps(BTreeMap<i64, u64>);

impl Steps {
    fn extend(&mut self, steps: impl IntoIterator<Item = i64>) {
        for step in steps {
            *self.0.entry(step >> 6).or_default() |= 1 << (step & 63);
        }
    }

    fn merge(&mut self, others: &Self) {
        for (block, bits) in &others.0 {
            *self.0.entry(*block).or_default() |= bits;
        }
    }

    /// The highest one up to a number.
    fn last_until(&self, step: i64) -> Option<i64> {
        let highest = |block: i64, bits: u64| bits.checked_ilog2().map(|bit| (block << 6) + i64::from(bit));
        let within = u64::MAX >> (63 - (step & 63));
        let same = self.0.get(&(step >> 6)).and_then(|bits| highest(step >> 6, bits & within));
        same.or_else(|| {
            self.0.range(..step >> 6).next_back().and_then(|(block, bits)| highest(*block, *bits))
        })
    }
}

fn of_pieces(segment: &Segment, pieces: &[Piece], selection: &Selection) -> Result<Rounds, SegmentError> {
    let mut rounds = Rounds::default();
    segment.read(&["info_hash", "source", "time"], pieces, |batch| {
        let (info_hash, time) = (Texts::of(batch, "info_hash")?, Numbers::of(batch, "time")?);
        let mut source = Words::of(batch, "source")?;
        // By the source's place among all, a row's torrent at a time.
        let mut steps: Vec<Vec<i64>> = vec![Vec::new(); Source::ALL.len()];
        let (mut view, mut of) = (None, None);
        let mut put = |of: Option<Address>, steps: &mut Vec<Vec<i64>>| {
            for (source, steps) in Source::ALL.iter().zip(steps) {
                steps.sort_unstable();
                steps.dedup();
                if let Some(of) = of.filter(|_| !steps.is_empty()) {
                    let all = rounds.0.entry((of, *source)).or_default();
                    all.extend(steps.drain(..));
                }
            }
        };
        for row in 0..batch.num_rows() {
            if row == 0 || info_hash.view(row) != view {
                put(of, &mut steps);
                view = info_hash.view(row);
                of = info_hash.text(row).map(|text| Address::new(text.as_bytes()));
            }
            let code = source.code(row, |text| {
                let known = text.parse::<Source>().ok().filter(|source| *source != Source::Incoming);
                known.map_or(0, |source| u32::from(u8::from(source)) + 1)
            });
            let Some(steps) = (code as usize).checked_sub(1).and_then(|place| steps.get_mut(place)) else {
                continue;
            };
            if let Some(time) = time.get(row).filter(|time| selection.holds(*time)) {
                let step = time.div_euclid(STEP_US);
                if steps.last() != Some(&step) {
                    steps.push(step);
                }
            }
        }
        put(of, &mut steps);
        Ok(())
    })?;
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn steps_are_a_set_of_numbers(
            one in proptest::collection::vec(-300..300_i64, 0..30),
            other in proptest::collection::vec(-300..300_i64, 0..30),
            asked in -400..400_i64,
        ) {
            let [mut steps, others] = [&one, &other].map(|numbers| {
                let mut steps = Steps::default();
                steps.extend(numbers.iter().copied());
                steps
            });
            steps.merge(&others);
            let all: BTreeSet<i64> = one.into_iter().chain(other).collect();
            prop_assert_eq!(steps.last_until(asked), all.range(..=asked).next_back().copied());
            prop_assert_eq!(Steps::default().last_until(asked), None);
        }
    }

    const DHT: Source = Source::Dht;
    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_peer_came_between_two_rounds() {
        let [a, b] = [b"a", b"b"].map(|text| Address::new(text));
        let mut steps = Steps::default();
        steps.extend([0, 10, 600, 610].map(|second| second * SECOND / STEP_US));
        let rounds = Rounds(HashMap::from([((a, DHT), steps)]));
        assert_eq!(
            rounds.came_after(a, DHT, 612 * SECOND),
            Some(311 * SECOND),
            "612 s is of the round of 600 s"
        );
        assert_eq!(rounds.came_after(a, DHT, 5 * SECOND), None, "of the first round");
        assert_eq!(rounds.came_after(a, Source::Pex, 612 * SECOND), None, "another source");
        assert_eq!(rounds.came_after(b, DHT, 612 * SECOND), None, "another torrent");
        assert_eq!(rounds.came_after(a, Source::Incoming, 612 * SECOND), Some(612 * SECOND));
    }
}
