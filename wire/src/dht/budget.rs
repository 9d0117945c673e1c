//! A rate that is kept: so many per second, with a short burst (the generic cell rate algorithm).

use std::time::{Duration, Instant};

/// How far a burst may run ahead of the rate.
const BURST: Duration = Duration::from_millis(250);

/// Lets through so many per second.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    each: Duration,
    /// When the budget is even again.
    even_at: Instant,
}

impl Budget {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { each: Duration::from_secs(1) / per_second.max(1), even_at: now }
    }

    /// Takes one, if the rate has one left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.next() > now {
            return false;
        }
        self.even_at = self.even_at.max(now) + self.each;
        true
    }

    /// When the next one may be taken.
    pub(super) fn next(&self) -> Instant {
        self.even_at.checked_sub(BURST).unwrap_or(self.even_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn a_burst_is_short_and_idle_time_is_not_saved() {
        let start = Instant::now();
        let mut budget = Budget::new(100, start);
        let taken = |ms| (0..1000).filter(|_| budget.take(start + Duration::from_millis(ms))).count();
        // A second's worth is let through a quarter at a time, and what was not asked for is not saved up.
        assert_eq!([0, 10, 20, 1000, 5000].map(taken), [26, 1, 1, 26, 26]);
    }
}
