//! Segments: the rows of one table, one run and one UTC date as a Parquet file that every engine reads.
//!
//! Rows → sorted, then encoded column by column in ways that DuckDB, polars, pyarrow and Spark all read → file; and back.
//! The file says its schema version, its table, its runs, the program that wrote it and its own checksum in its
//! key-value metadata.

pub mod checksum;
mod inspect;
mod merge;
mod order;
mod writer;

use std::{io::Write, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    error::ArrowError,
};
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder, errors::ParquetError, file::reader::ChunkReader,
};

pub use self::{
    inspect::{Inspection, Metadata, Problem, Seen, guarded, inspect, metadata},
    merge::{MergeError, merge},
    writer::{Origin, SegmentWriter},
};
use crate::{
    cell::Scalar as _,
    table::{ColumnError, Event, Row, Table},
    value::{RunId, Timestamp},
};

/// Rows of a row group: small enough that a range of info-hashes skips most of a file.
pub const ROW_GROUP_ROWS: usize = 16 * 1024;

/// The metadata key of [`crate::SCHEMA_VERSION`].
pub const VERSION_KEY: &str = "swarmtally.schema_version";
/// The metadata key of the program that wrote the file, name and version.
pub const PROGRAM_KEY: &str = "swarmtally.program";
/// The metadata key of the table's name.
pub const TABLE_KEY: &str = "swarmtally.table";
/// The metadata key of the runs, comma-separated.
pub const RUN_KEY: &str = "swarmtally.run";
/// The metadata key of the names of the files that this one stands for, comma-separated.
///
/// A compacted segment lies beside those it was merged from until they are removed: whoever reads the folder leaves
/// out every file that another one names here, and so sees each row once at every moment.
pub const REPLACES_KEY: &str = "swarmtally.replaces";
/// Rows of a row group of a compacted segment: few groups, because such a file is read in long ranges.
pub const COMPACTED_ROW_GROUP_ROWS: usize = 1 << 20;

/// A segment that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The columns do not make a batch: two of them differ from the schema.
    #[error("cannot make columns of the rows: {0}")]
    Columns(#[from] ArrowError),
    /// The file could not be written.
    #[error("cannot write the segment: {0}")]
    Parquet(#[from] ParquetError),
    /// The footer could not be written.
    #[error("cannot write the segment: {0}")]
    Io(#[from] std::io::Error),
}

/// A segment that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No Parquet file, or a damaged one.
    #[error("cannot read the segment: {0}")]
    Parquet(#[from] ParquetError),
    /// A row group could not be decoded.
    #[error("cannot decode the segment: {0}")]
    Arrow(#[from] ArrowError),
    /// A column is not what this version expects.
    #[error("cannot read the segment: {0}")]
    Column(#[from] ColumnError),
}

/// Writes the rows of one table as one segment and gives back the writer; rows of other tables are left out.
///
/// The same events in the same order give the same bytes.
///
/// # Errors
/// The writer failed; what it got so far is no valid file.
pub fn write<'a, W: Write + Send>(
    table: Table,
    run: &RunId,
    events: impl IntoIterator<Item = &'a Event>,
    writer: W,
) -> Result<W, WriteError> {
    let own = events.into_iter().filter(|event| event.row.table() == table);
    let mut sorted: Vec<_> = own.map(|event| ((event.row.sort_key(), event.time), event)).collect();
    sorted.sort_by_key(|(key, _)| *key);

    let origin = Origin { runs: vec![run.clone()], replaces: Vec::new() };
    let mut segment = SegmentWriter::new(table, &origin, ROW_GROUP_ROWS, writer)?;
    for group in sorted.chunks(ROW_GROUP_ROWS) {
        segment.write(&batch(table, run, group.iter().map(|(_, event)| *event))?)?;
    }
    segment.finish()
}

/// Reads a whole segment of a table into memory, in the file's order.
///
/// # Errors
/// The file is damaged, or no segment of this table.
pub fn read(table: Table, file: impl ChunkReader + 'static) -> Result<Vec<(RunId, Event)>, ReadError> {
    let mut rows = Vec::new();
    for batch in batches(table, file)? {
        rows.extend(batch?);
    }
    Ok(rows)
}

/// Reads a segment of a table some thousand rows at a time, in the file's order.
///
/// # Errors
/// The file is damaged, or no segment of this table; so for every batch.
pub fn batches(
    table: Table,
    file: impl ChunkReader + 'static,
) -> Result<impl Iterator<Item = Result<Vec<(RunId, Event)>, ReadError>>, ReadError> {
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    Ok(batches.map(move |batch| {
        let batch = batch?;
        let times = crate::table::column_values::<Timestamp>(&batch, "time")?;
        let runs = crate::table::column_values::<String>(&batch, "run")?;
        let events = times.into_iter().zip(table.rows(&batch)?).map(|(time, row)| Event { time, row });
        Ok(runs.into_iter().map(RunId).zip(events).collect())
    }))
}

/// The given rows, which are all of `table`, as a batch.
fn batch<'a>(
    table: Table,
    run: &RunId,
    events: impl ExactSizeIterator<Item = &'a Event> + Clone,
) -> Result<RecordBatch, ArrowError> {
    let times = Timestamp::array(events.clone().map(|event| Some(&event.time)));
    let runs = StringArray::from_iter_values(std::iter::repeat_n(run.0.as_str(), events.len()));
    let mut arrays: Vec<ArrayRef> = vec![times, Arc::new(runs)];
    arrays.extend(table.arrays(events.map(|event: &Event| -> &Row { &event.row })));
    RecordBatch::try_new(table.arrow_schema(), arrays)
}

#[cfg(test)]
mod tests;
