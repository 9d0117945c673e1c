//! The rules for what is true, one scenario each.

use crate::common::{LogWriter, PIECES, columns, confirmed, flags, hash, id_hex, report_of, torrent, total};
use schema::{
    PeerId,
    table::{
        ContactOutcome,
        ProgressKind::{Bitfield, HaveAll, HaveNone, Silence},
        Run, RunEvent, Source, TorrentOrigin,
    },
};

const PEER: &str = "2.2.2.2:6881";
const NONE: [&str; 0] = [];

fn watched() -> LogWriter {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.torrent(hash(1));
    log
}

#[test]
fn below_then_above_in_one_contact_is_confirmed_live() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(50).have(30.0, 97).have(40.0, 98).end(50.0);
    let report = log.report();
    let row = ["ip", "port", "below_pieces", "below_at", "confirmed_pieces", "confirmed_at", "evidence"];
    assert_eq!(
        columns(&report, "confirmed_downloads", &row),
        [[
            "2.2.2.2",
            "6881",
            "97",
            "2026-01-02T00:00:30.000000Z",
            "98",
            "2026-01-02T00:00:40.000000Z",
            "live"
        ]]
    );
    assert_eq!(total(&report, "confirmed_downloads"), "1");
}

#[test]
fn below_then_above_in_two_contacts_is_confirmed_by_revisit() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    log.out(100.0, hash(1), PEER).opens(HaveAll, PIECES).end(103.0);
    assert_eq!(
        columns(&log.report(), "confirmed_downloads", &["evidence", "confirmed_pieces"]),
        [["revisit", "100"]]
    );
}

#[test]
fn a_peer_that_stays_below_is_not_confirmed() {
    let mut log = watched();
    // BEP 21: a partial seed ends at what it selected.
    log.out(10.0, hash(1), PEER).bitfield(50).have(30.0, 80).end(40.0);
    log.out(100.0, hash(1), PEER).bitfield(80).end(103.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!([total(&report, "already_complete"), total(&report, "flagged")], ["0", "0"]);
}

#[test]
fn the_threshold_is_reached_at_its_exact_piece() {
    let mut log = watched();
    log.out(10.0, hash(1), "2.2.2.1:1").bitfield(96).have(20.0, 97).end(50.0);
    log.out(10.0, hash(1), "2.2.2.2:2").bitfield(97).have(20.0, 98).end(50.0);
    log.out(10.0, hash(1), "2.2.2.3:3").bitfield(98).have(20.0, 99).end(50.0);
    let report = log.report();
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    assert_eq!(total(&report, "already_complete"), "1");
    assert_eq!(
        confirmed(&log.report_with(|options| options.threshold = "0.97".parse().unwrap())),
        ["2.2.2.1"]
    );
    assert_eq!(
        confirmed(&log.report_with(|options| options.threshold = "0.981".parse().unwrap())),
        ["2.2.2.3"]
    );
}

#[test]
fn a_peer_first_seen_complete_is_already_complete() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(HaveAll, PIECES).end(13.0);
    log.out(100.0, hash(1), PEER).opens(HaveAll, PIECES).end(103.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(total(&report, "already_complete"), "1");
}

#[test]
fn silence_that_was_cut_short_is_unknown_and_not_zero() {
    let mut log = watched();
    // The peer closed before it said anything: capture writes no observation.
    log.out(10.0, hash(1), PEER).end_as(10.5, ContactOutcome::ClosedByRemote);
    log.out(100.0, hash(1), PEER).opens(HaveAll, PIECES).end(103.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(total(&report, "already_complete"), "1");
}

#[test]
fn silence_after_the_settle_time_is_zero_once_a_handshake_claims_pieces() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(Silence, 0).end(13.0);
    log.out(100.0, hash(1), PEER).bitfield(99).end(103.0);
    assert_eq!(columns(&log.report(), "confirmed_downloads", &["below_pieces"]), [["0"]]);
}

#[test]
fn an_unsettled_opening_is_never_below() {
    let mut log = watched();
    // A lazy bitfield whose HAVEs were still under way.
    log.out(10.0, hash(1), PEER).cut_short(Bitfield, 60).end_as(10.5, ContactOutcome::ClosedByRemote);
    log.out(100.0, hash(1), PEER).opens(HaveAll, PIECES).end(103.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(total(&report, "already_complete"), "1");
}

#[test]
fn an_unsettled_opening_above_confirms() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(60).end(13.0);
    log.out(100.0, hash(1), PEER).cut_short(HaveAll, PIECES).end_as(100.5, ContactOutcome::ClosedByRemote);
    assert_eq!(confirmed(&log.report()), ["2.2.2.2"]);
}

#[test]
fn a_lazy_bitfield_and_its_haves_are_one_observation() {
    let mut log = watched();
    // Capture folded the burst: the row says what was known when the settle time was over.
    log.out(10.0, hash(1), PEER).bitfield(PIECES).end(13.0);
    let report = log.report();
    assert_eq!([total(&report, "already_complete"), total(&report, "confirmed_downloads")], ["1", "0"]);
}

#[test]
fn a_super_seeder_is_never_confirmed() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(HaveNone, 0).have(60.0, 50).have(120.0, 100).end(130.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "false", "true", "false"]);
    assert_eq!([total(&report, "flagged"), total(&report, "already_complete")], ["1", "0"]);
}

