//! `health`: the capture's workload over time, one panel of lines a figure, one line a vantage; gaps are marked.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, legend, legend_height};
use super::frame::{numbers, texts, times};
use super::lines::{Line, Vertical, over_time};
use super::scale::{Scale, round_up};
use super::svg::{Anchor, Drawing, rect, text};
use super::timeline::Buckets;
use crate::facts::Facts;
use crate::number::{bytes, duration_us, short, whole_usize};

const TITLE: &str = "Workload of the capture";

/// Classes of the vantages' lines and points; more vantages share the last.
const CLASSES: [(&str, &str); 6] = [
    ("line1", "c1"),
    ("line5", "c5"),
    ("line3", "c3"),
    ("line4", "c4"),
    ("line6", "c6"),
    ("line-rest", "rest"),
];

/// What has a panel: column, title and how its values are written.
type Content = (&'static str, &'static str, fn(f64) -> String);

/// The panels from top to bottom.
const PANELS: [Content; 6] = [
    ("contacts_per_s", "outgoing contacts per second", short),
    ("contacts_open_max", "contacts open at once, highest", short),
    ("peers_due_max", "peers waiting for a place, highest", short),
    ("peers_known", "peers known", short),
    ("log_lag_max_us", "age of the oldest row not yet durable, highest", duration_us),
    ("memory_max_bytes", "memory, highest", bytes),
];

/// Draws the table `health`.
pub fn draw(rows: &DataFrame, facts: &Facts) -> PolarsResult<Figure> {
    let hours = hours(rows)?;
    if hours.is_empty() {
        return Ok(Figure::without_data("health", TITLE, "The log holds no gauges of the capture."));
    }
    let missing: f64 = hours.iter().map(|hour| hour.missing_us).sum();
    let gaps = if missing > 0.0 {
        format!(
            "Shaded: {} without a word from the capture, in which downloads may have been missed.",
            duration_us(missing)
        )
    } else {
        "There is no gap in it.".to_owned()
    };
    let subtitle = format!(
        "From the capture's own gauges, one line a vantage. {gaps} Peers that wait for a place mean that the capture was \
         at its limit, and that more downloads were missed."
    );
    Ok(Figure::new("health", TITLE, subtitle, |width| plot(&hours, facts, width)))
}

struct Hour {
    time_us: i64,
    vantage: String,
    /// In the order of [`PANELS`].
    values: Vec<Option<f64>>,
    /// Time that no gauge tells of.
    missing_us: f64,
}

fn hours(rows: &DataFrame) -> PolarsResult<Vec<Hour>> {
    let times = times(rows, "hour")?;
    let runs = texts(rows, "run")?;
    let vantages = texts(rows, "vantage")?;
    let gaps = numbers(rows, "gap_us")?;
    let down = numbers(rows, "down_before_us")?;
    let columns =
        PANELS.iter().map(|(column, _, _)| numbers(rows, column)).collect::<PolarsResult<Vec<_>>>()?;
    let mut hours = Vec::with_capacity(times.len());
    let names = runs.into_iter().zip(vantages);
    for (row, ((time, (run, vantage)), (gap, down))) in
        times.into_iter().zip(names).zip(gaps.into_iter().zip(down)).enumerate()
    {
        let Some(time_us) = time else { continue };
        hours.push(Hour {
            time_us,
            vantage: vantage.or(run).unwrap_or_default(),
            values: columns.iter().map(|column| column.get(row).copied().flatten()).collect(),
            missing_us: gap.unwrap_or_default() + down.unwrap_or_default(),
        });
    }
    Ok(hours)
}

