//! `--identity`: who counts as one peer, and that every table follows.

use crate::common::{LogWriter, all_csv, columns, confirmed, hash, report_of, request, torrent, total};
use analyze::replay::Identity;
use schema::table::{ContactOutcome, ProgressKind, RequestKind, RequestOutcome, Source, TorrentOrigin};

const RUN: &str = "20260102T000000Z-aaaaaaaa";

fn confirmed_by(log: &LogWriter, identity: Identity) -> (Vec<String>, String, String) {
    let report = log.report_with(|options| options.identity = identity);
    (confirmed(&report), total(&report, "unique_peers"), total(&report, "contacted_peers"))
}

#[test]
fn a_peer_that_moves_to_another_port_is_one() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    for (at, port) in [(1.0, 7000), (90.0, 6881)] {
        log.sighting(at, hash(1), Source::Dht, &format!("2.2.2.2:{port}"));
    }
    log.out(10.0, hash(1), "2.2.2.2:7000").bitfield(50).end(20.0);
    log.out(100.0, hash(1), "2.2.2.2:6881").bitfield(99).end(110.0);
    log.out(200.0, hash(1), "2.2.2.2:7000").end_as(201.0, ContactOutcome::Refused);
    for identity in [Identity::Endpoint, Identity::Ip, Identity::PeerId] {
        let (found, unique, contacted) = confirmed_by(&log, identity);
        assert_eq!(found, ["2.2.2.2"], "{identity:?}");
        assert_eq!((unique.as_str(), contacted.as_str()), ("1", "1"), "{identity:?}");
    }
    let report = log.report();
    assert_eq!(columns(&report, "confirmed_downloads", &["port"]), [["6881"]]);
    assert_eq!(columns(&report, "visits", &["contacts", "peers_tried"]), [["2", "0"], ["3", "1"]]);
}

#[test]
fn who_is_refused_at_a_port_it_moved_from_is_not_gone() {
    let ended = |refused_at: u16| {
        let mut log = LogWriter::new(RUN);
        log.torrent(hash(1));
        log.out(1.0, hash(1), "2.2.2.1:1").bitfield(100).end(50_000.0);
        log.out(14_000.0, hash(1), "2.2.2.3:1").bitfield(100).end(40_000.0);
        log.out(15_000.0, hash(1), "2.2.2.2:6881").bitfield(50).end(15_010.0);
        log.out(20_000.0, hash(1), "2.2.2.2:7000").bitfield(60).end(20_010.0);
        let refused = format!("2.2.2.2:{refused_at}");
        log.out(30_000.0, hash(1), &refused).end_as(30_000.0, ContactOutcome::Refused);
        columns(&log.report(), "sessions", &["ended"]).concat()
    };
    assert!(ended(7000).contains(&"1".to_owned()), "{:?}", ended(7000));
    assert!(!ended(6881).contains(&"1".to_owned()), "{:?}", ended(6881));
}

#[test]
fn a_peer_reached_at_two_ports_and_connecting_to_us_is_counted_once() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.out(10.0, hash(1), "2.2.2.2:6881").bitfield(50).end(20.0);
    log.out(30.0, hash(1), "2.2.2.2:7000").bitfield(60).have(60.0, 100).end(70.0);
    // It does not say where it listens now.
    log.incoming(80.0, hash(1), "2.2.2.2:40000").bitfield(100).end(90.0);
    log.incoming(95.0, hash(1), "2.2.2.2:40001").listens(7000).bitfield(100).end(99.0);
    let report = log.report();
    assert_eq!(columns(&report, "confirmed_downloads", &["ip", "port"]), [["2.2.2.2", "6881"]]);
}

#[test]
fn a_moved_peer_whose_last_contact_was_lost_in_a_crash_is_counted_once() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.out(10.0, hash(1), "2.2.2.2:6881").bitfield(50).end(20.0);
    log.out(30.0, hash(1), "2.2.2.2:7000").bitfield(60).end(40.0);
    log.out(50.0, hash(1), "2.2.2.2:7000").bitfield(70).have(80.0, 100).lost();
    log.out(90.0, hash(1), "2.2.2.2:6881").bitfield(100).end(99.0);
    let report = log.report();
    assert_eq!(columns(&report, "confirmed_downloads", &["ip", "port"]), [["2.2.2.2", "6881"]]);
}

