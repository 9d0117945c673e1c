//! `--out s3://…`: closed segments of the staging folder → object store → removed here once the store has told that it
//! holds them.
//!
//! The folder is the queue: what lies in it is not uploaded, so a restart goes on where a killed run stopped, and an
//! object that is there already, byte for byte, was uploaded by it. A store that fails is tried again, less and less
//! often, and so is a single file whose name another object has, while the others go on; so does the capture.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schema::{layout::SegmentPath, table::Table};
use store::{Store, StoreError};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure the store is tried again after this long, then twice as long, and so on.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// … up to this long.
const RETRY_LAST: Duration = Duration::from_mins(1);
/// A file whose name another object has is compared with it again after this long, then twice as long, and so on.
const COMPARE_FIRST: Duration = Duration::from_mins(1);
/// … up to this long.
const COMPARE_LAST: Duration = Duration::from_hours(1);
/// At the end of a run, this long for what is left.
const LEAVE_WITHIN: Duration = Duration::from_mins(2);
/// … or this long where the store fails.
const GIVE_UP_WITHIN: Duration = Duration::from_secs(10);

/// How uploading goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadStats {
    /// Segments that are not uploaded yet.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Segments uploaded and removed here.
    pub uploaded: u64,
    /// Why nothing is uploaded at the moment, in one line.
    pub failure: Option<String>,
}

/// Segments that were left behind at the end of a run.
#[derive(Debug, thiserror::Error)]
#[error(
    "{waiting} segments ({bytes} bytes) are not uploaded: {cause}; they stay in {}, and the next capture with the same \
     --out uploads them first",
    folder.display()
)]
pub struct LeftBehind {
    waiting: u64,
    bytes: u64,
    cause: String,
    folder: PathBuf,
}

/// How uploading goes, for whoever shows it; clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct UploadProgress(Arc<Mutex<UploadStats>>);

