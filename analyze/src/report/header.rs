//! What stands before and after the tables: facts → key numbers, remarks, a list of facts, runs, credits.

use polars::prelude::{DataFrame, PolarsResult};
use serde::Serialize;

use super::prose::{foreign, with_links};
use crate::facts::Facts;
use crate::figure::frame::{numbers, texts};
use crate::figure::text::visible;
use crate::figure::timeline::unit;
use crate::number::{count, duration_us, number_of, parse_time, plural, second, significant, speed, whole};

/// Runs and damaged files that the page names.
pub const LISTED: usize = 20;

/// A key number: value, what it counts, and in which sense.
#[derive(Debug, Serialize)]
pub struct Number {
    /// The column of `summary` it comes from.
    column: &'static str,
    label: String,
    /// What one of them is called; empty where nothing is counted.
    one: &'static str,
    value: String,
    /// Both ends of its 95 % interval, or why there is no number; empty for a count.
    range: String,
    /// What stands there where there is no number.
    absent: &'static str,
    about: String,
}

/// What the reader must know before believing the numbers; `text` and `items` are escaped already.
#[derive(Debug, Serialize)]
pub struct Remark {
    class: &'static str,
    label: &'static str,
    text: String,
    items: Vec<String>,
}

/// A line about the capture or the report.
#[derive(Debug, Serialize)]
pub struct Fact {
    label: &'static str,
    value: String,
}

/// The first sentence: how much was watched, from where, and when.
pub fn lead(facts: &Facts) -> String {
    let torrents = number_of(facts.torrents, "torrent");
    let places = vantages(facts);
    let from = if places.is_empty() { String::new() } else { format!(" from {}", places.join(", ")) };
    match (&facts.first_at, &facts.last_at) {
        (Some(first), Some(last)) => {
            let length = match (parse_time(first), parse_time(last)) {
                // A number and its unit stay together.
                (Some(first), Some(last)) => {
                    format!(" ({})", duration_us((last - first) as f64).replace(' ', "\u{a0}"))
                }
                _ => String::new(),
            };
            format!("{torrents} watched{from}, {} to {} UTC{length}.", at(first), at(last))
        }
        _ => "The log holds no rows: nothing was captured, or nothing of what was asked for.".to_owned(),
    }
}

/// The answer to the first question, in sentences: how many downloads, and how sure that is. The script says the same of a
/// single torrent (`script/torrent.js`).
pub fn verdict(summary: &DataFrame, facts: &Facts) -> PolarsResult<String> {
    let Some(row) = row_of_all(summary)? else { return Ok(String::new()) };
    let value = |name: &str| -> PolarsResult<Option<u64>> {
        let value = numbers(summary, name)?.get(row).copied().flatten();
        Ok(value.map(|value| whole(value).unsigned_abs()))
    };
    let threshold = threshold_in_percent(facts);
    let mut sentences = match value("confirmed_downloads")?.unwrap_or_default() {
        0 => vec![format!(
            "No download was confirmed: no peer was seen below {threshold} of the pieces and later at or above. That does \
             not say that nobody downloaded."
        )],
        confirmed => vec![format!(
            "At least {}: {} seen below {threshold} of the pieces and later at or above.",
            number_of(confirmed, "download"),
            number_of(confirmed, "peer")
        )],
    };
    if let (Some(estimated), Some(low), Some(high)) =
        (value("estimated_downloads")?, value("estimated_downloads_low")?, value("estimated_downloads_high")?)
    {
        sentences.push(format!(
            "With those that were likely missed about {} ({} to {}, 95 % interval), peers that nobody can reach left out.",
            count(estimated),
            count(low),
            count(high)
        ));
    }
    if let Some(scraped) = value("scrape_downloads")? {
        sentences.push(format!("Trackers themselves counted {}.", count(scraped)));
    }
    Ok(sentences.join(" "))
}

/// The threshold as people read it.
pub fn threshold_in_percent(facts: &Facts) -> String {
    facts.threshold.parse().map_or_else(
        |_| visible(&facts.threshold),
        |share: f64| format!("{}\u{a0}%", significant((share * 1e10).round() / 1e8)),
    )
}

/// The row of all torrents.
fn row_of_all(summary: &DataFrame) -> PolarsResult<Option<usize>> {
    Ok(texts(summary, "info_hash")?.iter().position(|hash| hash.as_deref() == Some("all")))
}

