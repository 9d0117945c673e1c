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
    pieces::Key,
    rows::{Contact, Progress, Sighting, Vocabulary},
    segments::{Segment, SegmentError},
    shuffle::Shuffle,
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

impl<'a> Context<'a> {
    /// Which rows count.
    pub fn wanted(&self) -> Wanted<'a> {
        let Needs { presence, known, sightings, .. } = self.needs;
        Wanted { selection: &self.rules.selection, failed: presence || known || sightings }
    }
}

/// Where the rows of ranges come from.
pub enum Reader<'a> {
    /// From sorted files, range after range.
    Files(Box<Files<'a>>),
    /// From all of them by range.
    Shuffle(&'a Shuffle),
}

/// Sorted files that are read side by side.
pub struct Files<'a> {
    contacts: TableReader<'a, Contact>,
    progress: TableReader<'a, Progress>,
    sightings: TableReader<'a, Sighting>,
    vocabulary: Vocabulary,
}

impl<'a> Reader<'a> {
    /// A reader of a log's files from the range on that begins at `first`.
    pub fn of_files(context: &Context<'a>, first: Key) -> Self {
        let (segments, wanted) = (context.segments, context.wanted());
        Self::Files(Box::new(Files {
            contacts: TableReader::new(segments, wanted, first),
            progress: TableReader::new(segments, wanted, first),
            sightings: TableReader::new(segments, wanted, first),
            vocabulary: Vocabulary::default(),
        }))
    }

    /// Reads a range, which has this place among all.
    fn read(&mut self, place: usize, range: &Range, rows: &mut Rows) -> Result<&Vocabulary, SegmentError> {
        match self {
            Self::Files(files) => {
                let Files { contacts, progress, sightings, vocabulary } = files.as_mut();
                contacts.read(range.high, vocabulary, &mut rows.contacts)?;
                progress.read(range.high, vocabulary, &mut rows.progress)?;
                sightings.read(range.high, vocabulary, &mut rows.sightings)?;
                Ok(vocabulary)
            }
            Self::Shuffle(shuffle) => {
                shuffle.read(place, &mut rows.contacts)?;
                shuffle.read(place, &mut rows.progress)?;
                shuffle.read(place, &mut rows.sightings)?;
                Ok(&shuffle.vocabulary)
            }
        }
    }
}

/// Replays ranges that follow one another, each with its place among all; `keep` takes the peers, and `done` is told how
/// many rows each range had.
pub fn replay<'a, K: Keep>(
    context: &Context<'_>,
    mut reader: Reader<'_>,
    keep: K,
    ranges: impl Iterator<Item = (usize, &'a Range)>,
    done: impl Fn(u64) -> bool,
) -> Result<Found<K>, SegmentError> {
    let mut rows = Rows::default();
    let mut room = Room::default();
    let mut found = Found::new(keep);
    for (place, range) in ranges {
        let vocabulary = reader.read(place, range, &mut rows)?;
        let mut judging = Judging::new(context, &vocabulary.words, room, found);
        rows.for_each_unit(context.rules.identity, &vocabulary.runs, |unit| judging.judge(unit));
        (found, room) = judging.finish()?;
        if !done(range.rows) {
            break;
        }
    }
    found.peers.settle().and(found.addresses.settle()).map_err(peers::failed)?;
    Ok(found)
}
