//! What is watched: `list.txt` → one [`Description`](crate::swarm::Description) per swarm, defects told by line.
//!
//! `list` reads and merges the lines, `entry` makes sense of one, `shard` takes a part, `dry_run` shows the result.

pub mod dry_run;
mod entry;
pub mod list;
mod shard;

pub use list::{Entry, List, ListError, Remark};
pub use shard::Shard;
