//! Files that are open, with what their footers tell, and how their columns are read.

use std::{
    collections::VecDeque,
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::datatypes::{DataType, Field, Schema};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
        },
    },
    errors::ParquetError,
    file::metadata::{ColumnChunkMask, PageIndexPolicy},
};
use schema::{disk::Reader, segment::guarded};

use super::{
    batch::{Batch, constants},
    dictionary,
    pieces::{self, Piece},
};

/// Files that are open at a time: what is known of one takes some 300 KiB, and a process may have a thousand open.
const OPEN_FILES: usize = 64;

/// Rows decoded at once.
const BATCH_ROWS: usize = 8192;

/// The files of a log that were read last, each of which is opened and its footer read but once as long as they are few.
#[derive(Default)]
pub struct OpenFiles(Mutex<VecDeque<(PathBuf, Open)>>);

impl OpenFiles {
    /// The file at a path.
    pub fn get(&self, path: &Path) -> Result<Open, String> {
        if let Some(open) = self.used(path) {
            return Ok(open);
        }
        let open = Open::new(path)?;
        let mut files = self.files();
        if files.iter().all(|(other, _)| other != path) {
            files.push_back((path.to_path_buf(), open.clone()));
        }
        if files.len() > OPEN_FILES {
            files.pop_front();
        }
        Ok(open)
    }

    /// One that is open, which is the last one now.
    fn used(&self, path: &Path) -> Option<Open> {
        let mut files = self.files();
        let place = files.iter().position(|(other, _)| other == path)?;
        let file = files.remove(place)?;
        let open = file.1.clone();
        files.push_back(file);
        Some(open)
    }

    fn files(&self) -> MutexGuard<'_, VecDeque<(PathBuf, Open)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open file and its footer.
#[derive(Clone)]
pub struct Open {
    reader: Reader,
    metadata: ArrowReaderMetadata,
}

impl Open {
    fn new(path: &Path) -> Result<Self, String> {
        let reader = File::open(path).and_then(Reader::new).map_err(|error| error.to_string())?;
        let metadata = guarded(|| metadata(&reader)).map_err(|error| error.to_string())?;
        Ok(Self { metadata: metadata.map_err(|error| error.to_string())?, reader })
    }

    /// Its rows, in order.
    pub fn pieces(&self) -> Result<Vec<Piece>, String> {
        guarded(|| pieces::of_file(&self.metadata)).map_err(|error| error.to_string())
    }

    /// Reads columns of some pieces, which are in order, batch by batch; see [`super::segments::Segment::read`].
    pub fn read(
        &self,
        columns: &[&str],
        pieces: &[Piece],
        batch: impl FnMut(&Batch) -> Result<(), String>,
    ) -> Result<(), String> {
        guarded(|| self.read_groups(columns, pieces, batch)).unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Whether some row of a row group may have a value in one of some columns that begins as is said beside it: false is
    /// certain, and found without decoding rows.
    pub fn some_may_begin(&self, group: usize, starts: &[(&str, &[u8])]) -> bool {
        let group = self.metadata.metadata().row_group(group);
        starts.iter().any(|(column, start)| {
            let found = guarded(|| dictionary::some_may_begin(self.reader.clone(), group, column, start));
            // What is damaged is told by whoever reads the rows.
            !matches!(found, Ok(Ok(false)))
        })
    }

    fn is_text(&self, column: &str) -> bool {
        let field = self.metadata.schema().field_with_name(column);
        field.is_ok_and(|field| [texts(), words()].contains(field.data_type()))
    }

    fn read_groups(
        &self,
        columns: &[&str],
        pieces: &[Piece],
        mut batch: impl FnMut(&Batch) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut rest = pieces;
        while let Some(group) = rest.first().map(|piece| piece.group) {
            let end = rest.iter().position(|piece| piece.group != group).unwrap_or(rest.len());
            let (of_group, others) = rest.split_at(end);
            rest = others;
            let rows = self.metadata.metadata().row_group(group).num_rows();
            let ranges = merged(of_group);
            let all = usize::try_from(rows).unwrap_or(0);
            let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), all);
            let schema = self.metadata.metadata().file_metadata().schema_descr();
            let texts = columns.iter().copied().filter(|name| self.is_text(name));
            let constants = constants(self.metadata.metadata().row_group(group), texts);
            let decoded = columns.iter().copied();
            let decoded = decoded.filter(|name| constants.iter().all(|constant| constant.name != *name));
            let mask = ProjectionMask::columns(schema, decoded);
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(
                self.reader.clone(),
                self.metadata.clone(),
            )
            .with_row_groups(vec![group])
            .with_row_selection(selection)
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
            for rows in reader {
                batch(&Batch::new(rows.map_err(|error| error.to_string())?, Arc::clone(&constants)))?;
            }
        }
        Ok(())
    }
}

