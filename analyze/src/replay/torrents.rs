//! Torrents by info-hash: the latest name, and the metadata with which pieces become shares and bytes.

use polars::prelude::{DataFrame, PolarsResult, SortMultipleOptions, col, len, lit};

use schema::table::Table;

use crate::log::{Log, Selection};

/// One row per torrent: `info_hash`, `name`, `piece_length`, `piece_count`, `size_bytes`, sorted by info-hash.
///
/// A torrent's description holds for its whole life, so rows outside the selected time count too. Torrents that were
/// observed without a row of their own (a lost segment) get one; their piece count is what the peers' rows tell.
pub fn read(log: &Log, selection: &Selection) -> PolarsResult<DataFrame> {
    let timeless = Selection { since: None, until: None, ..selection.clone() };
    let latest = |name: &str| col(name).drop_nulls().last().alias(name);
    let described = log
        .select(Table::Torrents, &timeless)?
        .sort(["info_hash", "time", "run", "origin"], SortMultipleOptions::default())
        .group_by_stable([col("info_hash")])
        .agg(["name", "piece_length", "piece_count", "size_bytes"].map(latest));
    let observed = log
        .select(Table::Progress, &timeless)?
        .group_by([col("info_hash")])
        .agg([col("piece_count").max().alias("observed_piece_count"), len().alias("rows")]);
    described
        .join(observed, [col("info_hash")], [col("info_hash")], super::identity::full_join())
        .select([
            col("info_hash"),
            col("name"),
            col("piece_length"),
            polars::prelude::coalesce(&[col("piece_count"), col("observed_piece_count")])
                .alias("piece_count"),
            col("size_bytes"),
        ])
        .filter(col("info_hash").neq(lit("0".repeat(40))))
        .sort(["info_hash"], SortMultipleOptions::default())
        .collect()
}
