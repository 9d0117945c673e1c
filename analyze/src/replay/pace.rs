//! How much of a log is replayed at once, so that memory stays within its bounds whatever the log's size and however many
//! cores there are.
//!
//! Files are read side by side, piece by piece, and ranges end within pieces. What was decoded beyond a range is held for
//! the next one, of each file and for each thread, as long as that is not too much; else rows are shuffled first.

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
const HELD_BYTES: usize = 300 << 20;

/// How much is replayed at once; nothing that is found depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Raw rows that a range aims at.
    pub range_rows: usize,
    /// Threads at most.
    pub threads: usize,
    /// Whether rows are shuffled before they are replayed.
    pub shuffles: bool,
}

impl Default for Pace {
    fn default() -> Self {
        let threads = workers::count();
        Self { range_rows: (ROWS_AT_ONCE / threads.max(1)).max(FEWEST_ROWS), threads, shuffles: false }
    }
}

impl Pace {
    /// The pace at which some segments can be replayed.
    #[must_use]
    pub fn for_segments(self, segments: &[Segment]) -> Self {
        let rows = segments.iter().flat_map(|segment| &segment.pieces).map(|piece| piece.rows).sum();
        let held = segments.iter().map(held_bytes).sum();
        self.for_log(rows, held, segments.iter().all(|segment| segment.is_sorted))
    }

    /// The pace for so many rows, of which each thread holds so many bytes: this one, with fewer threads where all would
    /// hold too much, or with a shuffle where even half of them would, or where files are in no order.
    fn for_log(self, rows: usize, held: usize, is_sorted: bool) -> Self {
        let even = (rows / (self.threads * RANGES_OF_A_THREAD).max(1)).max(FEWEST_ROWS);
        let range_rows = self.range_rows.min(even);
        let holders = HELD_BYTES.checked_div(held).unwrap_or(self.threads).min(self.threads);
        if self.shuffles || !is_sorted || holders <= self.threads / 2 {
            // No file is opened for a range: shorter ones cost nothing.
            return Self { range_rows: (range_rows / 2).max(1), shuffles: true, ..self };
        }
        Self { range_rows, threads: holders, shuffles: false }
    }
}

/// Bytes of a segment's largest piece once it is decoded, if each of its rows has a key of its own.
fn held_bytes(segment: &Segment) -> usize {
    let row = size_of::<Run>()
        + match segment.table {
            Table::Contacts => size_of::<Contact>(),
            Table::Progress => size_of::<Progress>(),
            _ => size_of::<Sighting>(),
        };
    segment.longest_piece() * row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_within_its_bounds() {
        let pace = Pace { range_rows: 1_000_000, threads: 8, shuffles: false };
        assert_eq!(pace.for_log(1 << 40, 0, true), pace);
        assert_eq!(pace.for_log(1 << 40, HELD_BYTES / 8, true), pace);
        assert_eq!(pace.for_log(1 << 40, HELD_BYTES / 5, true), Pace { threads: 5, ..pace });
        let shuffled = Pace { range_rows: 500_000, shuffles: true, ..pace };
        assert_eq!(pace.for_log(1 << 40, HELD_BYTES / 4, true), shuffled);
        assert_eq!(pace.for_log(1 << 40, HELD_BYTES * 2, true), shuffled);
        assert_eq!(pace.for_log(1 << 40, 1, false), shuffled);
        let alone = Pace { threads: 1, ..pace };
        assert_eq!(alone.for_log(1 << 40, HELD_BYTES, true), alone);
        assert_eq!(pace.for_log(24 * 8 * 60_000, 0, true).range_rows, 60_000);
        assert_eq!(pace.for_log(10, 0, true).range_rows, pace.range_rows.min(FEWEST_ROWS));
    }
}