fn plot(hours: &[Hour], facts: &Facts, width: f64) -> Drawing {
    const PLOT: f64 = 96.0;
    const STEP: f64 = PLOT + 66.0;
    let times: Vec<_> = hours.iter().map(|hour| hour.time_us).collect();
    let buckets = Buckets::covering(facts, &times, whole_usize(width / 5.0)).widened(mostly_apart(hours));
    let mut vantages: Vec<&str> = hours.iter().map(|hour| hour.vantage.as_str()).collect();
    vantages.sort_unstable();
    vantages.dedup();
    let class = |index: usize| CLASSES.get(index).copied().unwrap_or(("line-rest", "rest"));
    let keys: Vec<_> = if vantages.len() > 1 {
        let named = vantages.iter().take(CLASSES.len() - 1).enumerate();
        let mut keys: Vec<_> = named.map(|(index, name)| Key::new(class(index).1, *name)).collect();
        if vantages.len() >= CLASSES.len() {
            keys.push(Key::new("rest", "other vantages"));
        }
        keys
    } else {
        Vec::new()
    };
    let unit_at = if keys.is_empty() { 12.0 } else { legend_height(&keys, width) + 14.0 };
    let first = unit_at + 42.0;
    let mut drawing = Drawing::new(width, first + STEP * PANELS.len() as f64 - 34.0);
    legend(&mut drawing, 0.0, &keys, width);
    let unit = format!("one value per {}", buckets.unit());
    drawing.push(text("note", 0.0, unit_at, Anchor::Start, &unit));
    for (index, (_, title, format)) in PANELS.iter().enumerate() {
        let top = first + STEP * index as f64;
        let panel = Panel { left: 62.0, top, right: width - 10.0, bottom: top + PLOT };
        let lines: Vec<_> = vantages
            .iter()
            .enumerate()
            .map(|(place, vantage)| {
                let (stroke, fill) = class(place);
                let mut line = Line::new(stroke, fill, *vantage, &buckets);
                for hour in hours.iter().filter(|hour| hour.vantage == *vantage) {
                    if let Some(value) = hour.values.get(index).copied().flatten() {
                        line.raise(&buckets, hour.time_us, value);
                    }
                }
                line
            })
            .collect();
        let most = round_up(lines.iter().map(Line::highest).fold(0.0, f64::max), 3);
        let ticks = Scale::linear(0.0, most, 1.0, 0.0).ticks(3);
        over_time(
            &mut drawing,
            panel,
            &buckets,
            &lines,
            Vertical { title, most, ticks: &ticks, format: *format, exact: *format },
        );
        mark_gaps(&mut drawing, panel, &buckets, hours);
    }
    drawing
}

/// How far the values of a vantage are mostly apart, µs: gauges may be rarer than buckets.
fn mostly_apart(hours: &[Hour]) -> i64 {
    let mut of_vantage: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for hour in hours {
        of_vantage.entry(hour.vantage.as_str()).or_default().push(hour.time_us);
    }
    let mut apart = Vec::new();
    for times in of_vantage.values_mut() {
        times.sort_unstable();
        times.dedup();
        apart.extend(times.iter().zip(times.iter().skip(1)).map(|(one, next)| next.saturating_sub(*one)));
    }
    apart.sort_unstable();
    apart.get(apart.len() / 2).copied().unwrap_or(0)
}

/// Shades the time before each hour's end that its gauges do not tell of.
fn mark_gaps(drawing: &mut Drawing, panel: Panel, buckets: &Buckets, hours: &[Hour]) {
    let across = Scale::linear(buckets.start_us as f64, buckets.end_us() as f64, panel.left, panel.right);
    for hour in hours.iter().filter(|hour| hour.missing_us > 0.0) {
        let end = hour.time_us.saturating_add(buckets.step_us) as f64;
        let (left, right) = (across.at(end - hour.missing_us), across.at(end));
        let tooltip = format!(
            "{}: no gauge for {} up to the interval of {} UTC",
            hour.vantage,
            duration_us(hour.missing_us),
            buckets.told(hour.time_us)
        );
        drawing.push(
            rect("gap", left, panel.top, (right - left).max(1.5), panel.bottom - panel.top).tooltip(&tooltip),
        );
    }
}
