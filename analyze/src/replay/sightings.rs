//! Which sources named which peers, and which named them first.

use std::collections::{BTreeMap, HashMap, HashSet};

use schema::table::Source;

use super::{
    Rules,
    identity::{Identities, Who},
    ourselves::Ourselves,
    rows::{Address, Contact, Names, Sighting},
    small_map::SmallMap,
    unit::Unit,
};

/// A set of sources, one bit each in the order of [`Source::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceSet(pub u8);

impl SourceSet {
    /// Whether a source is in the set.
    pub fn has(self, source: Source) -> bool {
        self.0 & bit(source) != 0
    }

    /// Number of sources in the set.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether no source is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Peers of one torrent that the same sources named and that answered alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPeers {
    /// The torrent.
    pub info_hash: String,
    /// Who named them.
    pub sources: SourceSet,
    /// Whether their handshake was received in any contact.
    pub contacted: bool,
    /// Whether we tried to connect to them.
    pub dialled: bool,
    /// Whether their handshake was received in a contact of our making.
    pub answered: bool,
    /// How many they are.
    pub peers: u64,
}

fn bit(source: Source) -> u8 {
    1 << code(source)
}

/// The source's place in [`Source::ALL`].
fn code(source: Source) -> u8 {
    u8::from(source)
}

/// Who named a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Every source that did.
    pub sources: SourceSet,
    /// When it was named first, µs, and by whom; of sources that name a peer in the same microsecond, the first in the
    /// order of [`Source::ALL`].
    pub first: (i64, Source),
}

/// Peers of a unit named by sources.
#[derive(Debug, Default)]
pub struct NamedByWho(SmallMap<Who, Option<Named>>);

impl NamedByWho {
    /// Finds whom each sighting names.
    ///
    /// Incoming peers are named by the remote port of a connection; the contacts tell whose it was.
    pub fn of(unit: &Unit<'_>, identities: &Identities, ourselves: &Ourselves) -> Self {
        let mut named = Self::default();
        let mut connections: Option<Connections> = None;
        for row in unit.sightings {
            let Some(source) = row.code else { continue };
            let who = if source == Source::Incoming {
                let connections = connections.get_or_insert_with(|| Connections::of(unit, identities));
                match connections.0.get(&(row.run, row.ip, row.port)) {
                    Some((_, true)) => continue,
                    Some((who, false)) => *who,
                    None => identities.as_asked(Who::lost(row.ip)),
                }
            } else if is_ours(unit, row, ourselves) {
                continue;
            } else {
                identities.at(row.ip, row.port)
            };
            named.add(who, row.time, source);
        }
        named
    }

    fn add(&mut self, who: Who, time: i64, source: Source) {
        let known = self.0.entry(who);
        *known = Some(match *known {
            None => Named { sources: SourceSet(bit(source)), first: (time, source) },
            Some(known) => Named {
                sources: SourceSet(known.sources.0 | bit(source)),
                first: known.first.min((time, source)),
            },
        });
    }

    /// Who named a peer.
    pub fn get(&self, who: &Who) -> Option<Named> {
        self.0.get(who).copied().flatten()
    }

    /// Every peer that was named.
    pub fn iter(&self) -> impl Iterator<Item = (Who, Named)> {
        self.0.iter().filter_map(|(who, named)| Some((*who, (*named)?)))
    }
}

/// Whose each incoming connection was, by run, address and remote port, and whether it was one of us.
struct Connections(HashMap<(u32, u32, i32), (Who, bool)>);

impl Connections {
    fn of(unit: &Unit<'_>, identities: &Identities) -> Self {
        let mut connections: HashMap<_, (Who, bool)> = HashMap::new();
        let incoming = |(contact, _): &(&Contact, &super::identity::Resolved)| !contact.out;
        for (contact, of) in unit.contacts.iter().zip(&identities.of_contacts).filter(incoming) {
            let known = connections.entry((contact.run, contact.ip, contact.port));
            // Who comes over uTP comes from one port each time: one that is named by its port rather than by a peer ID.
            let (who, own) = known.or_insert((of.who, false));
            *who = of.who.max(*who);
            *own |= of.own;
        }
        Self(connections)
    }
}

fn is_ours(unit: &Unit<'_>, row: &Sighting, ourselves: &Ourselves) -> bool {
    unit.ips.get(row.ip as usize).is_some_and(|ip| ourselves.is_ours(ip, row.port))
}

/// What sightings amount to, over all torrents of a range or a log.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// Addresses received by bucket and source; our own addresses are left out where the port is theirs.
    pub received: BTreeMap<(i64, String), u64>,
    /// Peers named for the first time by bucket and source.
    pub new: BTreeMap<(i64, String), u64>,
    /// In how many rounds, buckets of time, addresses were named by others (1, 2, or 3 for more), by torrent.
    pub rounds: BTreeMap<(Address, u8), u64>,
    /// The rounds in which anyone of a torrent was named.
    pub held: HashSet<(Address, i64)>,
}

impl Tallies {
    /// Adds a unit's sightings.
    pub fn add(
        &mut self,
        unit: &Unit<'_>,
        named: &NamedByWho,
        ourselves: &Ourselves,
        rules: &Rules,
        texts: &Names,
    ) {
        let info_hash = unit.info_hash;
        let bucket = |time: i64| time - time % rules.bucket_us;
        let incoming = Some(Source::Incoming);
        let mut received: SmallMap<(i64, u32), u64> = SmallMap::default();
        let mut rounds = Vec::with_capacity(unit.sightings.len());
        for row in unit.sightings.iter().filter(|row| !is_ours(unit, row, ourselves)) {
            *received.entry((bucket(row.time), row.source)) += 1;
            if row.code != incoming {
                rounds.push((row.ip, row.port, bucket(row.time)));
            }
        }
        for ((hour, source), count) in received.iter() {
            let source = texts.text(*source).unwrap_or_default();
            *self.received.entry((*hour, source.to_owned())).or_default() += count;
        }
        rounds.sort_unstable();
        rounds.dedup();
        for of_endpoint in rounds.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let count = u8::try_from(of_endpoint.len().min(3)).unwrap_or(3);
            *self.rounds.entry((info_hash, count)).or_default() += 1;
        }
        self.held.extend(rounds.iter().map(|(_, _, hour)| (info_hash, *hour)));
        for (_, Named { first: (time, source), .. }) in named.iter() {
            *self.new.entry((bucket(time), source.as_str().to_owned())).or_default() += 1;
        }
    }

    /// Adds another range's.
    pub fn merge(&mut self, other: Self) {
        for (key, count) in other.received {
            *self.received.entry(key).or_default() += count;
        }
        for (key, count) in other.new {
            *self.new.entry(key).or_default() += count;
        }
        for (key, count) in other.rounds {
            *self.rounds.entry(key).or_default() += count;
        }
        self.held.extend(other.held);
    }
}
