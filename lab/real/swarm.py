"""Runs a scenario: its swarm of real clients in a network of its own, watched by its captures."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from clients import PORT, wait_until
from network import Network
from scenarios import Scenario
from torrents import PIECE_COUNT, Torrent, make
from tracker import OpenTracker, Tracker, WebTorrentTracker

THRESHOLD_PIECES = math.ceil(0.98 * PIECE_COUNT)
START_TIMEOUT_S = 60
DOWNLOAD_TIMEOUT_S = 180
# Whoever is there so long on both sides of the threshold must be confirmed.
OBSERVABLE_S = 5


@dataclass
class Programs:
    """What is under test, and what the swarm is made with."""

    capture: Path
    analyze: Path
    databases: list
    modules: Path


@dataclass
class Swarm:
    """What happened: every client's own account, and what each capture made of it.

    `peers_after` are the addresses that opentracker names after the end of the captures.
    """

    scenario: Scenario
    torrent: Torrent
    tracker: Tracker | None
    peers_after: set | None = None

    @property
    def clients(self):
        return self.scenario.clients

    @property
    def captures(self):
        return {capture.name: capture for capture in self.scenario.captures}

    @cached_property
    def downloads(self):
        """The clients that truly completed the whole content."""
        return {client.address: client for client in self.clients if self.downloaded(client)}

    @staticmethod
    def downloaded(client):
        # A seeder's own count may begin at 0 while it checks its files.
        return not client.seeds and client.crossed_at(THRESHOLD_PIECES) is not None

    def observable(self, capture):
        """Those downloads that a capture could see long enough on both sides of the threshold."""
        seen = {}
        for address, client in self.downloads.items():
            came, left = client.was_there()
            crossed_at = client.crossed_at(THRESHOLD_PIECES)
            below_s = crossed_at - max(came, capture.started_at)
            above_s = min(left, capture.stopped_at) - crossed_at
            if min(below_s, above_s) >= OBSERVABLE_S:
                seen[address] = client
        return seen


@dataclass
class Score:
    """What a capture confirmed: of all downloads, of those it could see, and falsely; by the clients' names."""

    scenario: str
    capture: str
    downloads: list
    observable: list
    confirmed: list

    @staticmethod
    def of(swarm, capture):
        names = {client.address: client.name for client in swarm.clients}

        def named(addresses):
            return sorted(names.get(address, address) for address in addresses)

        observable, confirmed = swarm.observable(capture), capture.confirmed()
        return Score(swarm.scenario.name, capture.name, named(swarm.downloads), named(observable), named(confirmed))

    @staticmethod
    def total(scores):
        def all_of(field):
            return [(score.scenario, score.capture, name) for score in scores for name in getattr(score, field)]

        return Score("all", "", all_of("downloads"), all_of("observable"), all_of("confirmed"))

    @property
    def missed(self):
        return [name for name in self.observable if name not in self.confirmed]

    @property
    def false(self):
        return [name for name in self.confirmed if name not in self.downloads]

    def figures(self):
        counted = (self.downloads, self.observable, self.confirmed, self.missed, self.false)
        return self.scenario, self.capture, *map(len, counted)


def place(network, scenario, programs):
    """Gives everybody a host, so that all addresses are known, and makes the tracker."""
    for participant in [*scenario.captures, *scenario.clients]:
        participant.place(network)
    match scenario.tracker:
        case "opentracker":
            return OpenTracker(network, "214.78.120.2")
        case "webtorrent":
            return WebTorrentTracker(network, programs.modules)
        case None:
            return None


def start_clients(scenario, clients, torrent, folder, programs):
    everybody = {client.name: client for client in scenario.clients}
    for client in clients:
        common = {
            "modules": str(programs.modules),
            "observers": [capture.address for capture in scenario.captures],
        }
        if scenario.dht:
            # Everybody's DHT begins at the first client's.
            common["dht"] = [(scenario.clients[0].address, PORT)] if client is not scenario.clients[0] else []
        knows = [(everybody[name].address, PORT) for name in client.options.get("knows", [])]
        client.start(folder, torrent, {**common, "knows_at": knows})
    wait_until(lambda: all(client.is_up() for client in clients), "every client is up", START_TIMEOUT_S)


def run(scenario, folder, programs):
    """Runs the whole scenario; its results are judged by the tests."""
    with Network(scenario.name, scenario.network) as network:
        tracker = place(network, scenario, programs)
        trackers = tracker.urls if tracker else []
        torrent = make(folder / "content", "swarm", trackers, seed=scenario.name)
        if tracker:
            tracker.start(folder / "tracker", torrent.info_hash)
        clients_folder = folder / "clients"
        clients_folder.mkdir()

        at_start = [client for client in scenario.clients if not client.comes_late]
        start_clients(scenario, at_start, torrent, clients_folder, programs)
        options = [*scenario.options]
        options += ["--dht-bootstrap", scenario.clients[0].endpoint] if scenario.dht else ["--no-dht"]
        for capture in scenario.captures:
            capture.start(folder, programs.capture, torrent, options)
        late = [client for client in scenario.clients if client.comes_late]
        start_clients(scenario, late, torrent, clients_folder, programs)

        def has_ended(client):
            for capture in scenario.captures:
                capture.check()
            return client.has_left() if "leaves_after_s" in client.options else client.seeds or client.is_complete()

        wait_until(
            lambda: all(has_ended(client) for client in scenario.clients), "all are complete", DOWNLOAD_TIMEOUT_S
        )
        witness = tracker.host if tracker else scenario.clients[0].host
        for capture in scenario.captures:
            capture.stop(witness.address)
        peers_after = tracker.peers(torrent.info_hash) if scenario.tracker == "opentracker" else None

    only = [] if scenario.whole_report else ["--only", "confirmed_downloads"]
    for capture in scenario.captures:
        capture.report_output = capture.analyze(programs.analyze, programs.databases, capture.report, *only)
    return Swarm(scenario, torrent, tracker, peers_after)
