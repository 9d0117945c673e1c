//! Lines over time, with or without a band around them; where nothing is known a line is broken.

use super::axes::{Panel, base_line, time_axis, vertical_axis};
use super::scale::Scale;
use super::svg::{Drawing, circle, path, rect};
use super::timeline::Buckets;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Class of the line.
    pub stroke: &'static str,
    /// Class of its points.
    pub fill: &'static str,
    /// What it shows, for tooltips.
    pub name: String,
    /// One value a bucket; `None` where it is not known.
    pub values: Vec<Option<f64>>,
    /// Both ends of each value's interval, and the class of the area between; empty without any.
    pub band: Vec<Option<(f64, f64)>>,
}

impl Line {
    /// A line without values or band.
    pub fn new(stroke: &'static str, fill: &'static str, name: impl Into<String>, buckets: &Buckets) -> Self {
        Self { stroke, fill, name: name.into(), values: vec![None; buckets.count], band: Vec::new() }
    }

    /// The bucket's value at a time, to be changed; `None` outside of the buckets.
    pub fn at(&mut self, buckets: &Buckets, time_us: i64) -> Option<&mut Option<f64>> {
        buckets.index(time_us).and_then(|index| self.values.get_mut(index))
    }

    /// Adds to the bucket of a time.
    pub fn add(&mut self, buckets: &Buckets, time_us: i64, value: f64) {
        if let Some(sum) = self.at(buckets, time_us) {
            *sum = Some(sum.unwrap_or_default() + value);
        }
    }

    /// Raises the bucket of a time to a value.
    pub fn raise(&mut self, buckets: &Buckets, time_us: i64, value: f64) {
        if let Some(most) = self.at(buckets, time_us) {
            *most = Some(most.map_or(value, |most| most.max(value)));
        }
    }

    /// What the line says in a bucket: its name, value and interval.
    fn told(&self, index: usize, format: fn(f64) -> String) -> Option<String> {
        let value = self.values.get(index).copied().flatten()?;
        let interval = self.band.get(index).copied().flatten();
        let interval = interval
            .map_or_else(String::new, |(low, high)| format!(" ({} to {})", format(low), format(high)));
        Some(format!("{} {}{interval}", self.name, format(value)))
    }

    /// The highest value or end of an interval.
    pub fn highest(&self) -> f64 {
        let values = self.values.iter().flatten().copied();
        values.chain(self.band.iter().flatten().map(|(_, high)| *high)).fold(0.0, f64::max)
    }
}

/// Up to so many buckets have a dot each; more would run into each other.
const MARKED: usize = 60;

/// The vertical axis of a panel of lines.
#[derive(Clone, Copy, Debug)]
pub struct Vertical<'a> {
    /// What it shows, written above its upper end.
    pub title: &'a str,
    /// The value at the panel's upper edge.
    pub most: f64,
    /// The values that are marked.
    pub ticks: &'a [f64],
    /// A value as text on the axis.
    pub format: fn(f64) -> String,
    /// A value as text where it is told.
    pub exact: fn(f64) -> String,
}

/// Draws lines over each other, with both axes.
pub fn over_time(drawing: &mut Drawing, panel: Panel, buckets: &Buckets, lines: &[Line], axis: Vertical<'_>) {
    let up = Scale::linear(0.0, axis.most, panel.bottom, panel.top);
    vertical_axis(drawing, panel, &up, axis.ticks, axis.format, axis.title);
    let (start, end) = (buckets.start_us, buckets.end_us());
    let across = Scale::linear(start as f64, end as f64, panel.left, panel.right);
    let time_of = |index: usize| {
        start.saturating_add(buckets.step_us.saturating_mul(i64::try_from(index).unwrap_or(0)))
    };
    let middle = |index: usize| across.at(time_of(index) as f64 + buckets.step_us as f64 / 2.0);
    for line in lines {
        for part in parts(&line.band).into_iter().filter(|part| part.len() > 1) {
            let upper = part.iter().map(|(index, (_, high))| (middle(*index), up.at(*high)));
            let lower = part.iter().rev().map(|(index, (low, _))| (middle(*index), up.at(*low)));
            drawing.push(path("band", &upper.chain(lower).collect::<Vec<_>>(), true));
        }
    }
    for line in lines {
        for part in parts(&line.values).into_iter().filter(|part| part.len() > 1) {
            let points: Vec<_> = part.iter().map(|(index, value)| (middle(*index), up.at(*value))).collect();
            drawing.push(path(line.stroke, &points, false));
        }
        let is_alone = |index: usize| {
            let known = |index: Option<usize>| {
                index.and_then(|index| line.values.get(index)).is_some_and(Option::is_some)
            };
            !known(index.checked_sub(1)) && !known(index.checked_add(1))
        };
        for (index, value) in line.values.iter().enumerate() {
            let Some(value) = value else { continue };
            if buckets.count <= MARKED || is_alone(index) {
                drawing.push(circle(line.fill, middle(index), up.at(*value), 3.0));
            }
        }
    }
    // What is told stands on the whole height of a bucket: a point is too small to be met.
    for index in 0..buckets.count {
        let told: Vec<_> = lines.iter().filter_map(|line| line.told(index, axis.exact)).collect();
        if told.is_empty() {
            continue;
        }
        let (left, right) = (across.at(time_of(index) as f64), across.at(time_of(index + 1) as f64));
        let hit = rect("hit", left, panel.top, right - left, panel.bottom - panel.top);
        drawing.push(hit.tooltip(&format!("{} UTC: {}", buckets.told(time_of(index)), told.join(", "))));
    }
    base_line(drawing, panel);
    time_axis(drawing, panel, &across, (start, end), buckets.step_us);
}

/// Runs of known values, each with its bucket.
fn parts<T: Copy>(values: &[Option<T>]) -> Vec<Vec<(usize, T)>> {
    let mut parts: Vec<Vec<(usize, T)>> = Vec::new();
    let mut is_open = false;
    for (index, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_open = false;
            continue;
        };
        match parts.last_mut().filter(|_| is_open) {
            Some(part) => part.push((index, *value)),
            None => parts.push(vec![(index, *value)]),
        }
        is_open = true;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_nothing_is_known() {
        let values = [None, Some(1), Some(2), None, Some(3)];
        assert_eq!(parts(&values), [vec![(1, 1), (2, 2)], vec![(4, 3)]]);
        assert!(parts::<i32>(&[]).is_empty());
    }
}
