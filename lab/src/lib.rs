//! A swarm in a box whose truth is known, and the score of a report against that truth.
//!
//! `plan` (everything drawn from the seed) → `swarm` (trackers and peers on loopback) → `truth` (what happened) →
//! `score` (a report's confirmed downloads against it).

pub mod bench;
pub mod cli;
pub mod clock;
pub mod log;
pub mod peer;
pub mod plan;
pub mod profile;
pub mod score;
pub mod swarm;
pub mod tracker;
pub mod truth;
