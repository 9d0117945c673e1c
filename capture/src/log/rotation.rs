//! Closed write-ahead files become segments: one thread, in order, so that appending never waits for it.
//!
//! Read, a frame at a time → group by table and date (`parts`) → per segment: temporary name, sync, rename, sync the folder → remove the
//! file.
//! A segment's name follows from the file's, and one that exists is whole: doing it again adds nothing.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rustix::process::{Pid, setpriority_process};
use schema::{
    SCHEMA_VERSION,
    disk::{Disk, create_folder_durably},
    frame::{HeaderError, Scan},
    layout::{DAMAGED_FOLDER, WAL_FOLDER, WalPath},
};

use super::{LogError, Pace, failed_to, parts::Parts, stats::Stats, wal::wal_path};

/// No file's header is longer than this, bytes, short of hundreds of failed syncs in a row.
const LONGEST_HEADER: u64 = 4096;
/// How often making a segment is tried at the close before it is left to the next start.
const CLOSE_ATTEMPTS: u32 = 3;
/// Of 19: nearly all of a core goes to whoever else wants it.
const ROTATION_NICENESS: i32 = 15;

/// A write-ahead file to which nothing is added any more.
#[derive(Clone, Debug)]
pub(super) struct ClosedWal {
    pub(super) path: WalPath,
    /// Where it ends, if not at its last byte.
    pub(super) cut: Option<u64>,
}

/// What became of a write-ahead file.
#[derive(Clone, Debug, Default)]
pub(super) struct Rotated {
    pub(super) rows: u64,
    pub(super) torn_bytes: u64,
    pub(super) damaged_bytes: u64,
}

/// The thread that makes segments, and the files that wait for it.
pub(super) struct Rotation {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    stats: Arc<Stats>,
    pace: Pace,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<ClosedWal>,
    finishing: bool,
}

impl Rotation {
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        stats: Arc<Stats>,
        pace: Pace,
    ) -> Result<Self, LogError> {
        let error = failed_to("start the thread that makes segments in", &folder);
        let changed = Condvar::new();
        let shared = Arc::new(Shared { disk, folder, stats, pace, state: Mutex::default(), changed });
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("log-rotation".to_owned()).spawn(move || own.run());
        Ok(Self { shared, thread: thread.map_err(error)? })
    }

    pub(super) fn push(&self, wal: ClosedWal) {
        self.shared.lock().waiting.push_back(wal);
        self.shared.stats.lock().wals_waiting += 1;
        self.shared.changed.notify_one();
    }

    /// Waits until every file is done; after a failure the rest stays for the next start.
    pub(super) fn finish(self) {
        self.shared.lock().finishing = true;
        self.shared.changed.notify_one();
        if self.thread.join().is_err() {
            tracing::error!(
                "the thread that makes segments has ended early; the next start recovers the rows"
            );
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        yield_to_others();
        while let Some(wal) = self.next() {
            let (disk, folder) = (self.disk.as_ref(), self.folder.as_path());
            let made = self
                .until_it_works(|| make_segments(disk, folder, &wal, &self.stats, self.pace.rows_at_once));
            let done =
                made.and_then(|rotated| self.until_it_works(|| put_away(disk, folder, &wal.path, &rotated)));
            if done.is_none() {
                tracing::error!(
                    "write-ahead files stay in the log's folder; the next start makes segments of them"
                );
                return;
            }
            self.lock().waiting.pop_front();
            let mut stats = self.stats.lock();
            stats.wals_waiting = stats.wals_waiting.saturating_sub(1);
            drop(stats);
            self.stats.tell();
        }
    }

    /// Tries again after a failure; `None` if it keeps failing while the log is closing.
    fn until_it_works<T>(&self, attempt: impl Fn() -> Result<T, LogError>) -> Option<T> {
        let mut attempts_at_close = 0;
        loop {
            attempts_at_close += u32::from(self.lock().finishing);
            match attempt() {
                Ok(done) => {
                    self.stats.lock().rotation_failure = None;
                    return Some(done);
                }
                Err(error) => {
                    let known = self.stats.lock().rotation_failure.replace(error.to_string()).is_some();
                    if !known {
                        tracing::error!(%error, "segments cannot be written; the rows are safe, trying again");
                    }
                }
            }
            if attempts_at_close == CLOSE_ATTEMPTS {
                return None;
            }
            self.pause();
        }
    }

    /// The file whose turn it is; it stays in the queue until it is done, so that the order is kept.
    fn next(&self) -> Option<ClosedWal> {
        let idle = |state: &mut State| state.waiting.is_empty() && !state.finishing;
        let state = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        state.waiting.front().cloned()
    }

    /// Waits before the next attempt; not once the log is closing.
    fn pause(&self) {
        let waited =
            self.changed.wait_timeout_while(self.lock(), self.pace.retry_rotation, |state| !state.finishing);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Lets every other thread go first: rows that wait to be durable come before those that wait to be sorted.
///
/// Threads have priorities of their own on Linux alone; elsewhere nothing happens.
fn yield_to_others() {
    let task = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let task = task.file_name().and_then(|name| name.to_str()?.parse().ok()).and_then(Pid::from_raw);
    if let Some(error) = task.and_then(|task| setpriority_process(Some(task), ROTATION_NICENESS).err()) {
        tracing::debug!(%error, "the thread that makes segments keeps its priority");
    }
}

/// Makes the segments of one write-ahead file, of which so many rows are decoded at once.
pub(super) fn make_segments(
    disk: &dyn Disk,
    folder: &Path,
    wal: &ClosedWal,
    stats: &Stats,
    rows_at_once: usize,
) -> Result<Rotated, LogError> {
    let path = wal_path(folder, &wal.path);
    let file = match disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::error!(file = %path.display(), "a write-ahead file has been removed; its rows are lost");
            return Ok(Rotated::default());
        }
        opened => opened.map_err(failed_to("open", &path))?,
    };
    let scan = Scan::new(file, wal.cut).map_err(failed_to("read", &path))?;
    let mut parts = Parts::new(disk, folder, &wal.path, rows_at_once);
    let failed = || failed_to("make segments of", &path);
    let mut rotated = read_events(scan, &path, &wal.path, &mut parts)?;
    rotated.rows = parts.rows();
    for bytes in parts.finish().map_err(failed())? {
        let mut stats = stats.lock();
        stats.segments += 1;
        stats.segment_bytes += bytes;
    }
    Ok(rotated)
}

