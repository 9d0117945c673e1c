//! The derivations of peers, confirmed downloads, speeds and the tables over time as portable SQL, once for all engines.
//!
//! `{{name}}` in the texts stands for what a raw table is read from, or for a rule's value; `analyze sql` fills it in.

/// What [`VIEWS`] reads, for `DuckDB`.
pub const PREAMBLE_DUCKDB: &str = include_str!("../sql/preamble.duckdb.sql");

/// What [`VIEWS`] reads, for Apache Spark.
pub const PREAMBLE_SPARK: &str = include_str!("../sql/preamble.spark.sql");

/// Views over the raw tables, the same text for every engine.
pub const VIEWS: &str = include_str!("../sql/views.sql");

#[cfg(test)]
mod tests {
    use crate::table::{ContactOutcome, Source};

    use super::*;

    /// The text between two marks.
    fn between(begin: &str, end: &str) -> &'static str {
        VIEWS.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).expect("the marks").0
    }

    #[test]
    fn outcomes_with_a_handshake_are_those_of_the_schema() {
        let listed = between("outcome IN (", ")").split(',');
        let mut listed: Vec<&str> = listed.map(|outcome| outcome.trim().trim_matches('\'')).collect();
        listed.sort_unstable();
        let handshake = ContactOutcome::ALL.iter().filter(|outcome| outcome.has_handshake());
        let mut expected: Vec<&str> = handshake.map(|outcome| outcome.as_str()).collect();
        expected.sort_unstable();
        assert_eq!(listed, expected);
    }

    #[test]
    fn sources_are_in_the_order_of_the_schema() {
        let order = between("VIEW source_order AS", ";");
        let listed: Vec<&str> = order.split('\'').skip(1).step_by(2).collect();
        assert_eq!(listed, Source::ALL.iter().map(|source| source.as_str()).collect::<Vec<_>>());
    }
}
