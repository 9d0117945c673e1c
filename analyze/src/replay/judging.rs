//! The judgement of a range: unit after unit, whose each row is, what became of each peer, and what tables need of it.

use std::collections::HashMap;

use super::{
    AtThreshold, Needs, Rules, Whose,
    by_address::{self, OfAddress},
    found::{Count, Found, PlaceKey, place_key},
    identity::{Identities, NO_PORT, Who},
    judge::{Judge, Reached, Verdict},
    keep::Keep,
    observations::{self, Observed},
    peers::{self, Peer, Seen},
    presence::Presence,
    range::Context,
    rows::{Address, Names, PeerId},
    segments::SegmentError,
    sightings::NamedByWho,
    small_map::SmallMap,
    threshold_series,
    unit::Unit,
};
use crate::geo::Place;

/// What is used again from unit to unit and from range to range.
#[derive(Default)]
pub struct Room {
    identities: Identities,
    observed: Observed,
    unit_peers: UnitPeers,
    /// The range's.
    peers: Vec<Peer>,
    addresses: Vec<OfAddress>,
}

/// The judgement of one range.
pub struct Judging<'a, K> {
    context: &'a Context<'a>,
    names: &'a Names,
    thresholds: Vec<super::Threshold>,
    /// The last torrent's.
    of_torrent: Option<(Address, Option<Judge>)>,
    room: Room,
    places: Vec<Place>,
    place_numbers: HashMap<PlaceKey, u32>,
    found: Found<K>,
}

impl<'a, K: Keep> Judging<'a, K> {
    /// What follows adds to what was found before; `names` are those of the range's rows, and `room` is that of the range
    /// before.
    pub fn new(context: &'a Context<'a>, names: &'a Names, mut room: Room, found: Found<K>) -> Self {
        room.peers.clear();
        room.addresses.clear();
        let mut thresholds = vec![context.rules.threshold];
        if context.needs.thresholds {
            thresholds.extend(threshold_series());
        }
        Self {
            context,
            names,
            thresholds,
            of_torrent: None,
            room,
            places: Vec::new(),
            place_numbers: HashMap::new(),
            found,
        }
    }

    /// What was found, with the range's peers, and the room that the next range may use.
    pub fn finish(mut self) -> Result<(Found<K>, Room), SegmentError> {
        let frame = peers::frame(&self.room.peers, self.names, &self.places, self.context.needs);
        let kept = frame.and_then(|frame| self.found.peers.take(frame));
        let addresses =
            by_address::frame(&self.room.addresses).and_then(|rows| self.found.addresses.push(&rows));
        kept.and(addresses).map_err(peers::failed)?;
        Ok((self.found, self.room))
    }

    /// Judges the next unit.
    pub fn judge(&mut self, unit: &Unit<'_>) {
        let info_hash = unit.info_hash;
        let Context { rules, needs, overview, .. } = *self.context;
        let mut identities = std::mem::take(&mut self.room.identities);
        identities.find(unit, &overview.ourselves, rules.identity);
        let named = if needs.sightings {
            NamedByWho::of(unit, &identities, &overview.ourselves)
        } else {
            NamedByWho::default()
        };
        let presence = needs.presence.then(|| Presence::of(unit, &identities, rules));
        let watched = if needs.presence { overview.watched.get(&info_hash).copied() } else { None };
        if let Some(presence) = &presence {
            presence.add_to(&mut self.found.sessions, watched);
        }
        let mut units = std::mem::take(&mut self.room.unit_peers);
        units.clear();
        self.judge_observed(unit, &identities, &mut units);
        only_met(unit, &identities, rules, needs, &mut units);
        // The order of the tables that tell of peers one by one.
        units.peers.sort_by_key(|(who, peer)| {
            (who.ip, peer.port == NO_PORT, peer.port, peer.peer_id.is_none(), peer.peer_id)
        });
        for (who, peer) in &mut units.peers {
            let who = *who;
            peer.watched_from = watched.map(|(from, _)| from);
            if let Some(at) = peer.seen.and_then(|seen| seen.crossed_at()) {
                peer.stay = presence.as_ref().and_then(|presence| presence.stay(who, at));
                let first = named.get(&who).filter(|_| needs.presence).map(|named| named.first);
                peer.came_after =
                    first.and_then(|(at, source)| overview.rounds.came_after(info_hash, source, at));
            }
            self.keep(unit, who, peer);
        }
        if needs.sightings {
            self.found.tallies.add(unit, &named, &overview.ourselves, rules, self.names);
        }
        if needs.known {
            self.count_known(unit, &identities, &named, &units);
        }
        (self.room.identities, self.room.unit_peers) = (identities, units);
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
        self.room.observed.find(unit, identities, rules.identity, &torrent);
        let calls = &self.room.observed.calls;
        for (who, rows) in self.room.observed.peers() {
            let tell = |verdict: &Verdict| {
                if needs.thresholds {
                    count(&mut self.found.thresholds, verdict, rules.max_plausible_speed);
                }
                let seen = Seen::of(verdict, torrent.piece_count, rules.max_plausible_speed);
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
        if needs.programs {
            name(unit, identities, found);
        }
    }

    /// Keeps a peer that some table tells of.
    fn keep(&mut self, unit: &Unit<'_>, who: Who, peer: &mut Peer) {
        let needs = self.context.needs;
        let tells = peer.seen.is_some_and(|seen| seen.tells() || needs.complete && seen.was_complete());
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
        self.room.peers.push(*peer);
    }

    /// Counts every peer anything is known of.
    fn count_known(
        &mut self,
        unit: &Unit<'_>,
        identities: &Identities,
        named: &NamedByWho,
        units: &UnitPeers,
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
        for (who, peers) in units.contacted.iter() {
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
        // One reading, as a unit may be a whole torrent.
        let mut confirmed: SmallMap<u32, u64> = SmallMap::default();
        for (who, peer) in &units.peers {
            if self.context.needs.addresses && peer.seen.is_some_and(|seen| seen.is_confirmed()) {
                *confirmed.entry(who.ip) += 1;
            }
        }
        for (ip, count) in by_ip.iter() {
            if self.context.needs.places == Whose::Everybody {
                let place = self.context.book.locate(unit.ip(*ip));
                let sum = found.places.entry(place_key(&place)).or_insert_with(|| (place, Count::default()));
                sum.1.add(*count);
            }
            if self.context.needs.addresses
                && let Some(address) = unit.ips.get(*ip as usize)
            {
                self.room.addresses.push(OfAddress {
                    ip: *address,
                    peers: count.peers,
                    contacted: count.contacted,
                    confirmed: confirmed.get(ip).copied().unwrap_or_default(),
                });
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
#[derive(Debug, Default)]
struct UnitPeers {
    contacted: SmallMap<Who, u64>,
    peers: Vec<(Who, Peer)>,
}

impl UnitPeers {
    fn clear(&mut self) {
        self.contacted.clear();
        self.peers.clear();
    }

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
    let contacts = || unit.contacts.iter().zip(&identities.of_contacts).rev();
    for (who, peer) in found.peers.iter_mut().filter(|(_, peer)| peer.peer_id.is_some()) {
        let last = contacts()
            .find(|(contact, of)| contact.client > 0 && contact.peer_id == peer.peer_id && of.who == *who);
        peer.client = last.map_or(0, |(contact, _)| contact.client);
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
