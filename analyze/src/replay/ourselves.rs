//! What is ours: addresses and peer IDs of this capture and of every other one, which are no peers.
//!
//! Told by the contacts that turned out to be with ourselves, by the addresses a run listened on, and by the peer ID
//! prefix and the `v` of our own program, with which another vantage shows itself. Peers tell each other (PEX) the ports
//! that we called them from, too: such a port is ours as long as nobody else has answered there.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

use polars::prelude::{PolarsResult, UniqueKeepStrategy, col};
use schema::table::{ContactOutcome, Source, Table};
use serde_json::Value;

use super::{
    batch::Batch,
    columns::{Bytes, Numbers, Texts, Words},
    decode,
    pieces::Piece,
    rows::{Address, Contact, PeerId},
    segments::{Segment, SegmentError},
    unit::Unit,
    workers,
};
use crate::log::Log;

/// Our peer IDs begin with this (BEP 20).
const PEER_ID_PREFIX: &[u8] = b"-SW";

/// The program's name in the extended handshake's `v`.
pub const CLIENT: &str = "Swarmtally ";

/// Whether a peer ID is one that our program makes up.
pub fn is_our_id(id: &[u8]) -> bool {
    id.starts_with(PEER_ID_PREFIX)
}

/// Our endpoints and peer IDs.
#[derive(Clone, Debug, Default)]
pub struct Ourselves {
    /// Our ports at each of our addresses.
    ports: HashMap<Address, Vec<i32>>,
    /// Torrents and the peer IDs that we showed there.
    ids: HashSet<(Address, PeerId)>,
}

impl Ourselves {
    /// The addresses that runs listened on, where their options name any.
    pub fn listening(log: &Log) -> PolarsResult<Self> {
        let mut ourselves = Self::default();
        let runs =
            log.scan(Table::Runs)?.select([col("config")]).unique(None, UniqueKeepStrategy::Any).collect()?;
        for config in runs.column("config")?.str()?.iter().flatten() {
            for address in serde_json::from_str(config).iter().flat_map(own_addresses) {
                ourselves.add_port(Address::new(address.ip().to_string().as_bytes()), address.port().into());
            }
        }
        Ok(ourselves)
    }

    /// Finds the others in every contact, whatever the selection: an address is ours at any time.
    ///
    /// Only what tells them apart is read of all rows, and the rest where some row shows one of us.
    pub fn find(&mut self, log: &Log, segments: &[Segment]) -> Result<(), SegmentError> {
        let groups = workers::row_groups(segments, &[Table::Contacts]);
        let found = workers::each(&groups, |(segment, pieces)| own_rows(segment, pieces))?;
        let mut ips: HashSet<Address> = self.ports.keys().copied().collect();
        for own in found.into_iter().flatten() {
            ips.insert(own.ip);
            self.add(&own);
        }
        if ips.is_empty() { Ok(()) } else { self.find_called_from(log, segments, &ips) }
    }

    /// Finds ports at addresses of ours that nobody but peers named, and where nobody else was met.
    ///
    /// A peer that shares an address of ours, and that neither any other source names nor any contact reached, is left out.
    fn find_called_from(
        &mut self,
        log: &Log,
        segments: &[Segment],
        ips: &HashSet<Address>,
    ) -> Result<(), SegmentError> {
        let sightings = Segment::open_all(log, &[Table::Sightings])?;
        let groups = workers::row_groups(&sightings, &[Table::Sightings]);
        let mut by_peers: HashMap<(Address, i32), bool> = HashMap::new();
        for found in workers::each(&groups, |(segment, pieces)| named_at(segment, pieces, ips))? {
            for (endpoint, only_by_peers) in found {
                *by_peers.entry(endpoint).or_insert(true) &= only_by_peers;
            }
        }
        let groups = workers::row_groups(segments, &[Table::Contacts]);
        for (ip, port) in workers::each(&groups, |(segment, pieces)| self.met_at(segment, pieces, ips))?
            .into_iter()
            .flatten()
        {
            by_peers.remove(&(ip, port));
        }
        for ((ip, port), only_by_peers) in by_peers {
            if only_by_peers {
                self.add_port(ip, port);
            }
        }
        Ok(())
    }

