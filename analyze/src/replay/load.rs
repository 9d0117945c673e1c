//! Raw rows of a range of keys: Parquet batches → rows of [`super::rows`], and which of them have one key.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Int64Array, RecordBatch, StringViewArray,
    },
    compute::cast,
    datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use schema::table::{ContactOutcome, Direction, ProgressKind, Table};

use super::{
    rows::{Address, Contact, Names, PeerId, Progress, Sighting},
    segments::{Key, Piece, Segment, SegmentError},
};
use crate::log::Selection;

/// Our peer IDs begin with this (BEP 20), and are below [`PEER_ID_END`] in the order of bytes.
pub const PEER_ID_PREFIX: &[u8] = b"-SW";
/// Our peer IDs are below this.
pub const PEER_ID_END: &[u8] = b"-SX";

/// The program's name in the extended handshake's `v`.
pub const CLIENT: &str = "Swarmtally ";

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

/// A column of texts; the few different ones of a column such as `kind` are looked at once a batch.
pub struct Texts<'a> {
    array: Option<&'a StringViewArray>,
    seen: Vec<(u128, u32)>,
}

impl<'a> Texts<'a> {
    /// The column of a batch; one that is not there is null throughout.
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Self, String> {
        let array = match batch.column_by_name(name) {
            None => None,
            Some(column) => Some(column.as_string_view_opt().ok_or_else(|| wrong(name))?),
        };
        Ok(Self { array, seen: Vec::new() })
    }

    /// A row's text.
    pub fn text(&self, row: usize) -> Option<&'a str> {
        let array = self.array?;
        (row < array.len() && array.is_valid(row)).then(|| array.value(row))
    }

    /// What says whether two rows of this batch have the same text without looking at it; it may differ nevertheless.
    pub fn view(&self, row: usize) -> Option<u128> {
        self.array?.views().get(row).copied()
    }

    /// What `code` makes of a row's text, which is asked once for most texts; 0 for null.
    pub fn code(&mut self, row: usize, code: impl FnOnce(&str) -> u32) -> u32 {
        let Some(view) = self.view(row) else { return 0 };
        let Some(text) = self.text(row) else { return 0 };
        if let Some((_, code)) = self.seen.iter().find(|(seen, _)| *seen == view) {
            return *code;
        }
        let code = code(text);
        if self.seen.len() >= 16 {
            self.seen.clear();
        }
        self.seen.push((view, code));
        code
    }
}

fn wrong(name: &str) -> String {
    format!("column {name} has a type that cannot be read")
}

/// A column of numbers or times as `Int64`; null throughout where there is none.
pub struct Numbers(Option<Int64Array>);

impl Numbers {
    /// The column of a batch.
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Self, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(Self(None)) };
        let cast_to = |to: &DataType| cast(column, to).map_err(|error| format!("column {name}: {error}"));
        let micros = |times: &ArrayRef| {
            let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(times.reinterpret_cast::<Int64Type>())
        };
        let found = match column.data_type() {
            DataType::Int64 => column.as_primitive_opt::<Int64Type>().cloned(),
            DataType::Timestamp(TimeUnit::Microsecond, _) => micros(column),
            DataType::Timestamp(_, zone) => {
                micros(&cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?)
            }
            _ => cast_to(&DataType::Int64)?.as_primitive_opt::<Int64Type>().cloned(),
        };
        Ok(Self(Some(found.ok_or_else(|| wrong(name))?)))
    }

    /// A row's value.
    pub fn get(&self, row: usize) -> Option<i64> {
        let array = self.0.as_ref()?;
        if array.nulls().is_some_and(|nulls| row >= nulls.len() || nulls.is_null(row)) {
            return None;
        }
        array.values().get(row).copied()
    }

    fn port(&self, row: usize) -> i32 {
        self.get(row).and_then(|port| i32::try_from(port).ok()).unwrap_or(-1)
    }
}

/// A column of bytes.
pub struct Bytes<'a>(Option<&'a BinaryViewArray>);

impl<'a> Bytes<'a> {
    /// The column of a batch.
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Self, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(Self(None)) };
        Ok(Self(Some(column.as_binary_view_opt().ok_or_else(|| wrong(name))?)))
    }

    /// A row's bytes.
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        let array = self.0?;
        (row < array.len() && array.is_valid(row)).then(|| array.value(row))
    }
}

