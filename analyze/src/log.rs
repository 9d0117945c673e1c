//! A log on disk: which segments the data folders hold, which of them can be read, and lazy frames over them.
//!
//! Every file's checksum and footer are read once at the start, so that a damaged file is named and left out and the
//! rest goes on. Segments that a compacted one stands for are left out: each row once, even while a compaction runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    slice,
    sync::Arc,
};

use parquet::{
    basic::{LogicalType, TimeUnit},
    file::{
        metadata::{ParquetMetaDataReader, RowGroupMetaData},
        statistics::Statistics,
    },
};
use polars::{
    io::HiveOptions,
    prelude::{
        DataFrame, DataType, Expr, IntoColumn, IntoLazy, LazyFrame, ParquetReader, PlRefPath, PolarsError,
        PolarsResult, ScanArgsParquet, Schema, SchemaRef, SerReader, Series, UnionArgs, col, concat, lit,
    },
};
use schema::{
    SCHEMA_VERSION,
    disk::Reader,
    frame::Scan,
    layout,
    segment::{self, checksum::Checked},
    table::{ContactOutcome, Table},
};

use crate::{facts::Damaged, number::number_of, raw, replay::workers};

/// Data folders that cannot be worked with at all.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder is not there.
    #[error("{}: no such folder; give the folder that `capture --out` wrote to", .0.display())]
    Missing(PathBuf),
    /// Not a folder.
    #[error("{}: not a folder; give the folder that `capture --out` wrote to", .0.display())]
    NotAFolder(PathBuf),
    /// A folder could not be listed.
    #[error("cannot list {}: {error}", .folder.display())]
    List {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// No segment in any folder.
    #[error("{}: no segments (contacts/**/*.parquet …); give the folder that `capture --out` wrote to{hint}", .folder.display())]
    NoSegments {
        /// The first data folder.
        folder: PathBuf,
        /// What else may be the matter.
        hint: String,
    },
    /// Every segment is damaged.
    #[error("{}: none of its segments can be read: {problem}", .file)]
    AllDamaged {
        /// The first damaged file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Which rows count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Rows at or after this time, µs.
    pub since: Option<i64>,
    /// Rows before this time, µs.
    pub until: Option<i64>,
    /// Rows of these torrents; all where empty.
    pub info_hashes: Vec<String>,
}

impl Selection {
    /// Whether a time, µs, is within the selection.
    pub fn holds(&self, time: i64) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    /// Whether the row's time is within the selection.
    pub fn in_time(&self) -> Expr {
        let since = self.since.map_or(lit(true), |since| col("time").gt_eq(lit(since)));
        let until = self.until.map_or(lit(true), |until| col("time").lt(lit(until)));
        since.and(until)
    }
}

/// Segments of one table whose columns are the same.
#[derive(Clone, Debug)]
struct Group {
    schema: SchemaRef,
    files: Vec<PathBuf>,
}

/// The readable segments of some data folders.
#[derive(Clone, Debug, Default)]
pub struct Log {
    tables: BTreeMap<Table, Vec<Group>>,
    rows: BTreeMap<Table, u64>,
    /// The first and the last time of all rows, µs, where the footers tell it.
    span: Option<(i64, i64)>,
    /// Whether the footer of every file with rows tells its times.
    has_spans: bool,
    /// Files that cannot be read.
    pub damaged: Vec<Damaged>,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
}

impl Log {
    /// Finds the segments of all folders and reads their footers.
    ///
    /// # Errors
    /// A folder is missing, or there is no segment that can be read.
    pub fn open(folders: &[PathBuf]) -> Result<Self, LogError> {
        let mut log = Self { has_spans: true, ..Self::default() };
        let mut seen = BTreeSet::new();
        let mut replaced = BTreeSet::new();
        let mut found = Vec::new();
        let mut newer = BTreeMap::new();
        let mut repeated = 0_u64;
        for folder in folders {
            check_folder(folder)?;
            log.note_open_wal(folder);
            for table in raw::TABLES {
                for file in segments(&folder.join(table.name()))? {
                    let in_table = file.strip_prefix(folder).unwrap_or(&file).to_path_buf();
                    if !seen.insert(in_table.clone()) {
                        repeated += 1;
                        continue;
                    }
                    found.push((table, file, in_table));
                }
            }
        }
        let footers = workers::each(&found, |(table, file, _)| Ok::<_, LogError>(footer(*table, file)))?;
        let found: Vec<_> = found.into_iter().zip(footers).collect();
        for ((_, _, in_table), footer) in &found {
            let Ok(footer) = footer else { continue };
            if let Some(writer) = &footer.newer {
                *newer.entry(writer.clone()).or_default() += 1;
            }
            let sibling = |name: &String| in_table.with_file_name(name);
            replaced.extend(footer.replaces.iter().map(sibling));
        }
        for ((table, file, _), footer) in found.into_iter().filter(|((.., name), _)| !replaced.contains(name))
        {
            log.add(table, file, footer);
        }
        log.note_newer(newer);
        if repeated > 0 {
            log.notes.push(format!(
                "{} in more than one data folder, counted once.",
                number_of(repeated, "segment")
            ));
        }
        log.refuse_empty(folders)?;
        Ok(log)
    }

    fn refuse_empty(&self, folders: &[PathBuf]) -> Result<(), LogError> {
        if self.segments() > 0 {
            return Ok(());
        }
        if let Some(Damaged { file, problem }) = self.damaged.first().cloned() {
            return Err(LogError::AllDamaged { file, problem });
        }
        let open_wal = !self.notes.is_empty();
        let hint = if open_wal {
            "; its rows are still in wal/, stop the capture or wait for --rotate-every"
        } else {
            ""
        };
        Err(LogError::NoSegments {
            folder: folders.first().cloned().unwrap_or_default(),
            hint: hint.to_owned(),
        })
    }

    /// Adds a file to its table, or to the damaged ones.
    fn add(&mut self, table: Table, file: PathBuf, footer: Result<Footer, String>) {
        match footer {
            Ok(Footer { schema, rows, span, .. }) => {
                *self.rows.entry(table).or_default() += rows;
                self.has_spans &= rows == 0 || span.is_some();
                self.span = match (self.span, span) {
                    (Some((first, last)), Some((from, until))) => Some((first.min(from), last.max(until))),
                    (known, other) => known.or(other),
                };
                let groups = self.tables.entry(table).or_default();
                match groups.iter_mut().find(|group| group.schema == schema) {
                    Some(group) => group.files.push(file),
                    None => groups.push(Group { schema, files: vec![file] }),
                }
            }
            Err(problem) => self.damaged.push(Damaged { file: file.display().to_string(), problem }),
        }
    }

    /// Tells of segments of later versions: they are read as far as this one knows them.
    fn note_newer(&mut self, newer: BTreeMap<String, u64>) {
        for (writer, segments) in newer {
            self.notes.push(format!(
                "{} of a later version ({writer}) than this one (schema version {SCHEMA_VERSION}): of their columns only \
                 those known here are read.",
                number_of(segments, "segment")
            ));
        }
    }

    /// Tells of a write-ahead log that a capture still fills, or that a killed one left.
    fn note_open_wal(&mut self, folder: &Path) {
        let wal = folder.join(layout::WAL_FOLDER);
        let open = fs::read_dir(&wal).into_iter().flatten().flatten().map(|entry| entry.path());
        let open = open.filter(|path| path.extension().is_some_and(|extension| extension == "wal"));
        let open = open.filter(|path| has_frames(path)).count();
        if open > 0 {
            self.notes.push(format!(
                "{} holds {} whose rows are not in this report: a capture is running, or was killed and recovers them at \
                 its next start.",
                wal.display(),
                number_of(open as u64, "open write-ahead file")
            ));
        }
    }

    /// Number of readable segments.
    pub fn segments(&self) -> u64 {
        self.tables.values().flatten().map(|group| group.files.len() as u64).sum()
    }

    /// Every readable segment.
    pub fn files(&self) -> impl Iterator<Item = (Table, &Path)> {
        self.tables.iter().flat_map(|(table, groups)| {
            groups.iter().flat_map(|group| &group.files).map(|file| (*table, file.as_path()))
        })
    }

    /// Rows of a table, by the footers.
    pub fn rows(&self, table: Table) -> u64 {
        self.rows.get(&table).copied().unwrap_or_default()
    }

    /// All rows of a table with the columns of [`raw::columns`].
    pub fn scan(&self, table: Table) -> PolarsResult<LazyFrame> {
        let groups = self.tables.get(&table).into_iter().flatten();
        let frames =
            groups.map(|group| scan_columns(table, &group.files, group)).collect::<PolarsResult<Vec<_>>>()?;
        if frames.is_empty() {
            return Ok(empty(table)?.lazy());
        }
        concat(frames, UnionArgs { rechunk: false, to_supertypes: false, ..UnionArgs::default() })
    }

    /// The same rows file by file, for a table that may not fit into memory.
    pub fn scan_each(&self, table: Table) -> PolarsResult<Vec<LazyFrame>> {
        let groups = self.tables.get(&table).into_iter().flatten();
        let files = groups.flat_map(|group| group.files.iter().map(move |file| (file, group)));
        files.map(|(file, group)| scan_columns(table, slice::from_ref(file), group)).collect()
    }

    /// The rows of a table for the torrents of a selection, and within its time.
    pub fn select(&self, table: Table, selection: &Selection) -> PolarsResult<LazyFrame> {
        let rows = self.scan(table)?.filter(selection.in_time());
        let of_torrents = raw::columns(table).any(|column| column.name == "info_hash");
        Ok(match selection.info_hashes.as_slice() {
            chosen if chosen.is_empty() || !of_torrents => rows,
            chosen => rows.filter(
                chosen
                    .iter()
                    .fold(lit(false), |any, info_hash| any.or(col("info_hash").eq(lit(info_hash.clone())))),
            ),
        })
    }

    /// The first and the last row's time, µs, as the footers tell it; the outer `None` where one of them does not.
    pub fn span(&self) -> Option<Option<(i64, i64)>> {
        self.has_spans.then_some(self.span)
    }

    /// Whether every readable segment is still there.
    pub fn is_there(&self) -> bool {
        self.tables.values().flatten().flat_map(|group| &group.files).all(|file| file.exists())
    }

    /// Reads every file to its end and moves those that fail to the damaged ones; true if there was any.
    pub fn leave_out_damaged(&mut self) -> bool {
        let before = self.damaged.len();
        // What the footers of files told that are left out may be of no other file.
        self.has_spans = false;
        for (table, groups) in &mut self.tables {
            for group in groups.iter_mut() {
                let damaged = &mut self.damaged;
                let rows = self.rows.entry(*table).or_default();
                group.files.retain(|file| match read_through(*table, file, &group.schema) {
                    Ok(()) => true,
                    Err(problem) => {
                        *rows -= footer(*table, file).map_or(0, |footer| footer.rows).min(*rows);
                        damaged.push(Damaged { file: file.display().to_string(), problem });
                        false
                    }
                });
            }
            groups.retain(|group| !group.files.is_empty());
        }
        self.damaged.len() > before
    }
}

/// The rows of some files of a group, with the columns of their table.
fn scan_columns(table: Table, files: &[PathBuf], group: &Group) -> PolarsResult<LazyFrame> {
    let columns = raw::columns(table).map(|column| raw::read(&column, &group.schema));
    Ok(scan_files(files)?.select(columns.collect::<Vec<_>>()))
}

/// The outcomes of contacts that received the peer's handshake.
pub fn handshake_outcomes() -> impl Iterator<Item = &'static str> {
    ContactOutcome::ALL.iter().filter(|outcome| outcome.has_handshake()).map(|outcome| outcome.as_str())
}