#[test]
fn a_super_seeder_that_turns_into_a_plain_seeder_is_never_confirmed() {
    // rtorrent's initial seeding, as recorded: silent until the swarm has every piece, a whole bitfield from then on.
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(Silence, 0).end(16.0);
    log.out(25.0, hash(1), PEER).opens(Silence, 0).end(37.0);
    log.out(60.0, hash(1), PEER).bitfield(PIECES).end(62.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "false", "true", "false"]);
}

#[test]
fn a_super_seeder_that_starts_over_in_each_contact_goes_backwards() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(HaveNone, 0).have(60.0, 50).end(70.0);
    log.out(80.0, hash(1), PEER).opens(HaveNone, 0).have(200.0, 99).end(210.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "true", "true", "false"]);
}

#[test]
fn a_leecher_that_opened_with_nothing_is_believed_after_a_second_handshake() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(HaveNone, 0).have(60.0, 50).end(61.0);
    log.out(65.0, hash(1), PEER).bitfield(55).have(120.0, 100).end(130.0);
    assert_eq!(confirmed(&log.report()), ["2.2.2.2"]);
}

#[test]
fn the_second_handshake_may_come_after_the_crossing() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).opens(HaveNone, 0).have(60.0, 50).have(110.0, 99).end(111.0);
    log.out(115.0, hash(1), PEER).opens(HaveAll, PIECES).end(120.0);
    let at = "2026-01-02T00:01:50.000000Z";
    assert_eq!(columns(&log.report(), "confirmed_downloads", &["confirmed_at", "evidence"]), [[at, "live"]]);
}

#[test]
fn a_count_that_goes_back_under_the_same_peer_id_is_flagged() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(60).end(13.0);
    log.out(100.0, hash(1), PEER).bitfield(30).end(103.0);
    log.out(200.0, hash(1), PEER).bitfield(100).end(203.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "true", "false", "false"]);
}

#[test]
fn a_new_peer_id_that_starts_over_is_a_new_peer() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).id(b'a').opens(HaveAll, PIECES).end(13.0);
    log.out(100.0, hash(1), PEER).id(b'b').bitfield(10).end(103.0);
    log.out(200.0, hash(1), PEER).id(b'b').bitfield(100).end(203.0);
    let report = log.report();
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    let totals = ["already_complete", "flagged", "unique_peers", "contacted_peers"];
    assert_eq!(totals.map(|column| total(&report, column)), ["1", "0", "2", "2"]);
}

