//! Whom logs tell of, counted from their rows: what a report's unique peers must agree with.
//!
//! A peer is an endpoint that was named, dialled, or told by who listens there. Two things keep the count from being
//! that of the endpoints. Who connected to us, told no port and was not met otherwise has no endpoint: it counts by its
//! peer ID, though it may be one that others named. And a peer ID shown at several ports of an address is one peer.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use schema::{
    InfoHash, PeerId,
    table::{Contact, Direction, Row, Source, Table},
};

use crate::log::Log;

/// What logs tell of one swarm.
#[derive(Debug, Default)]
pub struct Told {
    /// Every endpoint that is no capture.
    pub endpoints: BTreeSet<(IpAddr, u16)>,
    /// The ports of each peer ID that was shown: where it was met, and where it said it listens.
    ports: BTreeMap<(IpAddr, PeerId), BTreeSet<u16>>,
    /// Rows that name a capture, or are of a contact with one.
    pub captures: u64,
}

impl Told {
    /// What these logs tell of their swarms; whatever is at an address of captures is one.
    pub fn by(logs: &[&Log], captures: IpAddr) -> BTreeMap<String, Self> {
        let mut swarms = BTreeMap::<String, Self>::new();
        let rows = |table| logs.iter().flat_map(move |log| log.rows(table));
        for (_, event) in rows(Table::Sightings).chain(rows(Table::Contacts)) {
            let (info_hash, ip) = match &event.row {
                Row::Contact(row) => (row.info_hash, row.ip),
                Row::Sighting(row) => (row.info_hash, row.ip),
                row => panic!("{row:?}"),
            };
            // Who broke off before saying what it came for.
            if info_hash == InfoHash([0; 20]) {
                continue;
            }
            let told = swarms.entry(info_hash.to_string()).or_default();
            match event.row {
                _ if ip == captures => told.captures += 1,
                Row::Contact(row) => told.contact(&row),
                // The port is where a connection came from: its contact tells whose it was.
                Row::Sighting(row) if row.source == Source::Incoming => {}
                Row::Sighting(row) => {
                    told.endpoints.insert((ip, row.port));
                }
                _ => {}
            }
        }
        swarms
    }

    fn contact(&mut self, row: &Contact) {
        let met = row.outcome.has_handshake();
        let dialled = (row.direction == Direction::Out).then_some(row.port);
        let said = row.listen_port.filter(|port| met && *port > 0);
        let ports = dialled.into_iter().chain(said);
        self.endpoints.extend(ports.clone().map(|port| (row.ip, port)));
        if let Some(id) = row.peer_id.filter(|_| met) {
            self.ports.entry((row.ip, id)).or_default().extend(ports);
        }
    }

    /// Peers at most: every endpoint, and everyone who has none.
    pub fn most(&self) -> u64 {
        let nameless = self.ports.values().filter(|ports| ports.is_empty()).count();
        (self.endpoints.len() + nameless) as u64
    }

    /// Peers at least: of the ports of a peer ID, one. Where no peer ID was shown at two ports, that is also the most.
    pub fn fewest(&self) -> u64 {
        let more: usize = self.ports.values().map(|ports| ports.len().saturating_sub(1)).sum();
        self.most() - more as u64
    }
}
