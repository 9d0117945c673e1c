//! Tables and facts for the tests of figures and report: none, one row each, or many, some of them hostile.

use polars::prelude::{Column, DataFrame, DataType, NamedFrom, Series, SortMultipleOptions, TimeUnit};

use crate::facts::{Damaged, Facts, GeoSource, Run};
use crate::table::{Definition, Kind, TABLES, Tables, find};

const HOUR_US: i64 = 3_600_000_000;
/// 2026-11-20 00:00 UTC.
const START_US: i64 = 1_795_132_800_000_000;

/// Names that try to break out, hide or overflow.
pub const HOSTILE: [&str; 7] = [
    "<script>alert('name')</script>",
    "\"><img src=x onerror=alert(1)>&amp;",
    "\u{202e}gpj.exe.\u{2066}iso\u{200b}",
    "\u{1b}[31mred\u{1b}]0;title\u{7}\u{0}",
    "名前の長いトレント 映画コレクション 完全版",
    "Кино и музыка — собрание сочинений",
    "a-very-long-name-without-any-space-in-it-that-goes-on-and-on-for-much-longer-than-any-label-has-room-for.mkv",
];

/// A deterministic number in `0..below`.
pub fn pick(seed: usize, below: usize) -> usize {
    let mut value = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((value ^ (value >> 31)) % below.max(1) as u64).unwrap()
}