#[test]
fn a_new_peer_id_whose_progress_continues_is_the_same_peer() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).id(b'a').bitfield(50).end(13.0);
    log.out(100.0, hash(1), PEER).id(b'b').bitfield(100).end(103.0);
    let report = log.report();
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    assert_eq!(total(&report, "unique_peers"), "1");
}

#[test]
fn peer_ids_that_take_turns_at_an_endpoint_are_flagged() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).id(b'a').bitfield(90).end(13.0);
    log.out(100.0, hash(1), PEER).id(b'b').bitfield(10).end(103.0);
    log.out(200.0, hash(1), PEER).id(b'a').bitfield(100).end(203.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(total(&report, "flagged"), "1");
}

#[test]
fn a_client_with_a_new_peer_id_for_every_connection_is_one_peer() {
    let mut log = watched();
    // libtorrent 2.1.1; here it super-seeds and starts over in every contact.
    for (begun, letter) in [(0.0, b'a'), (100.0, b'b'), (200.0, b'c'), (300.0, b'd')] {
        log.out(begun, hash(1), PEER).id(letter).opens(HaveNone, 0).have(begun + 50.0, 40).end(begun + 60.0);
    }
    let report = log.report();
    assert_eq!(["unique_peers", "flagged"].map(|column| total(&report, column)), ["1", "1"]);
}

#[test]
fn a_count_that_goes_back_within_a_contact_is_flagged() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER)
        .bitfield(80)
        .observes(50.0, Bitfield, Some(60), true)
        .have(60.0, 100)
        .end(70.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "true", "false", "false"]);
}

#[test]
fn a_bitfield_in_the_middle_of_a_contact_proves_nothing() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER)
        .opens(HaveNone, 0)
        .have(50.0, 60)
        .observes(60.0, Bitfield, Some(100), true)
        .end(70.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "false", "true", "false"]);
}

#[test]
fn another_capture_is_no_peer() {
    let mut log = watched();
    log.sighting(5.0, hash(1), Source::TrackerUdp, "9.9.9.9:7000");
    log.sighting(5.0, hash(1), Source::TrackerUdp, "9.9.9.8:7000");
    let mut other = log.out(10.0, hash(1), "9.9.9.9:7000");
    other.contact.peer_id = Some(PeerId(*b"-SW0100-abcdefghijkl"));
    other.opens(HaveNone, 0).end(13.0);
    log.incoming(20.0, hash(1), "9.9.9.8:50000").listens(7000).client("Swarmtally 0.1.0").end(23.0);
    log.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    let report = log.report();
    assert_eq!(["unique_peers", "contacted_peers"].map(|column| total(&report, column)), ["1", "1"]);
}

#[test]
fn the_address_a_run_listens_on_is_no_peer() {
    let mut log = watched();
    let run = Run {
        event: RunEvent::Started,
        vantage: "test".to_owned(),
        version: "0.1.0".to_owned(),
        config: r#"{"listen":["9.9.9.9:6881"],"bind":[]}"#.to_owned(),
        reason: None,
    };
    log.row(0.0, run);
    log.sighting(5.0, hash(1), Source::TrackerUdp, "9.9.9.9:6881");
    assert_eq!(total(&log.report(), "unique_peers"), "0");
}

#[test]
fn a_contact_that_lags_behind_another_does_not_go_back() {
    let mut log = watched();
    // transmission tells each connection its pieces every ten seconds, each at its own time.
    log.out(10.0, hash(1), PEER).bitfield(50).have(32.0, 70).have(42.0, 90).end(60.0);
    log.incoming(10.0, hash(1), "2.2.2.2:50000")
        .bitfield(50)
        .have(28.0, 65)
        .have(33.0, 66)
        .have(50.0, 99)
        .end(60.0);
    let report = log.report();
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    assert_eq!(total(&report, "flagged"), "0");
}

#[test]
fn both_directions_of_a_peer_count_once() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(50).have(60.0, 99).end(70.0);
    log.incoming(20.0, hash(1), "2.2.2.2:50000").bitfield(55).have(61.0, 99).end(70.0);
    let report = log.report();
    assert_eq!(columns(&report, "confirmed_downloads", &["ip", "port"]), [["2.2.2.2", "6881"]]);
    assert_eq!(total(&report, "unique_peers"), "1");
}