fn check_folder(folder: &Path) -> Result<(), LogError> {
    match fs::metadata(folder) {
        Err(_) => Err(LogError::Missing(folder.to_path_buf())),
        Ok(metadata) if !metadata.is_dir() => Err(LogError::NotAFolder(folder.to_path_buf())),
        Ok(_) => Ok(()),
    }
}

/// The `.parquet` files below a folder, hidden and temporary ones left out, in order of their paths, compacted ones
/// before the others of their folder.
///
/// Listed until two listings agree: one that a compaction changes under way may miss both what is merged and the merged.
pub(crate) fn segments(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let mut listed = list(folder)?;
    loop {
        let again = list(folder)?;
        if listed == again {
            return Ok(listed);
        }
        listed = again;
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LogError::List { folder, error }),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if layout::is_segment_name(&entry.file_name().to_string_lossy()) {
                files.push(path);
            }
        }
    }
    let is_raw = |file: &PathBuf| {
        !file.file_name().is_some_and(|name| layout::is_compacted_name(&name.to_string_lossy()))
    };
    files.sort_by_cached_key(|file| (file.parent().map(Path::to_path_buf), is_raw(file), file.clone()));
    Ok(files)
}

/// Whether a write-ahead file holds more than its header; the one that was made in advance does not.
fn has_frames(path: &Path) -> bool {
    let header = File::open(path).and_then(Reader::new).and_then(|file| Scan::new(file, None));
    // What cannot be read may hold anything.
    header.map_or(true, |scan| scan.has_more())
}

