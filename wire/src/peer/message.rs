//! Messages between peers after the handshake (BEP 3, 5, 6, 10), and a decoder that takes any split of them.
//!
//! A message is a 4-byte big-endian length, then that many bytes: an id and a payload. Length 0 keeps alive.
//!
//! | id | message | payload after the id | source |
//! | --- | --- | --- | --- |
//! | – | keep-alive | none, no id | BEP 3 |
//! | 0–3 | choke, unchoke, interested, not interested | none | BEP 3 |
//! | 4 | have | 0–3 piece | BEP 3 |
//! | 5 | bitfield | one bit a piece, piece 0 is bit 0x80 of byte 0 | BEP 3 |
//! | 6, 8, 16 | request, cancel, reject request | 0–3 piece, 4–7 begin, 8–11 length | BEP 3, 6 |
//! | 7 | piece | 0–3 piece, 4–7 begin, then the block | BEP 3 |
//! | 9 | port | 0–1 DHT port | BEP 5 |
//! | 13, 17 | suggest piece, allowed fast | 0–3 piece | BEP 6 |
//! | 14, 15 | have all, have none | none | BEP 6 |
//! | 20 | extended | 0 extended id, then its payload | BEP 10 |
//!
//! Blocks of content are never kept: they are skipped as they stream past. So are unknown messages.

use std::mem;

/// The longest message taken, id included: room for the bitfield of 8 million pieces, and for any block.
pub const MAX_LEN: u32 = 1024 * 1024 + 1;

/// A block somewhere in a piece (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The piece's index.
    pub piece: u32,
    /// Where the block begins in the piece, bytes.
    pub begin: u32,
    /// The block's length, bytes.
    pub length: u32,
}

/// A message; sound in form only: whether a piece index exists is known where the torrent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Nothing to say; sent about every two minutes (BEP 3).
    KeepAlive,
    /// The sender will not answer requests.
    Choke,
    /// The sender will answer requests.
    Unchoke,
    /// The sender wants pieces we have.
    Interested,
    /// The sender wants none of our pieces.
    NotInterested,
    /// The sender has this piece.
    Have(u32),
    /// The sender's pieces, one bit each; see [`Bitfield`](super::bitfield::Bitfield).
    Bitfield(Vec<u8>),
    /// The sender asks for a block.
    Request(Block),
    /// A block of content, its bytes skipped: written out, it is as many zeros.
    Piece(Block),
    /// The sender no longer wants a block.
    Cancel(Block),
    /// The sender's DHT node listens on this UDP port (BEP 5).
    Port(u16),
    /// The sender would rather be asked for this piece (BEP 6).
    SuggestPiece(u32),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// The sender will not answer this request (BEP 6).
    RejectRequest(Block),
    /// The sender answers requests for this piece even when choking (BEP 6).
    AllowedFast(u32),
    /// A message of the extension protocol (BEP 10).
    Extended {
        /// 0 is the extended handshake; others are as agreed in it.
        id: u8,
        /// What follows the extended id.
        payload: Vec<u8>,
    },
    /// A message this crate does not know, skipped: written out, its payload is as many zeros.
    Unknown {
        /// The id.
        id: u8,
        /// Payload bytes after the id.
        length: u32,
    },
}

/// Bytes that are no message. The stream cannot be followed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than the limit for this kind of message.
    #[error("message {id} announces {length} bytes, more than the {limit} we take")]
    Oversize {
        /// The id.
        id: u8,
        /// Bytes announced, id included.
        length: u32,
        /// Bytes we take, id included.
        limit: u32,
    },
    /// A length that this kind of message cannot have.
    #[error("message {id} cannot be {length} bytes long")]
    WrongLength {
        /// The id.
        id: u8,
        /// Bytes announced, id included.
        length: u32,
    },
}

/// How much of one message is kept in memory at most. What is longer is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes of a bitfield: set it to what the torrent's piece count needs once that is known.
    pub bitfield_bytes: u32,
    /// Payload bytes of an extended message, its extended id included.
    pub extended_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bitfield_bytes: 1024 * 1024, extended_bytes: 128 * 1024 }
    }
}