impl UploadProgress {
    /// The latest figures.
    pub fn stats(&self) -> UploadStats {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, UploadStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Uploads in the background.
pub struct Uploads {
    folder: PathBuf,
    progress: UploadProgress,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

impl Uploads {
    /// Begins with what lies in the folder. `mark` is put into the store first of all, under its name, so that wrong
    /// credentials show at the start and not at the first rotation.
    pub fn start(store: Store, folder: PathBuf, mark: (String, Vec<u8>), clock: Clock) -> Self {
        let progress = UploadProgress::default();
        let ending = CancellationToken::new();
        let uploader = Uploader {
            store,
            folder: folder.clone(),
            progress: progress.clone(),
            ending: ending.clone(),
            mark: Some(mark),
            clock,
            refused: HashMap::new(),
        };
        Self { folder, progress, ending, task: tokio::spawn(uploader.run()) }
    }

    /// How it goes.
    pub fn progress(&self) -> UploadProgress {
        self.progress.clone()
    }

    /// Uploads what is left, as far as the store takes it.
    ///
    /// # Errors
    /// Something is left behind.
    pub async fn finish(self) -> Result<(), LeftBehind> {
        self.ending.cancel();
        let ended = timeout(LEAVE_WITHIN, self.task).await;
        let left = segments(&self.folder).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        let failure = self.progress.lock().failure.clone();
        let slow = if ended.is_err() { "the store is too slow" } else { "the upload ended early" };
        Err(LeftBehind {
            waiting: left.len() as u64,
            bytes: left.iter().map(|segment| segment.bytes).sum(),
            cause: failure.unwrap_or_else(|| slow.to_owned()),
            folder: self.folder,
        })
    }
}

struct Uploader {
    store: Store,
    folder: PathBuf,
    progress: UploadProgress,
    ending: CancellationToken,
    mark: Option<(String, Vec<u8>)>,
    clock: Clock,
    /// Files that could not be uploaded for a reason of their own, by name.
    refused: HashMap<String, Refused>,
}

/// Why a file is not uploaded, and when that is looked at again.
struct Refused {
    error: StoreError,
    pause: Duration,
    until: Instant,
}

impl Refused {
    /// How long the first time, and at the most.
    fn pauses(error: &StoreError) -> (Duration, Duration) {
        match error {
            // The whole object is read to compare it.
            StoreError::Differs { .. } => (COMPARE_FIRST, COMPARE_LAST),
            _ => (RETRY_FIRST, RETRY_LAST),
        }
    }
}

impl Uploader {
    async fn run(mut self) {
        let mut pause = RETRY_FIRST;
        let mut tried = Duration::ZERO;
        loop {
            // What lies there after the end is everything there will be.
            let is_ending = self.ending.is_cancelled();
            let done = self.upload_all().await;
            self.tell(done.as_ref().err());
            match done {
                // Nothing becomes of another's object within the time that is left.
                Ok(()) | Err(StoreError::Differs { .. }) if is_ending => return,
                Err(_) if is_ending => {
                    if tried >= GIVE_UP_WITHIN {
                        return;
                    }
                    tokio::time::sleep(RETRY_FIRST).await;
                    tried += RETRY_FIRST;
                }
                // The store takes what it is given; a file's own failure has its own pause.
                Ok(()) | Err(StoreError::Differs { .. } | StoreError::File { .. }) => {
                    pause = RETRY_FIRST;
                    self.wait(LOOK_EVERY).await;
                }
                Err(_) => {
                    self.wait(pause).await;
                    pause = (pause * 2).min(RETRY_LAST);
                }
            }
        }
    }

    async fn wait(&self, pause: Duration) {
        tokio::select! {
            () = self.ending.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Uploads every segment there is; the first failure of the store ends it, one file's own does not.
    async fn upload_all(&mut self) -> Result<(), StoreError> {
        if let Some((name, bytes)) = &self.mark {
            self.store.put_if_absent(name, bytes.clone()).await?;
            self.mark = None;
        }
        let folder = self.folder.clone();
        let listed = tokio::task::spawn_blocking(move || segments(&folder)).await;
        let waiting = match listed {
            Ok(Ok(waiting)) => waiting,
            Ok(Err(error)) => return Err(self.unreadable(&error.to_string())),
            Err(error) => return Err(self.unreadable(&error.to_string())),
        };
        let bytes = waiting.iter().map(|segment| segment.bytes).sum();
        {
            let mut stats = self.progress.lock();
            (stats.waiting, stats.waiting_bytes) = (waiting.len() as u64, bytes);
        }
        self.refused.retain(|name, _| waiting.iter().any(|segment| segment.name == *name));
        let mut own_failure = None;
        for segment in waiting {
            if let Some(error) = self.still_refused(&segment.name) {
                own_failure = Some(error);
                continue;
            }
            match self.upload(&segment).await {
                Ok(()) => {
                    self.refused.remove(&segment.name);
                    let mut stats = self.progress.lock();
                    stats.waiting = stats.waiting.saturating_sub(1);
                    stats.waiting_bytes = stats.waiting_bytes.saturating_sub(segment.bytes);
                    stats.uploaded += 1;
                }
                Err(error @ (StoreError::Differs { .. } | StoreError::File { .. })) => {
                    self.refuse(segment.name, error.clone());
                    own_failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        own_failure.map_or(Ok(()), Err)
    }

    /// Why a file needs not be tried yet; at the end of the run, one that could not be read is.
    fn still_refused(&self, name: &str) -> Option<StoreError> {
        let Refused { error, until, .. } = self.refused.get(name)?;
        let is_worth_it = self.ending.is_cancelled() && matches!(error, StoreError::File { .. });
        (self.clock.instant() < *until && !is_worth_it).then(|| error.clone())
    }

    /// Remembers why a file is not uploaded; each time for twice as long.
    fn refuse(&mut self, name: String, error: StoreError) {
        let (first, last) = Refused::pauses(&error);
        let pause = self.refused.get(&name).map_or(first, |refused| (refused.pause * 2).clamp(first, last));
        let until = self.clock.instant() + pause;
        self.refused.insert(name, Refused { error, pause, until });
    }

    async fn upload(&self, segment: &Waiting) -> Result<(), StoreError> {
        let file = self.folder.join(&segment.name);
        let how = self.store.upload(&segment.name, &file).await?;
        tracing::debug!(segment = segment.name, ?how, "uploaded");
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unreadable(&error.to_string())),
            _ => Ok(()),
        }
    }

    fn unreadable(&self, reason: &str) -> StoreError {
        StoreError::File {
            action: "empty the staging folder",
            path: self.folder.display().to_string(),
            reason: reason.to_owned(),
        }
    }

    /// Says once what fails, and once that it works again.
    fn tell(&self, failure: Option<&StoreError>) {
        let text = failure.map(ToString::to_string);
        let mut stats = self.progress.lock();
        if stats.failure == text {
            return;
        }
        if let Some(cause) = &text {
            tracing::error!(
                waiting = stats.waiting, staging = %self.folder.display(),
                "segments cannot be uploaded, the capture goes on: {cause}"
            );
        } else {
            tracing::info!("segments are uploaded again");
        }
        stats.failure = text;
    }
}

/// A segment that is not uploaded yet.
#[derive(Debug)]
struct Waiting {
    /// Below the folder.
    name: String,
    bytes: u64,
}

/// The closed segments in a folder, oldest first.
fn segments(folder: &Path) -> io::Result<Vec<Waiting>> {
    let mut found = Vec::new();
    for table in Table::ALL {
        for date in entries(&folder.join(table.name()))? {
            for file in entries(&date.path())? {
                let path = file.path();
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                if let Ok(path) = name.parse::<SegmentPath>() {
                    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
                    found.push(((path.wal, table), Waiting { name, bytes }));
                }
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found.into_iter().map(|(_, waiting)| waiting).collect())
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        read => read?.collect(),
    }
}
