//! Whether a folder is a log, or only holds what a capture has not yet uploaded to one.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

/// Names the log that a folder's segments go to.
const MARK: &str = "state/uploads-to";
/// What is read of it.
const BYTES_MAX: u64 = 4096;

/// Marks a folder as one whose segments go to this place.
///
/// # Errors
/// As of the file system.
pub fn mark(folder: &Path, url: &str) -> io::Result<()> {
    let path = folder.join(MARK);
    if uploads_to(folder).is_some_and(|marked| marked == url) {
        return Ok(());
    }
    if let Some(home) = path.parent() {
        fs::create_dir_all(home)?;
    }
    writeln!(File::create(&path)?, "{url}")
}

/// The place that a folder's segments go to; `None` for a log of its own.
pub fn uploads_to(folder: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(folder.join(MARK)).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_where_its_segments_go() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(uploads_to(folder.path()), None);
        for url in ["s3://bucket/prefix", "s3://bucket/prefix", "gs://other"] {
            mark(folder.path(), url).unwrap();
            assert_eq!(uploads_to(folder.path()).as_deref(), Some(url));
        }
    }
}
