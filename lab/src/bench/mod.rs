//! Measurements against the lab's peers and logs, each as a ratio taken in one run on one machine.

pub mod contacts;
pub mod hold;
pub mod log;
pub mod replay;
pub mod schedule;
pub mod tally;
