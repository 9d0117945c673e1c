//! `confirmed_downloads`: how exactly downloads are dated, as the share of them whose moment is known to within a time.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, base_line, horizontal_axis, legend, legend_height, vertical_axis};
use super::frame::{texts, times};
use super::rows::is_narrow;
use super::scale::Scale;
use super::svg::{Drawing, circle, path};
use crate::number::{count, duration_us, number_of, percent};

const TITLE: &str = "How exactly downloads are dated";

/// Draws the table `confirmed_downloads`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let kinds = kinds(rows)?;
    let all: usize = kinds.iter().map(|kind| kind.intervals.len()).sum();
    if all == 0 {
        let why = "No peer was seen below the threshold and later at or above it.";
        return Ok(Figure::without_data("confirmed_downloads", TITLE, why));
    }
    let live = kinds.iter().find(|kind| kind.name == LIVE).map_or(0, |kind| kind.intervals.len());
    let mut intervals: Vec<f64> = kinds.iter().flat_map(|kind| kind.intervals.clone()).collect();
    intervals.sort_by(f64::total_cmp);
    let median = intervals.get(intervals.len() / 2).copied().unwrap_or_default();
    let subtitle = format!(
        "{}, {} of them watched live ({}), the others between two visits. Each crossed the threshold \
         between its last observation below and its first at or above: half of these intervals are shorter than {}.",
        number_of(all as u64, "confirmed download"),
        count(live as u64),
        percent(live as f64 / all as f64),
        duration_us(median)
    );
    Ok(Figure::new("confirmed_downloads", TITLE, subtitle, |width| plot(&kinds, width)))
}

const LIVE: &str = "watched live";

struct Kind {
    name: &'static str,
    stroke: &'static str,
    fill: &'static str,
    /// Lengths of the intervals, µs, ascending.
    intervals: Vec<f64>,
}

/// Shorter intervals are drawn as this long, µs: the log's clock tells no more.
const SHORTEST: f64 = 1e5;

fn kinds(rows: &DataFrame) -> PolarsResult<[Kind; 2]> {
    let mut kinds = [
        Kind { name: LIVE, stroke: "line1", fill: "c1", intervals: Vec::new() },
        Kind { name: "between two visits", stroke: "line2", fill: "c2", intervals: Vec::new() },
    ];
    for (is_live, interval) in intervals(rows)?.into_iter().flatten() {
        let [live, revisit] = &mut kinds;
        let kind = if is_live { live } else { revisit };
        kind.intervals.push(interval);
    }
    for kind in &mut kinds {
        kind.intervals.sort_by(f64::total_cmp);
    }
    Ok(kinds)
}

/// Of each row whether it was watched live, and its interval's length, µs.
fn intervals(rows: &DataFrame) -> PolarsResult<Vec<Option<(bool, f64)>>> {
    let ends = times(rows, "below_at")?.into_iter().zip(times(rows, "confirmed_at")?);
    let interval = |((below, confirmed), evidence): ((Option<i64>, Option<i64>), Option<String>)| {
        let length = confirmed?.saturating_sub(below?) as f64;
        Some((evidence.as_deref() == Some("live"), length.max(SHORTEST)))
    };
    Ok(ends.zip(texts(rows, "evidence")?).map(interval).collect())
}

/// The lengths of the intervals by torrent: of those watched live, and of those between two visits.
pub(super) fn kinds_of_torrents(rows: &DataFrame) -> PolarsResult<BTreeMap<String, [Vec<f64>; 2]>> {
    let mut torrents: BTreeMap<String, [Vec<f64>; 2]> = BTreeMap::new();
    for (hash, interval) in texts(rows, "info_hash")?.into_iter().zip(intervals(rows)?) {
        let (Some(hash), Some((is_live, interval))) = (hash, interval) else { continue };
        let [live, revisit] = torrents.entry(hash).or_default();
        if is_live { live } else { revisit }.push(interval);
    }
    Ok(torrents)
}

/// Points of a curve: every twentieth part.
pub(super) const PARTS: usize = 20;

fn plot(kinds: &[Kind], width: f64) -> Drawing {
    let drawn = || kinds.iter().filter(|kind| !kind.intervals.is_empty());
    let keys: Vec<_> = drawn()
        .map(|kind| {
            Key::new(kind.fill, format!("{} (n = {})", kind.name, count(kind.intervals.len() as u64)))
        })
        .collect();
    let top = legend_height(&keys, width) + 34.0;
    let panel = Panel { left: 48.0, top, right: width - 14.0, bottom: top + 200.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, &keys, width);
    let longest = drawn().filter_map(|kind| kind.intervals.last()).copied().fold(SHORTEST * 10.0, f64::max);
    let across = Scale::log(SHORTEST, longest, panel.left, panel.right);
    let up = Scale::linear(0.0, 1.0, panel.bottom, panel.top);
    let in_percent = |share: f64| format!("{:.0} %", share * 100.0);
    vertical_axis(
        &mut drawing,
        panel,
        &up,
        &[0.0, 0.25, 0.5, 0.75, 1.0],
        in_percent,
        "share of the downloads",
    );
    let every = if is_narrow(width) { 2 } else { 1 };
    let ticks: Vec<f64> = ROUND.into_iter().step_by(every).filter(|tick| *tick <= longest).collect();
    horizontal_axis(&mut drawing, panel, &across, &ticks, duration_us, "dated to within (logarithmic)");
    base_line(&mut drawing, panel);
    for kind in drawn() {
        let last = kind.intervals.len() - 1;
        let points: Vec<_> = (0..=PARTS)
            .filter_map(|part| Some((*kind.intervals.get(last * part / PARTS)?, part as f64 / PARTS as f64)))
            .collect();
        let pixels: Vec<_> = points.iter().map(|(time, share)| (across.at(*time), up.at(*share))).collect();
        drawing.push(path(kind.stroke, &pixels, false));
        for ((time, share), (x, y)) in points.iter().zip(pixels) {
            let tooltip =
                format!("{}: {} dated to within {}", kind.name, percent(*share), duration_us(*time));
            drawing.push(circle(kind.fill, x, y, 3.0).tooltip(&tooltip));
        }
    }
    drawing
}

/// Times that are marked, µs.
const ROUND: [f64; 10] = [1e5, 1e6, 10e6, 60e6, 600e6, 3_600e6, 14_400e6, 86_400e6, 604_800e6, 2_592_000e6];
