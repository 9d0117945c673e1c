//! Segments: the rows of one table, one run and one UTC date as a Parquet file that every engine reads.
//!
//! Rows → sorted, then encoded column by column in ways that DuckDB, polars, pyarrow and Spark all read → file; and back.
//! The file says its schema version, its table, its run and the program that wrote it in its key-value metadata.

use std::{io::Write, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    error::ArrowError,
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder, arrow_writer::ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::{KeyValue, SortingColumn},
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion},
        reader::ChunkReader,
    },
    schema::types::ColumnPath,
};

use crate::{
    SCHEMA_VERSION,
    cell::{ColumnKind, Scalar as _},
    table::{Column, ColumnError, Event, Row, Table},
    value::{RunId, Timestamp},
};

/// Rows of a row group: small enough that a range of info-hashes skips most of a file.
pub const ROW_GROUP_ROWS: usize = 16 * 1024;

/// The metadata key of [`SCHEMA_VERSION`].
pub const VERSION_KEY: &str = "swarmtally.schema_version";
/// The metadata key of the program that wrote the file, name and version.
pub const PROGRAM_KEY: &str = "swarmtally.program";
/// The metadata key of the table's name.
pub const TABLE_KEY: &str = "swarmtally.table";
/// The metadata key of the run.
pub const RUN_KEY: &str = "swarmtally.run";

/// A segment that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The columns do not make a batch: two of them differ from the schema.
    #[error("cannot make columns of the rows: {0}")]
    Columns(#[from] ArrowError),
    /// The file could not be written.
    #[error("cannot write the segment: {0}")]
    Parquet(#[from] ParquetError),
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

    let options =
        ArrowWriterOptions::new().with_properties(properties(table, run)).with_skip_arrow_metadata(true);
    let mut parquet = ArrowWriter::try_new_with_options(writer, table.arrow_schema(), options)?;
    for group in sorted.chunks(ROW_GROUP_ROWS) {
        parquet.write(&batch(table, run, group.iter().map(|(_, event)| *event))?)?;
    }
    Ok(parquet.into_inner()?)
}

/// Reads a whole segment of a table into memory, in the file's order.
///
/// # Errors
/// The file is damaged, or no segment of this table.
pub fn read(table: Table, file: impl ChunkReader + 'static) -> Result<Vec<(RunId, Event)>, ReadError> {
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        let batch = batch?;
        let times = crate::table::column_values::<Timestamp>(&batch, "time")?;
        let runs = crate::table::column_values::<String>(&batch, "run")?;
        let events = times.into_iter().zip(table.rows(&batch)?).map(|(time, row)| Event { time, row });
        rows.extend(runs.into_iter().map(RunId).zip(events));
    }
    Ok(rows)
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

fn properties(table: Table, run: &RunId) -> WriterProperties {
    let program = concat!("swarmtally ", env!("CARGO_PKG_VERSION"));
    let metadata = [
        (VERSION_KEY, SCHEMA_VERSION.to_string()),
        (PROGRAM_KEY, program.to_owned()),
        (TABLE_KEY, table.name().to_owned()),
        (RUN_KEY, run.0.clone()),
    ];
    let columns = table.columns();
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(program.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting_columns(table, &columns)))
        .set_key_value_metadata(Some(
            metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value)).to_vec(),
        ));
    columns.iter().fold(properties, encode).build()
}

fn sorting_columns(table: Table, columns: &[Column]) -> Vec<SortingColumn> {
    let index =
        |name| columns.iter().position(|column| column.name == name).and_then(|at| i32::try_from(at).ok());
    let sorting = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
    table.sorted_by().into_iter().filter_map(index).map(sorting).collect()
}

/// Sets a column's encoding to one that is small and that polars, DuckDB, Spark and pyarrow all read.
fn encode(properties: WriterPropertiesBuilder, column: &Column) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(column.name);
    match column.kind {
        ColumnKind::Int32 | ColumnKind::Int64 | ColumnKind::Time => properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        ColumnKind::Binary | ColumnKind::Boolean | ColumnKind::Text | ColumnKind::TextList => properties,
    }
}

#[cfg(test)]
mod tests;
