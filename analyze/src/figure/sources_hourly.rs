//! `sources_hourly`: addresses that were new and that were known already, one panel of stacked bars a source.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::{Key, Panel, legend, legend_height};
use super::frame::{counts, texts, times};
use super::svg::{Anchor, Drawing, text};
use super::timeline::{Buckets, Series, stacked};
use crate::facts::Facts;
use crate::number::{counted, percent, whole_usize};

const TITLE: &str = "New and repeated addresses by source";

/// Draws the table `sources_hourly`.
pub fn draw(rows: &DataFrame, facts: &Facts) -> PolarsResult<Figure> {
    let sources = sources(rows)?;
    let sum = |value: fn(&Answer) -> f64| -> f64 { sources.values().flatten().map(value).sum() };
    let (new, duplicate) = (sum(|answer| answer.new), sum(|answer| answer.duplicate));
    if new + duplicate == 0.0 {
        return Ok(Figure::without_data("sources_hourly", TITLE, "No source named a peer."));
    }
    let subtitle = format!(
        "{} addresses received, {} of them new ({}). Each panel has its own scale. Times are UTC.",
        counted(new + duplicate),
        counted(new),
        percent(new / (new + duplicate))
    );
    Ok(Figure::new("sources_hourly", TITLE, subtitle, |width| plot(&sources, facts, width)))
}

struct Answer {
    time_us: i64,
    new: f64,
    duplicate: f64,
}

/// What each source named, by source.
fn sources(rows: &DataFrame) -> PolarsResult<BTreeMap<String, Vec<Answer>>> {
    let hours = times(rows, "hour")?;
    let names = texts(rows, "source")?;
    let new = counts(rows, "new")?;
    let duplicate = counts(rows, "duplicate")?;
    let mut sources: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
    for (((time, name), new), duplicate) in hours.into_iter().zip(names).zip(new).zip(duplicate) {
        let (Some(time_us), Some(name)) = (time, name) else { continue };
        sources.entry(name).or_default().push(Answer { time_us, new, duplicate });
    }
    Ok(sources)
}

fn plot(sources: &BTreeMap<String, Vec<Answer>>, facts: &Facts, width: f64) -> Drawing {
    const PLOT: f64 = 96.0;
    const STEP: f64 = PLOT + 62.0;
    let times: Vec<_> = sources.values().flatten().map(|answer| answer.time_us).collect();
    let buckets = Buckets::covering(facts, &times, whole_usize(width / 5.0));
    let keys = [Key::new("c1", "new"), Key::new("rest", "named before by some source")];
    let unit_at = legend_height(&keys, width) + 14.0;
    let top = unit_at + 42.0;
    let mut drawing = Drawing::new(width, top + STEP * sources.len() as f64 - 34.0);
    legend(&mut drawing, 0.0, &keys, width);
    let unit = format!("addresses received per {}", buckets.unit());
    drawing.push(text("label", 0.0, unit_at, Anchor::Start, &unit));
    for (index, (source, answers)) in sources.iter().enumerate() {
        let top = top + STEP * index as f64;
        let panel = Panel { left: 44.0, top, right: width - 8.0, bottom: top + PLOT };
        let mut new = Series::new("c1", format!("{} new", name(source)), &buckets);
        let mut duplicate = Series::new("rest", format!("{} named before", name(source)), &buckets);
        for answer in answers {
            new.add(&buckets, answer.time_us, answer.new);
            duplicate.add(&buckets, answer.time_us, answer.duplicate);
        }
        let sum = |series: &Series| series.values.iter().sum::<f64>();
        let (new_sum, all) = (sum(&new), sum(&new) + sum(&duplicate));
        let told = format!("{} of {} new", counted(new_sum), counted(all));
        drawing.push(text("strong", 0.0, panel.top - 12.0, Anchor::Start, &name(source)));
        drawing.push(text("note", width - 8.0, panel.top - 12.0, Anchor::End, &told));
        stacked(&mut drawing, panel, &buckets, &[new, duplicate], 3, "");
    }
    drawing
}

/// A source's name where there is little room.
pub fn short_name(source: &str) -> String {
    match source {
        "incoming" => "incoming".to_owned(),
        "lsd" => "LSD".to_owned(),
        "magnet" => "magnets".to_owned(),
        "pex" => "PEX".to_owned(),
        other => name(other),
    }
}

/// A source's name for people.
pub fn name(source: &str) -> String {
    match source {
        "dht" => "DHT".to_owned(),
        "incoming" => "Incoming connections".to_owned(),
        "lsd" => "Local discovery (LSD)".to_owned(),
        "magnet" => "Magnet links".to_owned(),
        "pex" => "Peer exchange (PEX)".to_owned(),
        "tracker_http" => "HTTP trackers".to_owned(),
        "tracker_udp" => "UDP trackers".to_owned(),
        other => other.to_owned(),
    }
}
