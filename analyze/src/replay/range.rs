//! Ranges of keys: the log cut into pieces of bounded size, each replayed by itself, several at a time.
//!
//! A range holds whole addresses of a torrent, and where peers are named by their peer IDs whole torrents; so memory
//! follows the size of ranges and not that of the log or of a torrent.

use std::collections::{BTreeMap, HashMap};

use super::{
    AtThreshold, Needs, Rules, Whose,
    identity::{Identities, Identity, Who},
    judge::{Judge, Verdict},
    load::{self, TableReader},
    observations::{self, Observed},
    overview::Overview,
    peers::{self, Peer, Seen},
    presence::{Presence, Sessions},
    rows::{Address, Contact, Names, PeerId, Progress, Sighting, Vocabulary},
    segments::{Key, Segment, SegmentError},
    sightings::{NamedByWho, NamedPeers, SourceSet, Tallies},
    small_map::SmallMap,
    spool::Spool,
    threshold_series,
    unit::{Rows, Unit},
};
use crate::{geo::Place, place::Book};

/// Raw rows that a range aims at.
pub const RANGE_ROWS: usize = 400_000;

/// The same where files are decoded anew at the edges of ranges.
const LONG_RANGE_ROWS: usize = 2_000_000;

/// Keys from `low` up to but not including `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key.
    pub low: Key,
    /// The first one after it.
    pub high: Key,
    /// Raw rows of the range, about.
    pub rows: u64,
}

/// What every range's replay needs.
pub struct Context<'a> {
    /// The rules in force.
    pub rules: &'a Rules,
    /// What is asked for.
    pub needs: Needs,
    /// The segments of the tables needed.
    pub segments: &'a [Segment],
    /// What was found in all of them.
    pub overview: &'a Overview,
    /// Where addresses are.
    pub book: &'a Book<'a>,
    /// Addresses whose peers are to be told one by one.
    pub looked_up: &'a std::collections::HashSet<Address>,
}

/// Cuts the keys so that each range has about so many rows; at least one range.
pub fn ranges(segments: &[Segment], identity: Identity, aim: usize) -> Vec<Range> {
    let target = if load::decodes_once(segments) { aim } else { aim.max(LONG_RANGE_ROWS) };
    let mut pieces: Vec<(Key, usize)> =
        segments.iter().flat_map(|segment| &segment.pieces).map(|piece| (piece.low, piece.rows)).collect();
    pieces.sort_unstable();
    let mut ranges: Vec<Range> = Vec::new();
    let (mut low, mut rows) = (Key::FIRST, 0);
    for (key, more) in pieces {
        let cut = if identity == Identity::PeerId { Key { ip: Address::FIRST, ..key } } else { key };
        if rows > 0 && rows + more > target && cut > low {
            ranges.push(Range { low, high: cut, rows: rows as u64 });
            (low, rows) = (cut, 0);
        }
        rows += more;
    }
    ranges.push(Range { low, high: Key::LAST, rows: rows as u64 });
    ranges
}

/// Cuts ranges into as many runs of them as there are threads, of about as many rows each.
pub fn shares(ranges: &[Range], threads: usize) -> Vec<&[Range]> {
    let all: u64 = ranges.iter().map(|range| range.rows).sum();
    let mut shares = Vec::new();
    let (mut rest, mut before) = (ranges, 0);
    for share in 1..=threads as u64 {
        let until = all * share / threads as u64;
        let mut rows = before;
        let count = rest.iter().take_while(|range| {
            rows += range.rows;
            rows <= until
        });
        let count = if share == threads as u64 { rest.len() } else { count.count() };
        let (own, others) = rest.split_at(count);
        before += own.iter().map(|range| range.rows).sum::<u64>();
        rest = others;
        if !own.is_empty() {
            shares.push(own);
        }
    }
    shares
}

/// Peers, and those of them that were contacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub peers: u64,
    /// Those whose handshake was received, or that were observed.
    pub contacted: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.peers += other.peers;
        self.contacted += other.contacted;
    }
}

