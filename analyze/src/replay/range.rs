//! Ranges of info-hashes: the log cut so that each piece fits into memory, replayed one by one and put together.

use std::collections::BTreeMap;

use polars::prelude::{
    DataFrame, DataType, IntoLazy, LazyFrame, PolarsResult, SortMultipleOptions, UnionArgs, coalesce, col,
    concat, len, lit,
};

use schema::table::Table;

use super::{
    AtThreshold, Needs, Replay, Rules, arrival,
    identity::{self, key, left_join},
    observations,
    ourselves::Ourselves,
    peers,
    presence::{Presence, Sessions},
    sightings::{self, NamedPeers, SourceSet},
    threshold_series, torrents,
};
use crate::log::{Log, Selection};

/// Raw rows a range may hold, unless a single torrent has more.
const RANGE_ROWS: u64 = 4_000_000;

/// Some torrents next to each other in the order of info-hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first info-hash.
    pub first: String,
    /// The last one.
    pub last: String,
    /// Raw rows of the range.
    pub rows: u64,
}

/// What every range's replay needs.
pub struct Context<'a> {
    log: &'a Log,
    rules: &'a Rules,
    needs: Needs,
    torrents: DataFrame,
    ourselves: Ourselves,
}

impl<'a> Context<'a> {
    /// Reads the torrents and finds our own addresses.
    pub fn new(log: &'a Log, rules: &'a Rules, needs: Needs) -> PolarsResult<Self> {
        let torrents = torrents::read(log, &rules.selection)?;
        let ourselves = Ourselves::find(log)?;
        Ok(Self { log, rules, needs, torrents, ourselves })
    }

    /// The range's rows of a table, or none where no table asked for needs them.
    fn if_needed(&self, needed: bool, table: Table, range: &Range) -> PolarsResult<LazyFrame> {
        let rows = self.select(table, range)?;
        Ok(if needed { rows } else { rows.limit(0) })
    }

    fn select(&self, table: Table, range: &Range) -> PolarsResult<LazyFrame> {
        let info_hash = || col("info_hash");
        let rows = self.log.select(table, &self.rules.selection)?;
        Ok(rows.filter(
            info_hash().gt_eq(lit(range.first.clone())).and(info_hash().lt_eq(lit(range.last.clone()))),
        ))
    }

    /// The range's contacts of all times, resolved: identities do not depend on the selected time.
    fn contacts(&self, range: &Range) -> PolarsResult<DataFrame> {
        let selection = Selection { since: None, until: None, ..self.rules.selection.clone() };
        let timeless = Context {
            log: self.log,
            rules: &Rules { selection, ..self.rules.clone() },
            needs: self.needs,
            torrents: DataFrame::empty(),
            ourselves: self.ourselves.clone(),
        };
        let contacts = timeless.select(Table::Contacts, range)?;
        identity::resolve(contacts, &self.ourselves, self.rules.identity)?.collect()
    }
}

/// Cuts the log into ranges of at most four million rows, or one torrent; at least one range.
pub fn ranges(log: &Log, selection: &Selection) -> PolarsResult<Vec<Range>> {
    let selection = Selection { since: None, until: None, ..selection.clone() };
    let mut counts = Vec::new();
    for table in [Table::Contacts, Table::Progress, Table::Sightings] {
        counts.push(log.select(table, &selection)?.group_by([col("info_hash")]).agg([len().alias("rows")]));
    }
    let counts = concat(counts, UnionArgs::default())?
        .filter(col("info_hash").is_not_null())
        .group_by([col("info_hash")])
        .agg([col("rows").cast(DataType::UInt64).sum()])
        .sort(["info_hash"], SortMultipleOptions::default())
        .collect()?;
    let mut ranges: Vec<Range> = Vec::new();
    for (info_hash, rows) in
        counts.column("info_hash")?.str()?.iter().zip(counts.column("rows")?.u64()?.iter())
    {
        let (Some(info_hash), Some(rows)) = (info_hash, rows) else { continue };
        match ranges.last_mut() {
            Some(range) if range.rows + rows <= RANGE_ROWS => {
                info_hash.clone_into(&mut range.last);
                range.rows += rows;
            }
            _ => ranges.push(Range { first: info_hash.to_owned(), last: info_hash.to_owned(), rows }),
        }
    }
    if ranges.is_empty() {
        // A log without rows goes the same way as any other.
        ranges.push(Range { first: String::new(), last: String::new(), rows: 0 });
    }
    Ok(ranges)
}

/// What the replay of one range found; see [`Replay`].
#[derive(Debug)]
pub struct Part {
    peers: DataFrame,
    thresholds: Vec<AtThreshold>,
    swarms: DataFrame,
    addresses: DataFrame,
    source_sets: DataFrame,
    rounds: DataFrame,
    seeders: DataFrame,
    sessions: Sessions,
    received: DataFrame,
    new: DataFrame,
    tried: DataFrame,
    reached: DataFrame,
}

