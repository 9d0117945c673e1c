//! `sources`: what each source contributed, and how far sources name the same peers.

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, col};
use schema::table::Source;

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::replay::sightings::SourceSet;

/// What `sources` holds.
pub const DEFINITION: Definition = Definition {
    name: "sources",
    title: "Sources",
    about: "Addresses each source named, and how many of its peers other sources named as well, over all torrents.",
    key: 1,
    columns: &[
        column("source", Kind::Text, "What named the peers, e.g. `tracker_udp`."),
        column("received", Kind::Count, "Addresses received, repeats included."),
        column("new", Kind::Count, "Addresses no source had named before."),
        column("duplicate", Kind::Count, "Addresses some source had named before: received − new."),
        column("unique_peers", Kind::Count, "Different peers the source named."),
        column("contacted_peers", Kind::Count, "Of these, peers whose handshake was received at least once."),
        column("only_here", Kind::Count, "Of these, peers no other source named."),
        column("also_dht", Kind::Count, "Of these, peers the DHT named as well."),
        column("also_incoming", Kind::Count, "Of these, peers that connected to us as well."),
        column("also_lsd", Kind::Count, "Of these, peers local discovery named as well."),
        column("also_magnet", Kind::Count, "Of these, peers a magnet link named as well."),
        column("also_pex", Kind::Count, "Of these, peers that peer exchange named as well."),
        column("also_tracker_http", Kind::Count, "Of these, peers an HTTP tracker named as well."),
        column("also_tracker_udp", Kind::Count, "Of these, peers a UDP tracker named as well."),
    ],
};

/// Counts what each source named, alone and together with the others.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let sets = &input.replay.source_sets;
    let count = |matches: &dyn Fn(SourceSet, bool) -> bool| -> u64 {
        sets.iter().filter(|((set, contacted), _)| matches(*set, *contacted)).map(|(_, peers)| peers).sum()
    };
    let each = |matches: &dyn Fn(Source, SourceSet, bool) -> bool| -> Vec<u64> {
        Source::ALL
            .iter()
            .map(|source| count(&|set, contacted| set.has(*source) && matches(*source, set, contacted)))
            .collect()
    };
    let mut columns = vec![
        Series::new("source".into(), Source::ALL.iter().map(|source| source.as_str()).collect::<Vec<_>>()),
        Series::new("unique_peers".into(), each(&|_, _, _| true)),
        Series::new("contacted_peers".into(), each(&|_, _, contacted| contacted)),
        Series::new("only_here".into(), each(&|_, set, _| set.len() == 1)),
    ];
    for other in Source::ALL {
        let both = each(&|_, set, _| set.has(*other));
        columns.push(Series::new(format!("also_{other}").into(), both));
    }
    let overlap = DataFrame::new_infer_height(columns.into_iter().map(IntoColumn::into_column).collect())?;
    let received = super::sources_hourly::counted(input).group_by([col("source")]).agg([
        col("received").sum(),
        col("new").sum(),
        col("duplicate").sum(),
    ]);
    let by = || [col("source")];
    DEFINITION.finish(received.join(overlap.lazy(), by(), by(), super::left_join()))
}