/// What a file's footer says.
struct Footer {
    schema: SchemaRef,
    rows: u64,
    /// The first and the last time in it, µs, where it is told in every row group.
    span: Option<(i64, i64)>,
    /// Names of the files in its folder that it stands for.
    replaces: Vec<String>,
    /// The program and the schema version that wrote it, where that is a later version than ours.
    newer: Option<String>,
}

/// A file's footer, or what is wrong with the file.
fn footer(table: Table, file: &Path) -> Result<Footer, String> {
    let open = File::open(file).map_err(|error| format!("cannot open it: {error}"))?;
    let length = open.metadata().map_or(0, |metadata| metadata.len());
    if length == 0 {
        return Err("the file is empty".to_owned());
    }
    let cannot_read = |error: std::io::Error| format!("cannot read it: {error}");
    let mut bytes = Reader::new(open.try_clone().map_err(cannot_read)?).map_err(cannot_read)?;
    let checked = segment::checksum::check(&mut bytes).map_err(cannot_read)?;
    let mut reader = ParquetReader::new(open);
    let schema = reader
        .schema()
        .map_err(|error| format!("no Parquet file, or a damaged one: {}", one_line(&error)))?;
    let schema = schema.iter_values().map(|field| (field.name.clone(), DataType::from_arrow_field(field)));
    let schema = Arc::new(schema.collect::<Schema>());
    let rows = reader.num_rows().map_err(|error| format!("its footer is damaged: {}", one_line(&error)))?;
    for column in raw::columns(table) {
        if let Some(dtype) = schema.get(column.name)
            && !raw::reads(column.kind, dtype)
        {
            let (name, expected) = (column.name, column.kind.name());
            return Err(format!("column {name} has type {dtype}, where {expected} is expected"));
        }
    }
    if checked == Checked::Damaged {
        return Err("its checksum is wrong: its bytes are not those that were written".to_owned());
    }
    let metadata = segment::metadata(table, &bytes).unwrap_or_default();
    let newer = metadata.schema_version.filter(|version| *version > SCHEMA_VERSION).map(|version| {
        format!("{}, schema version {version}", metadata.program.as_deref().unwrap_or("an unnamed program"))
    });
    let span = segment::guarded(|| span(&bytes)).ok().flatten();
    Ok(Footer { schema, rows: rows as u64, span, replaces: metadata.replaces, newer })
}

