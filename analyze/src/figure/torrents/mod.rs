//! What the page's figures show of single torrents: sparse numbers, which its script draws as this module's neighbours
//! draw those of all torrents (`assets/page/script/charts/`).

use std::collections::{BTreeMap, HashMap};

use polars::prelude::{DataFrame, PolarsResult};
use serde::Serialize;

mod dated;
mod outcomes;
mod speeds;

use super::frame::{counts, runs, texts, times};
use super::text::visible;
use super::timeline::Buckets;
use crate::client::software_of_v;
use crate::facts::Facts;
use crate::map::country;
use crate::number::whole;
use crate::table::Tables;
use dated::Dated;
use outcomes::{Contacts, Flagged, Requests, Sources};
use speeds::{CountryBox, Speeds};

/// Figures that show a torrent alone once it is chosen, and the table that its numbers come from; beside them those of
/// tables that know more of single torrents than they hold ([`Tables::of_torrents`]).
const FIGURES: [(&str, &str); 10] = [
    ("clients", "confirmed_downloads"),
    ("confirmed_downloads", "confirmed_downloads"),
    ("confirmed_hourly", "confirmed_hourly"),
    ("countries", "confirmed_downloads"),
    ("flagged", "flagged"),
    ("population", "population"),
    ("seeders_hourly", "seeders_hourly"),
    ("speeds", "speeds"),
    ("speeds_by_country", "speeds"),
    ("trackers", "trackers"),
];

/// Whether a figure shows a torrent alone; the others stay those of all torrents.
pub fn shows(stem: &str, tables: &Tables) -> bool {
    tables.of_torrents(stem).is_some()
        || FIGURES.iter().any(|(figure, table)| *figure == stem && tables.has(table))
}

