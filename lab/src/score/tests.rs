//! Scores of hand-written truths and reports: what is false and why, and what could not be seen.

use super::*;
use crate::truth::RequestKind;

const HASH: &str = "00112233445566778899aabbccddeeff00112233";

fn at(seconds: f64) -> Timestamp {
    plus(Timestamp(1_767_323_045_000_000), Duration::from_secs_f64(seconds))
}

fn truth(host: u8, profile: &str, joined: f64, crossed: Option<f64>, left: f64) -> Truth {
    Truth {
        info_hash: HASH.to_owned(),
        ip: IpAddr::from([127, 64, 1, host]),
        port: 6881,
        profile: profile.parse().unwrap(),
        joined: at(joined),
        left: at(left),
        crossed_at: crossed.map(at),
        mean_speed_bytes_per_s: crossed.map(|_| 1000.0),
        known_at: Some(at(joined)),
    }
}

fn row(host: u8, below: f64, confirmed: f64) -> Confirmed {
    Confirmed {
        info_hash: HASH.to_owned(),
        ip: IpAddr::from([127, 64, 1, host]),
        port: Some(40_000),
        below_at: at(below),
        confirmed_at: at(confirmed),
        mean_speed_bytes_per_s: Some(1100.0),
    }
}

fn announce(time: f64, event: &str) -> Request {
    Request {
        time: at(time),
        tracker: "http://127.0.0.2:8000/announce".to_owned(),
        kind: RequestKind::Announce,
        info_hash: HASH.to_owned(),
        ip: IpAddr::from([127, 0, 0, 1]),
        port: Some(6881),
        event: event.to_owned(),
        left: Some(1),
        peers: 0,
    }
}

#[test]
fn a_perfect_report_scores_one() {
    let truths = [
        truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0),
        truth(2, "seeder:qbittorrent", 0.0, None, 60.0),
    ];
    let score = score(&truths, None, vec![row(1, 29.0, 30.1)], Rules::default());
    assert_eq!((score.precision(), score.recall()), (1.0, 1.0));
    assert!(score.false_ones.is_empty());
    assert!((score.speed_errors()[0] - 0.1).abs() < 1e-9);
}

#[test]
fn an_empty_report_is_precise_and_recalls_nothing() {
    let truths = [truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0)];
    let score = score(&truths, None, Vec::new(), Rules::default());
    assert_eq!((score.precision(), score.recall()), (1.0, 0.0));
}

#[test]
fn each_kind_of_false_one_has_its_cause() {
    let truths = [
        truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0),
        truth(2, "super_seeder:qbittorrent", 0.0, None, 60.0),
        truth(3, "stays:rqbit", 0.0, Some(30.0), 60.0),
    ];
    let rows =
        vec![row(1, 29.0, 30.1), row(1, 29.0, 31.0), row(2, 1.0, 9.0), row(3, 1.0, 9.0), row(4, 1.0, 9.0)];
    let score = score(&truths, None, rows, Rules::default());
    let causes: Vec<_> = score.false_ones.iter().map(|one| one.cause).collect();
    assert_eq!(
        causes,
        [FalseCause::Twice, FalseCause::NeverCrossed, FalseCause::TooEarly, FalseCause::NoSuchPeer]
    );
    assert!((score.precision() - 0.2).abs() < 1e-9);
    assert!((score.recall() - 0.5).abs() < 1e-9);
}

#[test]
fn a_crossing_can_be_seen_where_peer_and_capture_were_up_for_long_enough() {
    let truths = [
        truth(1, "leaves:qbittorrent", 0.0, Some(30.0), 30.1),
        truth(2, "leaves:rqbit", 0.0, Some(30.0), 33.0),
        truth(3, "leaves:rqbit", 0.0, Some(30.0), 36.0),
        truth(4, "stays:qbittorrent", 26.0, Some(30.0), 60.0),
        truth(5, "stays:qbittorrent", 0.0, Some(3.0), 60.0),
        truth(6, "stays:qbittorrent", 0.0, Some(55.0), 60.0),
        truth(7, "stays:transmission:nat", 0.0, Some(40.0), 47.0),
        truth(8, "stays:rqbit", 0.0, Some(48.0), 60.0),
    ];
    let requests = [announce(2.0, "started"), announce(20.0, ""), announce(50.0, "stopped")];
    let score = score(&truths, Some(&requests), Vec::new(), Rules::default());
    let hosts = |chosen: fn(&Crossing) -> bool| {
        let host = |crossing: &Crossing| crossing.truth.ip.to_string().rsplit('.').next().unwrap().to_owned();
        let mut hosts: Vec<_> = score.crossings.iter().filter(|one| chosen(one)).map(host).collect();
        hosts.sort_unstable();
        hosts.concat()
    };
    assert_eq!(hosts(|crossing| crossing.watched), "1234578");
    assert_eq!(hosts(|crossing| crossing.visible), "13");
}

