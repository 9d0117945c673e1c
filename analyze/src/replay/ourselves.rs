//! What is ours: addresses and peer IDs of this capture and of every other one, which are no peers.
//!
//! Told by the contacts that turned out to be with ourselves, by the addresses a run listened on, and by the peer ID
//! prefix and the `v` of our own program, with which another vantage shows itself. Peers tell each other (PEX) the ports
//! that we called them from, too: such a port is ours as long as nobody else has answered there.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use polars::prelude::{
    DataFrame, Expr, IntoColumn, IntoLazy, JoinArgs, JoinType, LazyFrame, NamedFrom, PolarsResult, Series,
    UnionArgs, UniqueKeepStrategy, col, concat, lit, when,
};
use schema::table::{ContactOutcome, Source, Table};
use serde_json::Value;

use super::identity::{is_out, left_join};
use crate::log::{Log, handshake_outcomes};

/// Our peer IDs begin with this (BEP 20), and are below [`PEER_ID_END`] in the order of bytes.
const PEER_ID_PREFIX: &[u8] = b"-SW";
const PEER_ID_END: &[u8] = b"-SX";

/// The program's name in the extended handshake's `v`.
const CLIENT: &str = "Swarmtally ";

/// Our endpoints and peer IDs.
#[derive(Clone, Debug)]
pub struct Ourselves {
    /// `ip`, `port`, `own_endpoint` (always true).
    endpoints: DataFrame,
    /// `info_hash`, `peer_id`, `own_id` (always true).
    ids: DataFrame,
}

impl Ourselves {
    /// Finds them in the whole log, whatever the selection: an address is ours at any time.
    pub fn find(log: &Log) -> PolarsResult<Self> {
        let own = log.scan(Table::Contacts)?.filter(is_own());
        let reached = own.clone().filter(is_out()).select([col("ip"), col("port")]);
        let listening = own
            .clone()
            .filter(col("listen_port").is_not_null())
            .select([col("ip"), col("listen_port").alias("port")]);
        let endpoints = concat([reached, listening, listen_addresses(log)?.lazy()], UnionArgs::default())?
            .unique(None, UniqueKeepStrategy::Any)
            .collect()?;
        // Only these IDs are ours for certain: a `v` of ours beside another's peer ID must not hide that peer.
        let ids = own
            .clone()
            .filter(with_ourselves().and(col("peer_id").is_not_null()))
            .select([col("info_hash"), col("peer_id")])
            .unique(None, UniqueKeepStrategy::Any)
            .with_column(lit(true).alias("own_id"))
            .collect()?;
        let ips = concat(
            [own.select([col("ip")]), endpoints.clone().lazy().select([col("ip")])],
            UnionArgs::default(),
        )?
        .unique(None, UniqueKeepStrategy::Any)
        .collect()?;
        let mut known = vec![endpoints.lazy()];
        if ips.height() > 0 {
            known.push(ports_called_from(log, &ips, &ids)?);
        }
        let endpoints = concat(known, UnionArgs::default())?
            .unique(None, UniqueKeepStrategy::Any)
            .with_column(lit(true).alias("own_endpoint"))
            .collect()?;
        Ok(Self { endpoints, ids })
    }

    /// Leaves out rows whose `ip` and port are ours.
    pub fn leave_out(&self, rows: LazyFrame, port: &str) -> LazyFrame {
        let endpoints = self.endpoints.clone().lazy();
        rows.join(endpoints, [col("ip"), col(port)], [col("ip"), col("port")], anti())
    }

    /// Adds to contacts whether they were with ourselves, as `own`.
    pub fn mark(&self, contacts: LazyFrame) -> LazyFrame {
        let endpoint = || [col("ip"), col("port")];
        let id = || [col("info_hash"), col("peer_id")];
        let own_endpoint = is_out().and(col("own_endpoint").is_not_null());
        contacts
            .join(self.endpoints.clone().lazy(), endpoint(), endpoint(), left_join())
            .join(self.ids.clone().lazy(), id(), id(), left_join())
            .with_column(is_own().or(own_endpoint).or(col("own_id").is_not_null()).alias("own"))
            .drop(polars::prelude::by_name(["own_endpoint", "own_id"], true, false))
    }
}

/// Whether a contact shows by itself that it was with one of us.
fn is_own() -> Expr {
    let our_id = col("peer_id").gt_eq(lit(PEER_ID_PREFIX)).and(col("peer_id").lt(lit(PEER_ID_END)));
    let our_client = col("client").str().starts_with(lit(CLIENT));
    let shown = |shown: Expr| shown.fill_null(lit(false));
    shown(with_ourselves()).or(shown(our_id)).or(shown(our_client))
}

fn with_ourselves() -> Expr {
    col("outcome").eq(lit(ContactOutcome::SelfConnection.as_str()))
}

/// Ports at addresses of ours that nobody but peers named, and where nobody else was met: `ip`, `port`.
///
/// A peer that shares an address of ours, and that neither any other source names nor any contact reached, is left out.
fn ports_called_from(log: &Log, ips: &DataFrame, ids: &DataFrame) -> PolarsResult<LazyFrame> {
    let ours =
        ips.column("ip")?.str()?.iter().flatten().fold(lit(false), |any, ip| any.or(col("ip").eq(lit(ip))));
    let by_peers = col("source").eq(lit(Source::Pex.as_str()));
    let named = log
        .scan(Table::Sightings)?
        .filter(ours.clone().and(col("source").neq(lit(Source::Incoming.as_str()))))
        .group_by([col("ip"), col("port")])
        .agg([by_peers.all(true).alias("by_peers")])
        .filter(col("by_peers"))
        .select([col("ip"), col("port")]);
    let handshake =
        handshake_outcomes().fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome))));
    let met = log
        .scan(Table::Contacts)?
        .filter(ours.and(handshake).and(is_own().not()))
        .join(
            ids.clone().lazy(),
            [col("info_hash"), col("peer_id")],
            [col("info_hash"), col("peer_id")],
            anti(),
        )
        .select([col("ip"), when(is_out()).then(col("port")).otherwise(col("listen_port")).alias("port")]);
    Ok(named.join(met, [col("ip"), col("port")], [col("ip"), col("port")], anti()))
}

fn anti() -> JoinArgs {
    JoinArgs::new(JoinType::Anti)
}

/// The addresses that runs listened on, where their options name any: `ip`, `port`.
fn listen_addresses(log: &Log) -> PolarsResult<DataFrame> {
    let runs =
        log.scan(Table::Runs)?.select([col("config")]).unique(None, UniqueKeepStrategy::Any).collect()?;
    let mut addresses = BTreeSet::new();
    for config in runs.column("config")?.str()?.iter().flatten() {
        if let Ok(options) = serde_json::from_str(config) {
            addresses.extend(own_addresses(&options));
        }
    }
    let (ips, ports): (Vec<String>, Vec<i64>) =
        addresses.into_iter().map(|address| (address.ip().to_string(), i64::from(address.port()))).unzip();
    DataFrame::new_infer_height(vec![
        Series::new("ip".into(), ips).into_column(),
        Series::new("port".into(), ports).into_column(),
    ])
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
