//! `population`: how many peers there are, by every method side by side.

use std::collections::BTreeMap;

use polars::prelude::{
    DataFrame, DataType, Expr, IntoColumn, IntoLazy, LazyFrame, NULL, NamedFrom, PolarsResult, Series,
    UnionArgs, col, concat, lit,
};
use schema::table::{RequestKind, RequestOutcome, Source, Table};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::estimate::{
    Unseen,
    chao2::{self, Incidence},
    chapman,
};

/// What `population` holds.
pub const DEFINITION: Definition = Definition {
    name: "population",
    title: "Population",
    about: "How many peers there are, by every method that could be applied: seen, capture–recapture over pairs of \
            sources (Chapman) and over hours, or buckets, (Chao), filters of DHT nodes (BEP 33), and trackers' own \
            counts. The row `all` sums the torrents a method could be applied to.",
    key: 3,
    columns: &[
        column("info_hash", Kind::Text, "The torrent, or `all`."),
        column("method", Kind::Text, "`seen`, `chapman`, `chao2`, `bep33` or `scrape`."),
        column("of", Kind::Text, "The sources compared, or the tracker asked; empty for the others."),
        column(
            "counts",
            Kind::Text,
            "`ever`: peers there at any time of the capture; `at_once`: peers there at one time, on average.",
        ),
        column("peers", Kind::Count, "The estimate."),
        column("peers_low", Kind::Count, "Lower end of its interval; empty for `seen`, which is a count."),
        column("peers_high", Kind::Count, "Upper end of its interval."),
        column(
            "interval",
            Kind::Text,
            "What the interval is: `95%`, or `range` from the lowest to the highest hour or answer.",
        ),
        column("bias", Kind::Text, "In which direction the method errs, and why."),
        column("samples", Kind::Count, "Rounds, hours or torrents behind the estimate."),
    ],
};

/// The method that only counts.
const SEEN: &str = "seen";
/// The bias of what was seen.
const SEEN_BIAS: &str = "low: a lower bound";
/// The bias of filters.
const BEP33_BIAS: &str = "low: each node knows a part of the swarm, and the fullest filter stands";
/// The bias of trackers.
const SCRAPE_BIAS: &str = "high: peers that left without a word count until they time out";

/// Applies every method.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let mut rows = Rows::default();
    seen(input, &mut rows)?;
    sources(input, &mut rows);
    rounds(input, &mut rows)?;
    let counted =
        concat([rows.into_frame()?.lazy(), filters(input)?, trackers(input)?], UnionArgs::default())?;
    DEFINITION.finish(counted)
}

/// Rows that are made one by one.
#[derive(Default)]
struct Rows(Vec<Row>);

struct Row {
    info_hash: String,
    method: &'static str,
    of: Option<String>,
    found: Unseen,
    bias: &'static str,
    samples: u64,
}

impl Rows {
    /// Adds the estimate of each torrent, and their sum.
    fn add(
        &mut self,
        method: &'static str,
        of: Option<&str>,
        bias: &'static str,
        torrents: BTreeMap<&str, (Unseen, u64)>,
    ) {
        if torrents.is_empty() {
            return;
        }
        let row = |info_hash: &str, found, samples| Row {
            info_hash: info_hash.to_owned(),
            method,
            of: of.map(str::to_owned),
            found,
            bias,
            samples,
        };
        let all = torrents.values().map(|(found, _)| *found).sum();
        self.0.push(row("all", all, torrents.len() as u64));
        self.0
            .extend(torrents.into_iter().map(|(info_hash, (found, samples))| row(info_hash, found, samples)));
    }

    fn into_frame(self) -> PolarsResult<DataFrame> {
        let count = |read: &dyn Fn(&Unseen) -> f64| -> Vec<f64> {
            self.0.iter().map(|row| read(&row.found)).collect()
        };
        let end = |read: &dyn Fn(&Unseen) -> f64| -> Vec<Option<f64>> {
            self.0.iter().map(|row| (row.method != SEEN).then(|| read(&row.found))).collect()
        };
        let texts = |read: &dyn Fn(&Row) -> Option<String>| self.0.iter().map(read).collect::<Vec<_>>();
        DataFrame::new_infer_height(vec![
            Series::new("info_hash".into(), texts(&|row| Some(row.info_hash.clone()))).into_column(),
            Series::new("method".into(), texts(&|row| Some(row.method.to_owned()))).into_column(),
            Series::new("of".into(), texts(&|row| row.of.clone())).into_column(),
            Series::new("counts".into(), texts(&|_| Some("ever".to_owned()))).into_column(),
            Series::new("peers".into(), count(&|found| found.estimate().value.round())).into_column(),
            Series::new("peers_low".into(), end(&|found| found.estimate().low.floor())).into_column(),
            Series::new("peers_high".into(), end(&|found| found.estimate().high.ceil())).into_column(),
            Series::new("interval".into(), texts(&|row| (row.method != SEEN).then(|| "95%".to_owned())))
                .into_column(),
            Series::new("bias".into(), texts(&|row| Some(row.bias.to_owned()))).into_column(),
            Series::new("samples".into(), self.0.iter().map(|row| row.samples).collect::<Vec<_>>())
                .into_column(),
        ])
    }
}

fn seen(input: &Input<'_>, rows: &mut Rows) -> PolarsResult<()> {
    let swarms = &input.replay.swarms;
    let Ok(hashes) = swarms.column("info_hash") else { return Ok(()) };
    let peers = hashes.str()?.iter().zip(swarms.column("peers")?.i64()?.iter());
    let torrents = peers.filter_map(|(info_hash, peers)| {
        let info_hash = info_hash.filter(|info_hash| *info_hash != super::NO_INFO_HASH)?;
        Some((info_hash, (Unseen { seen: peers? as f64, ..Unseen::default() }, 1)))
    });
    rows.add(SEEN, None, SEEN_BIAS, torrents.collect());
    Ok(())
}

