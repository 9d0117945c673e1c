//! What a log asks of a file system, so that tests can give it one that fails, forgets or tears.
//!
//! Durability as POSIX has it: a file's bytes after [`DiskFile::sync`], a name after [`Disk::sync_folder`].

mod reader;
#[cfg(any(test, feature = "simulated-disk"))]
pub mod simulated;

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

pub use self::reader::{Readable, Reader};

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Makes a file, empty, replacing one of that name.
    ///
    /// # Errors
    /// As of the file system; so for every method here.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A file, to be read in parts.
    ///
    /// # Errors
    /// As above.
    fn open(&self, path: &Path) -> io::Result<Reader>;

    /// The names of a folder's files, sorted.
    ///
    /// # Errors
    /// As above.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// The names of the folders in a folder, sorted.
    ///
    /// # Errors
    /// As above.
    fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Whether there is such a file.
    ///
    /// # Errors
    /// As above.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes a folder and those it lies in.
    ///
    /// # Errors
    /// As above.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Renames a file, replacing one of that name.
    ///
    /// # Errors
    /// As above.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As above.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As above.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// A file being written.
pub trait DiskFile: Send {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    ///
    /// # Errors
    /// As of the file system.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written durable. After an error any part of what was not durable before may be lost for good,
    /// even if a later sync succeeds.
    ///
    /// # Errors
    /// As of the file system.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// As of the file system.
    fn set_len(&mut self, length: u64) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Reader> {
        let file = File::open(path)?;
        Reader::new(file)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        names_of(folder, std::fs::FileType::is_file)
    }

    fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        names_of(folder, std::fs::FileType::is_dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl DiskFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }
}

fn names_of(folder: &Path, kind: impl Fn(&std::fs::FileType) -> bool) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if kind(&entry.file_type()?) {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}

/// Makes a folder inside `root` and makes its name and those above it durable.
///
/// # Errors
/// As of the file system.
pub fn create_folder_durably(disk: &dyn Disk, root: &Path, folder: &str) -> io::Result<PathBuf> {
    let path = root.join(folder);
    disk.create_folder(&path)?;
    for above in path.ancestors().skip(1).take_while(|above| above.starts_with(root)) {
        disk.sync_folder(above)?;
    }
    Ok(path)
}

/// Writes a file from its start to its end, in large pieces.
pub struct Appender {
    file: Box<dyn DiskFile>,
    at: u64,
    waiting: Vec<u8>,
}

impl Appender {
    /// Bytes that are written at once.
    const PIECE: usize = 1 << 20;

    /// Begins at the file's start.
    pub fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, at: 0, waiting: Vec::new() }
    }

    /// Makes everything durable and tells the file's length.
    ///
    /// # Errors
    /// As of the file system.
    pub fn finish(mut self) -> io::Result<u64> {
        io::Write::flush(&mut self)?;
        self.file.sync()?;
        Ok(self.at)
    }
}

impl io::Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= Self::PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(self.at, &self.waiting)?;
        self.at += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}