/// Names of the places the captures ran, each once.
fn vantages(facts: &Facts) -> Vec<String> {
    let mut names: Vec<_> = facts.runs.iter().filter_map(|run| run.vantage.as_deref()).map(visible).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A time of the facts as people read it.
fn at(time: &str) -> String {
    parse_time(time).map_or_else(|| visible(time), second)
}

/// The numbers to read first, from the row of all torrents.
pub fn key_numbers(summary: &DataFrame) -> PolarsResult<Vec<Number>> {
    let Some(row) = row_of_all(summary)? else { return Ok(Vec::new()) };
    let value =
        |name: &str| -> PolarsResult<Option<f64>> { Ok(numbers(summary, name)?.get(row).copied().flatten()) };
    let number =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| count(whole(value).unsigned_abs()));
    let mut list = Vec::new();
    for (column, one, about, absent) in NUMBERS {
        let found = value(column)?;
        let mut told = Number {
            column,
            label: if number(found) == "1" { one.to_owned() } else { plural(one) },
            one,
            value: number(found),
            range: if found.is_none() { absent.to_owned() } else { String::new() },
            absent,
            about: about.to_owned(),
        };
        if column == "estimated_downloads" {
            let (low, high) = (value("estimated_downloads_low")?, value("estimated_downloads_high")?);
            if found.is_some() {
                told.range = format!("95 %: {} to {}", number(low), number(high));
            }
        }
        if column == "median_speed_bytes_per_s" {
            told.value = found.map_or_else(|| "–".to_owned(), speed);
            (told.label, told.one) = (one.to_owned(), "");
        }
        list.push(told);
    }
    Ok(list)
}

/// The key numbers: column of `summary`, what one of those it counts is called, in which sense, and why it may be absent.
const NUMBERS: [(&str, &str, &str, &str); 8] = [
    (
        "confirmed_downloads",
        "confirmed download",
        "Peers seen below the threshold and later at or above it: a lower bound that counts nothing that did not happen.",
        "",
    ),
    (
        "estimated_downloads",
        "estimated download",
        "Each confirmed one weighted by how likely it was to be seen. Errs low: peers nobody can reach are not in it.",
        "no confirmed download to start from",
    ),
    (
        "scrape_downloads",
        "scraped download",
        "What trackers say was completed meanwhile, one tracker a torrent. Clients may report falsely.",
        "no tracker told its counter",
    ),
    (
        "median_speed_bytes_per_s",
        "median speed",
        "Of the peers' mean download speeds while they were watched.",
        "none was measured",
    ),
    ("unique_peers", "unique peer", "Named by a source or met in a contact, once per torrent.", ""),
    ("contacted_peers", "contacted peer", "Of these, peers whose handshake was received at least once.", ""),
    (
        "already_complete",
        "already complete peer",
        "At or above the threshold when first seen: no downloads we saw.",
        "",
    ),
    ("flagged", "flagged peer", "Counts that cannot be trusted, such as falling ones: never confirmed.", ""),
];

/// What to look at where the log holds nothing.
pub fn help(facts: &Facts) -> Vec<String> {
    if facts.first_at.is_some() {
        return Vec::new();
    }
    let folders: Vec<_> =
        facts.data.iter().map(|folder| format!("<code>{}</code>", foreign(folder))).collect();
    let mut lines = Vec::new();
    if !folders.is_empty() {
        lines.push(format!(
            "The data came from {}: is it the folder that <code>capture --out</code> wrote to?",
            folders.join(", ")
        ));
    }
    if facts.since.is_some() || facts.until.is_some() || !facts.info_hashes.is_empty() {
        lines.push(
            "Only a part of the log was asked for: <code>--since</code>, <code>--until</code> or <code>--info-hash</code> \
             may leave nothing."
                .to_owned(),
        );
    }
    lines.push(
        "<code>capture --torrents list.txt --dry-run</code> shows what a list holds; a capture that runs writes its first \
         rows within seconds, and a report can be made while it runs."
            .to_owned(),
    );
    lines.push("<code>analyze verify</code> tells what is in a log, and what of it is damaged.".to_owned());
    lines
}

