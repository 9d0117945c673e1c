"""The main claim, on real clients: who truly downloaded is confirmed, and nobody else."""

from collections import Counter
from datetime import datetime

import pytest
from clients import PROGRAMS
from swarm import THRESHOLD_PIECES
from torrents import PIECE_COUNT, PIECE_LENGTH

# A client's own samples are 0.1 s apart, HAVEs are folded to a row a second.
CLOCK_TOLERANCE_S = 2
# transmission tells its pieces every ten seconds.
DATED_WITHIN_S = {"libtorrent": 3, "transmission": 14, "aria2": 8}
SPEED_TOLERANCE = 0.25


def epoch(text):
    return datetime.fromisoformat(text).timestamp()


def test_every_download_is_confirmed_and_nothing_else(watched, capture):
    names = {client.address: client.name for client in watched.clients}
    found = sorted(names.get(ip, ip) for ip in capture.confirmed())
    assert found == sorted(client.name for client in watched.downloads.values())


def test_nobody_is_confirmed_twice(capture):
    times = Counter(row["ip"] for row in capture.table("confirmed_downloads"))
    assert max(times.values()) == 1


def test_the_crossing_lies_in_the_interval_that_dates_it(watched, capture):
    for ip, row in capture.confirmed().items():
        client = watched.downloads[ip]
        crossed_at = client.crossed_at(THRESHOLD_PIECES)
        below_at, confirmed_at = epoch(row["below_at"]), epoch(row["confirmed_at"])
        assert below_at - CLOCK_TOLERANCE_S <= crossed_at <= confirmed_at + CLOCK_TOLERANCE_S, client.name
        assert confirmed_at - crossed_at <= DATED_WITHIN_S[client.program], client.name


def test_counts_are_those_of_the_torrent(capture):
    for row in capture.confirmed().values():
        assert int(row["piece_count"]) == PIECE_COUNT
        assert int(row["below_pieces"]) < THRESHOLD_PIECES <= int(row["confirmed_pieces"]) <= PIECE_COUNT


def test_countries_are_those_of_the_city_database(watched, capture):
    expected = {ip: client.country for ip, client in watched.downloads.items()}
    assert {ip: row["country"] for ip, row in capture.confirmed().items()} == expected


def test_clients_are_named(watched, capture):
    for ip, row in capture.confirmed().items():
        assert PROGRAMS[watched.downloads[ip].program].reported_as in row["client"]


def test_mean_speeds_agree_with_the_clients_own_figures(watched, capture):
    """Over the interval in which the capture saw the peer progress up to the threshold."""
    seen = {}
    for row in capture.rows("progress", ["time", "ip", "pieces"]):
        if row["ip"] in watched.downloads and row["pieces"] is not None:
            seen.setdefault(row["ip"], []).append((row["time"].timestamp(), row["pieces"]))
    for ip, row in capture.confirmed().items():
        client = watched.downloads[ip]
        start = min(seen[ip])[0]
        end = min(time for time, pieces in seen[ip] if pieces >= THRESHOLD_PIECES)
        own_pieces = client.pieces_at(end) - client.pieces_at(start)
        own_bytes_per_s = own_pieces * PIECE_LENGTH / (end - start)
        assert float(row["mean_speed_bytes_per_s"]) == pytest.approx(own_bytes_per_s, rel=SPEED_TOLERANCE), client.name


def test_seeders_are_already_complete(watched, capture):
    seeders = [client for client in watched.clients if client.seeds and not client.options.get("super_seeds")]
    (total,) = [row for row in capture.table("summary") if row["info_hash"] == watched.torrent.info_hash]
    assert int(total["already_complete"]) == len(seeders)
    assert int(total["confirmed_downloads"]) == len(watched.downloads)


def test_captures_are_no_peers(watched, capture):
    """Neither the capture itself, which trackers name to it, nor the other one, which connects to it.

    libtorrent has another peer ID on each connection, so a super-seeder, who starts over on each, is a peer each time.
    Peers tell each other (PEX) ports that somebody called them from; those of a capture are no peers either.
    """
    assert not [row for row in capture.table("clients") if "Swarmtally" in (row["client"] or "")]
    (super_seeder,) = [client for client in watched.clients if client.options.get("super_seeds")]
    rows = capture.rows("contacts", ["ip", "peer_id"])
    starts = {row["peer_id"] for row in rows if row["ip"] == super_seeder.address and row["peer_id"]}
    (total,) = [row for row in capture.table("summary") if row["info_hash"] == watched.torrent.info_hash]
    assert len(watched.clients) <= int(total["unique_peers"]) <= len(watched.clients) - 1 + len(starts)
