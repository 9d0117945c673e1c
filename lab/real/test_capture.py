"""What a capture does while it watches real clients: who it reached, what it told trackers and peers, how it ended."""

import pcap
import tracker
from captures import STOP_TIMEOUT_S


def messages_sent(capture):
    return [message for messages in pcap.sent_messages(capture.packets, capture.address) for message in messages]


def test_both_kinds_of_tracker_answered(watched, capture):
    answered = {(row["source"], row["kind"]) for row in capture.rows("requests") if row["outcome"] == "ok"}
    expected = {(source, kind) for source in ("tracker_http", "tracker_udp") for kind in ("announce", "scrape")}
    assert expected <= answered


def test_every_request_and_sighting_tells_its_endpoint_and_every_request_its_duration(happened):
    for capture in happened.captures.values():
        run_us = (capture.stopped_at - capture.started_at + STOP_TIMEOUT_S) * 1e6
        for row in capture.rows("requests", ["source", "kind", "endpoint", "duration_us"]):
            assert row["endpoint"], row
            assert row["duration_us"] is not None, row
            assert 0 < row["duration_us"] < run_us, row
        for row in capture.rows("sightings", ["source", "endpoint", "ip"]):
            assert bool(row["endpoint"]) == (row["source"] not in {"incoming", "magnet"}), row


def test_trackers_hear_of_start_and_stop_and_nothing_of_completion(capture):
    http = list(pcap.http_announces(capture.packets, capture.address))
    udp = list(pcap.udp_announce_events(capture.packets, capture.address, tracker.PORT))
    for event in ("started", "stopped"):
        assert any(f"event={event}" in line for line in http), http
        assert event in udp
    assert not any("event=completed" in line for line in http)
    assert "completed" not in udp


def test_trackers_forget_the_captures(watched):
    named = {row["ip"] for capture in watched.captures.values() for row in capture.rows("sightings", ["ip"])}
    addresses = {capture.address for capture in watched.captures.values()}
    assert addresses <= named
    assert not addresses & watched.peers_after


def test_the_capture_does_not_pass_for_a_seeder(capture):
    handshakes = [handshake for handshake in map(pcap.extended_handshake, messages_sent(capture)) if handshake]
    assert handshakes
    assert not any(handshake.get(b"upload_only") for handshake in handshakes)


def test_metadata_is_learnt_from_peers(watched):
    rows = watched.captures["magnet"].rows("torrents")
    (metadata,) = [row for row in rows if row["origin"] == "metadata"]
    assert metadata["info_hash"] == watched.torrent.info_hash
    assert metadata["name"] == watched.torrent.name
    (file,) = [row for row in watched.captures["torrent-file"].rows("torrents") if row["origin"] == "file"]
    for column in ("piece_length", "piece_count", "size_bytes", "private"):
        assert metadata[column] == file[column], column


def test_interrupt_ends_the_run_in_good_order(capture):
    assert capture.exit_code == 0, capture.messages
    assert capture.stop_s < 10
    events = {row["event"]: row for row in capture.rows("runs")}
    assert set(events) == {"started", "stopped"}
    assert events["stopped"]["reason"] == "signal"
    assert events["started"]["vantage"] == capture.name
    assert not list((capture.log / "wal").glob("*.wal"))


def test_a_second_report_is_the_same(capture, programs, tmp_path):
    capture.analyze(programs.analyze, programs.databases, tmp_path / "again")
    for path in capture.report.glob("*.csv"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
