//! One table's segments of one date become one file.
//!
//! Inputs → merged into a temporary file, synced, read back → renamed into the folder, which is synced → inputs removed.
//! The file names what it stands for (`REPLACES_KEY`): between the rename and the removal, whoever heeds that sees
//! each row once, and a compaction interrupted there is finished by the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use schema::{
    disk::{Appender, Disk, create_folder_durably},
    layout::{
        COMPACT_FOLDER, CompactedPath, Date, SegmentPath, WAL_FOLDER, WalPath, date_folder,
        is_compacted_name, is_segment_name,
    },
    segment::{
        COMPACTED_ROW_GROUP_ROWS, MergeError, Metadata, Origin, ROW_GROUP_ROWS,
        checksum::{self, Checked},
        merge, metadata,
    },
    table::Table,
};

use super::list;

/// Files merged at once; more are merged in several rounds, so that memory stays bounded.
const FAN_IN: usize = 64;

/// A table's segments of a date.
pub struct Day<'a> {
    /// The file system.
    pub disk: &'a dyn Disk,
    /// The log's folder.
    pub folder: &'a Path,
    /// The table.
    pub table: Table,
    /// The date.
    pub date: Date,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Files that were merged, or that an interrupted compaction had left behind.
    pub files: usize,
    /// Rows of the merged file; `None` if nothing had to be merged.
    pub rows: Option<u64>,
    /// Bytes of the inputs.
    pub bytes_before: u64,
    /// Bytes of the merged file.
    pub bytes_after: u64,
    /// Files that had to be left as they are, and why.
    pub left: Vec<(PathBuf, String)>,
}

/// A file that may be merged.
struct Input {
    name: String,
    metadata: Metadata,
}

