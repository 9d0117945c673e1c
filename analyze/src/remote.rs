//! Data that lies in an object store: every segment is brought into a temporary folder, which goes with the program.
//!
//! The folder is made where `TMPDIR` says, and holds the log once while the program runs.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use schema::{layout, staging, table::Table};
use store::{Store, Stored};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::scratch;

/// Objects brought at once.
const AT_ONCE: usize = 8;

/// Data folders, each given by the user or made for a URL of theirs.
#[derive(Debug)]
pub struct Data {
    /// Where the segments are.
    pub folders: Vec<PathBuf>,
    /// The folders made, with the URL of each.
    fetched: Vec<(TempDir, String)>,
}

impl Data {
    /// Brings what lies elsewhere.
    ///
    /// # Errors
    /// One line for the user: a URL is none, or the store refuses or cannot be reached.
    pub fn bring(data: &[PathBuf]) -> anyhow::Result<Self> {
        let mut brought = Self { folders: Vec::new(), fetched: Vec::new() };
        for place in data {
            let Some(url) = url(place) else {
                brought.folders.push(place.clone());
                continue;
            };
            let folder = scratch::folder().context("cannot make a temporary folder")?;
            fetch(url, folder.path())?;
            brought.folders.push(folder.path().to_path_buf());
            brought.fetched.push((folder, url.to_owned()));
        }
        Ok(brought)
    }

    /// A text with the user's URLs in place of the folders made for them.
    pub fn name(&self, text: &str) -> String {
        self.fetched.iter().fold(text.to_owned(), |text, (folder, url)| {
            text.replace(&folder.path().display().to_string(), url.trim_end_matches('/'))
        })
    }
}

/// An error for a folder whose segments a capture uploads and removes: what is in it is a part of a log, and changes.
///
/// # Errors
/// It is one; `instead` says what to do.
pub fn refuse_staging(folder: &Path, instead: &str) -> anyhow::Result<()> {
    match staging::uploads_to(folder) {
        Some(url) => bail!(
            "{} only holds what a capture has not uploaded to {url} yet; {instead}: {url}",
            folder.display()
        ),
        None => Ok(()),
    }
}

/// A log in an object store, asked from where nothing is asynchronous.
pub struct Remote {
    store: Store,
    runtime: Runtime,
}

impl Remote {
    /// The log at a URL; nothing is asked of the network yet.
    ///
    /// # Errors
    /// One line for the user: the URL is none of a store.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        let store = Store::from_env(url)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        Ok(Self { store, runtime: runtime.context("cannot start the runtime for an object store")? })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        self.store.to_string()
    }

    /// The tables that it has segments of.
    ///
    /// # Errors
    /// As for [`segments`](Self::segments).
    pub fn tables(&self) -> anyhow::Result<BTreeSet<Table>> {
        let table = |object: &Stored| object.name.split('/').next().and_then(|table| table.parse().ok());
        Ok(self.segments()?.iter().filter_map(table).collect())
    }

    /// Its segments, in order of their names.
    ///
    /// # Errors
    /// One line for the user: the store refuses or cannot be reached, or has none there.
    pub fn segments(&self) -> anyhow::Result<Vec<Stored>> {
        let listed = self.runtime.block_on(self.store.list())?;
        let segments: Vec<_> = listed.into_iter().filter(|object| is_segment(&object.name)).collect();
        if segments.is_empty() {
            bail!("{}: no segments; give what `capture --out` was given", self.store);
        }
        Ok(segments)
    }

    /// Brings objects into a folder, under their names.
    ///
    /// # Errors
    /// The store refuses or cannot be reached, or the folder cannot be written.
    pub fn bring(&self, objects: &[Stored], folder: &Path) -> anyhow::Result<()> {
        let brought = futures::stream::iter(objects)
            .map(|object| self.store.download(object, folder))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>();
        self.runtime.block_on(brought)?;
        Ok(())
    }

    /// Puts a file there and reads it back: after this the store holds it, byte for byte.
    ///
    /// # Errors
    /// The store refuses or cannot be reached, or has another object of that name.
    pub fn put(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            self.store.upload(name, file).await?;
            self.store.check(name, file).await
        })?;
        Ok(())
    }

    /// Removes objects that may be gone already.
    ///
    /// # Errors
    /// The store refuses or cannot be reached.
    pub fn remove(&self, names: &[String]) -> anyhow::Result<()> {
        let removed = futures::stream::iter(names)
            .map(|name| self.store.remove(name))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>();
        self.runtime.block_on(removed)?;
        Ok(())
    }
}

/// The URL that a place is, if it is one.
pub fn url(place: &Path) -> Option<&str> {
    place.to_str().filter(|text| store::is_url(text))
}

fn fetch(url: &str, folder: &Path) -> anyhow::Result<()> {
    let remote = Remote::open(url)?;
    let segments = remote.segments()?;
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    tracing::info!("fetching {} segments, {} MB, from {url}", segments.len(), bytes / 1_000_000);
    remote.bring(&segments, folder)
}

/// Whether an object is a table's segment: `<table>/date=…/….parquet`.
fn is_segment(name: &str) -> bool {
    let mut parts = name.split('/');
    let is_table = parts.next().is_some_and(|table| table.parse::<Table>().is_ok());
    is_table && parts.next_back().is_some_and(layout::is_segment_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_are_brought() {
        for name in ["contacts/date=2026-01-02/run-000001.parquet", "contacts/run-000001.parquet"] {
            assert!(is_segment(name), "{name}");
        }
        for name in
            ["captures/run.json", "contacts/date=2026-01-02/.x.parquet", "other/x.parquet", "contacts", ""]
        {
            assert!(!is_segment(name), "{name}");
        }
    }

    #[test]
    fn folders_stay_and_bad_urls_are_told() {
        let data = Data::bring(&[PathBuf::from("a"), PathBuf::from("b/c")]).unwrap();
        assert_eq!(data.folders, [PathBuf::from("a"), PathBuf::from("b/c")]);
        assert_eq!(data.name("a/x"), "a/x");
        let told = Data::bring(&[PathBuf::from("ftp://host/x")]).unwrap_err().to_string();
        assert!(told.contains("write s3://BUCKET/PREFIX"), "{told}");
    }
}