struct Truths<'a>(Option<&'a BooleanArray>);

impl<'a> Truths<'a> {
    fn of(batch: &'a RecordBatch, name: &str) -> Result<Self, String> {
        let Some(column) = batch.column_by_name(name) else { return Ok(Self(None)) };
        Ok(Self(Some(column.as_boolean_opt().ok_or_else(|| wrong(name))?)))
    }

    fn get(&self, row: usize) -> bool {
        self.0.is_some_and(|array| row < array.len() && array.is_valid(row) && array.value(row))
    }
}

/// A row type that is read from batches.
pub trait Decode: Sized + Copy {
    /// Its table.
    const TABLE: Table;
    /// The columns it is made of, besides `info_hash` and `ip`.
    const COLUMNS: &'static [&'static str];
    /// The columns of a batch.
    type Columns<'a>;

    /// Finds the columns.
    fn columns(batch: &RecordBatch) -> Result<Self::Columns<'_>, String>;

    /// The row at a place; `None` for one that does not count.
    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        names: &mut Names,
        selection: &Selection,
    ) -> Option<Self>;
}

/// The columns of `contacts`.
pub struct ContactColumns<'a> {
    time: Numbers,
    run: Texts<'a>,
    contact: Numbers,
    port: Numbers,
    direction: Texts<'a>,
    outcome: Texts<'a>,
    open_us: Numbers,
    peer_id: Bytes<'a>,
    client: Texts<'a>,
    listen_port: Numbers,
}

/// A member's place among all of its set, plus 1; 0 for a text of a later version.
fn member<T: Copy>(all: &[T], text: &str, as_str: fn(T) -> &'static str) -> u32 {
    let place = all.iter().position(|member| as_str(*member) == text);
    place.and_then(|place| u32::try_from(place + 1).ok()).unwrap_or(0)
}

fn of_code<T: Copy>(all: &[T], code: u32) -> Option<T> {
    all.get((code as usize).checked_sub(1)?).copied()
}

/// 1 for the direction of an outgoing contact.
pub fn is_out(text: &str) -> u32 {
    u32::from(text == Direction::Out.as_str())
}

/// Whether a peer ID is one that our program makes up.
pub fn is_our_id(id: &[u8]) -> bool {
    id >= PEER_ID_PREFIX && id < PEER_ID_END
}

impl Decode for Contact {
    const TABLE: Table = Table::Contacts;
    const COLUMNS: &'static [&'static str] = &[
        "time",
        "run",
        "contact",
        "port",
        "direction",
        "outcome",
        "open_us",
        "peer_id",
        "client",
        "listen_port",
    ];
    type Columns<'a> = ContactColumns<'a>;

    fn columns(batch: &RecordBatch) -> Result<Self::Columns<'_>, String> {
        Ok(ContactColumns {
            time: Numbers::of(batch, "time")?,
            run: Texts::of(batch, "run")?,
            contact: Numbers::of(batch, "contact")?,
            port: Numbers::of(batch, "port")?,
            direction: Texts::of(batch, "direction")?,
            outcome: Texts::of(batch, "outcome")?,
            open_us: Numbers::of(batch, "open_us")?,
            peer_id: Bytes::of(batch, "peer_id")?,
            client: Texts::of(batch, "client")?,
            listen_port: Numbers::of(batch, "listen_port")?,
        })
    }

    /// Contacts of all times count: identities do not depend on the selected time.
    fn row(columns: &mut Self::Columns<'_>, at: usize, names: &mut Names, _: &Selection) -> Option<Self> {
        let time = columns.time.get(at)?;
        let outcome =
            columns.outcome.code(at, |text| member(ContactOutcome::ALL, text, ContactOutcome::as_str));
        let outcome = of_code(ContactOutcome::ALL, outcome);
        let client = columns.client.code(at, |text| names.number(text));
        let peer_id = columns.peer_id.get(at);
        let shows_us = outcome == Some(ContactOutcome::SelfConnection)
            || peer_id.is_some_and(is_our_id)
            || names.text(client).is_some_and(|client| client.starts_with(CLIENT));
        let listen_port = columns.listen_port.get(at).and_then(|port| u16::try_from(port).ok());
        Some(Self {
            time,
            contact: columns.contact.get(at).unwrap_or_default(),
            handshake_at: columns.open_us.get(at).map(|open_us| time - open_us),
            run: columns.run.code(at, |text| names.number(text)),
            ip: 0,
            port: columns.port.port(at),
            listen_port: listen_port.filter(|port| *port > 0),
            peer_id: peer_id.map(PeerId::new),
            client,
            out: columns.direction.code(at, is_out) == 1,
            outcome,
            shows_us,
        })
    }
}

