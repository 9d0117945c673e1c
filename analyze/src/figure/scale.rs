//! Scales and their ticks: value → pixel, range → round values.

use crate::number::{Civil, whole};

/// Maps values to pixels along one axis; values outside the range stay on its edge.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    kind: Kind,
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Linear,
    Log,
    /// Zero at the start, then a gap, then powers of ten from 1.
    LogFromZero,
}

/// Share of a [`Scale::log_from_zero`] axis between 0 and 1.
const ZERO_GAP: f64 = 0.08;

impl Scale {
    /// `from` at the pixel `start`, `to` at `end`, evenly between.
    pub fn linear(from: f64, to: f64, start: f64, end: f64) -> Self {
        Self { kind: Kind::Linear, from, to: if to > from { to } else { from + 1.0 }, start, end }
    }

    /// Powers of ten apart evenly; both ends positive.
    pub fn log(from: f64, to: f64, start: f64, end: f64) -> Self {
        let from = from.max(f64::MIN_POSITIVE);
        Self { kind: Kind::Log, from, to: if to > from { to } else { from * 10.0 }, start, end }
    }

    /// For counts from 0 to `to`: 0 at the start, and from 1 on powers of ten apart evenly.
    pub fn log_from_zero(to: f64, start: f64, end: f64) -> Self {
        Self { kind: Kind::LogFromZero, from: 0.0, to: to.max(10.0), start, end }
    }

    /// The pixel of a value.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.from) / (self.to - self.from),
            Kind::Log => (value.max(self.from) / self.from).log10() / (self.to / self.from).log10(),
            Kind::LogFromZero if value < 1.0 => value.max(0.0) * ZERO_GAP,
            Kind::LogFromZero => ZERO_GAP + (1.0 - ZERO_GAP) * value.log10() / self.to.log10(),
        };
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.start + share * (self.end - self.start)
    }

    /// Round values to mark, at most about `count` of them on a linear scale; on a logarithmic one powers of ten.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => linear_ticks(self.from, self.to, count),
            Kind::Log => powers_of_ten(self.from, self.to, count),
            Kind::LogFromZero => {
                let mut ticks = vec![0.0];
                ticks.extend(powers_of_ten(1.0, self.to, count.saturating_sub(1)));
                ticks
            }
        }
    }
}

/// The least round number at or above `max` that leaves the axis ending on a tick.
pub fn round_up(max: f64, count: usize) -> f64 {
    if max <= 0.0 || !max.is_finite() {
        return 1.0;
    }
    let step = round_step(max, count);
    (max / step).ceil() * step
}

/// A step of 1, 2 or 5 times a power of ten that divides `range` into at most about `count` parts.
fn round_step(range: f64, count: usize) -> f64 {
    let rough = range / count.max(1) as f64;
    let power = 10.0_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

fn linear_ticks(from: f64, to: f64, count: usize) -> Vec<f64> {
    let step = round_step(to - from, count);
    if !step.is_finite() || step <= 0.0 {
        return vec![from];
    }
    let first = (from / step).ceil();
    (0..=count * 3)
        .map(|index| (first + index as f64) * step)
        .take_while(|tick| *tick <= to + step * 1e-6)
        .collect()
}

fn powers_of_ten(from: f64, to: f64, count: usize) -> Vec<f64> {
    let first = whole(from.log10().ceil());
    let last = whole((to.log10() + 1e-9).floor());
    if to / from < 150.0 {
        return ones_twos_and_fives(from, to);
    }
    let every = (last - first + 1).div_euclid(i64::try_from(count.max(1)).unwrap_or(1)).max(0) + 1;
    let mut ticks = Vec::new();
    let mut power = first;
    while power <= last {
        ticks.push(10.0_f64.powi(i32::try_from(power).unwrap_or_default()));
        power += every;
    }
    ticks
}

/// 1, 2 and 5 times powers of ten, for axes too short for powers of ten alone.
fn ones_twos_and_fives(from: f64, to: f64) -> Vec<f64> {
    let first = whole(from.log10().floor());
    let last = whole(to.log10().ceil());
    (first..=last)
        .map(|power| 10.0_f64.powi(i32::try_from(power).unwrap_or_default()))
        .flat_map(|power| [power, 2.0 * power, 5.0 * power])
        .filter(|tick| (from * 0.999..=to * 1.001).contains(tick))
        .collect()
}

/// A mark on a time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeTick {
    /// Microseconds since the Unix epoch.
    pub time_us: i64,
    /// What to write: the time of day, or the date where a day begins.
    pub label: String,
}

