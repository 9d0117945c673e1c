//! When a peer can have come at the earliest: after the last answer of the same source that did not name it.
//!
//! A peer that was never named before came between that answer and the one that named it; halfway is taken. Where a source
//! answers all the time, or names a part of its peers at random, this is too late. Times are microseconds.

use std::collections::HashMap;

use schema::table::{Source, Table};

use super::{
    columns::{Numbers, Texts},
    rows::Address,
    segments::{Piece, Segment, SegmentError},
    workers,
};
use crate::log::Selection;

/// Answers closer together belong to one round of asking: many nodes, many trackers.
const ROUND_US: i64 = 30_000_000;

/// Rounds are told to this.
const STEP_US: i64 = 10_000_000;

/// When each source answered about each torrent, in order.
#[derive(Clone, Debug, Default)]
pub struct Rounds(HashMap<(Address, Source), Vec<i64>>);

impl Rounds {
    /// Reads every sighting's source and time, but those of incoming connections.
    pub fn read(segments: &[Segment], selection: &Selection) -> Result<Self, SegmentError> {
        let groups = workers::row_groups(segments, &[Table::Sightings]);
        let mut rounds = Self::default();
        for found in workers::each(&groups, |(segment, pieces)| of_pieces(segment, pieces, selection))? {
            for (key, times) in found {
                rounds.0.entry(key).or_default().extend(times);
            }
        }
        for times in rounds.0.values_mut() {
            times.sort_unstable();
            times.dedup();
        }
        Ok(rounds)
    }

    /// Halfway between the answer that named a peer first and the round before; `None` where there was none.
    pub fn came_after(&self, info_hash: Address, source: Source, named_at: i64) -> Option<i64> {
        if source == Source::Incoming {
            return Some(named_at);
        }
        let times = self.0.get(&(info_hash, source))?;
        let before = times.partition_point(|time| *time <= named_at - ROUND_US);
        let before = times.get(before.checked_sub(1)?)?;
        Some(i64::midpoint(*before, named_at))
    }
}

type Answers = HashMap<(Address, Source), Vec<i64>>;

fn of_pieces(segment: &Segment, pieces: &[Piece], selection: &Selection) -> Result<Answers, SegmentError> {
    let mut answers = Answers::new();
    segment.read(&["info_hash", "source", "time"], pieces, |batch| {
        let (info_hash, time) = (Texts::of(batch, "info_hash")?, Numbers::of(batch, "time")?);
        let mut source = Texts::of(batch, "source")?;
        // By the source's place among all, a row's torrent at a time.
        let mut times: Vec<Vec<i64>> = vec![Vec::new(); Source::ALL.len()];
        let (mut view, mut of) = (None, None);
        let mut put = |of: Option<Address>, times: &mut Vec<Vec<i64>>| {
            for (source, times) in Source::ALL.iter().zip(times) {
                times.sort_unstable();
                times.dedup();
                if let Some(of) = of.filter(|_| !times.is_empty()) {
                    answers.entry((of, *source)).or_default().append(times);
                }
            }
        };
        for row in 0..batch.num_rows() {
            if row == 0 || info_hash.view(row) != view {
                put(of, &mut times);
                view = info_hash.view(row);
                of = info_hash.text(row).map(|text| Address::new(text.as_bytes()));
            }
            let code = source.code(row, |text| {
                let known = text.parse::<Source>().ok().filter(|source| *source != Source::Incoming);
                known.map_or(0, |source| u32::from(u8::from(source)) + 1)
            });
            let Some(times) = (code as usize).checked_sub(1).and_then(|place| times.get_mut(place)) else {
                continue;
            };
            if let Some(time) = time.get(row).filter(|time| selection.holds(*time)) {
                let time = time - time % STEP_US;
                if times.last() != Some(&time) {
                    times.push(time);
                }
            }
        }
        put(of, &mut times);
        Ok(())
    })?;
    for times in answers.values_mut() {
        times.sort_unstable();
        times.dedup();
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DHT: Source = Source::Dht;
    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_peer_came_between_two_rounds() {
        let [a, b] = [b"a", b"b"].map(|text| Address::new(text));
        let rounds = Rounds(HashMap::from([((a, DHT), vec![0, 10 * SECOND, 600 * SECOND, 610 * SECOND])]));
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
