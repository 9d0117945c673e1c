//! Who a contact was with: (info-hash, IP, port), merged across ports and directions by peer ID and IP.
//!
//! Every contact gets `peer_port` and `alias`, which with `info_hash` and `ip` are its peer's [`KEY`]. A peer ID at one
//! address is one peer, whatever the ports: it may have moved, or be reached through several at once. It is named by the
//! lowest port at which an outgoing contact met it; else by the lowest it said it listens on; else by its peer ID, its
//! alias: an incoming connection's remote port names nothing. What shows no peer ID, a failed contact or a sighting,
//! belongs to whom was met last at its endpoint. Contacts with ourselves are marked `own`. [`Identity`] may name peers by
//! less, or by something else.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinCoalesce, JoinType, LazyFrame, PolarsResult,
    SortMultipleOptions, coalesce, col, lit, when,
};
use schema::table::Direction;

use super::ourselves::Ourselves;
use crate::log::handshake_outcomes;

/// What makes two contacts, or two sightings, those of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Identity {
    /// Address and port; a peer ID at one address is one peer, whatever its ports
    #[default]
    #[value(name = "endpoint")]
    Endpoint,
    /// The address: everyone behind one counts as one peer
    #[value(name = "ip")]
    Ip,
    /// The peer ID, wherever it shows; clients that make up a new one for each connection are many peers
    #[value(name = "peer_id")]
    PeerId,
}

impl Identity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Ip => "ip",
            Self::PeerId => "peer_id",
        }
    }
}

/// What names a peer; the port is [`NO_PORT`] and the alias not empty where the port is not known.
pub const KEY: [&str; 4] = ["info_hash", "ip", "peer_port", "alias"];

/// The port of a peer whose listening port is not known.
pub const NO_PORT: i64 = -1;

/// The alias of incoming contacts whose `contacts` row was lost in a crash: nothing says who they were with.
pub const LOST: &[u8] = b"lost";

/// The key as expressions.
pub fn key() -> Vec<Expr> {
    KEY.iter().map(|name| col(*name)).collect()
}

/// A left join that keeps the left side's key columns.
pub fn left_join() -> JoinArgs {
    JoinArgs::new(JoinType::Left)
}

/// A full join with one set of key columns.
pub fn full_join() -> JoinArgs {
    JoinArgs { coalesce: JoinCoalesce::CoalesceColumns, ..JoinArgs::new(JoinType::Full) }
}

/// Whether the contact went out.
pub fn is_out() -> Expr {
    col("direction").eq(lit(Direction::Out.as_str()))
}

/// Adds `handshake`, `handshake_at`, `own`, `peer_port` and `alias` to contacts; `ip` becomes the peer's, which with
/// [`Identity::PeerId`] may be another than that of the connection, kept as `remote_ip`.
pub fn resolve(contacts: LazyFrame, ourselves: &Ourselves, identity: Identity) -> PolarsResult<LazyFrame> {
    let handshake =
        handshake_outcomes().fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome))));
    let contacts = ourselves.mark(contacts).with_columns([
        handshake.alias("handshake"),
        (col("time") - col("open_us")).alias("handshake_at"),
        // Port 0 is what some clients say when they do not listen.
        when(col("listen_port").gt(lit(0)))
            .then(col("listen_port"))
            .otherwise(lit(polars::prelude::NULL))
            .alias("listen_port"),
    ]);
    let known = col("handshake").and(col("peer_id").is_not_null()).and(col("own").not());
    let by_id = || [col("info_hash"), col("ip"), col("peer_id")];
    let reached_port = when(is_out()).then(col("port")).otherwise(lit(polars::prelude::NULL));
    let names = contacts
        .clone()
        .filter(known)
        .with_column(reached_port.alias("reached_port"))
        .group_by(by_id())
        .agg([col("reached_port").min(), col("listen_port").min().alias("said_port")]);
    let shown_port = when(is_out()).then(col("port")).otherwise(col("listen_port"));
    let by_endpoint = contacts
        .join(names, by_id(), by_id(), left_join())
        .with_column(
            coalesce(&[col("reached_port"), col("said_port"), shown_port, lit(NO_PORT)]).alias("peer_port"),
        )
        .with_column(
            when(col("peer_port").eq(lit(NO_PORT)))
                .then(coalesce(&[col("peer_id"), lit(LOST)]))
                .otherwise(lit(b"".as_slice()))
                .alias("alias"),
        )
        .drop(polars::prelude::by_name(["reached_port", "said_port"], true, false))
        .with_column(col("ip").alias("remote_ip"));
    match identity {
        Identity::Endpoint => with_nameless(by_endpoint.collect()?.lazy()),
        Identity::Ip => Ok(by_ip(by_endpoint)),
        Identity::PeerId => by_peer_id(by_endpoint),
    }
}

/// Gives outgoing contacts that showed no peer ID to whom was met last at their endpoints.
fn with_nameless(contacts: LazyFrame) -> PolarsResult<LazyFrame> {
    let is_nameless = is_out().and(col("peer_id").is_null());
    let named = contacts.clone().filter(is_nameless.clone().not());
    let nameless = at_endpoints(contacts.filter(is_nameless), moved(&named), "ip", "peer_port");
    polars::prelude::concat([named, nameless], polars::prelude::UnionArgs::default())
}

