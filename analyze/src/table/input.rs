//! What the tables are made of: the replay, with its peers located and named.

use polars::prelude::{
    DataFrame, DataType, IntoColumn, IntoLazy, LazyFrame, NULL, NamedFrom, PolarsResult, Series,
    StringChunked, col, lit, when,
};

use crate::{
    client,
    geo::Geo,
    log::Log,
    place,
    replay::{
        Replay, Rules,
        identity::{NO_PORT, left_join},
    },
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
    /// The replay's peers with the tables' own column names, their place and their program.
    pub peers: DataFrame,
    /// `ip`, `country`, `city`, `latitude`, `longitude`, `asn`, `organization` of every address.
    pub places: DataFrame,
    /// Whether cities are known.
    pub has_cities: bool,
    /// Whether networks are known.
    pub has_networks: bool,
}

impl<'a> Input<'a> {
    /// Locates every address once and names the peers' programs.
    pub fn new(log: &'a Log, rules: &'a Rules, replay: &'a Replay, geo: &Geo) -> PolarsResult<Self> {
        let places = place::locate(&replay.addresses, log, geo)?;
        let known_port = when(col("peer_port").eq(lit(NO_PORT))).then(lit(NULL)).otherwise(col("peer_port"));
        let peers = with_programs(&replay.peers)?
            .lazy()
            .with_columns([
                known_port.alias("port"),
                col("mean_speed").alias("mean_speed_bytes_per_s"),
                col("max_speed").alias("max_speed_bytes_per_s"),
                col("already").and(col("flagged").not()).alias("already_complete"),
            ])
            .join(places.clone().lazy(), [col("ip")], [col("ip")], left_join())
            .collect()?;
        let has_cities = geo.has_cities();
        let has_networks = geo.has_networks() || places.column("asn")?.null_count() < places.height();
        Ok(Self { log, rules, replay, peers, places, has_cities, has_networks })
    }
}

/// Writes peer IDs as hex and adds `client_of_id`, `software_of_id`, `peer_id_prefix`, `software_of_v`.
fn with_programs(peers: &DataFrame) -> PolarsResult<DataFrame> {
    let ids = peers.column("peer_id")?.binary()?;
    let told: Vec<Option<client::Client>> = ids.iter().map(|id| client::by_peer_id(id?)).collect();
    let of_v = peers.column("client")?.str()?.iter().map(|v| client::software_of_v(v?));
    let name = |client: &client::Client| Some(format!("{} {}", client.software?, client.version));
    let columns = [
        Series::new("peer_id".into(), ids.iter().map(|id| id.map(hex)).collect::<Vec<_>>()),
        Series::new(
            "client_of_id".into(),
            told.iter().map(|client| client.as_ref().and_then(name)).collect::<Vec<_>>(),
        ),
        Series::new(
            "software_of_id".into(),
            told.iter().map(|client| client.as_ref()?.software).collect::<Vec<_>>(),
        ),
        Series::new(
            "peer_id_prefix".into(),
            told.iter().map(|client| Some(client.as_ref()?.prefix.as_str())).collect::<Vec<_>>(),
        ),
        Series::new("software_of_v".into(), of_v.collect::<StringChunked>()),
    ];
    let mut peers = peers.clone();
    for column in columns {
        peers.with_column(column.into_column())?;
    }
    Ok(peers)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Peers, confirmed downloads and speeds by the given columns of `places`.
pub fn by_place(input: &Input<'_>, by: &[&str]) -> PolarsResult<LazyFrame> {
    let key: Vec<_> = by.iter().map(|name| col(*name)).collect();
    if input.places.height() == 0 {
        return Ok(super::countries::DEFINITION.empty()?.lazy());
    }
    let counts = input
        .replay
        .addresses
        .clone()
        .lazy()
        .join(input.places.clone().lazy(), [col("ip")], [col("ip")], left_join())
        .group_by(key.clone())
        .agg([col("peers").sum(), col("contacted_peers").sum()]);
    let trusted = || col("flagged").not();
    let peers = input.peers.clone().lazy().group_by(key.clone()).agg([
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