/// The lowest and the highest time by the row groups' statistics, µs.
fn span(file: &Reader) -> Option<(i64, i64)> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(file).ok()?;
    let times = |group: &RowGroupMetaData| {
        let column = group.columns().iter().find(|column| column.column_path().string() == "time")?;
        let expected = LogicalType::timestamp(true, TimeUnit::MICROS);
        let as_expected = column.column_descr().logical_type_ref() == Some(&expected);
        match column.statistics()? {
            Statistics::Int64(times) if as_expected => Some((*times.min_opt()?, *times.max_opt()?)),
            _ => None,
        }
    };
    let spans: Option<Vec<(i64, i64)>> =
        metadata.row_groups().iter().filter(|group| group.num_rows() > 0).map(times).collect();
    spans?.into_iter().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// Decodes every column the replay reads.
fn read_through(table: Table, file: &PathBuf, schema: &SchemaRef) -> Result<(), String> {
    let columns = raw::columns(table).map(|column| raw::read(&column, schema));
    scan_files(std::slice::from_ref(file))
        .and_then(|frame| frame.select(columns.collect::<Vec<_>>()).collect())
        .map(drop)
        .map_err(|error| format!("cannot be decoded: {}", one_line(&error)))
}

fn scan_files(files: &[PathBuf]) -> PolarsResult<LazyFrame> {
    let paths = files.iter().map(|file| PlRefPath::try_from_path(file)).collect::<PolarsResult<Vec<_>>>()?;
    let hive_options = HiveOptions { enabled: Some(false), ..HiveOptions::default() };
    let args = ScanArgsParquet { hive_options, glob: false, cache: false, ..ScanArgsParquet::default() };
    LazyFrame::scan_parquet_files(paths.into(), args)
}

fn empty(table: Table) -> PolarsResult<DataFrame> {
    let columns = raw::columns(table);
    let columns =
        columns.map(|column| Series::new_empty(column.name.into(), &raw::dtype(column.kind)).into_column());
    DataFrame::new(0, columns.collect())
}

/// A polars error's first line, without its hints.
fn one_line(error: &PolarsError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
