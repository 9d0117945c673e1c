//! HAVEs after the opening burst, folded to at most one observation per resolution.
//!
//! A HAVE that takes the peer over a hundredth of the torrent between 90 and 100 % is never held back, so that
//! whichever threshold the replay uses is crossed at its true time.

use std::time::{Duration, Instant};

/// HAVEs that wait to be told as one.
#[derive(Debug)]
pub(super) struct Fold {
    resolution: Duration,
    /// When HAVEs were last told.
    told: Option<Instant>,
    waiting: Option<Waiting>,
}

/// One or more HAVEs as one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// When the last of them came.
    pub(super) at: Instant,
    /// Pieces after it.
    pub(super) pieces: u32,
    /// The piece, where it is only one.
    pub(super) piece: Option<u32>,
}

impl Fold {
    pub(super) fn new(resolution: Duration) -> Self {
        Self { resolution, told: None, waiting: None }
    }

    /// Whether every HAVE is told, even one that adds nothing.
    pub(super) fn is_off(&self) -> bool {
        self.resolution.is_zero()
    }

    /// Takes a HAVE; returns what is to be told at once, oldest first.
    pub(super) fn have(
        &mut self,
        now: Instant,
        index: u32,
        pieces: u32,
        piece_count: Option<u32>,
    ) -> [Option<Waiting>; 2] {
        let single = Waiting { at: now, pieces, piece: Some(index) };
        let crossed = piece_count.is_some_and(|count| crosses(pieces, count));
        if crossed {
            let before = self.waiting.take();
            self.told = Some(now);
            return [before, Some(single)];
        }
        let due = self.told.is_none_or(|told| now.saturating_duration_since(told) >= self.resolution);
        if due && self.waiting.is_none() {
            self.told = Some(now);
            return [Some(single), None];
        }
        let piece = if self.waiting.is_none() { Some(index) } else { None };
        self.waiting = Some(Waiting { at: now, pieces, piece });
        if due { [self.flush(now), None] } else { [None, None] }
    }

    /// When the HAVEs that wait are due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting?;
        self.told.map(|told| told + self.resolution)
    }

    /// Ends the waiting.
    pub(super) fn flush(&mut self, now: Instant) -> Option<Waiting> {
        let waiting = self.waiting.take()?;
        self.told = Some(now);
        Some(waiting)
    }
}

/// Whether `pieces` is the least number that reaches a hundredth of the torrent at or above 90 %.
fn crosses(pieces: u32, piece_count: u32) -> bool {
    let (pieces, piece_count) = (u64::from(pieces), u64::from(piece_count));
    (90..=100).any(|percent| (percent * piece_count).div_ceil(100) == pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_are_the_least_counts_that_reach_a_hundredth() {
        let crossing: Vec<u32> = (0..=50).filter(|&pieces| crosses(pieces, 50)).collect();
        assert_eq!(crossing, [45, 46, 47, 48, 49, 50]);
        assert!(!crosses(0, 50));
        assert!(crosses(1, 1));
    }
}
