//! Peers as a frame: who each is, what became of it, and which program it runs.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoColumn, IntoLazy, JoinArgs, JoinType, LazyFrame, NULL, NamedFrom,
    PolarsResult, Series, SortMultipleOptions, UnionArgs, col, concat, lit,
};

use super::{
    AtThreshold, Rules,
    identity::{KEY, key, left_join},
    judge::{Reached, Verdict},
    observations::Observed,
    threshold_series,
};

/// The columns of a frame of peers, in order.
///
/// `peer_port` is [`NO_PORT`](super::identity::NO_PORT) where `port` is null. `reached_at` is the first observation at or above the threshold,
/// `below_at` the last below it before: `crossed` peers have both, `already` complete ones only the former. Times are
/// microseconds, speeds bytes/s. What is not known of a peer that was only contacted is null, its flags are false.
pub const COLUMNS: [(&str, DataType); 23] = [
    ("info_hash", DataType::String),
    ("ip", DataType::String),
    ("peer_port", DataType::Int64),
    ("alias", DataType::Binary),
    ("peer_id", DataType::Binary),
    ("client", DataType::String),
    ("first_at", DataType::Int64),
    ("first_pieces", DataType::Int64),
    ("below_at", DataType::Int64),
    ("below_pieces", DataType::Int64),
    ("reached_at", DataType::Int64),
    ("reached_pieces", DataType::Int64),
    ("piece_count", DataType::Int64),
    ("live", DataType::Boolean),
    ("mean_speed", DataType::Float64),
    ("max_speed", DataType::Float64),
    ("crossed", DataType::Boolean),
    ("already", DataType::Boolean),
    ("backwards", DataType::Boolean),
    ("have_only", DataType::Boolean),
    ("implausible_speed", DataType::Boolean),
    ("flagged", DataType::Boolean),
    ("confirmed", DataType::Boolean),
];

/// Verdicts in columns.
#[derive(Default)]
struct Verdicts {
    peer: Vec<u32>,
    peer_id: Vec<Option<Vec<u8>>>,
    first_at: Vec<i64>,
    first_pieces: Vec<i64>,
    below_at: Vec<Option<i64>>,
    below_pieces: Vec<Option<i64>>,
    reached_at: Vec<Option<i64>>,
    reached_pieces: Vec<Option<i64>>,
    live: Vec<Option<bool>>,
    mean_speed: Vec<Option<f64>>,
    max_speed: Vec<Option<f64>>,
    already: Vec<bool>,
    backwards: Vec<bool>,
    have_only: Vec<bool>,
    implausible_speed: Vec<bool>,
}

/// Judges the observed peers and adds those that were only contacted: a frame of [`COLUMNS`], and the counts at each
/// of [`threshold_series`].
pub fn judge(
    observed: &Observed,
    contacts: &DataFrame,
    rules: &Rules,
) -> PolarsResult<(DataFrame, Vec<AtThreshold>)> {
    let mut thresholds = vec![rules.threshold];
    thresholds.extend(threshold_series());
    let mut verdicts = Verdicts::default();
    let mut at_thresholds = vec![AtThreshold::default(); thresholds.len() - 1];
    observed.judge(&thresholds, |peer, _, verdict| {
        count(&mut at_thresholds, &verdict, rules);
        verdicts.push(peer, &verdict, rules);
    })?;
    let judged = name(verdicts.into_frame()?, observed, contacts);
    let columns: Vec<Expr> = COLUMNS.iter().map(|(name, dtype)| col(*name).cast(dtype.clone())).collect();
    let judged = judged.select(columns.clone()).collect()?;
    let met = only_met(&judged, contacts, rules).select(columns);
    let peers = concat([judged.lazy(), met], UnionArgs::default())?.collect()?;
    Ok((peers, at_thresholds))
}

/// Counts a peer at every threshold after the first, the rules' own.
fn count(at_thresholds: &mut [AtThreshold], verdict: &Verdict<'_>, rules: &Rules) {
    if verdict.backwards || is_implausible(verdict, rules) {
        return;
    }
    for (at, reached) in at_thresholds.iter_mut().zip(verdict.reached.iter().skip(1)) {
        match reached {
            Some(Reached::Already) => at.already_complete += 1,
            Some(Reached::Crossed(_)) if verdict.believed => at.confirmed += 1,
            Some(Reached::Crossed(_)) | None => {}
        }
    }
}

fn is_implausible(verdict: &Verdict<'_>, rules: &Rules) -> bool {
    let limit = rules.max_plausible_speed as f64;
    verdict.max_speed.into_iter().chain(verdict.mean_speed).any(|speed| speed > limit)
}

