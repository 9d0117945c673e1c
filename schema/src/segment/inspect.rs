//! Reads a segment as one who doubts it: its checksums, every page of every column, and what its rows must keep to.
//!
//! File → checksum → footer → row group by row group, so that damage in one says nothing about the others.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    datatypes::{DataType, Schema, TimestampMicrosecondType},
};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder},
    file::metadata::ParquetMetaData,
};

use super::{
    PROGRAM_KEY, REPLACES_KEY, RUN_KEY, ReadError, VERSION_KEY,
    checksum::{self, Checked, GROUPS_KEY, GroupSum},
    order::Keys,
};
use crate::{
    cell::ColumnKind,
    disk::Reader,
    layout::Date,
    table::Table,
    value::{RunId, Timestamp},
};

/// What a segment's footer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its rows.
    pub rows: u64,
    /// The program that wrote it.
    pub program: Option<String>,
    /// Version of its columns.
    pub schema_version: Option<u32>,
    /// The runs whose rows they are.
    pub runs: Vec<RunId>,
    /// Names of the files in its folder that it stands for.
    pub replaces: Vec<String>,
    /// Its columns that this version does not know.
    pub unknown_columns: Vec<String>,
    groups: Vec<GroupSum>,
}

/// One thing that is wrong with a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub text: String,
    /// Rows that cannot be read because of it.
    pub rows_lost: u64,
}

/// A row as far as an inspection tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Its run.
    pub run: &'a str,
    /// Its time.
    pub time: Timestamp,
}

/// What reading a segment to its end found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What its footer says; `None` if it is lost, and with it every row.
    pub metadata: Option<Metadata>,
    /// Whether its bytes are those that were written.
    pub checked: Checked,
    /// Rows that can be read.
    pub rows: u64,
    /// Rows of row groups whose bytes are those that were written.
    pub rows_intact: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Reads a segment's footer.
///
/// # Errors
/// The file is no Parquet file, or its footer is damaged.
pub fn metadata(table: Table, file: &Reader) -> Result<Metadata, ReadError> {
    let metadata = guarded(|| ArrowReaderMetadata::load(file, ArrowReaderOptions::default()))??;
    Ok(told(table, metadata.metadata(), metadata.schema()))
}

fn told(table: Table, metadata: &ParquetMetaData, schema: &Schema) -> Metadata {
    let file = metadata.file_metadata();
    let pairs = file.key_value_metadata().map(Vec::as_slice).unwrap_or_default();
    let value = |key: &str| pairs.iter().find(|pair| pair.key == key)?.value.clone();
    let list = |key| value(key).into_iter().flat_map(|text| split(&text)).collect::<Vec<_>>();
    let known = table.columns();
    let unknown =
        schema.fields().iter().filter(|field| known.iter().all(|column| column.name != field.name()));
    Metadata {
        rows: u64::try_from(file.num_rows()).unwrap_or_default(),
        program: value(PROGRAM_KEY),
        schema_version: value(VERSION_KEY).and_then(|text| text.parse().ok()),
        runs: list(RUN_KEY).into_iter().map(RunId).collect(),
        replaces: list(REPLACES_KEY),
        unknown_columns: unknown.map(|field| field.name().clone()).collect(),
        groups: value(GROUPS_KEY).and_then(|text| checksum::parse_groups(&text)).unwrap_or_default(),
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Reads a segment to its end and shows each row that can be read.
///
/// # Errors
/// The file system failed.
pub fn inspect(
    table: Table,
    date: Option<Date>,
    file: &Reader,
    mut see: impl FnMut(Seen<'_>),
) -> io::Result<Inspection> {
    let checked = checksum::check(&mut file.clone())?;
    let mut inspection =
        Inspection { metadata: None, checked, rows: 0, rows_intact: 0, problems: Vec::new() };
    let footer = guarded(|| ArrowReaderMetadata::load(file, ArrowReaderOptions::default()));
    let footer = match footer.and_then(|loaded| Ok(loaded?)) {
        Ok(footer) => footer,
        Err(error) => {
            inspection.problem(format!("its footer cannot be read: {error}"), 0);
            return Ok(inspection);
        }
    };
    let metadata = told(table, footer.metadata(), footer.schema());
    for problem in wrong_columns(table, footer.schema()) {
        inspection.problem(problem, 0);
    }
    let mut last: Option<(Keys, usize)> = None;
    let mut start = 0;
    for (index, group) in footer.metadata().row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows()).unwrap_or_default();
        let intact = match metadata.groups.get(index) {
            Some(sum) => {
                let found = checksum::sum_range(&mut file.clone(), start, sum.end);
                start = sum.end;
                found.is_ok_and(|crc| crc == sum.crc)
            }
            None => checked == Checked::Whole,
        };
        let read = guarded(|| read_group(table, date, (file, &footer, index), &mut last, &mut see));
        match read.and_then(|read| read) {
            Ok(read) => {
                inspection.rows += read.rows;
                inspection.rows_intact += if intact { read.rows } else { 0 };
                if read.rows != rows {
                    let text = format!("row group {index} has {} rows, its footer says {rows}", read.rows);
                    inspection.problem(text, rows.saturating_sub(read.rows));
                }
                for text in read.problems {
                    inspection.problem(text, 0);
                }
            }
            Err(error) => inspection.problem(format!("row group {index}: {error}"), rows),
        }
    }
    if checked == Checked::Damaged {
        let text = "its checksum is wrong: bytes are not those that were written";
        inspection.problem(text.to_owned(), 0);
    }
    inspection.metadata = Some(metadata);
    Ok(inspection)
}

impl Inspection {
    fn problem(&mut self, text: String, rows_lost: u64) {
        if self.problems.iter().all(|problem| problem.text != text) {
            self.problems.push(Problem { text, rows_lost });
        }
    }
}

/// What of a row group could be read.
#[derive(Default)]
struct GroupRead {
    rows: u64,
    problems: Vec<String>,
}

fn read_group(
    table: Table,
    date: Option<Date>,
    (file, footer, index): (&Reader, &ArrowReaderMetadata, usize),
    last: &mut Option<(Keys, usize)>,
    see: &mut impl FnMut(Seen<'_>),
) -> Result<GroupRead, ReadError> {
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), footer.clone());
    let mut group = GroupRead::default();
    for batch in reader.with_row_groups(vec![index]).with_batch_size(8192).build()? {
        let batch = batch?;
        group.problems.extend(check_batch(table, date, &batch, last)?);
        let times = batch
            .column_by_name("time")
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let runs = batch.column_by_name("run").and_then(|column| column.as_string_opt::<i32>());
        if let (Some(times), Some(runs)) = (times, runs) {
            for (time, run) in times.values().iter().zip(runs.iter()) {
                see(Seen { run: run.unwrap_or_default(), time: Timestamp(*time) });
            }
        }
        group.rows += batch.num_rows() as u64;
    }
    Ok(group)
}