mod id {
    pub(super) const CHOKE: u8 = 0;
    pub(super) const UNCHOKE: u8 = 1;
    pub(super) const INTERESTED: u8 = 2;
    pub(super) const NOT_INTERESTED: u8 = 3;
    pub(super) const HAVE: u8 = 4;
    pub(super) const BITFIELD: u8 = 5;
    pub(super) const REQUEST: u8 = 6;
    pub(super) const PIECE: u8 = 7;
    pub(super) const CANCEL: u8 = 8;
    pub(super) const PORT: u8 = 9;
    pub(super) const SUGGEST_PIECE: u8 = 13;
    pub(super) const HAVE_ALL: u8 = 14;
    pub(super) const HAVE_NONE: u8 = 15;
    pub(super) const REJECT_REQUEST: u8 = 16;
    pub(super) const ALLOWED_FAST: u8 = 17;
    pub(super) const EXTENDED: u8 = 20;
}

/// What the rest of a message is done with, by its id and length.
enum Body {
    /// Its first bytes, at most 12, are read; what follows them is skipped.
    Fixed { wanted: u8 },
    /// Kept whole and handed out.
    Kept,
    /// Skipped.
    Unknown,
}

/// The kind of body a message of `length` bytes (id included) has.
fn body(id: u8, length: u32, limits: Limits) -> Result<Body, Error> {
    let fixed = |wanted: u8| {
        let matches = length == u32::from(wanted) + 1;
        matches.then_some(Body::Fixed { wanted }).ok_or(Error::WrongLength { id, length })
    };
    let at_most = |payload: u32| match payload.saturating_add(1).min(MAX_LEN) {
        limit if length > limit => Err(Error::Oversize { id, length, limit }),
        _ => Ok(()),
    };
    match id {
        id::CHOKE | id::UNCHOKE | id::INTERESTED | id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => {
            fixed(0)
        }
        id::HAVE | id::SUGGEST_PIECE | id::ALLOWED_FAST => fixed(4),
        id::REQUEST | id::CANCEL | id::REJECT_REQUEST => fixed(12),
        id::PORT => fixed(2),
        id::BITFIELD => at_most(limits.bitfield_bytes).map(|()| Body::Kept),
        id::EXTENDED if length < 2 => Err(Error::WrongLength { id, length }),
        id::EXTENDED => at_most(limits.extended_bytes).map(|()| Body::Kept),
        id::PIECE if length < 9 => Err(Error::WrongLength { id, length }),
        id::PIECE => at_most(MAX_LEN - 1).map(|()| Body::Fixed { wanted: 8 }),
        _ => at_most(MAX_LEN - 1).map(|()| Body::Unknown),
    }
}

/// Up to 12 bytes gathered from any split.
#[derive(Clone, Copy, Debug, Default)]
struct Gather {
    bytes: [u8; 12],
    held: u8,
}

impl Gather {
    /// Takes bytes off `input` until `wanted` (at most 12) are held; whether they are.
    fn take(&mut self, wanted: u8, input: &mut &[u8]) -> bool {
        while self.held < wanted {
            let (Some((&byte, rest)), Some(slot)) =
                (input.split_first(), self.bytes.get_mut(usize::from(self.held)))
            else {
                return false;
            };
            *slot = byte;
            self.held += 1;
            *input = rest;
        }
        true
    }