/// What the reader must know: damaged files first, then the notes.
pub fn remarks(facts: &Facts) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if !facts.damaged.is_empty() {
        let mut items: Vec<_> = facts
            .damaged
            .iter()
            .take(LISTED)
            .map(|damaged| format!("<code>{}</code>: {}", foreign(&damaged.file), foreign(&damaged.problem)))
            .collect();
        if facts.damaged.len() > LISTED {
            items.push(format!("… and {} more", count((facts.damaged.len() - LISTED) as u64)));
        }
        let text = if facts.damaged.len() == 1 {
            "A file of the log could not be read and is left out. Downloads may be missing, none is made up. Copy \
             it again from where it was captured and run the report anew."
        } else {
            "Files of the log could not be read and are left out. Downloads may be missing, none is made up. Copy \
             them again from where they were captured and run the report anew."
        };
        remarks.push(Remark { class: "warning", label: "Damaged files.", text: text.to_owned(), items });
    }
    remarks.extend(facts.notes.iter().map(|text| Remark {
        class: "note",
        label: "Note.",
        text: foreign(text),
        items: Vec::new(),
    }));
    remarks
}

/// All that is known of the capture and of the rules of this report.
pub fn fact_list(facts: &Facts) -> Vec<Fact> {
    let mut list = Vec::new();
    let mut add = |label, value: String| {
        if !value.is_empty() {
            list.push(Fact { label, value: visible(&value) });
        }
    };
    let optional_time = |time: &Option<String>| time.as_deref().map(at).unwrap_or_default();
    add("First event (UTC)", optional_time(&facts.first_at));
    add("Last event (UTC)", optional_time(&facts.last_at));
    add("Vantages", vantages(facts).join(", "));
    add("Torrents watched", count(facts.torrents));
    add("Threshold", format!("{} of a torrent's pieces, rounded up to a whole piece", facts.threshold));
    match facts.identity.as_str() {
        "ip" => add("Identity", "everyone behind one address counts as one peer".to_owned()),
        "peer_id" => add("Identity", "the peer ID alone, wherever it shows".to_owned()),
        _ => {}
    }
    add("Fastest plausible speed", speed(facts.max_plausible_speed_bytes_per_s as f64));
    add("Only from (UTC)", optional_time(&facts.since));
    add("Only before (UTC)", optional_time(&facts.until));
    add("Only these torrents", facts.info_hashes.join(", "));
    let bucket_us = i64::try_from(facts.bucket_s.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    add("Time buckets", format!("one per {}", unit(bucket_us)));
    let rows: u64 = facts.rows.iter().map(|(_, rows)| rows).sum();
    let tables: Vec<_> = facts.rows.iter().map(|(table, rows)| format!("{table} {}", count(*rows))).collect();
    add("Rows read", format!("{} in {}", count(rows), number_of(facts.segments, "file")));
    add("Rows by table", tables.join(", "));
    let sources: Vec<_> =
        facts.geolocation.iter().map(|source| format!("{} from {}", source.tells, source.name)).collect();
    add("Places", sources.join("; "));
    add("Data", facts.data.join(", "));
    add("Made by", format!("analyze {}", facts.version));
    list
}

/// The runs as rows: run, vantage, version, started, stopped, why.
pub fn runs(facts: &Facts) -> Vec<[String; 6]> {
    let text = |value: &Option<String>| value.as_deref().map(visible).unwrap_or_default();
    let time = |value: &Option<String>| value.as_deref().map(at).unwrap_or_default();
    facts
        .runs
        .iter()
        .take(LISTED)
        .map(|run| {
            let stopped = match run.stopped_at {
                Some(_) => time(&run.stopped_at),
                None => "no end in the log".to_owned(),
            };
            [
                visible(&run.run),
                text(&run.vantage),
                text(&run.version),
                time(&run.started_at),
                stopped,
                text(&run.reason),
            ]
        })
        .collect()
}

/// Attributions of the data in the report, as HTML; those of maps where there are any.
pub fn credits(facts: &Facts, has_maps: bool) -> Vec<String> {
    let mut credits: Vec<_> =
        facts.geolocation.iter().filter_map(|source| source.attribution.as_deref()).map(with_links).collect();
    credits.dedup();
    if has_maps {
        credits.push(
            "Map shapes: Natural Earth (public domain), as prepared in world-atlas, © 2013–2019 Michael Bostock (ISC \
         licence). Projection: Equal Earth."
                .to_owned(),
        );
    }
    credits
}
