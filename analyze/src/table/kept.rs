//! What the tables keep of the peers that a replay finds: rows of their own, and the peers themselves where a table sums
//! over them.

use polars::prelude::{DataFrame, PolarsResult};

use super::{Definition, TABLES, streamed::Rows};
use crate::replay::{keep::Keep, spool::Spool};

/// Tables that sum over peers.
const SUMMING: [&str; 7] =
    ["cities", "clients", "confirmed_hourly", "countries", "networks", "speeds_by_country", "summary"];

/// What is kept of the peers.
#[derive(Debug, Default)]
pub struct Kept {
    /// The peers, if a table sums over them.
    pub peers: Option<Spool>,
    /// Tables with a row per peer.
    pub rows: Vec<Rows>,
}

impl Kept {
    /// For the tables whose names `wanted` tells.
    pub fn of(wanted: impl Fn(&str) -> bool) -> Self {
        let is_wanted = |definition: &&&'static Definition| wanted(definition.name);
        Self {
            peers: SUMMING.iter().any(|name| wanted(name)).then(Spool::default),
            rows: TABLES.iter().filter(is_wanted).filter_map(|definition| Rows::of(definition)).collect(),
        }
    }
}

impl Keep for Kept {
    fn take(&mut self, peers: DataFrame) -> PolarsResult<()> {
        for rows in &mut self.rows {
            rows.take(&peers)?;
        }
        self.peers.as_mut().map_or(Ok(()), |kept| kept.push(peers))
    }

    fn settle(&mut self) -> PolarsResult<()> {
        for rows in &mut self.rows {
            rows.settle()?;
        }
        self.peers.as_mut().map_or(Ok(()), Spool::settle)
    }

    fn append(&mut self, later: Self) -> PolarsResult<()> {
        for (rows, more) in self.rows.iter_mut().zip(later.rows) {
            rows.append(more)?;
        }
        if let (Some(kept), Some(more)) = (&mut self.peers, later.peers) {
            kept.append(more);
        }
        Ok(())
    }
}