/// Replays one range.
pub fn replay(context: &Context<'_>, range: &Range) -> PolarsResult<Part> {
    let (needs, rules) = (context.needs, context.rules);
    let contacts = context.contacts(range)?;
    let progress = context.if_needed(needs.progress, Table::Progress, range)?;
    let observed = observations::observe(&progress, &contacts, &context.torrents, rules.identity)?;
    let (peers, thresholds) = peers::judge(&observed, &contacts, rules)?;

    let sightings = context.if_needed(needs.sightings, Table::Sightings, range)?;
    let named = sightings::peers(&sightings, &contacts, &context.ourselves, rules.identity)?.collect()?;
    let (peers, sessions) = if needs.presence {
        let presence = Presence::of(&contacts, watched(&contacts, &sightings, rules)?, rules)?;
        let peers = arrival::add_arrivals(presence.add_stays(peers)?, &named, &sightings)?;
        (peers, presence.sessions()?)
    } else {
        (peers::without_stays(peers)?, Sessions::default())
    };
    let known = known_peers(&named, &contacts, &peers, context.rules)?;

    let of = |names: &[&str]| {
        let by: Vec<_> = names.iter().map(|name| col(*name)).collect();
        known.clone().lazy().group_by(by).agg([col("peers").sum(), col("contacted_peers").sum()]).collect()
    };
    let histogram = |column: &str| {
        let counted = known.clone().lazy().filter(col(column).gt(lit(0)));
        counted.group_by([col(column).alias("contacts")]).agg([count_rows("peers")]).collect()
    };
    Ok(Part {
        thresholds,
        swarms: of(&["info_hash"])?,
        addresses: of(&["ip"])?,
        source_sets: known
            .clone()
            .lazy()
            .filter(col("sources").gt(lit(0)))
            .group_by([
                col("info_hash"),
                col("sources"),
                col("contacted_peers").gt(lit(0)).alias("contacted"),
                col("dialled").gt(lit(0)).alias("dialled"),
                col("answered").gt(lit(0)).alias("answered"),
            ])
            .agg([count_rows("peers")])
            .collect()?,
        rounds: sightings::rounds(&sightings, &context.ourselves, rules)?.collect()?,
        seeders: if needs.seeders {
            observed.seeders(rules.threshold, rules.bucket_us)?
        } else {
            observations::no_seeders()?
        },
        sessions,
        received: sightings::received(&sightings, &context.ourselves, context.rules).collect()?,
        new: sightings::new(named.lazy(), context.rules).collect()?,
        tried: histogram("tried")?,
        reached: histogram("reached")?,
        peers,
    })
}

/// When each torrent was watched: `info_hash`, `watched_from`, `watched_until`.
fn watched(contacts: &DataFrame, sightings: &LazyFrame, rules: &Rules) -> PolarsResult<DataFrame> {
    let in_time = contacts.clone().lazy().filter(rules.selection.in_time());
    let times = |rows: LazyFrame| {
        rows.group_by([col("info_hash")])
            .agg([col("time").min().alias("watched_from"), col("time").max().alias("watched_until")])
    };
    let beginning = coalesce(&[col("handshake_at"), col("time")]).alias("time");
    let begun = in_time.clone().select([col("info_hash"), beginning]);
    concat([times(in_time), times(begun), times(sightings.clone())], UnionArgs::default())?
        .group_by([col("info_hash")])
        .agg([col("watched_from").min(), col("watched_until").max()])
        .collect()
}

fn count_rows(name: &str) -> polars::prelude::Expr {
    len().cast(DataType::Int64).alias(name)
}

/// Every endpoint anything is known of: the key, `sources`, `tried`, `reached`, `dialled`, `answered`, `peers`,
/// `contacted_peers`. The former two count contacts in both directions, the next two outgoing ones.
///
/// `peers` is 1, or the number of peers that followed one another at the endpoint.
fn known_peers(
    named: &DataFrame,
    contacts: &DataFrame,
    peers: &DataFrame,
    rules: &Rules,
) -> PolarsResult<DataFrame> {
    let with_handshake = col("handshake").fill_null(lit(false));
    let sum = |truth: polars::prelude::Expr| truth.cast(DataType::Int64).sum();
    let tried = contacts
        .clone()
        .lazy()
        .filter(col("own").not().and(rules.selection.in_time()))
        .filter(identity::is_out().or(with_handshake.clone()))
        .group_by(key())
        .agg([
            count_rows("tried"),
            sum(with_handshake.clone()).alias("reached"),
            sum(identity::is_out()).alias("dialled"),
            sum(identity::is_out().and(with_handshake)).alias("answered"),
        ]);
    let counts = ["sources", "tried", "reached", "dialled", "answered"];
    let columns = [key(), counts.map(col).to_vec()].concat();
    let zero = |name: &str| lit(0_i64).cast(DataType::Int64).alias(name);
    let tried = tried.with_column(zero("sources"));
    let no_contacts = counts.iter().skip(1).map(|name| zero(name)).collect::<Vec<_>>();
    let named = named.clone().lazy().with_columns(no_contacts).select(columns.clone());
    let contacted = peers.clone().lazy().group_by(key()).agg([count_rows("contacted_peers")]);
    let observed = contacted.clone().with_columns(counts.map(zero));
    concat([named, tried.select(columns.clone()), observed.select(columns)], UnionArgs::default())?
        .group_by(key())
        .agg(counts.map(|name| col(name).sum()))
        .join(contacted, key(), key(), left_join())
        .with_column(col("contacted_peers").fill_null(lit(0_i64)))
        .with_column(
            polars::prelude::when(col("contacted_peers").gt(lit(1)))
                .then(col("contacted_peers"))
                .otherwise(lit(1_i64))
                .alias("peers"),
        )
        .collect()
}

