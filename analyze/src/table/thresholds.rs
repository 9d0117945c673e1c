//! `thresholds`: how the count depends on the threshold.

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `thresholds` holds.
pub const DEFINITION: Definition = Definition {
    name: "thresholds",
    title: "Thresholds",
    about: "Confirmed downloads had the threshold been another one, 0.90 to 1.00, over all torrents.",
    key: 1,
    columns: &[
        column("threshold", Kind::Share, "Share of the pieces a peer must have."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads at this threshold."),
        column("already_complete", Kind::Count, "Peers at or above this threshold when first seen."),
    ],
};

/// Reads the counts the replay took at each threshold.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let shares: Vec<f64> =
        crate::replay::threshold_series().iter().map(|threshold| threshold.share()).collect();
    let counts = &input.replay.thresholds;
    let confirmed: Vec<u64> = counts.iter().map(|at| at.confirmed).collect();
    let complete: Vec<u64> = counts.iter().map(|at| at.already_complete).collect();
    let rows = DataFrame::new_infer_height(vec![
        Series::new("threshold".into(), shares).into_column(),
        Series::new("confirmed_downloads".into(), confirmed).into_column(),
        Series::new("already_complete".into(), complete).into_column(),
    ])?;
    DEFINITION.finish(rows.lazy())
}