/// What a table's rows must keep to: no null where none may be, their date, their order.
fn check_batch(
    table: Table,
    date: Option<Date>,
    batch: &RecordBatch,
    last: &mut Option<(Keys, usize)>,
) -> Result<Vec<String>, ReadError> {
    let mut problems = Vec::new();
    for column in table.columns().iter().filter(|column| !column.nullable) {
        if batch.column_by_name(column.name).is_some_and(|array| array.null_count() > 0) {
            problems.push(format!("column `{}` is null where it must not be", column.name));
        }
    }
    let times = batch.column_by_name("time");
    let times = times.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    if let (Some(times), Some(date)) = (times, date)
        && times.iter().flatten().any(|time| Date::of(Timestamp(time)) != date)
    {
        problems.push(format!("rows are of another date than its folder's, {date}"));
    }
    let keys = Keys::of(batch)?;
    let mut before = last.take();
    let ordered = (0..batch.num_rows()).all(|row| {
        let ordered = match &before {
            Some((keys_before, row_before)) => keys_before.compare(*row_before, &keys, row).is_le(),
            None => row == 0 || keys.compare(row - 1, &keys, row).is_le(),
        };
        before = None;
        ordered
    });
    if !ordered {
        problems.push("rows are not in the order of the table".to_owned());
    }
    *last = batch.num_rows().checked_sub(1).map(|row| (keys, row));
    Ok(problems)
}

/// Columns that are missing or of another type than the table's.
fn wrong_columns(table: Table, schema: &Arc<Schema>) -> Vec<String> {
    let check = |column: crate::table::Column| {
        let name = column.name;
        match schema.field_with_name(name) {
            Err(_) if column.nullable => None,
            Err(_) => Some(format!("column `{name}` is missing")),
            Ok(field) if is_of_kind(field.data_type(), column.kind) => None,
            Ok(field) => {
                let (found, expected) = (field.data_type(), column.kind.name());
                Some(format!("column `{name}` has type {found} where {expected} is expected"))
            }
        }
    };
    table.columns().into_iter().filter_map(check).collect()
}

pub(super) fn is_of_kind(found: &DataType, kind: ColumnKind) -> bool {
    match (found, kind) {
        (DataType::List(element), ColumnKind::TextList) => *element.data_type() == DataType::Utf8,
        (found, kind) => *found == kind.data_type(),
    }
}

/// Runs what decodes bytes nobody vouches for: the Parquet library may panic over them.
///
/// # Errors
/// It did.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_panic| {
        ReadError::Parquet(parquet::errors::ParquetError::General("the decoder gave up".to_owned()))
    })
}
