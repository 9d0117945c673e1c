//! The log: rows in, Parquet segments out, nothing lost in between.
//!
//! [`Log::append`] → queue → writer thread (`wal`) → write-ahead file → rotation thread (`rotation`) → segments. The next
//! file is made meanwhile (`spare`).
//! `recovery` does for a killed run's files what rotation had not done. All of it writes through [`schema::disk`].

#[cfg(debug_assertions)]
mod dying;
mod parts;
mod queue;
mod recovery;
mod rotation;
mod spare;
mod stats;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use schema::{
    RunId, Timestamp,
    conceal::Concealer,
    disk::Disk,
    table::{Event, Row},
};

use self::{queue::Queue, stats::Stats, writer::Writer};
pub use self::{
    recovery::Recovery,
    stats::{LogState, LogStats},
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
    /// Another capture writes to the folder.
    #[error("{} is in use by the capture with process id {pid}; stop it or give this one another --out", folder.display())]
    InUse {
        /// The log's folder.
        folder: PathBuf,
        /// The other process, as it wrote it down.
        pid: String,
    },
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
    /// A write-ahead file of another version.
    #[error("{} was left by another version ({reason}); start that version once on this folder, then this one", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Which version.
        reason: String,
    },
    /// The log ended with rows that the disk did not take.
    #[error("{rows} rows could not be written and are lost: {cause}")]
    Lost {
        /// How many.
        rows: u64,
        /// What failed, in words.
        cause: String,
    },
}

/// What is no option of the user, but too slow or too much for a test.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Rows wait at most this long for others before they are written; a killed process loses no more than this.
    gather: Duration,
    /// After a failed write the disk is tried again this often.
    retry_write: Duration,
    /// After a failed rotation the disk is tried again this often.
    retry_rotation: Duration,
    /// Rows that rotation and recovery decode at once, some 350 bytes each.
    rows_at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Duration::from_millis(50),
            retry_write: Duration::from_millis(500),
            retry_rotation: Duration::from_secs(2),
            rows_at_once: 250_000,
        }
    }
}

/// A handle to append rows; clones share one log. When the last one is dropped, the log closes in the background.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
    /// Hides the addresses of every row before it is put anywhere.
    concealer: Option<Arc<Mutex<Concealer>>>,
}

struct Shared {
    clock: Clock,
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    recovery: Recovery,
    writer: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
}

impl Log {
    /// Locks the folder, makes segments of what killed runs left in it, and begins this run's log.
    ///
    /// # Errors
    /// Another capture has the folder, or it cannot be written, or what was left there cannot be read.
    pub fn open(options: LogOptions, clock: Clock) -> Result<Self, LogError> {
        let lock = lock(&options.folder)?;
        #[cfg(debug_assertions)]
        let disk = dying::disk();
        #[cfg(not(debug_assertions))]
        let disk = Arc::new(schema::disk::RealDisk);
        Self::open_on(disk, options, clock, Pace::default(), Some(lock))
    }

