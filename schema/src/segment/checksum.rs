//! Checksums of a segment, because Parquet's own are optional and few engines write or check them.
//!
//! The footer's metadata holds CRC-32C of every row group's bytes ([`GROUPS_KEY`]) and of the whole file
//! ([`CHECKSUM_KEY`]). The file's is computed with its own eight digits as zeros, so that it covers the footer too.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// The metadata key of the file's checksum, eight lower-case hex digits.
pub const CHECKSUM_KEY: &str = "swarmtally.crc32c";
/// The metadata key of the row groups' checksums: `end:crc` each, where its bytes end and their CRC, comma-separated.
pub const GROUPS_KEY: &str = "swarmtally.row_groups";

/// What stands in the checksum's place while it is computed.
pub(super) const PLACEHOLDER: &str = "00000000";
/// What stands between a key and an eight-byte text in the footer (Thrift's compact protocol: field 2, binary, 8).
const BETWEEN: &[u8] = b"\x18\x08";
const MAGIC: &[u8] = b"PAR1";
/// The footer's length and the magic.
const TAIL: usize = 8;
const CHUNK: usize = 256 << 10;

/// The bytes of one row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSum {
    /// Where they end; they begin where those of the group before end.
    pub end: u64,
    /// Their CRC-32C.
    pub crc: u32,
}

/// Whether a file's bytes are those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// They are not.
    Damaged,
    /// The file carries no checksum: another program or an early version wrote it.
    NoChecksum,
    /// They are.
    Whole,
}

/// A writer that sums what passes, and holds back the footer until its checksum is known.
pub(super) struct Summing<W> {
    inner: W,
    file: u32,
    group: u32,
    written: u64,
    footer: Option<Vec<u8>>,
}

impl<W: Write> Summing<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, file: 0, group: 0, written: 0, footer: None }
    }

    /// Ends a row group; everything of it must have been written.
    pub(super) fn end_group(&mut self) -> GroupSum {
        GroupSum { end: self.written, crc: std::mem::take(&mut self.group) }
    }

    /// What follows is the footer.
    pub(super) fn hold_footer(&mut self) {
        self.footer = Some(Vec::new());
    }

    /// Puts the checksum into the footer, writes it, and gives back the writer.
    pub(super) fn seal(mut self) -> io::Result<W> {
        let mut footer = self.footer.take().unwrap_or_default();
        let crc = crc32c::crc32c_append(self.file, &footer);
        let place = find_checksum(&footer).and_then(|at| footer.get_mut(at..at + PLACEHOLDER.len()));
        let place = place.ok_or_else(|| io::Error::other("the footer has no place for the checksum"))?;
        place.copy_from_slice(format!("{crc:08x}").as_bytes());
        self.inner.write_all(&footer)?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(footer) = &mut self.footer {
            footer.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes)?;
        let bytes = bytes.get(..written).unwrap_or(bytes);
        self.file = crc32c::crc32c_append(self.file, bytes);
        self.group = crc32c::crc32c_append(self.group, bytes);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Text of the row groups' sums for the metadata.
pub(super) fn groups_text(groups: &[GroupSum]) -> String {
    let texts = groups.iter().map(|group| format!("{}:{:08x}", group.end, group.crc));
    texts.collect::<Vec<_>>().join(",")
}

/// Reads such a text; `None` where it is none.
pub(super) fn parse_groups(text: &str) -> Option<Vec<GroupSum>> {
    let parse = |part: &str| {
        let (end, crc) = part.split_once(':')?;
        Some(GroupSum { end: end.parse().ok()?, crc: u32::from_str_radix(crc, 16).ok()? })
    };
    text.split(',').filter(|part| !part.is_empty()).map(parse).collect()
}

/// Reads a whole file and compares it with its checksum.
///
/// # Errors
/// The file cannot be read.
pub fn check(file: &mut (impl Read + Seek)) -> io::Result<Checked> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(place) = checksum_place(file, length)? else { return Ok(Checked::NoChecksum) };
    let Some(place) = place else { return Ok(Checked::Damaged) };
    file.seek(SeekFrom::Start(0))?;
    let (mut crc, mut at, mut stored) = (0, 0, Vec::new());
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        let Some(bytes) = chunk.get_mut(..read).filter(|bytes| !bytes.is_empty()) else { break };
        let inside = |place: u64| usize::try_from(place.saturating_sub(at)).unwrap_or(read).min(read);
        if let Some(digits) = bytes.get_mut(inside(place)..inside(place + PLACEHOLDER.len() as u64)) {
            stored.extend_from_slice(digits);
            digits.fill(b'0');
        }
        crc = crc32c::crc32c_append(crc, bytes);
        at += read as u64;
    }
    let whole = stored == format!("{crc:08x}").as_bytes();
    Ok(if whole { Checked::Whole } else { Checked::Damaged })
}

/// The CRC-32C of a part of a file.
///
/// # Errors
/// The file cannot be read, or ends before.
pub(super) fn sum_range(file: &mut (impl Read + Seek), start: u64, end: u64) -> io::Result<u32> {
    file.seek(SeekFrom::Start(start))?;
    let mut rest = file.take(end.saturating_sub(start));
    let (mut crc, mut read_all) = (0, 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = rest.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        crc = crc32c::crc32c_append(crc, bytes);
        read_all += read as u64;
    }
    if read_all < end.saturating_sub(start) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(crc)
}

/// Where the file's checksum stands; the outer `None` if the footer has none, the inner if there is no footer.
#[expect(clippy::option_option, reason = "three answers, told apart by the only caller")]
fn checksum_place(file: &mut (impl Read + Seek), length: u64) -> io::Result<Option<Option<u64>>> {
    let mut tail = [0; TAIL];
    let Some(end) = length.checked_sub(TAIL as u64) else { return Ok(Some(None)) };
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut tail)?;
    let footer_length = tail.first_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    if !tail.ends_with(MAGIC) || footer_length > end {
        return Ok(Some(None));
    }
    let start = end - footer_length;
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.take(footer_length).read_to_end(&mut footer)?;
    Ok(find_checksum(&footer).map(|at| Some(start + at as u64)))
}

/// Where in a footer the checksum stands.
fn find_checksum(footer: &[u8]) -> Option<usize> {
    let pattern = [CHECKSUM_KEY.as_bytes(), BETWEEN].concat();
    let at = footer.windows(pattern.len()).rposition(|window| window == pattern)? + pattern.len();
    (at + PLACEHOLDER.len() <= footer.len()).then_some(at)
}
