//! `summary`: peers, scraped and confirmed downloads of each torrent side by side, on a logarithmic axis.

use polars::prelude::{DataFrame, PolarsResult};

use super::axes::{Key, horizontal_axis, legend, legend_height};
use super::frame::{counts, numbers, texts};
use super::rows::Rows;
use super::scale::Scale;
use super::svg::{Drawing, Element, circle, line, path};
use super::{Figure, short_hash, torrent_mark};
use crate::number::{count, counted_of, short};

/// Torrents with a row of their own.
const SHOWN: usize = 20;

const TITLE: &str = "Torrents: peers seen and downloads";

/// Draws the table `summary`.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mut torrents = torrents(rows)?;
    if torrents.is_empty() {
        return Ok(Figure::without_data("summary", TITLE, "The log names no torrent."));
    }
    if torrents.iter().all(|torrent| torrent.unique == 0.0) {
        return Ok(Figure::without_data("summary", TITLE, "No peer of any torrent was seen."));
    }
    torrents.sort_by(|a, b| {
        b.confirmed.total_cmp(&a.confirmed).then(b.unique.total_cmp(&a.unique)).then(a.hash.cmp(&b.hash))
    });
    let all = torrents.len();
    let which = if all > SHOWN {
        let rest = count((all - SHOWN) as u64);
        format!("The {SHOWN} torrents with the most confirmed downloads; {rest} more are in the table.")
    } else {
        "By confirmed downloads.".to_owned()
    };
    torrents.truncate(SHOWN);
    let subtitle = format!(
        "{which} Confirmed downloads are a lower bound; scrape is what the busiest tracker says was downloaded meanwhile."
    );
    Ok(Figure::new("summary", TITLE, subtitle, |width| plot(&torrents, width)))
}

/// A torrent's counts.
pub(super) struct Torrent {
    pub(super) hash: String,
    /// The start of its hash where it has no name.
    pub(super) name: String,
    pub(super) unique: f64,
    pub(super) confirmed: f64,
    /// What the busiest tracker counted; `None` where none tells.
    pub(super) scrape: Option<f64>,
}

/// The torrents of the table, without the row of all.
pub(super) fn torrents(rows: &DataFrame) -> PolarsResult<Vec<Torrent>> {
    let hashes = texts(rows, "info_hash")?;
    let names = texts(rows, "name")?;
    let unique = counts(rows, "unique_peers")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let scrape = numbers(rows, "scrape_downloads")?;
    let columns = hashes.into_iter().zip(names).zip(unique).zip(confirmed).zip(scrape);
    Ok(columns
        .filter_map(|((((hash, name), unique), confirmed), scrape)| {
            let hash = hash.filter(|hash| hash != "all")?;
            let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| short_hash(&hash));
            Some(Torrent { hash, name, unique, confirmed, scrape })
        })
        .collect())
}

fn plot(torrents: &[Torrent], width: f64) -> Drawing {
    let keys = [
        Key::new("c1", "confirmed downloads (circle)"),
        Key::new("c2", "scraped downloads (diamond)"),
        Key::new("rest", "unique peers (square)"),
    ];
    let keys_height = legend_height(&keys, width) + 8.0;
    let rows = Rows::new(torrents.iter().map(|torrent| torrent.name.as_str()), keys_height, 12.0, width);
    let panel = rows.panel;
    let most = torrents
        .iter()
        .map(|torrent| torrent.unique.max(torrent.confirmed).max(torrent.scrape.unwrap_or_default()))
        .fold(0.0, f64::max);
    let scale = Scale::log_from_zero(most, panel.left, panel.right);

    let mut drawing = Drawing::new(width, panel.bottom + 44.0);
    legend(&mut drawing, 0.0, &keys, width);
    let ticks = scale.ticks(8);
    horizontal_axis(&mut drawing, panel, &scale, &ticks, short, "peers or downloads (logarithmic from 1)");
    for (index, torrent) in torrents.iter().enumerate() {
        let told = format!("{} ({})", torrent.name, torrent.hash);
        let y = rows.name(&mut drawing, index, &torrent.name, &told);
        draw_torrent(&mut drawing, torrent, &scale, y);
    }
    drawing
}

fn draw_torrent(drawing: &mut Drawing, torrent: &Torrent, scale: &Scale, y: f64) {
    let values = [Some(torrent.unique), Some(torrent.confirmed), torrent.scrape];
    let least = values.into_iter().flatten().fold(f64::INFINITY, f64::min);
    let most = values.into_iter().flatten().fold(0.0, f64::max);
    if most > least {
        drawing.push(line("range", scale.at(least), y, scale.at(most), y));
    }
    let told = |value: f64, what: &str| format!("{}: {}", torrent.name, counted_of(value, what));
    let x = scale.at(torrent.unique);
    let square = [(x - 5.0, y - 5.0), (x + 5.0, y - 5.0), (x + 5.0, y + 5.0), (x - 5.0, y + 5.0)];
    let mark = |element: Element| element.attribute("data-t", &torrent_mark(&torrent.hash));
    drawing.push(mark(path("rest", &square, true)).tooltip(&told(torrent.unique, "unique peer")));
    if let Some(scrape) = torrent.scrape {
        drawing.push(mark(diamond(scale.at(scrape), y)).tooltip(&told(scrape, "scraped download")));
    }
    let confirmed = mark(circle("c1", scale.at(torrent.confirmed), y, 5.0));
    drawing.push(confirmed.tooltip(&told(torrent.confirmed, "confirmed download")));
}

fn diamond(x: f64, y: f64) -> Element {
    path("c2", &[(x, y - 6.5), (x + 6.5, y), (x, y + 6.5), (x - 6.5, y)], true)
}
