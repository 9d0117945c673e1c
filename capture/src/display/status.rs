//! The figures of a run in one line: `1m 30s of 1h · 12 swarms · 3,456 peers · …`.

use std::{fmt::Write as _, time::Duration};

use schema::table::Gauge;
use tokio::time::Instant;

/// The last gauge, and what follows from it and the one before.
pub struct Status {
    began: Instant,
    run_for: Option<Duration>,
    last: Option<(Instant, Gauge)>,
    contacts_per_s: f64,
}

impl Status {
    /// Before the first gauge.
    pub fn new(began: Instant, run_for: Option<Duration>) -> Self {
        Self { began, run_for, last: None, contacts_per_s: 0.0 }
    }

    /// Takes in a gauge.
    pub fn take_in(&mut self, now: Instant, gauge: Option<&Gauge>) {
        let Some(gauge) = gauge else { return };
        if self.last.as_ref().is_some_and(|(_, last)| last == gauge) {
            return;
        }
        let (since, before) = match &self.last {
            Some((at, last)) => (*at, contacts(last)),
            None => (self.began, 0),
        };
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if seconds > 0.0 {
            self.contacts_per_s = contacts(gauge).saturating_sub(before) as f64 / seconds;
        }
        self.last = Some((now, gauge.clone()));
    }

    /// The last gauge.
    pub fn gauge(&self) -> Option<&Gauge> {
        self.last.as_ref().map(|(_, gauge)| gauge)
    }

    /// Time since the run began.
    pub fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Time until the run ends, where that is planned.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.run_for.map(|run_for| run_for.saturating_sub(self.elapsed(now)))
    }

    /// Contacts begun per second between the last two gauges, both directions.
    pub fn contacts_per_s(&self) -> f64 {
        self.contacts_per_s
    }

    /// The line.
    pub fn line(&self, now: Instant) -> String {
        let elapsed = self.elapsed(now);
        let mut line = clock_text(elapsed);
        // Writing to a String cannot fail.
        match self.run_for {
            Some(run_for) if elapsed >= run_for => line += ", ending",
            Some(run_for) => write!(line, " of {}", clock_text(run_for)).unwrap_or_default(),
            None => {}
        }
        match self.gauge() {
            None => line.push_str(" · asking for peers"),
            Some(gauge) => {
                write!(
                    line,
                    " · {} · {} · {} open, {:.0}/s · {} confirmed · log {}",
                    counted(gauge.swarms, "swarm"),
                    counted(gauge.peers_known, "peer"),
                    counted(gauge.contacts_open, "contact"),
                    self.contacts_per_s,
                    grouped(gauge.crossings),
                    size(log_bytes(gauge)),
                )
                .ok();
                if gauge.log_paused == Some(true) {
                    line.push_str(" · PAUSED: the disk takes no rows");
                }
            }
        }
        line
    }
}

/// What the log has written: finished segments, and the write-ahead file they were made of.
pub fn log_bytes(gauge: &Gauge) -> u64 {
    gauge.log_wal_bytes.saturating_add(gauge.log_segment_bytes)
}

fn contacts(gauge: &Gauge) -> u64 {
    gauge.contacts_started.saturating_add(gauge.incoming_contacts)
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The two largest units.
fn clock_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(contacts_started: u64) -> Gauge {
        Gauge {
            swarms: 12,
            peers_known: 1_234_567,
            peers_due: 0,
            peers_waiting: 0,
            peers_not_allowed: 0,
            peers_complete: 0,
            contacts_opening: 0,
            contacts_open: 1,
            contacts_started,
            first_contacts_ok: 0,
            first_contacts_failed: 0,
            later_contacts_ok: 0,
            later_contacts_failed: 0,
            incoming_contacts: 5,
            incoming_unique: 0,
            incoming_refused: 0,
            sightings: 0,
            sightings_new: 0,
            requests_ok: 0,
            requests_failed: 0,
            crossings: 17,
            log_rows: 0,
            log_lag_rows: 0,
            log_lag_us: 0,
            log_wal_bytes: 1 << 20,
            log_segment_bytes: 1 << 19,
            log_segments: 0,
            bytes_in: 0,
            bytes_out: 0,
            memory_bytes: None,
            open_files: None,
            log_paused: None,
            log_wals_waiting: None,
            udp_dropped: None,
            utp_syns: None,
            uploads_waiting: None,
            uploads_waiting_bytes: None,
            uploads: None,
        }
    }

    #[test]
    fn the_line_tells_the_run() {
        let began = crate::clock::Clock::start().instant();
        let at = |s| began + Duration::from_secs(s);
        let mut status = Status::new(began, Some(Duration::from_hours(1)));
        assert_eq!(status.line(at(3)), "3s of 1h 00m · asking for peers");
        status.take_in(at(10), Some(&gauge(95)));
        assert_eq!(
            status.line(at(75)),
            "1m 15s of 1h 00m · 12 swarms · 1,234,567 peers · 1 contact open, 10/s · 17 confirmed · log 1.5 MiB"
        );
        status.take_in(at(20), Some(&gauge(295)));
        assert!((status.contacts_per_s() - 20.0).abs() < 1e-9);
        assert!(status.line(at(3601)).starts_with("1h 00m, ending · 12 swarms"));
        assert_eq!(status.remaining(at(3000)), Some(Duration::from_mins(10)));
        assert_eq!(status.remaining(at(9000)), Some(Duration::ZERO));
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1 << 30, u64::MAX].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.0 GiB", "16777216.0 TiB"]
        );
        let times = [5, 65, 3_661, 90_000].map(|s| clock_text(Duration::from_secs(s)));
        assert_eq!(times, ["5s", "1m 05s", "1h 01m", "1d 01h"]);
        assert_eq!([0, 999, 1000, 1_000_000].map(grouped), ["0", "999", "1,000", "1,000,000"]);
    }
}
