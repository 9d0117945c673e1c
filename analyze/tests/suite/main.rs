//! The analysis as a whole: hand-written logs in, tables out. One binary, because linking it takes longer than running.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a helper of a test as in the test itself, what goes wrong fails it"
)]

mod anonymize;
mod bad_data;
mod cli;
mod common;
mod estimates;
mod formats;
mod geo;
mod golden;
mod health;
mod identity;
mod interrupted;
mod properties;
mod reference;
mod truth;
mod versions;
mod whole_log;