#[test]
fn who_is_known_too_late_or_never_could_not_be_seen() {
    let up = truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0);
    let truths = [
        Truth { known_at: Some(at(26.0)), ..up.clone() },
        Truth { known_at: None, ip: IpAddr::from([127, 64, 1, 2]), ..up.clone() },
        Truth { known_at: Some(at(24.0)), ip: IpAddr::from([127, 64, 1, 3]), ..up },
    ];
    let score = score(&truths, None, Vec::new(), Rules::default());
    let visible = score.crossings.iter().filter(|crossing| crossing.visible);
    assert_eq!(visible.map(|crossing| crossing.truth.ip.to_string()).collect::<Vec<_>>(), ["127.64.1.3"]);
}

#[test]
fn a_swarm_that_was_never_announced_was_not_watched() {
    let truths = [truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0)];
    let score = score(&truths, Some(&[]), Vec::new(), Rules::default());
    assert!(!score.crossings[0].watched);
    assert!((score.recall() - 1.0).abs() < 1e-9);
}

#[test]
fn an_interval_behind_the_crossing_is_reported() {
    let truths = [
        truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0),
        truth(2, "stays:transmission", 0.0, Some(30.0), 60.0),
    ];
    let score = score(&truths, None, vec![row(1, 38.0, 40.0), row(2, 38.0, 40.0)], Rules::default());
    let off: Vec<_> = score.crossings.iter().map(|crossing| crossing.off_interval).collect();
    assert_eq!(off, [true, false]);
    assert!((score.precision() - 1.0).abs() < 1e-9);
}

#[test]
fn the_text_names_misses_and_false_ones() {
    let truths = [
        truth(1, "stays:qbittorrent", 0.0, Some(30.0), 60.0),
        truth(2, "leaves:rqbit", 0.0, Some(30.0), 30.5),
        truth(3, "stays:webtorrent", 0.0, Some(30.0), 60.0),
    ];
    let rows = vec![row(3, 29.0, 30.1), row(9, 1.0, 9.0)];
    insta::assert_snapshot!(score(&truths, None, rows, Rules::default()).to_string());
}

#[test]
fn peers_that_share_an_address_are_told_apart_by_their_ports() {
    let first = truth(1, "neighbours:qbittorrent", 0.0, Some(30.0), 60.0);
    let second = Truth { port: 7000, crossed_at: Some(at(40.0)), ..first.clone() };
    let at_port = |port, below, confirmed| Confirmed { port: Some(port), ..row(1, below, confirmed) };
    let rows = vec![at_port(6881, 29.0, 31.0), at_port(7000, 39.0, 41.0)];
    let both = score(&[first.clone(), second.clone()], None, rows, Rules::default());
    assert_eq!((both.precision(), both.recall()), (1.0, 1.0));
    let rejoined = Truth { crossed_at: None, ..second };
    let wrong = score(&[first, rejoined], None, vec![at_port(7000, 39.0, 41.0)], Rules::default());
    assert_eq!(wrong.false_ones[0].cause, FalseCause::NeverCrossed);
}

#[test]
fn the_download_of_a_peer_that_moved_counts_once_at_either_endpoint() {
    let first = truth(1, "moves:qbittorrent", 0.0, None, 20.0);
    let second =
        Truth { port: 7000, crossed_at: Some(at(40.0)), ..truth(1, "moves:qbittorrent", 22.0, None, 60.0) };
    let at_port = |port| Confirmed { port: Some(port), ..row(1, 39.0, 41.0) };
    let truths = [first, second];
    for port in [6881, 7000] {
        let score = score(&truths, None, vec![at_port(port)], Rules::default());
        assert_eq!((score.precision(), score.recall()), (1.0, 1.0));
    }
    let twice = score(&truths, None, vec![at_port(6881), at_port(7000)], Rules::default());
    assert_eq!(twice.false_ones[0].cause, FalseCause::Twice);
}