    /// Ports at some addresses where others than us were met.
    fn met_at(
        &self,
        segment: &Segment,
        pieces: &[Piece],
        ips: &HashSet<Address>,
    ) -> Result<Vec<(Address, i32)>, SegmentError> {
        let columns = [&SHOWING[..], &["info_hash", "ip", "port", "listen_port", "direction"]].concat();
        let mut found = Vec::new();
        segment.read(&columns, pieces, |batch| {
            let mut showing = Showing::of(batch)?;
            let (info_hash, ip) = (Texts::of(batch, "info_hash")?, Texts::of(batch, "ip")?);
            let (port, listen_port) = (Numbers::of(batch, "port")?, Numbers::of(batch, "listen_port")?);
            let mut direction = Words::of(batch, "direction")?;
            let mut at = Among::new(&ip, ips);
            for row in 0..batch.num_rows() {
                let Some(ip) = at.address(row) else { continue };
                if !showing.has_handshake(row) || showing.shows(row) {
                    continue;
                }
                let id = showing.peer_id.get(row).map(PeerId::new);
                let info_hash = info_hash.text(row).map(|text| Address::new(text.as_bytes()));
                if info_hash.zip(id).is_some_and(|id| self.ids.contains(&id)) {
                    continue;
                }
                let port = if direction.code(row, decode::is_out) == 1 {
                    port.get(row)
                } else {
                    listen_port.get(row)
                };
                found.extend(port.and_then(|port| Some((ip, i32::try_from(port).ok()?))));
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn add(&mut self, own: &Own) {
        if own.out {
            self.add_port(own.ip, own.port);
        }
        if let Some(port) = own.listen_port {
            self.add_port(own.ip, port);
        }
        // Only these IDs are ours for certain: a `v` of ours beside another's peer ID must not hide that peer.
        if let Some(id) = own.peer_id.filter(|_| own.with_ourselves) {
            self.ids.insert((own.info_hash, id));
        }
    }

    fn add_port(&mut self, ip: Address, port: i32) {
        let ports = self.ports.entry(ip).or_default();
        if !ports.contains(&port) {
            ports.push(port);
        }
    }

    /// Whether an endpoint is ours.
    pub fn is_ours(&self, ip: &Address, port: i32) -> bool {
        !self.ports.is_empty() && self.ports.get(ip).is_some_and(|ports| ports.contains(&port))
    }

    /// Whether a contact that does not show it by itself was with one of us.
    pub fn is_own(&self, unit: &Unit<'_>, contact: &Contact) -> bool {
        let ours = || unit.ips.get(contact.ip as usize).is_some_and(|ip| self.is_ours(ip, contact.port));
        let our_id = || contact.peer_id.is_some_and(|id| self.ids.contains(&(unit.info_hash, id)));
        (contact.out && ours()) || (!self.ids.is_empty() && our_id())
    }
}

/// What a contact with one of us tells.
struct Own {
    info_hash: Address,
    ip: Address,
    port: i32,
    listen_port: Option<i32>,
    peer_id: Option<PeerId>,
    out: bool,
    with_ourselves: bool,
}

/// The columns that show us.
const SHOWING: [&str; 3] = ["outcome", "peer_id", "client"];

/// What those of one of us begin with, in each of them.
const STARTS: [&[u8]; 3] =
    [ContactOutcome::SelfConnection.as_str().as_bytes(), PEER_ID_PREFIX, CLIENT.as_bytes()];

/// What shows us in a batch.
struct Showing<'a> {
    outcome: Words<'a>,
    /// The same column, looked at with another question.
    handshake: Words<'a>,
    peer_id: Bytes<'a>,
    client: Words<'a>,
}

impl<'a> Showing<'a> {
    fn of(batch: &'a Batch) -> Result<Self, String> {
        Ok(Self {
            outcome: Words::of(batch, "outcome")?,
            handshake: Words::of(batch, "outcome")?,
            peer_id: Bytes::of(batch, "peer_id")?,
            client: Words::of(batch, "client")?,
        })
    }

    fn with_ourselves(&mut self, row: usize) -> bool {
        self.outcome.code(row, |text| u32::from(text == ContactOutcome::SelfConnection.as_str())) == 1
    }

    fn has_handshake(&mut self, row: usize) -> bool {
        self.handshake.code(row, |text| {
            let outcome = text.parse::<ContactOutcome>();
            u32::from(outcome.is_ok_and(ContactOutcome::has_handshake))
        }) == 1
    }

    /// Whether a row of the batch may show one of us.
    fn may_show(&self) -> bool {
        let [outcome, peer_id, client] = STARTS;
        self.outcome.some_may_begin(outcome)
            || self.peer_id.some_may_begin(peer_id)
            || self.client.some_may_begin(client)
    }

    fn shows(&mut self, row: usize) -> bool {
        self.with_ourselves(row)
            || self.peer_id.get(row).is_some_and(is_our_id)
            || self.client.code(row, |text| u32::from(text.starts_with(CLIENT))) == 1
    }
}

/// Rows whose address is among some.
struct Among<'a, 'b> {
    ip: &'b Texts<'a>,
    ips: &'b HashSet<Address>,
    last: Option<(u128, Option<Address>)>,
}

impl<'a, 'b> Among<'a, 'b> {
    fn new(ip: &'b Texts<'a>, ips: &'b HashSet<Address>) -> Self {
        Self { ip, ips, last: None }
    }

    /// The row's address, if it is one of them.
    fn address(&mut self, row: usize) -> Option<Address> {
        let view = self.ip.view(row)?;
        if let Some((last, found)) = self.last
            && last == view
        {
            return found;
        }
        let ip = Address::new(self.ip.text(row)?.as_bytes());
        let found = self.ips.get(&ip).copied();
        self.last = Some((view, found));
        found
    }
}

/// Endpoints at some addresses, with whether only peers named them.
fn named_at(
    segment: &Segment,
    pieces: &[Piece],
    ips: &HashSet<Address>,
) -> Result<HashMap<(Address, i32), bool>, SegmentError> {
    let mut found = HashMap::new();
    segment.read(&["ip", "port", "source"], pieces, |batch| {
        let (ip, port) = (Texts::of(batch, "ip")?, Numbers::of(batch, "port")?);
        let mut source = Words::of(batch, "source")?;
        let mut at = Among::new(&ip, ips);
        for row in 0..batch.num_rows() {
            let Some(ip) = at.address(row) else { continue };
            let code = source.code(row, |text| match text.parse() {
                Ok(Source::Incoming) => 1,
                Ok(Source::Pex) => 2,
                _ => 3,
            });
            if let Some(Ok(port)) = port.get(row).map(i32::try_from)
                && code > 1
            {
                *found.entry((ip, port)).or_insert(true) &= code == 2;
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The contacts of some pieces that were with one of us.
fn own_rows(segment: &Segment, pieces: &[Piece]) -> Result<Vec<Own>, SegmentError> {
    let starts: Vec<(&str, &[u8])> = SHOWING.into_iter().zip(STARTS).collect();
    let groups: BTreeSet<usize> = pieces.iter().map(|piece| piece.group).collect();
    if !groups.into_iter().any(|group| segment.some_may_begin(group, &starts)) {
        return Ok(Vec::new());
    }
    let mut any = false;
    segment.read(&SHOWING, pieces, |batch| {
        let mut showing = Showing::of(batch)?;
        any = any || showing.may_show() && (0..batch.num_rows()).any(|row| showing.shows(row));
        Ok(())
    })?;
    let mut found = Vec::new();
    if !any {
        return Ok(found);
    }
    let columns = [&SHOWING[..], &["info_hash", "ip", "port", "listen_port", "direction"]].concat();
    segment.read(&columns, pieces, |batch| {
        let mut showing = Showing::of(batch)?;
        let (info_hash, ip) = (Texts::of(batch, "info_hash")?, Texts::of(batch, "ip")?);
        let (port, listen_port) = (Numbers::of(batch, "port")?, Numbers::of(batch, "listen_port")?);
        let mut direction = Words::of(batch, "direction")?;
        for row in 0..batch.num_rows() {
            if !showing.shows(row) {
                continue;
            }
            let (Some(info_hash), Some(ip)) = (info_hash.text(row), ip.text(row)) else { continue };
            let in_row = |ports: &Numbers| ports.get(row).and_then(|port| i32::try_from(port).ok());
            found.push(Own {
                info_hash: Address::new(info_hash.as_bytes()),
                ip: Address::new(ip.as_bytes()),
                port: in_row(&port).unwrap_or(-1),
                listen_port: in_row(&listen_port),
                peer_id: showing.peer_id.get(row).map(PeerId::new),
                out: direction.code(row, decode::is_out) == 1,
                with_ourselves: showing.with_ourselves(row),
            });
        }
        Ok(())
    })?;
    Ok(found)
}

/// A run's options `listen` (addresses with a port, or ports alone) and `bind` (addresses) make its endpoints.
fn own_addresses(options: &Value) -> BTreeSet<SocketAddr> {
    let texts = |name| values(options, name).filter_map(Value::as_str).collect::<Vec<_>>();
    let listen: Vec<SocketAddr> = texts("listen").iter().filter_map(|text| text.parse().ok()).collect();
    let ports =
        values(options, "listen").filter_map(Value::as_u64).filter_map(|port| u16::try_from(port).ok());
    let ports: BTreeSet<u16> = ports.chain(listen.iter().map(SocketAddr::port)).collect();
    let bind = texts("bind").into_iter().filter_map(|text| text.parse::<IpAddr>().ok());
    let bound =
        bind.flat_map(|ip| ports.iter().map(move |port| SocketAddr::new(ip, *port)).collect::<Vec<_>>());
    let all = listen.iter().copied().chain(bound);
    all.filter(|address| !address.ip().is_unspecified())
        .map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()))
        .collect()
}

/// The values of an option wherever it stands, one or a list of them.
fn values<'a>(options: &'a Value, name: &'a str) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
    let Value::Object(fields) = options else { return Box::new(std::iter::empty()) };
    Box::new(fields.iter().flat_map(move |(field, value)| -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        match value {
            Value::Array(list) if field == name => Box::new(list.iter()),
            value if field == name => Box::new(std::iter::once(value)),
            value => values(value, name),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(json: &str) -> Vec<String> {
        let options = serde_json::from_str(json).unwrap();
        own_addresses(&options).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_that_a_run_listens_on_are_ours() {
        assert_eq!(addresses(r#"{"listen": ["192.0.2.1:6881", "[2001:db8::1]:7000"]}"#).len(), 2);
        assert_eq!(addresses(r#"{"network": {"listen": ["192.0.2.1:6881"]}}"#), ["192.0.2.1:6881"]);
    }

    #[test]
    fn a_port_is_ours_on_the_addresses_bound_to() {
        assert_eq!(addresses(r#"{"listen": [6881], "bind": ["192.0.2.1"]}"#), ["192.0.2.1:6881"]);
        assert_eq!(addresses(r#"{"listen": ["0.0.0.0:6881"], "bind": ["192.0.2.1"]}"#), ["192.0.2.1:6881"]);
        assert_eq!(addresses(r#"{"listen": [6881, "0.0.0.0:7000"]}"#), Vec::<String>::new());
    }

    #[test]
    fn options_of_any_other_shape_name_nothing() {
        for json in ["null", "[]", r#"{"listen": {"a": 1}}"#, r#"{"listen": ["x", 70000], "bind": 3}"#] {
            assert_eq!(addresses(json), Vec::<String>::new());
        }
    }
}