/// Chapman's estimator over every pair of sources.
fn sources(input: &Input<'_>, rows: &mut Rows) {
    let sets = &input.replay.source_sets;
    for (place, first) in Source::ALL.iter().enumerate() {
        for second in Source::ALL.iter().skip(place + 1) {
            let mut counts: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
            for named in sets.iter().filter(|named| named.info_hash != super::NO_INFO_HASH) {
                let (in_first, in_second) = (named.sources.has(*first), named.sources.has(*second));
                let [n1, n2, both] = counts.entry(&named.info_hash).or_default();
                *n1 += if in_first { named.peers } else { 0 };
                *n2 += if in_second { named.peers } else { 0 };
                *both += if in_first && in_second { named.peers } else { 0 };
            }
            let torrents = counts.into_iter().filter_map(|(info_hash, [n1, n2, both])| {
                Some((info_hash, (chapman::estimate(n1, n2, both)?, 2)))
            });
            rows.add(chapman::METHOD, Some(&format!("{first} {second}")), chapman::BIAS, torrents.collect());
        }
    }
}

/// Chao's estimator over rounds, which are the buckets of time.
fn rounds(input: &Input<'_>, rows: &mut Rows) -> PolarsResult<()> {
    let frame = &input.replay.rounds;
    let Ok(hashes) = frame.column("info_hash") else { return Ok(()) };
    let counts = frame.column("rounds")?.i64()?.iter().zip(frame.column("addresses")?.i64()?.iter());
    let mut torrents: BTreeMap<&str, Incidence> = BTreeMap::new();
    for (info_hash, (rounds, addresses)) in hashes.str()?.iter().zip(counts) {
        let (Some(info_hash), Some(Ok(addresses))) = (info_hash, addresses.map(u64::try_from)) else {
            continue;
        };
        let incidence = torrents.entry(info_hash).or_default();
        if rounds == Some(0) {
            incidence.rounds = addresses;
        } else {
            incidence.seen += addresses;
            incidence.once += if rounds == Some(1) { addresses } else { 0 };
            incidence.twice += if rounds == Some(2) { addresses } else { 0 };
        }
    }
    let found = torrents.into_iter().filter_map(|(info_hash, incidence)| {
        Some((info_hash, (chao2::estimate(incidence)?, incidence.rounds)))
    });
    rows.add(chao2::METHOD, None, chao2::BIAS, found.collect());
    Ok(())
}

/// Answers with both counts: `info_hash`, `endpoint`, `hour`, `both`.
fn answers(input: &Input<'_>, of: Expr) -> PolarsResult<LazyFrame> {
    let is_ok = col("outcome").eq(lit(RequestOutcome::Ok.as_str()));
    let bucket = lit(input.rules.bucket_us);
    Ok(input
        .log
        .select(Table::Requests, &input.rules.selection)?
        .filter(of.and(is_ok).and(col("seeders").is_not_null()).and(col("leechers").is_not_null()))
        .select([
            col("info_hash"),
            col("endpoint"),
            (col("time") - col("time") % bucket).alias("hour"),
            (col("seeders") + col("leechers")).cast(DataType::Float64).alias("both"),
        ]))
}

/// The fullest filters of each hour, and their mean.
fn filters(input: &Input<'_>) -> PolarsResult<LazyFrame> {
    let bloom = col("kind").eq(lit(RequestKind::ScrapeBloom.as_str()));
    let rows = answers(input, bloom)?
        .group_by([col("info_hash"), col("hour")])
        .agg([col("both").max()])
        .group_by([col("info_hash")])
        .agg(summed())
        .with_column(lit(NULL).cast(DataType::String).alias("of"));
    Ok(at_once(rows, "bep33", BEP33_BIAS))
}

/// Each tracker's counts: the mean over hours of the hour's mean.
fn trackers(input: &Input<'_>) -> PolarsResult<LazyFrame> {
    let is = |source: Source| col("source").eq(lit(source.as_str()));
    let tracker = is(Source::TrackerHttp).or(is(Source::TrackerUdp));
    let rows = answers(input, tracker)?
        .group_by([col("info_hash"), col("endpoint"), col("hour")])
        .agg([col("both").mean(), col("both").min().alias("lowest"), col("both").max().alias("highest")])
        .sort(["info_hash", "endpoint", "hour"], polars::prelude::SortMultipleOptions::default())
        .group_by_stable([col("info_hash"), col("endpoint").alias("of")])
        .agg([
            col("both").mean().alias("peers"),
            col("lowest").min().alias("peers_low"),
            col("highest").max().alias("peers_high"),
            polars::prelude::len().alias("samples"),
        ]);
    Ok(at_once(rows, "scrape", SCRAPE_BIAS))
}

fn summed() -> [Expr; 4] {
    [
        // In one order, so that the sum of floats is the same every time.
        col("both").sort(polars::prelude::SortOptions::default()).mean().alias("peers"),
        col("both").min().alias("peers_low"),
        col("both").max().alias("peers_high"),
        polars::prelude::len().alias("samples"),
    ]
}

fn at_once(rows: LazyFrame, method: &'static str, bias: &'static str) -> LazyFrame {
    rows.select([
        col("info_hash"),
        lit(method).alias("method"),
        col("of"),
        lit("at_once").alias("counts"),
        (col("peers") + lit(0.5)).cast(DataType::Int64).cast(DataType::Float64),
        col("peers_low"),
        col("peers_high"),
        lit("range").alias("interval"),
        lit(bias).alias("bias"),
        col("samples").cast(DataType::UInt64),
    ])
}
