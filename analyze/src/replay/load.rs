//! Raw rows of a range of keys: which rows of the files are in it, and which of them have one key.

use super::{
    batch::Batch,
    columns::Texts,
    decode::{Decode, Wanted},
    rows::{Address, Vocabulary},
    segments::{Key, Piece, Segment, SegmentError, UNSORTED},
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

/// Reads one table range after range, in the order of keys, and each piece of a sorted file once where what was
/// decoded beyond a range is held for the next ones.
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
    holds: bool,
    next_piece: usize,
    held: Loaded<T>,
    /// The last key that was decoded, before which none may follow.
    last: Option<Key>,
}

impl<'a, T: Decode> TableReader<'a, T> {
    /// A reader of the ranges from `first` on, which `holds` what it decoded beyond a range of a sorted file.
    pub fn new(segments: &'a [Segment], wanted: Wanted<'a>, holds: bool, first: Key) -> Self {
        let segments = segments.iter().filter(|segment| segment.table == T::TABLE);
        let file = |segment: &'a Segment| {
            let next_piece = segment.pieces.partition_point(|piece| piece.high < first);
            OfFile {
                segment,
                holds: holds && segment.is_sorted,
                next_piece,
                held: Loaded::default(),
                last: segment.pieces.get(next_piece).map(|piece| piece.low),
            }
        };
        let info_hashes = wanted.selection.info_hashes.iter();
        Self {
            files: segments.map(file).collect(),
            chosen: info_hashes.map(|info_hash| Address::new(info_hash.as_bytes())).collect(),
            wanted,
            columns: [&["info_hash", "ip"], T::COLUMNS].concat(),
            first,
        }
    }

    /// Reads the rows of keys from `low`, where the range before ended, up to but not including `high`, that are of a
    /// selected torrent and count.
    pub fn read(
        &mut self,
        (low, high): (Key, Key),
        vocabulary: &mut Vocabulary,
        loaded: &mut Loaded<T>,
    ) -> Result<(), SegmentError> {
        loaded.rows.clear();
        loaded.runs.clear();
        for file in &mut self.files {
            let pieces: Vec<Piece> = if file.holds {
                file.held.move_below(high, loaded);
                let rest = file.segment.pieces.get(file.next_piece..).unwrap_or_default();
                let begun = rest.iter().take_while(|piece| piece.low < high).copied().collect::<Vec<_>>();
                file.next_piece += begun.len();
                begun
            } else {
                overlapping(&file.segment.pieces, low, high)
            };
            if let Some(last) = pieces.last().filter(|_| file.holds) {
                // What of it lies beyond the range is held.
                file.held.rows.reserve(last.rows);
            }
            let mut sink = Sink {
                low: if file.holds { self.first } else { low },
                high,
                chosen: &self.chosen,
                beyond: file.holds.then_some(&mut file.held),
                is_sorted: file.segment.is_sorted,
                key: None,
                place: Place::Nowhere,
            };
            let mut last = if file.holds { file.last } else { pieces.first().map(|piece| piece.low) };
            file.segment.read(&self.columns, &pieces, |batch| {
                sink.take(batch, loaded, self.wanted, &mut last, vocabulary)
            })?;
            // What the pieces of a sorted file lie between is true only if its rows are in order.
            if file.segment.is_sorted && pieces.last().is_some_and(|piece| last > Some(piece.high)) {
                return Err(file.segment.unsorted());
            }
            file.last = last;
        }
        if !loaded.runs.is_sorted_by_key(|run| run.key) {
            // In place, and so that rows of one key stay in the order of the files.
            loaded.runs.sort_unstable_by_key(|run| (run.key, run.first));
        }
        Ok(())
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

    /// Appends a row of a key to the run of that key, or to a new one.
    fn push(&mut self, row: T, begin: Option<Key>) {
        let at = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        grow(&mut self.rows);
        self.rows.push(row);
        match (begin, self.runs.last_mut()) {
            (None, Some(run)) => run.end = at + 1,
            (Some(key), _) => {
                grow(&mut self.runs);
                self.runs.push(Run { key, first: at, end: at + 1 });
            }
            (None, None) => {}
        }
    }
}

/// Makes room for more where there is none, but not for twice as much: rows are most of what is in memory.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 4 + 1_024);
    }
}

/// Whether two views have the same length and the same first bytes.
fn starts_alike(one: Option<u128>, other: Option<u128>) -> bool {
    let start = |view: u128| view & u128::from(u64::MAX);
    one.map(start) == other.map(start)
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
    beyond: Option<&'a mut Loaded<T>>,
    is_sorted: bool,
    key: Option<Key>,
    place: Place,
}

impl<T: Decode> Sink<'_, T> {
    fn take(
        &mut self,
        batch: &Batch,
        loaded: &mut Loaded<T>,
        wanted: Wanted<'_>,
        last: &mut Option<Key>,
        vocabulary: &mut Vocabulary,
    ) -> Result<(), String> {
        let info_hash = Texts::of(batch, "info_hash")?;
        let ip = Texts::of(batch, "ip")?;
        let mut columns = T::columns(batch)?;
        let mut before = (None, None, None);
        // Whether the next row that counts is the first one of its key.
        let mut begins = self.key.is_none();
        for at in 0..batch.num_rows() {
            let views = (info_hash.view(at), ip.view(at));
            // Equal views are equal texts. Others may be, too, where texts lie in the file one after the other.
            let is_same = at > 0
                && views.0 == before.0
                && (views.1 == before.1
                    || (starts_alike(views.1, before.1)
                        && ip.text(at).is_some_and(|ip| Some(ip) == before.2)));
            if !is_same {
                before.2 = ip.text(at);
                let key = info_hash.text(at).zip(before.2).map(|(info_hash, ip)| Key {
                    info_hash: Address::new(info_hash.as_bytes()),
                    ip: Address::new(ip.as_bytes()),
                });
                if key != self.key {
                    if self.is_sorted && key < *last {
                        return Err(UNSORTED.to_owned());
                    }
                    *last = key;
                    self.key = key;
                    self.place = self.place_of(key);
                    begins = true;
                }
            }
            (before.0, before.1) = views;
            if self.place == Place::Nowhere {
                continue;
            }
            let Some(row) = T::row(&mut columns, at, vocabulary, wanted) else { continue };
            let begin = self.key.filter(|_| begins);
            match (self.place, &mut self.beyond) {
                (Place::Here, _) => loaded.push(row, begin),
                (_, Some(beyond)) => beyond.push(row, begin),
                (_, None) => {}
            }
            begins = false;
        }
        if begins {
            // No row of the key at hand counted; should one follow that does, it is the first.
            self.key = None;
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

/// The pieces that may hold such keys.
pub fn overlapping(pieces: &[Piece], low: Key, high: Key) -> Vec<Piece> {
    pieces.iter().filter(|piece| piece.low < high && piece.high >= low).copied().collect()
}
