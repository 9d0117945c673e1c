//! What becomes of the peers that a replay finds: it hands them on range by range and keeps none itself.

use polars::prelude::{DataFrame, PolarsResult};

use super::spool::Spool;

/// Keeps peers, or what it makes of them.
pub trait Keep: Send + Sized {
    /// Takes the peers of a range, a frame of [`super::peers::COLUMNS`]: in the order of torrents and addresses, after those
    /// that were taken before, and with none of their addresses.
    fn take(&mut self, peers: DataFrame) -> PolarsResult<()>;

    /// Told that no more peers come but from others: holds less in memory.
    fn settle(&mut self) -> PolarsResult<()>;

    /// Adds what another one kept of later ranges.
    fn append(&mut self, later: Self) -> PolarsResult<()>;
}

impl Keep for Spool {
    fn take(&mut self, peers: DataFrame) -> PolarsResult<()> {
        self.push(peers)
    }

    fn settle(&mut self) -> PolarsResult<()> {
        Self::settle(self)
    }

    fn append(&mut self, later: Self) -> PolarsResult<()> {
        Self::append(self, later);
        Ok(())
    }
}
