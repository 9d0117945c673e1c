//! Batches of raw tables → rows of [`super::rows`].

use schema::table::{ContactOutcome, Direction, ProgressKind, Table};

use super::{
    batch::Batch,
    columns::{Bytes, Numbers, Truths, Words},
    ourselves::{CLIENT, is_our_id},
    rows::{Contact, PeerId, Progress, Sighting, Vocabulary},
};
use crate::log::Selection;

/// Which rows count.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Those that the user chose.
    pub selection: &'a Selection,
    /// Also contacts that tell nothing of pieces: those without a handshake.
    pub failed: bool,
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
    fn columns(batch: &Batch) -> Result<Self::Columns<'_>, String>;

    /// The row at a place; `None` for one that does not count.
    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        vocabulary: &mut Vocabulary,
        wanted: Wanted<'_>,
    ) -> Option<Self>;
}

/// The columns of `contacts`.
pub struct ContactColumns<'a> {
    time: Numbers,
    run: Words<'a>,
    contact: Numbers,
    port: Numbers,
    direction: Words<'a>,
    outcome: Words<'a>,
    open_us: Numbers,
    peer_id: Bytes<'a>,
    client: Words<'a>,
    /// The last client's number, and whether it is our program.
    last_client: (u32, bool),
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

    fn columns(batch: &Batch) -> Result<Self::Columns<'_>, String> {
        Ok(ContactColumns {
            time: Numbers::of(batch, "time")?,
            run: Words::of(batch, "run")?,
            contact: Numbers::of(batch, "contact")?,
            port: Numbers::of(batch, "port")?,
            direction: Words::of(batch, "direction")?,
            outcome: Words::of(batch, "outcome")?,
            open_us: Numbers::of(batch, "open_us")?,
            peer_id: Bytes::of(batch, "peer_id")?,
            client: Words::of(batch, "client")?,
            last_client: (0, false),
            listen_port: Numbers::of(batch, "listen_port")?,
        })
    }

    /// Contacts of all times count: identities do not depend on the selected time.
    #[inline]
    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        vocabulary: &mut Vocabulary,
        wanted: Wanted<'_>,
    ) -> Option<Self> {
        let outcome =
            columns.outcome.code(at, |text| member(ContactOutcome::ALL, text, ContactOutcome::as_str));
        let outcome = of_code(ContactOutcome::ALL, outcome);
        let client = columns.client.code(at, |text| vocabulary.words.number(text));
        if client != columns.last_client.0 {
            let text = vocabulary.words.text(client);
            columns.last_client = (client, text.is_some_and(|text| text.starts_with(CLIENT)));
        }
        let peer_id = columns.peer_id.get(at);
        let shows_us = outcome == Some(ContactOutcome::SelfConnection)
            || peer_id.is_some_and(is_our_id)
            || columns.last_client.1;
        let met = shows_us || peer_id.is_some() || outcome.is_some_and(ContactOutcome::has_handshake);
        if !wanted.failed && !met {
            return None;
        }
        let time = columns.time.get(at)?;
        let listen_port = columns.listen_port.get(at).and_then(|port| u16::try_from(port).ok());
        Some(Self {
            time,
            contact: columns.contact.get(at).unwrap_or_default(),
            handshake_at: columns.open_us.get(at).map(|open_us| time - open_us),
            run: columns.run.code(at, |text| vocabulary.runs.number(text)),
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
    run: Words<'a>,
    contact: Numbers,
    port: Numbers,
    direction: Words<'a>,
    kind: Words<'a>,
    settled: Truths<'a>,
    pieces: Numbers,
}

impl Decode for Progress {
    const TABLE: Table = Table::Progress;
    const COLUMNS: &'static [&'static str] =
        &["time", "run", "contact", "port", "direction", "kind", "settled", "pieces"];
    type Columns<'a> = ProgressColumns<'a>;

    fn columns(batch: &Batch) -> Result<Self::Columns<'_>, String> {
        Ok(ProgressColumns {
            time: Numbers::of(batch, "time")?,
            run: Words::of(batch, "run")?,
            contact: Numbers::of(batch, "contact")?,
            port: Numbers::of(batch, "port")?,
            direction: Words::of(batch, "direction")?,
            kind: Words::of(batch, "kind")?,
            settled: Truths::of(batch, "settled")?,
            pieces: Numbers::of(batch, "pieces")?,
        })
    }

    #[inline]
    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        vocabulary: &mut Vocabulary,
        wanted: Wanted<'_>,
    ) -> Option<Self> {
        let time = columns.time.get(at).filter(|time| wanted.selection.holds(*time))?;
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
            run: columns.run.code(at, |text| vocabulary.runs.number(text)),
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
    run: Words<'a>,
    port: Numbers,
    source: Words<'a>,
}

impl Decode for Sighting {
    const TABLE: Table = Table::Sightings;
    const COLUMNS: &'static [&'static str] = &["time", "run", "port", "source"];
    type Columns<'a> = SightingColumns<'a>;

    fn columns(batch: &Batch) -> Result<Self::Columns<'_>, String> {
        Ok(SightingColumns {
            time: Numbers::of(batch, "time")?,
            run: Words::of(batch, "run")?,
            port: Numbers::of(batch, "port")?,
            source: Words::of(batch, "source")?,
        })
    }

    #[inline]
    fn row(
        columns: &mut Self::Columns<'_>,
        at: usize,
        vocabulary: &mut Vocabulary,
        wanted: Wanted<'_>,
    ) -> Option<Self> {
        let time = columns.time.get(at).filter(|time| wanted.selection.holds(*time))?;
        let source = columns.source.code(at, |text| vocabulary.words.number(text));
        Some(Self {
            time,
            run: columns.run.code(at, |text| vocabulary.runs.number(text)),
            ip: 0,
            port: columns.port.port(at),
            source,
            code: vocabulary.words.text(source).and_then(|text| text.parse().ok()),
        })
    }
}