    /// The bytes as big-endian numbers of 32 bits.
    fn words(&self) -> [u32; 3] {
        let mut words = [0; 3];
        for (word, bytes) in words.iter_mut().zip(self.bytes.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        words
    }

    /// The first two bytes as a big-endian number.
    fn half_word(&self) -> u16 {
        let [high, low, ..] = self.bytes;
        u16::from_be_bytes([high, low])
    }
}

/// Where in a message the decoder stands.
#[derive(Debug)]
enum State {
    /// Gathering the length.
    Length(Gather),
    /// The id of a message of this length comes next.
    Id(u32),
    /// Gathering `wanted` bytes of payload; `after` them as many bytes are skipped.
    Fixed { id: u8, wanted: u8, after: u32, gather: Gather },
    /// Gathering a payload into memory; it grows as bytes arrive, not as the length announces.
    Kept { id: u8, wanted: u32, bytes: Vec<u8> },
    /// Letting bytes pass, then giving the message.
    Skip { remaining: u32, message: Message },
    /// Not a message; no way back.
    Failed(Error),
}

/// Turns a stream of bytes into messages, however it is split. Holds nothing between messages.
///
/// ```text
/// Length ─ 0 → KeepAlive
///   └─ Id ─┬─ Fixed ─ Skip → message (only a piece has bytes to skip)
///          ├─ Kept ────────→ Bitfield, Extended
///          ├─ Skip ────────→ Unknown
///          └─ Failed
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder at the start of a message.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Length(Gather::default()) }
    }

    /// Changes the limits for the messages whose id is still to come.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Bytes of heap memory held for a message that has begun and not ended.
    pub fn held_bytes(&self) -> usize {
        match &self.state {
            State::Kept { bytes, .. } => bytes.capacity(),
            _ => 0,
        }
    }

    /// Takes bytes off the front of `input` up to the end of a message. `None`: `input` is used up.
    ///
    /// After an error every call gives that error.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            let state = mem::replace(&mut self.state, State::Length(Gather::default()));
            match self.step(state, input) {
                Step::Done(message) => return Ok(Some(message)),
                Step::Go(state) => self.state = state,
                Step::Starved(state) => {
                    self.state = state;
                    return Ok(None);
                }
                Step::Fail(error) => {
                    self.state = State::Failed(error);
                    return Err(error);
                }
            }
        }
    }

    fn step(&self, state: State, input: &mut &[u8]) -> Step {
        match state {
            State::Length(mut gather) => {
                if !gather.take(4, input) {
                    return Step::Starved(State::Length(gather));
                }
                let [length, ..] = gather.words();
                if length == 0 { Step::Done(Message::KeepAlive) } else { Step::Go(State::Id(length)) }
            }
            State::Id(length) => match input.split_first() {
                Some((&id, rest)) => {
                    *input = rest;
                    self.begin(id, length)
                }
                None => Step::Starved(state),
            },
            State::Fixed { id, wanted, after, mut gather } => {
                if !gather.take(wanted, input) {
                    return Step::Starved(State::Fixed { id, wanted, after, gather });
                }
                let message = read_fixed(id, after, &gather);
                Step::Go(State::Skip { remaining: after, message })
            }
            State::Kept { id, wanted, bytes } => keep(id, wanted, bytes, input),
            State::Skip { remaining, message } => {
                let skipped = input.len().min(remaining as usize);
                *input = input.get(skipped..).unwrap_or_default();
                match remaining - u32::try_from(skipped).unwrap_or(remaining) {
                    0 => Step::Done(message),
                    remaining => Step::Starved(State::Skip { remaining, message }),
                }
            }
            State::Failed(error) => Step::Fail(error),
        }
    }

    /// What follows a message's id.
    fn begin(&self, id: u8, length: u32) -> Step {
        let payload = length.saturating_sub(1);
        let gather = Gather::default();
        match body(id, length, self.limits) {
            Err(error) => Step::Fail(error),
            Ok(Body::Fixed { wanted }) => Step::Go(State::Fixed {
                id,
                wanted,
                after: payload.saturating_sub(u32::from(wanted)),
                gather,
            }),
            Ok(Body::Kept) => Step::Go(State::Kept { id, wanted: payload, bytes: Vec::new() }),
            Ok(Body::Unknown) => Step::Go(State::Skip {
                remaining: payload,
                message: Message::Unknown { id, length: payload },
            }),
        }
    }
}

/// What one step of the decoder comes to.
enum Step {
    Done(Message),
    Fail(Error),
    Go(State),
    Starved(State),
}

