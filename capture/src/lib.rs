//! Watches BitTorrent swarms: sources name peers, contacts observe them, the log keeps every raw observation.
//!
//! `sources` → `registry` → `schedule` → `contact` → `log`; `run` ties them together.

pub mod address;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contact;
pub mod discover;
pub mod display;
pub mod explain;
pub mod gauge;
pub mod hostnames;
pub mod log;
pub mod open_files;
pub mod printable;
pub mod registry;
pub mod run;
pub mod schedule;
pub mod sources;
pub mod swarm;
pub mod torrents;
pub mod udp;
pub mod units;
pub mod upload;
