//! The key of a log's pseudonyms: one file of mode 600, made at first use and shared by every run on the folder.
//!
//! Two lines of text: a remark, and 64 hex digits. Whoever removes the file makes the pseudonyms final.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;

use super::Key;

/// Where a log's key lies, below its folder, unless the user says otherwise.
pub const DEFAULT_PLACE: &str = "state/address-key";

const REMARK: &str =
    "# Key of this log's address pseudonyms. Destroy it (shred -u) and nobody can link them any more.";
/// What is read of a file.
const BYTES_MAX: u64 = 4096;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or made.
    #[error("cannot {action} the address key {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("the address key {} can be read by others; chmod 600 it, if nobody has", .0.display())]
    Open(PathBuf),
    /// It holds no key.
    #[error("{} holds no address key: a line of 64 hex digits", .0.display())]
    NoKey(PathBuf),
}

/// Reads the key, or makes one where there is none; tells whether it was made.
///
/// # Errors
/// See [`KeyError`]. A file that is there is never replaced.
pub fn load_or_make(path: &Path) -> Result<(Key, bool), KeyError> {
    match load(path) {
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded.map(|key| (key, false)),
    }
    let failed = |source| KeyError::Io { action: "make", path: path.to_owned(), source };
    let made = make(path).map_err(failed)?;
    // Another process may have been quicker: whichever file is there is the key.
    Ok((load(path)?, made))
}

/// Reads the key.
///
/// # Errors
/// See [`KeyError`].
pub fn load(path: &Path) -> Result<Key, KeyError> {
    let failed = |source| KeyError::Io { action: "read", path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Open(path.to_owned()));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let bytes = line.and_then(|line| HEXLOWER.decode(line.as_bytes()).ok()?.try_into().ok());
    bytes.map(Key).ok_or_else(|| KeyError::NoKey(path.to_owned()))
}

/// Makes the file whole or not at all; tells whether it did, or another process was quicker.
fn make(path: &Path) -> io::Result<bool> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{REMARK}\n{}", HEXLOWER.encode(&bytes))?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    File::open(folder)?.sync_all()?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT_PLACE);
        let (key, made) = load_or_make(&path).unwrap();
        assert!(made);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (again, made) = load_or_make(&path).unwrap();
        assert!(!made && again == key);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");

        fs::remove_file(&path).unwrap();
        assert!(load_or_make(&path).unwrap().0 != key, "a destroyed key does not come back");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        load_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_make(&path), Err(KeyError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "# no key\nabc\n").unwrap();
        assert!(matches!(load_or_make(&path), Err(KeyError::NoKey(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "# no key\nabc\n");
    }
}
