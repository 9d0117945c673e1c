//! The write-ahead file: this header is its specification. Integers are little-endian, offsets count from the file's
//! start, CRCs are CRC-32C (Castagnoli), rows are [`Event`]s in bincode 2.0 `legacy()` (fixed-width integers, `u32`
//! variant numbers, `u64` lengths) with `serde`. A file is one file header, then frames back to back.
//!
//! | file header | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8 | the magic `SWTLYWAL` |
//! | 8 | 4 | version of this format, 2; files of version 1 have no packed frames |
//! | 12 | 4 | length of the body |
//! | 16 | 4 | CRC of bytes 8..16 and the body |
//! | 20 | … | the body: a [`Header`] in bincode |
//!
//! | frame | bytes | what |
//! | --- | --- | --- |
//! | 0 | 4 | the marker: `F5 54 4C 5A` where the payload is packed, `F5 54 4C 59` where it is not |
//! | 4 | 4 | length of the payload |
//! | 8 | 4 | rows in the payload |
//! | 12 | 8 | bytes of this file that were known durable when the frame was written |
//! | 20 | 4 | CRC of bytes 4..20 and the payload |
//! | 24 | … | the payload: the rows back to back, packed as one zstd frame that tells its length |
//!
//! A crash tears the end: what follows the last whole frame and lies beyond everything known durable is cut off.
//! Bytes that are no frame although a later frame says that they were durable are damage. A file that says of another
//! one (`cuts`) that it ends at some byte had to replace it after a failed sync, and repeats what stood behind that byte.

mod scan;
#[cfg(test)]
mod tests;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Deserialize, Serialize};

pub use self::scan::Scan;
use crate::{table::Event, value::RunId};

/// Version of the file format, apart from that of the rows.
pub const FORMAT_VERSION: u32 = 2;
/// The oldest version that can be read.
const OLDEST_VERSION: u32 = 1;
/// The longest payload of a frame, unpacked, bytes; also bounds what decoding allocates.
pub const MAX_PAYLOAD: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"SWTLYWAL";
const FILE_HEADER: usize = 20;
const MARKER: &[u8; 4] = b"\xf5TLY";
const PACKED_MARKER: &[u8; 4] = b"\xf5TLZ";
/// What both markers begin with.
const MARKERS: &[u8] = b"\xf5TL";
/// The level packs 500 MB/s on one core to about a third; a disk takes fewer bytes than a core packs.
const PACKING_LEVEL: i32 = 1;
const FRAME_HEADER: usize = 24;
/// The longest body of a file header, bytes.
const MAX_HEADER_BODY: usize = 1 << 20;

type Config = Configuration<LittleEndian, Fixint, Limit<MAX_PAYLOAD>>;
const BINCODE: Config = bincode::config::legacy().with_limit::<MAX_PAYLOAD>();

/// What a write-ahead file says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA_VERSION`](crate::SCHEMA_VERSION) of its rows.
    pub schema_version: u32,
    /// The run whose rows they are.
    pub run: RunId,
    /// The file's number within the run.
    pub seq: u32,
    /// Earlier files of the run that end before their last byte.
    pub cuts: Vec<Cut>,
}

/// An earlier file whose last part is repeated in this one, because a sync failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Number of the earlier file.
    pub seq: u32,
    /// Where it ends.
    pub length: u64,
}

/// Why a file's header could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The file ends within the header.
    #[error("the file ends within its header")]
    Torn,
    /// Not what was written.
    #[error("the file's header is damaged")]
    Damaged,
    /// A format this program does not know.
    #[error(
        "the file has format version {0}; this program reads versions {OLDEST_VERSION} to {FORMAT_VERSION}"
    )]
    UnknownVersion(u32),
}

