//! Tables and facts for the tests of figures and report: none, one row each, or many, some of them hostile.

use polars::prelude::{Column, DataFrame, DataType, NamedFrom, Series, TimeUnit};

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
    Facts { version: "0.1.0".to_owned(), threshold: "0.98".to_owned(), bucket_s: 3600, ..Facts::default() }
}

/// Facts of a log of `hours` hours.
pub fn facts(torrents: u64, hours: i64) -> Facts {
    let time = |hours: i64| {
        let text = crate::figure::number::second(START_US + hours * HOUR_US);
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
    frame(table, &columns)
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

/// Tables of `torrents` torrents watched for `hours` hours.
pub fn many(torrents: usize, hours: usize) -> Tables {
    let mut tables = Tables::default();
    let mut insert = |table: &str, rows: DataFrame| tables.insert(find(table).unwrap(), rows);
    for table in ["flagged", "health", "hostnames", "population", "seeders_hourly", "sessions", "trackers"] {
        insert(table, find(table).unwrap().empty().unwrap());
    }

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
                512_000.0.into(),
                9.1e6.into(),
            ]
        }),
    );
    sources(&mut tables, hours);
    contacts(&mut tables);
    tables
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
        row.resize(find("sources").unwrap().columns.len(), Value::Number(1_234.0));
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
