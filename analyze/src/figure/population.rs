//! `population`: how many peers there are by every method, as dots with their intervals.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, PolarsResult};

use super::Figure;
use super::axes::Key;
use super::dots::{Axis, Dot, horizontal};
use super::frame::{numbers, texts};
use super::scale::Scale;
use super::sources_hourly;
use crate::number::{counted, short};

/// Rows of the figure; a torrent may have any number of trackers.
const SHOWN: usize = 20;

const TITLE: &str = "How many peers there are, by method";

/// Draws the table `population` over all torrents.
pub fn draw(rows: &DataFrame) -> PolarsResult<Figure> {
    let mut dots = dots(rows)?;
    if dots.is_empty() {
        return Ok(Figure::without_data("population", TITLE, "No method could be applied."));
    }
    dots.truncate(SHOWN);
    let keys = [
        Key::new("rest", "seen, a count"),
        Key::new("c1", "peers there at any time"),
        Key::new("c2", "peers there at one time, on average"),
    ];
    let subtitle = "Whiskers of estimates are 95 % intervals, those of trackers and DHT nodes reach from the lowest to the \
                    highest answer. Methods that count peers at one time see fewer than those that count all who ever \
                    came; each estimate's direction of bias stands in the table.";
    let axis = Axis {
        title: "peers (from 0)",
        scale: |most, panel| Scale::linear(0.0, most.max(1.0), panel.left, panel.right),
        format: short,
    };
    Ok(Figure::new("population", TITLE, subtitle, |width| horizontal(&dots, &keys, axis, width)))
}

/// An estimate as the table has it.
struct Row {
    hash: String,
    method: String,
    of: String,
    at_once: bool,
    peers: f64,
    interval: Option<(f64, f64)>,
    bias: String,
}

fn rows_of(rows: &DataFrame) -> PolarsResult<Vec<Row>> {
    let hashes = texts(rows, "info_hash")?;
    let methods = texts(rows, "method")?;
    let of = texts(rows, "of")?;
    let counts = texts(rows, "counts")?;
    let biases = texts(rows, "bias")?;
    let peers = numbers(rows, "peers")?;
    let low = numbers(rows, "peers_low")?;
    let high = numbers(rows, "peers_high")?;
    let names = hashes.into_iter().zip(methods).zip(of).zip(counts).zip(biases);
    Ok(names
        .zip(peers.into_iter().zip(low).zip(high))
        .filter_map(|(((((hash, method), of), counts), bias), ((peers, low), high))| {
            Some(Row {
                hash: hash?,
                method: method?,
                of: of.unwrap_or_default(),
                at_once: counts.as_deref() == Some("at_once"),
                peers: peers?,
                interval: low.zip(high),
                bias: bias.unwrap_or_default(),
            })
        })
        .collect())
}

fn dots(rows: &DataFrame) -> PolarsResult<Vec<Dot>> {
    let rows = rows_of(rows)?;
    let mut dots: Vec<(u8, Dot)> = rows.iter().filter(|row| row.hash == "all").map(dot).collect();
    // What is told of single torrents alone is summed over them; of a torrent's trackers the fullest stands.
    for method in ["bep33", "scrape"] {
        let mut fullest: BTreeMap<&str, &Row> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.method == method && row.hash != "all") {
            let best = fullest.entry(&row.hash).or_insert(row);
            if row.peers > best.peers {
                *best = row;
            }
        }
        let Some(any) = fullest.values().next() else { continue };
        let end = |read: fn((f64, f64)) -> f64| -> f64 {
            fullest.values().map(|row| row.interval.map_or(row.peers, read)).sum()
        };
        dots.push(dot(&Row {
            hash: "all".to_owned(),
            method: method.to_owned(),
            of: String::new(),
            at_once: any.at_once,
            peers: fullest.values().map(|row| row.peers).sum(),
            interval: Some((end(|interval| interval.0), end(|interval| interval.1))),
            bias: any.bias.clone(),
        }));
    }
    dots.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.name.cmp(&b.1.name)));
    Ok(dots.into_iter().map(|(_, dot)| dot).collect())
}

/// The dot of a row, and its rank: counts first, then estimates of all who came, then of those there at one time.
fn dot(row: &Row) -> (u8, Dot) {
    let name = match row.method.as_str() {
        "seen" => "seen".to_owned(),
        "chapman" => {
            let sources: Vec<_> = row.of.split(' ').map(sources_hourly::short_name).collect();
            format!("Chapman: {}", sources.join(" and "))
        }
        "chao2" => "Chao: seen again over time".to_owned(),
        "bep33" => "told by DHT nodes (BEP 33)".to_owned(),
        "scrape" => "told by the fullest trackers".to_owned(),
        other => other.to_owned(),
    };
    let (rank, class) = match (row.method.as_str(), row.at_once) {
        ("seen", _) => (0, "rest"),
        (_, false) => (1, "c1"),
        (_, true) => (2, "c2"),
    };
    let note = row.interval.map_or_else(
        || counted(row.peers),
        |(low, high)| format!("{} ({} to {})", counted(row.peers), counted(low), counted(high)),
    );
    // A single peer without an interval is the only one there is one of.
    let peers = if note == "1" { "peer" } else { "peers" };
    let tooltip = format!("{name}: {note} {peers}; errs {}", row.bias);
    (rank, Dot { name, class, value: row.peers, interval: row.interval, note, tooltip })
}