impl Header {
    /// The file's first bytes.
    ///
    /// # Errors
    /// The header is longer than a reader would accept.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let body = bincode::serde::encode_to_vec(self, BINCODE)?;
        let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= MAX_HEADER_BODY);
        let mut covered = FORMAT_VERSION.to_le_bytes().to_vec();
        covered.extend(length.ok_or(EncodeError::TooLong)?.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&covered), &body);
        Ok([MAGIC.as_slice(), &covered, &crc.to_le_bytes(), &body].concat())
    }

    /// Reads a file's header and tells where it ends.
    ///
    /// # Errors
    /// The bytes are no header.
    pub fn decode(file: &[u8]) -> Result<(Self, usize), HeaderError> {
        let magic_read = file.get(..MAGIC.len()).unwrap_or(file);
        if !MAGIC.starts_with(magic_read) {
            return Err(HeaderError::Damaged);
        }
        let fixed = file.get(..FILE_HEADER).ok_or(HeaderError::Torn)?;
        let version = read_u32(fixed, 8).ok_or(HeaderError::Torn)?;
        let length = read_u32(fixed, 12).ok_or(HeaderError::Torn)? as usize;
        let crc = read_u32(fixed, 16).ok_or(HeaderError::Torn)?;
        if length > MAX_HEADER_BODY {
            return Err(HeaderError::Damaged);
        }
        let end = FILE_HEADER + length;
        let body = file.get(FILE_HEADER..end).ok_or(HeaderError::Torn)?;
        let covered = fixed.get(8..16).ok_or(HeaderError::Torn)?;
        if crc32c::crc32c_append(crc32c::crc32c(covered), body) != crc {
            return Err(HeaderError::Damaged);
        }
        if !(OLDEST_VERSION..=FORMAT_VERSION).contains(&version) {
            return Err(HeaderError::UnknownVersion(version));
        }
        match bincode::serde::decode_from_slice(body, BINCODE) {
            Ok((header, read)) if read == body.len() => Ok((header, end)),
            Ok(_) | Err(_) => Err(HeaderError::Damaged),
        }
    }
}

/// A row or header that does not fit its frame.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// bincode cannot write it.
    #[error("cannot encode the row: {0}")]
    Bincode(#[from] bincode::error::EncodeError),
    /// It is longer than a frame may be.
    #[error("the row is longer than a frame may be ({MAX_PAYLOAD} bytes)")]
    TooLong,
}

/// Writes a row as a frame holds it, in place of what is there.
///
/// # Errors
/// No frame could hold it.
pub fn encode(event: &Event, into: &mut Vec<u8>) -> Result<(), EncodeError> {
    into.clear();
    bincode::serde::encode_into_std_write(event, into, BINCODE)?;
    if into.len() > MAX_PAYLOAD { Err(EncodeError::TooLong) } else { Ok(()) }
}

/// A frame being filled.
#[derive(Clone, Debug, Default)]
pub struct FrameBuilder {
    payload: Vec<u8>,
    rows: u32,
}

/// A frame that is full and packed.
#[derive(Clone, Debug)]
pub struct PackedFrame {
    /// The header, to be filled, and the payload.
    bytes: Vec<u8>,
    rows: u32,
}

