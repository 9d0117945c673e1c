//! The speeds of single torrents' peers: the table `speeds` → histograms, and boxes of countries.

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{DataFrame, PolarsResult};
use serde::Serialize;

use super::place;
use crate::figure::frame::{numbers, runs};
use crate::map::country;
use crate::number::whole_usize;
use crate::quantiles::{
    by_group::{Found, Group, at_ranks},
    interpolated, ranks_around,
};
use crate::table::Tables;

/// Histograms of speeds with bins of even width on a logarithmic axis, the first from 1 byte/s.
#[derive(Debug, Serialize)]
pub struct Speeds {
    /// Decimal logarithm of the lower edge of bin 0.
    from: f64,
    per_decade: f64,
    pub(super) torrents: BTreeMap<usize, Histogram>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Histogram {
    median: f64,
    /// Bin and peers.
    pub(super) mean: Vec<(usize, u64)>,
    max: Vec<(usize, u64)>,
}

/// Bins of a histogram of speeds.
const PER_DECADE: f64 = 6.0;

/// The columns of the mean and of the highest speeds.
const COLUMNS: [&str; 2] = ["mean_speed_bytes_per_s", "max_speed_bytes_per_s"];

/// Peers by bin, of the mean and of the highest speeds.
type Bins = [BTreeMap<usize, u64>; 2];

/// The histogram of each torrent, and the boxes of its countries.
pub fn of_torrents(
    tables: &Tables,
    places: &HashMap<&str, usize>,
) -> PolarsResult<(Speeds, BTreeMap<usize, Vec<CountryBox>>)> {
    let mut bins: BTreeMap<usize, Bins> = BTreeMap::new();
    let columns = ["info_hash", COLUMNS[0], COLUMNS[1]];
    tables.read(
        "speeds",
        &columns,
        |rows| binned(rows, places),
        |part| {
            for (torrent, more) in part {
                for (sums, bins) in bins.entry(torrent).or_default().iter_mut().zip(more) {
                    for (bin, peers) in bins {
                        *sums.entry(bin).or_default() += peers;
                    }
                }
            }
        },
    )?;
    let mut histograms: BTreeMap<usize, Histogram> = BTreeMap::new();
    let mut boxes: BTreeMap<usize, Vec<CountryBox>> = BTreeMap::new();
    for ((hash, country), Found { count, values }) in at_some_ranks(tables)? {
        let Some(torrent) = place(places, hash.as_deref()) else { continue };
        let rounded =
            |shares| interpolated(count, shares, &values).into_iter().map(f64::round).collect::<Vec<_>>();
        match country {
            None => {
                let Some([mean, max]) = bins.remove(&torrent) else { continue };
                let [mean, max] = [mean, max].map(|bins| bins.into_iter().collect());
                let median = rounded(MEDIAN).first().copied().unwrap_or_default();
                histograms.insert(torrent, Histogram { median, mean, max });
            }
            Some(code) => {
                let [least, first, median, third, most] = rounded(QUARTILES)[..] else { continue };
                let name = if code.is_empty() { "unknown".to_owned() } else { country::name(&code) };
                let drawn = (name, count, least, first, median, third, most);
                boxes.entry(torrent).or_default().push(drawn);
            }
        }
    }
    for boxes in boxes.values_mut() {
        boxes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        boxes.truncate(BOXES);
    }
    Ok((Speeds { from: 0.0, per_decade: PER_DECADE, torrents: histograms }, boxes))
}

fn is_known(speed: f64) -> bool {
    speed > 0.0 && speed.is_finite()
}

/// Counts some rows by torrent and bin.
fn binned(rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<Vec<(usize, Bins)>> {
    let bin = |speed: f64| whole_usize((speed.max(1.0).log10() * PER_DECADE).floor());
    let [mean, max] = [numbers(rows, COLUMNS[0])?, numbers(rows, COLUMNS[1])?];
    let mut found = Vec::new();
    for (hash, run) in runs(rows.column("info_hash")?.str()?) {
        let Some(torrent) = place(places, hash) else { continue };
        let bins = [&mean, &max].map(|speeds| {
            let mut bins: BTreeMap<usize, u64> = BTreeMap::new();
            let speeds = speeds.get(run.clone()).unwrap_or_default().iter().copied().flatten();
            for speed in speeds.filter(|speed| is_known(*speed)) {
                *bins.entry(bin(speed)).or_default() += 1;
            }
            bins
        });
        found.push((torrent, bins));
    }
    Ok(found)
}

const MEDIAN: &[f64] = &[0.5];
const QUARTILES: &[f64] = &[0.0, 0.25, 0.5, 0.75, 1.0];

/// Name, peers, and the least, first quartile, median, third quartile and highest of their mean speeds.
pub type CountryBox = (String, u64, f64, f64, f64, f64, f64);

/// Countries of one torrent with a box: those with most peers.
const BOXES: usize = 10;

/// A torrent and one of its countries, or all of them.
type OfTorrent = Group<String, Option<String>>;

/// Mean speeds of each torrent around the median, and of each of its countries around the quartiles.
fn at_some_ranks(tables: &Tables) -> PolarsResult<BTreeMap<OfTorrent, Found<f64>>> {
    let columns = ["info_hash", "country", COLUMNS[0]];
    let read = |rows: &DataFrame| {
        let speeds = numbers(rows, COLUMNS[0])?;
        let countries = rows.column("country")?.str()?;
        let mut groups = Vec::new();
        for (hash, run) in runs(rows.column("info_hash")?.str()?) {
            let mut all = Vec::with_capacity(run.len());
            let mut of_countries: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
            for row in run {
                let Some(speed) = speeds.get(row).copied().flatten() else { continue };
                of_countries.entry(countries.get(row).unwrap_or_default()).or_default().push(speed);
                all.extend(Some(speed).filter(|speed| is_known(*speed)));
            }
            let hash = hash.map(str::to_owned);
            for (country, speeds) in of_countries {
                groups.push(((hash.clone(), Some(country.to_owned())), speeds));
            }
            groups.extend((!all.is_empty()).then_some(((hash, None), all)));
        }
        Ok(groups)
    };
    let ranks = |country: &Option<String>, count| {
        ranks_around(count, if country.is_some() { QUARTILES } else { MEDIAN })
    };
    at_ranks(ranks, |take| {
        tables.read("speeds", &columns, read, |groups| {
            for (group, speeds) in groups {
                take(group, speeds);
            }
        })
    })
}
