//! The rows of a write-ahead file on their way to segments, in bounded memory.
//!
//! Rows → groups of a table and date → while there are few, sorted and written at once; else sorted in parts, in
//! temporary files, that are merged at the end.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use schema::{
    disk::{Appender, Disk, create_folder_durably},
    layout::{Date, SegmentPath, WAL_FOLDER, WalPath},
    segment::{self, Origin, ROW_GROUP_ROWS},
    table::{Event, Table},
};

type Key = (Table, Date);

/// The rows of one write-ahead file.
pub(super) struct Parts<'a> {
    disk: &'a dyn Disk,
    folder: &'a Path,
    wal: &'a WalPath,
    /// A part is written when so many rows wait.
    rows_at_once: usize,
    waiting: BTreeMap<Key, Vec<Event>>,
    rows_waiting: usize,
    written: BTreeMap<Key, Vec<PathBuf>>,
    rows: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(disk: &'a dyn Disk, folder: &'a Path, wal: &'a WalPath, rows_at_once: usize) -> Self {
        let (waiting, written) = (BTreeMap::new(), BTreeMap::new());
        Self { disk, folder, wal, rows_at_once, waiting, rows_waiting: 0, written, rows: 0 }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the next row of the log.
    pub(super) fn push(&mut self, event: Event) -> io::Result<()> {
        self.waiting.entry((event.row.table(), Date::of(event.time))).or_default().push(event);
        self.rows += 1;
        self.rows_waiting += 1;
        if self.rows_waiting >= self.rows_at_once {
            self.rows_waiting = 0;
            for (key, events) in std::mem::take(&mut self.waiting) {
                self.write_part(key, &events)?;
            }
        }
        Ok(())
    }

    /// Writes every segment that is not there already; tells their sizes.
    pub(super) fn finish(mut self) -> io::Result<Vec<u64>> {
        let mut sizes = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        let keys: std::collections::BTreeSet<_> =
            waiting.keys().chain(self.written.keys()).copied().collect();
        let mut waiting = waiting;
        for key in keys {
            sizes.extend(self.segment(key, waiting.remove(&key).unwrap_or_default())?);
        }
        Ok(sizes)
    }

    fn path_of(&self, (table, date): Key) -> SegmentPath {
        SegmentPath { table, date, wal: self.wal.clone() }
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.folder.join(WAL_FOLDER).join(name)
    }

    fn write_part(&mut self, key: Key, events: &[Event]) -> io::Result<()> {
        let number = self.written.get(&key).map_or(0, Vec::len);
        let path = self.temporary(&format!("{number}.{}", self.path_of(key).temporary_name()));
        self.write_sorted(key, events, &path)?.flush()?;
        self.written.entry(key).or_default().push(path);
        Ok(())
    }

    fn write_sorted(&self, (table, _): Key, events: &[Event], to: &Path) -> io::Result<Appender> {
        let appender = Appender::new(self.disk.create(to)?);
        segment::write(table, &self.wal.run, events, appender).map_err(io::Error::other)
    }

    /// Writes one segment, unless it is there already; tells its size.
    fn segment(&mut self, key: Key, events: Vec<Event>) -> io::Result<Option<u64>> {
        let segment = self.path_of(key);
        let path = self.folder.join(segment.to_string());
        let is_there = self.disk.exists(&path)?;
        let home = create_folder_durably(self.disk, self.folder, &segment.folder())?;
        let temporary = self.temporary(&segment.temporary_name());
        let mut bytes = None;
        if !is_there {
            let appender = if self.written.contains_key(&key) {
                if !events.is_empty() {
                    self.write_part(key, &events)?;
                }
                drop(events);
                self.merge(key, &temporary)?
            } else {
                self.write_sorted(key, &events, &temporary)?
            };
            bytes = Some(appender.finish()?);
            self.disk.rename(&temporary, &path)?;
        }
        // Also for one that is there already: an earlier attempt may have got no further than its rename.
        self.disk.sync_folder(&home)?;
        for part in self.written.remove(&key).unwrap_or_default() {
            self.disk.remove(&part)?;
        }
        Ok(bytes)
    }

    fn merge(&self, key: Key, to: &Path) -> io::Result<Appender> {
        let parts = self.written.get(&key).into_iter().flatten();
        let inputs = parts.map(|part| self.disk.open(part)).collect::<io::Result<_>>()?;
        let origin = Origin { runs: vec![self.wal.run.clone()], replaces: Vec::new() };
        let appender = Appender::new(self.disk.create(to)?);
        let merged = segment::merge(key.0, inputs, &origin, ROW_GROUP_ROWS, appender);
        Ok(merged.map_err(io::Error::other)?.0)
    }
}