/// What tells sets of peers apart by who named them and how they answered.
type SourceSetKey = (Address, u8, [bool; 3]);

/// What the replay of a range found, or that of several.
#[derive(Debug, Default)]
pub struct Found {
    /// Frames of [`peers::COLUMNS`].
    pub peers: Spool,
    /// At each of [`threshold_series`].
    pub thresholds: Vec<AtThreshold>,
    /// By torrent.
    pub swarms: BTreeMap<Address, Count>,
    /// By place.
    pub places: HashMap<PlaceKey, (Place, Count)>,
    /// Of the addresses that were looked up.
    pub addresses: BTreeMap<Address, Count>,
    source_sets: HashMap<SourceSetKey, u64>,
    /// Of the sightings.
    pub tallies: Tallies,
    /// Complete and other peers by bucket and torrent.
    pub seeders: BTreeMap<(i64, Address), (u64, u64)>,
    /// How long peers were online.
    pub sessions: Sessions,
    /// Peers by number of contacts.
    pub tried: BTreeMap<u64, u64>,
    /// Peers by number of contacts with a handshake.
    pub reached: BTreeMap<u64, u64>,
}

impl Found {
    /// Adds what the next range found.
    pub fn merge(&mut self, other: Self) {
        self.peers.append(other.peers);
        self.thresholds.resize(threshold_series().len(), AtThreshold::default());
        for (sum, at) in self.thresholds.iter_mut().zip(other.thresholds) {
            sum.confirmed += at.confirmed;
            sum.already_complete += at.already_complete;
        }
        for (info_hash, count) in other.swarms {
            self.swarms.entry(info_hash).or_default().add(count);
        }
        for (key, (place, count)) in other.places {
            self.places.entry(key).or_insert_with(|| (place, Count::default())).1.add(count);
        }
        for (ip, count) in other.addresses {
            self.addresses.entry(ip).or_default().add(count);
        }
        for (key, peers) in other.source_sets {
            *self.source_sets.entry(key).or_default() += peers;
        }
        self.tallies.merge(other.tallies);
        for (key, (complete, others)) in other.seeders {
            let sum = self.seeders.entry(key).or_default();
            *sum = (sum.0 + complete, sum.1 + others);
        }
        self.sessions.merge(other.sessions);
        for (sums, histogram) in [(&mut self.tried, other.tried), (&mut self.reached, other.reached)] {
            for (contacts, peers) in histogram {
                *sums.entry(contacts).or_default() += peers;
            }
        }
    }

    /// Peers by torrent, by who named them and by how they answered.
    pub fn source_sets(&self) -> Vec<NamedPeers> {
        let mut found: Vec<NamedPeers> = self
            .source_sets
            .iter()
            .map(|((info_hash, sources, [contacted, dialled, answered]), peers)| NamedPeers {
                info_hash: info_hash.as_str().to_owned(),
                sources: SourceSet(*sources),
                contacted: *contacted,
                dialled: *dialled,
                answered: *answered,
                peers: *peers,
            })
            .collect();
        found.sort();
        found
    }
}

/// A place, so that equal ones are one.
pub type PlaceKey = (Option<String>, Option<String>, [Option<u64>; 3], Option<String>);

fn place_key(place: &Place) -> PlaceKey {
    let numbers = [place.latitude.map(f64::to_bits), place.longitude.map(f64::to_bits), place.asn];
    (place.country.clone(), place.city.clone(), numbers, place.organization.clone())
}

