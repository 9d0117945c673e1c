"""One capture of a swarm, with every packet of its host recorded, and the report made of it."""

import csv
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.dataset as dataset
from clients import PORT, wait_until
from network import bracketed

STOP_TIMEOUT_S = 15
LAST_PACKET = "the last packet of this recording"
SEND_LAST_PACKET = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
socket.socket(family, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), (sys.argv[1], 9))
"""
# What every capture of a test is told, beside what its scenario tells it.
IN_A_HURRY = ["--announce-every", "5s"]


@dataclass
class Capture:
    """A capture's name, what it is told, and what it did.

    `entry` is what its list holds: `file`, `file without trackers` or `magnet`; `log_level` is how much it tells of
    what it does.
    """

    name: str
    entry: str = "file"
    address: str | None = None
    options: list = field(default_factory=list)
    log_level: str = "info"
    folder: Path | None = None
    exit_code: int | None = None
    stop_s: float | None = None
    started_at: float | None = None
    stopped_at: float | None = None
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

    @property
    def hides_addresses(self):
        return not {"prefix", "pseudonym"}.isdisjoint(self.options)

    def place(self, network):
        self.host = network.host(self.name, self.address)
        self.address = self.host.address

    def start(self, folder, program, torrent, options):
        self.folder = folder / self.name
        self.folder.mkdir()
        entries = {
            "file": torrent.path,
            "file without trackers": torrent.without_trackers,
            "magnet": torrent.magnet,
        }
        (self.folder / "list.txt").write_text(f"{entries[self.entry]}\n")
        recorder = ["tcpdump", "-i", "eth0", "-w", self.packets, "-s", "0", "-Z", "root"]
        recorder += ["--immediate-mode", "-U", "ip or ip6"]
        with (self.folder / "tcpdump").open("w") as output:
            self.recorder = self.host.start(recorder, stderr=output)
        wait_until(lambda: "listening on" in (self.folder / "tcpdump").read_text(), "tcpdump", 10)
        arguments = ["--torrents", self.folder / "list.txt", "--out", self.log, "--vantage", self.name]
        arguments += ["--listen", f"{bracketed(self.address)}:{PORT}", *IN_A_HURRY, *options, *self.options]
        self.started_at = time.time()
        with (self.folder / "messages").open("w") as messages:
            program = ["env", f"CAPTURE_LOG={self.log_level}", program]
            self.process = self.host.start([*program, *arguments], stdout=messages, stderr=messages)

    def check(self):
        """An error if the capture has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.messages}")

    def rows(self, table, columns=None):
        """The rows of a raw table as dictionaries, from the segments finished so far."""
        folder = self.log / table
        if not any(folder.glob("**/*.parquet")):
            return []
        return dataset.dataset(folder, partitioning="hive").to_table(columns=columns).to_pylist()

    def stop(self, to_address):
        """Ends the capture, then its recorder: once that has a last packet, all before it are in the file too."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.exit_code = self.process.wait(STOP_TIMEOUT_S)
        self.stop_s = time.monotonic() - started
        self.stopped_at = time.time() - self.stop_s
        self.host.run([sys.executable, "-c", SEND_LAST_PACKET, to_address, LAST_PACKET])
        wait_until(lambda: LAST_PACKET.encode() in self.packets.read_bytes(), "the last packet", STOP_TIMEOUT_S)
        self.recorder.send_signal(signal.SIGINT)
        self.recorder.wait(STOP_TIMEOUT_S)

    def analyze(self, program, databases, out, *more):
        city, asn = databases
        arguments = ["report", self.log, "--out", out, "--geoip-city", city, "--geoip-asn", asn, *more]
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def table(self, name):
        """The rows of a table of the report; empty fields are None."""
        with (self.report / f"{name}.csv").open(newline="") as file:
            return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]

    def confirmed(self):
        """The rows of the confirmed downloads by address."""
        return {row["ip"]: row for row in self.table("confirmed_downloads")}
