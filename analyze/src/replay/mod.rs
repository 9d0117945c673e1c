//! The replay: raw rows → what is true of every peer, by the design's "Rules for what is true".
//!
//! An [`overview`] reads what must be known of the whole log. Then it is read in ranges of (info-hash, address), in the
//! order that segments are sorted by, several at a time; each address of a torrent is a unit of contacts, observations and
//! sightings that are judged together, and memory follows the size of ranges and not that of the log.

pub mod arrival;
pub mod batch;
pub mod by_address;
pub mod calls;
pub mod columns;
pub mod cuts;
pub mod decode;
pub mod dictionary;
pub mod found;
pub mod identity;
pub mod judge;
pub mod judging;
pub mod keep;
pub mod load;
pub mod observations;
pub mod open_files;
pub mod ourselves;
pub mod overview;
pub mod pace;
pub mod peers;
pub mod pieces;
pub mod presence;
pub mod range;
pub mod relative;
pub mod rows;
pub mod scrape;
pub mod segments;
pub mod shares;
pub mod shuffle;
pub mod sightings;
pub mod small_map;
pub mod speed;
pub mod spool;
pub mod threshold;
pub mod torrents;
pub mod unit;
pub mod workers;

use std::{
    collections::{BTreeMap, HashSet},
    iter,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use polars::prelude::{DataFrame, IntoColumn, NamedFrom, PolarsError, PolarsResult, Series};
use schema::table::Table;

use crate::{
    geo::{Geo, Place},
    log::{Log, Selection},
    place::Book,
};
use by_address::ByAddress;
use found::{Count, Found};
use keep::Keep;
use overview::Overview;
use pace::Pace;
use range::{Context, Reader};
use rows::Address;
use segments::{Segment, SegmentError};
use shares::Shares;
use shuffle::Shuffle;

pub use identity::Identity;
pub use threshold::Threshold;

/// The rules of a replay that the user may choose.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Which rows count.
    pub selection: Selection,
    /// Share of the pieces a peer must have.
    pub threshold: Threshold,
    /// Faster peers are flagged, bytes/s.
    pub max_plausible_speed: u64,
    /// Length of the buckets of the tables over time, µs.
    pub bucket_us: i64,
    /// What makes two contacts those of one peer.
    pub identity: Identity,
}

/// Whose places are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of peers that are told of one by one.
    Told,
    /// Everybody's.
    Everybody,
}

/// What the tables asked for need; the rest is neither read nor computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
pub struct Needs {
    /// Peers by address.
    pub addresses: bool,
    /// Peers that are told of for nothing but that they were complete when they were first seen.
    pub complete: bool,
    /// Every contacted peer, one by one.
    pub everyone: bool,
    /// How many peers are known, by torrent, place, source and number of contacts.
    pub known: bool,
    /// Whose places.
    pub places: Whose,
    /// When peers were online.
    pub presence: bool,
    /// Which programs peers run.
    pub programs: bool,
    /// What peers said of their pieces.
    pub progress: bool,
    /// Seeders and leechers over time.
    pub seeders: bool,
    /// Who named which peers.
    pub sightings: bool,
    /// What would be counted at other thresholds.
    pub thresholds: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            threshold: Threshold::default(),
            max_plausible_speed: 125_000_000,
            bucket_us: 3_600_000_000,
            identity: Identity::default(),
        }
    }
}

/// The thresholds of the table `thresholds`: 0.90 to 1.00.
pub fn threshold_series() -> Vec<Threshold> {
    (90..=100).filter_map(Threshold::percent).collect()
}

