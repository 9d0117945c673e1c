//! A log as a capture of many swarms would have left it: for measuring, not for judging.
//!
//! Seed → `population` (peers, Zipf over swarms, coming and going) → `rows` hour by hour → segments, as `schema` lays
//! them out. Memory holds the population and an hour's rows.

pub mod population;
pub mod rows;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use schema::{
    RunId, Timestamp,
    layout::{Date, SegmentPath, WalPath},
    segment,
    table::{Event, Table},
};

use crate::log::{
    population::{Population, PopulationOptions},
    rows::{Writer, contacts_by_window},
};

/// 2026-01-01T00:00:00Z, the start of every generated log.
const START: Timestamp = Timestamp(1_767_225_600_000_000);
/// Peers whose rows are counted to tell how many peers a log of some size needs.
const SAMPLE: u32 = 2_000;
/// Time a segment covers.
const ROTATE_EVERY: Duration = Duration::from_hours(1);

/// What `lab log` was asked for.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Rows, about.
    pub rows: u64,
    /// Only rows of this table are counted.
    pub of: Option<Table>,
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

/// Writes the log, on all cores; gives the number of its rows.
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
        let events = Writer::new(&population, START).window(Duration::ZERO, options.length);
        let counted = |event: &&Event| options.of.is_none_or(|table| event.row.table() == table);
        events.iter().filter(counted).count() as u64
    };
    let without = rows_with(0);
    let of_sample = rows_with(SAMPLE).saturating_sub(without).max(1);
    let peers = options.rows.saturating_sub(without).saturating_mul(u64::from(SAMPLE)) / of_sample;
    let population =
        Population::draw(&of(u32::try_from(peers.max(1)).context("so many rows need too many peers")?));
    let run = RunId(format!("20260101T000000Z-{:08x}", options.seed & 0xffff_ffff));
    write_windows(options, &population, &run)
}

fn write_windows(options: &LogOptions, population: &Population, run: &RunId) -> Result<u64> {
    let windows = options.length.as_micros().div_ceil(ROTATE_EVERY.as_micros());
    let windows = usize::try_from(windows).context("so long a log has too many hours")?;
    let contacts = contacts_by_window(population, ROTATE_EVERY, windows);
    let before = contacts.iter().scan(0, |sum, contacts| Some(std::mem::replace(sum, *sum + contacts)));
    let before: Vec<u64> = before.collect();
    let (next, written) = (AtomicUsize::new(0), AtomicU64::new(0));
    let work = || -> Result<()> {
        loop {
            let window = next.fetch_add(1, Ordering::Relaxed);
            let Some(contacts) = before.get(window) else { return Ok(()) };
            let from = ROTATE_EVERY.saturating_mul(u32::try_from(window).unwrap_or(u32::MAX));
            let to = (from + ROTATE_EVERY).min(options.length);
            let events = Writer::after(population, START, *contacts).window(from, to);
            written.fetch_add(events.len() as u64, Ordering::Relaxed);
            write_segments(
                options,
                &WalPath { run: run.clone(), seq: u32::try_from(window).unwrap_or(u32::MAX) },
                &events,
            )?;
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(written.into_inner())
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
