//! What the page's figures show of single torrents: sparse numbers, which its script draws as this module's neighbours
//! draw those of all torrents (`assets/page/script/charts.js`).

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{DataFrame, PolarsResult};
use serde::Serialize;

use super::frame::{counts, numbers, texts, times};
use super::number::{whole, whole_usize};
use super::speeds::median;
use super::timeline::Buckets;
use crate::facts::Facts;
use crate::map::country;
use crate::table::Tables;

/// Figures that show a torrent alone once it is chosen; the others stay those of all torrents.
pub const FIGURES: [&str; 5] = ["confirmed_hourly", "countries", "population", "seeders_hourly", "speeds"];

/// Numbers by figure and torrent; torrents are numbered.
#[derive(Debug, Serialize)]
pub struct OfTorrents {
    buckets: TimeBuckets,
    /// Confirmed downloads: bucket and number.
    confirmed_hourly: BTreeMap<usize, Vec<(usize, u64)>>,
    /// Confirmed downloads: country and number; and the countries' names.
    places: Places,
    /// Bucket, seeders and leechers seen, seeders and leechers told.
    seeders_hourly: BTreeMap<usize, Vec<Swarm>>,
    speeds: Speeds,
}

type Swarm = (usize, Option<u64>, Option<u64>, Option<u64>, Option<u64>);

/// The divisions of time of all torrents' figures.
#[derive(Debug, Serialize)]
struct TimeBuckets {
    start_us: i64,
    step_us: i64,
    count: usize,
    unit: String,
}

#[derive(Debug, Default, Serialize)]
struct Places {
    names: BTreeMap<String, String>,
    #[serde(flatten)]
    torrents: BTreeMap<usize, Vec<(String, u64)>>,
}

/// Histograms of speeds with bins of even width on a logarithmic axis, the first from 1 byte/s.
#[derive(Debug, Serialize)]
struct Speeds {
    /// Decimal logarithm of the lower edge of bin 0.
    from: f64,
    per_decade: f64,
    torrents: BTreeMap<usize, Histogram>,
}

#[derive(Debug, Default, Serialize)]
struct Histogram {
    median: f64,
    /// Bin and peers.
    mean: Vec<(usize, u64)>,
    max: Vec<(usize, u64)>,
}

/// Bins of a histogram of speeds.
const PER_DECADE: f64 = 6.0;

impl OfTorrents {
    /// Reads the tables; `places` numbers the torrents.
    pub fn of(tables: &Tables, facts: &Facts, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
        let of = |name: &str| tables.get(name);
        let mut all_times = Vec::new();
        for name in ["confirmed_hourly", "seeders_hourly"] {
            if let Some(rows) = of(name) {
                all_times.extend(times(rows, "hour")?.into_iter().flatten());
            }
        }
        // Many torrents have wider buckets: the page is to stay small.
        let most = if places.len() > 200 { 60 } else { 120 };
        let buckets = Buckets::covering(facts, &all_times, most);
        let confirmed =
            of("confirmed_hourly").map(|rows| confirmed_hourly(rows, &buckets, places)).transpose()?;
        let seeders = of("seeders_hourly").map(|rows| seeders_hourly(rows, &buckets, places)).transpose()?;
        let downloads = of("confirmed_downloads").map(|rows| countries(rows, places)).transpose()?;
        let speeds = of("speeds").map(|rows| speeds(rows, places)).transpose()?;
        let Buckets { start_us, step_us, count } = buckets;
        Ok(Self {
            buckets: TimeBuckets { start_us, step_us, count, unit: buckets.unit() },
            confirmed_hourly: confirmed.unwrap_or_default(),
            places: downloads.unwrap_or_default(),
            seeders_hourly: seeders.unwrap_or_default(),
            speeds: Speeds { from: 0.0, per_decade: PER_DECADE, torrents: speeds.unwrap_or_default() },
        })
    }
}

fn place(places: &HashMap<&str, usize>, hash: Option<&str>) -> Option<usize> {
    places.get(hash?).copied()
}

fn whole_count(value: f64) -> u64 {
    whole(value).unsigned_abs()
}

