//! `progress` rows of a unit → each peer's known observations in order of time.

use std::{mem, ops::Range};

use schema::table::ProgressKind;

use super::{
    Threshold,
    calls::Calls,
    identity::{Identities, Identity, Who},
    judge::{Claim, Observation, Torrent},
    rows::Progress,
    small_map::SmallMap,
    unit::Unit,
};

/// The observations of a unit: those of a peer next to each other, and in their order.
#[derive(Debug, Default)]
pub struct Observed {
    /// The contacts that observations name by their places.
    pub calls: Calls,
    peers: Vec<(Who, Range<usize>)>,
    rows: Vec<Observation>,
    /// The rows as they are found.
    found: Vec<Observation>,
    /// The place of each one's peer in `whose`.
    found_of: Vec<u32>,
    whose: SmallMap<Who, u32>,
}

/// Whose the rows of a contact are.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// A peer's, by its place, at an address.
    Peer(u32, u32),
    /// Our own.
    Us,
    /// Nobody knows, as the contact's row was lost.
    Lost,
}

impl Observed {
    /// Finds whose each row of a unit is; what was found of an earlier one is forgotten.
    pub fn find(&mut self, unit: &Unit<'_>, identities: &Identities, identity: Identity, torrent: &Torrent) {
        self.calls.find(unit);
        if !self.find_known(unit, identities, identity, torrent) {
            self.calls.add_lost(unit);
            self.find_known(unit, identities, identity, torrent);
        }
        self.put_in_order();
    }

    /// Finds them where all their contacts are among the calls; false at one that is not.
    fn find_known(
        &mut self,
        unit: &Unit<'_>,
        identities: &Identities,
        identity: Identity,
        torrent: &Torrent,
    ) -> bool {
        self.found.clear();
        self.found_of.clear();
        self.whose.clear();
        let mut lost = Vec::new();
        // Addresses at which something else is known than contacts whose row was lost.
        let mut named: SmallMap<u32, ()> = SmallMap::default();
        // Only incoming contacts can be nameless.
        let nameless_may_come = unit.progress.iter().any(|row| !row.out);
        let mut row_before = None;
        let mut near = 0;
        for row in unit.progress {
            let number = (row.run, row.contact);
            let (call, of) = match row_before {
                // Mostly the contact of the row before.
                Some((same, call, of)) if same == number => (call, of),
                _ => {
                    let Some(call) = self.calls.place(number, near) else { return false };
                    near = call;
                    let of = self.of(call, identities);
                    row_before = Some((number, call, of));
                    (call, of)
                }
            };
            let (peer, ip) = match of {
                Of::Us => continue,
                Of::Peer(peer, ip) => (peer, ip),
                Of::Lost if row.out => {
                    let who = identities.at(row.ip, row.port);
                    (self.number(who), who.ip)
                }
                Of::Lost if identity == Identity::Ip => {
                    let who = identities.as_asked(Who::lost(row.ip));
                    (self.number(who), who.ip)
                }
                Of::Lost => {
                    lost.push((*row, call));
                    continue;
                }
            };
            if nameless_may_come {
                named.insert(ip, ());
            }
            self.add(peer, row, torrent, call);
        }
        self.add_nameless(&lost, identities, &named, torrent);
        true
    }

    /// Adds a row as an observation of a peer, if its count is known and not beyond the torrent.
    fn add(&mut self, peer: u32, row: &Progress, torrent: &Torrent, call: u32) {
        if let Some(seen) = observation(row, torrent, call) {
            self.found.push(seen);
            self.found_of.push(peer);
        }
    }

    /// The peers, in order, each with its observations.
    pub fn peers(&self) -> impl Iterator<Item = (Who, &[Observation])> {
        self.peers.iter().filter_map(|(who, rows)| Some((*who, self.rows.get(rows.clone())?)))
    }

    fn of(&mut self, call: u32, identities: &Identities) -> Of {
        match self.calls.row(call).and_then(|row| identities.of_contacts.get(row)) {
            None => Of::Lost,
            Some(of) if of.own => Of::Us,
            Some(of) => Of::Peer(self.number(of.who), of.who.ip),
        }
    }

    /// The number of a peer, in the order in which they come.
    fn number(&mut self, who: Who) -> u32 {
        if let Some(number) = self.whose.get(&who) {
            return *number;
        }
        let number = u32::try_from(self.whose.len()).unwrap_or(u32::MAX);
        self.whose.insert(who, number);
        number
    }

