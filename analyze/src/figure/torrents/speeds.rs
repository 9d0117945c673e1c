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

impl Speeds {
    /// Reads the table.
    pub fn of(tables: &Tables, places: &HashMap<&str, usize>) -> PolarsResult<Self> {
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
        let mean = |speed: f64| Some(speed).filter(|speed| is_known(*speed));
        let by_torrent = |_: Option<&str>| Some(());
        let medians = quantiles(tables, &[0.5], &by_torrent, &mean)?;
        let torrents = medians.into_iter().filter_map(|((hash, ()), (_, median))| {
            let torrent = place(places, hash.as_deref())?;
            let [mean, max] = bins.remove(&torrent)?.map(|bins| bins.into_iter().collect());
            Some((torrent, Histogram { median: median.first()?.round(), mean, max }))
        });
        Ok(Self { from: 0.0, per_decade: PER_DECADE, torrents: torrents.collect() })
    }
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

/// How many speeds, and quantiles of them, by torrent and group.
type Quantiles<B> = BTreeMap<Group<String, B>, (u64, Vec<f64>)>;

/// Quantiles of the mean speeds that `known` lets pass, by torrent and by what `group` makes of the country.
fn quantiles<B: Ord + Clone + Send>(
    tables: &Tables,
    shares: &[f64],
    group: &(impl Fn(Option<&str>) -> Option<B> + Sync),
    known: &(impl Fn(f64) -> Option<f64> + Sync),
) -> PolarsResult<Quantiles<B>> {
    let columns = ["info_hash", "country", COLUMNS[0]];
    let read = |rows: &DataFrame| {
        let speeds = numbers(rows, COLUMNS[0])?;
        let countries = rows.column("country")?.str()?;
        let mut groups = Vec::new();
        for (hash, run) in runs(rows.column("info_hash")?.str()?) {
            let mut of_torrent: BTreeMap<B, Vec<f64>> = BTreeMap::new();
            for row in run {
                let speed = speeds.get(row).copied().flatten().and_then(known);
                if let Some((group, speed)) = group(countries.get(row)).zip(speed) {
                    of_torrent.entry(group).or_default().push(speed);
                }
            }
            groups.extend(
                of_torrent.into_iter().map(|(group, speeds)| ((hash.map(str::to_owned), group), speeds)),
            );
        }
        Ok(groups)
    };
    let found = at_ranks(
        |_, count| ranks_around(count, shares),
        |take| {
            tables.read("speeds", &columns, read, |groups| {
                for (group, speeds) in groups {
                    take(group, speeds);
                }
            })
        },
    )?;
    let quantiles = |(group, Found { count, values }): (_, Found<f64>)| {
        (group, (count, interpolated(count, shares, &values)))
    };
    Ok(found.into_iter().map(quantiles).collect())
}

/// Name, peers, and the least, first quartile, median, third quartile and highest of their mean speeds.
pub type CountryBox = (String, u64, f64, f64, f64, f64, f64);

/// Countries of one torrent with a box.
const BOXES: usize = 10;

/// The countries of each torrent with most peers measured.
pub fn country_boxes(
    tables: &Tables,
    places: &HashMap<&str, usize>,
) -> PolarsResult<BTreeMap<usize, Vec<CountryBox>>> {
    let code = |code: Option<&str>| Some(code.unwrap_or_default().to_owned());
    let mut torrents: BTreeMap<usize, Vec<CountryBox>> = BTreeMap::new();
    for ((hash, code), (peers, quartiles)) in
        quantiles(tables, &[0.0, 0.25, 0.5, 0.75, 1.0], &code, &|speed| Some(speed))?
    {
        let (Some(torrent), &[least, first, median, third, most]) =
            (place(places, hash.as_deref()), &quartiles[..])
        else {
            continue;
        };
        let name = if code.is_empty() { "unknown".to_owned() } else { country::name(&code) };
        let drawn = (name, peers, least.round(), first.round(), median.round(), third.round(), most.round());
        torrents.entry(torrent).or_default().push(drawn);
    }
    for boxes in torrents.values_mut() {
        boxes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        boxes.truncate(BOXES);
    }
    Ok(torrents)
}
