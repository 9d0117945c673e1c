//! Rows decoded once, file after file, and written by range into a temporary file, from which each range is read at once.
//!
//! For logs whose files cannot be read side by side: where they are many that tell of the same keys, as those of every hour
//! do, or in no order. Each row is read, written and read again, whatever the number of files and ranges.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use bincode::{
    config::{self, Configuration},
    error::{DecodeError, EncodeError},
    serde::{borrow_decode_from_slice, encode_into_std_write},
};
use schema::table::Table;
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;

use super::{
    decode::{Decode, Wanted},
    load::{self, Loaded, Run},
    pieces::{Key, Piece},
    range::{Context, Range},
    relative::Relative,
    rows::{Address, Contact, Names, Progress, Row, Sighting, Vocabulary},
    segments::{Segment, SegmentError},
    workers,
};
use crate::scratch;

const BINCODE: Configuration = config::standard();

/// What precedes the rows of a key: its info-hash, if it is not that of the key before; its address; how many they are.
type Head<'a> = (Option<&'a str>, &'a str, u32);

/// The rows of a log by range.
pub struct Shuffle {
    scratch: Scratch,
    chunks: Vec<Chunk>,
    translations: Vec<Translation>,
    /// What rows are told with once they are read.
    pub vocabulary: Vocabulary,
}

/// The temporary file.
struct Scratch {
    file: File,
    path: PathBuf,
    end: AtomicU64,
    _folder: TempDir,
}

/// Rows of one table that were written at once.
struct Chunk {
    table: Table,
    /// The place of the translation of their numbers.
    translation: usize,
    /// Where those of each range begin, and where the last one's end.
    bounds: Vec<u64>,
}

/// Each number of another vocabulary in ours, by number.
struct Translation {
    runs: Vec<u32>,
    words: Vec<u32>,
}

/// Row groups of one table that are read with one vocabulary.
struct Parcel<'a> {
    table: Table,
    groups: Vec<(&'a Segment, &'a [Piece])>,
    rows: usize,
}

impl Shuffle {
    /// Writes the rows of a log that count by range; `done` is told how many were read.
    pub fn of(
        context: &Context<'_>,
        ranges: &[Range],
        mut done: impl FnMut(u64),
    ) -> Result<Self, SegmentError> {
        let scratch = Scratch::new().map_err(|error| SegmentError {
            file: std::env::temp_dir(),
            problem: format!("{error}; it is to hold the rows by range: set TMPDIR to another folder"),
        })?;
        let mut shuffle =
            Self { scratch, chunks: Vec::new(), translations: Vec::new(), vocabulary: Vocabulary::default() };
        let at_once = (context.pace.range_rows / 2).max(1);
        let parcels = parcels(context.segments, at_once);
        let writer = Writer { scratch: &shuffle.scratch, wanted: context.wanted(), ranges, at_once };
        workers::in_order(
            &parcels,
            |parcel| Ok((parcel.table, parcel.rows, writer.write(parcel)?)),
            |(table, rows, (vocabulary, chunks))| {
                let translation = shuffle.translations.len();
                shuffle.chunks.extend(chunks.into_iter().map(|bounds| Chunk { table, translation, bounds }));
                shuffle.translations.push(Translation {
                    runs: translated(&vocabulary.runs, &mut shuffle.vocabulary.runs),
                    words: translated(&vocabulary.words, &mut shuffle.vocabulary.words),
                });
                done(rows as u64);
                Ok(())
            },
        )?;
        Ok(shuffle)
    }

    /// Reads the rows of a range, by its place among all.
    pub fn read<T>(&self, range: usize, loaded: &mut Loaded<T>) -> Result<(), SegmentError>
    where
        T: Decode + Row + Relative + DeserializeOwned,
    {
        loaded.clear();
        let mut bytes = Vec::new();
        for chunk in self.chunks.iter().filter(|chunk| chunk.table == T::TABLE) {
            let (Some(begin), Some(end)) = (chunk.bounds.get(range), chunk.bounds.get(range + 1)) else {
                continue;
            };
            bytes.resize(usize::try_from(end - begin).unwrap_or(0), 0);
            self.scratch
                .file
                .read_exact_at(&mut bytes, *begin)
                .map_err(|error| self.scratch.failed(&error))?;
            let translation = self.translations.get(chunk.translation);
            read_range(&bytes, loaded, translation).map_err(|error| self.scratch.failed(&error))?;
        }
        loaded.sort();
        Ok(())
    }
}

