//! `progress` rows of a unit → each peer's known observations in order of time.

use schema::table::ProgressKind;

use super::{
    Threshold,
    identity::{Identities, Identity, Who},
    judge::{Claim, Observation, Torrent},
    rows::Progress,
    small_map::SmallMap,
    unit::Unit,
};

/// The observations of a unit by peer, and of a peer in their order.
#[derive(Debug, Default)]
pub struct Observed(Vec<(Who, Observation)>);

impl Observed {
    /// Finds whose each row is.
    pub fn of(unit: &Unit, identities: &Identities, identity: Identity, torrent: &Torrent) -> Self {
        let contacts = ContactsByNumber::of(unit);
        let mut found = Vec::with_capacity(unit.progress.len());
        let mut lost = Vec::new();
        // Addresses at which something else is known than contacts whose row was lost.
        let mut named: SmallMap<u32, ()> = SmallMap::default();
        // Only incoming contacts can be nameless.
        let nameless_may_come = unit.progress.iter().any(|row| !row.out);
        for row in &unit.progress {
            let contact = contacts
                .find(row)
                .and_then(|place| Some((unit.contacts.get(place)?, identities.of_contacts.get(place)?)));
            let (who, handshake_at, peer_id) = match contact {
                Some((_, of)) if of.own => continue,
                Some((contact, of)) => (of.who, contact.handshake_at, contact.peer_id),
                None if row.out => (identities.at(row.ip, row.port), None, None),
                None if identity == Identity::Ip => (identities.as_asked(Who::lost(row.ip)), None, None),
                None => {
                    lost.push(*row);
                    continue;
                }
            };
            if nameless_may_come {
                named.insert(who.ip, ());
            }
            found.extend(observation(row, torrent, (handshake_at, peer_id)).map(|seen| (who, seen)));
        }
        found.extend(nameless(&lost, identities, &named, torrent));
        // Mostly the peer and the time tell the order.
        let order = |(who, row): &(Who, Observation), (other, later): &(Who, Observation)| {
            let by_time = who.cmp(other).then(row.time.cmp(&later.time));
            by_time.then_with(|| row.order().cmp(&later.order()))
        };
        if !found.is_sorted_by(|one, other| order(one, other).is_le()) {
            found.sort_by(order);
        }
        Self(found)
    }

    /// The peers, in order, each with its observations.
    pub fn peers(&self) -> impl Iterator<Item = (Who, &[(Who, Observation)])> {
        let of_one = |one: &(Who, Observation), other: &(Who, Observation)| one.0 == other.0;
        self.0.chunk_by(of_one).filter_map(|rows| Some((rows.first()?.0, rows)))
    }
}

/// Incoming contacts that nothing names, where nothing else is known at the same address: a peer of its own each.
fn nameless<'a>(
    lost: &'a [Progress],
    identities: &Identities,
    named: &SmallMap<u32, ()>,
    torrent: &'a Torrent,
) -> impl Iterator<Item = (Who, Observation)> + 'a {
    let mut alone: SmallMap<u32, Option<(u32, i64)>> = SmallMap::default();
    for row in lost {
        let contact = (row.run, row.contact);
        let one = match alone.get(&row.ip) {
            None => Some(contact),
            Some(other) => other.filter(|other| *other == contact),
        };
        alone.insert(row.ip, one);
    }
    if !lost.is_empty() {
        let met = identities.of_contacts.iter().filter(|of| of.met()).map(|of| of.who.ip);
        for ip in met.chain(named.iter().map(|(ip, ())| *ip)) {
            alone.insert(ip, None);
        }
    }
    lost.iter().filter_map(move |row| {
        alone.get(&row.ip).copied().flatten()?;
        Some((Who::lost(row.ip), observation(row, torrent, (None, None))?))
    })
}

/// A row as an observation; `None` for a count that is not known, or beyond the torrent.
fn observation(
    row: &Progress,
    torrent: &Torrent,
    (handshake_at, peer_id): (Option<i64>, Option<super::rows::PeerId>),
) -> Option<Observation> {
    // `have_all` is every piece, also where they could not be counted at the time.
    let all = (row.kind == ProgressKind::HaveAll).then_some(torrent.piece_count);
    let pieces = row.pieces.or(all).filter(|pieces| *pieces <= torrent.piece_count)?;
    Some(Observation {
        time: row.time,
        pieces,
        contact: (row.run, row.contact),
        handshake_at,
        peer_id,
        claim: match row.kind {
            ProgressKind::Bitfield | ProgressKind::HaveAll => Claim::Handshake,
            ProgressKind::HaveNone | ProgressKind::Silence => Claim::Nothing,
            ProgressKind::Have => Claim::Have,
        },
        settled: row.settled,
    })
}

/// The unit's contacts by run and number.
struct ContactsByNumber(Vec<((u32, i64), usize)>);

impl ContactsByNumber {
    fn of(unit: &Unit) -> Self {
        let numbers = unit.contacts.iter().enumerate().map(|(place, row)| ((row.run, row.contact), place));
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        Self(numbers)
    }

    fn find(&self, row: &Progress) -> Option<usize> {
        let wanted = (row.run, row.contact);
        let place = self.0.partition_point(|(number, _)| *number < wanted);
        self.0.get(place).filter(|(number, _)| *number == wanted).map(|(_, place)| *place)
    }
}

/// Whether each peer was complete by what it told last in each bucket, as (bucket, complete).
pub fn complete_by_bucket(
    rows: &[(Who, Observation)],
    torrent: &Torrent,
    threshold: Threshold,
    bucket_us: i64,
) -> Vec<(i64, bool)> {
    let needed = threshold.pieces(torrent.piece_count);
    let mut buckets: Vec<(i64, bool)> = Vec::new();
    for (_, row) in rows {
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
