"""Random logs in which every odd case of the replay happens often: few peers and peer IDs, whole seconds, lost rows."""

import json
import random
from datetime import datetime, timedelta
from ipaddress import ip_address

import pyarrow as pa
import pyarrow.parquet as parquet

EPOCH = datetime.fromisoformat("2026-01-02T00:00:00+00:00")
INFO_HASHES = ["01" * 20, "02" * 20, "03" * 20]
PIECES, PIECE_LENGTH, SIZE = 100, 1_000, 99_500
PEER_IDS = [b"-qB4520-" + bytes([letter]) * 12 for letter in b"abcd"]
OUR_ID = b"-SW0100-abcdefghijkl"
PORTS = [6881, 7000]
WITH_HANDSHAKE = [
    "closed_by_remote",
    "idle_timed_out",
    "our_limit",
    "protocol_error",
    "reset",
    "shutdown",
    "visit_done",
]
WITHOUT_HANDSHAKE = ["refused", "connect_timed_out", "handshake_malformed"]
PEER_TABLES = {"contacts", "progress", "sightings"}
SOURCES = ["dht", "incoming", "lsd", "magnet", "pex", "tracker_http", "tracker_udp"]
OPENINGS = ["bitfield", "bitfield", "bitfield", "have_all", "have_none", "silence"]


def at(second):
    return EPOCH + timedelta(seconds=second)


class OddLog:
    """The rows of one log, by table."""

    def __init__(self, seed, contacts):
        self.random = random.Random(seed)
        self.rows = {table: [] for table in ["contacts", "progress", "runs", "sightings", "torrents"]}
        hosts = [f"2.2.2.{n}" for n in range(1, 25)] + [f"2001:db8::{n:x}" for n in range(1, 9)]
        self.hosts = [str(ip_address(host)) for host in hosts]
        for number, run in enumerate(["20260102T000000Z-aaaaaaaa", "20260102T001000Z-bbbbbbbb"]):
            self.run(run, number)
            for contact in range(1, contacts + 1):
                self.contact(run, contact, number)

    def maybe(self, share, value, otherwise=None):
        return value if self.random.random() < share else otherwise

    def run(self, run, number):
        config = {"listen": [6881, "2.2.2.1:6881"], "bind": ["2.2.2.2"]} if number else {"listen": [], "bind": []}
        self.add("runs", 0, run, event="started", vantage="odd", version="0", config=json.dumps(config))
        for info_hash in INFO_HASHES[:2]:
            known = self.maybe(0.7, True) or number == 1
            self.add(
                "torrents",
                number,
                run,
                info_hash=info_hash,
                origin="file" if known else "magnet",
                piece_count=PIECES if known else None,
                piece_length=PIECE_LENGTH if known else None,
                size_bytes=SIZE if known else None,
                trackers=[],
            )

    def add(self, table, second, run, **columns):
        self.rows[table].append({"time": at(second), "run": run, **columns})

    def contact(self, run, contact, number):
        choose = self.random.choice
        info_hash, ip = choose([INFO_HASHES[0]] * 6 + INFO_HASHES[1:]), choose(self.hosts)
        direction = choose(["out", "in"])
        port = choose(PORTS) if direction == "out" else 40_000 + self.random.randrange(50)
        begun = number * 600 + self.random.randrange(400)
        handshake = self.maybe(0.85, True, False)
        outcome = choose(WITH_HANDSHAKE if handshake else WITHOUT_HANDSHAKE)
        peer_id = self.maybe(0.95, choose(PEER_IDS)) if handshake else None
        if self.maybe(0.02, True):
            outcome, peer_id = "self_connection", choose(PEER_IDS)
        elif self.maybe(0.02, True):
            peer_id = OUR_ID
        self.sight(run, info_hash, ip, port, direction, begun)
        end = self.observe(run, contact, info_hash, ip, port, direction, begun) if handshake else begun
        if self.maybe(0.06, True):
            return  # Its row was lost in a crash.
        self.add(
            "contacts",
            end,
            run,
            contact=contact,
            info_hash=info_hash,
            ip=ip,
            port=port,
            direction=direction,
            transport="tcp",
            encryption="plain",
            attempt=1,
            outcome=outcome,
            open_us=self.maybe(0.97, (end - begun) * 1_000_000) if handshake else None,
            peer_id=peer_id,
            client=self.maybe(0.02, "Swarmtally 0.1.0", self.maybe(0.5, "qBittorrent/4.5.2")),
            listen_port=self.maybe(0.4, choose([0, *PORTS])) if direction == "in" else None,
            messages=1,
            bytes_in=100,
            bytes_out=100,
        )

    def sight(self, run, info_hash, ip, port, direction, begun):
        if direction == "in":
            self.add("sightings", begun, run, info_hash=info_hash, source="incoming", ip=ip, port=port)
        for _ in range(self.random.randrange(3)):
            source = self.random.choice([source for source in SOURCES if source != "incoming"])
            port = self.random.choice(PORTS)
            self.add("sightings", begun, run, info_hash=info_hash, source=source, ip=ip, port=port)
        if self.maybe(0.1, True):
            port = 40_000 + self.random.randrange(50)
            self.add("sightings", begun, run, info_hash=info_hash, source="pex", ip=ip, port=port)

    def observe(self, run, contact, info_hash, ip, port, direction, begun):
        """Adds the contact's observations and returns when it ended."""

        def row(second, kind, pieces, settled):
            self.add(
                "progress",
                second,
                run,
                contact=contact,
                info_hash=info_hash,
                ip=ip,
                port=port,
                direction=direction,
                kind=kind,
                settled=settled,
                pieces=pieces,
                piece_count=PIECES if info_hash != INFO_HASHES[2] else None,
            )

        opening = self.random.choice(OPENINGS)
        counted = self.random.choice([self.random.randrange(PIECES + 1), self.random.randrange(92, 103)])
        pieces = {"have_all": self.maybe(0.7, PIECES), "have_none": 0, "silence": 0}.get(opening, counted)
        settled = opening == "silence" or self.random.random() < 0.85
        second = begun + (2 if settled else 1)
        row(second, opening, pieces, settled)
        for _ in range(self.random.randrange(5) if settled else 0):
            second += self.random.choice([0, 1, 2, 3, 5, 8, 30])
            pieces = min((pieces or 0) + self.random.randrange(40), PIECES)
            if self.maybe(0.03, True):
                row(second, "bitfield", self.random.randrange(PIECES), True)
            row(second, "have", pieces, True)
        return second + self.random.randrange(3)

    def write(self, folder, like):
        """Writes the log's segments; `like` is a folder of real ones, whose columns they have."""
        for table, rows in self.rows.items():
            schema = parquet.read_schema(next((like / table).glob("**/*.parquet"))).remove_metadata()
            path = folder / table / "date=2026-01-02"
            path.mkdir(parents=True)
            self.random.shuffle(rows)
            order = ["info_hash", "ip", "port", "time"] if table in PEER_TABLES else ["info_hash", "time"]
            rows.sort(key=lambda row: [row[name] for name in order if name in row])
            for part in range(2):
                columns = {name: [row.get(name) for row in rows[part::2]] for name in schema.names}
                segment = path / f"20260102T000000Z-0dd0109{part}-{part:06}.parquet"
                parquet.write_table(pa.table(columns, schema=schema), segment, compression="zstd")
