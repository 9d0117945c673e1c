//! What Swarmtally records, and nothing about how it is obtained or judged.
//!
//! Rows ([`table`]) → WAL frames ([`frame`]) → Parquet segments ([`segment`]), and where each lies ([`layout`]).
//! This crate reads and writes those formats; it opens no socket and reads no clock.

pub mod cell;
#[macro_use]
mod closed_set;
#[macro_use]
mod define_table;

pub mod conceal;
pub mod disk;
pub mod frame;
pub mod layout;
pub mod place;
pub mod segment;
pub mod sql;
pub mod staging;
pub mod table;
pub mod value;

pub use value::{InfoHash, InfoHashV2, PeerId, Reserved, RunId, Timestamp};

/// Version of the tables' columns, written into every segment; raised when a column is added.
pub const SCHEMA_VERSION: u32 = 1;
