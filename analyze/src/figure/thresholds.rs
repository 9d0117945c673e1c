//! `thresholds`: confirmed downloads had the threshold been another one, as a curve.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Panel, base_line, horizontal_axis, vertical_axis};
use super::frame::numbers;
use super::scale::{Scale, round_up};
use super::svg::{Anchor, Drawing, circle, line, path, text};
use crate::facts::Facts;
use crate::number::{counted_of, short};

const TITLE: &str = "Confirmed downloads by threshold";

/// Draws the table `thresholds`.
pub fn draw(rows: &DataFrame, facts: &Facts) -> PolarsResult<Figure> {
    let points: Vec<_> = numbers(rows, "threshold")?
        .into_iter()
        .zip(numbers(rows, "confirmed_downloads")?)
        .filter_map(|(threshold, confirmed)| Some((threshold?, confirmed?)))
        .collect();
    if points.iter().all(|(_, confirmed)| *confirmed == 0.0) {
        return Ok(Figure::without_data("thresholds", TITLE, "No download was confirmed at any threshold."));
    }
    let chosen: Option<f64> = facts.threshold.parse().ok();
    let subtitle = format!(
        "What the count would be if a peer had to have another share of the pieces; this report uses {}. Where the \
         curve is flat, the choice does not matter.",
        facts.threshold
    );
    Ok(Figure::new("thresholds", TITLE, subtitle, |width| plot(&points, chosen, width)))
}

fn plot(points: &[(f64, f64)], chosen: Option<f64>, width: f64) -> Drawing {
    let panel = Panel { left: 52.0, top: 34.0, right: width - 18.0, bottom: 254.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    let first = points.iter().map(|point| point.0).fold(f64::INFINITY, f64::min).min(0.9);
    let last = points.iter().map(|point| point.0).fold(0.0, f64::max).max(1.0);
    let most = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let across = Scale::linear(first, last, panel.left, panel.right);
    let up = Scale::linear(0.0, round_up(most, 5), panel.bottom, panel.top);
    let mut ticks = up.ticks(5);
    ticks.retain(|tick| tick.fract() == 0.0);
    vertical_axis(&mut drawing, panel, &up, &ticks, short, "confirmed downloads");
    horizontal_axis(
        &mut drawing,
        panel,
        &across,
        &across.ticks(if width < 500.0 { 6 } else { 10 }),
        |share| format!("{share:.2}"),
        "threshold (share of the torrent's pieces)",
    );
    base_line(&mut drawing, panel);
    if let Some(chosen) = chosen.filter(|chosen| (first..=last).contains(chosen)) {
        let x = across.at(chosen);
        drawing.push(line("mark", x, panel.top, x, panel.bottom));
        let (x, anchor) = if chosen > 0.95 { (x - 6.0, Anchor::End) } else { (x + 6.0, Anchor::Start) };
        drawing.push(text("note", x, panel.bottom - 10.0, anchor, &format!("this report: {chosen}")));
    }
    let pixels: Vec<_> = points.iter().map(|(share, value)| (across.at(*share), up.at(*value))).collect();
    if pixels.len() > 1 {
        drawing.push(path("line1", &pixels, false));
    }
    for ((share, value), (x, y)) in points.iter().zip(pixels) {
        let number = counted_of(*value, "confirmed download");
        drawing.push(circle("c1", x, y, 4.0).tooltip(&format!("{share:.2}: {number}")));
    }
    drawing
}
