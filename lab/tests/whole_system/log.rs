//! A capture's log as it lies on disk.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use schema::{
    RunId,
    disk::Reader,
    frame::Scan,
    layout::{TEMPORARY_SUFFIX, WAL_FOLDER},
    segment,
    table::{Event, Row, Table},
};

/// A log's folder.
pub struct Log {
    folder: PathBuf,
}

impl Log {
    /// The log in this folder, which need not exist yet.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The write-ahead files that are left.
    pub fn wal_files(&self) -> Vec<PathBuf> {
        files_below(&self.folder.join(WAL_FOLDER), ".wal")
    }

    /// Whole rows in the write-ahead files.
    pub fn wal_rows(&self) -> usize {
        self.wals().map(|(_, events)| events.len()).sum()
    }

    /// The run of the one write-ahead file that has rows.
    pub fn wal_run(&self) -> RunId {
        let runs: Vec<_> =
            self.wals().filter(|(_, events)| !events.is_empty()).map(|(run, _)| run.unwrap()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// The runs and rows of the write-ahead files.
    pub fn wals(&self) -> impl Iterator<Item = (Option<RunId>, Vec<Event>)> {
        // One that has become segments meanwhile has no rows any more.
        let bytes = self.wal_files().into_iter().map(|path| fs::read(path).unwrap_or_default());
        bytes.map(|bytes| {
            let mut scan = Scan::new(Reader::new(bytes).unwrap(), None).unwrap();
            let mut events = Vec::new();
            while let Some(frame) = scan.next_frame().unwrap() {
                events.extend(frame.events().unwrap());
            }
            (scan.header().ok().map(|header| header.run.clone()), events)
        })
    }

    /// Files whose writing did not end.
    pub fn unfinished_files(&self) -> Vec<PathBuf> {
        files_below(&self.folder, TEMPORARY_SUFFIX)
    }

    /// The rows of a table, each with its run.
    pub fn rows(&self, table: Table) -> Vec<(RunId, Event)> {
        let segments = files_below(&self.folder.join(table.name()), ".parquet");
        segments.iter().flat_map(|path| segment::read(table, File::open(path).unwrap()).unwrap()).collect()
    }

    /// How many rows of a run there are in all tables.
    pub fn rows_of(&self, run: &RunId) -> usize {
        Table::ALL.iter().map(|table| self.rows(*table).iter().filter(|(of, _)| of == run).count()).sum()
    }

    /// Every contact: its run and its number there.
    pub fn contacts(&self) -> Vec<(RunId, u64)> {
        let number = |(run, event): (RunId, Event)| match event.row {
            Row::Contact(contact) => (run, contact.contact),
            row => panic!("{row:?}"),
        };
        self.rows(Table::Contacts).into_iter().map(number).collect()
    }
}

/// The files in a folder and those in it whose names end so.
pub fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    files.sort();
    files
}
