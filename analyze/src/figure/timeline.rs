//! Stacked bars over time: buckets of a table → bars wide enough to be seen.

use super::axes::{Panel, base_line, time_axis, vertical_axis};
use super::scale::{Scale, round_up};
use super::svg::{Drawing, rect};
use crate::facts::Facts;
use crate::number::{counted, minute, number_of, parse_time, second, short};

const SECOND_US: i64 = 1_000_000;

/// A bar's greatest width, px: few buckets are no reason for walls.
const WIDEST: f64 = 64.0;

/// Even divisions of the time that a picture covers.
#[derive(Clone, Copy, Debug)]
pub struct Buckets {
    /// Where the first begins, µs since the Unix epoch.
    pub start_us: i64,
    /// How long each is, µs.
    pub step_us: i64,
    /// How many there are, at least one.
    pub count: usize,
}

impl Buckets {
    /// Buckets for the log's whole time and all of `times`, each one or more of the table's, at most `most` of them.
    pub fn covering(facts: &Facts, times: &[i64], most: usize) -> Self {
        let table_step = i64::try_from(facts.bucket_s.max(1)).unwrap_or(3600).saturating_mul(SECOND_US);
        let ends = [&facts.first_at, &facts.last_at];
        let ends = ends.into_iter().filter_map(|time| parse_time(time.as_deref()?));
        let all = || times.iter().copied().chain(ends.clone());
        let first = all().min().unwrap_or(0);
        let last = all().max().unwrap_or(0);
        let mut factors = [1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 168].into_iter();
        let mut factor = 1;
        loop {
            let step_us = table_step.saturating_mul(factor);
            let start_us = first.div_euclid(step_us) * step_us;
            let count = last.saturating_sub(start_us) / step_us + 1;
            match usize::try_from(count) {
                Ok(count) if count <= most => return Self { start_us, step_us, count },
                _ => factor = factors.find(|next| *next > factor).unwrap_or(factor.saturating_mul(2)),
            }
        }
    }

    /// The same time in buckets so wide that each holds a value where one comes every `every_us`.
    #[must_use]
    pub fn widened(self, every_us: i64) -> Self {
        let factor = every_us.saturating_add(self.step_us - 1) / self.step_us;
        if factor <= 1 {
            return self;
        }
        let step_us = self.step_us.saturating_mul(factor);
        let start_us = self.start_us.div_euclid(step_us) * step_us;
        let count = (self.end_us().saturating_sub(start_us) - 1) / step_us + 1;
        Self { start_us, step_us, count: usize::try_from(count).unwrap_or(1).max(1) }
    }

    /// Which bucket holds a time.
    pub fn index(&self, time_us: i64) -> Option<usize> {
        let index = usize::try_from(time_us.checked_sub(self.start_us)?.div_euclid(self.step_us)).ok()?;
        (index < self.count).then_some(index)
    }

    /// Where the last ends.
    pub fn end_us(&self) -> i64 {
        let length = self.step_us.saturating_mul(i64::try_from(self.count).unwrap_or(i64::MAX));
        self.start_us.saturating_add(length)
    }

    /// When a bucket begins as people read it: to the second where buckets are shorter than a minute.
    pub fn told(&self, time_us: i64) -> String {
        if self.step_us % (60 * SECOND_US) == 0 { minute(time_us) } else { second(time_us) }
    }

    /// A bucket's length in words.
    pub fn unit(&self) -> String {
        unit(self.step_us)
    }
}

/// A length of time in words, as it stands behind "per" or "each": `hour`, `6 hours`, `15 minutes`.
pub fn unit(length_us: i64) -> String {
    let seconds = length_us / SECOND_US;
    for (length, name) in [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")] {
        if seconds % length == 0 {
            let number = seconds.unsigned_abs() / length.unsigned_abs();
            return if number == 1 { name.to_owned() } else { number_of(number, name) };
        }
    }
    format!("{seconds} seconds")
}

/// One part of the bars of a timeline.
#[derive(Clone, Debug)]
pub struct Series {
    /// Class that colours it.
    pub class: &'static str,
    /// What it counts, for tooltips.
    pub name: String,
    /// One value a bucket.
    pub values: Vec<f64>,
}