/// Puts the parts together.
pub fn merge(context: &Context<'_>, mut parts: Vec<Part>) -> PolarsResult<Replay> {
    let sessions = sessions(&mut parts);
    let mut thresholds = vec![AtThreshold::default(); threshold_series().len()];
    for part in &parts {
        for (sum, at) in thresholds.iter_mut().zip(&part.thresholds) {
            sum.confirmed += at.confirmed;
            sum.already_complete += at.already_complete;
        }
    }
    let sum = |frame: fn(&Part) -> &DataFrame, by: &[&str], sums: &[&str]| -> PolarsResult<DataFrame> {
        let frames: Vec<LazyFrame> = parts.iter().map(|part| frame(part).clone().lazy()).collect();
        let by: Vec<_> = by.iter().map(|name| col(*name)).collect();
        let sums: Vec<_> = sums.iter().map(|name| col(*name).sum()).collect();
        concat(frames, UnionArgs::default())?.group_by(by).agg(sums).collect()
    };
    let counts = ["peers", "contacted_peers"];
    let hours = sum(|part| &part.received, &["hour", "source"], &["received"])?;
    let new = sum(|part| &part.new, &["hour", "source"], &["new"])?;
    Ok(Replay {
        torrents: context.torrents.clone(),
        swarms: sum(|part| &part.swarms, &["info_hash"], &counts)?,
        addresses: sum(|part| &part.addresses, &["ip"], &counts)?,
        source_sets: source_sets(&sum(|part| &part.source_sets, &SOURCE_SET_KEY, &["peers"])?)?,
        rounds: sum(|part| &part.rounds, &["info_hash", "rounds"], &["addresses"])?,
        seeders: sum(|part| &part.seeders, &["hour", "info_hash"], &["seeders", "leechers"])?,
        sessions,
        source_hours: join_hours(hours, new)?,
        visits: (
            histogram(&sum(|part| &part.tried, &["contacts"], &["peers"])?)?,
            histogram(&sum(|part| &part.reached, &["contacts"], &["peers"])?)?,
        ),
        thresholds,
        peers: all_peers(parts)?,
    })
}

fn all_peers(parts: Vec<Part>) -> PolarsResult<DataFrame> {
    let frames: Vec<LazyFrame> = parts.into_iter().map(|part| part.peers.lazy()).collect();
    concat(frames, UnionArgs::default())?.collect()
}

fn join_hours(received: DataFrame, new: DataFrame) -> PolarsResult<DataFrame> {
    let by = || [col("hour"), col("source")];
    received
        .lazy()
        .join(new.lazy(), by(), by(), left_join())
        .with_column(col("new").fill_null(lit(0_i64)))
        .collect()
}

/// What tells sets of peers apart by who named them and how they answered.
const SOURCE_SET_KEY: [&str; 5] = ["info_hash", "sources", "contacted", "dialled", "answered"];

fn source_sets(sets: &DataFrame) -> PolarsResult<Vec<NamedPeers>> {
    let truth = |name: &str| -> PolarsResult<Vec<bool>> {
        Ok(sets.column(name)?.bool()?.iter().map(Option::unwrap_or_default).collect())
    };
    let truths = truth("contacted")?.into_iter().zip(truth("dialled")?.into_iter().zip(truth("answered")?));
    let names = sets.column("info_hash")?.str()?.iter().zip(sets.column("sources")?.i64()?.iter());
    let mut found: Vec<NamedPeers> = names
        .zip(truths)
        .zip(sets.column("peers")?.i64()?.iter())
        .filter_map(|(((info_hash, sources), (contacted, (dialled, answered))), peers)| {
            Some(NamedPeers {
                info_hash: info_hash?.to_owned(),
                sources: SourceSet(u8::try_from(sources?).ok()?),
                contacted,
                dialled,
                answered,
                peers: u64::try_from(peers?).ok()?,
            })
        })
        .collect();
    found.sort();
    Ok(found)
}

fn sessions(parts: &mut [Part]) -> Sessions {
    let mut all = Sessions::default();
    for part in parts {
        all.seen.append(&mut part.sessions.seen);
        all.left_truncated += part.sessions.left_truncated;
    }
    all
}

fn histogram(counts: &DataFrame) -> PolarsResult<BTreeMap<u64, u64>> {
    let contacts = counts.column("contacts")?.i64()?.iter();
    Ok(contacts
        .zip(counts.column("peers")?.i64()?.iter())
        .filter_map(|(contacts, peers)| Some((u64::try_from(contacts?).ok()?, u64::try_from(peers?).ok()?)))
        .collect())
}
