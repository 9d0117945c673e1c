//! What Swarmtally records, and nothing about how it is obtained or judged.
//!
//! Rows ([`table`]) → WAL frames → Parquet segments, and where each lies.
//! This crate reads and writes those formats; it opens no socket and reads no clock.

#[macro_use]
mod closed_set;
#[macro_use]
mod define_table;

pub mod table;
pub mod value;

pub use value::{InfoHash, InfoHashV2, PeerId, RunId, Timestamp};
