//! Every page of every segment of a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use schema::{
    Timestamp,
    disk::{Disk as _, Reader, RealDisk},
    layout::{Date, SegmentPath, WalPath, date_folder, date_of_folder, is_segment_name},
    segment::{self, Metadata, checksum::Checked},
    table::{Row, RunEvent, Table},
};

use super::{DamagedFile, TableRows, Verified, times::Times};
use crate::time::rfc3339;

/// Reads them, adds what they hold, and gives the write-ahead files of which there are segments.
pub(super) fn read(
    folder: &Path,
    verified: &mut Verified,
    times: &mut BTreeMap<String, Times>,
) -> io::Result<BTreeSet<WalPath>> {
    let mut made = BTreeSet::new();
    for &table in Table::ALL {
        let rows = TableRows { table: table.name().to_owned(), ..TableRows::default() };
        let mut reading = Reading { table, rows, first: None, last: None, times };
        for (home, date) in dates(&folder.join(table.name()))? {
            reading.date(&home, date, verified, &mut made)?;
        }
        let Reading { mut rows, first, last, .. } = reading;
        if rows.files > 0 {
            rows.first_at = first.map(rfc3339);
            rows.last_at = last.map(rfc3339);
            add(&mut verified.tables, rows);
        }
    }
    Ok(made)
}

/// Adds a table of one more folder.
fn add(tables: &mut Vec<TableRows>, rows: TableRows) {
    let Some(table) = tables.iter_mut().find(|table| table.table == rows.table) else {
        tables.push(rows);
        return;
    };
    table.files += rows.files;
    table.bytes += rows.bytes;
    table.rows += rows.rows;
    table.damaged += rows.damaged;
    // RFC 3339 in one zone and of one width: earlier is less.
    table.first_at = [table.first_at.take(), rows.first_at].into_iter().flatten().min();
    table.last_at = table.last_at.take().max(rows.last_at);
}

/// The folders that hold a table's segments: its dates', and itself for files someone put there.
fn dates(table: &Path) -> io::Result<Vec<(PathBuf, Option<Date>)>> {
    let names = match RealDisk.list_folders(table) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let homes = names.iter().map(|name| (table.join(name), date_of_folder(name)));
    Ok(std::iter::once((table.to_owned(), None)).chain(homes).collect())
}

struct Reading<'a> {
    table: Table,
    rows: TableRows,
    first: Option<i64>,
    last: Option<i64>,
    times: &'a mut BTreeMap<String, Times>,
}

impl Reading<'_> {
    fn date(
        &mut self,
        home: &Path,
        date: Option<Date>,
        verified: &mut Verified,
        made: &mut BTreeSet<WalPath>,
    ) -> io::Result<()> {
        let names: Vec<_> = RealDisk.list(home)?.into_iter().filter(|name| is_segment_name(name)).collect();
        let replaced = self.replaced(home, &names, made)?;
        for name in &names {
            let path = home.join(name);
            made.extend(self.made_of(date, name));
            if replaced.contains(name) {
                verified.files_replaced += 1;
                continue;
            }
            // Removed meanwhile by a compaction, whose file holds its rows.
            let Some(file) = open(&path)? else { continue };
            self.rows.files += 1;
            self.rows.bytes += file.length();
            self.file(&path, date, &file, verified)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        date: Option<Date>,
        file: &Reader,
        verified: &mut Verified,
    ) -> io::Result<()> {
        let (mut first, mut last, mut run) = (None, None, None::<(String, Times)>);
        let inspection = segment::inspect(self.table, date, file, |seen| {
            let time = seen.time.0;
            first = Some(first.map_or(time, |first: i64| first.min(time)));
            last = last.max(Some(time));
            match &mut run {
                Some((name, times)) if name == seen.run => times.add(time),
                _ => {
                    let mut of_run = Times::default();
                    of_run.add(time);
                    if let Some((name, times)) = run.replace((seen.run.to_owned(), of_run)) {
                        self.times.entry(name).or_default().merge(times);
                    }
                }
            }
        })?;
        if let Some((name, times)) = run {
            self.times.entry(name).or_default().merge(times);
        }
        self.first = [self.first, first].into_iter().flatten().min();
        self.last = self.last.max(last);
        self.rows.rows += inspection.rows;
        verified.files_without_checksum += u64::from(inspection.checked == Checked::NoChecksum);
        if !inspection.problems.is_empty() {
            self.rows.damaged += 1;
            verified.damaged.push(DamagedFile {
                file: path.display().to_string(),
                problems: inspection.problems.into_iter().map(|problem| problem.text).collect(),
                rows: inspection.metadata.map(|metadata| metadata.rows),
                rows_readable: inspection.rows,
                rows_intact: inspection.rows_intact,
            });
        } else if self.table == Table::Runs {
            self.note_stops(file);
        }
        Ok(())
    }

    /// Marks the runs that ended in good order.
    fn note_stops(&mut self, file: &Reader) {
        let Ok(rows) = segment::read(Table::Runs, file.clone()) else { return };
        for (run, event) in rows {
            if let Row::Run(row) = event.row
                && row.event == RunEvent::Stopped
            {
                self.times.entry(run.0).or_default().stopped = true;
            }
        }
    }

    /// Names of the files that another one, whole, stands for; the write-ahead files of those are made segments too.
    fn replaced(
        &self,
        home: &Path,
        names: &[String],
        made: &mut BTreeSet<WalPath>,
    ) -> io::Result<BTreeSet<String>> {
        let mut replaced = BTreeSet::new();
        for name in names {
            let Some(file) = open(&home.join(name))? else { continue };
            let Ok(Metadata { replaces, .. }) = segment::metadata(self.table, &file) else { continue };
            if replaces.is_empty() || segment::checksum::check(&mut file.clone())? == Checked::Damaged {
                continue;
            }
            made.extend(replaces.iter().filter_map(|name| self.made_of(Some(Date::of(Timestamp(0))), name)));
            replaced.extend(replaces);
        }
        Ok(replaced)
    }

    /// The write-ahead file that a segment was made of, by its name.
    fn made_of(&self, date: Option<Date>, name: &str) -> Option<WalPath> {
        let path = format!("{}/{name}", date_folder(self.table, date?));
        Some(path.parse::<SegmentPath>().ok()?.wal)
    }
}

fn open(path: &Path) -> io::Result<Option<Reader>> {
    match fs::File::open(path).and_then(Reader::new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}