pub fn hash(index: usize) -> String {
    format!("{:040x}", (index as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn name(index: usize) -> String {
    match HOSTILE.get(index) {
        Some(name) => (*name).to_owned(),
        None => format!("debian-{}.{}-amd64-DVD-{}.iso", index % 13, index % 7, index),
    }
}

/// Every table without rows.
pub fn empty() -> Tables {
    let mut tables = Tables::default();
    for definition in TABLES {
        tables.insert(definition, definition.empty().unwrap());
    }
    let mut summary = vec![Vec::new(); find("summary").unwrap().columns.len()];
    summary_row(&mut summary, "all", None, 0);
    tables.insert(find("summary").unwrap(), frame("summary", &summary));
    tables
}

/// Facts of an empty log.
pub fn empty_facts() -> Facts {
    Facts {
        version: "0.1.0".to_owned(),
        threshold: "0.98".to_owned(),
        bucket_s: 3600,
        extension: "csv",
        ..Facts::default()
    }
}

/// Facts of a log of `hours` hours.
pub fn facts(torrents: u64, hours: i64) -> Facts {
    let time = |hours: i64| {
        let text = crate::number::second(START_US + hours * HOUR_US);
        Some(format!("{}Z", text.replace(' ', "T")))
    };
    Facts {
        data: vec!["data".to_owned()],
        first_at: time(0),
        last_at: time(hours),
        runs: vec![
            Run {
                run: "20261120T000000Z-9f86d081".to_owned(),
                vantage: Some("frankfurt".to_owned()),
                version: Some("0.1.0".to_owned()),
                started_at: time(0),
                stopped_at: time(hours),
                reason: Some("signal".to_owned()),
            },
            Run { run: "20261120T010000Z-2c26b46b".to_owned(), started_at: time(1), ..Run::default() },
        ],
        torrents,
        rows: vec![("contacts".to_owned(), 120_345), ("sightings".to_owned(), 2_345_678)],
        segments: 40,
        max_plausible_speed_bytes_per_s: 125_000_000,
        geolocation: vec![GeoSource {
            tells: "country".to_owned(),
            name: "DB-IP Country Lite 2026-11".to_owned(),
            attribution: Some("IP geolocation by DB-IP (https://db-ip.com), CC BY 4.0.".to_owned()),
        }],
        damaged: vec![Damaged {
            file: "data/contacts/date=2026-11-20/<b>x</b>.parquet".to_owned(),
            problem: "the footer is cut off".to_owned(),
        }],
        notes: vec![
            "The run 20261120T010000Z-2c26b46b has no end: it was killed <or> still runs.".to_owned(),
            "Countries come from registry data and there are no cities: give a database with --geoip-city, for \
             example DB-IP City Lite (free, CC BY 4.0, https://db-ip.com)."
                .to_owned(),
        ],
        ..empty_facts()
    }
}

/// A value of any kind of column.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Number(f64),
    Text(String),
    Time(i64),
    Truth(bool),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Number(value as f64)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Truth(value)
    }
}

/// A table's frame from its columns' values.
pub fn frame(table: &str, columns: &[Vec<Value>]) -> DataFrame {
    let definition: &Definition = find(table).unwrap();
    assert_eq!(definition.columns.len(), columns.len(), "{table}");
    let height = columns.first().map_or(0, Vec::len);
    let series = definition.columns.iter().zip(columns).map(|(column, values)| {
        let numbers = || -> Vec<Option<f64>> {
            values
                .iter()
                .map(|value| if let Value::Number(number) = value { Some(*number) } else { None })
                .collect()
        };
        let series = match column.kind {
            Kind::Text => {
                let texts: Vec<Option<&str>> = values
                    .iter()
                    .map(|value| if let Value::Text(text) = value { Some(text.as_str()) } else { None })
                    .collect();
                Series::new(column.name.into(), texts)
            }
            Kind::Time => {
                let times: Vec<Option<i64>> = values
                    .iter()
                    .map(|value| if let Value::Time(time) = value { Some(*time) } else { None })
                    .collect();
                let series = Series::new(column.name.into(), times);
                series.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap()
            }
            Kind::Truth => {
                let truths: Vec<Option<bool>> = values
                    .iter()
                    .map(|value| if let Value::Truth(truth) = value { Some(*truth) } else { None })
                    .collect();
                Series::new(column.name.into(), truths)
            }
            kind => Series::new(column.name.into(), numbers()).cast(&kind.dtype()).unwrap(),
        };
        Column::from(series)
    });
    DataFrame::new(height, series.collect()).unwrap()
}

/// Fills a table row by row.
fn rows(table: &str, count: usize, row: impl Fn(usize) -> Vec<Value>) -> DataFrame {
    let mut columns = vec![Vec::new(); find(table).unwrap().columns.len()];
    for index in 0..count {
        for (column, value) in columns.iter_mut().zip(row(index)) {
            column.push(value);
        }
    }
    let rows = frame(table, &columns);
    // Rows of one torrent come next to one another.
    let of_peers = matches!(table, "confirmed_downloads" | "flagged" | "speeds");
    let stable = SortMultipleOptions::default().with_maintain_order(true);
    if of_peers { rows.sort(["info_hash"], stable).unwrap() } else { rows }
}

fn summary_row(columns: &mut [Vec<Value>], hash: &str, name: Option<String>, unique: usize) {
    let all = hash == "all";
    let row: Vec<Value> = vec![
        hash.into(),
        name.map_or(Value::Null, Value::Text),
        if all { Value::Null } else { 3_900_000_000_usize.into() },
        if all { Value::Null } else { 1_860_usize.into() },
        unique.into(),
        (unique / 4).into(),
        (unique / 40).into(),
        (unique / 9).into(),
        (unique / 300).into(),
        if unique == 0 { Value::Null } else { (unique / 11).into() },
        Value::Null,
        Value::Null,
        Value::Null,
        if unique < 40 { Value::Null } else { 812_345.5.into() },
        Value::Null,
        Value::Null,
    ];
    for (column, value) in columns.iter_mut().zip(row) {
        column.push(value);
    }
}

const COUNTRIES: [&str; 24] = [
    "US", "DE", "BR", "IN", "FR", "GB", "RU", "CN", "JP", "SG", "HK", "MT", "AU", "ZA", "NL", "SE", "PL",
    "UA", "CA", "AR", "KR", "NG", "XK", "",
];

/// Tables of one torrent in which everything that is counted is one.
pub fn ones() -> Tables {
    let many = many(1, 1);
    let mut tables = Tables::default();
    for (definition, made) in many.iter() {
        let rows = made.first();
        let is_of_peers = matches!(definition.name, "confirmed_downloads" | "flagged" | "speeds");
        let mut rows = if is_of_peers { rows.head(Some(1)) } else { rows.clone() };
        for column in definition.columns.iter().filter(|column| column.kind == Kind::Count) {
            let ones = Series::new(column.name.into(), vec![1_u64; rows.height()]);
            rows.with_column(Column::from(ones)).unwrap();
        }
        tables.insert(definition, rows);
    }
    tables
}

/// Tables of `torrents` torrents watched for `hours` hours.
pub fn many(torrents: usize, hours: usize) -> Tables {
    let mut tables = Tables::default();
    let mut insert = |table: &str, rows: DataFrame| tables.insert(find(table).unwrap(), rows);
    insert(
        "flagged",
        rows("flagged", 3 + torrents / 10, |index| {
            let mut row = vec![hash(index % torrents).into(), "198.51.100.9".into(), (6_881 + index).into()];
            row.extend([format!("{:040x}", pick(index, usize::MAX)).into(), Value::Time(START_US)]);
            row.extend([index % 2 == 0, index % 3 == 0, index % 3 == 1, index % 3 == 2].map(Value::from));
            row.push(2.5e8.into());
            row
        }),
    );

    let mut summary = vec![Vec::new(); find("summary").unwrap().columns.len()];
    let unique = |index: usize| pick(index, 40_000) / (1 + index % 50) + 40;
    summary_row(&mut summary, "all", None, (0..torrents).map(unique).sum());
    for index in 0..torrents {
        let name = (index % 11 != 10).then(|| name(index));
        summary_row(&mut summary, &hash(index), name, unique(index));
    }
    insert("summary", frame("summary", &summary));

    let shown = torrents.min(40);
    insert(
        "confirmed_hourly",
        rows("confirmed_hourly", shown * hours, |index| {
            let (hour, torrent) = (index / shown, index % shown);
            let time = Value::Time(START_US + i64::try_from(hour).unwrap() * HOUR_US);
            let wave = 1.0 + (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
            vec![
                time,
                hash(torrent).into(),
                (pick(index, 9) as f64 * wave / (1.0 + torrent as f64 / 4.0)).round().into(),
            ]
        }),
    );
    insert(
        "confirmed_downloads",
        rows("confirmed_downloads", torrents * 2, |index| confirmed_row(index, torrents)),
    );
    insert(
        "thresholds",
        rows("thresholds", 11, |index| {
            vec![
                (0.90 + index as f64 / 100.0).into(),
                (1_240 - index * index * 3).into(),
                (4_100 - index * 31).into(),
            ]
        }),
    );
    insert(
        "speeds",
        rows("speeds", torrents * 3, |index| {
            let speed = 10.0_f64.powf(4.0 + pick(index, 300) as f64 / 100.0);
            let country = COUNTRIES[pick(index, 24)];
            vec![
                hash(index % torrents).into(),
                format!("198.51.100.{}", index % 256).into(),
                6881_usize.into(),
                Value::Null,
                speed.into(),
                if index % 7 == 0 { Value::Null } else { (speed * 1.7).into() },
                if country.is_empty() { Value::Null } else { country.into() },
            ]
        }),
    );
    insert(
        "speeds_by_country",
        rows("speeds_by_country", COUNTRIES.len(), |index| {
            let median = 10.0_f64.powf(5.0 + pick(index, 150) as f64 / 100.0);
            let mut row = vec![country(index), (600 / (index + 1)).into()];
            row.extend([0.05, 0.5, 1.0, 2.2, 30.0].map(|factor| Value::Number(median * factor)));
            row
        }),
    );
    insert(
        "countries",
        rows("countries", COUNTRIES.len(), |index| {
            let peers = 90_000 / (index + 1);
            let confirmed = if index % 6 == 5 { 0 } else { peers / 45 };
            vec![
                country(index),
                peers.into(),
                (peers / 4).into(),
                confirmed.into(),
                if index == 9 {
                    Value::Null
                } else {
                    10.0_f64.powf(5.0 + pick(index, 150) as f64 / 100.0).into()
                },
                9.1e6.into(),
            ]
        }),
    );
    sources(&mut tables, hours);
    contacts(&mut tables);
    swarms(&mut tables, torrents, hours);
    networks(&mut tables);
    capture(&mut tables, hours);
    of_torrents(&mut tables, torrents);
    tables
}

/// What tables of all torrents together count by torrent.
fn of_torrents(tables: &mut Tables, torrents: usize) {
    let frame = |columns: Vec<Series>| {
        DataFrame::new_infer_height(columns.into_iter().map(Column::from).collect()).unwrap()
    };
    let texts = |name: &str, each: usize, text: &dyn Fn(usize) -> String| {
        Series::new(name.into(), (0..torrents * each).map(text).collect::<Vec<_>>())
    };
    let numbers = |name: &str, each: usize, number: &dyn Fn(usize) -> usize| {
        let numbers: Vec<u64> = (0..torrents * each).map(|index| number(index) as u64).collect();
        Series::new(name.into(), numbers)
    };
    let contacts = frame(vec![
        texts("info_hash", 2, &|index| hash(index / 2)),
        texts("outcome", 2, &|index| ["visit_done", "refused"][index % 2].to_owned()),
        numbers("contacts", 2, &|index| pick(index, 900) + 1),
        numbers("later", 2, &|index| pick(index, 900) / 3),
        Series::new("success".into(), (0..torrents * 2).map(|index| index % 2 == 0).collect::<Vec<_>>()),
    ]);
    let requests = frame(vec![
        texts("info_hash", 3, &|index| hash(index / 3)),
        texts("source", 3, &|index| ["tracker_http", "tracker_http", "pex"][index % 3].to_owned()),
        texts("endpoint", 3, &|index| {
            ["http://a.example/<&", "http://a.example/<&", ""][index % 3].to_owned()
        }),
        texts("kind", 3, &|index| ["announce", "announce", "pex"][index % 3].to_owned()),
        texts("outcome", 3, &|index| ["ok", "timed_out", "ok"][index % 3].to_owned()),
        numbers("requests", 3, &|index| pick(index, 40) + 1),
    ]);
    let named = |index: usize| pick(index, 400) + 4;
    let sources = frame(vec![
        texts("info_hash", 2, &|index| hash(index / 2)),
        texts("source", 2, &|index| ["dht", "tracker_http"][index % 2].to_owned()),
        numbers("unique_peers", 2, &named),
        numbers("only_here", 2, &|index| named(index) / 3),
        numbers("dialled_peers", 2, &|index| named(index) / 2),
        numbers("answered_peers", 2, &|index| named(index) / 4),
    ]);
    for (table, rows) in [("contacts", contacts), ("requests", requests), ("sources", sources)] {
        tables.insert_of_torrents(find(table).unwrap(), rows);
    }
}

/// What is known of swarms beside their downloads.
fn swarms(tables: &mut Tables, torrents: usize, hours: usize) {
    const METHODS: [(&str, &str, &str); 5] = [
        ("seen", "", "ever"),
        ("chapman", "dht tracker_udp", "ever"),
        ("chao2", "", "ever"),
        ("bep33", "", "at_once"),
        ("scrape", "udp://tracker0.example:6969/announce", "at_once"),
    ];
    let mut insert = |table: &str, rows: DataFrame| tables.insert(find(table).unwrap(), rows);
    let population = rows("population", torrents.min(500) * 5 + 3, |index| {
        let (torrent, (method, of, counts)) = (index / 5, METHODS[index % 5]);
        let is_all = torrent >= torrents.min(500);
        let peers = (pick(torrent, 900) + 40) * if is_all { torrents } else { 1 }
            / if counts == "ever" { 1 } else { 3 };
        let interval = method != "seen";
        let end = |value: usize| if interval { Value::from(value) } else { Value::Null };
        vec![
            if is_all { "all".into() } else { hash(torrent).into() },
            method.into(),
            if of.is_empty() { Value::Null } else { of.into() },
            counts.into(),
            (peers + peers / 5 * (index % 5)).into(),
            end(peers),
            end(peers * 2),
            if interval { "95%".into() } else { Value::Null },
            "low: a lower bound".into(),
            3_usize.into(),
        ]
    });
    insert("population", population);
    let shown = torrents.min(40);
    let seeders = rows("seeders_hourly", shown * hours * 2, |index| {
        let (hour, torrent, told) = (index / 2 / shown, index / 2 % shown, index % 2 == 1);
        let seeders = pick(torrent, 40) + hour.min(200) / 2 + if told { 9 } else { 0 };
        let leechers = pick(torrent + 7, 60) + 200 / (hour + 4);
        let share = seeders as f64 / (seeders + leechers) as f64;
        vec![
            Value::Time(START_US + i64::try_from(hour).unwrap() * HOUR_US),
            hash(torrent).into(),
            if told { "udp://tracker0.example:6969/announce" } else { "seen" }.into(),
            seeders.into(),
            leechers.into(),
            share.into(),
            (share * 0.9).into(),
            (share * 1.05).min(1.0).into(),
            if told { "range" } else { "wilson" }.into(),
            "high: complete peers stay longer and are met more easily".into(),
        ]
    });
    insert("seeders_hourly", seeders);
    let trackers = rows("trackers", torrents * 2, |index| {
        let downloads = pick(index, 400);
        vec![
            hash(index / 2).into(),
            format!("udp://tracker{}.example:6969/announce", index % 7).into(),
            if index.is_multiple_of(5) { "ipv6" } else { "ipv4" }.into(),
            downloads.into(),
            34_usize.into(),
            1_000_usize.into(),
            (1_000 + downloads).into(),
            usize::from(index % 9 == 0).into(),
        ]
    });
    insert("trackers", trackers);
    let sessions = rows("sessions", 14, |index| {
        let share = 0.82_f64.powi(i32::try_from(index).unwrap());
        vec![
            (30_000_000 * (1_usize << index) * usize::from(index > 0)).into(),
            (4_000 / (index + 1)).into(),
            (120 * index).into(),
            (40 * index).into(),
            77_usize.into(),
            share.into(),
            (share - 0.02 * index as f64 / 4.0).max(0.0).into(),
            (share + 0.02 * index as f64 / 4.0).min(1.0).into(),
            "kaplan_meier".into(),
            "low: a peer that stops answering, but stays, counts as gone".into(),
        ]
    });
    insert("sessions", sessions);
}

/// Where peers are, beyond countries.
fn networks(tables: &mut Tables) {
    const PLACES: [(&str, &str, f64, f64); 6] = [
        ("DE", "Berlin", 52.52, 13.41),
        ("BR", "São Paulo", -23.55, -46.63),
        ("JP", "Tokyo", 35.68, 139.69),
        ("US", "Los Angeles", 34.05, -118.24),
        ("AU", "Sydney", -33.87, 151.21),
        ("SG", "<i>Singapore</i>", 1.35, 103.82),
    ];
    const DOMAINS: [(&str, &str); 6] = [
        ("t-ipconnect.de", "isp"),
        ("example-cloud.com", "hosting"),
        ("seedbox.example", "seedbox"),
        ("vpn.example", "vpn"),
        ("<b>odd</b>.net", "unknown"),
        ("", "unknown"),
    ];
    let hostnames = rows("hostnames", DOMAINS.len(), |index| {
        let (domain, kind) = DOMAINS[index];
        let peers = 9_000 / (index + 1);
        let text = |value: &str| if value.is_empty() { Value::Null } else { value.into() };
        let top = domain.rsplit('.').next().unwrap_or_default();
        vec![
            text(domain),
            text(top),
            kind.into(),
            peers.into(),
            peers.into(),
            (peers / 3).into(),
            (peers / 50).into(),
        ]
    });
    tables.insert(find("hostnames").unwrap(), hostnames);
    let networks = rows("networks", 40, |index| {
        let peers = 20_000 / (index + 1);
        let speed = Value::from(700_000.0 / (index + 1) as f64);
        let name = HOSTILE.get(index).map_or_else(|| format!("Network {index}"), |name| (*name).to_owned());
        let number = if index == 39 { Value::Null } else { (64_500 + index).into() };
        let name = if index == 39 { Value::Null } else { name.into() };
        vec![number, name, peers.into(), (peers / 4).into(), (peers / 45).into(), speed.clone(), speed]
    });
    tables.insert(find("networks").unwrap(), networks);
    let cities = rows("cities", PLACES.len(), |index| {
        let (country, city, latitude, longitude) = PLACES[index];
        let peers = 9_000 / (index + 1);
        vec![
            country.into(),
            city.into(),
            latitude.into(),
            longitude.into(),
            peers.into(),
            (peers / 4).into(),
            (peers / 12).into(),
            640_000.0.into(),
            9e6.into(),
        ]
    });
    tables.insert(find("cities").unwrap(), cities);
}

/// Gauges of two vantages, one of which stood still for a while.
fn capture(tables: &mut Tables, hours: usize) {
    let health = rows("health", hours * 2, |index| {
        let (hour, second) = (index / 2, index % 2);
        let stood_still = second == 1 && hour == hours / 2;
        let mut row = vec![
            Value::Time(START_US + i64::try_from(hour).unwrap() * HOUR_US),
            ["20261120T000000Z-9f86d081", "20261120T010000Z-2c26b46b"][second].into(),
            ["frankfurt", "tokyo"][second].into(),
            360_usize.into(),
            (2_000 * (hour + 1)).into(),
            pick(hour, 90).into(),
            pick(hour, 900).into(),
            pick(hour, 9_000).into(),
            pick(index, 300).into(),
            (900 + pick(index, 300)).into(),
            (3_600 * 140).into(),
            (140.0 + pick(index, 40) as f64).into(),
            pick(index, 500).into(),
            pick(index, 50_000).into(),
            pick(index, 90_000).into(),
            (800_000 + pick(index, 400_000)).into(),
            0_usize.into(),
            (90_000_000 + 1_000_000 * hour).into(),
            1_300_usize.into(),
            usize::from(stood_still).into(),
            (usize::from(stood_still) * 1_500_000_000).into(),
        ];
        row.resize(find("health").unwrap().columns.len(), Value::Null);
        row
    });
    tables.insert(find("health").unwrap(), health);
}

fn country(index: usize) -> Value {
    match COUNTRIES[index] {
        "" => Value::Null,
        code => code.into(),
    }
}

fn confirmed_row(index: usize, torrents: usize) -> Vec<Value> {
    let below = START_US + i64::try_from(pick(index, 30 * 3600)).unwrap() * 1_000_000;
    vec![
        hash(index % torrents).into(),
        if index.is_multiple_of(3) {
            "2001:db8::1:2".into()
        } else {
            format!("203.0.113.{}", index % 256).into()
        },
        (1024 + pick(index, 60_000)).into(),
        format!("{:040x}", pick(index, usize::MAX)).into(),
        HOSTILE[index % HOSTILE.len()].into(),
        Value::Time(below),
        1_790_usize.into(),
        Value::Time(below + 42_000_000),
        1_830_usize.into(),
        1_860_usize.into(),
        if index.is_multiple_of(2) { "live" } else { "revisit" }.into(),
        850_000.0.into(),
        1_250_000.0.into(),
        country(index % COUNTRIES.len()),
        64_500_usize.into(),
    ]
}

fn sources(tables: &mut Tables, hours: usize) {
    const NAMES: [&str; 3] = ["incoming", "tracker_http", "tracker_udp"];
    let hourly = rows("sources_hourly", hours * 3, |index| {
        let (hour, source) = (index / 3, index % 3);
        let time = Value::Time(START_US + i64::try_from(hour).unwrap() * HOUR_US);
        let received = (pick(index, 4_000) + 500) / (1 + 10 * usize::from(source == 0));
        let new = received / (1 + hour / 2);
        vec![time, NAMES[source].into(), received.into(), new.into(), (received - new).into()]
    });
    tables.insert(find("sources_hourly").unwrap(), hourly);
    let sources = rows("sources", 3, |index| {
        let mut row =
            vec![NAMES[index].into(), 90_000_usize.into(), 30_000_usize.into(), 60_000_usize.into()];
        row.extend([12_000, 6_000, 4_000 * (3 - index)].map(Value::from));
        row.extend([900; 7].map(Value::from));
        row.extend([9_000_usize, 3_000 / (index + 1)].map(Value::from));
        let share = 1.0 / (3.0 * (index + 1) as f64);
        row.extend([share, share * 0.9, share * 1.1].map(Value::from));
        row.extend(["wilson", "low: a source may name peers that have long left"].map(Value::from));
        row
    });
    tables.insert(find("sources").unwrap(), sources);
    let requests = rows("requests", 8, |index| {
        vec![
            "tracker_http".into(),
            format!("http://tracker{index}.example/announce?<&{}", "x".repeat(index * 10)).into(),
            "ipv4".into(),
            "announce".into(),
            if index % 2 == 0 { "ok" } else { "timed_out" }.into(),
            (100 * index + 1).into(),
            0.5.into(),
            if index % 2 == 0 { 4_000_usize.into() } else { Value::Null },
            120_000_usize.into(),
            15_000_000_usize.into(),
        ]
    });
    tables.insert(find("requests").unwrap(), requests);
}

fn contacts(tables: &mut Tables) {
    const OUTCOMES: [(&str, bool, usize); 12] = [
        ("visit_done", true, 8_100),
        ("closed_by_remote", true, 2_500),
        ("idle_timed_out", true, 310),
        ("reset", true, 120),
        ("shutdown", true, 44),
        ("connect_timed_out", false, 61_000),
        ("refused", false, 22_000),
        ("handshake_closed", false, 5_300),
        ("handshake_timed_out", false, 1_400),
        ("unreachable", false, 900),
        ("wrong_info_hash", false, 12),
        ("self_connection", false, 1),
    ];
    let contacts = rows("contacts", OUTCOMES.len() * 2, |index| {
        let (outcome, success, contacts) = OUTCOMES[index / 2];
        let later = index % 2 == 1;
        let mut row = vec![
            "out".into(),
            "tcp".into(),
            "plain".into(),
            if later { "later" } else { "first" }.into(),
            outcome.into(),
            success.into(),
            (if later { contacts / 3 } else { contacts }).into(),
            0.1.into(),
        ];
        row.resize(14, if success { Value::Number(42_000.0) } else { Value::Null });
        row
    });
    tables.insert(find("contacts").unwrap(), contacts);
    let clients = rows("clients", 30, |index| {
        let software =
            ["qBittorrent", "Transmission", "µTorrent", "libtorrent", "aria2", "Deluge"].get(index / 2);
        let software = match software {
            Some(name) => (*name).into(),
            None if index == 29 => Value::Null,
            None => format!("{}{index}", HOSTILE[index % HOSTILE.len()]).into(),
        };
        let peers = 4_000 / (index + 1);
        vec![
            software,
            "-qB4520-".into(),
            HOSTILE[index % 7].into(),
            peers.into(),
            0.08.into(),
            (peers / 9).into(),
        ]
    });
    tables.insert(find("clients").unwrap(), clients);
    let visits = rows("visits", 45, |index| {
        let tried = 30_000 / ((index + 1) * (index + 1));
        vec![
            (index + 1).into(),
            tried.into(),
            (1.0 - 0.5 / (index + 1) as f64).into(),
            (tried / 5).into(),
            (1.0 - 0.4 / (index + 1) as f64).into(),
        ]
    });
    tables.insert(find("visits").unwrap(), visits);
}
