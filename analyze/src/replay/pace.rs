//! How much of a log is replayed at once, so that memory stays within its bounds whatever the log's size and however many
//! cores there are.
//!
//! Files are read piece by piece and ranges end within pieces. What was decoded beyond a range is held for the next one, of
//! each file and for each thread, as long as that is not too much; else pieces at the edges are decoded again for each
//! range, and ranges are long so that there are few.

use schema::table::Table;

use super::{
    load::Run,
    rows::{Contact, Progress, Sighting},
    segments::Segment,
    workers,
};

/// Raw rows of the ranges that all threads replay at a time. Each range opens every file anew and reads its dictionaries
/// again, so that shorter ones take longer, the more the more files there are.
const ROWS_AT_ONCE: usize = 2_000_000;

/// Raw rows of a range at least: each costs something, whatever its length.
const FEWEST_ROWS: usize = 50_000;

/// Ranges of each thread at least where there are rows enough, so that all are done at about the same time.
const RANGES_OF_A_THREAD: usize = 24;

/// Bytes that may be held for the next ranges, if of every file a whole piece were held.
const HELD_BYTES: usize = 400 << 20;

/// Threads from which on holding is worth more than long ranges.
const FEW_THREADS: usize = 2;

/// Raw rows of a range where pieces are decoded anew.
const LONG_RANGE_ROWS: usize = 2_000_000;

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
    /// The pace at which some segments can be replayed, if it is to be this one where possible; one that holds nothing is.
    #[must_use]
    pub fn for_segments(self, segments: &[Segment]) -> Self {
        if !self.holds {
            return self;
        }
        let rows: usize = segments.iter().flat_map(|segment| &segment.pieces).map(|piece| piece.rows).sum();
        let even = (rows / (self.threads * RANGES_OF_A_THREAD).max(1)).max(FEWEST_ROWS);
        let held: usize = segments.iter().filter(|segment| segment.is_sorted).map(held_bytes).sum();
        let holders = HELD_BYTES.checked_div(held).unwrap_or(self.threads).min(self.threads);
        let few = self.threads.min(FEW_THREADS);
        let long = self.range_rows.max(LONG_RANGE_ROWS);
        if holders < few {
            return Self { range_rows: long, threads: few, holds: false };
        }
        let is_sorted = segments.iter().all(|segment| segment.is_sorted);
        let range_rows = if is_sorted { self.range_rows.min(even) } else { long };
        Self { range_rows, threads: holders, holds: true }
    }
}

/// Bytes of a segment's largest piece once it is decoded, if half of its rows have a key of their own.
fn held_bytes(segment: &Segment) -> usize {
    let row = size_of::<Run>() / 2
        + match segment.table {
            Table::Contacts => size_of::<Contact>(),
            Table::Progress => size_of::<Progress>(),
            _ => size_of::<Sighting>(),
        };
    segment.longest_piece() * row
}
