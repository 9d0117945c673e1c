"""Captures that hide addresses write none, anywhere, in any form: beside real clients that name each other by tracker,
DHT, PEX and LSD, connect over TCP and uTP, and introduce one another, over IPv4 and IPv6.

What the search would find is shown by a capture of the same swarm that keeps addresses.
"""

import ipaddress
import struct

import pyarrow.parquet as parquet
import pytest
from captures import Capture
from clients import PORT, Client
from network import bracketed
from scenarios import Scenario, leecher
from swarm import Score

# The first seeder's, which answers no question.
RESOLVERS = {4: "81.2.69.142", 6: "2001:218::53"}
# Beside the log, the folder of a capture holds what the test put there.
OF_THE_TEST = {"list.txt", "packets.pcap", "tcpdump", "report"}


def captures(family, *options):
    def told(addresses):
        return ["--addresses", addresses, "--dns-server", f"{bracketed(RESOLVERS[family])}:53", *options]

    return [
        Capture(addresses, options=told(addresses), log_level="trace") for addresses in ("full", "prefix", "pseudonym")
    ]


def seeder(family, **options):
    return Client("seeder", address=RESOLVERS[family], options={"seeds": True, **options})


PRIVATE = Scenario(
    "private",
    [
        seeder(4, transport="utp", lsd=True),
        leecher("introducer", 38, transport="utp", lsd=True, without_trackers=True, knows=["seeder"]),
        # Whom an introducer alone can have the captures reach.
        leecher("hidden", 42, nat=True, transport="utp", without_trackers=True, knows=["introducer", "seeder"]),
        leecher("over-tcp", 60, lsd=True),
        leecher("libtorrent-2-0", 70, "libtorrent-2.0", lsd=True),
    ],
    downloads=4,
    captures=captures(4, "--no-listen"),
    network="one network",
    dht=True,
)

PRIVATE_IPV6 = Scenario(
    "private-ipv6",
    [seeder(6), leecher("libtorrent-2-0", 90, "libtorrent-2.0"), leecher("libtorrent-2-1", 100)],
    downloads=2,
    captures=captures(6),
    network=6,
    dht=True,
)

SOURCES = {
    PRIVATE.name: {"dht", "lsd", "pex", "tracker_http"},
    PRIVATE_IPV6.name: {"dht", "incoming", "pex", "tracker_http"},
}


def reverse_name(address):
    return ipaddress.ip_address(address).reverse_pointer


def texts(address):
    ip = ipaddress.ip_address(address)
    mapped = f"::ffff:{address}" if ip.version == 4 else address
    in_hex = f"::ffff:{int(ip) >> 16:x}:{int(ip) & 0xFFFF:x}" if ip.version == 4 else ip.exploded
    return {address, mapped, in_hex, reverse_name(address)}


def forms(address):
    """As text, and as bytes: packed, with a port as a compact peer, and as the log's own encoding has it."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6:
        packed = {ip.packed}
    else:
        ports = (struct.pack(">H", PORT), struct.pack("<H", PORT))
        packed = {ip.packed + port for port in ports} | {bytes(4) + ip.packed, b"\xff\xff" + ip.packed}
    return {text.encode() for text in texts(address)} | {text.upper().encode() for text in texts(address)} | packed


def written(capture):
    """Every file that the capture wrote, and every value in its segments, by where it stands."""
    for path in sorted(capture.folder.rglob("*")):
        if path.is_dir() or path.relative_to(capture.folder).parts[0] in OF_THE_TEST:
            continue
        yield str(path.relative_to(capture.folder)), path.read_bytes()
        if path.suffix == ".parquet":
            table = parquet.read_table(path, partitioning=None)
            for column in table.column_names:
                values = [value for value in table.column(column).to_pylist() if value is not None]
                joined = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
                yield f"{path.relative_to(capture.folder)} {column}", joined


def found(happened, capture):
    """Which addresses of peers, nodes and captures the capture wrote, and where."""
    everybody = [*happened.clients, *happened.captures.values()]
    wanted = {form: peer.name for peer in everybody for form in forms(peer.address)}
    return {
        (name, where, form) for where, content in written(capture) for form, name in wanted.items() if form in content
    }


@pytest.mark.parametrize("happened", [PRIVATE, PRIVATE_IPV6], ids=lambda scenario: scenario.name, indirect=True)
def test_no_address_is_written_anywhere(happened):
    full, *hiding = (happened.captures[name] for name in ("full", "prefix", "pseudonym"))
    seen = found(happened, full)
    for place in ("state/dht-nodes", "contacts", "requests", "sightings", "progress"):
        assert any(place in where for _, where, _ in seen), f"the search finds nothing in {place}"
    assert {client.name for client in happened.clients} <= {name for name, _, _ in seen}
    assert Score.of(happened, full).missed == []
    # Messages name nobody but the tracker, whose address its URL holds anyway.
    assert happened.tracker.host.address in full.messages
    for capture in hiding:
        assert happened.tracker.host.address not in capture.messages
        assert found(happened, capture) == set()
        # It is a log all the same, of everything that names a peer.
        assert SOURCES[happened.scenario.name] <= {row["source"] for row in capture.rows("sightings", ["source"])}
        reached = {row["ip"] for row in capture.rows("contacts") if row["handshake_us"] is not None and row["peer_id"]}
        assert len(reached) >= len(happened.clients)
        own = (capture.log / "state" / "dht-nodes").read_text()
        assert "own " in own
        assert "node " not in own
        kept = {row["prefix"] for row in capture.rows("addresses", ["prefix"])}
        networks = {
            str(ipaddress.ip_network((client.address, 24 if "." in client.address else 48), strict=False))
            for client in happened.clients
        }
        assert networks <= kept if capture.name == "prefix" else kept == {None}


@pytest.mark.parametrize("happened", [PRIVATE, PRIVATE_IPV6], ids=lambda scenario: scenario.name, indirect=True)
def test_nobody_is_asked_for_the_name_of_a_hidden_address(happened):
    for capture in happened.captures.values():
        asked = b"in-addr\x04arpa" in capture.packets.read_bytes() or b"ip6\x04arpa" in capture.packets.read_bytes()
        assert asked == (capture.name == "full")