    /// Incoming contacts that nothing names, where nothing else is known at the same address: a peer of its own each.
    fn add_nameless(
        &mut self,
        lost: &[(Progress, u32)],
        identities: &Identities,
        named: &SmallMap<u32, ()>,
        torrent: &Torrent,
    ) {
        if lost.is_empty() {
            return;
        }
        let mut alone: SmallMap<u32, Option<u32>> = SmallMap::default();
        for (row, call) in lost {
            let one = match alone.get(&row.ip) {
                None => Some(*call),
                Some(other) => other.filter(|other| other == call),
            };
            alone.insert(row.ip, one);
        }
        let met = identities.of_contacts.iter().filter(|of| of.met()).map(|of| of.who.ip);
        for ip in met.chain(named.iter().map(|(ip, ())| *ip)) {
            alone.insert(ip, None);
        }
        for (row, call) in lost {
            if alone.get(&row.ip).is_some_and(Option::is_some) {
                let peer = self.number(Who::lost(row.ip));
                self.add(peer, row, torrent, *call);
            }
        }
    }

    /// Sorts what was found by peer and order.
    fn put_in_order(&mut self) {
        self.peers.clear();
        // Mostly one peer.
        if self.whose.len() < 2 {
            if !self.found.is_sorted_by(|one, other| one.by_order(other).is_le()) {
                self.found.sort_by(Observation::by_order);
            }
            mem::swap(&mut self.rows, &mut self.found);
            let all = 0..self.rows.len();
            let one = self.whose.iter().filter(|_| !all.is_empty());
            self.peers.extend(one.map(|(who, _)| (*who, all.clone())));
            return;
        }
        let mut peers: Vec<(Who, u32)> = self.whose.iter().copied().collect();
        peers.sort_unstable();
        let mut ranks = vec![0; peers.len()];
        for ((_, number), rank) in peers.iter().zip(0..) {
            if let Some(place) = ranks.get_mut(*number as usize) {
                *place = rank;
            }
        }
        let rank = |peer: &u32| ranks.get(*peer as usize).copied().unwrap_or_default();
        let mut found: Vec<(u32, Observation)> =
            self.found_of.iter().map(rank).zip(self.found.iter().copied()).collect();
        found.sort_by(|(peer, row), (other, later)| peer.cmp(other).then_with(|| row.by_order(later)));
        self.rows.clear();
        for of_one in found.chunk_by(|(one, _), (other, _)| one == other) {
            let begin = self.rows.len();
            self.rows.extend(of_one.iter().map(|(_, row)| *row));
            let peer = of_one.first().and_then(|(peer, _)| peers.get(*peer as usize));
            self.peers.extend(peer.map(|(who, _)| (*who, begin..self.rows.len())));
        }
    }
}

/// A row as an observation; `None` for a count that is not known, or beyond the torrent.
fn observation(row: &Progress, torrent: &Torrent, contact: u32) -> Option<Observation> {
    // `have_all` is every piece, also where they could not be counted at the time.
    let all = (row.kind == ProgressKind::HaveAll).then_some(torrent.piece_count);
    let pieces = row.pieces.or(all).filter(|pieces| *pieces <= torrent.piece_count)?;
    Some(Observation {
        time: row.time,
        pieces,
        contact,
        claim: match row.kind {
            ProgressKind::Bitfield | ProgressKind::HaveAll => Claim::Handshake,
            ProgressKind::HaveNone | ProgressKind::Silence => Claim::Nothing,
            ProgressKind::Have => Claim::Have,
        },
        settled: row.settled,
    })
}

/// Whether each peer was complete by what it told last in each bucket, as (bucket, complete).
pub fn complete_by_bucket(
    rows: &[Observation],
    torrent: &Torrent,
    threshold: Threshold,
    bucket_us: i64,
) -> Vec<(i64, bool)> {
    let needed = threshold.pieces(torrent.piece_count);
    let mut buckets: Vec<(i64, bool)> = Vec::new();
    for row in rows {
        let complete = row.pieces >= needed;
        if !row.settled && !complete {
            continue;
        }
        let bucket = row.time - row.time % bucket_us;
        match buckets.last_mut() {
            Some((last, was)) if *last == bucket => *was = complete,
            _ => buckets.push((bucket, complete)),
        }
    }
    buckets
}
