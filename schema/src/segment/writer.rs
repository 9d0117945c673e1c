//! Writes a segment batch by batch, with its metadata and checksums.

use std::io::Write;

use arrow::array::RecordBatch;
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::{KeyValue, SortingColumn},
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion},
    },
    schema::types::ColumnPath,
};

use super::{
    PROGRAM_KEY, REPLACES_KEY, RUN_KEY, TABLE_KEY, VERSION_KEY, WriteError,
    checksum::{CHECKSUM_KEY, GROUPS_KEY, GroupSum, PLACEHOLDER, Summing, groups_text},
};
use crate::{
    SCHEMA_VERSION,
    cell::ColumnKind,
    table::{Column, Table},
    value::RunId,
};

/// What a segment's rows come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The runs whose rows they are.
    pub runs: Vec<RunId>,
    /// Names of the files in the same folder that this one stands for; empty for a segment made by a capture.
    pub replaces: Vec<String>,
}

/// A segment being written; its rows must come in the order of [`Table::sorted_by`].
pub struct SegmentWriter<W: Write + Send> {
    parquet: ArrowWriter<Summing<W>>,
    group_rows: usize,
    in_group: usize,
    groups: Vec<GroupSum>,
}

impl<W: Write + Send> SegmentWriter<W> {
    /// Begins a segment with row groups of `group_rows` rows.
    ///
    /// # Errors
    /// The writer failed; so for every method here.
    pub fn new(table: Table, origin: &Origin, group_rows: usize, writer: W) -> Result<Self, WriteError> {
        let options = ArrowWriterOptions::new()
            .with_properties(properties(table, origin, group_rows))
            .with_skip_arrow_metadata(true);
        let parquet = ArrowWriter::try_new_with_options(Summing::new(writer), table.arrow_schema(), options)?;
        Ok(Self { parquet, group_rows, in_group: 0, groups: Vec::new() })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// As above.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = (batch.num_rows() - from).min(self.group_rows - self.in_group);
            self.parquet.write(&batch.slice(from, rows))?;
            self.in_group += rows;
            from += rows;
            if self.in_group == self.group_rows {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), WriteError> {
        self.parquet.flush()?;
        // The sums must not miss what lies in the writer's own buffer.
        self.parquet.sync()?;
        self.groups.push(self.parquet.inner_mut().end_group());
        self.in_group = 0;
        Ok(())
    }

    /// Ends the segment and gives back the writer.
    ///
    /// # Errors
    /// As above; what was written is no valid file.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.in_group > 0 {
            self.end_group()?;
        }
        self.parquet.sync()?;
        let mut add = |key: &str, value| {
            self.parquet.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        };
        add(GROUPS_KEY, groups_text(&self.groups));
        add(CHECKSUM_KEY, PLACEHOLDER.to_owned());
        self.parquet.inner_mut().hold_footer();
        Ok(self.parquet.into_inner()?.seal()?)
    }
}

fn properties(table: Table, origin: &Origin, group_rows: usize) -> WriterProperties {
    let program = concat!("swarmtally ", env!("CARGO_PKG_VERSION"));
    let runs = origin.runs.iter().map(|run| run.0.as_str()).collect::<Vec<_>>().join(",");
    let mut metadata = vec![
        (VERSION_KEY, SCHEMA_VERSION.to_string()),
        (PROGRAM_KEY, program.to_owned()),
        (TABLE_KEY, table.name().to_owned()),
        (RUN_KEY, runs),
    ];
    if !origin.replaces.is_empty() {
        metadata.push((REPLACES_KEY, origin.replaces.join(",")));
    }
    let metadata = metadata.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let columns = table.columns();
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(program.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap_or_default()))
        .set_max_row_group_row_count(Some(group_rows))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting_columns(table, &columns)))
        .set_key_value_metadata(Some(metadata));
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
