//! The one place that reads the clock.
//!
//! Wall-clock time is taken once, when the capture starts, and carried forward by the monotonic clock, so that the
//! times of one run never go back and differences between them are true. Tests pause it with `tokio::time::pause`.

use std::time::{SystemTime, UNIX_EPOCH};

use schema::Timestamp;
use tokio::time::Instant;

/// Tells the time of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_us: i64,
}

impl Clock {
    /// Starts the run's clock at the system's wall-clock time.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_us = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        Self { start: Instant::now(), start_us }
    }

    /// Monotonic time, for deadlines and durations.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Time for the log.
    pub fn now(&self) -> Timestamp {
        self.at(self.instant())
    }

    /// The log's time for a moment of the monotonic clock.
    pub fn at(&self, instant: Instant) -> Timestamp {
        let elapsed = instant.saturating_duration_since(self.start);
        Timestamp(self.start_us.saturating_add(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)))
    }
}
