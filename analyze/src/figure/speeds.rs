//! `speeds`: how the peers' mean and highest download speeds are distributed, as a histogram on a logarithmic axis.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::axes::{Key, Panel, base_line, horizontal_axis, legend, legend_height, vertical_axis};
use super::frame::known_numbers;
use super::scale::{Scale, round_up};
use super::svg::{Anchor, Drawing, Element, line, path, rect, text};
use super::{Figure, NARROW, WIDE};
use crate::number::{count, number_of, short, speed, whole_usize};
use crate::quantiles::{by_group::at_ranks, interpolated, ranks_around};
use crate::table::Tables;

const TITLE: &str = "Download speeds";

/// Draws the table `speeds`.
pub fn draw(tables: &Tables) -> PolarsResult<Figure> {
    let known = known(tables)?;
    let Some(mean) = known.get(&Kind::Mean) else {
        return Ok(Figure::without_data(
            "speeds",
            TITLE,
            "No peer gained pieces between two observations far enough apart.",
        ));
    };
    let subtitle = format!(
        "Mean speed of {} while watched, and the highest speed of {} of them; the median of the mean \
         speeds is {}.",
        number_of(mean.count, "peer"),
        count(known.get(&Kind::Max).map_or(0, |max| max.count)),
        speed(mean.median)
    );
    let bins = |width| Bins::between(known.values(), per_decade(mean.count, width));
    let empty = [bins(WIDE), bins(NARROW)];
    let mut bins = empty.clone();
    tables.read(
        "speeds",
        &COLUMNS,
        |rows| count_in(&empty, rows),
        |counted| {
            for (bins, counts) in bins.iter_mut().zip(counted) {
                bins.add(&counts);
            }
        },
    )?;
    let [wide, narrow] = bins;
    let bins = |width| if is_wide(width) { &wide } else { &narrow };
    Ok(Figure::new("speeds", TITLE, subtitle, |width| plot(bins(width), mean.median, width)))
}

/// Which speed of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Mean,
    Max,
}

/// The columns of the mean and of the highest speeds.
const COLUMNS: [&str; 2] = ["mean_speed_bytes_per_s", "max_speed_bytes_per_s"];

/// What is known of the speeds of one kind.
struct Known {
    count: u64,
    least: f64,
    median: f64,
    most: f64,
}

const SHARES: [f64; 3] = [0.0, 0.5, 1.0];

/// What is known of both kinds; nothing of one without a speed.
fn known(tables: &Tables) -> PolarsResult<BTreeMap<Kind, Known>> {
    let found = at_ranks(
        |_, count| ranks_around(count, &SHARES),
        |take| {
            tables.read("speeds", &COLUMNS, positive_speeds, |[mean, max]| {
                take((None::<()>, Kind::Mean), mean);
                take((None, Kind::Max), max);
            })
        },
    )?;
    let known = found.into_iter().filter_map(|((_, kind), found)| {
        let [least, median, most] = interpolated(found.count, &SHARES, &found.values).try_into().ok()?;
        Some((kind, Known { count: found.count, least, median, most }))
    });
    Ok(known.collect())
}

/// The positive speeds of both kinds.
fn positive_speeds(rows: &DataFrame) -> PolarsResult<[Vec<f64>; 2]> {
    let [mut mean, mut max] = [known_numbers(rows, COLUMNS[0])?, known_numbers(rows, COLUMNS[1])?];
    for speeds in [&mut mean, &mut max] {
        speeds.retain(|speed| *speed > 0.0 && speed.is_finite());
    }
    Ok([mean, max])
}

/// Bins of a histogram whose edges are powers of ten, evenly divided.
#[derive(Clone, Debug)]
struct Bins {
    /// Decimal logarithm of the lower edge of the first bin.
    from: f64,
    per_decade: f64,
    /// Peers by their mean speed, and by their highest one.
    peers: [Vec<usize>; 2],
}

impl Bins {
    /// Empty bins for all speeds of these kinds.
    fn between<'a>(known: impl Iterator<Item = &'a Known>, per_decade: f64) -> Self {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for kind in known {
            (least, most) = (least.min(kind.least), most.max(kind.most));
        }
        let from = (least.log10() * per_decade).floor() / per_decade;
        let bins = whole_usize(((most.log10() - from) * per_decade).floor()) + 1;
        Self { from, per_decade, peers: [vec![0; bins], vec![0; bins]] }
    }

    /// Counts speeds of one kind, given by their decimal logarithms.
    fn count(&self, logarithms: &[f64]) -> Vec<usize> {
        let mut counts = vec![0_usize; self.len()];
        for logarithm in logarithms {
            let index = whole_usize((logarithm - self.from) * self.per_decade);
            if let Some(count) = counts.get_mut(index.min(self.len().saturating_sub(1))) {
                *count += 1;
            }
        }
        counts
    }

    fn add(&mut self, counts: &[Vec<usize>; 2]) {
        for (sums, counts) in self.peers.iter_mut().zip(counts) {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }

    fn len(&self) -> usize {
        self.peers[0].len()
    }

    /// The lower edge of a bin, or the upper one of the last.
    fn edge(&self, index: usize) -> f64 {
        10.0_f64.powf(self.from + index as f64 / self.per_decade)
    }
}

