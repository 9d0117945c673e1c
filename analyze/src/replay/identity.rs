//! Who a contact was with: (info-hash, IP, port), merged across directions by peer ID and IP.
//!
//! Every contact gets `peer_port` and `alias`, which with `info_hash` and `ip` are its peer's [`KEY`]. An incoming
//! connection's remote port names nothing, so it takes, first that is there: the port of an outgoing contact with the
//! same peer ID and IP; the port it says it listens on; the one it said in another contact. Else its peer ID is its
//! alias. Contacts with ourselves are marked `own`.

use polars::prelude::{Expr, JoinArgs, JoinCoalesce, JoinType, LazyFrame, coalesce, col, lit};
use schema::table::Direction;

use super::ourselves::Ourselves;
use crate::log::handshake_outcomes;

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

/// Adds `handshake`, `handshake_at`, `own`, `peer_port` and `alias` to contacts.
pub fn resolve(contacts: LazyFrame, ourselves: &Ourselves) -> LazyFrame {
    let handshake =
        handshake_outcomes().fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome))));
    let contacts = ourselves.mark(contacts).with_columns([
        handshake.alias("handshake"),
        (col("time") - col("open_us")).alias("handshake_at"),
        // Port 0 is what some clients say when they do not listen.
        polars::prelude::when(col("listen_port").gt(lit(0)))
            .then(col("listen_port"))
            .otherwise(lit(polars::prelude::NULL))
            .alias("listen_port"),
    ]);
    let known =
        contacts.clone().filter(col("handshake").and(col("peer_id").is_not_null()).and(col("own").not()));
    let by_id = || [col("info_hash"), col("ip"), col("peer_id")];
    let out_ports =
        known.clone().filter(is_out()).group_by(by_id()).agg([col("port").min().alias("out_port")]);
    let listen_ports = known.group_by(by_id()).agg([col("listen_port").min().alias("said_port")]);
    contacts
        .join(out_ports, by_id(), by_id(), left_join())
        .join(listen_ports, by_id(), by_id(), left_join())
        .with_column(
            polars::prelude::when(is_out())
                .then(col("port"))
                .otherwise(coalesce(&[col("out_port"), col("listen_port"), col("said_port"), lit(NO_PORT)]))
                .alias("peer_port"),
        )
        .with_column(
            polars::prelude::when(col("peer_port").eq(lit(NO_PORT)))
                .then(coalesce(&[col("peer_id"), lit(LOST)]))
                .otherwise(lit(b"".as_slice()))
                .alias("alias"),
        )
        .drop(polars::prelude::by_name(["out_port", "said_port"], true, false))
}
