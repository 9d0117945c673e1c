//! Ranges dealt out to threads: each has some that follow one another, and one that is done takes half of what is left to
//! the slowest.
//!
//! Ranges that follow one another are read without decoding anything twice, so that no thread takes single ranges from
//! here and there.

use std::{
    ops,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::range::Range;

/// Ranges that must be left to a share that gives half of them away.
const FEWEST_PARTED: usize = 2;

/// A log's ranges and who replays which.
#[derive(Debug)]
pub struct Shares<'a> {
    ranges: &'a [Range],
    /// What is left of each share.
    left: Mutex<Vec<ops::Range<usize>>>,
}

impl<'a> Shares<'a> {
    /// As many shares as threads, of about as many rows each.
    pub fn of(ranges: &'a [Range], threads: usize) -> Self {
        let all: u64 = ranges.iter().map(|range| range.rows).sum();
        let mut left = Vec::new();
        let (mut begin, mut rows) = (0, 0);
        for thread in 1..=threads as u64 {
            let until = all * thread / threads as u64;
            let mut end = begin;
            while let Some(range) = ranges.get(end).filter(|range| rows + range.rows <= until) {
                rows += range.rows;
                end += 1;
            }
            if thread == threads as u64 {
                end = ranges.len();
            }
            left.push(begin..end);
            begin = end;
        }
        Self { ranges, left: Mutex::new(left) }
    }

    fn left(&self) -> MutexGuard<'_, Vec<ops::Range<usize>>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a share's next range among all, and the range; `None` once the share is done.
    pub fn next(&self, share: usize) -> Option<(usize, &'a Range)> {
        let place = self.left().get_mut(share)?.next()?;
        Some((place, self.ranges.get(place)?))
    }

    /// Makes a share of the latter half of what is left of the longest one; `None` where nothing is left that is worth it.
    pub fn part(&self) -> Option<usize> {
        let mut left = self.left();
        let longest = left.iter_mut().max_by_key(|share| share.end - share.start)?;
        if longest.len() < FEWEST_PARTED {
            return None;
        }
        let middle = longest.end - longest.len() / 2;
        let latter = middle..longest.end;
        longest.end = middle;
        left.push(latter);
        Some(left.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::pieces::Key;

    fn ranges(rows: &[u64]) -> Vec<Range> {
        rows.iter().map(|rows| Range { low: Key::FIRST, high: Key::LAST, rows: *rows }).collect()
    }

    fn places(shares: &Shares<'_>, share: usize) -> Vec<usize> {
        std::iter::from_fn(|| shares.next(share)).map(|(place, _)| place).collect()
    }

    #[test]
    fn shares_have_about_as_many_rows() {
        let ranges = ranges(&[10, 10, 10, 10, 40, 80]);
        let shares = Shares::of(&ranges, 2);
        assert_eq!((places(&shares, 0), places(&shares, 1)), (vec![0, 1, 2, 3, 4], vec![5]));
        let one = &ranges[..1];
        let shares = Shares::of(one, 3);
        assert_eq!([0, 1, 2].map(|share| places(&shares, share)).concat(), [0]);
        assert_eq!(places(&Shares::of(&[], 2), 1), Vec::<usize>::new());
    }

    #[test]
    fn who_is_done_takes_half_of_the_longest_share() {
        let ranges = ranges(&[1; 20]);
        let shares = Shares::of(&ranges, 2);
        assert_eq!(places(&shares, 0).len(), 10);
        assert_eq!(shares.next(1).map(|(place, _)| place), Some(10));
        let third = shares.part().unwrap();
        assert_eq!(places(&shares, third), [16, 17, 18, 19]);
        let fourth = shares.part().unwrap();
        assert_eq!(places(&shares, fourth), [14, 15]);
        let fifth = shares.part().unwrap();
        assert_eq!(places(&shares, fifth), [13]);
        let sixth = shares.part().unwrap();
        assert_eq!(places(&shares, sixth), [12]);
        assert_eq!(shares.part(), None, "the last one left is its own share's next");
        assert_eq!(places(&shares, 1), [11]);
    }
}