/// Counts some rows in several histograms.
fn count_in(bins: &[Bins; 2], rows: &DataFrame) -> PolarsResult<[[Vec<usize>; 2]; 2]> {
    let logarithms =
        positive_speeds(rows)?.map(|speeds| speeds.into_iter().map(f64::log10).collect::<Vec<_>>());
    Ok([&bins[0], &bins[1]].map(|bins| [bins.count(&logarithms[0]), bins.count(&logarithms[1])]))
}

fn is_wide(width: f64) -> bool {
    width >= 500.0
}

/// Bins of a decade in a histogram of so many peers.
fn per_decade(peers: u64, width: f64) -> f64 {
    match peers {
        0..100 => 4.0,
        100..1_000 => 6.0,
        _ if is_wide(width) => 12.0,
        _ => 6.0,
    }
}

fn plot(bins: &Bins, median: f64, width: f64) -> Drawing {
    let keys = [Key::new("c1", "mean speed"), Key::new("outline", "highest speed (over at least 5 s)")];
    let top = legend_height(&keys, width) + 38.0;
    let panel = Panel { left: 48.0, top, right: width - 12.0, bottom: top + 230.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, &keys, width);

    let [means, maxima] = &bins.peers;
    let most = means.iter().chain(maxima).copied().max().unwrap_or(0);
    let up = Scale::linear(0.0, round_up(most as f64, 5), panel.bottom, panel.top);
    let across = Scale::log(bins.edge(0), bins.edge(bins.len()), panel.left, panel.right);
    let mut ticks = up.ticks(5);
    ticks.retain(|tick| tick.fract() == 0.0);
    vertical_axis(&mut drawing, panel, &up, &ticks, short, "peers");
    horizontal_axis(&mut drawing, panel, &across, &across.ticks(8), speed, "download speed (logarithmic)");
    for (index, (means, maxima)) in means.iter().zip(maxima).enumerate() {
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
    drawing.push(silhouette(bins, &across, &up, panel));
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
    for (index, maxima) in bins.peers[1].iter().enumerate() {
        let y = up.at(*maxima as f64);
        points.push((across.at(bins.edge(index)), y));
        points.push((across.at(bins.edge(index + 1)), y));
    }
    points.push((across.at(bins.edge(bins.len())), panel.bottom));
    path("outline", &points, false)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoColumn, NamedFrom as _, Series};

    use super::*;

    /// A table of mean and highest speeds.
    fn speeds(mean: &[f64], max: &[f64]) -> Tables {
        let columns = [Series::new(COLUMNS[0].into(), mean), Series::new(COLUMNS[1].into(), max)];
        let rows = DataFrame::new_infer_height(columns.map(IntoColumn::into_column).to_vec()).unwrap();
        let mut tables = Tables::default();
        tables.insert(&crate::table::speeds::DEFINITION, rows);
        tables
    }

    #[test]
    fn one_peer_among_very_many_has_a_bar() {
        let mut many = vec![1e6; 200_000];
        many.push(1.0);
        let drawing = draw(&speeds(&many, &many)).unwrap().wide_markup();
        assert!(drawing.contains(r#"height="0.5""#) && !drawing.contains(r#"height="0""#));
    }

    #[test]
    fn every_speed_is_in_a_bin() {
        for (mean, max) in [(vec![1.0, 9.99, 10.0, 1e6], vec![f64::NAN; 4]), (vec![100.0], vec![100.0])] {
            let tables = speeds(&mean, &max);
            let known = known(&tables).unwrap();
            let bins = Bins::between(known.values(), 6.0);
            let mut counted = [bins.clone(), bins];
            let rows = tables.get("speeds").unwrap();
            let counts = count_in(&counted, rows).unwrap();
            counted[0].add(&counts[0]);
            assert_eq!(counted[0].peers[0].iter().sum::<usize>(), mean.len());
            assert_eq!(known[&Kind::Mean].count, mean.len() as u64);
        }
    }
}
