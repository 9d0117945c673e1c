//! Estimates from a log to the tables: who counts in which formula. Coverage is tested where each estimator stands.

use crate::common::{LogWriter, columns, hash, report_of, request, total};
use schema::table::{ContactOutcome, RequestKind, RequestOutcome, Source};

const RUN: &str = "20260102T000000Z-aaaaaaaa";

fn peer(number: u32) -> String {
    format!("2.2.{}.{}:6881", number / 250, number % 250 + 1)
}

#[test]
fn the_population_is_told_by_every_method_side_by_side() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    for number in 0..30 {
        if number < 20 {
            log.sighting(1.0, hash(1), Source::Dht, &peer(number));
        }
        if number >= 10 {
            log.sighting(1.0, hash(1), Source::TrackerUdp, &peer(number));
        }
        // Of those the DHT named, five are named again a minute later, and two of these once more.
        if number < 5 {
            log.sighting(61.0, hash(1), Source::Dht, &peer(number));
        }
        if number < 2 {
            log.sighting(121.0, hash(1), Source::Dht, &peer(number));
        }
    }
    for (second, endpoint, source, kind, seeders) in [
        (1.0, "udp://a/announce", Source::TrackerUdp, RequestKind::Scrape, 20),
        (61.0, "udp://a/announce", Source::TrackerUdp, RequestKind::Scrape, 30),
        (1.0, "4.4.4.4:6881", Source::Dht, RequestKind::ScrapeBloom, 12),
        (2.0, "5.5.5.5:6881", Source::Dht, RequestKind::ScrapeBloom, 2),
    ] {
        let mut told = request(hash(1), endpoint, kind, RequestOutcome::Ok);
        (told.source, told.seeders, told.leechers) = (source, Some(seeders), Some(5));
        log.row(second, told);
    }
    let report = log.report_with(|options| options.bucket = Some(60_000_000));
    let names = ["info_hash", "method", "of", "counts", "peers", "interval", "samples"];
    let rows = columns(&report, "population", &names);
    let own: Vec<Vec<String>> =
        rows.iter().filter(|row| row[0] != "all").map(|row| row[1..].to_vec()).collect();
    // Chapman: 21 · 21 / 11 − 1. Chao: 25 once, 3 twice, three rounds: 30 + 2/3 · 25 · 24 / (2 · 4).
    assert_eq!(
        own,
        [
            ["bep33", "", "at_once", "17", "range", "1"],
            ["chao2", "", "ever", "80", "95%", "3"],
            ["chapman", "dht tracker_udp", "ever", "39", "95%", "2"],
            ["scrape", "udp://a/announce", "at_once", "30", "range", "2"],
            ["seen", "", "ever", "30", "", "1"],
        ]
    );
    let ends = columns(&report, "population", &["method", "peers_low", "peers", "peers_high", "bias"]);
    for row in ends {
        let number = |text: &str| text.parse::<u64>().ok();
        if row[0] == "seen" {
            assert_eq!((number(&row[1]), number(&row[3])), (None, None));
        } else {
            assert!(number(&row[1]) <= number(&row[2]) && number(&row[2]) <= number(&row[3]), "{row:?}");
        }
        assert!(row[4].starts_with("low:") || row[4].starts_with("high:"), "{row:?}");
    }
    assert!(rows.iter().any(|row| row[0] == "all" && row[1] == "chapman" && row[4] == "39"), "{rows:?}");
}

#[test]
fn time_online_counts_sessions_whose_beginning_was_seen() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    // There from the beginning: nobody knows since when.
    log.out(1.0, hash(1), &peer(1)).bitfield(10).end(30.0);
    // Seen for 100 s, gone 200 s later: ended after 200 s.
    log.out(1000.0, hash(1), &peer(2)).bitfield(10).end(1100.0);
    log.out(1300.0, hash(1), &peer(2)).attempt(2).end_as(1300.0, ContactOutcome::Refused);
    // Seen for 400 s, never looked for again.
    log.out(1000.0, hash(1), &peer(3)).bitfield(10).end(1400.0);
    // A limit of our own says nothing about the peer.
    log.out(1000.0, hash(1), &peer(4)).bitfield(10).end(1400.0);
    log.out(5000.0, hash(1), &peer(4)).attempt(2).end_as(5000.0, ContactOutcome::ShutdownEarly);
    log.out(9000.0, hash(1), &peer(5)).bitfield(10).end(9001.0);
    let rows = columns(
        &log.report(),
        "sessions",
        &["time_online_us", "at_risk", "ended", "censored", "left_truncated", "longer_share"],
    );
    assert_eq!(rows[0], ["0", "4", "0", "0", "1", "1.000000"]);
    let five_minutes = rows.iter().find(|row| row[0] == "300000000").unwrap();
    // The one of 1 s is cut off before; of the three left one ended at 200 s.
    assert_eq!(five_minutes[1..], ["2", "1", "1", "1", "0.666667"]);
}

