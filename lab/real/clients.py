"""Real clients on hosts of the test network, and what each says of its own download."""

import bisect
import itertools
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from network import bracketed

AGENTS = Path(__file__).parent / "agents"
POLL_S = 0.1
PORT = 6881


@dataclass(frozen=True)
class Program:
    """How a client is run, and what its name in a report contains."""

    agent: list
    reported_as: str


def python_agent(name, python=sys.executable):
    return [python, str(AGENTS / f"run_{name}.py")]


# Debian's libtorrent is of another series than the one of this environment.
PROGRAMS = {
    "aria2": Program(python_agent("aria2"), "aria2"),
    "ctorrent": Program(python_agent("ctorrent"), "CTorrent"),
    "deluge": Program(python_agent("deluge", "/usr/bin/python3"), "Deluge"),
    "libtorrent": Program(python_agent("libtorrent"), "libtorrent/2.1"),
    "libtorrent-2.0": Program(python_agent("libtorrent", "/usr/bin/python3"), "libtorrent/2.0"),
    "qbittorrent": Program(python_agent("qbittorrent"), "qBittorrent"),
    "rtorrent": Program(python_agent("rtorrent"), "rTorrent"),
    "transmission": Program(python_agent("transmission"), "Transmission"),
    "webtorrent": Program(["node", str(AGENTS / "run_webtorrent.mjs")], "WebTorrent"),
}


def wait_until(condition, what, timeout_s):
    """The first true value of `condition()`; an error naming `what` if there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(POLL_S)
    return value


def whole_lines(lines):
    """The lines up to the first one that is not written to its end yet; what comes next is the rest of that one."""
    return itertools.takewhile(lambda line: line.endswith(b"\n"), lines)


@dataclass
class Client:
    """A client's options and, once started, its own account of its progress.

    Options that every agent knows, or refuses: `seeds`, `download_bytes_per_s`, `leaves_after_s` (of completion),
    `leaves_out_a_file`, `super_seeds`, `encryption` (forced; of libtorrent `forced handshake`, too: the payload as it
    is), `transport` (tcp, utp), `dht`, `lsd`, `from_magnet`, `without_trackers`, `knows` (names of clients whose
    addresses it is told).
    `comes_late` clients are started once the captures watch; `behind_nat` ones accept no connections.
    """

    name: str
    program: str = "libtorrent"
    address: str | None = None
    country: str | None = None
    comes_late: bool = False
    behind_nat: bool = False
    options: dict = field(default_factory=dict)
    host: object = None
    process: object = None
    folder: Path | None = None
    known: list = field(default_factory=list)
    read_to: int = 0

    @property
    def seeds(self):
        return self.options.get("seeds", False)

    @property
    def endpoint(self):
        return f"{bracketed(self.address)}:{PORT}"

    def place(self, network):
        self.host = network.host(self.name, self.address)
        self.address = self.host.address
        if self.behind_nat:
            self.host.hide_behind_nat()

    def start(self, folder, torrent, common):
        """`common` are the options that are alike for all clients of the swarm."""
        self.folder = folder / self.name
        self.folder.mkdir()
        options = {
            "torrent": str(torrent.without_trackers if self.options.get("without_trackers") else torrent.path),
            "magnet": torrent.magnet,
            "name": torrent.name,
            "home": str(self.folder),
            "folder": str(torrent.content if self.seeds else self.folder),
            **common,
            **self.options,
        }
        with (self.folder / "samples").open("w") as samples, (self.folder / "messages").open("w") as messages:
            agent = PROGRAMS[self.program].agent
            self.process = self.host.start([*agent, json.dumps(options)], stdout=samples, stderr=messages)

    def samples(self):
        """All samples so far, oldest first."""
        with (self.folder / "samples").open("rb") as file:
            file.seek(self.read_to)
            for line in whole_lines(file):
                self.read_to += len(line)
                self.known.append(json.loads(line))
        return self.known

    def is_up(self):
        """Whether its client runs and has the torrent; an error if it ended badly."""
        samples = self.samples()
        if self.process.poll() not in (None, 0):
            raise RuntimeError(f"{self.name} ended: {(self.folder / 'messages').read_text()}")
        return bool(samples)

    def is_complete(self):
        return self.is_up() and self.samples()[-1]["complete"]

    def has_left(self):
        return self.is_up() and self.process.poll() is not None

    def pieces_at(self, moment):
        """Pieces the client had at `moment` (seconds since the epoch), 0 before its first sample."""
        samples = self.samples()
        index = bisect.bisect_right([sample["time"] for sample in samples], moment)
        return samples[index - 1]["pieces"] if index else 0

    def crossed_at(self, pieces):
        """When the client first had at least so many pieces, or None; the sample before had fewer."""
        samples = self.samples()
        if not samples or samples[0]["pieces"] >= pieces:
            return None
        return next((sample["time"] for sample in samples if sample["pieces"] >= pieces), None)

    def was_there(self):
        """The times of its first and its last sample."""
        samples = self.samples()
        return samples[0]["time"], samples[-1]["time"]

    def given_to(self, address):
        """The most that the client itself says it gave to the address: bytes, or for some clients bytes/s."""
        return max((sample["given"].get(address, 0) for sample in self.samples()), default=0)

    def heard_from(self, address):
        """The kinds of message that the client logged as come from the address; None if it keeps no such log."""
        heard = [sample["heard"] for sample in self.samples() if "heard" in sample]
        return set(heard[-1].get(address, ())) if heard else None
