//! `speeds`: how the peers' mean and highest download speeds are distributed, as a histogram on a logarithmic axis.

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, base_line, horizontal_axis, legend, legend_height, vertical_axis};
use super::frame::known_numbers;
use super::scale::{Scale, round_up};
use super::svg::{Anchor, Drawing, Element, line, path, rect, text};
use crate::number::{count, number_of, short, speed, whole_usize};

const TITLE: &str = "Download speeds";

/// Draws the table `speeds`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mean = sorted_speeds(rows, "mean_speed_bytes_per_s")?;
    let max = sorted_speeds(rows, "max_speed_bytes_per_s")?;
    let Some(median) = median(&mean) else {
        return Ok(Figure::without_data(
            "speeds",
            TITLE,
            "No peer gained pieces between two observations far enough apart.",
        ));
    };
    let subtitle = format!(
        "Mean speed of {} while watched, and the highest speed of {} of them; the median of the mean \
         speeds is {}.",
        number_of(mean.len() as u64, "peer"),
        count(max.len() as u64),
        speed(median)
    );
    Ok(Figure::new("speeds", TITLE, subtitle, |width| plot(&mean, &max, median, width)))
}

/// The positive speeds of a column, ascending.
fn sorted_speeds(rows: &DataFrame, column: &str) -> PolarsResult<Vec<f64>> {
    let mut speeds = known_numbers(rows, column)?;
    speeds.retain(|speed| *speed > 0.0 && speed.is_finite());
    speeds.sort_unstable_by(f64::total_cmp);
    Ok(speeds)
}

/// The middle of sorted speeds.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len().is_multiple_of(2) {
        let lower = *sorted.get(sorted.len() / 2 - 1)?;
        return Some(f64::midpoint(lower, upper));
    }
    Some(upper)
}

/// Bins of a histogram whose edges are powers of ten, evenly divided.
struct Bins {
    /// Decimal logarithm of the lower edge of the first bin.
    from: f64,
    per_decade: f64,
    means: Vec<usize>,
    maxima: Vec<usize>,
}

impl Bins {
    fn of(mean: &[f64], max: &[f64], per_decade: f64) -> Self {
        let both = || mean.iter().chain(max);
        let least = both().copied().fold(f64::INFINITY, f64::min);
        let most = both().copied().fold(0.0, f64::max);
        let from = (least.log10() * per_decade).floor() / per_decade;
        let bins = whole_usize(((most.log10() - from) * per_decade).floor()) + 1;
        let tally = |speeds: &[f64]| {
            let mut counts = vec![0_usize; bins];
            for speed in speeds {
                let index = whole_usize((speed.log10() - from) * per_decade);
                if let Some(count) = counts.get_mut(index.min(bins.saturating_sub(1))) {
                    *count += 1;
                }
            }
            counts
        };
        Self { from, per_decade, means: tally(mean), maxima: tally(max) }
    }

    /// The lower edge of a bin, or the upper one of the last.
    fn edge(&self, index: usize) -> f64 {
        10.0_f64.powf(self.from + index as f64 / self.per_decade)
    }
}

fn plot(mean: &[f64], max: &[f64], median: f64, width: f64) -> Drawing {
    let keys = [Key::new("c1", "mean speed"), Key::new("outline", "highest speed (over at least 5 s)")];
    let top = legend_height(&keys, width) + 38.0;
    let panel = Panel { left: 48.0, top, right: width - 12.0, bottom: top + 230.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, &keys, width);

    let per_decade = match mean.len() {
        0..100 => 4.0,
        100..1_000 => 6.0,
        _ if width < 500.0 => 6.0,
        _ => 12.0,
    };
    let bins = Bins::of(mean, max, per_decade);
    let most = bins.means.iter().chain(&bins.maxima).copied().max().unwrap_or(0);
    let up = Scale::linear(0.0, round_up(most as f64, 5), panel.bottom, panel.top);
    let across = Scale::log(bins.edge(0), bins.edge(bins.means.len()), panel.left, panel.right);
    let mut ticks = up.ticks(5);
    ticks.retain(|tick| tick.fract() == 0.0);
    vertical_axis(&mut drawing, panel, &up, &ticks, short, "peers");
    horizontal_axis(&mut drawing, panel, &across, &across.ticks(8), speed, "download speed (logarithmic)");
    for (index, (means, maxima)) in bins.means.iter().zip(&bins.maxima).enumerate() {
        let (lower, upper) = (bins.edge(index), bins.edge(index + 1));
        let (left, right) = (across.at(lower), across.at(upper));
        let tooltip = format!(
            "{} to {}: mean speed of {}, highest speed of {}",
            speed(lower),
            speed(upper),
            number_of(*means as u64, "peer"),
            number_of(*maxima as u64, "peer")
        );
        if *means > 0 {
            // One peer among very many is still seen.
            let y = up.at(*means as f64).min(panel.bottom - LOWEST);
            drawing.push(rect("c1", left + 0.5, y, right - left - 1.0, panel.bottom - y).tooltip(&tooltip));
        }
    }
    drawing.push(silhouette(&bins, &across, &up, panel));
    base_line(&mut drawing, panel);
    let x = across.at(median);
    drawing.push(line("mark", x, panel.top - 4.0, x, panel.bottom));
    let (x, anchor) = if x > width / 2.0 { (x - 5.0, Anchor::End) } else { (x + 5.0, Anchor::Start) };
    drawing.push(text("note", x, panel.top - 8.0, anchor, &format!("median {}", speed(median))));
    drawing
}

/// Height of the lowest bar, px.
const LOWEST: f64 = 0.5;

/// The outline of the highest speeds' histogram.
fn silhouette(bins: &Bins, across: &Scale, up: &Scale, panel: Panel) -> Element {
    let mut points = vec![(across.at(bins.edge(0)), panel.bottom)];
    for (index, maxima) in bins.maxima.iter().enumerate() {
        let y = up.at(*maxima as f64);
        points.push((across.at(bins.edge(index)), y));
        points.push((across.at(bins.edge(index + 1)), y));
    }
    points.push((across.at(bins.edge(bins.maxima.len())), panel.bottom));
    path("outline", &points, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn one_peer_among_very_many_has_a_bar() {
        let mut speeds = vec![1e6; 200_000];
        speeds.push(1.0);
        let drawing = plot(&speeds, &speeds, 1e6, 860.0).markup("figure", "speeds", None);
        assert!(drawing.contains(r#"height="0.5""#) && !drawing.contains(r#"height="0""#));
    }

    #[test]
    fn every_speed_is_in_a_bin() {
        let speeds = [1.0, 9.99, 10.0, 1e6];
        let bins = Bins::of(&speeds, &[], 6.0);
        assert_eq!(bins.means.iter().sum::<usize>(), 4);
        assert_eq!(Bins::of(&[100.0], &[100.0], 6.0).means.iter().sum::<usize>(), 1);
    }
}
