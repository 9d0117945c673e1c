//! Measurements against the lab's peers, each as a ratio taken in one run on one machine.

pub mod contacts;
pub mod tally;
