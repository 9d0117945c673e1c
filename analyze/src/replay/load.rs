//! Raw rows of a range of keys: which rows of the files are in it, and which of them have one key.
//!
//! Sorted files are read side by side, and each piece once: what was decoded beyond a range is held for the next ones.

use std::ops::Range;

use super::{
    batch::Batch,
    columns::Texts,
    decode::{Decode, Wanted},
    pieces::{Key, Piece},
    rows::{Address, Vocabulary},
    segments::{Segment, SegmentError, UNSORTED},
};

/// Rows with one key, next to each other in [`Loaded::rows`].
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The info-hash and the address.
    pub key: Key,
    /// The first row.
    pub first: u32,
    /// Behind the last row.
    pub end: u32,
}

/// The rows of one table in a range.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The rows, in the order of the files.
    pub rows: Vec<T>,
    /// Which rows have which key, by key.
    pub runs: Vec<Run>,
}

impl<T> Default for Loaded<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), runs: Vec::new() }
    }
}

/// Reads one table of sorted files range after range, in the order of keys.
pub struct TableReader<'a, T> {
    files: Vec<OfFile<'a, T>>,
    chosen: Vec<Address>,
    wanted: Wanted<'a>,
    columns: Vec<&'static str>,
    first: Key,
}

/// How far a file is read.
struct OfFile<'a, T> {
    segment: &'a Segment,
    next_piece: usize,
    /// What was decoded beyond the range.
    held: Loaded<T>,
    /// The last key that was decoded, before which none may follow.
    last: Option<Key>,
}

impl<'a, T: Decode> TableReader<'a, T> {
    /// A reader of the ranges from `first` on.
    pub fn new(segments: &'a [Segment], wanted: Wanted<'a>, first: Key) -> Self {
        let segments = segments.iter().filter(|segment| segment.table == T::TABLE);
        let file = |segment: &'a Segment| {
            let next_piece = segment.pieces.partition_point(|piece| piece.high < first);
            OfFile {
                segment,
                next_piece,
                held: Loaded::default(),
                last: segment.pieces.get(next_piece).map(|piece| piece.low),
            }
        };
        Self {
            files: segments.map(file).collect(),
            chosen: chosen(wanted),
            wanted,
            columns: columns::<T>(),
            first,
        }
    }

    /// Reads the rows of keys from where the range before ended up to but not including `high`, that are of a selected
    /// torrent and count.
    pub fn read(
        &mut self,
        high: Key,
        vocabulary: &mut Vocabulary,
        loaded: &mut Loaded<T>,
    ) -> Result<(), SegmentError> {
        loaded.clear();
        for file in &mut self.files {
            file.held.move_below(high, loaded);
            let rest = file.segment.pieces.get(file.next_piece..).unwrap_or_default();
            let begun = rest.iter().take_while(|piece| piece.low < high).count();
            file.next_piece += begun;
            let pieces = rest.get(..begun).unwrap_or_default();
            let Some(last_piece) = pieces.last() else { continue };
            // What of it lies beyond the range is held.
            file.held.rows.reserve(last_piece.rows);
            let mut sink = Sink {
                low: self.first,
                high,
                chosen: &self.chosen,
                beyond: Some(&mut file.held),
                ..Sink::default()
            };
            let last = &mut file.last;
            file.segment.read(&self.columns, pieces, |batch| {
                sink.take(batch, loaded, self.wanted, Some(last), vocabulary)
            })?;
            // What the pieces lie between is true only if the rows are in order.
            if *last > Some(last_piece.high) {
                return Err(file.segment.unsorted());
            }
        }
        loaded.sort();
        Ok(())
    }
}

/// Reads pieces of a file, whose rows may be in any order: those that are of a selected torrent and count. `loaded` is told
/// again and again how far it is, and may take what is there.
pub fn all<T: Decode>(
    segment: &Segment,
    pieces: &[Piece],
    wanted: Wanted<'_>,
    vocabulary: &mut Vocabulary,
    rows: &mut Loaded<T>,
    mut loaded: impl FnMut(&mut Loaded<T>) -> Result<(), SegmentError>,
) -> Result<(), SegmentError> {
    let chosen = chosen(wanted);
    let mut sink = Sink { chosen: &chosen, ..Sink::default() };
    let mut failed = None;
    let read = segment.read(&columns::<T>(), pieces, |batch| {
        // What was taken may have had the last run.
        sink.begins = true;
        sink.take(batch, rows, wanted, None, vocabulary)?;
        loaded(rows).map_err(|error| failed.insert(error).to_string())
    });
    failed.map_or(read, Err)
}

/// The selected torrents; none where all are.
fn chosen(wanted: Wanted<'_>) -> Vec<Address> {
    wanted.selection.info_hashes.iter().map(|info_hash| Address::new(info_hash.as_bytes())).collect()
}

fn columns<T: Decode>() -> Vec<&'static str> {
    [&["info_hash", "ip"], T::COLUMNS].concat()
}

impl<T> Loaded<T> {
    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.runs.clear();
    }

    /// Sorts by key, so that rows of one key stay in the order in which they came.
    pub fn sort(&mut self) {
        if !self.runs.is_sorted_by_key(|run| run.key) {
            // In place.
            self.runs.sort_unstable_by_key(|run| (run.key, run.first));
        }
    }
}