/// Replays ranges one after the other; `done` is told how many rows each had.
pub fn replay(
    context: &Context<'_>,
    ranges: &[Range],
    done: impl Fn(u64) -> bool,
) -> Result<Found, SegmentError> {
    let Context { rules, needs, segments, .. } = context;
    let Some(first) = ranges.first().map(|range| range.low) else { return Ok(Found::default()) };
    // A contact without a handshake tells nothing of pieces.
    let whole = needs.presence || needs.known || needs.sightings;
    let keep =
        |contact: &Contact| whole || contact.handshake() || contact.shows_us || contact.peer_id.is_some();
    let selection = &rules.selection;
    let mut vocabulary = Vocabulary::default();
    let mut contacts = TableReader::<Contact>::new(segments, selection, first);
    let mut progress = TableReader::<Progress>::new(segments, selection, first);
    let mut sightings = TableReader::<Sighting>::new(segments, selection, first);
    let mut rows = Rows::default();
    let mut found = Found::default();
    for range in ranges {
        let keys = (range.low, range.high);
        contacts.read(keys, &mut vocabulary, keep, &mut rows.contacts)?;
        progress.read(keys, &mut vocabulary, |_| true, &mut rows.progress)?;
        sightings.read(keys, &mut vocabulary, |_| true, &mut rows.sightings)?;
        let mut judging = Judging::new(context, &vocabulary.words, found);
        rows.for_each_unit(rules.identity, &vocabulary.runs, |unit| judging.judge(unit));
        found = judging.finish()?;
        if !done(range.rows) {
            break;
        }
    }
    Ok(found)
}

/// The judgement of a range, unit after unit.
struct Judging<'a> {
    context: &'a Context<'a>,
    names: &'a Names,
    thresholds: Vec<super::Threshold>,
    /// The last torrent's.
    of_torrent: Option<(Address, Option<Judge>)>,
    observed: Observed,
    peers: Vec<Peer>,
    places: Vec<Place>,
    place_numbers: HashMap<PlaceKey, u32>,
    found: Found,
}

impl<'a> Judging<'a> {
    fn new(context: &'a Context<'a>, names: &'a Names, mut found: Found) -> Self {
        let mut thresholds = vec![context.rules.threshold];
        if context.needs.thresholds {
            thresholds.extend(threshold_series());
        }
        found.thresholds.resize(threshold_series().len(), AtThreshold::default());
        Self {
            context,
            names,
            thresholds,
            of_torrent: None,
            observed: Observed::default(),
            peers: Vec::new(),
            places: Vec::new(),
            place_numbers: HashMap::new(),
            found,
        }
    }

    fn finish(mut self) -> Result<Found, SegmentError> {
        let frame = peers::frame(&self.peers, self.names, &self.places, self.context.needs.programs);
        let kept = frame.and_then(|frame| self.found.peers.push(frame));
        kept.map_err(|error| SegmentError { file: "peers".into(), problem: error.to_string() })?;
        Ok(self.found)
    }

    fn judge(&mut self, unit: &Unit<'_>) {
        let info_hash = unit.info_hash;
        let Context { rules, needs, overview, .. } = *self.context;
        let identities = Identities::of(unit, &overview.ourselves, rules.identity);
        let named = if needs.sightings {
            NamedByWho::of(unit, &identities, &overview.ourselves)
        } else {
            NamedByWho::default()
        };
        let presence = needs.presence.then(|| Presence::of(unit, &identities, rules));
        let watched = overview.watched.get(&info_hash).copied();
        if let Some(presence) = &presence {
            presence.add_to(&mut self.found.sessions, watched);
        }
        let mut units = UnitPeers { contacted: SmallMap::default(), peers: Vec::new() };
        self.judge_observed(unit, &identities, &mut units);
        only_met(unit, &identities, rules, needs, &mut units);
        for (who, mut peer) in std::mem::take(&mut units.peers) {
            peer.watched_from = watched.map(|(from, _)| from).filter(|_| needs.presence);
            if let Some(at) = peer.seen.and_then(|seen| seen.crossed_at()) {
                peer.stay = presence.as_ref().and_then(|presence| presence.stay(who, at));
                let first = named.get(&who).filter(|_| needs.presence).map(|named| named.first);
                peer.came_after =
                    first.and_then(|(at, source)| overview.rounds.came_after(info_hash, source, at));
            }
            self.keep(unit, who, &mut peer);
        }
        if needs.sightings {
            self.found.tallies.add(unit, &named, &overview.ourselves, rules, self.names);
        }
        if needs.known {
            self.count_known(unit, &identities, &named, &units.contacted);
        }
    }

