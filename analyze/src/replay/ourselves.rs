//! What is ours: addresses and peer IDs of this capture and of every other one, which are no peers.
//!
//! Told by the contacts that turned out to be with ourselves, by the addresses a run listened on, and by the peer ID
//! prefix and the `v` of our own program, with which another vantage shows itself.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

use polars::prelude::{PolarsResult, UniqueKeepStrategy, col};
use schema::table::{ContactOutcome, Table};
use serde_json::Value;

use super::{
    load::{self, Bytes, CLIENT, Numbers, Texts, is_our_id},
    rows::{Address, Contact, PeerId},
    segments::{Piece, Segment, SegmentError},
    unit::Unit,
    workers,
};
use crate::log::Log;

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
    pub fn find(&mut self, segments: &[Segment]) -> Result<(), SegmentError> {
        let groups = workers::row_groups(segments, &[Table::Contacts]);
        let found = workers::each(&groups, |(segment, pieces)| own_rows(segment, pieces))?;
        for own in found.into_iter().flatten() {
            self.add(&own);
        }
        Ok(())
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
    pub fn is_own(&self, unit: &Unit, contact: &Contact) -> bool {
        let ours = || unit.ips.get(contact.ip as usize).is_some_and(|ip| self.is_ours(ip, contact.port));
        let our_id = || {
            let id = unit.info_hash.zip(contact.peer_id);
            id.is_some_and(|id| self.ids.contains(&id))
        };
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

/// What shows us in a batch.
struct Showing<'a> {
    outcome: Texts<'a>,
    peer_id: Bytes<'a>,
    client: Texts<'a>,
}

impl<'a> Showing<'a> {
    fn of(batch: &'a arrow::array::RecordBatch) -> Result<Self, String> {
        Ok(Self {
            outcome: Texts::of(batch, "outcome")?,
            peer_id: Bytes::of(batch, "peer_id")?,
            client: Texts::of(batch, "client")?,
        })
    }

    fn with_ourselves(&mut self, row: usize) -> bool {
        self.outcome.code(row, |text| u32::from(text == ContactOutcome::SelfConnection.as_str())) == 1
    }

    fn shows(&mut self, row: usize) -> bool {
        self.with_ourselves(row)
            || self.peer_id.get(row).is_some_and(is_our_id)
            || self.client.code(row, |text| u32::from(text.starts_with(CLIENT))) == 1
    }
}

/// The contacts of some pieces that were with one of us.
fn own_rows(segment: &Segment, pieces: &[Piece]) -> Result<Vec<Own>, SegmentError> {
    let mut any = false;
    segment.read(&SHOWING, pieces, |batch| {
        let mut showing = Showing::of(batch)?;
        any = any || (0..batch.num_rows()).any(|row| showing.shows(row));
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
        let mut direction = Texts::of(batch, "direction")?;
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
                out: direction.code(row, load::is_out) == 1,
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