#[test]
fn a_peer_that_moves_to_another_address_is_one_by_peer_id_alone() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.out(10.0, hash(1), "2.2.2.2:6881").bitfield(50).end(20.0);
    log.out(90.0, hash(1), "2.2.2.2:6881").end_as(95.0, ContactOutcome::Refused);
    log.out(100.0, hash(1), "3.3.3.3:6881").bitfield(99).end(110.0);
    assert_eq!(confirmed_by(&log, Identity::Endpoint).0, Vec::<String>::new());
    assert_eq!(confirmed_by(&log, Identity::Ip).0, Vec::<String>::new());
    let report = log.report_with(|options| options.identity = Identity::PeerId);
    // It stands at the endpoint where it was met last.
    assert_eq!(columns(&report, "confirmed_downloads", &["ip", "port"]), [["3.3.3.3", "6881"]]);
    assert_eq!(columns(&report, "visits", &["contacts", "peers_tried"]), [["2", "0"], ["3", "1"]]);
}

#[test]
fn two_peers_behind_one_address_are_one_by_address() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.out(10.0, hash(1), "2.2.2.2:6881").id(b'a').bitfield(50).have(60.0, 99).end(70.0);
    log.out(100.0, hash(1), "2.2.2.2:7000").id(b'b').bitfield(40).have(160.0, 100).end(170.0);
    log.incoming(200.0, hash(1), "2.2.2.2:40000").id(b'c').bitfield(100).end(210.0);
    assert_eq!(confirmed_by(&log, Identity::Endpoint).0.len(), 2);
    let (_, unique, _) = confirmed_by(&log, Identity::PeerId);
    assert_eq!(unique, "3");
    let report = log.report_with(|options| options.identity = Identity::Ip);
    let ports = columns(&report, "confirmed_downloads", &["ip", "port"]);
    assert!(ports.iter().all(|row| row[0] == "2.2.2.2" && row[1].is_empty()), "{ports:?}");
    assert_eq!(report.facts.identity, "ip");
}

#[test]
fn contacts_whose_row_was_lost_are_named_by_what_is_left() {
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(1));
    log.incoming(10.0, hash(1), "2.2.2.2:40000").bitfield(50).lost();
    log.out(100.0, hash(1), "2.2.2.2:6881").bitfield(99).end(110.0);
    for identity in [Identity::Endpoint, Identity::Ip, Identity::PeerId] {
        let report = log.report_with(|options| options.identity = identity);
        let expected = usize::from(identity == Identity::Ip);
        assert_eq!(confirmed(&report).len(), expected, "{identity:?}");
    }
}

#[test]
fn no_table_breaks_on_a_log_of_failures_and_absences() {
    let mut log = LogWriter::new(RUN);
    log.row(0.0, torrent(hash(3), TorrentOrigin::InfoHash, None));
    log.sighting(1.0, hash(3), Source::Lsd, "2.2.2.2:1").sighting(
        1.0,
        hash(4),
        Source::Incoming,
        "2.2.2.3:9",
    );
    log.out(2.0, hash(3), "2.2.2.2:1").end_as(3.0, ContactOutcome::Refused);
    log.out(2.0, hash(3), "2.2.2.4:1").without_metadata().opens(ProgressKind::HaveAll, None).end(5.0);
    log.incoming(2.0, hash(3), "2.2.2.5:1").without_metadata().cut_short(ProgressKind::Bitfield, 7).lost();
    log.row(4.0, request(hash(3), "udp://gone", RequestKind::Scrape, RequestOutcome::TimedOut));
    log.gauge(5.0, 0).hostname(6.0, "2.2.2.2", None).hostname(7.0, "9.9.9.9", Some("x"));
    let other = LogWriter::new("20260102T000001Z-bbbbbbbb").gauge(9.0, 1).clone().data();
    let data = log.data();
    for identity in [Identity::Endpoint, Identity::Ip, Identity::PeerId] {
        let report = report_of(&[data.path(), other.path()], |options| options.identity = identity);
        let tables = all_csv(&report);
        assert_eq!(tables.len(), analyze::table::TABLES.len() - 2, "all but cities and networks");
        assert_eq!(tables["health"].lines().count(), 3, "a row for each run");
        assert_eq!(total(&report, "confirmed_downloads"), "0");
    }
}
