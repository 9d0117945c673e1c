//! `seeders_hourly`: seeders and leechers over time, as seen and as told by trackers and DHT nodes.

use polars::prelude::{
    DataFrame, DataType, Expr, IntoColumn, IntoLazy, LazyFrame, NamedFrom, PolarsResult, Series, UnionArgs,
    coalesce, col, concat, lit, when,
};
use schema::table::{RequestKind, RequestOutcome, Source, Table};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::estimate::{Estimate, share};

/// What `seeders_hourly` holds.
pub const DEFINITION: Definition = Definition {
    name: "seeders_hourly",
    title: "Seeders and leechers over time",
    about: "Seeders and leechers of each torrent in each hour, or bucket: peers by what they told last in it, and \
            what trackers and DHT nodes told. Of DHT nodes the one with most peers stands.",
    key: 3,
    columns: &[
        column("hour", Kind::Time, super::HOUR_ABOUT),
        column("info_hash", Kind::Text, "The torrent."),
        column("of", Kind::Text, "`seen` for peers we watched, `dht` for filters (BEP 33), or the tracker."),
        column(
            "seeders",
            Kind::Count,
            "Peers at or above the threshold, or the source's own count of seeders.",
        ),
        column("leechers", Kind::Count, "Peers below it, or the source's own count of leechers."),
        column(
            "seeder_share",
            Kind::Share,
            "Seeders ÷ both, for trackers the mean over the answers; empty where there are none.",
        ),
        column("seeder_share_low", Kind::Share, "Lower end of its interval."),
        column("seeder_share_high", Kind::Share, "Upper end of its interval."),
        column(
            "method",
            Kind::Text,
            "`wilson`: 95 % interval of a sample's share; `range`: lowest and highest answer of the hour.",
        ),
        column("bias", Kind::Text, "In which direction the share errs, and why."),
    ],
};

const SEEN_BIAS: &str = "high: complete peers stay longer and are met more easily";
const TOLD_BIAS: &str = "high: partial seeds and complete peers that left without a word count";

/// Counts by bucket.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let told = told(input)?.collect()?;
    DEFINITION.finish(concat([seen(input)?.lazy(), told.lazy()], UnionArgs::default())?)
}

/// The peers we watched, with the interval of their share.
fn seen(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let frame = &input.replay.seeders;
    if frame.height() == 0 {
        return DEFINITION.empty();
    }
    let count = |name: &str| -> PolarsResult<Vec<u64>> {
        let values = frame.column(name)?.i64()?;
        Ok(values
            .iter()
            .map(|value| value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default())
            .collect())
    };
    let (seeders, leechers) = (count("seeders")?, count("leechers")?);
    let shares: Vec<Option<Estimate>> = seeders
        .iter()
        .zip(&leechers)
        .map(|(seeders, leechers)| share::estimate(*seeders, seeders + leechers))
        .collect();
    let of =
        |read: fn(&Estimate) -> f64| shares.iter().map(|found| found.as_ref().map(read)).collect::<Vec<_>>();
    let mut rows = frame.clone();
    rows.with_column(Series::new("seeder_share".into(), of(|found| found.value)).into_column())?;
    rows.with_column(Series::new("seeder_share_low".into(), of(|found| found.low)).into_column())?;
    rows.with_column(Series::new("seeder_share_high".into(), of(|found| found.high)).into_column())?;
    let rows = rows.lazy().with_columns([
        lit("seen").alias("of"),
        lit(share::METHOD).alias("method"),
        lit(SEEN_BIAS).alias("bias"),
    ]);
    DEFINITION.finish(rows)
}

/// What sources told: a tracker's mean over its answers, of DHT nodes the answer with most peers.
fn told(input: &Input<'_>) -> PolarsResult<LazyFrame> {
    let is = |source: Source| col("source").eq(lit(source.as_str()));
    let bloom = || col("kind").eq(lit(RequestKind::ScrapeBloom.as_str()));
    let asked = is(Source::TrackerHttp).or(is(Source::TrackerUdp)).or(bloom());
    let is_ok = col("outcome").eq(lit(RequestOutcome::Ok.as_str()));
    let both = || col("seeders") + col("leechers");
    let share = || {
        let share = col("seeders").cast(DataType::Float64) / both().cast(DataType::Float64);
        when(both().gt(lit(0))).then(share).otherwise(lit(polars::prelude::NULL))
    };
    let bucket = lit(input.rules.bucket_us);
    let key = || ["hour", "info_hash", "of"].map(col);
    let answers = input
        .log
        .select(Table::Requests, &input.rules.selection)?
        .filter(asked.and(is_ok).and(col("seeders").is_not_null()).and(col("leechers").is_not_null()))
        .select([
            (col("time") - col("time") % bucket).alias("hour"),
            col("info_hash"),
            when(bloom()).then(lit("dht")).otherwise(coalesce(&[col("endpoint"), lit("")])).alias("of"),
            col("seeders"),
            col("leechers"),
            both().alias("both"),
            share().alias("share"),
        ])
        .sort(
            ["hour", "info_hash", "of", "both", "seeders", "leechers"],
            polars::prelude::SortMultipleOptions::default(),
        );
    let of_dht = || col("of").eq(lit("dht"));
    let mean = |name: &str| -> Expr {
        let mean = (col(name).mean() + lit(0.5)).cast(DataType::Int64);
        when(of_dht().first()).then(col(name).last().cast(DataType::Int64)).otherwise(mean).alias(name)
    };
    let rows = answers.group_by_stable(key()).agg([
        mean("seeders"),
        mean("leechers"),
        when(of_dht().first()).then(col("share").last()).otherwise(col("share").mean()).alias("seeder_share"),
        col("share").min().alias("seeder_share_low"),
        col("share").max().alias("seeder_share_high"),
    ]);
    let columns: Vec<Expr> =
        DEFINITION.columns.iter().map(|column| col(column.name).cast(column.kind.dtype())).collect();
    Ok(rows.with_columns([lit("range").alias("method"), lit(TOLD_BIAS).alias("bias")]).select(columns))
}