/// Leaves the address alone to name a peer.
pub fn by_ip(rows: LazyFrame) -> LazyFrame {
    rows.with_columns([
        lit(NO_PORT).cast(DataType::Int64).alias("peer_port"),
        lit(b"".as_slice()).alias("alias"),
    ])
}

/// Names peers by their peer IDs, at the endpoint where each was met last; a contact that showed none belongs to whom was
/// met at its endpoint last, or to the endpoint.
fn by_peer_id(contacts: LazyFrame) -> PolarsResult<LazyFrame> {
    let by_id = || [col("info_hash"), col("peer_id")];
    let id = when(col("handshake").and(col("own").not()))
        .then(col("peer_id"))
        .otherwise(lit(polars::prelude::NULL));
    // Each step is used twice; computed once, it also keeps the plan flat.
    let contacts = contacts.with_column(id.alias("peer_id_shown")).collect()?.lazy();
    let met = contacts
        .clone()
        .filter(col("peer_id_shown").is_not_null())
        .with_column(is_out().alias("out"))
        .sort(["out", "time", "run", "contact"], SortMultipleOptions::default())
        .group_by_stable(by_id())
        .agg([col("ip").last().alias("met_ip"), col("peer_port").last().alias("met_port")]);
    let named = contacts
        .join(met, [col("info_hash"), col("peer_id_shown")], by_id(), left_join())
        .with_columns([
            when(is_out()).then(col("port")).otherwise(col("peer_port")).alias("endpoint_port"),
            coalesce(&[col("met_ip"), col("ip")]).alias("ip"),
            coalesce(&[col("met_port"), col("peer_port")]).alias("peer_port"),
            coalesce(&[col("peer_id_shown"), col("alias")]).alias("alias"),
        ])
        .drop(polars::prelude::by_name(["met_ip", "met_port"], true, false))
        .collect()?
        .lazy();
    let endpoints = endpoints(named.clone());
    let shown = named.clone().filter(col("peer_id_shown").is_not_null());
    let nameless = named.filter(col("peer_id_shown").is_null());
    let others = at_endpoints(nameless, endpoints, "remote_ip", "endpoint_port");
    let all = polars::prelude::concat([shown, others], polars::prelude::UnionArgs::default())?;
    Ok(all.drop(polars::prelude::by_name(["peer_id_shown"], true, false)))
}

/// Who was met last at each endpoint: `info_hash`, `at_ip`, `at_port`, `of_ip`, `of_port`, `of_alias`.
fn endpoints(contacts: LazyFrame) -> LazyFrame {
    met_last(
        contacts
            .filter(col("handshake").and(col("own").not()).and(col("endpoint_port").neq(lit(NO_PORT))))
            .with_columns([col("remote_ip").alias("at_ip"), col("endpoint_port").alias("at_port")]),
    )
}

/// The endpoints whose last met peer is named by another port, as [`endpoints`].
fn moved(contacts: &LazyFrame) -> LazyFrame {
    let endpoint = || ["info_hash", "at_ip", "at_port"].map(col);
    let met = contacts
        .clone()
        .filter(is_out().and(col("handshake")).and(col("own").not()))
        .with_columns([col("ip").alias("at_ip"), col("port").alias("at_port")]);
    let elsewhere = met.clone().filter(col("at_port").neq(col("peer_port"))).select(endpoint());
    // There are few of them.
    met_last(met.join(elsewhere, endpoint(), endpoint(), JoinArgs::new(JoinType::Semi)))
        .filter(col("at_port").neq(col("of_port")))
}

/// The last of the contacts at each `at_ip` and `at_port`.
fn met_last(contacts: LazyFrame) -> LazyFrame {
    contacts
        .sort(["time", "run", "contact"], SortMultipleOptions::default())
        .group_by_stable(["info_hash", "at_ip", "at_port"].map(col))
        .agg([
            col("ip").last().alias("of_ip"),
            col("peer_port").last().alias("of_port"),
            col("alias").last().alias("of_alias"),
        ])
}

/// Gives rows whose `ip` and port are an endpoint's the key of whom was met there last.
fn at_endpoints(rows: LazyFrame, endpoints: LazyFrame, ip: &str, port: &str) -> LazyFrame {
    let at = [col("info_hash"), col("at_ip"), col("at_port")];
    rows.join(endpoints, [col("info_hash"), col(ip), col(port)], at, left_join())
        .with_columns([
            coalesce(&[col("of_ip"), col("ip")]).alias("ip"),
            coalesce(&[col("of_port"), col("peer_port")]).alias("peer_port"),
            coalesce(&[col("of_alias"), col("alias")]).alias("alias"),
        ])
        .drop(polars::prelude::by_name(["of_ip", "of_port", "of_alias"], true, false))
}

/// Gives rows that know an endpoint only, as `ip` and `peer_port`, the identity asked for; `contacts` are resolved.
pub fn of_endpoints(rows: LazyFrame, contacts: &DataFrame, identity: Identity) -> LazyFrame {
    let contacts = contacts.clone().lazy();
    match identity {
        Identity::Endpoint => at_endpoints(rows, moved(&contacts), "ip", "peer_port"),
        Identity::Ip => by_ip(rows),
        Identity::PeerId => at_endpoints(rows, endpoints(contacts), "ip", "peer_port"),
    }
}