impl<T: Copy> Loaded<T> {
    /// Moves the rows of keys below `high`, which are the first ones.
    fn move_below(&mut self, high: Key, to: &mut Self) {
        let runs = self.runs.partition_point(|run| run.key < high);
        let Some(last) = runs.checked_sub(1).and_then(|last| self.runs.get(last)) else { return };
        let (rows, offset) = (last.end as usize, to.rows.len());
        let moved = u32::try_from(offset).unwrap_or(u32::MAX);
        to.rows.extend(self.rows.drain(..rows.min(self.rows.len())));
        to.runs.extend(self.runs.drain(..runs).map(|run| Run {
            first: run.first + moved,
            end: run.end + moved,
            ..run
        }));
        let gone = u32::try_from(rows).unwrap_or(u32::MAX);
        for run in &mut self.runs {
            run.first -= gone;
            run.end -= gone;
        }
        // There may be many files: what is not held any more is given back.
        if self.rows.capacity() > 2 * self.rows.len() {
            self.rows.shrink_to_fit();
        }
    }

    /// Appends rows of one key, at most so many: to the last run, or to a new one where they `begin` a key. Gives whether
    /// there are any.
    pub fn append(&mut self, most: usize, fill: impl FnOnce(&mut Vec<T>), begin: Option<Key>) -> bool {
        let first = self.rows.len();
        make_room(&mut self.rows, most);
        fill(&mut self.rows);
        if self.rows.len() == first {
            return false;
        }
        let place = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
        let end = place(self.rows.len());
        match (begin, self.runs.last_mut()) {
            (None, Some(run)) => run.end = end,
            (Some(key), _) => {
                make_room(&mut self.runs, 1);
                self.runs.push(Run { key, first: place(first), end });
            }
            (None, None) => {}
        }
        true
    }
}

/// Makes room for more where there is none, but not for twice as much: rows are most of what is in memory.
fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 4 + 1_024));
    }
}

/// Where rows of the key at hand belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a later range.
    Beyond,
    /// In this one.
    Here,
    /// Before all of them, or of no chosen torrent.
    Nowhere,
}

/// Sorts decoded rows into a range and what lies beyond it.
struct Sink<'a, T> {
    low: Key,
    high: Key,
    chosen: &'a [Address],
    /// What lies beyond, where that is not left out.
    beyond: Option<&'a mut Loaded<T>>,
    /// The key at hand; `None` for rows without one.
    key: Option<Key>,
    /// Where its rows belong.
    place: Place,
    /// Whether none of them counted so far.
    begins: bool,
}

impl<T> Default for Sink<'_, T> {
    fn default() -> Self {
        Self {
            low: Key::FIRST,
            high: Key::LAST,
            chosen: &[],
            beyond: None,
            key: None,
            place: Place::Nowhere,
            begins: true,
        }
    }
}

/// The keys of a batch's rows.
struct Keys<'a> {
    info_hash: Texts<'a>,
    ip: Texts<'a>,
}

impl Keys<'_> {
    /// A row's key; `None` where part of it is missing.
    fn key(&self, row: usize) -> Option<Key> {
        let (info_hash, ip) = (self.info_hash.text(row)?, self.ip.text(row)?);
        Some(Key { info_hash: Address::new(info_hash.as_bytes()), ip: Address::new(ip.as_bytes()) })
    }

    /// Rows with the same key from `first` on, of a batch of so many; there may be more of that key.
    fn alike(&self, first: usize, of: usize) -> Range<usize> {
        let info_hash = self.info_hash.view(first);
        let (view, text) = (self.ip.view(first), self.ip.text(first));
        // Equal views are equal texts. Others may be, too, where texts lie in the file one after the other.
        let is_same = |row: &usize| {
            self.info_hash.view(*row) == info_hash
                && (self.ip.view(*row) == view
                    || starts_alike(self.ip.view(*row), view) && self.ip.text(*row) == text)
        };
        first..(first + 1..of).find(|row| !is_same(row)).unwrap_or(of)
    }
}

/// Whether two views have the same length and the same first bytes.
fn starts_alike(one: Option<u128>, other: Option<u128>) -> bool {
    let start = |view: u128| view & u128::from(u64::MAX);
    one.map(start) == other.map(start)
}

impl<T: Decode> Sink<'_, T> {
    /// Takes the rows of a batch; `last` is the last key so far of a file in which none may follow a higher one.
    fn take(
        &mut self,
        batch: &Batch,
        loaded: &mut Loaded<T>,
        wanted: Wanted<'_>,
        mut last: Option<&mut Option<Key>>,
        vocabulary: &mut Vocabulary,
    ) -> Result<(), String> {
        let keys = Keys { info_hash: Texts::of(batch, "info_hash")?, ip: Texts::of(batch, "ip")? };
        let mut columns = T::columns(batch)?;
        let mut end = 0;
        while end < batch.num_rows() {
            let rows = keys.alike(end, batch.num_rows());
            let key = keys.key(rows.start);
            end = rows.end;
            if self.key != key {
                if let Some(last) = &mut last {
                    if key < **last {
                        return Err(UNSORTED.to_owned());
                    }
                    **last = key;
                }
                self.key = key;
                self.place = self.place_of(key);
                self.begins = true;
            }
            let into = match (self.place, &mut self.beyond) {
                (Place::Here, _) => &mut *loaded,
                (Place::Beyond, Some(beyond)) => beyond,
                _ => continue,
            };
            let most = rows.len();
            let fill = |list: &mut Vec<T>| {
                for at in rows {
                    if let Some(row) = T::row(&mut columns, at, vocabulary, wanted) {
                        list.push(row);
                    }
                }
            };
            if into.append(most, fill, key.filter(|_| self.begins)) {
                self.begins = false;
            }
        }
        Ok(())
    }

    fn place_of(&self, key: Option<Key>) -> Place {
        let Some(key) = key else { return Place::Nowhere };
        let is_chosen = self.chosen.is_empty() || self.chosen.contains(&key.info_hash);
        if key < self.low || !is_chosen {
            Place::Nowhere
        } else if key < self.high {
            Place::Here
        } else if self.beyond.is_some() {
            Place::Beyond
        } else {
            Place::Nowhere
        }
    }
}
