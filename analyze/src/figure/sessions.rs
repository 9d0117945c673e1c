//! `sessions`: the share of peers that stay longer than a time, as a curve with its interval (Kaplan–Meier).

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Panel, base_line, horizontal_axis, vertical_axis};
use super::frame::numbers;
use super::scale::Scale;
use super::svg::{Anchor, Drawing, circle, line, path, text};
use crate::number::{counted, counted_of, duration_us, percent};

const TITLE: &str = "How long peers stay";

/// Draws the table `sessions`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let points = points(rows)?;
    let left_truncated = numbers(rows, "left_truncated")?.into_iter().flatten().next().unwrap_or_default();
    let Some(first) = points.first().filter(|first| first.at_risk > 0.0) else {
        return Ok(Figure::without_data(
            "sessions",
            TITLE,
            "No session began while the capture watched: the curve needs peers that came after its start.",
        ));
    };
    let ended = points.last().map_or(0.0, |last| last.ended);
    let subtitle = format!(
        "Kaplan–Meier curve of {} that began during the capture, {} of them seen to end; the band is its 95 % interval. \
         Left out: {} that may have begun before the capture.",
        counted_of(first.at_risk, "session"),
        counted(ended),
        counted_of(left_truncated, "session")
    );
    let half = points.iter().find(|point| point.share <= 0.5).map(|point| point.time_us);
    Ok(Figure::new("sessions", TITLE, subtitle, |width| plot(&points, half, width)))
}

struct Point {
    time_us: f64,
    at_risk: f64,
    ended: f64,
    share: f64,
    low: f64,
    high: f64,
}

fn points(rows: &DataFrame) -> PolarsResult<Vec<Point>> {
    let times = numbers(rows, "time_online_us")?;
    let at_risk = numbers(rows, "at_risk")?;
    let ended = numbers(rows, "ended")?;
    let share = numbers(rows, "longer_share")?;
    let low = numbers(rows, "longer_share_low")?;
    let high = numbers(rows, "longer_share_high")?;
    let shares = share.into_iter().zip(low).zip(high);
    Ok(times
        .into_iter()
        .zip(at_risk)
        .zip(ended)
        .zip(shares)
        .filter_map(|(((time_us, at_risk), ended), ((share, low), high))| {
            Some(Point {
                time_us: time_us?,
                at_risk: at_risk?,
                ended: ended?,
                share: share?,
                low: low?,
                high: high?,
            })
        })
        .collect())
}

fn plot(points: &[Point], half: Option<f64>, width: f64) -> Drawing {
    let panel = Panel { left: 48.0, top: 34.0, right: width - 14.0, bottom: 254.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    // The first point stands at no time at all, which a logarithmic axis lacks: it begins a little before the second.
    let positive = || points.iter().map(|point| point.time_us).filter(|time| *time > 0.0);
    let first = positive().fold(f64::INFINITY, f64::min);
    let first = if first.is_finite() { first / 2.0 } else { 1e6 };
    let last = positive().fold(first * 2.0, f64::max);
    let across = Scale::log(first, last, panel.left, panel.right);
    let up = Scale::linear(0.0, 1.0, panel.bottom, panel.top);
    vertical_axis(
        &mut drawing,
        panel,
        &up,
        &[0.0, 0.25, 0.5, 0.75, 1.0],
        whole_percent,
        "share of sessions that last longer",
    );
    let ticks: Vec<f64> = ROUND.into_iter().filter(|tick| (first..=last * 1.001).contains(tick)).collect();
    horizontal_axis(&mut drawing, panel, &across, &ticks, duration_us, "time online (logarithmic)");
    let steps = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> {
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for point in points {
            let (x, y) = (across.at(point.time_us), up.at(value(point)));
            if let Some((_, before)) = steps.last().copied() {
                steps.push((x, before));
            }
            steps.push((x, y));
        }
        steps
    };
    let lower = steps(|point| point.low);
    let band: Vec<_> = steps(|point| point.high).into_iter().chain(lower.into_iter().rev()).collect();
    if points.len() > 1 {
        drawing.push(path("band", &band, true));
        drawing.push(path("line1", &steps(|point| point.share), false));
    }
    base_line(&mut drawing, panel);
    if let Some(half) = half {
        let x = across.at(half);
        drawing.push(line("mark", x, panel.top, x, panel.bottom));
        let (x, anchor) = if x > width / 2.0 { (x - 6.0, Anchor::End) } else { (x + 6.0, Anchor::Start) };
        let note = format!("half are gone by {}", duration_us(half));
        drawing.push(text("note", x, panel.top + 10.0, anchor, &note));
    }
    for point in points {
        let tooltip = format!(
            "{} last longer than {} ({} to {}); {} watched for so long",
            percent(point.share),
            duration_us(point.time_us),
            percent(point.low),
            percent(point.high),
            counted_of(point.at_risk, "session")
        );
        let (x, y) = (across.at(point.time_us), up.at(point.share));
        drawing.push(circle("c1", x, y, 3.0).tooltip(&tooltip));
    }
    drawing
}

/// Times that are marked, µs: seconds, minutes, hours, days.
const ROUND: [f64; 11] =
    [5e6, 10e6, 30e6, 120e6, 600e6, 1_800e6, 7_200e6, 21_600e6, 86_400e6, 604_800e6, 2_592_000e6];

fn whole_percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