/// Removes a write-ahead file of which segments have been made, or keeps it aside if it is damaged; tells where.
/// After a failure it may be done again.
pub(super) fn put_away(
    disk: &dyn Disk,
    folder: &Path,
    wal: &WalPath,
    rotated: &Rotated,
) -> Result<Option<PathBuf>, LogError> {
    let path = wal_path(folder, wal);
    let kept = (rotated.damaged_bytes > 0)
        .then(|| folder.join(WAL_FOLDER).join(DAMAGED_FOLDER).join(wal.file_name()));
    let moved = match &kept {
        Some(kept) => create_folder_durably(disk, folder, &format!("{WAL_FOLDER}/{DAMAGED_FOLDER}"))
            .and_then(|home| disk.rename(&path, kept).map(|()| home))
            .and_then(|home| disk.sync_folder(&home)),
        None => disk.remove(&path),
    };
    let synced = unless_gone(moved).and_then(|()| unless_gone(disk.sync_folder(&folder.join(WAL_FOLDER))));
    synced.map_err(failed_to("put away", &path))?;
    if let Some(kept) = &kept {
        tracing::error!(
            file = wal.file_name(), damaged_bytes = rotated.damaged_bytes, kept = %kept.display(),
            "a write-ahead file is damaged: what could be read is saved, the file is kept aside"
        );
    }
    Ok(kept)
}

/// What is not there any more needs not be put away.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Hands on every row that can be read, in the order of the log.
fn read_events(
    mut scan: Scan,
    path: &Path,
    wal: &WalPath,
    parts: &mut Parts<'_>,
) -> Result<Rotated, LogError> {
    let other = |reason| Err(LogError::OtherVersion { path: path.to_owned(), reason });
    let is_its_own = match scan.header() {
        Err(HeaderError::UnknownVersion(version)) => return other(format!("format {version}")),
        Ok(header) if header.schema_version != SCHEMA_VERSION => {
            return other(format!("schema {}", header.schema_version));
        }
        Ok(header) => header.run == wal.run && header.seq == wal.seq,
        Err(_) => false,
    };
    let mut rotated = Rotated::default();
    while let Some(frame) = scan.next_frame().map_err(failed_to("read", path))? {
        match frame.events() {
            Ok(events) => {
                for event in events {
                    parts.push(event).map_err(failed_to("make segments of", path))?;
                }
            }
            Err(error) => {
                tracing::error!(file = %path.display(), offset = frame.offset, %error, "rows cannot be read");
                rotated.damaged_bytes += frame.end() - frame.offset;
            }
        }
    }
    let bytes = |range: std::ops::Range<u64>| range.end - range.start;
    rotated.torn_bytes = scan.torn().map(bytes).sum();
    rotated.damaged_bytes += scan.damage().map(bytes).sum::<u64>();
    // A header that is lost is damage, unless the power was lost before it was durable, and so before there was any row.
    let had_none = scan.header().is_err() && scan.frames() == 0 && scan.length() <= LONGEST_HEADER;
    if !is_its_own && !had_none {
        rotated.damaged_bytes = rotated.damaged_bytes.max(1);
    }
    Ok(rotated)
}
