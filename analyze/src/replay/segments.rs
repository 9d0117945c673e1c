//! Segments as the replay reads them: the files of a log, and the rows of some of their pieces.
//!
//! Rows are told by their own keys, so that files in any order are read right, and sorted ones fast.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use schema::table::Table;

use super::{
    batch::Batch,
    open_files::OpenFiles,
    pieces::{self, Piece},
};
use crate::log::Log;

/// What is wrong with a file whose rows are out of order: it is to be read otherwise.
pub const UNSORTED: &str = "its rows are out of order";

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .file.display())]
pub struct SegmentError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// A readable segment.
#[derive(Clone)]
pub struct Segment {
    /// The table it is of.
    pub table: Table,
    /// Where it is.
    pub path: PathBuf,
    open_files: Arc<OpenFiles>,
    /// Its rows, in order.
    pub pieces: Vec<Piece>,
    /// Whether its keys ascend, as far as is known; pieces lie between keys that are true if they do.
    pub is_sorted: bool,
}

impl Segment {
    /// Rows of its longest piece.
    pub fn longest_piece(&self) -> usize {
        self.pieces.iter().map(|piece| piece.rows).max().unwrap_or(0)
    }

    /// Remembers that a file's keys do not ascend, if it is this one.
    pub fn is_out_of_order(&mut self, file: &Path) -> Result<(), SegmentError> {
        if self.path == file {
            let pieces = self.open_files.get(&self.path).and_then(|open| open.pieces());
            self.pieces = pieces.map_err(|problem| self.failed(problem))?;
            self.is_sorted = false;
        }
        Ok(())
    }

    /// What is wrong with a file whose keys turn out not to ascend.
    pub fn unsorted(&self) -> SegmentError {
        self.failed(UNSORTED.to_owned())
    }

    fn failed(&self, problem: String) -> SegmentError {
        SegmentError { file: self.path.clone(), problem }
    }

    /// Every segment of some tables.
    pub fn open_all(log: &Log, tables: &[Table]) -> Result<Vec<Self>, SegmentError> {
        let open_files = Arc::new(OpenFiles::default());
        let files = log.files().filter(|(table, _)| tables.contains(table));
        files.map(|(table, path)| Self::open(table, path, &open_files)).collect()
    }

    fn open(table: Table, path: &Path, open_files: &Arc<OpenFiles>) -> Result<Self, SegmentError> {
        let pieces = open_files.get(path).and_then(|open| open.pieces());
        let pieces = pieces.map_err(|problem| SegmentError { file: path.to_path_buf(), problem })?;
        let in_order = pieces::in_order(&pieces);
        Ok(Self {
            table,
            path: path.to_path_buf(),
            open_files: Arc::clone(open_files),
            is_sorted: in_order.is_some(),
            pieces: in_order.unwrap_or(pieces),
        })
    }

    /// Reads columns of some pieces, which are in order, batch by batch; a column the file lacks is not in the batches, and of
    /// texts that all rows of a row group have only one is.
    pub fn read(
        &self,
        columns: &[&str],
        pieces: &[Piece],
        batch: impl FnMut(&Batch) -> Result<(), String>,
    ) -> Result<(), SegmentError> {
        let open = self.open_files.get(&self.path);
        open.and_then(|open| open.read(columns, pieces, batch)).map_err(|problem| self.failed(problem))
    }

    /// Whether some row of a row group may have a value in one of some columns that begins as is said beside it; false is
    /// certain.
    pub fn some_may_begin(&self, group: usize, starts: &[(&str, &[u8])]) -> bool {
        self.open_files.get(&self.path).map_or(true, |open| open.some_may_begin(group, starts))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

    use super::*;
    use crate::replay::columns::{Texts, Words};

    #[test]
    fn texts_that_all_rows_of_a_row_group_have_are_read_as_written() {
        let long = "x".repeat(200);
        let groups: [[Option<&str>; 4]; 6] = [
            [Some("one"); 4],
            [Some("two"); 4],
            [Some("one"), Some("one"), Some("two"), Some("one")],
            [Some("one"), None, Some("one"), Some("one")],
            [None; 4],
            [Some(&long); 4],
        ];
        let texts: Vec<Option<&str>> = groups.concat();
        let ips: Vec<String> = (0..texts.len()).map(|row| format!("10.0.0.{}", 100 + row)).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("info_hash", Arc::new(StringArray::from(vec!["a"; texts.len()]))),
            ("ip", Arc::new(StringArray::from_iter_values(&ips))),
            ("run", Arc::new(StringArray::from(texts.clone()))),
        ];
        let rows =
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true)));
        let rows = rows.unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4)).build();
        let mut writer =
            ArrowWriter::try_new(file.reopen().unwrap(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();

        let segment = Segment::open(Table::Progress, file.path(), &Arc::default()).unwrap();
        let (mut found, mut seen, mut constant) = (Vec::new(), Vec::<String>::new(), Vec::new());
        let read = segment.read(&["info_hash", "ip", "run"], &segment.pieces, |batch| {
            let (mut run, ip) = (Words::of(batch, "run")?, Texts::of(batch, "ip")?);
            constant.push((batch.constant("info_hash").is_some(), batch.constant("run").is_some()));
            for row in 0..batch.num_rows() {
                let code = run.code(row, |text| {
                    let place = seen.iter().position(|other| other == text);
                    let place = place.unwrap_or_else(|| {
                        seen.push(text.to_owned());
                        seen.len() - 1
                    });
                    u32::try_from(place + 1).unwrap()
                });
                let text = (code as usize).checked_sub(1).map(|place| seen[place].clone());
                found.push((ip.text(row).map(str::to_owned), text));
            }
            Ok(())
        });
        read.unwrap();
        let expected = ips.iter().zip(&texts).map(|(ip, text)| (Some(ip.clone()), text.map(str::to_owned)));
        assert_eq!(found, expected.collect::<Vec<_>>());
        let expected =
            [(true, true), (true, true), (true, false), (true, false), (true, false), (true, false)];
        assert_eq!(constant, expected);
        // A file of which nothing is left to be decoded still has its rows.
        let mut rows = 0;
        let read = segment.read(&["info_hash"], &segment.pieces, |batch| {
            rows += batch.num_rows();
            Ok(())
        });
        read.unwrap();
        assert_eq!(rows, texts.len());
    }
}
