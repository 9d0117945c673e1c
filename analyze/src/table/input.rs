//! What the tables are made of: the replay, and the log for tables of raw rows.

use polars::prelude::{DataFrame, DataType, IntoLazy, LazyFrame, PolarsResult, col, lit};

use crate::{
    geo::Geo,
    log::Log,
    replay::{Replay, Rules, identity::left_join, peers},
};

/// The info-hash of incoming contacts that failed before they named one.
pub const NO_INFO_HASH: &str = "0000000000000000000000000000000000000000";

/// What the tables are made of.
#[derive(Debug)]
pub struct Input<'a> {
    /// The log, for tables of raw rows.
    pub log: &'a Log,
    /// The rules in force.
    pub rules: &'a Rules,
    /// What the replay found.
    pub replay: &'a Replay,
    /// Whether cities are known.
    pub has_cities: bool,
    /// Whether networks are known.
    pub has_networks: bool,
}

impl<'a> Input<'a> {
    /// The replay's peers.
    pub fn peers(&self) -> PolarsResult<LazyFrame> {
        match self.replay.peers.lazy()? {
            Some(peers) => Ok(peers),
            None => Ok(peers::empty()?.lazy()),
        }
    }

    /// What the replay found, and whether its places are known well enough for the tables of places.
    pub fn new(log: &'a Log, rules: &'a Rules, replay: &'a Replay, geo: &Geo) -> PolarsResult<Self> {
        let has_cities = geo.has_cities();
        let networks = replay.places.column("asn")?;
        let has_networks = geo.has_networks() || networks.null_count() < networks.len();
        Ok(Self { log, rules, replay, has_cities, has_networks })
    }
}

/// Peers, confirmed downloads and speeds by the given columns of `places`.
pub fn by_place(input: &Input<'_>, by: &[&str]) -> PolarsResult<LazyFrame> {
    let key: Vec<_> = by.iter().map(|name| col(*name)).collect();
    let counts = input
        .replay
        .places
        .clone()
        .lazy()
        .group_by(key.clone())
        .agg([col("peers").sum(), col("contacted_peers").sum()]);
    let trusted = || col("flagged").not();
    let peers = input.peers()?.group_by(key.clone()).agg([
        col("confirmed").cast(DataType::UInt64).sum().alias("confirmed_downloads"),
        col("mean_speed_bytes_per_s").filter(trusted()).median().alias("median_speed_bytes_per_s"),
        col("max_speed_bytes_per_s").filter(trusted()).max(),
    ]);
    let nulls_meet = polars::prelude::JoinArgs { nulls_equal: true, ..left_join() };
    let rows = counts.join(peers, key.clone(), key, nulls_meet);
    Ok(rows.with_column(col("confirmed_downloads").fill_null(lit(0_u64))))
}

/// Adds `share`, the part of a count within its group.
pub fn with_share(rows: &DataFrame, count: &str, group: &[&str]) -> LazyFrame {
    let by: Vec<_> = group.iter().map(|name| col(*name)).collect();
    let all = rows.clone().lazy().group_by(by.clone()).agg([col(count).sum().alias("all")]);
    let nulls_meet = polars::prelude::JoinArgs { nulls_equal: true, ..left_join() };
    let share = col(count).cast(DataType::Float64) / col("all").cast(DataType::Float64);
    rows.clone().lazy().join(all, by.clone(), by, nulls_meet).with_column(share.alias("share"))
}
