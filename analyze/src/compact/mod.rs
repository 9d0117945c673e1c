//! `analyze compact`: many small segments become one per table and date, with the same rows.
//!
//! A date is compacted when it is over (UTC) and may be again when later rows came. Safe to interrupt, and to run beside
//! a capture: see [`day`] and [decision 36](../../../docs/decisions/0036-compaction-names-what-it-replaces.md).

pub mod day;
mod stored;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use schema::{
    Timestamp,
    disk::{Disk, RealDisk, create_folder_durably},
    layout::{COMPACT_FOLDER, Date, TEMPORARY_SUFFIX, date_of_folder},
    table::Table,
};

use self::day::{Day, Done};
use crate::{
    cli::CompactOptions,
    number::{bytes, number_of},
    remote::{self, Remote},
};

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// What became of each table's dates that had something to do.
    pub days: Vec<(Table, Date, Done)>,
}

impl Compaction {
    /// Files left as they are, and why.
    pub fn left(&self) -> impl Iterator<Item = &(PathBuf, String)> {
        self.days.iter().flat_map(|(_, _, done)| &done.left)
    }
}

/// Compacts the folder the options name and prints what it did; tells whether every file could be.
///
/// # Errors
/// One line for the user: the folder cannot be read or written, or another compaction has it.
pub fn run(options: &CompactOptions) -> anyhow::Result<bool> {
    let before = if options.open_days { None } else { Some(today()) };
    let compaction = match remote::url(&options.data) {
        Some(url) => stored::compact(&Remote::open(url)?, before)?,
        None => compact_folder(&options.data, before)?,
    };
    let mut out = io::stdout().lock();
    for (table, date, done) in &compaction.days {
        let name = format!("{}/{date}", table.name());
        match done.rows {
            Some(rows) => writeln!(
                out,
                "{name}: {} became one, {}, {} before, {} after",
                number_of(done.files as u64, "file"),
                number_of(rows, "row"),
                bytes(done.bytes_before as f64),
                bytes(done.bytes_after as f64),
            )?,
            None if done.files > 0 => {
                writeln!(
                    out,
                    "{name}: {} removed that an interrupted compaction had merged",
                    number_of(done.files as u64, "file")
                )?;
            }
            None => {}
        }
    }
    if compaction.days.iter().all(|(_, _, done)| done.files == 0) {
        writeln!(out, "nothing to compact")?;
    }
    for (path, reason) in compaction.left() {
        tracing::error!("{}: left as it is: {reason}", path.display());
    }
    Ok(compaction.left().next().is_none())
}

fn compact_folder(folder: &Path, before: Option<Date>) -> anyhow::Result<Compaction> {
    if !folder.is_dir() {
        bail!("{}: no such folder; give the folder that `capture --out` wrote to", folder.display());
    }
    remote::refuse_staging(folder, "compact the log itself")?;
    let _lock = lock(folder)?;
    compact(&RealDisk, folder, before)
}

/// Compacts every table's dates before a date, or all.
///
/// # Errors
/// The file system failed; no row is lost or there twice.
pub fn compact(disk: &dyn Disk, folder: &Path, before: Option<Date>) -> anyhow::Result<Compaction> {
    clear_workshop(disk, folder)?;
    let mut compaction = Compaction::default();
    for &table in Table::ALL {
        let home = folder.join(table.name());
        for date in list(disk.list_folders(&home), &home)?.iter().filter_map(|name| date_of_folder(name)) {
            if before.is_some_and(|before| date >= before) {
                continue;
            }
            let done = Day { disk, folder, table, date }.compact()?;
            if done != Done::default() {
                compaction.days.push((table, date, done));
            }
        }
    }
    Ok(compaction)
}

/// Removes what an interrupted compaction had not finished.
fn clear_workshop(disk: &dyn Disk, folder: &Path) -> anyhow::Result<()> {
    let workshop = create_folder_durably(disk, folder, COMPACT_FOLDER)
        .with_context(|| format!("cannot make a folder in {}", folder.display()))?;
    for name in list(disk.list(&workshop), &workshop)?.iter().filter(|name| name.ends_with(TEMPORARY_SUFFIX))
    {
        let path = workshop.join(name);
        disk.remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// A listing; a folder that is not there is empty.
fn list(listed: io::Result<Vec<String>>, folder: &Path) -> anyhow::Result<Vec<String>> {
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.with_context(|| format!("cannot list {}", folder.display())),
    }
}

/// Keeps a second compaction out for as long as the file is open.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(COMPACT_FOLDER).join("lock");
    let describe = || format!("cannot lock {}", path.display());
    std::fs::create_dir_all(folder.join(COMPACT_FOLDER)).with_context(describe)?;
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(describe)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).with_context(describe)?;
            bail!(
                "{} is being compacted by the process with id {}; wait for it",
                folder.display(),
                pid.trim()
            );
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(error).with_context(describe),
    }
    file.set_len(0).with_context(describe)?;
    file.rewind().with_context(describe)?;
    writeln!(file, "{}", std::process::id()).with_context(describe)?;
    Ok(file)
}

#[expect(
    clippy::disallowed_methods,
    reason = "which days are over is a question to the machine's clock alone"
)]
fn today() -> Date {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Date::of(Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)))
}
