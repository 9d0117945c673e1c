//! One write-ahead file: frames at its end, and how much of it is durable.
//!
//! After a failed write the file is overwritten from the last whole frame on; after a failed sync it must not be used
//! again, because the system may have forgotten the bytes and say so only once.

use std::{
    io,
    path::{Path, PathBuf},
};

use schema::{
    RunId, SCHEMA_VERSION,
    disk::{Disk, DiskFile, create_folder_durably},
    frame::{Cut, Header, PackedFrame},
    layout::{WAL_FOLDER, WalPath},
};
use tokio::time::Instant;

/// How often removing an empty file is tried.
const DISCARD_ATTEMPTS: u32 = 3;

/// A write-ahead file being written.
pub(super) struct Wal {
    pub(super) path: WalPath,
    pub(super) opened: Instant,
    /// The path in the file system.
    place: PathBuf,
    file: Box<dyn DiskFile>,
    /// Where the last whole frame ends.
    length: u64,
    /// Up to where it is durable.
    durable: u64,
    /// Where the file header ends.
    header: u64,
}

impl Wal {
    /// Makes the file and makes it durable, with its name and its header; after an error it is gone, if it can be.
    pub(super) fn create(
        disk: &dyn Disk,
        folder: &Path,
        (run, seq): (&RunId, u32),
        cuts: &[Cut],
        opened: Instant,
    ) -> io::Result<Self> {
        let path = WalPath { run: run.clone(), seq };
        let created = Self::make(disk, folder, path.clone(), cuts, opened);
        if created.is_err()
            && let Err(error) = disk.remove(&wal_path(folder, &path))
        {
            tracing::debug!(file = path.file_name(), %error, "an empty write-ahead file stays");
        }
        created
    }

    fn make(
        disk: &dyn Disk,
        folder: &Path,
        path: WalPath,
        cuts: &[Cut],
        opened: Instant,
    ) -> io::Result<Self> {
        let WalPath { run, seq } = path.clone();
        let header = Header { schema_version: SCHEMA_VERSION, run, seq, cuts: cuts.to_vec() };
        let header = header.encode().map_err(io::Error::other)?;
        create_folder_durably(disk, folder, WAL_FOLDER)?;
        let place = wal_path(folder, &path);
        let mut file = disk.create(&place)?;
        file.write_at(0, &header)?;
        file.sync()?;
        disk.sync_folder(&folder.join(WAL_FOLDER))?;
        let length = header.len() as u64;
        Ok(Self { path, opened, place, file, length, durable: length, header: length })
    }

    /// Removes it, if it can be; the next start would.
    pub(super) fn discard(self, disk: &dyn Disk) {
        if !(0..DISCARD_ATTEMPTS).any(|_| disk.remove(&self.place).is_ok()) {
            tracing::debug!(file = self.path.file_name(), "an empty write-ahead file stays");
        }
    }

    /// Where the last whole frame ends.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it has a frame.
    pub(super) fn has_rows(&self) -> bool {
        self.length > self.header
    }

    /// Whether everything written is durable.
    pub(super) fn is_durable(&self) -> bool {
        self.durable == self.length
    }

    /// How the file must be read if it is given up now.
    pub(super) fn cut(&self) -> Cut {
        Cut { seq: self.path.seq, length: self.durable }
    }

    /// Appends a frame and tells its length; it is not durable yet. After an error nothing has been appended.
    pub(super) fn append(&mut self, frame: &mut PackedFrame) -> io::Result<u64> {
        let bytes = frame.seal(self.durable);
        self.file.write_at(self.length, bytes)?;
        self.length += bytes.len() as u64;
        Ok(bytes.len() as u64)
    }

    /// Makes everything written durable. After an error the file must be given up: see [`cut`](Self::cut).
    pub(super) fn sync(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.file.sync()?;
        // A file that someone has removed still takes bytes and syncs.
        if !disk.exists(&self.place)? {
            let what = format!("{} has been removed", self.place.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        }
        self.durable = self.length;
        Ok(())
    }

    /// Cuts off what a failed write or sync may have left behind the durable part; only tidiness depends on it.
    pub(super) fn cut_off(&mut self, length: u64) {
        if let Err(error) = self.file.set_len(length) {
            tracing::debug!(file = self.path.file_name(), %error, "the end of a write-ahead file stays");
        }
    }
}

/// Where a write-ahead file lies.
pub(super) fn wal_path(folder: &Path, path: &WalPath) -> PathBuf {
    folder.join(WAL_FOLDER).join(path.file_name())
}
