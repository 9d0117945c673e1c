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

/// Reads the rows whose keys are at or after `low` and before `high`, and of a selected torrent.
pub fn load<T: Decode>(
    segments: &[Segment],
    (low, high): (Key, Key),
    selection: &Selection,
    names: &mut Names,
    keep: impl Fn(&T) -> bool,
) -> Result<Loaded<T>, SegmentError> {
    let chosen: Vec<Address> =
        selection.info_hashes.iter().map(|info_hash| Address::new(info_hash.as_bytes())).collect();
    let is_chosen = |info_hash: &Address| chosen.is_empty() || chosen.contains(info_hash);
    let columns = [&["info_hash", "ip"], T::COLUMNS].concat();
    let mut loaded = Loaded::default();
    for segment in segments.iter().filter(|segment| segment.table == T::TABLE) {
        let pieces: Vec<Piece> = overlapping(&segment.pieces, low, high);
        let mut loading = Loading { key: None, inside: false };
        segment.read(&columns, &pieces, |batch| {
            let info_hash = Texts::of(batch, "info_hash")?;
            let ip = Texts::of(batch, "ip")?;
            let mut columns = T::columns(batch)?;
            let mut views = (None, None);
            for at in 0..batch.num_rows() {
                let seen = (info_hash.view(at), ip.view(at));
                if seen != views || at == 0 {
                    views = seen;
                    let key = info_hash.text(at).zip(ip.text(at)).map(|(info_hash, ip)| Key {
                        info_hash: Address::new(info_hash.as_bytes()),
                        ip: Address::new(ip.as_bytes()),
                    });
                    if key != loading.key {
                        loading.inside =
                            key.is_some_and(|key| key >= low && key < high && is_chosen(&key.info_hash));
                        loading.key = key;
                        loading.begin(&mut loaded);
                    }
                }
                if !loading.inside {
                    continue;
                }
                if let Some(row) = T::row(&mut columns, at, names, selection).filter(&keep) {
                    loaded.rows.push(row);
                }
            }
            Ok(())
        })?;
        loading.inside = false;
        loading.begin(&mut loaded);
    }
    loaded.runs.retain(|run| run.end > run.first);
    if !loaded.runs.is_sorted_by_key(|run| run.key) {
        loaded.runs.sort_by_key(|run| run.key);
    }
    Ok(loaded)
}

/// The key of the rows being read.
struct Loading {
    key: Option<Key>,
    inside: bool,
}

impl Loading {
    /// Ends the run that is open, and begins one where rows of the key are wanted.
    fn begin<T>(&self, loaded: &mut Loaded<T>) {
        let at = u32::try_from(loaded.rows.len()).unwrap_or(u32::MAX);
        if let Some(open) = loaded.runs.last_mut().filter(|run| run.end == u32::MAX) {
            open.end = at;
            if open.end == open.first {
                loaded.runs.pop();
            }
        }
        if let Some(key) = self.key.filter(|_| self.inside) {
            loaded.runs.push(Run { key, first: at, end: u32::MAX });
        }
    }
}

/// The pieces that may hold such keys.
pub fn overlapping(pieces: &[Piece], low: Key, high: Key) -> Vec<Piece> {
    pieces.iter().filter(|piece| piece.low < high && piece.high >= low).copied().collect()
}