/// Packs frames; holds what that needs from one to the next.
pub struct Packer(Option<zstd::bulk::Compressor<'static>>);

impl Default for Packer {
    fn default() -> Self {
        Self(zstd::bulk::Compressor::new(PACKING_LEVEL).ok())
    }
}

impl Packer {
    /// Packs a frame; its rows stay as they are where packing does not make them fewer bytes.
    pub fn pack(&mut self, frame: &FrameBuilder) -> PackedFrame {
        let FrameBuilder { payload, rows } = frame;
        let mut bytes = vec![0; FRAME_HEADER];
        let packed = self.0.as_mut().and_then(|packer| packer.compress(payload).ok());
        let packed = packed.filter(|packed| packed.len() < payload.len());
        let marker = if packed.is_some() { PACKED_MARKER } else { MARKER };
        if let Some(start) = bytes.first_chunk_mut::<4>() {
            start.copy_from_slice(marker);
        }
        bytes.extend_from_slice(packed.as_ref().unwrap_or(payload));
        PackedFrame { bytes, rows: *rows }
    }
}

impl FrameBuilder {
    /// One that has room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { payload: Vec::with_capacity(bytes), rows: 0 }
    }

    /// How many bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.payload.capacity()
    }

    /// Empties it; it keeps its room.
    pub fn clear(&mut self) {
        self.payload.clear();
        self.rows = 0;
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The row does not fit; the frame is as it was.
    pub fn push(&mut self, event: &Event) -> Result<(), EncodeError> {
        let mut row = Vec::new();
        encode(event, &mut row)?;
        if self.push_encoded(&row) { Ok(()) } else { Err(EncodeError::TooLong) }
    }

    /// Adds a row as [`encode`] writes it; tells whether it fits, and if not, the frame is as it was.
    #[must_use]
    pub fn push_encoded(&mut self, row: &[u8]) -> bool {
        let fits = self.payload.len() + row.len() <= MAX_PAYLOAD;
        if fits {
            self.payload.extend_from_slice(row);
            self.rows += 1;
        }
        fits
    }

    /// Rows in it.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Its rows' length, not packed, bytes.
    pub fn len(&self) -> usize {
        self.payload.len()
    }
}

impl PackedFrame {
    /// Rows in it.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Its length in a file, bytes.
    #[expect(clippy::len_without_is_empty, reason = "a frame always has its header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The frame's bytes, for a file of which `durable` bytes are known durable; may be asked for again.
    pub fn seal(&mut self, durable: u64) -> &[u8] {
        let payload = self.bytes.get(FRAME_HEADER..).unwrap_or_default();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let fields = [length.as_slice(), &self.rows.to_le_bytes(), &durable.to_le_bytes()].concat();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&fields), payload);
        if let Some(header) = self.bytes.get_mut(MARKER.len()..FRAME_HEADER) {
            header.copy_from_slice(&[fields.as_slice(), &crc.to_le_bytes()].concat());
        }
        &self.bytes
    }
}

/// A whole frame found in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it begins.
    pub offset: u64,
    /// How many bytes of the file were known durable when it was written.
    pub durable: u64,
    /// How many rows it has.
    pub rows: u32,
    payload: &'a [u8],
    is_packed: bool,
}

/// A whole frame whose rows cannot be read: another version wrote them, or it is damage that kept its checksum.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// bincode cannot read a row.
    #[error("cannot decode a row: {0}")]
    Bincode(#[from] bincode::error::DecodeError),
    /// The payload cannot be unpacked.
    #[error("cannot unpack the rows: {0}")]
    Unpack(#[from] std::io::Error),
    /// The payload would be longer than any frame's.
    #[error("the rows are longer than a frame may be")]
    TooLong,
    /// The rows end before the payload does.
    #[error("bytes are left over behind the last row")]
    LeftOver,
}

impl Frame<'_> {
    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.offset + (FRAME_HEADER + self.payload.len()) as u64
    }

    /// Its rows.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn events(&self) -> Result<Vec<Event>, DecodeError> {
        let unpacked;
        let mut rest = self.payload;
        if self.is_packed {
            unpacked = unpack(self.payload)?;
            rest = &unpacked;
        }
        // A row takes some bytes at least: a count that lies allocates nothing.
        let mut events = Vec::with_capacity((self.rows as usize).min(rest.len() / 16));
        for _ in 0..self.rows {
            let (event, read) = bincode::serde::decode_from_slice(rest, BINCODE)?;
            rest = rest.get(read..).unwrap_or_default();
            events.push(event);
        }
        if rest.is_empty() { Ok(events) } else { Err(DecodeError::LeftOver) }
    }
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let length = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
    let length =
        length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= MAX_PAYLOAD);
    Ok(zstd::bulk::decompress(payload, length.ok_or(DecodeError::TooLong)?)?)
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let four = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}
