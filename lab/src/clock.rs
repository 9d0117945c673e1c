//! The one place of the lab that reads the clock, and the text of its times: RFC 3339, UTC, microseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use schema::Timestamp;
use tokio::time::Instant;

/// Wall-clock time taken once and carried forward by the monotonic clock, so that times of one lab never go back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_us: i64,
}

impl Clock {
    /// Starts at the system's wall-clock time.
    #[expect(clippy::disallowed_methods, reason = "this is the lab's clock")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_us: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX) }
    }

    /// Monotonic time, for deadlines.
    #[expect(clippy::disallowed_methods, reason = "this is the lab's clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.at(self.instant())
    }

    /// Wall-clock time of a moment of the monotonic clock.
    pub fn at(&self, instant: Instant) -> Timestamp {
        let elapsed = instant.saturating_duration_since(self.start);
        plus(Timestamp(self.start_us), elapsed)
    }
}

/// A time this much later.
pub fn plus(time: Timestamp, later: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)))
}

/// `2026-01-02T03:04:05.000006Z`; empty for a time no calendar has.
pub fn to_text(time: Timestamp) -> String {
    DateTime::from_timestamp_micros(time.0)
        .map_or_else(String::new, |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// Reads what [`to_text`] writes, and any other RFC 3339 time; the offset may lack its colon.
pub fn from_text(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text);
    let time = time.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    time.ok().map(|time| Timestamp(time.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_may_lack_its_colon() {
        assert_eq!(from_text("1970-01-01T00:00:01.5+0000"), Some(Timestamp(1_500_000)));
    }

    #[test]
    fn times_read_back_as_written() {
        let time = Timestamp(1_767_323_045_000_006);
        assert_eq!(to_text(time), "2026-01-02T03:04:05.000006Z");
        assert_eq!(from_text(&to_text(time)), Some(time));
        assert_eq!(from_text("2026-01-02 04:04:05.000006+01:00"), Some(time));
        assert_eq!(from_text("yesterday"), None);
    }
}
