//! A file read in parts, by as many readers at once as like: for Parquet, and as a stream.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    errors::{ParquetError, Result as ParquetResult},
    file::reader::{ChunkReader, Length},
};

/// Bytes that can be read anywhere.
pub trait Readable: Send + Sync + 'static {
    /// How many there are.
    ///
    /// # Errors
    /// As of the file system.
    fn length(&self) -> io::Result<u64>;

    /// Reads some bytes at `offset` and tells how many; none at the end.
    ///
    /// # Errors
    /// As of the file system.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

impl Readable for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, offset)
    }
}

impl Readable for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(into), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            into.copy_from_slice(from);
        }
        Ok(count)
    }
}

/// A reader of such bytes with a place of its own; clones share the bytes.
#[derive(Clone)]
pub struct Reader {
    source: Arc<dyn Readable>,
    length: u64,
    at: u64,
}

impl Reader {
    /// A reader at the start.
    ///
    /// # Errors
    /// The length cannot be told.
    pub fn new(source: impl Readable) -> io::Result<Self> {
        let length = source.length()?;
        Ok(Self { source: Arc::new(source), length, at: 0 })
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Length for Reader {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Reader {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let mut reader = self.clone();
        reader.at = start;
        Ok(BufReader::new(reader))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} lie beyond the file's end")));
        }
        let mut bytes = vec![0; length];
        let mut reader = self.clone();
        reader.at = start;
        reader.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
