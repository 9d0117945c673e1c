//! Data that lies in an object store: every segment is brought into a temporary folder, which goes with the program.
//!
//! The folder is made where `TMPDIR` says, and holds the log once while the program runs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use schema::{layout, table::Table};
use store::{Store, Stored};
use tempfile::TempDir;

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
            let Some(url) = place.to_str().filter(|text| store::is_url(text)) else {
                brought.folders.push(place.clone());
                continue;
            };
            let folder = TempDir::with_prefix("swarmtally-").context("cannot make a temporary folder")?;
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

fn fetch(url: &str, folder: &Path) -> anyhow::Result<()> {
    let store = Store::from_env(url)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime for downloads")?;
    runtime.block_on(async {
        let segments: Vec<Stored> =
            store.list().await?.into_iter().filter(|object| is_segment(&object.name)).collect();
        if segments.is_empty() {
            bail!("{url}: no segments; give what `capture --out` was given");
        }
        let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        tracing::info!("fetching {} segments, {} MB, from {url}", segments.len(), bytes / 1_000_000);
        let fetched = futures::stream::iter(&segments)
            .map(|segment| store.download(segment, folder))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>();
        fetched.await?;
        Ok(())
    })
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