/// Moves bytes of a kept payload from `input` into memory.
fn keep(id: u8, wanted: u32, mut bytes: Vec<u8>, input: &mut &[u8]) -> Step {
    let missing = (wanted as usize).saturating_sub(bytes.len());
    let (taken, rest) = input.split_at(missing.min(input.len()));
    bytes.extend_from_slice(taken);
    *input = rest;
    if taken.len() < missing {
        return Step::Starved(State::Kept { id, wanted, bytes });
    }
    if id == id::BITFIELD {
        return Step::Done(Message::Bitfield(bytes));
    }
    // `body` lets no extended message through without its extended id.
    let id = if bytes.is_empty() { 0 } else { bytes.remove(0) };
    Step::Done(Message::Extended { id, payload: bytes })
}

/// Reads a message of fixed length; `after` is the length of a block that follows it.
fn read_fixed(id: u8, after: u32, gather: &Gather) -> Message {
    let [first, begin, length] = gather.words();
    let block = Block { piece: first, begin, length };
    match id {
        id::CHOKE => Message::Choke,
        id::UNCHOKE => Message::Unchoke,
        id::INTERESTED => Message::Interested,
        id::NOT_INTERESTED => Message::NotInterested,
        id::HAVE => Message::Have(first),
        id::REQUEST => Message::Request(block),
        id::PIECE => Message::Piece(Block { length: after, ..block }),
        id::CANCEL => Message::Cancel(block),
        id::PORT => Message::Port(gather.half_word()),
        id::SUGGEST_PIECE => Message::SuggestPiece(first),
        id::HAVE_ALL => Message::HaveAll,
        id::HAVE_NONE => Message::HaveNone,
        id::REJECT_REQUEST => Message::RejectRequest(block),
        id::ALLOWED_FAST => Message::AllowedFast(first),
        _ => Message::Unknown { id, length: after },
    }
}

/// Appends a message's bytes to `out`.
pub fn encode(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::KeepAlive => out.extend([0; 4]),
        Message::Choke => put(out, id::CHOKE, &[]),
        Message::Unchoke => put(out, id::UNCHOKE, &[]),
        Message::Interested => put(out, id::INTERESTED, &[]),
        Message::NotInterested => put(out, id::NOT_INTERESTED, &[]),
        Message::Have(piece) => put(out, id::HAVE, &[&piece.to_be_bytes()]),
        Message::Bitfield(bits) => put(out, id::BITFIELD, &[bits]),
        Message::Request(block) => put_block(out, id::REQUEST, *block),
        Message::Piece(block) => {
            let zeros = vec![0; block.length as usize];
            put(out, id::PIECE, &[&block.piece.to_be_bytes(), &block.begin.to_be_bytes(), &zeros]);
        }
        Message::Cancel(block) => put_block(out, id::CANCEL, *block),
        Message::Port(port) => put(out, id::PORT, &[&port.to_be_bytes()]),
        Message::SuggestPiece(piece) => put(out, id::SUGGEST_PIECE, &[&piece.to_be_bytes()]),
        Message::HaveAll => put(out, id::HAVE_ALL, &[]),
        Message::HaveNone => put(out, id::HAVE_NONE, &[]),
        Message::RejectRequest(block) => put_block(out, id::REJECT_REQUEST, *block),
        Message::AllowedFast(piece) => put(out, id::ALLOWED_FAST, &[&piece.to_be_bytes()]),
        Message::Extended { id, payload } => put(out, id::EXTENDED, &[&[*id], payload]),
        Message::Unknown { id, length } => put(out, *id, &[&vec![0; *length as usize]]),
    }
}

/// Appends length, id and payload. A payload of 4 GiB, which no caller has, is cut short.
fn put(out: &mut Vec<u8>, id: u8, payload: &[&[u8]]) {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    out.extend(u32::try_from(length + 1).unwrap_or(u32::MAX).to_be_bytes());
    out.push(id);
    for part in payload {
        out.extend_from_slice(part);
    }
}

fn put_block(out: &mut Vec<u8>, id: u8, block: Block) {
    put(out, id, &[&block.piece.to_be_bytes(), &block.begin.to_be_bytes(), &block.length.to_be_bytes()]);
}

#[cfg(test)]
mod tests;