impl Series {
    /// A series of zeros.
    pub fn new(class: &'static str, name: impl Into<String>, buckets: &Buckets) -> Self {
        Self { class, name: name.into(), values: vec![0.0; buckets.count] }
    }

    /// Adds to the bucket of a time.
    pub fn add(&mut self, buckets: &Buckets, time_us: i64, value: f64) {
        if let Some(sum) = buckets.index(time_us).and_then(|index| self.values.get_mut(index)) {
            *sum += value;
        }
    }
}

/// Draws the series on top of each other, the first at the base, with both axes.
pub fn stacked(
    drawing: &mut Drawing,
    panel: Panel,
    buckets: &Buckets,
    series: &[Series],
    tick_count: usize,
    title: &str,
) {
    let totals = (0..buckets.count)
        .map(|index| series.iter().filter_map(|series| series.values.get(index)).sum::<f64>());
    let highest = totals.fold(0.0, f64::max);
    let up = Scale::linear(0.0, round_up(highest, tick_count), panel.bottom, panel.top);
    let mut ticks = up.ticks(tick_count);
    ticks.retain(|tick| tick.fract() == 0.0);
    vertical_axis(drawing, panel, &up, &ticks, short, title);

    let (start, end) = (buckets.start_us, buckets.end_us());
    let across = Scale::linear(start as f64, end as f64, panel.left, panel.right);
    let mut bases = vec![0.0; buckets.count];
    for part in series {
        for (index, (value, base)) in part.values.iter().zip(&mut bases).enumerate() {
            if *value <= 0.0 {
                continue;
            }
            let from_us = start + buckets.step_us * i64::try_from(index).unwrap_or(0);
            let left = across.at(from_us as f64);
            let right = across.at((from_us + buckets.step_us) as f64);
            let gap = ((right - left) * 0.12).min(3.0).max(right - left - WIDEST);
            let bottom = up.at(*base);
            *base += *value;
            let top = up.at(*base).min(bottom - 0.5);
            let tooltip = format!("{} UTC, {}: {}", buckets.told(from_us), part.name, counted(*value));
            let bar = rect(part.class, left + gap / 2.0, top, right - left - gap, bottom - top);
            drawing.push(bar.tooltip(&tooltip));
        }
    }
    base_line(drawing, panel);
    time_axis(drawing, panel, &across, (start, end), buckets.step_us);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(from: &str, to: &str) -> Facts {
        Facts {
            first_at: Some(from.to_owned()),
            last_at: Some(to.to_owned()),
            bucket_s: 3600,
            ..Facts::default()
        }
    }

    #[test]
    fn hours_without_a_row_have_a_bucket() {
        let buckets = Buckets::covering(&facts("2026-11-22T08:30:00Z", "2026-11-22T11:00:00Z"), &[], 100);
        assert_eq!(buckets.count, 4);
        assert_eq!(buckets.unit(), "hour");
        assert_eq!(minute(buckets.start_us), "2026-11-22 08:00");
    }

    #[test]
    fn long_captures_have_wider_buckets() {
        let buckets = Buckets::covering(&facts("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), &[], 160);
        assert_eq!(buckets.unit(), "6 hours");
        assert_eq!(buckets.count, 121);
        let absurd =
            Buckets::covering(&facts("1970-01-01T00:00:00Z", "9999-01-01T00:00:00Z"), &[i64::MAX], 160);
        assert!(absurd.count <= 160);
        assert_eq!(absurd.index(i64::MIN), None);
    }

    #[test]
    fn buckets_may_be_as_wide_as_values_are_apart() {
        let mut facts = facts("2026-11-22T08:30:02Z", "2026-11-22T08:31:00Z");
        facts.bucket_s = 5;
        let buckets = Buckets::covering(&facts, &[], 100);
        assert_eq!((buckets.count, buckets.unit().as_str()), (13, "5 seconds"));
        assert_eq!(buckets.widened(5 * SECOND_US).count, 13);
        let wide = buckets.widened(9 * SECOND_US);
        assert_eq!((wide.count, wide.unit().as_str()), (7, "10 seconds"));
        assert!(wide.start_us <= buckets.start_us && wide.end_us() >= buckets.end_us());
    }

    #[test]
    fn nothing_at_all_is_one_bucket() {
        assert_eq!(Buckets::covering(&Facts::default(), &[], 160).count, 1);
    }
}
