//! Merges sorted segments into one, in bounded memory: a batch of each input and a row group of the output.
//!
//! Rows that are equal in all of [`Table::sorted_by`] keep the order of the inputs and, within one, their own: whoever
//! reads the inputs one after the other and sorts them stably gets the same.

use std::{cmp::Ordering, io::Write, sync::Arc};

use arrow::{
    array::{Array as _, ArrayRef, AsArray as _, ListArray, RecordBatch, new_null_array},
    compute::interleave,
    datatypes::{DataType, SchemaRef},
    error::ArrowError,
};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{Origin, ReadError, SegmentWriter, WriteError, order::Keys};
use crate::{
    disk::Reader,
    table::{ColumnError, Table},
};

/// Rows of an input decoded at once.
const BATCH_ROWS: usize = 1024;
/// Rows of the output put together at once.
const OUTPUT_ROWS: usize = 8192;

/// A merge that failed.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// An input cannot be read, or is not what a merge needs.
    #[error("{source}")]
    Input {
        /// Which one, in the order they were given.
        index: usize,
        /// Why.
        source: ReadError,
    },
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] WriteError),
}

/// Merges segments of one table into one and gives back the writer and the number of rows.
///
/// # Errors
/// An input is damaged, is not sorted, or has columns this version does not know; or the writer failed.
pub fn merge<W: Write + Send>(
    table: Table,
    inputs: Vec<Reader>,
    origin: &Origin,
    group_rows: usize,
    writer: W,
) -> Result<(W, u64), MergeError> {
    let mut output = SegmentWriter::new(table, origin, group_rows, writer)?;
    let mut merging = Merging::new(table, inputs)?;
    let mut rows = 0;
    while let Some(batch) = merging.next()? {
        rows += batch.num_rows() as u64;
        output.write(&batch)?;
    }
    Ok((output.finish()?, rows))
}

/// An input, standing at its next row.
struct Cursor {
    /// Its place among the inputs, which decides between equal rows.
    index: usize,
    reader: ParquetRecordBatchReader,
    keys: Keys,
    rows: usize,
    row: usize,
    /// Its batch's place among those of the output being put together.
    batch: usize,
}

struct Merging {
    schema: SchemaRef,
    /// A heap: no cursor stands behind those at twice its place, plus one and plus two.
    heap: Vec<Cursor>,
    batches: Vec<RecordBatch>,
}

impl Merging {
    fn new(table: Table, inputs: Vec<Reader>) -> Result<Self, MergeError> {
        let mut merging = Self { schema: table.arrow_schema(), heap: Vec::new(), batches: Vec::new() };
        for (index, file) in inputs.into_iter().enumerate() {
            let failed = |source| MergeError::Input { index, source };
            let mut reader = open(table, file).map_err(failed)?;
            if let Some((batch, keys)) = next_batch(&mut reader, &merging.schema).map_err(failed)? {
                let (rows, place) = (batch.num_rows(), merging.batches.len());
                merging.batches.push(batch);
                merging.heap.push(Cursor { index, reader, keys, rows, row: 0, batch: place });
            }
        }
        for place in (0..merging.heap.len() / 2).rev() {
            merging.sift_down(place);
        }
        Ok(merging)
    }

    /// The next rows of the output.
    fn next(&mut self) -> Result<Option<RecordBatch>, MergeError> {
        let mut picked = Vec::with_capacity(OUTPUT_ROWS);
        while picked.len() < OUTPUT_ROWS {
            let Some(first) = self.heap.first() else { break };
            picked.push((first.batch, first.row));
            self.advance()?;
        }
        if picked.is_empty() {
            return Ok(None);
        }
        let columns = (0..self.schema.fields().len()).map(|column| {
            let arrays: Vec<_> = self.batches.iter().map(|batch| batch.column(column).as_ref()).collect();
            interleave(&arrays, &picked)
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(WriteError::from)?;
        self.forget_finished_batches();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(WriteError::from)?;
        Ok(Some(batch))
    }

    /// Moves the first cursor on by one row and brings the heap into order.
    fn advance(&mut self) -> Result<(), MergeError> {
        let Some(first) = self.heap.first_mut() else { return Ok(()) };
        first.row += 1;
        if first.row == first.rows {
            let index = first.index;
            let failed = |source| MergeError::Input { index, source };
            match next_batch(&mut first.reader, &self.schema).map_err(failed)? {
                Some((batch, keys)) => {
                    if first.keys.compare(first.row - 1, &keys, 0).is_gt() {
                        return Err(failed(unsorted()));
                    }
                    (first.keys, first.rows, first.row) = (keys, batch.num_rows(), 0);
                    first.batch = self.batches.len();
                    self.batches.push(batch);
                }
                None => {
                    self.heap.swap_remove(0);
                }
            }
        } else if first.keys.compare(first.row - 1, &first.keys, first.row).is_gt() {
            return Err(MergeError::Input { index: first.index, source: unsorted() });
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if let (Some(a), Some(b)) = (self.heap.get(child), self.heap.get(least))
                    && a.compare(b).is_lt()
                {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }

    /// Keeps only the batches at which cursors stand.
    fn forget_finished_batches(&mut self) {
        let mut kept = Vec::with_capacity(self.heap.len());
        for cursor in &mut self.heap {
            if let Some(batch) = self.batches.get(cursor.batch) {
                cursor.batch = kept.len();
                kept.push(batch.clone());
            }
        }
        self.batches = kept;
    }
}

impl Cursor {
    fn compare(&self, other: &Self) -> Ordering {
        self.keys.compare(self.row, &other.keys, other.row).then(self.index.cmp(&other.index))
    }
}

fn open(table: Table, file: Reader) -> Result<ParquetRecordBatchReader, ReadError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let known = table.columns();
    if let Some(field) =
        builder.schema().fields().iter().find(|field| known.iter().all(|column| column.name != field.name()))
    {
        let problem = "is of a later version, whose program must do this";
        return Err(ColumnError { column: field.name().clone(), problem }.into());
    }
    Ok(builder.with_batch_size(BATCH_ROWS).build()?)
}

/// The next batch, with the columns of this version.
fn next_batch(
    reader: &mut ParquetRecordBatchReader,
    schema: &SchemaRef,
) -> Result<Option<(RecordBatch, Keys)>, ReadError> {
    let Some(batch) = reader.find(|batch| batch.as_ref().map_or(true, |batch| batch.num_rows() > 0)) else {
        return Ok(None);
    };
    let batch = batch?;
    let columns = schema.fields().iter().map(|field| {
        let Some(column) = batch.column_by_name(field.name()) else {
            return Ok(new_null_array(field.data_type(), batch.num_rows()));
        };
        match (column.data_type(), field.data_type()) {
            (found, expected) if found == expected => Ok(column.clone()),
            (DataType::List(_), DataType::List(element)) => {
                let (_, offsets, values, nulls) = column.as_list::<i32>().clone().into_parts();
                Ok(Arc::new(ListArray::try_new(element.clone(), offsets, values, nulls)?) as ArrayRef)
            }
            _ => Err(ReadError::Column(ColumnError {
                column: field.name().clone(),
                problem: "has another type",
            })),
        }
    });
    let columns = columns.collect::<Result<_, ReadError>>()?;
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|error: ArrowError| error)?;
    let keys = Keys::of(&batch)?;
    Ok(Some((batch, keys)))
}

fn unsorted() -> ReadError {
    let problem = "is out of order: the rows are not sorted";
    ReadError::Column(ColumnError { column: "time".to_owned(), problem })
}
