//! How fast a peer downloads: bytes gained between known observations.
//!
//! The mean runs from the first observation to the threshold, or to the last gain below it, and over a whole window
//! where one was watched. The maximum is the highest, over all observations, of what was gained since the last exact
//! observation at least a window earlier, and never below a mean that spans a window. Unit: bytes per second.

use std::collections::VecDeque;

/// The shortest window of the maximum, µs. HAVEs come in bursts, and shorter windows would measure the bursts.
pub const WINDOW_US: i64 = 5_000_000;

/// The shortest time a mean is taken over, µs.
pub const SHORTEST_US: i64 = 1_000_000;

/// What a torrent's pieces are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// Bytes per piece; the last piece may be shorter.
    pub piece_length: u64,
    /// Bytes of the whole content.
    pub size: u64,
}

impl Bytes {
    /// What so many of the pieces are, at least: never more than the content, which they are when all are there.
    pub fn of(self, pieces: u32, piece_count: u32) -> u64 {
        if pieces >= piece_count { self.size } else { (u64::from(pieces) * self.piece_length).min(self.size) }
    }
}

/// Measures one peer; observations come in order of time and never go down.
#[derive(Clone, Debug, Default)]
pub struct Speedometer {
    first: Option<(i64, u64)>,
    /// The last gain.
    gained: (i64, u64),
    /// The first observation that makes a whole window with the first one.
    window_at: Option<i64>,
    last_at: i64,
    /// The last exact observation that is at least a window old, and the younger ones.
    old: Option<(i64, u64)>,
    young: VecDeque<(i64, u64)>,
    max: Option<f64>,
}

impl Speedometer {
    /// Forgets the peer it measured.
    pub fn clear(&mut self) {
        let mut young = std::mem::take(&mut self.young);
        young.clear();
        *self = Self { young, ..Self::default() };
    }

    /// Takes an observation; one that is not exact says "at least" and may end a window, not begin one.
    pub fn observe(&mut self, time: i64, bytes: u64, exact: bool) {
        if let Some(first) = self.first {
            if bytes > self.gained.1 {
                self.gained = (time, bytes);
            }
            if time - first.0 >= WINDOW_US {
                self.window_at.get_or_insert(time);
            }
            while let Some(young) = self.young.pop_front_if(|young| time - young.0 >= WINDOW_US) {
                self.old = Some(young);
            }
            if let Some(old) = self.old {
                self.max = Some(higher(self.max, per_second(old, (time, bytes))));
            }
        } else if exact {
            (self.first, self.gained) = (Some((time, bytes)), (time, bytes));
        } else {
            return;
        }
        self.last_at = time;
        if exact {
            self.young.push_back((time, bytes));
        }
    }

    /// Mean and maximum, bytes/s; `None` where no gain was seen over a long enough time.
    pub fn read(&self) -> (Option<f64>, Option<f64>) {
        let Some(first) = self.first.filter(|first| self.gained.1 > first.1) else { return (None, None) };
        let end = self.gained.0.max(self.window_at.unwrap_or(self.last_at));
        let mean = per_second(first, (end, self.gained.1));
        let max = if end - first.0 >= WINDOW_US { Some(higher(self.max, mean)) } else { self.max };
        ((end - first.0 >= SHORTEST_US).then_some(mean), max)
    }
}

fn higher(max: Option<f64>, speed: f64) -> f64 {
    max.map_or(speed, |max| max.max(speed))
}

fn per_second((begin, begin_bytes): (i64, u64), (end, end_bytes): (i64, u64)) -> f64 {
    end_bytes.saturating_sub(begin_bytes) as f64 * 1_000_000.0 / (end - begin) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    fn read(observations: &[(i64, u64)]) -> (Option<f64>, Option<f64>) {
        let mut speed = Speedometer::default();
        for (time_ms, bytes) in observations {
            speed.observe(time_ms * MS, *bytes, true);
        }
        speed.read()
    }

    #[test]
    fn one_observation_has_no_speed() {
        assert_eq!(read(&[(0, 100)]), (None, None));
        assert_eq!(read(&[(0, 100), (60_000, 100)]), (None, None));
    }

    #[test]
    fn bursts_are_measured_over_five_seconds() {
        let burst = [(0, 0), (1_000, 500), (2_000, 500), (5_000, 500), (60_000, 500)];
        assert_eq!(read(&burst), (Some(100.0), Some(100.0)));
    }

    #[test]
    fn a_gain_over_less_than_a_window_has_a_mean_and_no_maximum() {
        assert_eq!(read(&[(0, 0), (2_000, 500)]), (Some(250.0), None));
        assert_eq!(read(&[(0, 0), (500, 500)]), (None, None));
    }

    #[test]
    fn the_mean_ends_with_the_last_gain() {
        assert_eq!(read(&[(0, 0), (10_000, 1_000), (100_000, 1_000)]), (Some(100.0), Some(100.0)));
    }

    #[test]
    fn a_gain_after_the_last_window_is_measured_together_with_it() {
        assert_eq!(read(&[(0, 0), (5_000, 500), (7_000, 1_900)]).1, Some(1_900.0 / 7.0));
    }

    #[test]
    fn a_window_reaches_back_no_further_than_it_must() {
        // 100 B/s for half a minute, then 1,000 B/s.
        let slow = (0..=30_i64).map(|s| (s * 1_000, 100 * s.unsigned_abs()));
        let fast = (31..=40_i64).map(|s| (s * 1_000, 1_000 * (s - 27).unsigned_abs()));
        let observations: Vec<(i64, u64)> = slow.chain(fast).collect();
        assert_eq!(read(&observations), (Some(325.0), Some(1_000.0)));
    }

    #[test]
    fn a_gain_that_no_window_holds_counts_in_the_mean_and_so_in_the_maximum() {
        assert_eq!(read(&[(0, 0), (2_000, 600), (60_000, 600)]), (Some(10.0), Some(10.0)));
    }

    #[test]
    fn an_at_least_ends_a_window_and_begins_none() {
        let mut speed = Speedometer::default();
        speed.observe(0, 0, true);
        speed.observe(10_000 * MS, 1_000, false);
        speed.observe(20_000 * MS, 4_000, true);
        assert_eq!(speed.read(), (Some(200.0), Some(200.0)));
    }

    #[test]
    fn the_last_piece_may_be_shorter() {
        let bytes = Bytes { piece_length: 100, size: 250 };
        assert_eq!([0, 1, 2, 3].map(|pieces| bytes.of(pieces, 3)), [0, 100, 200, 250]);
    }
}
