//! `seeders_hourly`: seeders and leechers over time as lines, and the seeders' share with its interval below.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, legend, legend_height};
use super::frame::{numbers, texts, times};
use super::lines::{Line, Vertical, over_time};
use super::scale::{Scale, round_up};
use super::svg::Drawing;
use super::timeline::Buckets;
use crate::estimate::share;
use crate::facts::Facts;
use crate::number::{counted, short, whole_usize};

const TITLE: &str = "Seeders and leechers over time";

/// Draws the table `seeders_hourly` over all torrents.
pub fn draw(rows: &DataFrame, facts: &Facts) -> PolarsResult<Figure> {
    let hours = hours(rows)?;
    if hours.is_empty() {
        return Ok(Figure::without_data(
            "seeders_hourly",
            TITLE,
            "No peer told its pieces, and no tracker or DHT node its counts.",
        ));
    }
    let subtitle = "Seen: peers we watched, by what they told last in each interval. Told: what the tracker that knows \
                    most peers of a torrent says, summed over torrents. The share below is that of the peers seen, with \
                    its 95 % interval; it errs high, for complete peers stay longer and are met more easily.";
    Ok(Figure::new("seeders_hourly", TITLE, subtitle, |width| plot(&hours, facts, width)))
}

/// Counts of one hour over torrents.
#[derive(Clone, Copy, Debug, Default)]
struct Hour {
    seen: Option<(f64, f64)>,
    told: Option<(f64, f64)>,
}

fn hours(rows: &DataFrame) -> PolarsResult<BTreeMap<i64, Hour>> {
    let hours = times(rows, "hour")?;
    let hashes = texts(rows, "info_hash")?;
    let of = texts(rows, "of")?;
    let seeders = numbers(rows, "seeders")?;
    let leechers = numbers(rows, "leechers")?;
    let mut sums: BTreeMap<i64, Hour> = BTreeMap::new();
    // A torrent's trackers count the same peers: of each hour the one that knows most of them stands.
    let mut told: BTreeMap<(i64, String), (f64, f64)> = BTreeMap::new();
    let columns = hours.into_iter().zip(hashes).zip(of).zip(seeders).zip(leechers);
    for ((((hour, hash), of), seeders), leechers) in columns {
        let (Some(hour), Some(hash), Some(seeders), Some(leechers)) = (hour, hash, seeders, leechers) else {
            continue;
        };
        if of.as_deref() == Some("seen") {
            let sum = sums.entry(hour).or_default().seen.get_or_insert_default();
            *sum = (sum.0 + seeders, sum.1 + leechers);
        } else {
            let most = told.entry((hour, hash)).or_default();
            if seeders + leechers >= most.0 + most.1 {
                *most = (seeders, leechers);
            }
        }
    }
    for ((hour, _), (seeders, leechers)) in told {
        let sum = sums.entry(hour).or_default().told.get_or_insert_default();
        *sum = (sum.0 + seeders, sum.1 + leechers);
    }
    Ok(sums)
}

fn plot(hours: &BTreeMap<i64, Hour>, facts: &Facts, width: f64) -> Drawing {
    let times: Vec<_> = hours.keys().copied().collect();
    let buckets = Buckets::covering(facts, &times, whole_usize(width / 5.0));
    let mut lines = [
        Line::new("line1", "c1", "seeders seen", &buckets),
        Line::new("line2", "c2", "leechers seen", &buckets),
        Line::new("line1 dashed", "c1 faint", "seeders told by trackers", &buckets),
        Line::new("line2 dashed", "c2 faint", "leechers told by trackers", &buckets),
    ];
    let mut shares = Line::new("line1", "c1", "share of seeders", &buckets);
    shares.band = vec![None; buckets.count];
    // Peers of several hours in one bucket are the same ones: the fullest hour stands.
    let mut fullest: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (hour, counts) in hours {
        let [seen_seeders, seen_leechers, told_seeders, told_leechers] = &mut lines;
        if let Some((seeders, leechers)) = counts.seen {
            seen_seeders.raise(&buckets, *hour, seeders);
            seen_leechers.raise(&buckets, *hour, leechers);
            let most = buckets.index(*hour).map(|index| fullest.entry(index).or_default());
            if let Some(most) = most.filter(|most| seeders + leechers >= most.0 + most.1) {
                *most = (seeders, leechers);
            }
        }
        if let Some((seeders, leechers)) = counts.told {
            told_seeders.raise(&buckets, *hour, seeders);
            told_leechers.raise(&buckets, *hour, leechers);
        }
    }
    for (index, (seeders, leechers)) in fullest {
        let whole = |value: f64| whole_usize(value) as u64;
        let Some(found) = share::estimate(whole(seeders), whole(seeders + leechers)) else { continue };
        if let (Some(value), Some(band)) = (shares.values.get_mut(index), shares.band.get_mut(index)) {
            *value = Some(found.value);
            *band = Some((found.low, found.high));
        }
    }
    let keys = [
        Key::new("c1", "seeders seen"),
        Key::new("c2", "leechers seen"),
        Key::new("c1 faint", "seeders told (dashed)"),
        Key::new("c2 faint", "leechers told (dashed)"),
    ];
    let top = legend_height(&keys, width) + 34.0;
    let counts = Panel { left: 48.0, top, right: width - 10.0, bottom: top + 200.0 };
    let below = Panel { top: counts.bottom + 62.0, bottom: counts.bottom + 172.0, ..counts };
    let mut drawing = Drawing::new(width, below.bottom + 28.0);
    legend(&mut drawing, 0.0, &keys, width);
    let most = round_up(lines.iter().map(Line::highest).fold(0.0, f64::max), 5);
    let mut ticks = Scale::linear(0.0, most, 1.0, 0.0).ticks(5);
    ticks.retain(|tick| tick.fract() == 0.0);
    let title = format!("peers in each {}", buckets.unit());
    let axis = Vertical { title: &title, most, ticks: &ticks, format: short, exact: counted };
    over_time(&mut drawing, counts, &buckets, &lines, axis);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let axis = Vertical {
        title: "share of seeders among the peers seen",
        most: 1.0,
        ticks: &[0.0, 0.5, 1.0],
        format: percent,
        exact: percent,
    };
    over_time(&mut drawing, below, &buckets, &[shares], axis);
    drawing
}