fn confirmed_hourly(
    rows: &DataFrame,
    buckets: &Buckets,
    places: &HashMap<&str, usize>,
) -> PolarsResult<BTreeMap<usize, Vec<(usize, u64)>>> {
    let hashes = texts(rows, "info_hash")?;
    let confirmed = counts(rows, "confirmed_downloads")?;
    let mut sums: BTreeMap<usize, BTreeMap<usize, u64>> = BTreeMap::new();
    for ((time, hash), confirmed) in times(rows, "hour")?.into_iter().zip(hashes).zip(confirmed) {
        let bucket = time.and_then(|time| buckets.index(time));
        let (Some(bucket), Some(torrent)) = (bucket, place(places, hash.as_deref())) else { continue };
        if confirmed > 0.0 {
            *sums.entry(torrent).or_default().entry(bucket).or_default() += whole_count(confirmed);
        }
    }
    Ok(sums.into_iter().map(|(torrent, bars)| (torrent, bars.into_iter().collect())).collect())
}

/// Of each bucket the hour and source with most peers, as in the figure of all torrents.
fn seeders_hourly(
    rows: &DataFrame,
    buckets: &Buckets,
    places: &HashMap<&str, usize>,
) -> PolarsResult<BTreeMap<usize, Vec<Swarm>>> {
    type Counts = Option<(u64, u64)>;
    let hashes = texts(rows, "info_hash")?;
    let of = texts(rows, "of")?;
    let seeders = counts(rows, "seeders")?;
    let leechers = counts(rows, "leechers")?;
    let mut most: BTreeMap<usize, BTreeMap<usize, (Counts, Counts)>> = BTreeMap::new();
    let columns = hashes.into_iter().zip(of).zip(seeders.into_iter().zip(leechers));
    for (time, ((hash, of), (seeders, leechers))) in times(rows, "hour")?.into_iter().zip(columns) {
        let bucket = time.and_then(|time| buckets.index(time));
        let (Some(bucket), Some(torrent)) = (bucket, place(places, hash.as_deref())) else { continue };
        let (seen, told) = most.entry(torrent).or_default().entry(bucket).or_default();
        let fullest = if of.as_deref() == Some("seen") { seen } else { told };
        let counted = (whole_count(seeders), whole_count(leechers));
        if fullest.is_none_or(|before| counted.0 + counted.1 >= before.0 + before.1) {
            *fullest = Some(counted);
        }
    }
    let row = |(bucket, (seen, told)): (usize, (Counts, Counts))| {
        let first = |counts: Counts| counts.map(|counts| counts.0);
        let second = |counts: Counts| counts.map(|counts| counts.1);
        (bucket, first(seen), second(seen), first(told), second(told))
    };
    Ok(most.into_iter().map(|(torrent, hours)| (torrent, hours.into_iter().map(row).collect())).collect())
}

fn countries(rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<Places> {
    let mut sums: BTreeMap<usize, BTreeMap<String, u64>> = BTreeMap::new();
    let mut found = Places::default();
    for (hash, code) in texts(rows, "info_hash")?.into_iter().zip(texts(rows, "country")?) {
        let Some(code) = code.filter(|code| !code.is_empty()) else { continue };
        let Some(torrent) = place(places, hash.as_deref()) else { continue };
        found.names.entry(code.clone()).or_insert_with(|| country::name(&code));
        *sums.entry(torrent).or_default().entry(code).or_default() += 1;
    }
    found.torrents =
        sums.into_iter().map(|(torrent, codes)| (torrent, codes.into_iter().collect())).collect();
    Ok(found)
}

fn speeds(rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<BTreeMap<usize, Histogram>> {
    let bin = |speed: f64| whole_usize((speed.max(1.0).log10() * PER_DECADE).floor());
    let known = |speed: &f64| *speed > 0.0 && speed.is_finite();
    let mut all: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    let mean = numbers(rows, "mean_speed_bytes_per_s")?;
    let max = numbers(rows, "max_speed_bytes_per_s")?;
    for (hash, (mean, max)) in texts(rows, "info_hash")?.into_iter().zip(mean.into_iter().zip(max)) {
        let Some(torrent) = place(places, hash.as_deref()) else { continue };
        let (means, maxima) = all.entry(torrent).or_default();
        means.extend(mean.filter(known));
        maxima.extend(max.filter(known));
    }
    let tally = |speeds: &[f64]| {
        let mut bins: BTreeMap<usize, u64> = BTreeMap::new();
        for speed in speeds {
            *bins.entry(bin(*speed)).or_default() += 1;
        }
        bins.into_iter().collect()
    };
    Ok(all
        .into_iter()
        .filter_map(|(torrent, (mut means, maxima))| {
            means.sort_by(f64::total_cmp);
            let median = median(&means)?.round();
            Some((torrent, Histogram { median, mean: tally(&means), max: tally(&maxima) }))
        })
        .collect())
}
