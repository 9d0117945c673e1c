//! `sources`: what each source contributed, and how far sources name the same peers.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, col};
use schema::table::Source;

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::{
    estimate::{Estimate, share},
    replay::sightings::NamedPeers,
};

/// In which direction reachability errs.
const REACHABILITY_BIAS: &str = "low: a source may name peers that have long left";

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
        column("dialled_peers", Kind::Count, "Of these, peers we tried to connect to."),
        column("answered_peers", Kind::Count, "Of those tried, peers that answered with a handshake."),
        column("reachability", Kind::Share, "Part of the peers tried that answered; empty where none was."),
        column("reachability_low", Kind::Share, "Lower end of its 95 % interval."),
        column("reachability_high", Kind::Share, "Upper end of its 95 % interval."),
        column("reachability_method", Kind::Text, "How the interval is made: `wilson`."),
        column("reachability_bias", Kind::Text, "In which direction it errs."),
    ],
};

/// Counts what each source named, alone and together with the others.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let sets = &input.replay.source_sets;
    let each = |matches: &dyn Fn(&NamedPeers) -> bool| -> Vec<u64> {
        let count = |source: &Source| {
            let named = sets.iter().filter(|named| named.sources.has(*source) && matches(named));
            named.map(|named| named.peers).sum()
        };
        Source::ALL.iter().map(count).collect()
    };
    let (dialled, answered) = (each(&|named| named.dialled), each(&|named| named.answered));
    let reachable: Vec<Option<Estimate>> =
        answered.iter().zip(&dialled).map(|(part, whole)| share::estimate(*part, *whole)).collect();
    let reachability = |name: &str, read: fn(&Estimate) -> f64| {
        Series::new(name.into(), reachable.iter().map(|found| found.as_ref().map(read)).collect::<Vec<_>>())
    };
    let known =
        |text: &'static str| reachable.iter().map(|found| found.as_ref().map(|_| text)).collect::<Vec<_>>();
    let mut columns = vec![
        Series::new("source".into(), Source::ALL.iter().map(|source| source.as_str()).collect::<Vec<_>>()),
        Series::new("unique_peers".into(), each(&|_| true)),
        Series::new("contacted_peers".into(), each(&|named| named.contacted)),
        Series::new("only_here".into(), each(&|named| named.sources.len() == 1)),
        Series::new("dialled_peers".into(), dialled.clone()),
        Series::new("answered_peers".into(), answered.clone()),
        reachability("reachability", |found| found.value),
        reachability("reachability_low", |found| found.low),
        reachability("reachability_high", |found| found.high),
        Series::new("reachability_method".into(), known(share::METHOD)),
        Series::new("reachability_bias".into(), known(REACHABILITY_BIAS)),
    ];
    for other in Source::ALL {
        let both = each(&|named| named.sources.has(*other));
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

/// Peers of each torrent that each source named: all, those no other source named, those we tried to connect to, and of
/// these those that answered.
pub fn of_torrents(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let mut sums: BTreeMap<(&str, &str), [u64; 4]> = BTreeMap::new();
    for named in &input.replay.source_sets {
        for source in Source::ALL.iter().filter(|source| named.sources.has(**source)) {
            let sum = sums.entry((named.info_hash.as_str(), source.as_str())).or_default();
            let is_told = [true, named.sources.len() == 1, named.dialled, named.answered];
            for (sum, is_told) in sum.iter_mut().zip(is_told) {
                *sum += if is_told { named.peers } else { 0 };
            }
        }
    }
    let count = |name: &str, of: fn(&[u64; 4]) -> u64| {
        Series::new(name.into(), sums.values().map(of).collect::<Vec<_>>()).into_column()
    };
    DataFrame::new_infer_height(vec![
        Series::new("info_hash".into(), sums.keys().map(|(hash, _)| *hash).collect::<Vec<_>>()).into_column(),
        Series::new("source".into(), sums.keys().map(|(_, source)| *source).collect::<Vec<_>>())
            .into_column(),
        count("unique_peers", |[all, ..]| *all),
        count("only_here", |[_, alone, ..]| *alone),
        count("dialled_peers", |[_, _, dialled, _]| *dialled),
        count("answered_peers", |[.., answered]| *answered),
    ])
}
