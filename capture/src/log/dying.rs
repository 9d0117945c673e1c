//! A disk whose process is killed at a named step, for tests of what the next start makes of that.
//!
//! `SWARMTALLY_DIE_AT=WHEN:STEP:COUNT`, e.g. `after:rename-segment:2`: `before` or `after` the second such step, or
//! `within` it, half done. Debug builds alone look at the variable; release builds contain nothing of this.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::process::{Signal, getpid, kill_process};
use schema::{
    disk::{Disk, DiskFile, Reader, RealDisk},
    layout::{TEMPORARY_SUFFIX, WAL_FOLDER},
};

/// Names the step at which the process is killed.
const VARIABLE: &str = "SWARMTALLY_DIE_AT";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    After,
    Before,
    Within,
}

struct Death {
    when: When,
    step: String,
    count: u64,
    seen: AtomicU64,
}

/// The machine's own file system, until the step comes.
struct DyingDisk(Arc<Death>);

struct DyingFile {
    file: Box<dyn DiskFile>,
    what: &'static str,
    death: Arc<Death>,
}

/// The disk to write to: the machine's own, and a dying one where the variable says so.
pub(super) fn disk() -> Arc<dyn Disk> {
    let Ok(text) = std::env::var(VARIABLE) else { return Arc::new(RealDisk) };
    let Some(death) = parse(&text) else {
        tracing::error!("{VARIABLE}={text} names no step");
        return Arc::new(RealDisk);
    };
    Arc::new(DyingDisk(Arc::new(death)))
}

fn parse(text: &str) -> Option<Death> {
    let mut parts = text.split(':');
    let when = match parts.next()? {
        "after" => When::After,
        "before" => When::Before,
        "within" => When::Within,
        _ => return None,
    };
    let (step, count) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
    Some(Death { when, step, count, seen: AtomicU64::new(0) })
}

impl Death {
    /// Runs a step; the process does not survive the one that was named.
    fn step<T>(&self, verb: &str, object: &str, run: impl FnOnce() -> T, half: impl FnOnce()) -> T {
        let is_it = self.step == format!("{verb}-{object}")
            && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.count;
        if is_it && self.when != When::After {
            if self.when == When::Within {
                half();
            }
            die();
        }
        let done = run();
        if is_it {
            die();
        }
        done
    }
}

/// What SIGKILL does no destructor, buffer or thread can soften.
fn die() {
    if kill_process(getpid(), Signal::KILL).is_err() {
        std::process::abort();
    }
    loop {
        std::thread::park();
    }
}

/// What a path names.
fn object(path: &Path) -> &'static str {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".wal") {
        "wal"
    } else if name.ends_with(TEMPORARY_SUFFIX) || name.ends_with(".parquet") {
        "segment"
    } else if name == WAL_FOLDER {
        "wal-folder"
    } else if name.starts_with("date=") {
        "date-folder"
    } else {
        "folder"
    }
}

impl Disk for DyingDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let what = object(path);
        let file = self.0.step("create", what, || RealDisk.create(path), || ())?;
        Ok(Box::new(DyingFile { file, what, death: self.0.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Reader> {
        self.0.step("open", object(path), || RealDisk.open(path), || ())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }

    fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list_folders(folder)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealDisk.exists(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.step("make", object(path), || RealDisk.create_folder(path), || ())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.step("rename", object(to), || RealDisk.rename(from, to), || ())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.step("remove", object(path), || RealDisk.remove(path), || ())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.0.step("sync", object(path), || RealDisk.sync_folder(path), || ())
    }
}

impl DiskFile for DyingFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let Self { file, what, death } = self;
        let file = std::cell::RefCell::new(file);
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        death.step(
            "write",
            what,
            || file.borrow_mut().write_at(offset, bytes),
            || drop(file.borrow_mut().write_at(offset, half)),
        )
    }

    fn sync(&mut self) -> io::Result<()> {
        let Self { file, what, death } = self;
        death.step("sync", what, || file.sync(), || ())
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let Self { file, what, death } = self;
        death.step("cut", what, || file.set_len(length), || ())
    }
}