impl Verdicts {
    fn push(&mut self, peer: u32, verdict: &Verdict<'_>, rules: &Rules) {
        let implausible_speed = is_implausible(verdict, rules);
        let reached = verdict.reached.first().copied().flatten();
        let crossing = match reached {
            Some(Reached::Crossed(crossing)) => Some(crossing),
            Some(Reached::Already) | None => None,
        };
        self.peer.push(peer);
        self.peer_id.push(verdict.peer_id.map(<[u8]>::to_vec));
        self.first_at.push(verdict.first_at);
        self.first_pieces.push(verdict.first_pieces.into());
        self.below_at.push(crossing.map(|crossing| crossing.below_at));
        self.below_pieces.push(crossing.map(|crossing| crossing.below_pieces.into()));
        self.reached_at.push(crossing.map(|crossing| crossing.at));
        self.reached_pieces.push(crossing.map(|crossing| crossing.pieces.into()));
        self.live.push(crossing.map(|crossing| crossing.live));
        self.mean_speed.push(verdict.mean_speed);
        self.max_speed.push(verdict.max_speed);
        self.already.push(reached == Some(Reached::Already));
        self.backwards.push(verdict.backwards);
        self.have_only.push(crossing.is_some() && !verdict.believed);
        self.implausible_speed.push(implausible_speed);
    }

    fn into_frame(self) -> PolarsResult<DataFrame> {
        let columns = vec![
            Series::new("peer".into(), self.peer).into_column(),
            Series::new("peer_id".into(), self.peer_id).into_column(),
            Series::new("first_at".into(), self.first_at).into_column(),
            Series::new("first_pieces".into(), self.first_pieces).into_column(),
            Series::new("below_at".into(), self.below_at).into_column(),
            Series::new("below_pieces".into(), self.below_pieces).into_column(),
            Series::new("reached_at".into(), self.reached_at).into_column(),
            Series::new("reached_pieces".into(), self.reached_pieces).into_column(),
            Series::new("live".into(), self.live).into_column(),
            Series::new("mean_speed".into(), self.mean_speed).into_column(),
            Series::new("max_speed".into(), self.max_speed).into_column(),
            Series::new("already".into(), self.already).into_column(),
            Series::new("backwards".into(), self.backwards).into_column(),
            Series::new("have_only".into(), self.have_only).into_column(),
            Series::new("implausible_speed".into(), self.implausible_speed).into_column(),
        ];
        DataFrame::new_infer_height(columns)
    }
}

/// Adds who the peers are and which program they run.
fn name(verdicts: DataFrame, observed: &Observed, contacts: &DataFrame) -> LazyFrame {
    let peers = observed.peers.clone().lazy().select([key(), vec![col("peer"), col("piece_count")]].concat());
    let of_id = || [key(), vec![col("peer_id")]].concat();
    let clients = contacts
        .clone()
        .lazy()
        .filter(col("client").is_not_null())
        .sort(["time", "run", "contact"], SortMultipleOptions::default())
        .group_by_stable(of_id())
        .agg([col("client").last()]);
    let crossed = || col("reached_at").is_not_null();
    let flagged = || col("backwards").or(col("have_only")).or(col("implausible_speed"));
    verdicts
        .lazy()
        .join(peers, [col("peer")], [col("peer")], left_join())
        .join(clients, of_id(), of_id(), left_join())
        .with_columns([
            crossed().alias("crossed"),
            flagged().alias("flagged"),
            crossed().and(flagged().not()).alias("confirmed"),
        ])
}

/// Peers whose handshake was received within the selected time, but no known observation.
fn only_met(judged: &DataFrame, contacts: &DataFrame, rules: &Rules) -> LazyFrame {
    let met = contacts
        .clone()
        .lazy()
        .filter(col("handshake").and(col("own").not()).and(rules.selection.in_time()))
        .sort(["time", "run", "contact"], SortMultipleOptions::default())
        .group_by_stable(key())
        .agg([col("peer_id").last(), col("client").drop_nulls().last()])
        .join(judged.clone().lazy(), key(), key(), JoinArgs::new(JoinType::Anti));
    let known = [KEY.as_slice(), &["peer_id", "client"]].concat();
    let unknown = COLUMNS.iter().filter(|(name, _)| !known.contains(name)).map(|(name, dtype)| match dtype {
        DataType::Boolean if *name != "live" => lit(false).alias(*name),
        _ => lit(NULL).cast(dtype.clone()).alias(*name),
    });
    met.with_columns(unknown.collect::<Vec<_>>())
}

/// What [`Presence::add_stays`](super::presence::Presence::add_stays) and
/// [`add_arrivals`](super::arrival::add_arrivals) add to peers.
const STAYS: [&str; 4] = ["watched_from", "stayed_us", "gone_us", "came_after"];

/// Peers of whom nobody asks when they came and how long they stayed.
pub fn without_stays(peers: DataFrame) -> PolarsResult<DataFrame> {
    peers.lazy().with_columns(STAYS.map(|name| lit(NULL).cast(DataType::Int64).alias(name))).collect()
}

/// A frame of no peers, with their stays.
pub fn empty() -> PolarsResult<DataFrame> {
    let stays = STAYS.map(|name| (name, DataType::Int64));
    let columns = COLUMNS.iter().chain(&stays);
    let columns = columns.map(|(name, dtype)| Series::new_empty((*name).into(), dtype).into_column());
    DataFrame::new(0, columns.collect())
}
