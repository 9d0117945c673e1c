//! Segments as the replay reads them: what keys each piece of a file spans, and the rows of a range of keys.
//!
//! A key is (info-hash, IP address), in the order that segments are sorted by. A piece is a page of the address column, or
//! a row group where a file has no page index; a file without statistics is one piece that spans every key. Rows are told
//! by their own keys, so that files in any order are read right, and sorted ones fast.

use std::{
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
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
    file::{
        metadata::{PageIndexPolicy, RowGroupMetaData},
        page_index::column_index::ColumnIndexMetaData,
    },
};
use schema::{disk::Reader, segment::guarded, table::Table};

use super::{
    batch::{Batch, constants},
    dictionary,
    rows::Address,
};
use crate::log::Log;

/// What is wrong with a file whose rows are out of order: it is to be read otherwise.
pub const UNSORTED: &str = "its rows are out of order";

/// Rows decoded at once.
const BATCH_ROWS: usize = 8192;

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .file.display())]
pub struct SegmentError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// An info-hash and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The info-hash's text.
    pub info_hash: Address,
    /// The address's text.
    pub ip: Address,
}

impl Key {
    /// The first key of a torrent.
    pub fn first_of(info_hash: &[u8]) -> Self {
        Self { info_hash: Address::new(info_hash), ip: Address::new(b"") }
    }

    /// Before every key.
    pub const FIRST: Self = Self { info_hash: Address::FIRST, ip: Address::FIRST };
    /// After every key.
    pub const LAST: Self = Self { info_hash: Address::LAST, ip: Address::LAST };
}

/// Rows next to each other in a file, and the keys they lie between.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// The row group.
    pub group: usize,
    /// The first row in it.
    pub first_row: usize,
    /// How many rows.
    pub rows: usize,
    /// No info-hash is lower than the one or higher than the other, in whatever order the rows are.
    pub torrents: (Address, Address),
    /// No key is lower.
    pub low: Key,
    /// No key is higher.
    pub high: Key,
}

impl Piece {
    /// Whether it has rows of its lowest and its highest key.
    fn is_exact(&self) -> bool {
        self.torrents.0 == self.torrents.1
    }
}

/// A readable segment.
#[derive(Clone)]
pub struct Segment {
    /// The table it is of.
    pub table: Table,
    /// Where it is.
    pub path: PathBuf,
    reader: Reader,
    metadata: ArrowReaderMetadata,
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
    pub fn is_out_of_order(&mut self, file: &Path) {
        if self.path == file {
            self.pieces = pieces(&self.metadata);
            self.is_sorted = false;
        }
    }

    /// What is wrong with a file whose keys turn out not to ascend.
    pub fn unsorted(&self) -> SegmentError {
        SegmentError { file: self.path.clone(), problem: UNSORTED.to_owned() }
    }

    /// Opens every segment of some tables.
    pub fn open_all(log: &Log, tables: &[Table]) -> Result<Vec<Self>, SegmentError> {
        let files = log.files().filter(|(table, _)| tables.contains(table));
        files.map(|(table, path)| Self::open(table, path)).collect()
    }

    fn open(table: Table, path: &Path) -> Result<Self, SegmentError> {
        let failed = |problem: String| SegmentError { file: path.to_path_buf(), problem };
        let reader = File::open(path).and_then(Reader::new).map_err(|error| failed(error.to_string()))?;
        let found = guarded(|| metadata(&reader).map(|metadata| (pieces(&metadata), metadata)));
        let (pieces, metadata) = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        };
        let in_order = in_order(&pieces);
        let is_sorted = in_order.is_some();
        let pieces = in_order.unwrap_or(pieces);
        Ok(Self { table, path: path.to_path_buf(), reader, metadata, pieces, is_sorted })
    }

    /// Reads columns of some pieces, which are in order, batch by batch; a column the file lacks is not in the batches, and of
    /// texts that all rows of a row group have only one is.
    pub fn read(
        &self,
        columns: &[&str],
        pieces: &[Piece],
        batch: impl FnMut(&Batch) -> Result<(), String>,
    ) -> Result<(), SegmentError> {
        let read = guarded(|| self.read_groups(columns, pieces, batch));
        read.unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|problem| SegmentError { file: self.path.clone(), problem })
    }

    /// Whether some row of a row group may have a value in a column that begins so: false is certain, and found without
    /// decoding rows.
    pub fn some_may_begin(&self, group: usize, column: &str, start: &[u8]) -> bool {
        let group = self.metadata.metadata().row_group(group);
        let found = guarded(|| dictionary::some_may_begin(self.reader.clone(), group, column, start));
        // What is damaged is told by whoever reads the rows.
        !matches!(found, Ok(Ok(false)))
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
        let indexed = options.clone().with_page_index_policy(PageIndexPolicy::Optional);
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

fn pieces(metadata: &ArrowReaderMetadata) -> Vec<Piece> {
    let metadata = metadata.metadata();
    let columns = metadata.file_metadata().schema_descr();
    let place = |name: &str| columns.columns().iter().position(|column| column.name() == name);
    let (info_hash, ip) = (place("info_hash"), place("ip"));
    let mut pieces = Vec::new();
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let (hash_low, hash_high) = bounds(group, info_hash);
        let (ip_low, ip_high) = bounds(group, ip);
        let whole = spanning(number, 0..rows, (hash_low, hash_high), (ip_low, ip_high));
        let index = metadata.page_index_for_row_group(number);
        let pages = |column: usize| -> Option<Vec<(usize, Address, Address)>> {
            let starts = index.offset_index(column)?.page_locations();
            let Some(ColumnIndexMetaData::BYTE_ARRAY(values)) = index.column_index(column) else {
                return None;
            };
            let page = |(at, page): (usize, &parquet::file::page_index::offset_index::PageLocation)| {
                let low = values.min_value(at).map_or(Address::FIRST, Address::new);
                let high = values.max_value(at).map_or(Address::LAST, Address::new);
                Some((usize::try_from(page.first_row_index).ok()?, low, high))
            };
            starts.iter().enumerate().map(page).collect()
        };
        match info_hash.and_then(&pages).zip(ip.and_then(&pages)) {
            Some((of_hash, of_ip)) => pieces.extend(by_page(number, rows, &of_hash, &of_ip)),
            None => pieces.push(whole),
        }
    }
    pieces
}

