//! Replays a Swarmtally log into tables, figures and a report: raw Parquet segments → CSV, SVG, PNG and HTML.
//!
//! Every judgement lives here and none in the log. Reads what `schema` defines and nothing else of ours.

pub mod facts;
pub mod figure;
pub mod map;
pub mod report;
pub mod table;
