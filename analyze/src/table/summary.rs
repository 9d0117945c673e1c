//! `summary`: one row per torrent, and one for all of them.

use std::{collections::BTreeMap, ops::Range};

use polars::prelude::{
    DataFrame, DataType, IntoColumn, IntoLazy, LazyFrame, NULL, NamedFrom, PolarsResult, Series, UnionArgs,
    col, concat, lit,
};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::{
    estimate::{
        Estimate,
        departure::Stay,
        detection::{self, Downloads, Pattern, Watch},
    },
    figure::frame::runs,
    quantiles::{
        by_group::{Found, at_ranks},
        interpolated, ranks_around,
    },
    replay::{Threshold, scrape},
    time::SECOND_US,
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
            "Peers named by any source or met in any contact, each once per torrent. One that connected to us, told no \
             port and was not met otherwise counts by its peer ID: once more, where others named its port.",
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
            "Confirmed downloads, each weighted by one over its probability of having been seen below the threshold and \
             above; empty where the contacts do not tell it.",
        ),
        column("estimated_downloads_low", Kind::Count, "Lower end of its 95 % interval."),
        column("estimated_downloads_high", Kind::Count, "Upper end of its 95 % interval."),
        column(
            "median_speed_bytes_per_s",
            Kind::BytesPerSecond,
            "Median of the peers' mean speeds; empty where none was measured.",
        ),
        column("estimated_downloads_method", Kind::Text, "`horvitz_thompson`; empty without an estimate."),
        column("estimated_downloads_bias", Kind::Text, "In which direction the estimate errs, and why."),
    ],
};

/// Counts peers, downloads and flags per torrent, and over all of them.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    const COUNTED: [(&str, &str); 3] = [
        ("confirmed_downloads", "confirmed"),
        ("already_complete", "already_complete"),
        ("flagged", "flagged"),
    ];
    let by = || [col("info_hash")];
    let counted = COUNTED.map(|(name, truth)| (name, col(truth)));
    let counts = input.sums(&[("info_hash", col("info_hash"))], &counted)?.collect()?.lazy();
    let medians = medians(input)?.lazy();
    let join = super::left_join;
    let full = super::full_join;
    let torrents = input.replay.torrents.clone().lazy();
    let swarms = input.replay.swarms.clone().lazy().filter(col("info_hash").neq(lit(super::NO_INFO_HASH)));
    let rows = torrents
        .join(swarms.clone(), by(), by(), full())
        .join(counts.clone(), by(), by(), join())
        .join(scraped(input)?.lazy(), by(), by(), join());
    let estimates = estimates(input)?;
    let all = counts.select(COUNTED.map(|(name, _)| col(name).sum())).with_columns([
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
        let estimate = |name: &str| col(name).cast(DataType::UInt64);
        let rows = rows.join(medians.clone(), by(), by(), join());
        rows.join(estimates.clone().lazy(), by(), by(), join()).select([
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
            col("estimated_downloads_method"),
            col("estimated_downloads_bias"),
        ])
    };
    DEFINITION.finish(concat([columns(rows), columns(all)], UnionArgs::default())?)
}

/// The row that stands for every torrent.
const ALL: &str = "all";

fn scraped(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let downloads = scrape::downloads(scrape::counted(input.log, &input.rules.selection)?);
    let (info_hashes, downloads): (Vec<String>, Vec<u64>) = downloads.into_iter().unzip();
    DataFrame::new_infer_height(vec![
        Series::new("info_hash".into(), info_hashes).into_column(),
        Series::new("scrape_downloads".into(), downloads).into_column(),
    ])
}

/// The estimated downloads of each torrent with a confirmed one, and of all: the rates are learnt from all of them.
fn estimates(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let each = |take: &mut dyn FnMut(&str, &[Pattern])| {
        let read = |part| patterns(part, input.rules.threshold);
        input.read(read, |torrents| torrents.iter().for_each(|(info_hash, own)| take(info_hash, own)))
    };
    let mut downloads: BTreeMap<String, Downloads> = BTreeMap::new();
    let watch = Watch::learn(|take| each(&mut |_, own| own.iter().for_each(&mut *take)))?;
    if let Some(watch) = &watch {
        let mut all = Downloads::default();
        each(&mut |info_hash, own| {
            let of_torrent = downloads.entry(info_hash.to_owned()).or_default();
            for pattern in own {
                all.add(watch, pattern);
                of_torrent.add(watch, pattern);
            }
        })?;
        downloads.insert(ALL.to_owned(), all);
    }
    let estimates: Vec<(&str, Estimate)> = watch
        .iter()
        .flat_map(|watch| downloads.iter().map(|(info_hash, own)| (info_hash.as_str(), own.estimate(watch))))
        .collect();
    let count = |name: &str, read: fn(&Estimate) -> f64| {
        // Downloads are whole, and no end of the interval may lie inside of it.
        Series::new(name.into(), estimates.iter().map(|(_, found)| read(found)).collect::<Vec<_>>())
            .into_column()
    };
    let text =
        |name: &str, text: &'static str| Series::new(name.into(), vec![text; estimates.len()]).into_column();
    DataFrame::new_infer_height(vec![
        Series::new(
            "info_hash".into(),
            estimates.iter().map(|(info_hash, _)| *info_hash).collect::<Vec<_>>(),
        )
        .into_column(),
        count("estimated_downloads", |found| found.value.round()),
        count("estimated_downloads_low", |found| found.low.floor()),
        count("estimated_downloads_high", |found| found.high.ceil()),
        text("estimated_downloads_method", detection::METHOD),
        text("estimated_downloads_bias", detection::BIAS),
    ])
}

