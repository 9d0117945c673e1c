//! `contacts`: how contacts ended and how long they took.

use polars::prelude::{DataFrame, Expr, PolarsResult, SortMultipleOptions, col, len, lit, when};
use schema::table::Table;

use super::{
    Input,
    definition::{Definition, Kind, column},
    requests::quantile,
};

/// What `contacts` holds.
pub const DEFINITION: Definition = Definition {
    name: "contacts",
    title: "Contacts",
    about: "Contacts by direction, transport, encryption, first or later attempt, and outcome.",
    key: 5,
    columns: &[
        column("direction", Kind::Text, "`out`: we connected; `in`: the peer did."),
        column("transport", Kind::Text, "`tcp` or `utp`."),
        column("encryption", Kind::Text, "`plain` or `mse`."),
        column("attempt", Kind::Text, "`first` contact with the peer in this direction, or a `later` one."),
        column("outcome", Kind::Text, "How the contact ended, e.g. `refused`."),
        column("success", Kind::Truth, "Whether the peer's handshake was received."),
        column("contacts", Kind::Count, "Contacts that ended so."),
        column(
            "share",
            Kind::Share,
            "Their part of all contacts of this direction, transport, encryption and attempt.",
        ),
        column("median_connect_us", Kind::Microseconds, "Median time to the connection; empty where none."),
        column("p95_connect_us", Kind::Microseconds, "95th percentile of the same."),
        column("median_handshake_us", Kind::Microseconds, "Median time to the handshake; empty where none."),
        column("p95_handshake_us", Kind::Microseconds, "95th percentile of the same."),
        column("median_open_us", Kind::Microseconds, "Median time open after it; empty where none."),
        column("p95_open_us", Kind::Microseconds, "95th percentile of the same."),
    ],
};

/// Counts contacts by outcome.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let group = ["direction", "transport", "encryption", "attempt"];
    let later = when(is_later()).then(lit("later")).otherwise(lit("first"));
    let outcomes = input
        .log
        .select(Table::Contacts, &input.rules.selection)?
        .with_column(later.alias("attempt"))
        .group_by([group.as_slice(), &["outcome"]].concat().into_iter().map(col).collect::<Vec<_>>())
        .agg([
            len().alias("contacts"),
            quantile("connect_us", 0.5, "median_connect_us"),
            quantile("connect_us", 0.95, "p95_connect_us"),
            quantile("handshake_us", 0.5, "median_handshake_us"),
            quantile("handshake_us", 0.95, "p95_handshake_us"),
            quantile("open_us", 0.5, "median_open_us"),
            quantile("open_us", 0.95, "p95_open_us"),
        ])
        .with_column(success())
        .collect()?;
    DEFINITION.finish(super::with_share(&outcomes, "contacts", &group))
}

/// Contacts by torrent and outcome, over directions, transports and encryptions, and how many of them are `later` ones.
pub fn of_torrents(input: &Input<'_>) -> PolarsResult<DataFrame> {
    input
        .log
        .select(Table::Contacts, &input.rules.selection)?
        .group_by(["info_hash", "outcome"].map(col))
        .agg([len().alias("contacts"), is_later().sum().alias("later")])
        .with_column(success())
        .sort(["info_hash", "outcome"], SortMultipleOptions::default())
        .collect()
}

/// Whether it was not the first contact with its peer.
fn is_later() -> Expr {
    col("attempt").gt(lit(1))
}

/// Whether an outcome has a handshake.
fn success() -> Expr {
    let outcomes = crate::log::handshake_outcomes();
    outcomes.fold(lit(false), |any, outcome| any.or(col("outcome").eq(lit(outcome)))).alias("success")
}
