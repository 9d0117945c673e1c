//! A log as a capture of many swarms would have left it: for measuring, not for judging.
//!
//! Seed → `population` (peers, Zipf over swarms, coming and going) → `rows` hour by hour → segments, as `schema` lays
//! them out. Memory holds the population and an hour's rows.

pub mod population;
pub mod rows;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use schema::{
    RunId, Timestamp,
    layout::{Date, SegmentPath, WalPath},
    segment,
    table::{Event, Table},
};

use crate::log::{
    population::{Population, PopulationOptions},
    rows::Writer,
};

/// 2026-01-01T00:00:00Z, the start of every generated log.
const START: Timestamp = Timestamp(1_767_225_600_000_000);
/// Peers whose rows are counted to tell how many peers a log of some size needs.
const SAMPLE: u32 = 500;
/// Time a segment covers.
const ROTATE_EVERY: Duration = Duration::from_hours(1);

/// What `lab log` was asked for.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Rows over all tables, about.
    pub rows: u64,
    /// The log's folder.
    pub out: PathBuf,
    /// Swarms.
    pub swarms: u32,
    /// Time the log covers.
    pub length: Duration,
    /// Share of IPv6 peers.
    pub ipv6: f64,
    /// Another seed is another log.
    pub seed: u64,
}

/// Writes the log; gives the number of its rows.
pub fn generate(options: &LogOptions) -> Result<u64> {
    let of = |peers| PopulationOptions {
        peers,
        swarms: options.swarms,
        length: options.length,
        ipv6: options.ipv6,
        seed: options.seed,
    };
    let rows_with = |peers| {
        let population = Population::draw(&of(peers));
        Writer::new(&population, START).window(Duration::ZERO, options.length).len() as u64
    };
    let without = rows_with(0);
    let of_sample = rows_with(SAMPLE).saturating_sub(without).max(1);
    let peers = options.rows.saturating_sub(without).saturating_mul(u64::from(SAMPLE)) / of_sample;
    let population =
        Population::draw(&of(u32::try_from(peers.max(1)).context("so many rows need too many peers")?));
    let run = RunId(format!("20260101T000000Z-{:08x}", options.seed & 0xffff_ffff));
    let mut writer = Writer::new(&population, START);
    let (mut from, mut seq, mut written) = (Duration::ZERO, 0, 0);
    while from < options.length {
        let to = (from + ROTATE_EVERY).min(options.length);
        let events = writer.window(from, to);
        written += events.len() as u64;
        write_segments(options, &WalPath { run: run.clone(), seq }, &events)?;
        (from, seq) = (to, seq + 1);
    }
    Ok(written)
}

/// The rows of an hour as segments: a file per table and date.
fn write_segments(options: &LogOptions, wal: &WalPath, events: &[Event]) -> Result<()> {
    let mut parts: Vec<(Table, Date)> =
        events.iter().map(|event| (event.row.table(), Date::of(event.time))).collect();
    parts.sort_unstable();
    parts.dedup();
    for (table, date) in parts {
        let path = SegmentPath { table, date, wal: wal.clone() };
        let folder = options.out.join(path.folder());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(path.file_name());
        let describe = || format!("cannot write {}", file.display());
        let output = fs::File::create(&file).with_context(describe)?;
        let of_date = events.iter().filter(|event| Date::of(event.time) == date);
        segment::write(table, &wal.run, of_date, output).with_context(describe)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