/// The columns of `progress`.
pub struct ProgressColumns<'a> {
    time: Numbers,
    run: Texts<'a>,
    contact: Numbers,
    port: Numbers,
    direction: Texts<'a>,
    kind: Texts<'a>,
    settled: Truths<'a>,
    pieces: Numbers,
}

impl Decode for Progress {
    const TABLE: Table = Table::Progress;
    const COLUMNS: &'static [&'static str] =
        &["time", "run", "contact", "port", "direction", "kind", "settled", "pieces"];
    type Columns<'a> = ProgressColumns<'a>;

    fn columns(batch: &RecordBatch) -> Result<Self::Columns<'_>, String> {
        Ok(ProgressColumns {
            time: Numbers::of(batch, "time")?,
            run: Texts::of(batch, "run")?,
            contact: Numbers::of(batch, "contact")?,
            port: Numbers::of(batch, "port")?,
            direction: Texts::of(batch, "direction")?,
            kind: Texts::of(batch, "kind")?,
            settled: Truths::of(batch, "settled")?,
            pieces: Numbers::of(batch, "pieces")?,
        })
    }

    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        names: &mut Names,
        selection: &Selection,
    ) -> Option<Self> {
        let time = columns.time.get(at).filter(|time| selection.holds(*time))?;
        let have = 1 + u32::from(u8::from(ProgressKind::Have));
        let kind =
            columns.kind.code(at, |text| match member(ProgressKind::ALL, text, ProgressKind::as_str) {
                0 => have,
                code => code,
            });
        Some(Self {
            time,
            contact: columns.contact.get(at).unwrap_or_default(),
            pieces: columns.pieces.get(at).and_then(|pieces| u32::try_from(pieces).ok()),
            run: columns.run.code(at, |text| names.number(text)),
            ip: 0,
            port: columns.port.port(at),
            kind: of_code(ProgressKind::ALL, kind)?,
            out: columns.direction.code(at, is_out) == 1,
            settled: columns.settled.get(at),
        })
    }
}

/// The columns of `sightings`.
pub struct SightingColumns<'a> {
    time: Numbers,
    run: Texts<'a>,
    port: Numbers,
    source: Texts<'a>,
}

impl Decode for Sighting {
    const TABLE: Table = Table::Sightings;
    const COLUMNS: &'static [&'static str] = &["time", "run", "port", "source"];
    type Columns<'a> = SightingColumns<'a>;

    fn columns(batch: &RecordBatch) -> Result<Self::Columns<'_>, String> {
        Ok(SightingColumns {
            time: Numbers::of(batch, "time")?,
            run: Texts::of(batch, "run")?,
            port: Numbers::of(batch, "port")?,
            source: Texts::of(batch, "source")?,
        })
    }

    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        names: &mut Names,
        selection: &Selection,
    ) -> Option<Self> {
        let time = columns.time.get(at).filter(|time| selection.holds(*time))?;
        let source = columns.source.code(at, |text| names.number(text));
        Some(Self {
            time,
            run: columns.run.code(at, |text| names.number(text)),
            ip: 0,
            port: columns.port.port(at),
            source,
            code: names.text(source).and_then(|text| text.parse().ok()),
        })
    }
}

/// Rows that may be held for the next ranges, in all; a log of more files is decoded anew at the edges of ranges.
const HELD_ROWS: usize = 2_000_000;

/// Reads one table range after range, in the order of keys, and each piece of a sorted file once: what was decoded beyond
/// a range is held for the next ones.
pub struct TableReader<'a, T> {
    files: Vec<OfFile<'a, T>>,
    chosen: Vec<Address>,
    selection: &'a Selection,
    columns: Vec<&'static str>,
    first: Key,
}

/// Whether what is decoded of a table's files beyond a range can be held.
fn can_hold(segments: &[Segment], table: Table) -> bool {
    let most = |segment: &Segment| segment.pieces.iter().map(|piece| piece.rows).max().unwrap_or(0);
    segments.iter().filter(|segment| segment.table == table).map(most).sum::<usize>() <= HELD_ROWS
}