#[test]
fn an_incoming_peer_is_named_by_the_port_it_listens_on() {
    let mut log = watched();
    log.incoming(10.0, hash(1), "2.2.2.2:50000").id(b'a').listens(6881).bitfield(50).end(13.0);
    log.incoming(100.0, hash(1), "2.2.2.2:50001").id(b'a').bitfield(100).end(103.0);
    assert_eq!(columns(&log.report(), "confirmed_downloads", &["ip", "port"]), [["2.2.2.2", "6881"]]);
}

#[test]
fn an_incoming_peer_without_a_port_is_named_by_its_peer_id() {
    let mut log = watched();
    log.incoming(10.0, hash(1), "2.2.2.2:50000").id(b'a').bitfield(50).end(13.0);
    log.incoming(11.0, hash(1), "2.2.2.2:50001").id(b'b').bitfield(20).end(14.0);
    log.incoming(100.0, hash(1), "2.2.2.2:50002").id(b'a').bitfield(100).end(103.0);
    let report = log.report();
    assert_eq!(columns(&report, "confirmed_downloads", &["ip", "port"]), [["2.2.2.2", ""]]);
    assert_eq!(total(&report, "unique_peers"), "2");
}

/// At that port may be a seeder, and who connects a leecher behind the same NAT: they must not become a download.
#[test]
fn who_tells_no_port_counts_beside_the_port_that_others_name_until_it_is_met_there() {
    let unique = |id: u8| {
        let mut log = watched();
        log.sighting(5.0, hash(1), Source::TrackerUdp, "2.2.2.2:6881");
        log.incoming(10.0, hash(1), "2.2.2.2:50000").id(b'a').bitfield(50).end(13.0);
        let before = total(&log.report(), "unique_peers");
        log.out(100.0, hash(1), "2.2.2.2:6881").id(id).opens(HaveAll, PIECES).end(103.0);
        let report = log.report();
        (before, total(&report, "unique_peers"), confirmed(&report).len())
    };
    assert_eq!(unique(b'b'), ("2".to_owned(), "2".to_owned(), 0));
    assert_eq!(unique(b'a'), ("2".to_owned(), "1".to_owned(), 1));
}

#[test]
fn peers_that_connect_from_one_port_make_no_further_one() {
    let mut log = watched();
    for at in [10.0, 100.0] {
        log.sighting(at, hash(1), Source::Incoming, "2.2.2.2:7000");
    }
    // Its connection ends before it tells a port.
    log.incoming(10.0, hash(1), "2.2.2.2:7000").id(b'a').end(11.0);
    log.incoming(100.0, hash(1), "2.2.2.2:7000").id(b'b').listens(7000).bitfield(50).end(103.0);
    let report = log.report();
    assert_eq!([total(&report, "unique_peers"), total(&report, "contacted_peers")], ["2", "2"]);
}

#[test]
fn two_peers_behind_one_address_are_two() {
    let mut log = watched();
    log.out(10.0, hash(1), "2.2.2.2:1000").id(b'a').bitfield(50).end(13.0);
    log.out(100.0, hash(1), "2.2.2.2:2000").id(b'b').opens(HaveAll, PIECES).end(103.0);
    assert_eq!(confirmed(&log.report()), NONE);
}

#[test]
fn the_same_peer_in_two_swarms_is_two_peers() {
    let mut log = watched();
    log.torrent(hash(2));
    log.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    log.out(100.0, hash(2), PEER).opens(HaveAll, PIECES).end(103.0);
    let report = log.report();
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(total(&report, "unique_peers"), "2");
}

