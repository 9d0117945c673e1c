//! The log: rows in, Parquet segments out, nothing lost in between.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use schema::{
    RunId, Timestamp,
    layout::{Date, SegmentPath, WalPath},
    table::{Event, Row},
};

use crate::clock::Clock;

/// Where and how a log is written.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The log's folder, made if it is missing.
    pub folder: PathBuf,
    /// The run whose rows these are.
    pub run: RunId,
    /// A write-ahead file becomes segments when it is this old.
    pub rotate_every: Duration,
    /// A write-ahead file becomes segments when it is this big, bytes.
    pub rotate_size: u64,
    /// Rows are made durable this often.
    pub sync_every: Duration,
}

/// Why a log could not be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// The state of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Rows appended.
    pub rows: u64,
    /// Rows appended and not yet durable.
    pub rows_not_durable: u64,
    /// Age of the oldest row that is not durable; `None` if all are.
    pub oldest_not_durable: Option<Duration>,
    /// Bytes written to write-ahead files.
    pub wal_bytes: u64,
    /// Bytes of finished segments.
    pub segment_bytes: u64,
    /// Segments finished.
    pub segments: u64,
    /// Whether rows reach the disk.
    pub state: LogState,
}

/// Whether rows reach the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogState {
    /// They do.
    #[default]
    Ok,
    /// They wait in memory, and appenders wait once it is full.
    Paused {
        /// What failed, in words.
        cause: String,
    },
}

/// A handle to append rows; clones share one log.
#[derive(Clone)]
pub struct Log {
    clock: Clock,
    options: Arc<LogOptions>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Log {
    /// Opens the folder for this run.
    ///
    /// # Errors
    /// The folder cannot be made, or another capture has it.
    pub fn open(options: LogOptions, clock: Clock) -> Result<Self, LogError> {
        let io = |source| LogError::Io { action: "make", path: options.folder.clone(), source };
        std::fs::create_dir_all(&options.folder).map_err(io)?;
        Ok(Self { clock, options: Arc::new(options), events: Arc::default() })
    }

    /// Appends a row of this moment; waits while the log cannot take it.
    pub async fn append(&self, row: impl Into<Row>) {
        self.append_at(self.clock.now(), row).await;
    }

    /// Appends a row of the given time; waits while the log cannot take it.
    #[expect(clippy::unused_async, reason = "the caller waits when the log is full")]
    pub async fn append_at(&self, time: Timestamp, row: impl Into<Row>) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(Event { time, row: row.into() });
    }

    /// The log's state.
    pub fn stats(&self) -> LogStats {
        let rows = self.events.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        LogStats { rows, rows_not_durable: rows, ..LogStats::default() }
    }

    /// Makes every row durable, closes the segments and lets the folder go.
    ///
    /// # Errors
    /// A segment could not be written.
    #[expect(clippy::unused_async, reason = "the caller waits for the disk")]
    pub async fn close(self) -> Result<(), LogError> {
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        let keys = events.iter().map(|event| (event.row.table(), Date::of(event.time)));
        for (table, date) in keys.collect::<std::collections::BTreeSet<_>>() {
            let own =
                events.iter().filter(|event| event.row.table() == table && Date::of(event.time) == date);
            let wal = WalPath { run: self.options.run.clone(), seq: 0 };
            let path = self.options.folder.join(SegmentPath { table, date, wal }.to_string());
            let io = |source| LogError::Io { action: "write", path: path.clone(), source };
            let bytes = schema::segment::write(table, &self.options.run, own, Vec::new());
            let bytes = bytes.map_err(|error| io(std::io::Error::other(error)))?;
            std::fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(io)?;
            std::fs::write(&path, bytes).map_err(io)?;
        }
        Ok(())
    }
}
