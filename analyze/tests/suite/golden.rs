//! Every table of one hand-written log, row for row.

use analyze::run::Report;

use crate::common::{
    LogWriter, PIECES, all_csv, hash, mmdb,
    mmdb::{Value, map, nested_city},
    request, torrent,
};
use schema::table::{
    ContactOutcome,
    ProgressKind::{HaveAll, HaveNone, Silence},
    RequestKind, RequestOutcome, RunEvent, Source, TorrentOrigin,
};
use tempfile::TempDir;

const HTTP: &str = "http://tracker.example/announce";
const UDP: &str = "udp://tracker.example:6969";

/// London, Linköping, and an address in no database.
const LONDON: &str = "81.2.69.160:6881";
const LINKOPING: &str = "89.160.20.128:51413";
const NOWHERE: &str = "203.0.113.9:7000";

fn log() -> LogWriter {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.run_event(0.0, RunEvent::Started);
    log.torrent(hash(1));
    log.row(0.0, torrent(hash(2), TorrentOrigin::Magnet, None));
    log.row(300.0, torrent(hash(2), TorrentOrigin::Metadata, Some((200, 50_000, 9_999_999))));
    requests(&mut log);
    sightings(&mut log);
    contacts(&mut log);
    for second in [10, 20, 30, 40, 3610, 3620, 3630] {
        log.gauge(second.into(), u64::try_from(second).unwrap() / 10);
    }
    log.hostname(60.0, "81.2.69.160", Some("cpc1-lond2-2-0-cust3.virginm.net"))
        .hostname(60.0, "89.160.20.128", Some("h-89-160-20-128.a785.priv.bahnhof.se"))
        .hostname(61.0, "203.0.113.9", None)
        .hostname(62.0, "198.51.100.1", Some("never.met.example.net"));
    log.run_event(7200.0, RunEvent::Stopped);
    log
}

fn requests(log: &mut LogWriter) {
    for (second, downloaded) in [(1.0, 500), (1800.0, 510), (3600.0, 0), (5400.0, 7)] {
        log.scrape(second, hash(1), HTTP, downloaded);
    }
    log.scrape(1.0, hash(1), UDP, 30).scrape(5400.0, hash(1), UDP, 42);
    let mut announce = request(hash(1), HTTP, RequestKind::Announce, RequestOutcome::Ok);
    announce.peers = Some(3);
    log.row(2.0, announce.clone());
    announce.duration_us = 30_000;
    log.row(1802.0, announce);
    let mut lost = request(hash(2), UDP, RequestKind::Announce, RequestOutcome::TimedOut);
    lost.duration_us = 15_000_000;
    log.row(2.0, lost);
    for (second, source, endpoint, kind, seeders, leechers) in [
        (5.0, Source::Dht, "192.0.2.1:6881", RequestKind::ScrapeBloom, 40, 12),
        (6.0, Source::Dht, "192.0.2.2:6881", RequestKind::ScrapeBloom, 3, 1),
        (3605.0, Source::Dht, "192.0.2.1:6881", RequestKind::ScrapeBloom, 44, 10),
        (7.0, Source::TrackerHttp, HTTP, RequestKind::Announce, 51, 9),
        (1807.0, Source::TrackerHttp, HTTP, RequestKind::Announce, 53, 8),
        (3607.0, Source::TrackerHttp, HTTP, RequestKind::Announce, 60, 4),
    ] {
        let mut told = request(hash(1), endpoint, kind, RequestOutcome::Ok);
        (told.source, told.seeders, told.leechers) = (source, Some(seeders), Some(leechers));
        log.row(second, told);
    }
    let mut unresolved =
        request(hash(2), "http://gone.example/a", RequestKind::Announce, RequestOutcome::Unresolved);
    unresolved.family = None;
    log.row(3.0, unresolved);
}

fn sightings(log: &mut LogWriter) {
    log.sighting(2.0, hash(1), Source::TrackerHttp, LONDON)
        .sighting(2.0, hash(1), Source::TrackerHttp, LINKOPING)
        .sighting(2.5, hash(1), Source::TrackerUdp, LONDON)
        .sighting(1802.0, hash(1), Source::TrackerHttp, LONDON)
        .sighting(3700.0, hash(1), Source::TrackerUdp, NOWHERE)
        .sighting(3700.0, hash(2), Source::Magnet, LINKOPING)
        .sighting(40.0, hash(1), Source::Incoming, "89.160.20.128:40000");
}

fn contacts(log: &mut LogWriter) {
    log.out(10.0, hash(1), LONDON)
        .client("qBittorrent/4.5.2")
        .bitfield(50)
        .have(100.0, 97)
        .have(130.0, 99)
        .end(140.0);
    log.out(3700.0, hash(1), LONDON)
        .attempt(2)
        .client("qBittorrent/4.5.2")
        .opens(HaveAll, PIECES)
        .end(3703.0);
    log.out(10.0, hash(1), LINKOPING).end_as(12.0, ContactOutcome::Refused);
    log.incoming(40.0, hash(1), "89.160.20.128:40000").id(b'b').listens(51413).bitfield(20).end(50.0);
    log.out(4000.0, hash(1), LINKOPING).attempt(2).id(b'b').opens(HaveAll, PIECES).end(4003.0);
    log.out(3710.0, hash(1), NOWHERE)
        .id(b's')
        .opens(HaveNone, 0)
        .have(3800.0, 60)
        .have(3900.0, 100)
        .end(3950.0);
    log.out(3710.0, hash(2), LINKOPING).id(b'b').without_metadata().opens(HaveAll, None).end(3713.0);
    log.out(5000.0, hash(1), "[2001:480::9]:6881").id(b'v').opens(Silence, 0).have(5100.0, 40).end(5110.0);
}

