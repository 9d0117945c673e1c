//! Which sources named which peers, and which named them first.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoLazy, LazyFrame, PolarsResult, UnionArgs, UniqueKeepStrategy, coalesce,
    col, concat, len, lit, when,
};
use schema::table::{Direction, Source};

use super::{
    Rules,
    identity::{self, Identity, LOST, NO_PORT, key, left_join},
    ourselves::Ourselves,
};

/// A set of sources, one bit each in the order of [`Source::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceSet(pub u8);

impl SourceSet {
    /// Whether a source is in the set.
    pub fn has(self, source: Source) -> bool {
        self.0 & bit(source) != 0
    }

    /// Number of sources in the set.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether no source is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Peers of one torrent that the same sources named and that answered alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedPeers {
    /// The torrent.
    pub info_hash: String,
    /// Who named them.
    pub sources: SourceSet,
    /// Whether their handshake was received in any contact.
    pub contacted: bool,
    /// Whether we tried to connect to them.
    pub dialled: bool,
    /// Whether their handshake was received in a contact of our making.
    pub answered: bool,
    /// How many they are.
    pub peers: u64,
}

fn bit(source: Source) -> u8 {
    1 << code(source)
}

/// The source's place in [`Source::ALL`].
fn code(source: Source) -> u8 {
    u8::from(source)
}

/// The codes as a column; rows of a source this version does not know get null.
pub(super) fn code_column() -> Expr {
    Source::ALL.iter().fold(lit(polars::prelude::NULL).cast(DataType::Int64), |other, source| {
        when(col("source").eq(lit(source.as_str()))).then(lit(i64::from(code(*source)))).otherwise(other)
    })
}

/// Peers named by sources, one row each: the key, `sources` (a [`SourceSet`]), `first` (µs × 8 + the source's code).
///
/// Incoming peers are named by the remote port of a connection; `contacts` (resolved) tells whose it was.
pub fn peers(
    sightings: &LazyFrame,
    contacts: &DataFrame,
    ourselves: &Ourselves,
    identity: Identity,
) -> PolarsResult<LazyFrame> {
    let coded = sightings.clone().with_column(code_column().alias("code")).filter(col("code").is_not_null());
    let incoming = col("source").eq(lit(Source::Incoming.as_str()));
    let first = (col("time").min() * lit(8_i64)).alias("first");
    let named = ourselves
        .leave_out(coded.clone().filter(incoming.clone().not()), "port")
        .group_by([col("info_hash"), col("ip"), col("port"), col("code")])
        .agg([first.clone()])
        .select([
            col("info_hash"),
            col("ip"),
            col("port").alias("peer_port"),
            lit(b"".as_slice()).alias("alias"),
            col("code"),
            col("first"),
        ]);
    let named = identity::of_endpoints(named, contacts, identity);
    let connection = || ["run", "info_hash", "ip", "port"].map(col);
    let of_connection = || ["run", "info_hash", "remote_ip", "port"].map(col);
    let came_in = coded.filter(incoming).group_by(connection()).agg([first, col("code").first()]);
    let contacts_in = contacts
        .clone()
        .lazy()
        .filter(col("direction").eq(lit(Direction::In.as_str())))
        .group_by(of_connection())
        .agg([
            col("own").any(true),
            col("ip").max().alias("peer_ip"),
            col("peer_port").max(),
            col("alias").max(),
        ]);
    let came_in = came_in
        .join(contacts_in, connection(), of_connection(), left_join())
        .filter(col("own").fill_null(lit(false)).not())
        .select([
            col("info_hash"),
            coalesce(&[col("peer_ip"), col("ip")]).alias("ip"),
            coalesce(&[col("peer_port"), lit(NO_PORT)]).alias("peer_port"),
            coalesce(&[col("alias"), lit(LOST)]).alias("alias"),
            col("code"),
            col("first"),
        ]);
    let came_in = if identity == Identity::Ip { identity::by_ip(came_in) } else { came_in };
    let all = concat([named, came_in], UnionArgs::default())?
        .with_column((col("first") + col("code")).alias("first"));
    let in_set = |source: &Source| {
        let named_by = col("code").eq(lit(i64::from(code(*source)))).any(true);
        named_by.cast(DataType::Int64) * lit(i64::from(bit(*source)))
    };
    let set = Source::ALL.iter().fold(lit(0_i64), |set, source| set + in_set(source));
    Ok(all.group_by(key()).agg([set.alias("sources"), col("first").min()]))
}

/// In how many rounds, buckets of time, each address was named by others: `info_hash`, `rounds` (1, 2, or 3 for more),
/// `addresses`; and a row with `rounds` 0 whose `addresses` is the number of rounds in which anyone was named.
pub fn rounds(sightings: &LazyFrame, ourselves: &Ourselves, rules: &Rules) -> PolarsResult<LazyFrame> {
    let named = ourselves
        .leave_out(sightings.clone(), "port")
        .filter(col("source").neq(lit(Source::Incoming.as_str())))
        .with_column(hour(col("time"), rules))
        .select(["info_hash", "ip", "port", "hour"].map(col))
        .unique(None, UniqueKeepStrategy::Any);
    let count = || len().cast(DataType::Int64);
    let held = named
        .clone()
        .select(["info_hash", "hour"].map(col))
        .unique(None, UniqueKeepStrategy::Any)
        .group_by([col("info_hash")])
        .agg([count().alias("addresses")])
        .select([col("info_hash"), lit(0_i64).cast(DataType::Int64).alias("rounds"), col("addresses")]);
    let seen = named
        .group_by(["info_hash", "ip", "port"].map(col))
        .agg([count().alias("rounds")])
        .with_column(when(col("rounds").gt(lit(2))).then(lit(3_i64)).otherwise(col("rounds")).alias("rounds"))
        .group_by(["info_hash", "rounds"].map(col))
        .agg([count().alias("addresses")]);
    concat([held, seen], UnionArgs::default())
}

/// Addresses received: `hour`, `source`, `received`; our own addresses are left out where the port is theirs.
pub fn received(sightings: &LazyFrame, ourselves: &Ourselves, rules: &Rules) -> LazyFrame {
    ourselves
        .leave_out(sightings.clone(), "port")
        .with_column(hour(col("time"), rules))
        .group_by([col("hour"), col("source")])
        .agg([len().cast(DataType::Int64).alias("received")])
}

/// Peers named for the first time: `hour`, `source`, `new`.
pub fn new(peers: LazyFrame, rules: &Rules) -> LazyFrame {
    let code_of_first = col("first") % lit(8_i64);
    let source = Source::ALL.iter().fold(lit("unknown"), |other, source| {
        when(code_of_first.clone().eq(lit(i64::from(code(*source)))))
            .then(lit(source.as_str()))
            .otherwise(other)
    });
    // Multiples of 8 are exact in a float far beyond any time.
    let eightfold = (col("first") - code_of_first).cast(DataType::Float64);
    let time = (eightfold / lit(8.0)).cast(DataType::Int64);
    peers
        .with_columns([hour(time, rules), source.alias("source")])
        .group_by([col("hour"), col("source")])
        .agg([len().cast(DataType::Int64).alias("new")])
}

/// When the bucket of a time begins, µs, as `hour`.
fn hour(time: Expr, rules: &Rules) -> Expr {
    (time.clone() - time % lit(rules.bucket_us)).alias("hour")
}
