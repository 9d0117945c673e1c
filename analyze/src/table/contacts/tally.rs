//! Contacts counted in two passes over the log, whose memory follows the number of groups and not that of contacts: the
//! first one counts and finds out where quantiles lie, the second one what they are.

use std::collections::HashMap;

use schema::table::Table;

use crate::{
    log::{Log, Selection},
    quantiles::{Sought, Spread, nearest_rank},
    replay::{
        columns::{Numbers, Texts, Words},
        pieces::Piece,
        rows::{Address, Names},
        segments::{Segment, SegmentError},
        workers,
    },
};

/// The columns with quantiles, the raw column of each, and the share of contacts that are quicker.
pub const QUANTILES: [(&str, &str, f64); 6] = [
    ("median_connect_us", "connect_us", 0.5),
    ("p95_connect_us", "connect_us", 0.95),
    ("median_handshake_us", "handshake_us", 0.5),
    ("p95_handshake_us", "handshake_us", 0.95),
    ("median_open_us", "open_us", 0.5),
    ("p95_open_us", "open_us", 0.95),
];

/// The raw columns of times.
const TIMES: [&str; 3] = ["connect_us", "handshake_us", "open_us"];

/// Quantiles of each.
const PER_TIME: usize = QUANTILES.len() / TIMES.len();

/// What contacts have in common that are counted together; texts are numbers of the tally, 0 for null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// `in` or `out`.
    pub direction: u32,
    /// `tcp` or `utp`.
    pub transport: u32,
    /// `plain` or `mse`.
    pub encryption: u32,
    /// Whether they are not the first ones with their peers.
    pub later: bool,
    /// How they ended.
    pub outcome: u32,
}

/// A torrent and how contacts ended.
pub type OfTorrent = (Option<Address>, u32);

/// Contacts, and how many of them are later ones, by torrent and outcome.
type Torrents = HashMap<OfTorrent, (u64, u64)>;

/// The contacts of a log, counted.
#[derive(Debug, Default)]
pub struct Tally {
    names: Names,
    groups: HashMap<Group, Counted>,
    torrents: Torrents,
}

/// The contacts of a group.
#[derive(Debug, Default)]
struct Counted {
    contacts: u64,
    spreads: [Spread; TIMES.len()],
    /// The quantiles of each time.
    sought: [Sought; TIMES.len()],
}

impl Tally {
    /// Counts the selected contacts of a log.
    pub fn of(log: &Log, selection: &Selection) -> Result<Self, SegmentError> {
        let segments = Segment::open_all(log, &[Table::Contacts])?;
        let groups = workers::row_groups(&segments, &[Table::Contacts]);
        let share = groups.len().div_ceil(workers::count()).max(1);
        let shares: Vec<_> = groups.chunks(share).collect();
        let mut tally = Self::default();
        for part in workers::each(&shares, |share| Self::default().count(share, selection))? {
            tally.merge(part);
        }
        for counted in tally.groups.values_mut() {
            for ((spread, sought), of_time) in
                counted.spreads.iter().zip(&mut counted.sought).zip(QUANTILES.chunks(PER_TIME))
            {
                let rank = |(.., share): &(_, _, f64)| nearest_rank(spread.count(), *share);
                *sought = spread.seek(&of_time.iter().filter_map(rank).collect::<Vec<_>>());
            }
        }
        for part in workers::each(&shares, |share| tally.sought().look(share, selection))? {
            tally.merge_found(&part);
        }
        Ok(tally)
    }

    /// The groups, in no order.
    pub fn groups(&self) -> Vec<Group> {
        self.groups.keys().copied().collect()
    }

    /// Contacts of a group.
    pub fn contacts(&self, group: &Group) -> u64 {
        self.groups.get(group).map_or(0, |counted| counted.contacts)
    }

    /// One of [`QUANTILES`] of a group; `None` where none of its contacts has such a time.
    pub fn quantile(&self, group: &Group, place: usize) -> Option<i64> {
        let sought = self.groups.get(group)?.sought.get(place / PER_TIME)?;
        sought.found().get(place % PER_TIME).copied().flatten()
    }