    /// Judges what was observed.
    fn judge_observed(&mut self, unit: &Unit<'_>, identities: &Identities, found: &mut UnitPeers) {
        let info_hash = unit.info_hash;
        if unit.progress.is_empty() {
            return;
        }
        if self.of_torrent.as_ref().is_none_or(|(of, _)| *of != info_hash) {
            let torrent = self.context.overview.by_info_hash.get(&info_hash);
            let judge = torrent.map(|torrent| Judge::of(*torrent, &self.thresholds));
            self.of_torrent = Some((info_hash, judge));
        }
        let Some((_, Some(judge))) = &mut self.of_torrent else { return };
        let Context { rules, needs, .. } = self.context;
        let torrent = judge.torrent;
        self.observed.find(unit, identities, rules.identity, &torrent);
        let calls = &self.observed.calls;
        for (who, rows) in self.observed.peers() {
            let tell = |verdict: Verdict| {
                if needs.thresholds {
                    count(&mut self.found.thresholds, &verdict, rules.max_plausible_speed);
                }
                let seen = Seen::of(&verdict, torrent.piece_count, rules.max_plausible_speed);
                found.add(who, &peer(unit, who, verdict.peer_id, Some(seen)));
            };
            judge.judge(rows, |call| calls.opening(unit, call), tell);
            if needs.seeders {
                let by_bucket =
                    observations::complete_by_bucket(rows, &torrent, rules.threshold, rules.bucket_us);
                for (bucket, complete) in by_bucket {
                    let sum = self.found.seeders.entry((bucket, info_hash)).or_default();
                    *if complete { &mut sum.0 } else { &mut sum.1 } += 1;
                }
            }
        }
        name(unit, identities, found);
    }

    /// Keeps a peer that some table tells of.
    fn keep(&mut self, unit: &Unit<'_>, who: Who, peer: &mut Peer) {
        let needs = self.context.needs;
        let tells = peer.seen.is_some_and(|seen| seen.tells());
        if !(needs.everyone || needs.progress && tells) {
            return;
        }
        let is_told = peer.seen.is_some_and(|seen| seen.is_told());
        if needs.places != Whose::Nobody && is_told {
            let place = self.context.book.locate(unit.ip(who.ip));
            let places = &mut self.places;
            let number = self.place_numbers.entry(place_key(&place)).or_insert_with(|| {
                places.push(place);
                u32::try_from(places.len() - 1).unwrap_or(u32::MAX)
            });
            peer.place = Some(*number);
        }
        self.peers.push(*peer);
    }

    /// Counts every peer anything is known of.
    fn count_known(
        &mut self,
        unit: &Unit<'_>,
        identities: &Identities,
        named: &NamedByWho,
        contacted: &SmallMap<Who, u64>,
    ) {
        let info_hash = unit.info_hash;
        let mut known: SmallMap<Who, Known> = SmallMap::default();
        for (who, named) in named.iter() {
            known.entry(who).sources = named.sources.0;
        }
        for (contact, of) in unit.contacts.iter().zip(&identities.of_contacts) {
            let counts = contact.out || of.handshake;
            if of.own || !counts || !self.context.rules.selection.holds(contact.time) {
                continue;
            }
            let known = known.entry(of.who);
            known.tried += 1;
            known.reached += u64::from(of.handshake);
            known.dialled |= contact.out;
            known.answered |= contact.out && of.handshake;
        }
        for (who, peers) in contacted.iter() {
            known.entry(*who).contacted = *peers;
        }
        let found = &mut self.found;
        // Mostly one address.
        let mut by_ip: SmallMap<u32, Count> = SmallMap::default();
        let mut all = Count::default();
        for (who, known) in known.iter() {
            let count = Count { peers: known.contacted.max(1), contacted: known.contacted };
            all.add(count);
            by_ip.entry(who.ip).add(count);
            if known.sources > 0 {
                let answers = [known.contacted > 0, known.dialled, known.answered];
                *found.source_sets.entry((info_hash, known.sources, answers)).or_default() += 1;
            }
            if known.tried > 0 {
                *found.tried.entry(known.tried).or_default() += 1;
            }
            if known.reached > 0 {
                *found.reached.entry(known.reached).or_default() += 1;
            }
        }
        if all.peers > 0 {
            found.swarms.entry(info_hash).or_default().add(all);
        }
        for (ip, count) in by_ip.iter() {
            if self.context.needs.places == Whose::Everybody {
                let place = self.context.book.locate(unit.ip(*ip));
                let sum = found.places.entry(place_key(&place)).or_insert_with(|| (place, Count::default()));
                sum.1.add(*count);
            }
            let looked_up = unit.ips.get(*ip as usize).filter(|ip| self.context.looked_up.contains(*ip));
            if let Some(ip) = looked_up {
                found.addresses.entry(*ip).or_default().add(*count);
            }
        }
    }
}