impl Day<'_> {
    /// Merges what can be merged.
    ///
    /// # Errors
    /// The file system failed; every row is where it was, or in the merged file.
    pub fn compact(&self) -> anyhow::Result<Done> {
        let mut done = Done::default();
        let mut inputs = self.inputs(&mut done)?;
        while inputs.len() > 1 {
            match self.merge(&inputs) {
                Ok((rows, before, after)) => {
                    done.files += inputs.len();
                    (done.rows, done.bytes_before, done.bytes_after) = (Some(rows), before, after);
                    return Ok(done);
                }
                Err(Failure::Input { name, reason }) => {
                    inputs.retain(|input| input.name != name);
                    done.left.push((self.path(&name), reason));
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        Ok(done)
    }

    fn home(&self) -> PathBuf {
        self.folder.join(date_folder(self.table, self.date))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home().join(name)
    }

    /// What can be merged, in the order in which a reader takes it; what an earlier compaction stands for is removed.
    fn inputs(&self, done: &mut Done) -> anyhow::Result<Vec<Input>> {
        let names =
            self.disk.list(&self.home()).with_context(|| format!("cannot list {}", self.home().display()))?;
        let names: BTreeSet<String> = names.into_iter().filter(|name| is_segment_name(name)).collect();
        // Listed after the segments: a write-ahead file that is gone by then has made them all.
        let open_wals = self.open_wals()?;
        let mut readable = BTreeMap::new();
        for name in &names {
            match self.read(name) {
                Ok(metadata) => {
                    readable.insert(name.clone(), metadata);
                }
                Err(reason) => done.left.push((self.path(name), reason)),
            }
        }
        if done
            .left
            .iter()
            .any(|(path, _)| path.file_name().is_some_and(|name| is_compacted_name(&name.to_string_lossy())))
        {
            // What it stands for is not known for certain, so that its rows might be merged twice.
            return Ok(Vec::new());
        }
        let replaced: BTreeSet<_> =
            readable.values().flat_map(|metadata| metadata.replaces.iter().cloned()).collect();
        let left_over: Vec<_> = names.intersection(&replaced).cloned().collect();
        if !left_over.is_empty() {
            // What stands for them must be durable before they go.
            self.sync(&self.home())?;
            self.remove(&left_over)?;
            done.files += left_over.len();
        }
        let inputs = readable.into_iter().filter(|(name, _)| !replaced.contains(name));
        let mut inputs: Vec<_> = inputs
            .filter(|(name, _)| self.is_closed(name, &open_wals))
            .map(|(name, metadata)| Input { name, metadata })
            .collect();
        // Compacted files hold what is older than the others; their names come after.
        inputs.sort_by_key(|input| (input.metadata.replaces.is_empty(), input.name.clone()));
        Ok(inputs)
    }

    /// A file's footer, if every byte of the file is as it was written.
    fn read(&self, name: &str) -> Result<Metadata, String> {
        let read = || -> Result<(Checked, _), Box<dyn std::error::Error>> {
            let mut file = self.disk.open(&self.path(name))?;
            Ok((checksum::check(&mut file)?, metadata(self.table, &file)?))
        };
        match read() {
            Ok((Checked::Damaged, _)) => Err("its checksum is wrong".to_owned()),
            Ok((_, metadata)) => match metadata.unknown_columns.first() {
                Some(column) => {
                    Err(format!("column {column} is of a later version, whose program must compact it"))
                }
                None => Ok(metadata),
            },
            Err(error) => Err(error.to_string()),
        }
    }

    /// Write-ahead files that are there: their capture, or its next start, may make segments of them again.
    fn open_wals(&self) -> anyhow::Result<BTreeSet<WalPath>> {
        let wal = self.folder.join(WAL_FOLDER);
        Ok(list(self.disk.list(&wal), &wal)?
            .iter()
            .filter_map(|name| WalPath::from_file_name(name))
            .collect())
    }

    /// Whether the file is one of ours that no recovery can write again.
    fn is_closed(&self, name: &str, open_wals: &BTreeSet<WalPath>) -> bool {
        let path = format!("{}/{name}", date_folder(self.table, self.date));
        match path.parse::<SegmentPath>() {
            Ok(segment) => !open_wals.contains(&segment.wal),
            Err(_) => path.parse::<CompactedPath>().is_ok(),
        }
    }

    fn merge(&self, inputs: &[Input]) -> Result<(u64, u64, u64), Failure> {
        let target = CompactedPath::of(self.table, self.date, inputs.iter().map(|input| input.name.as_str()));
        let mut origin = Origin::default();
        for input in inputs {
            origin.runs.extend(input.metadata.runs.iter().cloned());
            origin.replaces.extend(input.metadata.replaces.iter().cloned());
            origin.replaces.push(input.name.clone());
        }
        origin.runs.sort();
        origin.runs.dedup();
        let workshop = create_folder_durably(self.disk, self.folder, COMPACT_FOLDER)
            .context("cannot make the folder for unfinished files")?;
        let temporary = workshop.join(target.temporary_name());

        let mut sources: Vec<_> =
            inputs.iter().map(|input| (self.path(&input.name), Some(input.name.clone()))).collect();
        let mut round = 0;
        while sources.len() > FAN_IN {
            let mut merged = Vec::new();
            for part in sources.chunks(FAN_IN) {
                let path = workshop.join(format!("{round}.{}", target.temporary_name()));
                round += 1;
                self.write(part, &Origin::default(), ROW_GROUP_ROWS, &path)?;
                merged.push((path, None));
            }
            self.forget_temporary(&sources)?;
            sources = merged;
        }
        let rows = self.write(&sources, &origin, COMPACTED_ROW_GROUP_ROWS, &temporary)?;
        self.forget_temporary(&sources)?;
        let sizes = self.check(&temporary, inputs, rows)?;
        self.replace(&temporary, &target, inputs)?;
        Ok((rows, sizes.0, sizes.1))
    }

    /// Merges files into one, which is durable then but for its name; gives the number of rows.
    fn write(
        &self,
        sources: &[(PathBuf, Option<String>)],
        origin: &Origin,
        group_rows: usize,
        to: &Path,
    ) -> Result<u64, Failure> {
        let readers = sources.iter().map(|(path, _)| self.disk.open(path)).collect::<io::Result<Vec<_>>>();
        let readers = readers.context("cannot open a segment")?;
        let describe = || format!("cannot write {}", to.display());
        let appender = Appender::new(self.disk.create(to).with_context(describe)?);
        let merged = merge(self.table, readers, origin, group_rows, appender);
        let (appender, rows) = match merged {
            Ok(merged) => merged,
            Err(MergeError::Input { index, source }) => {
                self.disk.remove(to).with_context(describe)?;
                let (path, name) = sources.get(index).cloned().unwrap_or_default();
                let reason = source.to_string();
                return Err(match name {
                    Some(name) => Failure::Input { name, reason },
                    None => Failure::Other(anyhow::anyhow!("{}: {reason}", path.display())),
                });
            }
            Err(MergeError::Output(error)) => {
                return Err(Failure::Other(anyhow::Error::new(error).context(describe())));
            }
        };
        appender.finish().with_context(describe)?;
        Ok(rows)
    }

    fn forget_temporary(&self, sources: &[(PathBuf, Option<String>)]) -> anyhow::Result<()> {
        for (path, _) in sources.iter().filter(|(_, name)| name.is_none()) {
            self.disk.remove(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Reads the merged file back before anything is removed for its sake; gives the bytes before and after.
    fn check(&self, merged: &Path, inputs: &[Input], rows: u64) -> anyhow::Result<(u64, u64)> {
        let mut file = self.disk.open(merged).with_context(|| format!("cannot open {}", merged.display()))?;
        let expected: u64 = inputs.iter().map(|input| input.metadata.rows).sum();
        ensure!(rows == expected, "{rows} rows were merged of {expected}; nothing was changed");
        let checked =
            checksum::check(&mut file).with_context(|| format!("cannot read {}", merged.display()))?;
        ensure!(
            checked == Checked::Whole,
            "{} was not stored as it was written; nothing was changed",
            merged.display()
        );
        let mut before = 0;
        for input in inputs {
            before += self.disk.open(&self.path(&input.name))?.length();
        }
        Ok((before, file.length()))
    }

    fn replace(&self, temporary: &Path, target: &CompactedPath, inputs: &[Input]) -> anyhow::Result<()> {
        let path = self.folder.join(target.to_string());
        ensure!(!self.disk.exists(&path)?, "{} is there already; nothing was changed", path.display());
        // A write-ahead file whose removal a power loss undid would bring its segments back.
        let wal = self.folder.join(WAL_FOLDER);
        if self.disk.exists(&wal)? {
            self.sync(&wal)?;
        }
        self.disk.rename(temporary, &path).with_context(|| format!("cannot rename to {}", path.display()))?;
        self.sync(&self.home())?;
        let names: Vec<_> = inputs.iter().map(|input| input.name.clone()).collect();
        self.remove(&names)
    }

    fn remove(&self, names: &[String]) -> anyhow::Result<()> {
        for name in names {
            let path = self.path(name);
            self.disk.remove(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        self.sync(&self.home())
    }

    fn sync(&self, folder: &Path) -> anyhow::Result<()> {
        self.disk.sync_folder(folder).with_context(|| format!("cannot make {} durable", folder.display()))
    }
}

/// Why files could not be merged.
enum Failure {
    /// One of them cannot be; the others may.
    Input {
        name: String,
        reason: String,
    },
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}
