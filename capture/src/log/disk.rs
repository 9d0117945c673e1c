//! What the log asks of a file system, so that tests can give it one that fails, forgets or tears.
//!
//! Durability as POSIX has it: a file's bytes after [`DiskFile::sync`], a name after [`Disk::sync_folder`].

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Makes a file, empty, replacing one of that name.
    ///
    /// # Errors
    /// As of the file system; so for every method here.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// A whole file.
    ///
    /// # Errors
    /// As above.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names of a folder's files, sorted.
    ///
    /// # Errors
    /// As above.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

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

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
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

/// Makes a folder inside `root` and makes its name and those above it durable.
pub(super) fn create_folder_durably(disk: &dyn Disk, root: &Path, folder: &str) -> io::Result<PathBuf> {
    let path = root.join(folder);
    disk.create_folder(&path)?;
    for above in path.ancestors().skip(1).take_while(|above| above.starts_with(root)) {
        disk.sync_folder(above)?;
    }
    Ok(path)
}
