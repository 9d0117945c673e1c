//! `confirmed_hourly`: confirmed downloads over time, the torrents with the most of them told apart, as stacked bars.

use std::collections::HashMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::axes::{Key, Panel, legend, legend_height};
use super::frame::{counts, texts, times};
use super::svg::Drawing;
use super::timeline::{Buckets, Series, stacked};
use super::{Figure, Names};
use crate::facts::Facts;
use crate::number::{counted_of, number_of, whole_usize};

/// Classes of the torrents that are told apart; their number is that of the classes.
const CLASSES: [&str; 6] = ["c1", "c5", "c3", "c4", "c6", "c2"];

const TITLE: &str = "Confirmed downloads over time";

/// Draws the table `confirmed_hourly`.
pub fn draw(rows: &DataFrame, names: &Names, facts: &Facts) -> PolarsResult<Figure> {
    let downloads = downloads(rows)?;
    let all: f64 = downloads.iter().map(|row| row.confirmed).sum();
    if all == 0.0 {
        return Ok(Figure::without_data(
            "confirmed_hourly",
            TITLE,
            "No peer was seen below the threshold and later at or above it.",
        ));
    }
    let (leaders, torrents) = leaders(&downloads);
    let subtitle = format!(
        "{} of {}, each at the first observation at or above the threshold. Times are UTC.",
        counted_of(all, "confirmed download"),
        number_of(torrents as u64, "torrent")
    );
    Ok(Figure::new("confirmed_hourly", TITLE, subtitle, |width| {
        plot(&downloads, &leaders, torrents, names, facts, width)
    }))
}

struct Download {
    time_us: i64,
    info_hash: String,
    confirmed: f64,
}

fn downloads(rows: &DataFrame) -> PolarsResult<Vec<Download>> {
    let hours = times(rows, "hour")?;
    let hashes = texts(rows, "info_hash")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    Ok(hours
        .into_iter()
        .zip(hashes)
        .zip(confirmed)
        .filter_map(|((time, hash), confirmed)| {
            Some(Download { time_us: time?, info_hash: hash?, confirmed })
        })
        .collect())
}

/// The torrents that are told apart, most downloads first, and how many torrents have any.
fn leaders(downloads: &[Download]) -> (Vec<String>, usize) {
    let mut sums: HashMap<&str, f64> = HashMap::new();
    for row in downloads {
        *sums.entry(&row.info_hash).or_default() += row.confirmed;
    }
    sums.retain(|_, sum| *sum > 0.0);
    let torrents = sums.len();
    let mut order: Vec<_> = sums.into_iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    (order.into_iter().take(CLASSES.len()).map(|(hash, _)| hash.to_owned()).collect(), torrents)
}

fn plot(
    downloads: &[Download],
    leaders: &[String],
    torrents: usize,
    names: &Names,
    facts: &Facts,
    width: f64,
) -> Drawing {
    let times: Vec<_> = downloads.iter().map(|row| row.time_us).collect();
    let buckets = Buckets::covering(facts, &times, whole_usize(width / 5.0));
    let mut series: Vec<_> = leaders
        .iter()
        .zip(CLASSES)
        .map(|(hash, class)| Series::new(class, names.name(hash), &buckets))
        .collect();
    if torrents > leaders.len() {
        let name = number_of((torrents - leaders.len()) as u64, "other torrent");
        series.push(Series::new("rest", name, &buckets));
    }
    let rank: HashMap<_, _> =
        leaders.iter().zip(0_usize..).map(|(hash, rank)| (hash.as_str(), rank)).collect();
    for row in downloads {
        let index = rank.get(row.info_hash.as_str()).copied().unwrap_or(leaders.len());
        if let Some(series) = series.get_mut(index) {
            series.add(&buckets, row.time_us, row.confirmed);
        }
    }
    let keys: Vec<_> = series.iter().map(|series| Key::new(series.class, series.name.clone())).collect();
    let top = legend_height(&keys, width) + 34.0;
    let panel = Panel { left: 44.0, top, right: width - 8.0, bottom: top + 240.0 };
    let mut drawing = Drawing::new(width, panel.bottom + 28.0);
    legend(&mut drawing, 0.0, &keys, width);
    let title = format!("confirmed downloads per {}", buckets.unit());
    stacked(&mut drawing, panel, &buckets, &series, 5, &title);
    drawing
}