/// Whether each piece of each file is decoded once, whatever the ranges.
pub fn decodes_once(segments: &[Segment]) -> bool {
    let tables = [Table::Contacts, Table::Progress, Table::Sightings];
    segments.iter().all(|segment| segment.is_sorted) && tables.iter().all(|table| can_hold(segments, *table))
}

/// How far a file is read.
struct OfFile<'a, T> {
    segment: &'a Segment,
    holds: bool,
    next_piece: usize,
    held: Loaded<T>,
    /// The last key that was decoded.
    last: Option<Key>,
}

impl<'a, T: Decode> TableReader<'a, T> {
    /// A reader of the ranges from `first` on.
    pub fn new(segments: &'a [Segment], selection: &'a Selection, first: Key) -> Self {
        let holds = can_hold(segments, T::TABLE);
        let segments = segments.iter().filter(|segment| segment.table == T::TABLE);
        let file = |segment: &'a Segment| OfFile {
            segment,
            holds: holds && segment.is_sorted,
            next_piece: segment.pieces.partition_point(|piece| piece.high < first),
            held: Loaded::default(),
            last: None,
        };
        let info_hashes = selection.info_hashes.iter();
        Self {
            files: segments.map(file).collect(),
            chosen: info_hashes.map(|info_hash| Address::new(info_hash.as_bytes())).collect(),
            selection,
            columns: [&["info_hash", "ip"], T::COLUMNS].concat(),
            first,
        }
    }

    /// Reads the rows of keys from `low`, where the range before ended, up to but not including `high`, that are of a
    /// selected torrent and kept.
    pub fn read(
        &mut self,
        (low, high): (Key, Key),
        names: &mut Names,
        keep: impl Fn(&T) -> bool,
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
            let mut sink = Sink {
                low: if file.holds { self.first } else { low },
                high,
                chosen: &self.chosen,
                beyond: file.holds.then_some(&mut file.held),
                key: None,
                place: Place::Nowhere,
            };
            let mut last = file.last;
            file.segment.read(&self.columns, &pieces, |batch| {
                sink.take(batch, loaded, self.selection, &mut last, names, &keep)
            })?;
            if file.holds {
                file.last = last;
            }
        }
        if !loaded.runs.is_sorted_by_key(|run| run.key) {
            loaded.runs.sort_by_key(|run| run.key);
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
    }

    /// Appends a row of a key to the run of that key, or to a new one.
    fn push(&mut self, row: T, begin: Option<Key>) {
        let at = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.rows.push(row);
        match (begin, self.runs.last_mut()) {
            (None, Some(run)) => run.end = at + 1,
            (Some(key), _) => self.runs.push(Run { key, first: at, end: at + 1 }),
            (None, None) => {}
        }
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
    key: Option<Key>,
    place: Place,
}

impl<T: Decode> Sink<'_, T> {
    fn take(
        &mut self,
        batch: &RecordBatch,
        loaded: &mut Loaded<T>,
        selection: &Selection,
        last: &mut Option<Key>,
        names: &mut Names,
        keep: &impl Fn(&T) -> bool,
    ) -> Result<(), String> {
        let info_hash = Texts::of(batch, "info_hash")?;
        let ip = Texts::of(batch, "ip")?;
        let mut columns = T::columns(batch)?;
        let mut before = (None, None, None);
        // Whether the next row that is kept is the first one of its key.
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
                    if self.beyond.is_some() && key < *last {
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
            let Some(row) = T::row(&mut columns, at, names, selection).filter(keep) else { continue };
            let begin = self.key.filter(|_| begins);
            match (self.place, &mut self.beyond) {
                (Place::Here, _) => loaded.push(row, begin),
                (_, Some(beyond)) => beyond.push(row, begin),
                (_, None) => {}
            }
            begins = false;
        }
        if begins {
            // No row of the key at hand was kept; should one follow, it is the first.
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

/// What is wrong with a file whose rows are out of order: it is to be read otherwise.
pub const UNSORTED: &str = "its rows are out of order";

/// The pieces that may hold such keys.
pub fn overlapping(pieces: &[Piece], low: Key, high: Key) -> Vec<Piece> {
    pieces.iter().filter(|piece| piece.low < high && piece.high >= low).copied().collect()
}