/// The rows of pieces of one row group, those next to each other as one.
fn merged(pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for piece in pieces {
        match ranges.last_mut() {
            Some(range) if range.end == piece.first_row => range.end += piece.rows,
            _ => ranges.push(piece.first_row..piece.first_row + piece.rows),
        }
    }
    ranges
}

/// Rows of a row group from which on its pages are worth an index: a shorter one is read whole.
const INDEXED_ROWS: i64 = 32 * 1024;

/// Columns of which the index says which values are in a page.
const KEYS: [&str; 2] = ["info_hash", "ip"];

/// Columns of which the values of a file are few.
const WORDS: [&str; 8] =
    ["client", "direction", "encryption", "kind", "outcome", "run", "source", "transport"];

/// What texts are read as: views, which copies none.
const fn texts() -> DataType {
    DataType::Utf8View
}

/// What [`WORDS`] are read as: places in a list, so that each is looked at once.
fn words() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The file's footer, and the page index of one with long row groups; with what its columns are to be read as.
fn metadata(reader: &Reader) -> Result<ArrowReaderMetadata, ParquetError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let mut found = ArrowReaderMetadata::load(reader, options.clone())?;
    if found.metadata().row_groups().iter().any(|group| group.num_rows() > INDEXED_ROWS) {
        let columns = found.metadata().file_metadata().schema_descr().columns().iter().enumerate();
        let of_keys = columns.filter(|(_, column)| KEYS.contains(&column.name())).map(|(place, _)| place);
        let indexed = options
            .clone()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_column_index_mask(ColumnChunkMask::columns(of_keys));
        found = ArrowReaderMetadata::load(reader, indexed)?;
    }
    let as_read = |field: &Arc<Field>| -> Arc<Field> {
        match field.data_type() {
            DataType::Utf8 => {
                let is_word = WORDS.contains(&field.name().as_str());
                Arc::new(field.as_ref().clone().with_data_type(if is_word { words() } else { texts() }))
            }
            DataType::Binary => Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView)),
            _ => Arc::clone(field),
        }
    };
    let fields: Vec<Arc<Field>> = found.schema().fields().iter().map(as_read).collect();
    let options = options.with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options)
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn as_many_files_stay_open_as_are_meant_to() {
        let folder = tempfile::tempdir().unwrap();
        let rows = RecordBatch::try_from_iter([("time", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
        let rows = rows.unwrap();
        let paths: Vec<PathBuf> =
            (0..OPEN_FILES + 2).map(|file| folder.path().join(file.to_string())).collect();
        for path in &paths {
            let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), None).unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
        }
        let files = OpenFiles::default();
        for path in &paths {
            files.get(path).unwrap();
            files.get(&paths[0]).unwrap();
        }
        assert_eq!(files.files().len(), OPEN_FILES);
        // The one used again and again is still open, though it is gone.
        for path in &paths {
            std::fs::remove_file(path).unwrap();
        }
        assert!(files.get(&paths[0]).is_ok() && files.get(&paths[3]).is_ok());
        assert!(files.get(&paths[1]).is_err() && files.get(&paths[2]).is_err());
    }
}
