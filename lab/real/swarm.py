"""A swarm of real clients, watched by two captures at once: one by torrent file, one by magnet link."""

import csv
import math
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.dataset as dataset
from clients import Client, wait_until
from network import Network
from torrents import PIECE_COUNT, make
from tracker import Tracker

THRESHOLD_PIECES = math.ceil(0.98 * PIECE_COUNT)
START_TIMEOUT_S = 30
DOWNLOAD_TIMEOUT_S = 120
# transmission tells its pieces in batches, ten seconds apart.
SEEN_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15
LAST_PACKET = "the last packet of this recording"
SEND_LAST_PACKET = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), (sys.argv[1], 9))
"""


def leecher(number, address, country, download_bytes_per_s, **options):
    limits = {"download_bytes_per_s": download_bytes_per_s, **options}
    return Client(f"leecher-{number}", "libtorrent", address, country, limits)


def clients_at_start():
    return [
        Client("seeder-1", "libtorrent", "2.125.160.217", "GB", {"seeds": True}),
        Client("seeder-2", "libtorrent", "89.160.20.129", "SE", {"seeds": True}),
        Client("super-seeder", "libtorrent", "81.2.69.145", "GB", {"seeds": True, "super_seeds": True}),
        leecher(1, "89.160.20.114", "SE", 90_000),
        leecher(2, "175.16.199.10", "CN", 105_000),
        leecher(3, "202.196.224.11", "PH", 120_000),
        leecher(4, "214.0.0.5", "SG", 135_000),
        leecher(5, "214.0.1.6", "AU", 150_000),
        leecher(6, "216.160.83.57", "US", 170_000, leaves=True),
        leecher("of-a-part", "81.2.69.193", "GB", 120_000, leaves_out="with.bin"),
        Client("transmission", "transmission", "202.196.225.20", "PH", {"download_bytes_per_s": 120_000}),
        Client("aria2", "aria2", "175.16.199.77", "CN", {"download_bytes_per_s": 120_000}),
    ]


def clients_that_come_later():
    return [
        leecher(7, "149.101.100.2", "US", 140_000),
        leecher(8, "67.43.156.8", "BT", 170_000, leaves=True),
        leecher(9, "2.3.3.7", None, 120_000),
    ]


@dataclass
class Capture:
    """One capture of the swarm, and the report made of it."""

    name: str
    entry: str
    address: str
    tracker_address: str
    folder: Path
    exit_code: int | None = None
    stop_s: float | None = None
    report_output: str = ""

    @property
    def log(self):
        return self.folder / "log"

    @property
    def report(self):
        return self.folder / "report"

    @property
    def packets(self):
        return self.folder / "packets.pcap"

    @property
    def messages(self):
        return (self.folder / "messages").read_text()

    def start(self, host, program):
        self.host = host
        self.folder.mkdir()
        (self.folder / "list.txt").write_text(f"{self.entry}\n")
        recorder = ["tcpdump", "-i", "eth0", "-w", self.packets, "-s", "0", "-Z", "root"]
        recorder += ["--immediate-mode", "-U", "ip"]
        with (self.folder / "tcpdump").open("w") as output:
            self.recorder = host.start(recorder, stderr=output)
        wait_until(lambda: "listening on" in (self.folder / "tcpdump").read_text(), "tcpdump", 10)
        arguments = ["--torrents", self.folder / "list.txt", "--out", self.log, "--listen", f"{host.address}:6881"]
        arguments += ["--announce-every", "5s", "--revisit", "5s", "--rotate-every", "5s", "--vantage", self.name]
        with (self.folder / "messages").open("w") as messages:
            self.process = host.start([program, *arguments], stdout=messages, stderr=messages)

    def rows(self, table, columns=None):
        """The rows of a raw table as dictionaries, from the segments finished so far."""
        folder = self.log / table
        if not any(folder.glob("**/*.parquet")):
            return []
        return dataset.dataset(folder, partitioning="hive").to_table(columns=columns).to_pylist()

    def has_seen_completion_of(self, address):
        rows = self.rows("progress", ["ip", "pieces"])
        return any(row["ip"] == address and (row["pieces"] or 0) >= THRESHOLD_PIECES for row in rows)

    def stop(self):
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.exit_code = self.process.wait(STOP_TIMEOUT_S)
        self.stop_s = time.monotonic() - started
        self.stop_recorder()

    def stop_recorder(self):
        """Once it has written a last packet, all before it are in the file too."""
        self.host.run([sys.executable, "-c", SEND_LAST_PACKET, self.tracker_address, LAST_PACKET])
        wait_until(lambda: LAST_PACKET.encode() in self.packets.read_bytes(), "the last packet", STOP_TIMEOUT_S)
        self.recorder.send_signal(signal.SIGINT)
        self.recorder.wait(STOP_TIMEOUT_S)

    def analyze(self, program, databases, out):
        city, asn = databases
        arguments = ["report", self.log, "--out", out, "--geoip-city", city, "--geoip-asn", asn]
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def table(self, name):
        """The rows of a table of the report; empty fields are None."""
        with (self.report / f"{name}.csv").open(newline="") as file:
            return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


@dataclass
class Swarm:
    """What happened: every client's own account, and what each capture made of it.

    `peers_after` are the addresses the tracker names after the end of the captures.
    """

    torrent: object
    tracker: Tracker
    clients: list
    captures: dict
    peers_after: set

    @cached_property
    def downloads(self):
        """The clients that truly completed the whole content."""
        return {client.address: client for client in self.clients if client.crossed_at(THRESHOLD_PIECES)}


def watch(folder, programs, databases):
    """Runs the whole scenario; its results are judged by the tests."""
    with Network() as network:
        tracker = Tracker(network, "214.78.120.2")
        torrent = make(folder / "content", "swarm", [tracker.http, tracker.udp], seed=2)
        tracker_folder, clients_folder = folder / "tracker", folder / "clients"
        tracker_folder.mkdir()
        clients_folder.mkdir()
        tracker.start(tracker_folder, [torrent.info_hash])

        def start(clients):
            for client in clients:
                client.start(network, torrent.path, folder / "content", clients_folder)

        def peers():
            return tracker.peer_count(torrent.info_hash)

        clients = clients_at_start()
        start(clients)
        wait_until(lambda: peers() >= len(clients), "every client announces", START_TIMEOUT_S)

        captures = [
            Capture(name, entry, address, tracker.host.address, folder / name.replace(" ", "-"))
            for name, entry, address in [
                ("torrent file", str(torrent.path), "81.2.69.161"),
                ("magnet", torrent.magnet, "214.78.121.9"),
            ]
        ]
        for number, capture in enumerate(captures):
            capture.start(network.host(f"capture-{number}", capture.address), programs / "capture")
        wait_until(lambda: peers() >= len(clients) + len(captures), "both captures announce", START_TIMEOUT_S)

        later = clients_that_come_later()
        start(later)
        clients += later
        wait_until(lambda: all(client.is_complete() for client in clients), "all complete", DOWNLOAD_TIMEOUT_S)

        staying = [client for client in clients if not (client.seeds or client.options.get("leaves"))]
        whole = [client.address for client in staying if "leaves_out" not in client.options]
        deadline = time.monotonic() + SEEN_TIMEOUT_S
        for capture in captures:
            for address in whole:
                left_s = max(0, deadline - time.monotonic())
                try:
                    wait_until(lambda: capture.has_seen_completion_of(address), address, left_s)
                except TimeoutError:
                    # A test says it better, with all the figures at hand.
                    break
        for capture in captures:
            capture.stop()
        peers_after = tracker.peers(torrent.info_hash)

    for capture in captures:
        capture.report_output = capture.analyze(programs / "analyze", databases, capture.report)
    return Swarm(torrent, tracker, clients, {capture.name: capture for capture in captures}, peers_after)