/// What the replay of a whole log found.
#[derive(Debug)]
pub struct Replay {
    /// One row per torrent; see [`torrents::read`].
    pub torrents: DataFrame,
    /// `info_hash`, `peers`, `contacted_peers`.
    pub swarms: DataFrame,
    /// The peers of each torrent by address, if they are asked for; see [`by_address::frame`].
    pub addresses: ByAddress,
    /// `country`, `city`, `latitude`, `longitude`, `asn`, `organization`, `peers`, `contacted_peers`.
    pub places: DataFrame,
    /// Confirmed downloads and already complete peers at each of [`threshold_series`].
    pub thresholds: Vec<AtThreshold>,
    /// Peers by torrent, the set of sources that named them, and how they answered.
    pub source_sets: Vec<sightings::NamedPeers>,
    /// In how many rounds, buckets of time, each address was named by others: `info_hash`, `rounds` (1, 2, or 3 for more),
    /// `addresses`; and a row with `rounds` 0 whose `addresses` is the number of rounds in which anyone was named.
    pub rounds: DataFrame,
    /// Peers by bucket and torrent, each by what it told last in the bucket: `hour`, `info_hash`, `seeders` (at or above the
    /// threshold), `leechers`.
    pub seeders: DataFrame,
    /// How long peers were online.
    pub sessions: presence::Sessions,
    /// `hour` (µs), `source`, `received`, `new`.
    pub source_hours: DataFrame,
    /// Peers by number of contacts: tried, and with a handshake.
    pub visits: (BTreeMap<u64, u64>, BTreeMap<u64, u64>),
}

/// What would be counted at another threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtThreshold {
    /// Confirmed downloads.
    pub confirmed: u64,
    /// Peers at or above it when first seen.
    pub already_complete: u64,
}

/// An error of a segment as one of polars, with which the tables fail.
pub(crate) fn compute_error(error: &SegmentError) -> PolarsError {
    PolarsError::ComputeError(error.to_string().into())
}

/// Replays the log. What `keep` makes takes the peers that a table tells of; `progress` is told how many raw rows are done,
/// and of how many.
pub fn replay<K: Keep>(
    log: &Log,
    rules: &Rules,
    needs: Needs,
    geo: &Geo,
    keep: &(dyn Fn() -> K + Sync),
    progress: &dyn Fn(u64, u64),
) -> PolarsResult<(Replay, K)> {
    replay_at(Pace::default(), log, rules, needs, geo, keep, progress)
}

fn replay_at<K: Keep>(
    pace: Pace,
    log: &Log,
    rules: &Rules,
    needs: Needs,
    geo: &Geo,
    keep: &(dyn Fn() -> K + Sync),
    progress: &dyn Fn(u64, u64),
) -> PolarsResult<(Replay, K)> {
    let tables: &[Table] = if needs.sightings || needs.presence {
        &[Table::Contacts, Table::Progress, Table::Sightings]
    } else {
        &[Table::Contacts, Table::Progress]
    };
    let mut segments = Segment::open_all(log, tables).map_err(|error| compute_error(&error))?;
    let book = Book::of(log, geo)?;
    loop {
        let overview = Overview::of(log, &segments, rules, needs)?;
        let chosen = chosen(&segments, needs, &rules.selection);
        let pace = pace.for_segments(&chosen);
        if pace.shuffles {
            tracing::info!(
                "many files: their rows are first put in order in a temporary one{}",
                advice(&chosen)
            );
        }
        let context = Context { rules, needs, pace, segments: &chosen, overview: &overview, book: &book };
        match judge_all(&context, keep, progress) {
            Err(error) if error.problem == segments::UNSORTED => {
                for segment in &mut segments {
                    segment.is_out_of_order(&error.file).map_err(|error| compute_error(&error))?;
                }
            }
            judged => return Replay::of(overview.torrents, judged.map_err(|error| compute_error(&error))?),
        }
    }
}

/// What would make a log of many files faster to replay.
fn advice(segments: &[Segment]) -> &'static str {
    let days: HashSet<Option<&Path>> = segments.iter().map(|segment| segment.path.parent()).collect();
    if segments.len() > 2 * days.len() { "; `analyze compact` makes reports of this log faster" } else { "" }
}