/// Round times (UTC) within `from_us..=to_us`, at most about `count` of them and not nearer than `least_us`.
pub fn time_ticks(from_us: i64, to_us: i64, least_us: i64, count: usize) -> Vec<TimeTick> {
    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;
    const STEPS: [i64; 18] = [
        SECOND,
        5 * SECOND,
        15 * SECOND,
        60 * SECOND,
        300 * SECOND,
        900 * SECOND,
        1_800 * SECOND,
        3_600 * SECOND,
        7_200 * SECOND,
        10_800 * SECOND,
        21_600 * SECOND,
        43_200 * SECOND,
        DAY,
        2 * DAY,
        3 * DAY,
        7 * DAY,
        14 * DAY,
        28 * DAY,
    ];
    let range = to_us.saturating_sub(from_us).max(1);
    let most = i64::try_from(count.max(1)).unwrap_or(1);
    let mut step =
        STEPS.into_iter().find(|step| *step >= least_us && range / step <= most).unwrap_or(28 * DAY);
    while range / step > most {
        step *= 2;
    }
    let first = from_us.div_euclid(step) * step;
    let mut ticks = Vec::new();
    let mut time_us = if first < from_us { first + step } else { first };
    while time_us <= to_us {
        ticks.push(TimeTick { time_us, label: time_label(time_us, step) });
        time_us += step;
    }
    ticks
}

fn time_label(time_us: i64, step: i64) -> String {
    let civil = Civil::of(time_us);
    let starts_day = civil.hour == 0 && civil.minute == 0 && civil.second == 0;
    if starts_day {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.get(usize::from(civil.month).wrapping_sub(1)).copied().unwrap_or_default();
        format!("{} {month}", civil.day)
    } else if step < 60_000_000 {
        format!("{}:{:02}", civil.clock(), civil.second)
    } else {
        civil.clock()
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_end_on_round_ticks() {
        assert_eq!(round_up(0.0, 5), 1.0);
        assert_eq!(round_up(3.0, 4), 3.0);
        assert_eq!(round_up(97.0, 5), 100.0);
        assert_eq!(Scale::linear(0.0, 100.0, 0.0, 1.0).ticks(5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(Scale::linear(0.0, 0.0, 0.0, 1.0).ticks(1), [0.0, 1.0]);
    }

    #[test]
    fn logarithmic_axes_place_zero_and_clamp() {
        let scale = Scale::log_from_zero(1000.0, 0.0, 100.0);
        assert_eq!(scale.at(0.0), 0.0);
        assert!((scale.at(1.0) - 8.0).abs() < 1e-9);
        assert!((scale.at(1000.0) - 100.0).abs() < 1e-9);
        assert_eq!(scale.at(1e9), 100.0);
        assert_eq!(scale.ticks(8), [0.0, 1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(Scale::log(10.0, 1000.0, 0.0, 2.0).at(100.0), 1.0);
        assert_eq!(scale.at(f64::NAN), 0.0);
    }

    #[test]
    fn time_axes_mark_round_times() {
        let hour = 3_600_000_000;
        let labels: Vec<_> =
            time_ticks(22 * hour, 28 * hour, 1, 6).into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["22:00", "23:00", "2 Jan", "01:00", "02:00", "03:00", "04:00"]);
        assert!(time_ticks(0, 400 * 24 * hour, 1, 6).len() <= 8);
        assert_eq!(time_ticks(0, 0, 1, 6).len(), 1);
        assert_eq!(time_ticks(0, hour, hour, 6).len(), 2, "no quarters of a bar that is an hour");
    }
}
