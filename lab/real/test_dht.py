"""A private DHT of libtorrent nodes: how fast a capture finds all peers of a swarm in it, and what discovery lists."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as dataset
import pytest
from conftest import TARGET
from network import Host, Network

AGENT = Path(__file__).parent / "agents" / "run_dht.py"
WATCHER = "214.0.0.2"
# Nodes in many networks of /24, as nodes of the world are.
NODES = [f"202.196.{224 + number % 16}.{10 + number}" for number in range(40)]
LARGE, PEERS = "5a" * 20, 25
SMALL = {f"{number:02x}" * 20: 3 for number in range(1, 11)}
FOUND_WITHIN_S = 10


@dataclass
class Dht:
    """The hosts, and who is in which swarm."""

    watcher: Host
    peers: dict


@pytest.fixture(scope="module")
def capture():
    path = TARGET / "debug" / "capture"
    assert path.exists(), f"{path} is missing: run `cargo build --workspace` first"
    return path


@pytest.fixture(scope="module")
def dht(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dht")
    with Network("dht") as network:
        watcher = network.host("watcher", WATCHER)
        nodes = network.host("nodes", NODES[0])
        for address in NODES[1:]:
            done = nodes.run(["ip", "address", "add", f"{address}/32", "dev", "eth0"])
            assert done.returncode == 0, done.stderr
        options = {"addresses": NODES, "swarms": {LARGE: PEERS, **SMALL}, "folder": str(folder)}
        with (folder / "messages").open("w") as messages:
            agent = nodes.start(
                [sys.executable, AGENT, json.dumps(options)], stdout=subprocess.PIPE, stderr=messages, text=True
            )
        line = agent.stdout.readline()
        assert line, (folder / "messages").read_text()
        yield Dht(watcher, json.loads(line)["peers"])


def rows(log, table):
    return dataset.dataset(log / table, partitioning="hive").to_table().to_pylist()


def test_all_peers_of_a_swarm_are_found_within_ten_seconds_of_the_first_lookup(dht, capture, tmp_path):
    (tmp_path / "list.txt").write_text(f"{LARGE}\n")
    log = tmp_path / "log"
    arguments = [capture, "--torrents", tmp_path / "list.txt", "--out", log, "--for", "20s"]
    arguments += ["--listen", f"{WATCHER}:6881", "--dht-bootstrap", f"{NODES[0]}:6881", "--announce-every", "5s"]
    done = dht.watcher.run(arguments)
    assert done.returncode == 0, done.stderr

    requests = [row for row in rows(log, "requests") if row["source"] == "dht"]
    sightings = [row for row in rows(log, "sightings") if row["source"] == "dht"]
    lookups = [row for row in requests if row["kind"] == "get_peers"]
    first = min(row["time"].timestamp() - row["duration_us"] / 1e6 for row in lookups)
    seen = {}
    for row in sightings:
        seen.setdefault(row["ip"], row["time"].timestamp() - first)
        seen[row["ip"]] = min(seen[row["ip"]], row["time"].timestamp() - first)
    late = {ip: seen.get(ip) for ip in dht.peers[LARGE] if seen.get(ip, FOUND_WITHIN_S) >= FOUND_WITHIN_S}
    print(f"all {PEERS} peers within {max(seen.values()):.2f} s by {len(lookups)} get_peers")
    assert not late, f"{len(late)} of {PEERS} peers: {late}"
    assert {row["ip"] for row in sightings} <= {*dht.peers[LARGE], WATCHER}

    # Every request is there with its endpoint and duration, and every sighting with the node that told.
    assert {row["endpoint"].rsplit(":", 1)[0] for row in requests} <= set(NODES)
    assert all(row["duration_us"] > 0 for row in requests if row["outcome"] == "ok")
    told = {row["endpoint"] for row in lookups if row["peers"]}
    assert {row["endpoint"] for row in sightings} == told
    assert {row["kind"] for row in requests} == {"get_peers", "scrape_bloom", "announce"}
    sizes = [row["leechers"] for row in requests if row["kind"] == "scrape_bloom" and row["leechers"] is not None]
    assert sizes and max(sizes) >= PEERS - 4, sizes
    # We announce ourselves, so that peers find us.
    assert any(row["outcome"] == "ok" for row in requests if row["kind"] == "announce")


def test_discovery_lists_every_swarm_and_its_size(dht, capture, tmp_path):
    arguments = [capture, "discover", "--dht-bootstrap", f"{NODES[0]}:6881"]
    arguments += ["--for", "40s", "--limit", str(1 + len(SMALL)), "--dht-queries-per-second", "200"]
    done = dht.watcher.run([*arguments, "--scrape", "--format", "json"])
    assert done.returncode == 0, done.stderr
    found = {row["info_hash"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(found) == set(dht.peers), done.stderr
    assert abs(found[LARGE]["leechers"] - PEERS) <= 4, found[LARGE]
    wrong = {swarm: found[swarm] for swarm in SMALL if abs(found[swarm]["leechers"] - len(dht.peers[swarm])) > 1}
    assert not wrong, wrong

    done = dht.watcher.run([*arguments, "--scrape"])
    assert done.returncode == 0, done.stderr
    (tmp_path / "list.txt").write_text(done.stdout)
    dry_run = [capture, "--torrents", tmp_path / "list.txt", "--dry-run", "--format", "json"]
    checked = dht.watcher.run(dry_run)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert {json.loads(line)["info_hash"] for line in checked.stdout.splitlines()} == set(dht.peers)