#[test]
fn our_own_addresses_are_left_out() {
    let mut log = watched();
    log.sighting(5.0, hash(1), Source::TrackerUdp, "9.9.9.9:7000");
    log.out(10.0, hash(1), "9.9.9.9:7000").id(b'o').end_as(10.0, ContactOutcome::SelfConnection);
    log.incoming(20.0, hash(1), "9.9.9.9:50000").id(b'o').bitfield(0).end(23.0);
    log.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    let report = log.report();
    assert_eq!([total(&report, "unique_peers"), total(&report, "contacted_peers")], ["1", "1"]);
}

#[test]
fn ports_that_we_called_peers_from_are_no_peers() {
    let mut log = watched();
    log.out(10.0, hash(1), "9.9.9.9:7000").id(b'o').end_as(10.0, ContactOutcome::SelfConnection);
    log.incoming(12.0, hash(1), "8.8.8.8:40000").client("Swarmtally 0.1.0").bitfield(0).end(15.0);
    for named in ["9.9.9.9:50000", "8.8.8.8:40001", "8.8.8.8:40000"] {
        log.sighting(20.0, hash(1), Source::Pex, named);
        log.out(21.0, hash(1), named).end_as(22.0, ContactOutcome::Refused);
    }
    let unique = |log: &LogWriter| total(&log.report(), "unique_peers");
    assert_eq!(unique(&log), "0");
    // Others may share an address of ours: whoever answers, or is named by another source, is a peer.
    log.sighting(30.0, hash(1), Source::Pex, "8.8.8.8:6881");
    log.out(31.0, hash(1), "8.8.8.8:6881").id(b'a').bitfield(50).end(33.0);
    assert_eq!(unique(&log), "1");
    log.sighting(40.0, hash(1), Source::Pex, "9.9.9.9:6881");
    log.sighting(40.0, hash(1), Source::TrackerUdp, "9.9.9.9:6881");
    assert_eq!(unique(&log), "2");
    // And elsewhere, a peer's word is enough.
    log.sighting(50.0, hash(1), Source::Pex, "7.7.7.7:50000");
    assert_eq!(unique(&log), "3");
}

#[test]
fn an_implausible_speed_is_flagged() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(10).end(13.0);
    log.out(20.0, hash(1), PEER).opens(HaveAll, PIECES).end(23.0);
    assert_eq!(confirmed(&log.report()), ["2.2.2.2"]);
    // 89,500 bytes in 10 s.
    let report = log.report_with(|options| options.max_plausible_speed = 8_949);
    assert_eq!(confirmed(&report), NONE);
    assert_eq!(flags(&report), ["true", "false", "false", "true"]);
    assert_eq!(confirmed(&log.report_with(|options| options.max_plausible_speed = 8_950)), ["2.2.2.2"]);
}

#[test]
fn have_all_of_a_magnet_without_metadata_is_filled_in_later() {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.row(0.0, torrent(hash(1), TorrentOrigin::Magnet, None));
    log.out(10.0, hash(1), PEER).without_metadata().bitfield(30).end(13.0);
    log.out(20.0, hash(1), "3.3.3.3:1").without_metadata().opens(HaveAll, None).end(23.0);
    log.out(100.0, hash(1), PEER).without_metadata().opens(HaveAll, None).end(103.0);
    assert_eq!(confirmed(&log.report()), NONE, "nothing is known of shares of an unknown whole");
    log.row(200.0, torrent(hash(1), TorrentOrigin::Metadata, Some((100, 1_000, 99_500))));
    let report = log.report();
    assert_eq!(confirmed(&report), ["2.2.2.2"]);
    assert_eq!(total(&report, "already_complete"), "1");
}

#[test]
fn two_runs_are_one_history() {
    let mut first = watched();
    first.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    let mut second = LogWriter::new("20260102T010000Z-bbbbbbbb");
    second.torrent(hash(1));
    second.out(3600.0, hash(1), PEER).opens(HaveAll, PIECES).end(3603.0);
    let (one, two) = (first.data(), second.data());
    let report = report_of(&[one.path(), two.path()], |_| ());
    assert_eq!(columns(&report, "confirmed_downloads", &["ip", "evidence"]), [["2.2.2.2", "revisit"]]);
}