/// The median of the mean speeds of each torrent's peers, and that of all.
fn medians(input: &Input<'_>) -> PolarsResult<DataFrame> {
    const SPEED: &str = "mean_speed_bytes_per_s";
    let read = |part| {
        let measured = super::speeds::of_peers(part).select(["info_hash", SPEED].map(col)).collect()?;
        let speeds: Vec<f64> = measured.column(SPEED)?.f64()?.iter().flatten().collect();
        let runs = runs(measured.column("info_hash")?.str()?).into_iter();
        let own = |rows: Range<usize>| speeds.get(rows).unwrap_or_default().to_vec();
        let of_torrents = runs.map(|(info_hash, rows)| (info_hash.map(str::to_owned), own(rows)));
        Ok(of_torrents.collect::<Vec<_>>())
    };
    let found = at_ranks(
        |(), count| ranks_around(count, &[0.5]),
        |take| {
            input.read(read, |torrents| {
                for (info_hash, own) in torrents {
                    take((None, ()), own.clone());
                    take((info_hash, ()), own);
                }
            })
        },
    )?;
    let median = |found: &Found<f64>| interpolated(found.count, &[0.5], &found.values).first().copied();
    let (info_hashes, medians): (Vec<String>, Vec<Option<f64>>) = found
        .into_iter()
        .map(|((info_hash, ()), found)| (info_hash.unwrap_or_else(|| ALL.to_owned()), median(&found)))
        .unzip();
    DataFrame::new_infer_height(vec![
        Series::new("info_hash".into(), info_hashes).into_column(),
        Series::new("median_speed_bytes_per_s".into(), medians).into_column(),
    ])
}

/// How each confirmed download among some peers was watched, torrent by torrent.
fn patterns(peers: LazyFrame, threshold: Threshold) -> PolarsResult<Vec<(String, Vec<Pattern>)>> {
    const NUMBERS: [&str; 10] = [
        "watched_from",
        "came_after",
        "first_at",
        "first_pieces",
        "below_at",
        "below_pieces",
        "reached_at",
        "piece_count",
        "stayed_us",
        "gone_us",
    ];
    let shown = [NUMBERS.map(col).to_vec(), vec![col("info_hash"), col("live")]].concat();
    let confirmed = peers.filter(col("confirmed")).select(shown).collect()?;
    let columns = NUMBERS
        .iter()
        .map(|name| Ok((*name, confirmed.column(name)?.i64()?.iter().collect::<Vec<_>>())))
        .collect::<PolarsResult<BTreeMap<_, _>>>()?;
    let patterns = confirmed.column("live")?.bool()?.iter().enumerate().map(|(row, live)| {
        let number = |name: &str| columns.get(name)?.get(row).copied().flatten();
        let first_at = number("first_at")?;
        let watched_from = number("watched_from").unwrap_or(first_at).min(first_at);
        let needed = threshold.pieces(u32::try_from(number("piece_count")?).ok()?);
        let earliest_at =
            number("came_after").map_or(watched_from, |came| came.clamp(watched_from, first_at));
        let since = |time: i64| (time - watched_from) as f64 / SECOND_US as f64;
        let share = |pieces: i64| pieces as f64 / f64::from(needed);
        let seconds = |us: i64| us as f64 / SECOND_US as f64;
        Some(Pattern {
            earliest_at: since(earliest_at),
            first_at: since(first_at),
            first_share: share(number("first_pieces")?),
            below_at: since(number("below_at")?),
            below_share: share(number("below_pieces")?),
            confirmed_at: since(number("reached_at")?),
            live: live.unwrap_or_default(),
            stay: Stay {
                at_least: number("stayed_us").map_or(0.0, seconds),
                gone_by: number("gone_us").map(seconds),
            },
        })
    });
    let patterns: Vec<Option<Pattern>> = patterns.collect();
    let of_torrents = runs(confirmed.column("info_hash")?.str()?).into_iter().map(|(info_hash, rows)| {
        let own = patterns.get(rows).unwrap_or_default().iter().flatten().copied();
        (info_hash.unwrap_or_default().to_owned(), own.collect())
    });
    Ok(of_torrents.collect())
}
