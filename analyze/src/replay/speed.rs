//! How fast a peer downloads: bytes gained between known observations.
//!
//! The mean runs from the first observation to the threshold, or to the last gain below it; the maximum is taken over windows of at least 5 s, the
//! last of which reaches back as far as it must. Unit: bytes per second.

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
    last: Option<(i64, u64)>,
    /// Where the mean ends: the last gain, or the first observation after it that makes a whole window.
    mean_end: i64,
    /// Where the open window began, and the one before it.
    window: Option<(i64, u64)>,
    window_before: Option<(i64, u64)>,
    max: Option<f64>,
}

impl Speedometer {
    /// Takes an observation; one that is not exact says "at least" and may end a window, not begin one.
    pub fn observe(&mut self, time: i64, bytes: u64, exact: bool) {
        let (Some(first), Some(begin), Some(last)) = (self.first, self.window, self.last) else {
            if exact {
                let observation = Some((time, bytes));
                (self.first, self.window, self.last) = (observation, observation, observation);
            }
            return;
        };
        if bytes > last.1 {
            self.mean_end = time;
            self.last = Some((time, bytes));
        } else if self.mean_end - first.0 < WINDOW_US {
            self.mean_end = time;
        }
        if time - begin.0 < WINDOW_US {
            return;
        }
        self.max = Some(higher(self.max, begin, (time, bytes)));
        if exact {
            self.window_before = self.window;
            self.window = Some((time, bytes));
        }
    }

    /// Mean and maximum, bytes/s; `None` where no gain was seen over a long enough time.
    pub fn read(&self) -> (Option<f64>, Option<f64>) {
        let (Some(first), Some(last)) = (self.first, self.last) else { return (None, None) };
        if last.1 <= first.1 {
            return (None, None);
        }
        let long_enough = self.mean_end - first.0 >= SHORTEST_US;
        let mean = long_enough.then(|| per_second(first, (self.mean_end, last.1)));
        // A gain after the last whole window is measured together with that window.
        let open = self.window.is_some_and(|begin| last.0 > begin.0);
        let max = match self.window_before {
            Some(begin) if open => Some(higher(self.max, begin, last)),
            _ => self.max,
        };
        (mean, max)
    }
}

fn higher(max: Option<f64>, begin: (i64, u64), end: (i64, u64)) -> f64 {
    let speed = per_second(begin, end);
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