impl Scratch {
    fn new() -> io::Result<Self> {
        let folder = scratch::folder()?;
        let path = folder.path().join("rows-by-range");
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, end: AtomicU64::new(0), _folder: folder })
    }

    /// Appends bytes and gives where they begin.
    fn append(&self, bytes: &[u8]) -> Result<u64, SegmentError> {
        let begin = self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(bytes, begin).map_err(|error| {
            self.failed(&format!(
                "{error}; set TMPDIR to a folder with more room, or run `analyze compact` on the log first"
            ))
        })?;
        Ok(begin)
    }

    fn failed(&self, problem: &dyn ToString) -> SegmentError {
        SegmentError { file: self.path.clone(), problem: problem.to_string() }
    }
}

/// The row groups of each table in parcels of about so many rows.
fn parcels(segments: &[Segment], rows: usize) -> Vec<Parcel<'_>> {
    let mut parcels: Vec<Parcel<'_>> = Vec::new();
    for table in [Contact::TABLE, Progress::TABLE, Sighting::TABLE] {
        for (segment, pieces) in workers::row_groups(segments, &[table]) {
            let more: usize = pieces.iter().map(|piece| piece.rows).sum();
            match parcels.last_mut().filter(|last| last.table == table && last.rows + more <= rows) {
                Some(last) => {
                    last.groups.push((segment, pieces));
                    last.rows += more;
                }
                None => parcels.push(Parcel { table, groups: vec![(segment, pieces)], rows: more }),
            }
        }
    }
    parcels
}

/// What writes parcels.
struct Writer<'a> {
    scratch: &'a Scratch,
    wanted: Wanted<'a>,
    ranges: &'a [Range],
    /// Rows that are held before they are written, about.
    at_once: usize,
}

/// A parcel's vocabulary, and the bounds of each of its chunks.
type Written = (Vocabulary, Vec<Vec<u64>>);

impl Writer<'_> {
    fn write(&self, parcel: &Parcel<'_>) -> Result<Written, SegmentError> {
        match parcel.table {
            Table::Contacts => self.write_rows::<Contact>(parcel),
            Table::Progress => self.write_rows::<Progress>(parcel),
            _ => self.write_rows::<Sighting>(parcel),
        }
    }

    fn write_rows<T: Decode + Relative + Serialize>(
        &self,
        parcel: &Parcel<'_>,
    ) -> Result<Written, SegmentError> {
        let mut vocabulary = Vocabulary::default();
        let mut chunks = Vec::new();
        let mut loaded = Loaded::<T>::default();
        for (segment, pieces) in &parcel.groups {
            load::all(segment, pieces, self.wanted, &mut vocabulary, &mut loaded, |loaded| {
                if loaded.rows.len() >= self.at_once {
                    chunks.push(self.write_chunk(loaded)?);
                }
                Ok(())
            })?;
        }
        chunks.push(self.write_chunk(&mut loaded)?);
        Ok((vocabulary, chunks))
    }

    /// Writes what is loaded, which is gone then, and gives where each range's rows begin and the last one's end.
    fn write_chunk<T: Relative + Serialize>(&self, loaded: &mut Loaded<T>) -> Result<Vec<u64>, SegmentError> {
        loaded.sort();
        let mut bytes = Vec::new();
        let mut bounds = Vec::with_capacity(self.ranges.len() + 1);
        let mut rest = loaded.runs.as_slice();
        for range in self.ranges {
            bounds.push(bytes.len() as u64);
            let (of_range, others) = rest.split_at(rest.partition_point(|run| run.key < range.high));
            rest = others;
            write_range(of_range, &loaded.rows, &mut bytes).map_err(|error| self.scratch.failed(&error))?;
        }
        bounds.push(bytes.len() as u64);
        loaded.clear();
        let begin = self.scratch.append(&bytes)?;
        for bound in &mut bounds {
            *bound += begin;
        }
        Ok(bounds)
    }
}

/// Writes rows of a range, whose runs are in order.
fn write_range<T: Relative + Serialize>(
    runs: &[Run],
    all: &[T],
    bytes: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut info_hash = None;
    for runs in runs.chunk_by(|one, other| one.key == other.key) {
        let Some(Key { info_hash: of, ip }) = runs.first().map(|run| &run.key) else { continue };
        let is_new = info_hash.replace(*of) != Some(*of);
        let count = runs.iter().map(|run| run.end - run.first).sum();
        let head: Head<'_> = (is_new.then_some(of.as_str()), ip.as_str(), count);
        encode_into_std_write(head, bytes, BINCODE)?;
        let mut before = None;
        let rows = |run: &Run| all.get(run.first as usize..run.end as usize).unwrap_or_default();
        for row in runs.iter().flat_map(rows) {
            encode_into_std_write(before.map_or(*row, |before| row.after(before)), bytes, BINCODE)?;
            before = Some(*row);
        }
    }
    Ok(())
}