#[test]
fn an_outgoing_contact_whose_row_was_lost_counts_by_its_endpoint() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(50).have(60.0, 99).lost();
    assert_eq!(
        columns(&log.report(), "confirmed_downloads", &["ip", "port", "peer_id"]),
        [["2.2.2.2", "6881", ""]]
    );
}

#[test]
fn a_lost_incoming_contact_counts_only_where_nothing_else_is_known() {
    let mut log = watched();
    log.incoming(10.0, hash(1), "2.2.2.2:50000").bitfield(50).have(60.0, 99).lost();
    log.incoming(10.0, hash(1), "3.3.3.3:50000").bitfield(50).have(60.0, 99).lost();
    log.out(10.0, hash(1), "3.3.3.3:6881").bitfield(50).have(60.0, 99).end(70.0);
    log.incoming(10.0, hash(1), "4.4.4.4:50000").bitfield(50).lost();
    log.incoming(20.0, hash(1), "4.4.4.4:50001").bitfield(100).lost();
    let rows = columns(&log.report(), "confirmed_downloads", &["ip", "port"]);
    assert_eq!(rows, [["2.2.2.2", ""], ["3.3.3.3", "6881"]]);
}

#[test]
fn a_count_beyond_the_torrent_is_no_observation() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    log.out(100.0, hash(1), PEER).bitfield(101).end(103.0);
    assert_eq!(confirmed(&log.report()), NONE);
}

#[test]
fn the_speed_is_what_was_gained_over_the_time_it_took() {
    let mut log = watched();
    // The opening counts at 12 s; the last piece is half a piece.
    log.out(10.0, hash(1), PEER).bitfield(10).have(22.0, 20).have(32.0, 60).have(92.0, 100).end(100.0);
    let speeds = ["mean_speed_bytes_per_s", "max_speed_bytes_per_s"];
    // (99,500 − 10,000) bytes in 80 s; 40,000 bytes in 10 s.
    assert_eq!(columns(&log.report(), "confirmed_downloads", &speeds), [["1118.8", "4000.0"]]);
}

#[test]
fn only_rows_of_the_selected_time_count() {
    let mut log = watched();
    log.out(10.0, hash(1), PEER).bitfield(50).end(13.0);
    log.out(100.0, hash(1), PEER).opens(HaveAll, PIECES).end(103.0);
    let second = |second: f64| Some(crate::common::at(second).0);
    assert_eq!(confirmed(&log.report_with(|options| options.until = second(102.1))), ["2.2.2.2"]);
    assert_eq!(confirmed(&log.report_with(|options| options.until = second(102.0))), NONE);
    let late = log.report_with(|options| options.since = second(50.0));
    assert_eq!([total(&late, "confirmed_downloads"), total(&late, "already_complete")], ["0", "1"]);
}

#[test]
fn only_the_selected_torrents_count() {
    let mut log = watched();
    log.torrent(hash(2));
    log.out(10.0, hash(1), PEER).bitfield(50).have(60.0, 99).end(70.0);
    log.out(10.0, hash(2), "3.3.3.3:1").bitfield(50).have(60.0, 99).end(70.0);
    let report = log.report_with(|options| options.info_hash = vec!["02".repeat(20)]);
    assert_eq!(confirmed(&report), ["3.3.3.3"]);
    assert_eq!(columns(&report, "summary", &["info_hash"]).len(), 2);
}

#[test]
fn the_client_is_told_by_v_or_else_by_the_peer_id() {
    let mut log = watched();
    log.out(10.0, hash(1), "2.2.2.1:1").bitfield(50).have(60.0, 99).end(70.0);
    log.out(10.0, hash(1), "2.2.2.2:2").client("qBittorrent/4.5.2").bitfield(50).have(60.0, 99).end(70.0);
    let rows = columns(&log.report(), "confirmed_downloads", &["client", "peer_id"]);
    let id = id_hex(b'a');
    assert_eq!(rows, [["qBittorrent 4520", id.as_str()], ["qBittorrent/4.5.2", id.as_str()]]);
}
