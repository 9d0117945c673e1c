//! `summary`: one row per torrent, and one for all of them.

use polars::prelude::{
    DataFrame, DataType, IntoColumn, IntoLazy, NULL, NamedFrom, PolarsResult, Series, UnionArgs, col, concat,
    lit,
};

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `summary` holds.
pub const DEFINITION: Definition = Definition {
    name: "summary",
    title: "Summary",
    about: "One row per torrent and one, `all`, for the whole capture: how many peers were seen and what is \
            known of their downloads.",
    key: 1,
    columns: &[
        column("info_hash", Kind::Text, "The torrent, or `all`."),
        column(
            "name",
            Kind::Text,
            "The torrent's suggested name; empty where it is not known and for `all`.",
        ),
        column("size_bytes", Kind::Bytes, "The content's size; empty where it is not known and for `all`."),
        column("piece_count", Kind::Count, "Pieces of the torrent; empty where not known and for `all`."),
        column(
            "unique_peers",
            Kind::Count,
            "Peers named by any source or met in any contact, each once per torrent.",
        ),
        column("contacted_peers", Kind::Count, "Peers whose handshake was received at least once."),
        column(
            "confirmed_downloads",
            Kind::Count,
            "Peers seen below the threshold and later at or above it: a lower bound.",
        ),
        column("already_complete", Kind::Count, "Peers at or above the threshold when first seen."),
        column(
            "flagged",
            Kind::Count,
            "Peers whose counts cannot be trusted; never confirmed. See `flagged`.",
        ),
        column(
            "scrape_downloads",
            Kind::Count,
            "Downloads the trackers counted meanwhile: the largest count of any one tracker, never a sum over \
             trackers; empty without an answer. For `all` the sum over torrents.",
        ),
        column(
            "estimated_downloads",
            Kind::Count,
            "Estimated downloads; empty while no estimator is applied.",
        ),
        column("estimated_downloads_low", Kind::Count, "Lower end of the estimate's interval."),
        column("estimated_downloads_high", Kind::Count, "Upper end of the estimate's interval."),
        column(
            "median_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "Median of the peers' mean speeds; empty where none was measured.",
        ),
    ],
};

/// Counts peers, downloads and flags per torrent, and over all of them.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let truth = |name: &str| col(name).cast(DataType::UInt64).sum();
    let counts = || {
        [
            truth("confirmed").alias("confirmed_downloads"),
            truth("already_complete"),
            truth("flagged"),
            col("mean_speed_bytes_per_s")
                .filter(col("flagged").not())
                .median()
                .alias("median_speed_bytes_per_s"),
        ]
    };
    let by = || [col("info_hash")];
    let join = super::left_join;
    let full = super::full_join;
    let torrents = input.replay.torrents.clone().lazy();
    let swarms = input.replay.swarms.clone().lazy().filter(col("info_hash").neq(lit(super::NO_INFO_HASH)));
    let rows = torrents
        .join(swarms.clone(), by(), by(), full())
        .join(input.peers.clone().lazy().group_by(by()).agg(counts()), by(), by(), join())
        .join(scraped(input)?.lazy(), by(), by(), join());
    let all = input.peers.clone().lazy().select(counts()).with_columns([
        lit(ALL).alias("info_hash"),
        lit(NULL).cast(DataType::String).alias("name"),
        lit(NULL).alias("size_bytes"),
        lit(NULL).alias("piece_count"),
    ]);
    let sums = rows.clone().select([
        col("peers").sum(),
        col("contacted_peers").sum(),
        // The sum of nothing but nulls is null: no tracker counted anything.
        polars::prelude::when(col("scrape_downloads").count().gt(lit(0)))
            .then(col("scrape_downloads").sum())
            .otherwise(lit(NULL))
            .alias("scrape_downloads"),
    ]);
    let all = polars::prelude::concat_lf_horizontal([all, sums], polars::prelude::HConcatOptions::default())?;
    let columns = |rows: polars::prelude::LazyFrame| {
        let count = |name: &str| col(name).cast(DataType::UInt64).fill_null(lit(0_u64));
        let estimate = |name: &str| lit(NULL).cast(DataType::UInt64).alias(name);
        rows.select([
            col("info_hash"),
            col("name"),
            col("size_bytes").cast(DataType::UInt64),
            col("piece_count").cast(DataType::UInt64),
            count("peers").alias("unique_peers"),
            count("contacted_peers"),
            count("confirmed_downloads"),
            count("already_complete"),
            count("flagged"),
            col("scrape_downloads").cast(DataType::UInt64),
            estimate("estimated_downloads"),
            estimate("estimated_downloads_low"),
            estimate("estimated_downloads_high"),
            col("median_speed_bytes_per_s"),
        ])
    };
    DEFINITION.finish(concat([columns(rows), columns(all)], UnionArgs::default())?)
}

/// The row that stands for every torrent.
const ALL: &str = "all";

fn scraped(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let downloads = crate::replay::scrape::downloads(input.log, &input.rules.selection)?;
    let (info_hashes, downloads): (Vec<String>, Vec<u64>) = downloads.into_iter().unzip();
    DataFrame::new_infer_height(vec![
        Series::new("info_hash".into(), info_hashes).into_column(),
        Series::new("scrape_downloads".into(), downloads).into_column(),
    ])
}