/// Replays every range on all threads.
fn judge_all<K: Keep>(
    context: &Context<'_>,
    keep: &(dyn Fn() -> K + Sync),
    progress: &dyn Fn(u64, u64),
) -> Result<Found<K>, SegmentError> {
    let pace = context.pace;
    let ranges = cuts::ranges(context.segments, context.rules.identity, pace.range_rows)?;
    let all = ranges.iter().map(|range| range.rows).sum();
    progress(0, all);
    // A row that is shuffled is half done.
    let mut done = 0;
    let shuffle = if pace.shuffles {
        let tell = |rows| {
            done += rows;
            progress(done / 2, all);
        };
        Some(Shuffle::of(context, &ranges, tell)?)
    } else {
        None
    };
    let shares = Shares::of(&ranges, pace.threads);
    let stopped = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        let (send, rows) = mpsc::sync_channel(64);
        let (stopped, shares, shuffle) = (&stopped, &shares, shuffle.as_ref());
        let judging: Vec<_> = (0..pace.threads)
            .map(|share| {
                let send = send.clone();
                scope.spawn(move || {
                    let goes_on = |rows| send.send(rows).is_ok() && !stopped.load(Ordering::Relaxed);
                    let found = judge_shares(context, shuffle, keep, shares, share, goes_on);
                    stopped.fetch_or(found.is_err(), Ordering::Relaxed);
                    found
                })
            })
            .collect();
        drop(send);
        for rows in rows {
            done += rows;
            progress(if pace.shuffles { done / 2 } else { done }, all);
        }
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let found = judging.into_iter().map(join);
        found.collect::<Result<Vec<Vec<(usize, Found<K>)>>, SegmentError>>()
    })?;
    let mut found: Vec<(usize, Found<K>)> = found.into_iter().flatten().collect();
    found.sort_by_key(|(place, _)| *place);
    let mut all_found = Found::new(keep());
    for (_, part) in found {
        all_found.merge(part).map_err(peers::failed)?;
    }
    Ok(all_found)
}

/// Replays a share, and then halves of others'; gives what was found of each, with the place of its first range.
fn judge_shares<K: Keep>(
    context: &Context<'_>,
    shuffle: Option<&Shuffle>,
    keep: &(dyn Fn() -> K + Sync),
    shares: &Shares<'_>,
    own: usize,
    goes_on: impl Fn(u64) -> bool,
) -> Result<Vec<(usize, Found<K>)>, SegmentError> {
    let mut found = Vec::new();
    let mut share = Some(own);
    while let Some(number) = share {
        if let Some((place, first)) = shares.next(number) {
            let ranges = iter::once((place, first)).chain(iter::from_fn(|| shares.next(number)));
            let reader = shuffle.map_or_else(|| Reader::of_files(context, first.low), Reader::Shuffle);
            found.push((place, range::replay(context, reader, keep(), ranges, &goes_on)?));
        }
        share = if goes_on(0) { shares.part() } else { None };
    }
    Ok(found)
}

/// The log's torrents, where nothing else of it is replayed; see [`torrents::read`].
pub fn torrents(log: &Log, rules: &Rules) -> PolarsResult<DataFrame> {
    let segments = Segment::open_all(log, &[Table::Progress]).map_err(|error| compute_error(&error))?;
    torrents::read(log, &rules.selection, &segments)
}

/// The segments that are needed, with the pieces that may hold rows of a chosen torrent.
fn chosen(segments: &[Segment], needs: Needs, selection: &Selection) -> Vec<Segment> {
    let is_needed = |segment: &&Segment| match segment.table {
        Table::Progress => needs.progress,
        Table::Sightings => needs.sightings,
        _ => true,
    };
    let mut needed: Vec<Segment> = segments.iter().filter(is_needed).cloned().collect();
    if selection.info_hashes.is_empty() {
        return needed;
    }
    let info_hashes: Vec<Address> =
        selection.info_hashes.iter().map(|info_hash| Address::new(info_hash.as_bytes())).collect();
    for segment in &mut needed {
        segment.pieces.retain(|piece| {
            let within = piece.torrents.0..=piece.torrents.1;
            info_hashes.iter().any(|info_hash| within.contains(info_hash))
        });
    }
    needed
}

