//! `analyze verify`: reads everything a log holds and tells what is there, what is missing and what is damaged.
//!
//! Segments (`segments`) and write-ahead files (`wals`) → rows per table, runs and gaps (`times`), damage → text or JSON.
//! Every byte of a segment stands under a CRC-32C, so damage is found with all but certainty; a segment without one
//! (written by an early version or another program) is decoded to its end, and a changed value in it may go unseen.

mod print;
mod segments;
#[cfg(test)]
mod tests;
mod times;
mod wals;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use serde::Serialize;

use self::times::Times;
use crate::{
    cli::{VerifyFormat, VerifyOptions},
    remote::Data,
};

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Whether nothing is damaged.
    pub whole: bool,
    /// Its tables that have files.
    pub tables: Vec<TableRows>,
    /// The runs, by their first row.
    pub runs: Vec<RunSpan>,
    /// Times without a row.
    pub gaps: Vec<Gap>,
    /// What is damaged, and what of it can be saved.
    pub damaged: Vec<DamagedFile>,
    /// Write-ahead files, open or left by a killed capture.
    pub wals: Vec<WalFile>,
    /// Segments that carry no checksum.
    pub files_without_checksum: u64,
    /// Segments that a compacted one stands for; the next compaction removes them.
    pub files_replaced: u64,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A table's readable rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableRows {
    /// Its name.
    pub table: String,
    /// Its segments, damaged ones included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that can be read.
    pub rows: u64,
    /// Time of the first, RFC 3339.
    pub first_at: Option<String>,
    /// Time of the last, RFC 3339.
    pub last_at: Option<String>,
    /// Damaged segments.
    pub damaged: u64,
}

/// What there is of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunSpan {
    /// The run.
    pub run: String,
    /// Rows in segments.
    pub rows: u64,
    /// Time of its first row, RFC 3339.
    pub first_at: String,
    /// Time of its last row, RFC 3339.
    pub last_at: String,
    /// Whether it ended in good order; if not it was killed, still runs, or its last rows are lost.
    pub stopped: bool,
    /// Numbers of write-ahead files of which there is no segment: they had no rows, or the segments are gone.
    pub missing: Vec<u32>,
}

/// A time without a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The run within which it lies; `None` between runs.
    pub run: Option<String>,
    /// The last row before, RFC 3339.
    pub from: String,
    /// The first row after, RFC 3339.
    pub to: String,
    /// Its length, seconds.
    pub seconds: u64,
}

/// A damaged file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problems: Vec<String>,
    /// Rows it has by its footer; `None` if that is lost too.
    pub rows: Option<u64>,
    /// Rows that can be read.
    pub rows_readable: u64,
    /// Rows of them whose bytes are known to be those that were written.
    pub rows_intact: u64,
}

/// A write-ahead file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WalFile {
    /// The file.
    pub file: String,
    /// Rows that can be read.
    pub rows: u64,
    /// Bytes at its end that a crash tore, or that are being written; they were never durable.
    pub torn_bytes: u64,
    /// Bytes that were durable and cannot be read any more.
    pub damaged_bytes: u64,
    /// What it is and what becomes of it.
    pub state: WalState,
}

/// What a write-ahead file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WalState {
    /// A recovery kept it aside because it is damaged; what could be read is in the segments.
    KeptAside,
    /// A killed capture left it; the next start on the folder makes segments of it.
    #[default]
    LeftOver,
    /// A capture is running and writes to it.
    Open,
}

/// Reads the folders the options name and prints what they hold; tells whether nothing is damaged.
///
/// # Errors
/// One line for the user: a folder is missing or cannot be read.
pub fn run(options: &VerifyOptions) -> anyhow::Result<bool> {
    // What the decoder thinks of damaged bytes is told in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let data = Data::bring(&options.data);
    let verified = data.and_then(|data| Ok((verify(&data.folders, options.gap)?, data)));
    drop(std::panic::take_hook());
    let (verified, data) = verified?;
    let mut out = io::stdout().lock();
    match options.format {
        VerifyFormat::Json => {
            let text = serde_json::to_string_pretty(&verified)?;
            writeln!(out, "{}", data.name(&text))?;
        }
        VerifyFormat::Text => out.write_all(data.name(&print::text(&verified)).as_bytes())?,
    }
    Ok(verified.whole)
}

/// Reads everything; times without a row count as gaps from `gap_us` on.
///
/// # Errors
/// A folder is missing or cannot be read, or none holds anything of a log.
pub fn verify(folders: &[PathBuf], gap_us: i64) -> anyhow::Result<Verified> {
    let mut verified = Verified::default();
    let mut times = BTreeMap::<String, Times>::new();
    for folder in folders {
        if !folder.is_dir() {
            bail!("{}: no such folder; give the folder that `capture --out` wrote to", folder.display());
        }
        let read = || format!("cannot read {}", folder.display());
        let made = segments::read(folder, &mut verified, &mut times).with_context(read)?;
        let waiting = wals::read(folder, &made, &mut verified).with_context(read)?;
        for path in made.into_iter().chain(waiting) {
            times.entry(path.run.0).or_default().seqs.insert(path.seq);
        }
    }
    if verified.tables.is_empty() && verified.wals.is_empty() {
        let folder = folders.first().cloned().unwrap_or_default();
        bail!("{}: nothing of a log; give the folder that `capture --out` wrote to", folder.display());
    }
    times::tell(times, gap_us, &mut verified);
    verified.whole = verified.damaged.is_empty() && verified.wals.iter().all(|wal| wal.damaged_bytes == 0);
    Ok(verified)
}