fn databases() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let cities = [
        ("81.2.69.0/24", nested_city("GB", "London", 51.5142, -0.0931)),
        ("89.160.20.0/24", nested_city("SE", "Linköping", 58.4167, 15.6167)),
    ];
    let network = map(&[
        ("autonomous_system_number", Value::U32(29518)),
        ("autonomous_system_organization", Value::Text("Bredband2 AB")),
    ]);
    std::fs::write(folder.path().join("city.mmdb"), mmdb::database("GeoLite2-City", &cities)).expect("city");
    let networks = mmdb::database("GeoLite2-ASN", &[("89.160.0.0/17", network)]);
    std::fs::write(folder.path().join("asn.mmdb"), networks).expect("asn");
    folder
}

#[test]
fn every_table_of_a_small_log() {
    let databases = databases();
    let report = log().report_with(|options| {
        options.geoip_city = Some(databases.path().join("city.mmdb"));
        options.geoip_asn = Some(databases.path().join("asn.mmdb"));
    });
    let tables = all_csv(&report);
    assert_eq!(tables.len(), analyze::table::TABLES.len());
    for (name, csv) in tables {
        insta::assert_snapshot!(name, csv);
    }
    let mut facts = report.facts;
    facts.data.clear();
    insta::assert_json_snapshot!("facts", facts);
}

#[test]
fn every_table_of_a_log_without_peers() {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.run_event(0.0, RunEvent::Started);
    log.torrent(hash(1));
    for (name, csv) in all_csv(&log.report()) {
        let rows = match name {
            "summary" => 2,
            "thresholds" => 11,
            _ => 0,
        };
        assert_eq!(csv.lines().count(), rows + 1, "{name}: {csv}");
    }
}

#[test]
fn a_table_that_was_not_asked_for_is_not_there() {
    let report = log().report_with(|options| options.only = vec!["contacts".to_owned(), "speeds".to_owned()]);
    assert_eq!(all_csv(&report).into_keys().collect::<Vec<_>>(), ["contacts", "speeds"]);
    let raw = log().report_with(|options| options.only = vec!["requests".to_owned()]);
    assert_eq!(all_csv(&raw).into_keys().collect::<Vec<_>>(), ["requests"]);
}

#[test]
fn what_is_counted_by_torrent_sums_up_to_the_tables() {
    let report = log().report();
    for (table, column) in [("contacts", "contacts"), ("requests", "requests")] {
        let sum = |rows: &polars::prelude::DataFrame| {
            let values = rows.column(column).unwrap().cast(&polars::prelude::DataType::UInt64).unwrap();
            values.u64().unwrap().iter().flatten().sum::<u64>()
        };
        let by_torrent = report.tables.of_torrents(table).unwrap();
        assert_eq!(sum(by_torrent), sum(report.tables.get(table).unwrap()), "{table}");
        assert!(sum(by_torrent) > 0 && by_torrent.column("info_hash").is_ok(), "{table}");
    }
    // Sources name the peers of this log in one torrent alone.
    let by_torrent = report.tables.of_torrents("sources").unwrap();
    let all = report.tables.get("sources").unwrap();
    for column in ["unique_peers", "only_here", "dialled_peers", "answered_peers"] {
        let sum = |rows: &polars::prelude::DataFrame| {
            rows.column(column).unwrap().u64().unwrap().iter().flatten().sum::<u64>()
        };
        assert_eq!(sum(by_torrent), sum(all), "{column}");
    }
    let other = log().report_with(|options| options.only = vec!["speeds".to_owned()]);
    assert!(other.tables.of_torrents("contacts").is_none());
}

#[test]
fn short_logs_have_short_buckets_and_say_so() {
    let chosen = log().report_with(|options| options.bucket = None);
    assert_eq!(chosen.facts.bucket_s, 600);
    let hours = crate::common::columns(&chosen, "confirmed_hourly", &["hour", "confirmed_downloads"]);
    assert_eq!(hours, [["2026-01-02T00:00:00.000000Z", "1"], ["2026-01-02T01:00:00.000000Z", "1"]]);
    let note = "so that tables over time have a bucket every 10 min instead of every hour (--bucket 1h).";
    let told = |report: &Report| report.facts.notes.iter().any(|told| told.ends_with(note));
    assert!(told(&chosen), "{:?}", chosen.facts.notes);
    assert!(!told(&log().report_with(|options| options.bucket = Some(600_000_000))));
    let none_over_time = log().report_with(|options| {
        options.bucket = None;
        options.only = vec!["speeds".to_owned()];
    });
    assert!(!told(&none_over_time));
    // What is chosen follows what is selected.
    let minutes = log().report_with(|options| {
        options.bucket = None;
        options.until = Some(1_767_312_000_000_000 + 150_000_000);
    });
    assert_eq!(minutes.facts.bucket_s, 10);
}

#[test]
fn buckets_are_as_long_as_asked() {
    let report = log().report_with(|options| options.bucket = Some(60_000_000));
    let hours = crate::common::columns(&report, "confirmed_hourly", &["hour", "confirmed_downloads"]);
    assert_eq!(hours, [["2026-01-02T00:02:00.000000Z", "1"], ["2026-01-02T01:06:00.000000Z", "1"]]);
}
