//! Replays a Swarmtally log into tables, figures and a report: raw Parquet segments → CSV, SVG, PNG and HTML.
//!
//! Every judgement lives here and none in the log. Reads what `schema` defines and nothing else of ours.

pub mod anonymize;
pub mod arenas;
pub mod bucket;
pub mod cli;
pub mod client;
pub mod compact;
pub mod csv_file;
mod dense;
mod digits;
pub mod estimate;
pub mod facts;
pub mod figure;
pub mod geo;
pub mod hostname;
pub mod log;
pub mod map;
pub mod number;
pub mod place;
pub mod quantiles;
pub mod raw;
pub mod remote;
pub mod replay;
pub mod report;
pub mod run;
pub mod scratch;
pub mod sql;
pub mod table;
pub mod table_file;
pub mod time;
pub mod verify;
