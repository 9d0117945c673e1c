//! When a tracker is asked again: at its own interval, and after failures with growing delays.
//!
//! Delays carry jitter, so that swarms that began together do not stay together.

use std::time::Duration;

/// Asked again after this long where the tracker names no interval.
const INTERVAL_UNKNOWN: Duration = Duration::from_mins(30);
/// No tracker makes us ask more often than this on its own, as one that names 0 would.
const INTERVAL_MIN: Duration = Duration::from_secs(2);
/// No tracker makes us wait longer than this.
const INTERVAL_MAX: Duration = Duration::from_hours(24);
/// First delay after a failure; it doubles with each further one (BEP 15's base).
const RETRY_MIN: Duration = Duration::from_secs(15);
/// Longest delay after a failure.
const RETRY_MAX: Duration = Duration::from_hours(1);

/// Decides delays; randomness comes in as a number in `0.0..1.0`.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// `--announce-every`: asked for by the user instead of the tracker's interval.
    pub announce_every: Option<Duration>,
}

impl Pace {
    /// Delay after an answer that asked for `interval_s`, and never to come sooner than `min_interval_s`.
    pub fn after_answer(self, interval_s: Option<u32>, min_interval_s: Option<u32>, random: f64) -> Duration {
        let seconds = |s: u32| Duration::from_secs(u64::from(s));
        let own = interval_s.map_or(INTERVAL_UNKNOWN, seconds).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let least = min_interval_s.map_or(Duration::ZERO, seconds).min(INTERVAL_MAX);
        self.announce_every.unwrap_or(own).max(least).mul_f64(1.0 + random / 20.0)
    }

    /// Delay after the `failures`th failure in a row.
    pub fn after_failure(self, failures: u32, random: f64) -> Duration {
        let first = self.announce_every.map_or(RETRY_MIN, |every| every.min(RETRY_MIN));
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        doubled.min(RETRY_MAX).mul_f64(1.0 + random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Pace = Pace { announce_every: None };

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn the_trackers_interval_is_kept_within_reason() {
        assert_eq!(OWN.after_answer(Some(1800), None, 0.0), seconds(1800));
        assert_eq!(OWN.after_answer(Some(600), Some(900), 0.0), seconds(900));
        assert_eq!(OWN.after_answer(None, None, 0.0), INTERVAL_UNKNOWN);
        assert_eq!(OWN.after_answer(Some(0), Some(0), 0.0), INTERVAL_MIN);
        assert_eq!(OWN.after_answer(Some(u32::MAX), Some(u32::MAX), 0.0), INTERVAL_MAX);
    }

    #[test]
    fn the_users_interval_wins_but_not_over_the_minimum() {
        let pace = Pace { announce_every: Some(seconds(5)) };
        assert_eq!(pace.after_answer(Some(1800), None, 0.0), seconds(5));
        assert_eq!(pace.after_answer(Some(1800), Some(60), 0.0), seconds(60));
    }

    #[test]
    fn failures_wait_longer_and_longer() {
        let delays: Vec<u64> = (1..=10).map(|n| OWN.after_failure(n, 0.0).as_secs()).collect();
        assert_eq!(delays, [15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(OWN.after_failure(u32::MAX, 0.0), RETRY_MAX);
        assert_eq!(Pace { announce_every: Some(seconds(2)) }.after_failure(2, 0.0), seconds(4));
    }

    #[test]
    fn jitter_only_adds() {
        assert!(OWN.after_answer(Some(1800), None, 0.999) < seconds(1900));
        assert!(OWN.after_failure(1, 0.5) > seconds(15));
    }
}
