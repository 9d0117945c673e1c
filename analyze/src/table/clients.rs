//! `clients`: which programs the peers run.

use polars::prelude::{DataFrame, DataType, PolarsResult, coalesce, col, lit};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `clients` holds.
pub const DEFINITION: Definition = Definition {
    name: "clients",
    title: "Clients",
    about: "Contacted peers by the program they run, told by peer ID (BEP 20) and extended handshake (BEP 10), over \
            all torrents.",
    key: 3,
    columns: &[
        column("software", Kind::Text, "The program; empty where neither peer ID nor `v` tells."),
        column(
            "peer_id_prefix",
            Kind::Text,
            "The peer ID's prefix, e.g. `-qB4520-`; empty where it has none.",
        ),
        column("client", Kind::Text, "The extended handshake's `v`; empty where it has none."),
        column("peers", Kind::Count, "Contacted peers."),
        column("share", Kind::Share, "Their part of all contacted peers."),
        column("confirmed_downloads", Kind::Count, "Confirmed downloads among them."),
    ],
};

/// Counts contacted peers by program.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let software = coalesce(&[col("software_of_id"), col("software_of_v")]);
    let each = col("ip").is_not_null();
    let rows = input.sums(
        &[("software", software), ("peer_id_prefix", col("peer_id_prefix")), ("client", col("client"))],
        &[("peers", each), ("confirmed_downloads", col("confirmed"))],
    )?;
    let all = lit(input.peers()? as f64);
    DEFINITION.finish(rows.with_column((col("peers").cast(DataType::Float64) / all).alias("share")))
}
