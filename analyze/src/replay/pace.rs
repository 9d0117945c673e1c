//! How much of a log is replayed at once, so that memory stays within its bounds whatever the log's size and however many
//! cores there are.
//!
//! Files are read piece by piece and ranges end within pieces. What was decoded beyond a range is held for the next one, of
//! each file and for each thread, as long as that is not too much; else pieces at the edges are decoded again for each
//! range, and ranges are long so that there are few.

use schema::table::Table;

use super::{
    rows::{Contact, Progress, Sighting},
    segments::Segment,
    workers,
};

/// Raw rows of the ranges that all threads replay at a time.
const ROWS_AT_ONCE: usize = 800_000;

/// Raw rows of a range at least: each costs something, whatever its length.
const FEWEST_ROWS: usize = 50_000;

/// Bytes that may be held for the next ranges if of every file a whole piece were held; mostly it is half of that.
const HELD_BYTES: usize = 768 << 20;

/// Raw rows of a range, and threads, where pieces are decoded anew.
const LONG_RANGE: (usize, usize) = (2_000_000, 2);

/// How much is replayed at once; nothing that is found depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Raw rows that a range aims at.
    pub range_rows: usize,
    /// Threads at most.
    pub threads: usize,
    /// Whether what is decoded beyond a range is held.
    pub holds: bool,
}

impl Default for Pace {
    fn default() -> Self {
        let threads = workers::count();
        Self { range_rows: (ROWS_AT_ONCE / threads.max(1)).max(FEWEST_ROWS), threads, holds: true }
    }
}

impl Pace {
    /// The pace at which some segments can be replayed, if it is to be this one where possible.
    #[must_use]
    pub fn for_segments(self, segments: &[Segment]) -> Self {
        let held: usize = segments.iter().filter(|segment| segment.is_sorted).map(held_bytes).sum();
        let threads = HELD_BYTES.checked_div(held).unwrap_or(self.threads).min(self.threads);
        let (long_rows, few_threads) = LONG_RANGE;
        if threads == 0 {
            let threads = self.threads.min(few_threads);
            return Self { range_rows: self.range_rows.max(long_rows), threads, holds: false };
        }
        let is_sorted = segments.iter().all(|segment| segment.is_sorted);
        let range_rows = if is_sorted { self.range_rows } else { self.range_rows.max(long_rows) };
        Self { range_rows, threads, holds: true }
    }
}

/// Bytes of a segment's largest piece once it is decoded.
fn held_bytes(segment: &Segment) -> usize {
    let row = match segment.table {
        Table::Contacts => size_of::<Contact>(),
        Table::Progress => size_of::<Progress>(),
        _ => size_of::<Sighting>(),
    };
    segment.pieces.iter().map(|piece| piece.rows).max().unwrap_or(0) * row
}