/// What is known of a peer besides its pieces.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    sources: u8,
    tried: u64,
    reached: u64,
    dialled: bool,
    answered: bool,
    contacted: u64,
}

/// A unit's peers, and how many followed one another at each key.
struct UnitPeers {
    contacted: SmallMap<Who, u64>,
    peers: Vec<(Who, Peer)>,
}

impl UnitPeers {
    fn add(&mut self, who: Who, peer: &Peer) {
        *self.contacted.entry(who) += 1;
        self.peers.push((who, *peer));
    }
}

fn peer(unit: &Unit<'_>, who: Who, peer_id: Option<PeerId>, seen: Option<Seen>) -> Peer {
    Peer {
        info_hash: unit.info_hash,
        ip: unit.ips.get(who.ip as usize).copied().unwrap_or(Address::FIRST),
        port: who.port,
        alias: who.alias,
        peer_id,
        client: 0,
        seen,
        watched_from: None,
        stay: None,
        came_after: None,
        place: None,
    }
}

/// Gives observed peers the `v` last told with their peer ID.
fn name(unit: &Unit<'_>, identities: &Identities, found: &mut UnitPeers) {
    let mut clients: SmallMap<(Who, PeerId), u32> = SmallMap::default();
    for (contact, of) in unit.contacts.iter().zip(&identities.of_contacts) {
        if let Some(id) = contact.peer_id.filter(|_| contact.client > 0) {
            clients.insert((of.who, id), contact.client);
        }
    }
    for (who, peer) in &mut found.peers {
        let client = peer.peer_id.and_then(|id| clients.get(&(*who, id)));
        peer.client = client.copied().unwrap_or_default();
    }
}

/// Adds peers whose handshake was received within the selected time, but no known observation.
fn only_met(unit: &Unit<'_>, identities: &Identities, rules: &Rules, needs: Needs, found: &mut UnitPeers) {
    if !needs.everyone && !needs.known {
        return;
    }
    let mut met: SmallMap<Who, (Option<PeerId>, u32)> = SmallMap::default();
    for (contact, of) in unit.contacts.iter().zip(&identities.of_contacts) {
        let counts = of.met() && rules.selection.holds(contact.time);
        if counts && found.contacted.get(&of.who).is_none() {
            let last = met.entry(of.who);
            last.0 = contact.peer_id;
            last.1 = if contact.client > 0 { contact.client } else { last.1 };
        }
    }
    for (who, (peer_id, client)) in met.iter() {
        let peer = Peer { client: *client, ..peer(unit, *who, *peer_id, None) };
        found.add(*who, &peer);
    }
}

/// Counts a peer at every threshold after the first, the rules' own.
fn count(at_thresholds: &mut [AtThreshold], verdict: &Verdict, max_plausible_speed: u64) {
    use super::judge::Reached;
    if verdict.backwards || peers::is_implausible(verdict, max_plausible_speed) {
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