/// Reads what [`write_range`] wrote.
fn read_range<T: Row + Relative + DeserializeOwned>(
    mut bytes: &[u8],
    loaded: &mut Loaded<T>,
    translation: Option<&Translation>,
) -> Result<(), DecodeError> {
    let mut info_hash = Address::FIRST;
    while !bytes.is_empty() {
        let ((of, ip, count), read): (Head<'_>, usize) = borrow_decode_from_slice(bytes, BINCODE)?;
        bytes = bytes.get(read..).unwrap_or_default();
        info_hash = of.map_or(info_hash, |of| Address::new(of.as_bytes()));
        let key = Key { info_hash, ip: Address::new(ip.as_bytes()) };
        let mut outcome = Ok(());
        let mut before = None;
        let fill = |rows: &mut Vec<T>| {
            outcome = (0..count).try_for_each(|_| {
                let (row, read): (T, usize) = borrow_decode_from_slice(bytes, BINCODE)?;
                bytes = bytes.get(read..).unwrap_or_default();
                let mut row = before.map_or(row, |before| row.whole(before));
                before = Some(row);
                if let Some(translation) = translation {
                    translate(row.run_mut(), &translation.runs);
                    if let Some(word) = row.word_mut() {
                        translate(word, &translation.words);
                    }
                }
                rows.push(row);
                Ok(())
            });
        };
        loaded.append(count as usize, fill, Some(key));
        outcome?;
    }
    Ok(())
}

fn translate(number: &mut u32, numbers: &[u32]) {
    *number = numbers.get(*number as usize).copied().unwrap_or_default();
}

/// Each number of some names in others, to which they are added.
fn translated(names: &Names, into: &mut Names) -> Vec<u32> {
    [0].into_iter().chain(names.texts().map(|text| into.number(text))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::replay::rows::Sighting;

    fn row(time: i64) -> Sighting {
        Sighting { time, run: 1, ip: 0, port: 6881, source: 2, code: None }
    }

    fn key(info_hash: u8, ip: u8) -> Key {
        let text = |number: u8| Address::new(format!("{number:04}").as_bytes());
        Key { info_hash: text(info_hash), ip: text(ip) }
    }

    /// Each row with its key, in order.
    fn rows(loaded: &Loaded<Sighting>) -> Vec<(Key, Sighting)> {
        let of_run = |run: &Run| {
            let rows = &loaded.rows[run.first as usize..run.end as usize];
            rows.iter().map(|row| (run.key, *row)).collect::<Vec<_>>()
        };
        loaded.runs.iter().flat_map(of_run).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_of_a_range_is_read_and_what_is_cut_is_an_error(
            runs in prop::collection::vec((0_u8..3, 0_u8..4, prop::collection::vec(any::<i64>(), 1..5)), 0..12),
            cut in 1_usize..40,
        ) {
            let mut loaded = Loaded::default();
            for (info_hash, ip, times) in &runs {
                let fill = |rows: &mut Vec<Sighting>| rows.extend(times.iter().map(|time| row(*time)));
                loaded.append(times.len(), fill, Some(key(*info_hash, *ip)));
            }
            loaded.sort();
            let mut bytes = Vec::new();
            write_range(&loaded.runs, &loaded.rows, &mut bytes).unwrap();
            let translation = Translation { runs: vec![0, 5], words: vec![0, 0, 7] };
            let mut read = Loaded::default();
            read_range(&bytes, &mut read, Some(&translation)).unwrap();
            let told = |(key, row): (Key, Sighting)| (key, Sighting { run: 5, source: 7, ..row });
            prop_assert_eq!(rows(&read), rows(&loaded).into_iter().map(told).collect::<Vec<_>>());
            if cut < bytes.len() {
                let mut less = Loaded::default();
                let whole = read_range(&bytes[..bytes.len() - cut], &mut less, Some(&translation)).is_ok();
                prop_assert!(!whole || rows(&less).len() < rows(&read).len());
            }
        }
    }

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch { file, path: "rows".into(), end: AtomicU64::new(0), _folder: folder };
        let told = scratch.append(b"rows").unwrap_err().to_string();
        assert_eq!(
            told,
            "rows: No space left on device (os error 28); set TMPDIR to a folder with more room, or run \
             `analyze compact` on the log first"
        );
    }
}
