//! Ranges of keys: the log cut into pieces of bounded size, each replayed by itself, several at a time.
//!
//! A range holds whole addresses of a torrent, and where peers are named by their peer IDs whole torrents; so memory
//! follows the size of ranges and not that of the log or of a torrent.

use super::{
    Needs, Rules,
    decode::Wanted,
    found::Found,
    judging::{Judging, Room},
    keep::Keep,
    load::TableReader,
    overview::Overview,
    pace::Pace,
    peers,
    rows::{Contact, Progress, Sighting, Vocabulary},
    segments::{Key, Segment, SegmentError},
    unit::Rows,
};
use crate::place::Book;

/// Keys from `low` up to but not including `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key.
    pub low: Key,
    /// The first one after it.
    pub high: Key,
    /// Raw rows of the range, about.
    pub rows: u64,
}

/// What every range's replay needs.
pub struct Context<'a> {
    /// The rules in force.
    pub rules: &'a Rules,
    /// What is asked for.
    pub needs: Needs,
    /// How much is replayed at once.
    pub pace: Pace,
    /// The segments of the tables needed.
    pub segments: &'a [Segment],
    /// What was found in all of them.
    pub overview: &'a Overview,
    /// Where addresses are.
    pub book: &'a Book<'a>,
}

/// Replays ranges that follow one another, the first of which begins at `first`; `keep` takes the peers, and `done` is told
/// how many rows each range had.
pub fn replay<'a, K: Keep>(
    context: &Context<'_>,
    keep: K,
    first: Key,
    ranges: impl Iterator<Item = &'a Range>,
    done: impl Fn(u64) -> bool,
) -> Result<Found<K>, SegmentError> {
    let Context { rules, needs, pace, segments, .. } = context;
    let failed = needs.presence || needs.known || needs.sightings;
    let wanted = Wanted { selection: &rules.selection, failed };
    let mut vocabulary = Vocabulary::default();
    let mut contacts = TableReader::<Contact>::new(segments, wanted, pace.holds, first);
    let mut progress = TableReader::<Progress>::new(segments, wanted, pace.holds, first);
    let mut sightings = TableReader::<Sighting>::new(segments, wanted, pace.holds, first);
    let mut rows = Rows::default();
    let mut room = Room::default();
    let mut found = Found::new(keep);
    for range in ranges {
        let keys = (range.low, range.high);
        contacts.read(keys, &mut vocabulary, &mut rows.contacts)?;
        progress.read(keys, &mut vocabulary, &mut rows.progress)?;
        sightings.read(keys, &mut vocabulary, &mut rows.sightings)?;
        let mut judging = Judging::new(context, &vocabulary.words, room, found);
        rows.for_each_unit(rules.identity, &vocabulary.runs, |unit| judging.judge(unit));
        (found, room) = judging.finish()?;
        if !done(range.rows) {
            break;
        }
    }
    found.peers.settle().and(found.addresses.settle()).map_err(peers::failed)?;
    Ok(found)
}