fn series<T, V>(name: &str, values: V) -> Series
where
    V: Iterator<Item = T>,
    Series: NamedFrom<Vec<T>, [T]>,
    Vec<T>: AsRef<[T]>,
{
    Series::new(name.into(), values.collect::<Vec<_>>())
}

impl Replay {
    /// What a log without rows holds.
    pub fn empty(torrents: DataFrame) -> PolarsResult<Self> {
        Ok(Self::of(torrents, Found::new(()))?.0)
    }

    /// What was found, and what was kept of the peers.
    fn of<K>(torrents: DataFrame, mut found: Found<K>) -> PolarsResult<(Self, K)> {
        let frame = |columns: Vec<Series>| {
            DataFrame::new_infer_height(columns.into_iter().map(IntoColumn::into_column).collect())
        };
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let places: Vec<&(Place, Count)> = found.places.values().collect();
        let tallies = &found.tallies;
        let mut held: BTreeMap<Address, i64> = BTreeMap::new();
        for (info_hash, _) in &tallies.held {
            *held.entry(*info_hash).or_default() += 1;
        }
        let rounds: Vec<(Address, i64, i64)> =
            held.iter()
                .map(|(info_hash, rounds)| (*info_hash, 0, *rounds))
                .chain(tallies.rounds.iter().map(|((info_hash, rounds), addresses)| {
                    (*info_hash, i64::from(*rounds), signed(*addresses))
                }))
                .collect();
        let new = |key: &(i64, String)| signed(tallies.new.get(key).copied().unwrap_or_default());
        let received = &tallies.received;
        let replay = Self {
            torrents,
            swarms: frame(vec![
                series("info_hash", found.swarms.keys().map(Address::as_str)),
                series("peers", found.swarms.values().map(|count| signed(count.peers))),
                series("contacted_peers", found.swarms.values().map(|count| signed(count.contacted))),
            ])?,
            addresses: std::mem::take(&mut found.addresses),
            places: frame(vec![
                series("country", places.iter().map(|(place, _)| place.country.as_deref())),
                series("city", places.iter().map(|(place, _)| place.city.as_deref())),
                series("latitude", places.iter().map(|(place, _)| place.latitude)),
                series("longitude", places.iter().map(|(place, _)| place.longitude)),
                series("asn", places.iter().map(|(place, _)| place.asn)),
                series("organization", places.iter().map(|(place, _)| place.organization.as_deref())),
                series("peers", places.iter().map(|(_, count)| signed(count.peers))),
                series("contacted_peers", places.iter().map(|(_, count)| signed(count.contacted))),
            ])?,
            source_sets: found.source_sets(),
            thresholds: std::mem::take(&mut found.thresholds),
            rounds: frame(vec![
                series("info_hash", rounds.iter().map(|(info_hash, ..)| info_hash.as_str())),
                series("rounds", rounds.iter().map(|(_, rounds, _)| *rounds)),
                series("addresses", rounds.iter().map(|(.., addresses)| *addresses)),
            ])?,
            seeders: frame(vec![
                series("hour", found.seeders.keys().map(|(hour, _)| *hour)),
                series("info_hash", found.seeders.keys().map(|(_, info_hash)| info_hash.as_str())),
                series("seeders", found.seeders.values().map(|(complete, _)| signed(*complete))),
                series("leechers", found.seeders.values().map(|(_, others)| signed(*others))),
            ])?,
            source_hours: frame(vec![
                series("hour", received.keys().map(|(hour, _)| *hour)),
                series("source", received.keys().map(|(_, source)| source.as_str())),
                series("received", received.values().map(|count| signed(*count))),
                series("new", received.keys().map(new)),
            ])?,
            visits: (std::mem::take(&mut found.tried), std::mem::take(&mut found.reached)),
            sessions: std::mem::take(&mut found.sessions),
        };
        Ok((replay, found.peers))
    }
}

#[cfg(test)]
mod tests;
