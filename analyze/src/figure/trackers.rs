//! `trackers`: downloads that each tracker counted, summed over its torrents, as bars.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::bars::{Bar, Part, horizontal};
use super::frame::{counts, texts};
use crate::number::{count, counted, counted_of};

/// Trackers with a bar of their own.
const SHOWN: usize = 15;

const TITLE: &str = "Downloads that trackers counted";

/// Draws the table `trackers`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mut trackers: Vec<_> = trackers(rows)?.into_iter().collect();
    if trackers.is_empty() {
        return Ok(Figure::without_data("trackers", TITLE, "No tracker told a counter of downloads."));
    }
    trackers.sort_by(|a, b| b.1.downloads.total_cmp(&a.1.downloads).then_with(|| a.0.cmp(&b.0)));
    let which = if trackers.len() > SHOWN {
        format!(" The {SHOWN} that counted most, of {}.", count(trackers.len() as u64))
    } else {
        String::new()
    };
    trackers.truncate(SHOWN);
    let subtitle = format!(
        "How far each tracker's counters rose during the capture, over all its torrents.{which} Trackers count the same \
         downloads, so that bars must not be added up; peers that tell a tracker nothing, or a lie, make a count err in \
         either direction."
    );
    let bars: Vec<_> = trackers.iter().map(|(name, counted)| bar(name, counted)).collect();
    Ok(Figure::new("trackers", TITLE, subtitle, |width| horizontal(&bars, &[], "downloads counted", width)))
}

#[derive(Clone, Debug, Default)]
struct Counted {
    downloads: f64,
    torrents: f64,
    resets: f64,
}

/// What trackers counted by announce URL; of both families of addresses of a torrent's tracker the larger count.
fn trackers(rows: &DataFrame) -> PolarsResult<BTreeMap<String, Counted>> {
    let hashes = texts(rows, "info_hash")?;
    let names = texts(rows, "tracker")?;
    let downloads = counts(rows, "scrape_downloads")?;
    let resets = counts(rows, "resets")?;
    let mut torrents: BTreeMap<(String, Option<String>), (f64, f64)> = BTreeMap::new();
    for ((hash, name), (downloads, resets)) in
        hashes.into_iter().zip(names).zip(downloads.into_iter().zip(resets))
    {
        let most = torrents.entry((name.unwrap_or_default(), hash)).or_default();
        *most = (downloads.max(most.0), resets + most.1);
    }
    let mut trackers: BTreeMap<String, Counted> = BTreeMap::new();
    for ((name, _), (downloads, resets)) in torrents {
        let sum = trackers.entry(name).or_default();
        sum.downloads += downloads;
        sum.torrents += 1.0;
        sum.resets += resets;
    }
    Ok(trackers)
}

fn bar(name: &str, tracker: &Counted) -> Bar {
    let of = counted_of(tracker.torrents, "torrent");
    let resets = if tracker.resets > 0.0 {
        format!("; its counters were reset {}", counted_of(tracker.resets, "time"))
    } else {
        String::new()
    };
    let tooltip = format!("{name}: {} of {of}{resets}", counted_of(tracker.downloads, "download"));
    Bar {
        name: name.to_owned(),
        parts: vec![Part { class: "c2", value: tracker.downloads, tooltip }],
        note: format!("{} ({of})", counted(tracker.downloads)),
    }
}