/// A piece a page of the address column; its info-hashes are those of the pages that overlap it.
fn by_page(
    group: usize,
    rows: usize,
    of_hash: &[(usize, Address, Address)],
    of_ip: &[(usize, Address, Address)],
) -> Vec<Piece> {
    let ends = of_ip.iter().skip(1).map(|(first, ..)| *first).chain([rows]);
    let mut pieces = Vec::with_capacity(of_ip.len());
    for ((first, ip_low, ip_high), end) in of_ip.iter().zip(ends) {
        let last = of_hash.partition_point(|(at, ..)| *at < end);
        let from = of_hash.partition_point(|(at, ..)| at <= first).saturating_sub(1);
        let over = of_hash.get(from..last).unwrap_or_default();
        let hash_low = over.iter().map(|(_, low, _)| *low).min().unwrap_or(Address::FIRST);
        let hash_high = over.iter().map(|(.., high)| *high).max().unwrap_or(Address::LAST);
        pieces.push(spanning(group, *first..end, (hash_low, hash_high), (*ip_low, *ip_high)));
    }
    pieces
}

/// Where a piece holds several torrents, its first and last address tell nothing of each.
fn spanning(
    group: usize,
    rows: Range<usize>,
    (hash_low, hash_high): (Address, Address),
    (ip_low, ip_high): (Address, Address),
) -> Piece {
    let one = hash_low == hash_high;
    Piece {
        group,
        first_row: rows.start,
        rows: rows.end.saturating_sub(rows.start),
        torrents: (hash_low, hash_high),
        low: Key { info_hash: hash_low, ip: if one { ip_low } else { Address::FIRST } },
        high: Key { info_hash: hash_high, ip: if one { ip_high } else { Address::LAST } },
    }
}

/// What pieces lie between if the file's keys ascend: of a piece with several torrents, what its neighbours leave. `None`
/// where the keys cannot ascend.
fn in_order(pieces: &[Piece]) -> Option<Vec<Piece>> {
    let mut found = pieces.to_vec();
    let mut lowest = Key::FIRST;
    for piece in &mut found {
        if piece.is_exact() && piece.low < lowest {
            return None;
        }
        piece.low = piece.low.max(lowest);
        lowest = if piece.is_exact() { piece.high } else { piece.low };
    }
    let mut highest = Key::LAST;
    for piece in found.iter_mut().rev() {
        piece.high = piece.high.min(highest);
        if piece.low > piece.high {
            return None;
        }
        highest = if piece.is_exact() { piece.low } else { piece.high };
    }
    Some(found)
}

fn bounds(group: &RowGroupMetaData, column: Option<usize>) -> (Address, Address) {
    let statistics = column.and_then(|column| group.columns().get(column)?.statistics());
    let text = |bytes: Option<&[u8]>, else_: Address| bytes.map_or(else_, Address::new);
    match statistics {
        Some(found) => {
            (text(found.min_bytes_opt(), Address::FIRST), text(found.max_bytes_opt(), Address::LAST))
        }
        None => (Address::FIRST, Address::LAST),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

    use super::*;
    use crate::replay::columns::{Texts, Words};

    fn key(info_hash: &str, ip: &str) -> Key {
        Key { info_hash: Address::new(info_hash.as_bytes()), ip: Address::new(ip.as_bytes()) }
    }

    fn piece(low: (&str, &str), high: (&str, &str)) -> Piece {
        let [low, high] = [low, high].map(|text| [text.0, text.1].map(|text| Address::new(text.as_bytes())));
        spanning(0, 0..1, (low[0], high[0]), (low[1], high[1]))
    }

    #[test]
    fn neighbours_tell_what_a_piece_of_several_torrents_lies_between() {
        let pieces = [
            piece(("a", "1"), ("a", "3")),
            piece(("a", "0"), ("c", "9")),
            piece(("a", "0"), ("c", "9")),
            piece(("c", "2"), ("c", "5")),
            piece(("c", "5"), ("d", "7")),
        ];
        let found = in_order(&pieces).unwrap();
        let between: Vec<(Key, Key)> = found.iter().map(|piece| (piece.low, piece.high)).collect();
        let last = Key { info_hash: key("d", "").info_hash, ip: Address::LAST };
        let expected = [
            (key("a", "1"), key("a", "3")),
            (key("a", "3"), key("c", "2")),
            (key("a", "3"), key("c", "2")),
            (key("c", "2"), key("c", "5")),
            (key("c", "5"), last),
        ];
        assert_eq!(between, expected);
    }

    #[test]
    fn keys_that_cannot_ascend_are_found_out() {
        let (low, high) = (piece(("a", "1"), ("a", "3")), piece(("b", "2"), ("b", "5")));
        let both = piece(("a", "0"), ("b", "9"));
        for pieces in [&[high, low][..], &[low, low], &[high, both, low], &[both, high, low]] {
            assert!(in_order(pieces).is_none(), "{pieces:?}");
        }
        for pieces in [&[][..], &[low, high], &[both, both], &[low, both, high], &[both, low, high]] {
            assert!(in_order(pieces).is_some(), "{pieces:?}");
        }
    }

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

        let segment = Segment::open(Table::Progress, file.path()).unwrap();
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