    /// Like [`open`](Self::open), on another disk than the real one, for tests of what a disk can do.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    fn open_on(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        clock: Clock,
        pace: Pace,
        lock: Option<File>,
    ) -> Result<Self, LogError> {
        let stats = Arc::new(Stats::default());
        let error = failed_to("start the thread that writes to", &options.folder);
        let recovery = recovery::recover(disk.as_ref(), &options.folder, &stats, pace)?;
        let queue = Arc::new(Queue::new(clock));
        let writer = Writer::start(disk, options, clock, pace, queue.clone(), stats.clone())?;
        let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || {
            let result = writer.run();
            drop(lock);
            result
        });
        let thread = thread.map_err(error)?;
        let writer = Mutex::new(Some(thread));
        let shared = Arc::new(Shared { clock, queue, stats, recovery, writer });
        Ok(Self { shared, concealer: None })
    }

    /// This log with the addresses of what is appended from here on hidden, in every file and from the first byte.
    #[must_use]
    pub fn concealed(mut self, concealer: Option<Concealer>) -> Self {
        self.concealer = concealer.map(|concealer| Arc::new(Mutex::new(concealer)));
        self
    }

    /// What opening found of killed runs.
    pub fn recovery(&self) -> &Recovery {
        &self.shared.recovery
    }

    /// Appends a row of this moment; waits while the log cannot take it.
    pub async fn append(&self, row: impl Into<Row>) {
        self.append_at(self.shared.clock.now(), row).await;
    }

    /// Appends a row of the given time; waits while the log cannot take it.
    ///
    /// A row that comes after [`close`](Self::close) is not taken; it is counted and reported.
    pub async fn append_at(&self, time: Timestamp, row: impl Into<Row>) {
        let event = Event { time, row: row.into() };
        match &self.concealer {
            None => self.shared.queue.push(&event).await,
            Some(concealer) => {
                for event in concealed(concealer, event) {
                    self.shared.queue.push(&event).await;
                }
            }
        }
    }

    /// Appends a row of this moment, for one who must not hang on a disk that fails; tells whether there was room.
    #[must_use]
    pub fn append_now(&self, row: impl Into<Row>) -> bool {
        let event = Event { time: self.shared.clock.now(), row: row.into() };
        match &self.concealer {
            None => self.shared.queue.try_push(&event),
            Some(concealer) => {
                concealed(concealer, event).iter().all(|event| self.shared.queue.try_push(event))
            }
        }
    }

    /// Whether the disk takes no rows at the moment.
    pub fn is_paused(&self) -> bool {
        self.shared.stats.lock().state != LogState::Ok
    }

    /// The log's state.
    pub fn stats(&self) -> LogStats {
        let queued = self.shared.queue.state();
        self.shared.stats.snapshot(queued, self.shared.clock.instant())
    }

    /// Waits until the log is in a state that satisfies the condition, and gives it.
    ///
    /// The condition is asked when rows have become durable or segments finished, and when writing begins to fail, fails
    /// again, or works again.
    pub async fn wait_until(&self, condition: impl Fn(&LogStats) -> bool) -> LogStats {
        loop {
            let changed = self.shared.stats.changed();
            let stats = self.stats();
            if condition(&stats) {
                return stats;
            }
            changed.await;
        }
    }

    /// Makes every row durable, makes segments of them and lets the folder go.
    ///
    /// Where the segments cannot be written, the write-ahead files stay for the next start.
    ///
    /// # Errors
    /// Rows could not be made durable.
    pub async fn close(self) -> Result<(), LogError> {
        self.shared.queue.close();
        let thread = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(LogError::Lost {
                rows: self.stats().rows_not_durable,
                cause: "the thread that writes the log has ended".to_owned(),
            }),
        }
    }
}

/// The rows that may be written instead of one.
fn concealed(concealer: &Mutex<Concealer>, event: Event) -> Vec<Event> {
    let mut shown = Vec::with_capacity(2);
    concealer.lock().unwrap_or_else(PoisonError::into_inner).conceal(event, |event| shown.push(event));
    shown
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Locks the folder for this process and writes its id into the lock.
fn lock(folder: &Path) -> Result<File, LogError> {
    let wal = folder.join(schema::layout::WAL_FOLDER);
    std::fs::create_dir_all(&wal).map_err(failed_to("make", &wal))?;
    let path = wal.join("lock");
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = file.map_err(failed_to("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed_to("read", &path))?;
            return Err(LogError::InUse { folder: folder.to_owned(), pid: pid.trim().to_owned() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(failed_to("lock", &path)(source)),
    }
    file.set_len(0).map_err(failed_to("write", &path))?;
    file.rewind().map_err(failed_to("write", &path))?;
    writeln!(file, "{}", std::process::id()).map_err(failed_to("write", &path))?;
    Ok(file)
}

/// Says what was being done to what when a call of the disk fails.
fn failed_to(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LogError + use<> {
    let path = path.to_owned();
    move |source| LogError::Io { action, path, source }
}