/// Numbers by figure and torrent; torrents are numbered.
#[derive(Debug, Serialize)]
pub struct OfTorrents {
    buckets: TimeBuckets,
    /// Confirmed downloads: program and number, most first.
    clients: BTreeMap<usize, Vec<(String, u64)>>,
    confirmed_downloads: Dated,
    /// Confirmed downloads: bucket and number.
    confirmed_hourly: BTreeMap<usize, Vec<(usize, u64)>>,
    contacts: Contacts,
    flagged: Flagged,
    /// Confirmed downloads: country and number; and the countries' names.
    places: Places,
    requests: Requests,
    /// Bucket, seeders and leechers seen, seeders and leechers told.
    seeders_hourly: BTreeMap<usize, Vec<Swarm>>,
    sources: Sources,
    speeds: Speeds,
    /// Countries with most peers measured: name, peers and the quartiles of their mean speeds.
    speeds_by_country: BTreeMap<usize, Vec<CountryBox>>,
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
        let downloads = countries(tables, places)?;
        let clients = clients(tables, places)?;
        let (speeds, boxes) = speeds::of_torrents(tables, places)?;
        let more = |name: &str| tables.of_torrents(name);
        let contacts = more("contacts").map(|rows| Contacts::of(rows, places)).transpose()?;
        let requests = more("requests").map(|rows| Requests::of(rows, places)).transpose()?;
        let sources = more("sources").map(|rows| Sources::of(rows, places)).transpose()?;
        let flagged = Flagged::of(tables, places)?;
        let Buckets { start_us, step_us, count } = buckets;
        Ok(Self {
            buckets: TimeBuckets { start_us, step_us, count, unit: buckets.unit() },
            clients,
            confirmed_downloads: Dated::of(tables, places)?,
            confirmed_hourly: confirmed.unwrap_or_default(),
            contacts: contacts.unwrap_or_default(),
            flagged,
            places: downloads,
            requests: requests.unwrap_or_default(),
            seeders_hourly: seeders.unwrap_or_default(),
            sources: sources.unwrap_or_default(),
            speeds,
            speeds_by_country: boxes,
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

/// Counts by torrent and by what `name` makes of a text.
fn count_texts(
    (tables, table, column): (&Tables, &str, &str),
    places: &HashMap<&str, usize>,
    name: impl Fn(Option<&str>) -> Option<String> + Sync,
) -> PolarsResult<BTreeMap<usize, BTreeMap<String, u64>>> {
    let count = |rows: &DataFrame| {
        let mut counts: BTreeMap<(usize, Option<&str>), u64> = BTreeMap::new();
        let texts = rows.column(column)?.str()?;
        for (hash, run) in runs(rows.column("info_hash")?.str()?) {
            let Some(torrent) = place(places, hash) else { continue };
            for text in run.map(|row| texts.get(row)) {
                *counts.entry((torrent, text)).or_default() += 1;
            }
        }
        let named = counts.into_iter().map(|((torrent, text), count)| (torrent, name(text), count));
        Ok(named.collect::<Vec<_>>())
    };
    let mut sums: BTreeMap<usize, BTreeMap<String, u64>> = BTreeMap::new();
    tables.read(table, &["info_hash", column], count, |counts| {
        for (torrent, name, count) in counts {
            if let Some(name) = name {
                *sums.entry(torrent).or_default().entry(name).or_default() += count;
            }
        }
    })?;
    Ok(sums)
}

fn countries(tables: &Tables, places: &HashMap<&str, usize>) -> PolarsResult<Places> {
    let known = |code: Option<&str>| code.filter(|code| !code.is_empty()).map(str::to_owned);
    let sums = count_texts((tables, "confirmed_downloads", "country"), places, known)?;
    let codes = sums.values().flat_map(BTreeMap::keys);
    let names = codes.map(|code| (code.clone(), country::name(code))).collect();
    let torrents = sums.into_iter().map(|(torrent, codes)| (torrent, codes.into_iter().collect())).collect();
    Ok(Places { names, torrents })
}

fn clients(
    tables: &Tables,
    places: &HashMap<&str, usize>,
) -> PolarsResult<BTreeMap<usize, Vec<(String, u64)>>> {
    let software = |client: Option<&str>| Some(visible(client.and_then(software_of_v).unwrap_or("unknown")));
    let sums = count_texts((tables, "confirmed_downloads", "client"), places, software)?;
    let in_order = |counts: BTreeMap<String, u64>| {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    };
    Ok(sums.into_iter().map(|(torrent, counts)| (torrent, in_order(counts))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::fixture;

    #[test]
    fn torrents_sum_up_to_all_of_them() {
        let (tables, facts) = (fixture::many(19, 34), fixture::facts(19, 34));
        let hashes: Vec<String> = (0..19).map(fixture::hash).collect();
        let places = hashes.iter().enumerate().map(|(place, hash)| (hash.as_str(), place)).collect();
        let found = OfTorrents::of(&tables, &facts, &places).unwrap();
        let sum = |table: &str, column: &str| -> u64 {
            counts(tables.get(table).unwrap(), column).unwrap().into_iter().map(whole_count).sum()
        };
        let bars = found.confirmed_hourly.values().flatten().map(|(_, count)| count).sum::<u64>();
        assert_eq!(bars, sum("confirmed_hourly", "confirmed_downloads"));
        let downloads = tables.get("confirmed_downloads").unwrap().height() as u64;
        assert_eq!(found.clients.values().flatten().map(|(_, count)| count).sum::<u64>(), downloads);
        let speeds = tables.get("speeds").unwrap().height() as u64;
        let means = found.speeds.torrents.values().flat_map(|own| &own.mean).map(|(_, count)| count);
        assert_eq!(means.sum::<u64>(), speeds);
        let named = found.places.torrents.values().flatten().map(|(_, count)| count).sum::<u64>();
        let known = texts(tables.get("confirmed_downloads").unwrap(), "country").unwrap();
        assert_eq!(named, known.iter().flatten().count() as u64);
    }

    #[test]
    fn a_figure_without_its_numbers_stays_that_of_all_torrents() {
        let mut tables = Tables::default();
        let countries = crate::table::find("countries").unwrap();
        tables.insert(countries, countries.empty().unwrap());
        assert!(!shows("countries", &tables));
        assert!(shows("countries", &fixture::empty()));
        assert!(!shows("contacts", &fixture::empty()) && shows("contacts", &fixture::many(1, 1)));
        assert!(!shows("sessions", &fixture::empty()));
    }
}
