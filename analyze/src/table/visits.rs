//! `visits`: how often peers were contacted.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `visits` holds.
pub const DEFINITION: Definition = Definition {
    name: "visits",
    title: "Visits",
    about: "How many contacts each peer had, tried and successful, over all torrents.",
    key: 1,
    columns: &[
        column("contacts", Kind::Count, "A number of contacts."),
        column("peers_tried", Kind::Count, "Peers with exactly so many contacts, successful or not."),
        column("share_tried", Kind::Share, "Part of all tried peers with at most so many contacts."),
        column("peers_reached", Kind::Count, "Peers with exactly so many contacts with a handshake."),
        column("share_reached", Kind::Share, "Part of all reached peers with at most so many such contacts."),
    ],
};

/// Reads the replay's two histograms.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let (tried, reached) = &input.replay.visits;
    let mut contacts: Vec<u64> = tried.keys().chain(reached.keys()).copied().collect();
    contacts.sort_unstable();
    contacts.dedup();
    let peers = |histogram: &BTreeMap<u64, u64>| -> Vec<u64> {
        contacts.iter().map(|contacts| histogram.get(contacts).copied().unwrap_or_default()).collect()
    };
    let shares = |histogram: &BTreeMap<u64, u64>| -> Vec<Option<f64>> {
        let all: u64 = histogram.values().sum();
        let at_most = |contacts: &u64| histogram.range(..=contacts).map(|(_, peers)| peers).sum::<u64>();
        contacts.iter().map(|contacts| (all > 0).then(|| at_most(contacts) as f64 / all as f64)).collect()
    };
    let rows = DataFrame::new_infer_height(vec![
        Series::new("peers_tried".into(), peers(tried)).into_column(),
        Series::new("share_tried".into(), shares(tried)).into_column(),
        Series::new("peers_reached".into(), peers(reached)).into_column(),
        Series::new("share_reached".into(), shares(reached)).into_column(),
        Series::new("contacts".into(), contacts).into_column(),
    ])?;
    DEFINITION.finish(rows.lazy())
}
