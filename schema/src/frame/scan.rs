//! A write-ahead file read back, as far as it can be: header, frames, and what lies between them.

use std::{
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
};

use super::{
    FILE_HEADER, FRAME_HEADER, Frame, Header, HeaderError, MARKER, MARKERS, MAX_HEADER_BODY, MAX_PAYLOAD,
    PACKED_MARKER, read_u32,
};
use crate::disk::Reader;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Reads a file from its start to its end. Memory holds one frame at a time, whatever the file's length; whatever is in
/// the file, it is read as far as it can be.
pub struct Scan {
    source: Reader,
    /// Where the file ends.
    length: u64,
    header: Result<Header, HeaderError>,
    /// Where the next frame is looked for.
    at: u64,
    /// A part of the file, and where it begins.
    window: Vec<u8>,
    window_at: u64,
    frames: u64,
    /// Bytes that no frame holds.
    gaps: Vec<Range<u64>>,
    /// What the frames say was durable.
    durable: u64,
}

/// The first bytes of a frame.
struct Head {
    is_packed: bool,
    length: usize,
    rows: u32,
    durable: u64,
    crc: u32,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let is_packed = bytes.starts_with(PACKED_MARKER);
        if !is_packed && !bytes.starts_with(MARKER) {
            return None;
        }
        let length = read_u32(bytes, 4)? as usize;
        let durable = u64::from_le_bytes(bytes.get(12..20)?.try_into().ok()?);
        let head = Self { is_packed, length, rows: read_u32(bytes, 8)?, durable, crc: read_u32(bytes, 20)? };
        (length <= MAX_PAYLOAD).then_some(head)
    }

    fn frame_length(&self) -> usize {
        FRAME_HEADER + self.length
    }
}

impl Scan {
    /// Reads the header of a file that ends at its last byte, or at `cut`.
    ///
    /// # Errors
    /// The file cannot be read; so for every method here.
    pub fn new(source: Reader, cut: Option<u64>) -> io::Result<Self> {
        let length = cut.map_or(source.length(), |cut| cut.min(source.length()));
        let mut scan = Self {
            source,
            length,
            header: Err(HeaderError::Torn),
            at: 0,
            window: Vec::new(),
            window_at: 0,
            frames: 0,
            gaps: Vec::new(),
            durable: 0,
        };
        match Header::decode(scan.bytes(0, FILE_HEADER + MAX_HEADER_BODY)?) {
            Ok((header, end)) => (scan.header, scan.at) = (Ok(header), end as u64),
            Err(error) => scan.header = Err(error),
        }
        Ok(scan)
    }

    /// The file's header.
    ///
    /// # Errors
    /// There is none that can be read.
    pub fn header(&self) -> Result<&Header, HeaderError> {
        self.header.as_ref().map_err(Clone::clone)
    }

    /// The next whole frame; `None` at the end.
    ///
    /// # Errors
    /// As above.
    pub fn next_frame(&mut self) -> io::Result<Option<Frame<'_>>> {
        let Some((offset, head)) = self.find()? else { return Ok(None) };
        self.at = offset + head.frame_length() as u64;
        self.frames += 1;
        self.durable = self.durable.max(head.durable);
        let start = usize::try_from(offset - self.window_at).unwrap_or(usize::MAX);
        let bytes = self.window.get(start..).unwrap_or_default();
        let payload = bytes.get(FRAME_HEADER..head.frame_length()).unwrap_or_default();
        let Head { is_packed, rows, durable, .. } = head;
        Ok(Some(Frame { offset, durable, rows, payload, is_packed }))
    }

    /// Whether anything follows that has not been read: right behind the header, whether there is more than that.
    pub fn has_more(&self) -> bool {
        self.at < self.length
    }

    /// Whole frames so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// How long the file is, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes so far that were durable and are no frame any more; all are told once the last frame has been read.
    pub fn damage(&self) -> impl Iterator<Item = Range<u64>> {
        self.gaps.iter().filter(|gap| gap.start < self.durable).cloned()
    }

    /// Bytes so far that are no frame and were never known durable: a crash tore them.
    pub fn torn(&self) -> impl Iterator<Item = Range<u64>> {
        self.gaps.iter().filter(|gap| gap.start >= self.durable).cloned()
    }

    /// The first whole frame that has not been read; what lies before it is a gap.
    fn find(&mut self) -> io::Result<Option<(u64, Head)>> {
        let from = self.at;
        let mut at = from;
        let found = loop {
            if at >= self.length {
                break None;
            }
            if let Some(head) = self.whole_frame(at)? {
                break Some((at, head));
            }
            at = self.next_marker(at + 1)?;
        };
        if from < at.min(self.length) {
            self.gaps.push(from..at.min(self.length));
        }
        self.at = at;
        Ok(found)
    }

    fn whole_frame(&mut self, at: u64) -> io::Result<Option<Head>> {
        let Some(head) = Head::read(self.bytes(at, FRAME_HEADER)?) else { return Ok(None) };
        if head.durable > at || at + head.frame_length() as u64 > self.length {
            return Ok(None);
        }
        let bytes = self.bytes(at, head.frame_length())?;
        let fields = bytes.get(MARKER.len()..FRAME_HEADER - 4).unwrap_or_default();
        let Some(payload) = bytes.get(FRAME_HEADER..head.frame_length()) else { return Ok(None) };
        let is_whole = crc32c::crc32c_append(crc32c::crc32c(fields), payload) == head.crc;
        Ok(is_whole.then_some(head))
    }

    /// Where the next frame may begin.
    fn next_marker(&mut self, from: u64) -> io::Result<u64> {
        let mut from = from;
        loop {
            let bytes = self.bytes(from, PIECE)?;
            let found = bytes.windows(MARKERS.len()).position(|window| window == MARKERS);
            let searched = bytes.len();
            if let Some(distance) = found {
                return Ok(from + distance as u64);
            }
            if searched < PIECE {
                return Ok(self.length);
            }
            // The marker's first bytes may be the last ones searched.
            from += (searched - (MARKERS.len() - 1)) as u64;
        }
    }

    /// So many bytes at `offset`, fewer at the file's end. What lies before them is forgotten when more is read.
    fn bytes(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let end = offset.saturating_add(count as u64).min(self.length);
        if offset > self.window_at + self.window.len() as u64 {
            self.window.clear();
            self.window_at = offset;
        }
        let window_end = self.window_at + self.window.len() as u64;
        if window_end < end {
            let passed = usize::try_from(offset - self.window_at).unwrap_or(usize::MAX);
            self.window.drain(..passed.min(self.window.len()));
            self.window_at = offset;
            self.source.seek(SeekFrom::Start(window_end))?;
            let more = (end - window_end).max(PIECE as u64).min(self.length - window_end);
            let mut part = (&mut self.source).take(more);
            part.read_to_end(&mut self.window)?;
        }
        let start = usize::try_from(offset - self.window_at).unwrap_or(usize::MAX);
        let rest = self.window.get(start..).unwrap_or_default();
        Ok(rest.get(..count).unwrap_or(rest))
    }
}