    /// Contacts and later contacts, by torrent and outcome, in the order of their texts.
    pub fn torrents(&self) -> Vec<(OfTorrent, (u64, u64))> {
        let mut torrents: Vec<_> = self.torrents.iter().map(|(key, counts)| (*key, *counts)).collect();
        torrents.sort_by_key(|((info_hash, outcome), _)| (*info_hash, self.text(*outcome)));
        torrents
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> Option<&str> {
        self.names.text(number)
    }

    fn count(mut self, share: &[(&Segment, &[Piece])], selection: &Selection) -> Result<Self, SegmentError> {
        let Self { names, groups, torrents } = &mut self;
        each(share, selection, names, |row| {
            let counted = groups.entry(row.group).or_default();
            counted.contacts += 1;
            for (spread, time) in counted.spreads.iter_mut().zip(row.times) {
                if let Some(time) = time {
                    spread.add(time);
                }
            }
            let of_torrent = torrents.entry((row.info_hash, row.group.outcome)).or_default();
            of_torrent.0 += 1;
            of_torrent.1 += u64::from(row.group.later);
        })?;
        Ok(self)
    }

    /// A tally that looks for the quantiles of this one.
    fn sought(&self) -> Self {
        let sought = |counted: &Counted| Counted { sought: counted.sought.clone(), ..Counted::default() };
        Self {
            names: self.names.clone(),
            groups: self.groups.iter().map(|(group, counted)| (*group, sought(counted))).collect(),
            torrents: Torrents::new(),
        }
    }

    fn look(mut self, share: &[(&Segment, &[Piece])], selection: &Selection) -> Result<Self, SegmentError> {
        let Self { names, groups, .. } = &mut self;
        each(share, selection, names, |row| {
            let Some(counted) = groups.get_mut(&row.group) else { return };
            for (sought, time) in counted.sought.iter_mut().zip(row.times) {
                if let Some(time) = time {
                    sought.add(time);
                }
            }
        })?;
        Ok(self)
    }

    /// Adds what was counted elsewhere, whose numbers of texts are others.
    fn merge(&mut self, other: Self) {
        let mut number = |of: u32| other.names.text(of).map_or(0, |text| self.names.number(text));
        for (group, counted) in other.groups {
            let group = Group {
                direction: number(group.direction),
                transport: number(group.transport),
                encryption: number(group.encryption),
                outcome: number(group.outcome),
                ..group
            };
            let sums = self.groups.entry(group).or_default();
            sums.contacts += counted.contacts;
            for (sum, spread) in sums.spreads.iter_mut().zip(&counted.spreads) {
                sum.merge(spread);
            }
        }
        for ((info_hash, outcome), (contacts, later)) in other.torrents {
            let sums = self.torrents.entry((info_hash, number(outcome))).or_default();
            *sums = (sums.0 + contacts, sums.1 + later);
        }
    }

    /// Adds what was found of the quantiles that are sought.
    fn merge_found(&mut self, other: &Self) {
        for (group, counted) in &other.groups {
            let Some(sums) = self.groups.get_mut(group) else { continue };
            for (sum, found) in sums.sought.iter_mut().zip(&counted.sought) {
                sum.merge(found);
            }
        }
    }
}

/// What a row of `contacts` says.
struct Row {
    group: Group,
    info_hash: Option<Address>,
    times: [Option<i64>; TIMES.len()],
}

/// Reads every selected row.
fn each(
    share: &[(&Segment, &[Piece])],
    selection: &Selection,
    names: &mut Names,
    mut take: impl FnMut(Row),
) -> Result<(), SegmentError> {
    let others = ["time", "info_hash", "direction", "transport", "encryption", "attempt", "outcome"];
    let columns = [&others[..], &TIMES].concat();
    let of_any_time = selection.since.is_none() && selection.until.is_none();
    for (segment, pieces) in share {
        segment.read(&columns, pieces, |batch| {
            let (time, attempt) = (Numbers::of(batch, "time")?, Numbers::of(batch, "attempt")?);
            let info_hash = Texts::of(batch, "info_hash")?;
            let mut words =
                ["direction", "transport", "encryption", "outcome"].map(|name| Words::of(batch, name));
            let [Ok(direction), Ok(transport), Ok(encryption), Ok(outcome)] = &mut words else {
                return Err(words.into_iter().find_map(Result::err).unwrap_or_default());
            };
            let times = TIMES.map(|name| Numbers::of(batch, name));
            let [Ok(connect), Ok(handshake), Ok(open)] = &times else {
                return Err(times.into_iter().find_map(Result::err).unwrap_or_default());
            };
            let (mut view, mut torrent, mut chosen) = (None, None, false);
            for row in 0..batch.num_rows() {
                if row == 0 || info_hash.view(row) != view {
                    view = info_hash.view(row);
                    let text = info_hash.text(row);
                    torrent = text.map(|text| Address::new(text.as_bytes()));
                    let info_hashes = &selection.info_hashes;
                    chosen = info_hashes.is_empty()
                        || info_hashes.iter().any(|other| Some(other.as_str()) == text);
                }
                if !chosen || !time.get(row).map_or(of_any_time, |time| selection.holds(time)) {
                    continue;
                }
                let mut number = |words: &mut Words<'_>| words.code(row, |text| names.number(text));
                let group = Group {
                    direction: number(direction),
                    transport: number(transport),
                    encryption: number(encryption),
                    outcome: number(outcome),
                    later: attempt.get(row).is_some_and(|attempt| attempt > 1),
                };
                let times = [connect.get(row), handshake.get(row), open.get(row)];
                take(Row { group, info_hash: torrent, times });
            }
            Ok(())
        })?;
    }
    Ok(())
}
