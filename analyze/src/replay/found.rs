//! What the replay of a range found, and the sums over ranges.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::PolarsResult;

use super::{
    AtThreshold,
    by_address::ByAddress,
    keep::Keep,
    presence::Sessions,
    rows::Address,
    sightings::{NamedPeers, SourceSet, Tallies},
    threshold_series,
};
use crate::geo::Place;

/// Peers, and those of them that were contacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All of them.
    pub peers: u64,
    /// Those whose handshake was received, or that were observed.
    pub contacted: u64,
}

impl Count {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.peers += other.peers;
        self.contacted += other.contacted;
    }
}

/// What tells sets of peers apart by who named them and how they answered.
pub type SourceSetKey = (Address, u8, [bool; 3]);

/// What the replay of a range found, or that of several.
#[derive(Debug)]
pub struct Found<K> {
    /// The peers, or what is kept of them.
    pub peers: K,
    /// At each of [`threshold_series`].
    pub thresholds: Vec<AtThreshold>,
    /// By torrent.
    pub swarms: BTreeMap<Address, Count>,
    /// By place.
    pub places: HashMap<PlaceKey, (Place, Count)>,
    /// Peers by address.
    pub addresses: ByAddress,
    /// Peers by torrent, by who named them, and by whether they were contacted, dialled and answered.
    pub source_sets: HashMap<SourceSetKey, u64>,
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

impl<K> Found<K> {
    /// Nothing yet.
    pub fn new(peers: K) -> Self {
        Self {
            peers,
            thresholds: vec![AtThreshold::default(); threshold_series().len()],
            swarms: BTreeMap::new(),
            places: HashMap::new(),
            addresses: ByAddress::default(),
            source_sets: HashMap::new(),
            tallies: Tallies::default(),
            seeders: BTreeMap::new(),
            sessions: Sessions::default(),
            tried: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    /// Adds what the next range found.
    pub fn merge(&mut self, other: Self) -> PolarsResult<()>
    where
        K: Keep,
    {
        self.peers.append(other.peers)?;
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
        self.addresses.append(other.addresses);
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
        Ok(())
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

/// What equal places have in common.
pub fn place_key(place: &Place) -> PlaceKey {
    let numbers = [place.latitude.map(f64::to_bits), place.longitude.map(f64::to_bits), place.asn];
    (place.country.clone(), place.city.clone(), numbers, place.organization.clone())
}