#[test]
fn reachability_is_that_of_peers_we_tried() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    for number in 0..10 {
        log.sighting(1.0, hash(1), Source::Dht, &peer(number));
    }
    for number in 0..8 {
        let contact = log.out(10.0, hash(1), &peer(number));
        if number < 2 {
            contact.bitfield(10).end(20.0);
        } else {
            contact.end_as(12.0, ContactOutcome::ConnectTimedOut);
        }
    }
    log.sighting(5.0, hash(1), Source::Incoming, "3.3.3.3:40000");
    log.incoming(5.0, hash(1), "3.3.3.3:40000").bitfield(10).end(9.0);
    let names = ["source", "dialled_peers", "answered_peers", "reachability", "reachability_method"];
    assert_eq!(
        columns(&log.report(), "sources", &names),
        [["dht", "8", "2", "0.250000", "wilson"], ["incoming", "0", "0", "", ""]]
    );
}

/// Peers that arrive at a steady pace, take 100 s to the threshold, are found late by a known share, and watched live.
fn swarm(peers: u32) -> LogWriter {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.sighting(0.0, hash(1), Source::Dht, &peer(0));
    for number in 0..peers {
        let arrives = 10.0 + f64::from(number) * 7.0;
        // Delays of an exponential distribution with mean 50 s, at evenly spaced quantiles.
        let quantile = (f64::from(number * 37 % peers) + 0.5) / f64::from(peers);
        let delay = -50.0 * (1.0 - quantile).ln();
        if delay >= 98.0 {
            continue;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pieces of a test")]
        let pieces = delay as u32;
        let found = arrives + delay;
        let contact = log.out(found - 2.0, hash(1), &peer(number)).bitfield(pieces);
        contact.have(arrives + 97.0, 97).have(arrives + 98.0, 98).end(arrives + 150.0);
    }
    log
}

#[test]
fn downloads_are_estimated_from_how_late_peers_are_found() {
    let log = swarm(300);
    let report = log.report();
    let number = |name: &str| total(&report, name).parse::<f64>().unwrap();
    let confirmed = number("confirmed_downloads");
    assert!(confirmed < 265.0, "one in seven is found too late: {confirmed}");
    let (low, value, high) = (
        number("estimated_downloads_low"),
        number("estimated_downloads"),
        number("estimated_downloads_high"),
    );
    assert!(low >= confirmed && low <= 300.0 && high >= 300.0, "{low} {value} {high}");
    assert!((value - 300.0).abs() < 20.0, "{value}");
    assert_eq!(total(&report, "estimated_downloads_method"), "horvitz_thompson");
    assert!(total(&report, "estimated_downloads_bias").starts_with("low:"));
    // One torrent alone: its row says the same as the row of all.
    let rows = columns(&report, "summary", &["estimated_downloads", "estimated_downloads_high"]);
    assert_eq!(rows[0], rows[1]);
}

/// Peers that come with half of the pieces, are named within a minute, and found at once.
#[test]
fn resumed_downloads_do_not_look_as_if_they_were_found_late() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    for minute in 0..100 {
        log.sighting(60.0 * f64::from(minute), hash(1), Source::TrackerUdp, "9.9.9.9:9");
    }
    for number in 0..50 {
        let named = 120.0 + f64::from(number) * 60.0;
        log.sighting(named, hash(1), Source::TrackerUdp, &peer(number));
        let contact = log.out(named + 1.0, hash(1), &peer(number)).bitfield(50 + number / 2);
        contact.have(named + 400.0, 97).have(named + 410.0, 98).end(named + 500.0);
    }
    let report = log.report();
    assert_eq!(total(&report, "confirmed_downloads"), "50");
    let estimated: u64 = total(&report, "estimated_downloads").parse().unwrap();
    assert!((50..=55).contains(&estimated), "{estimated}");
}

#[test]
fn nothing_is_estimated_from_nothing() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.out(10.0, hash(1), &peer(1)).bitfield(50).end(20.0);
    assert_eq!(total(&log.report(), "estimated_downloads"), "");
    // One download that was found near its end: how many are not found at all, nobody can tell.
    log.out(5000.0, hash(1), &peer(2)).bitfield(90).have(5090.0, 99).end(5110.0);
    let report = log.report();
    assert_eq!(total(&report, "confirmed_downloads"), "1");
    assert_eq!(total(&report, "estimated_downloads"), "");
}

#[test]
fn two_captures_of_one_swarm_are_one_sample() {
    let (first, mut second) = (swarm(60), LogWriter::new("20260102T000000Z-bbbbbbbb"));
    second.sighting(3.0, hash(1), Source::Pex, &peer(0));
    let (one, other) = (first.data(), second.data());
    let report = report_of(&[one.path(), other.path()], |_| ());
    let alone = report_of(&[one.path()], |_| ());
    for name in ["confirmed_downloads", "estimated_downloads", "estimated_downloads_low"] {
        assert_eq!(total(&report, name), total(&alone, name), "{name}");
    }
}
