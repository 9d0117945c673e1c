//! Fetching the info dictionary from one peer (BEP 9), bounded in time.

use std::time::{Duration, Instant};

use crate::{
    InfoHash,
    peer::{
        extension::UtMetadata,
        metadata::{Assembly, Error},
    },
};

/// A peer that takes longer to answer is not asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Why no metadata came of a fetch.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// What came is not what was asked for, or does not hash to the info-hash.
    #[error("{0}")]
    Bad(#[from] Error),
    /// The peer has no metadata to give.
    #[error("the peer rejected the request")]
    Rejected,
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
}

impl FetchError {
    /// Whether the peer lied, rather than declined.
    pub fn is_lie(&self) -> bool {
        matches!(self, Self::Bad(Error::HashMismatch | Error::WrongLength { .. }))
    }
}

/// A fetch in progress.
#[derive(Debug)]
pub(super) struct Fetch {
    assembly: Assembly,
    /// When the last request was sent or the last piece came.
    moved: Instant,
}

impl Fetch {
    pub(super) fn new(now: Instant, info_hash: InfoHash, size: u32) -> Result<Self, FetchError> {
        Ok(Self { assembly: Assembly::new(info_hash, size)?, moved: now })
    }

    /// The next request to send; `None` while enough are on their way.
    pub(super) fn next_request(&mut self) -> Option<UtMetadata> {
        Some(UtMetadata::Request { piece: self.assembly.next_request()? })
    }

    /// Takes a piece; true with the last one.
    pub(super) fn add(&mut self, now: Instant, piece: u32, bytes: &[u8]) -> Result<bool, FetchError> {
        self.moved = now;
        Ok(self.assembly.add(piece, bytes)?)
    }

    /// The info dictionary, checked against the info-hash.
    pub(super) fn finish(self) -> Result<Vec<u8>, FetchError> {
        Ok(self.assembly.finish()?)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.moved + ANSWER_TIMEOUT
    }
}
