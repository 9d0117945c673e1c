"""The swarms that are run: each a short declaration of who takes part, and what a capture must make of it."""

from dataclasses import dataclass, field

from captures import Capture
from clients import Client

# How long a leecher stays after its completion: it is to be seen within the five seconds that are promised.
STAYS_S = 6


@dataclass
class Scenario:
    """A swarm, who watches it, and what is expected.

    `downloads`: how many clients complete the content by their own account, after the captures began.
    `named_by`: the source that names the leechers to a capture; some may come by themselves before it does.
    `contacts`: what holds for every contact that got as far as a handshake with a leecher, by column.
    `first_contacts`: what holds for the first one with each.
    `network`: whose addresses the hosts have (`network.FREE`).
    `encrypted`: nobody speaks plainly to a capture. `whole_report`: every table and figure is made.
    """

    name: str
    clients: list
    downloads: int
    captures: list = field(default_factory=lambda: [Capture("capture")])
    network: int | str = 4
    tracker: str | None = "webtorrent"
    dht: bool = False
    options: list = field(default_factory=list)
    named_by: str | None = None
    contacts: dict = field(default_factory=dict)
    first_contacts: dict = field(default_factory=dict)
    encrypted: bool = False
    whole_report: bool = False


def seeders(count=2, **options):
    return [Client(f"seeder-{number}", options={"seeds": True, **options}) for number in range(1, count + 1)]


def leecher(
    name, speed_kb_per_s, program="libtorrent", *, address=None, country=None, late=False, nat=False, **options
):
    limits = {"download_bytes_per_s": speed_kb_per_s * 1000, "leaves_after_s": STAYS_S, **options}
    return Client(name, program, address, country, comes_late=late, behind_nat=nat, options=limits)


# Watched by torrent file and by magnet link at once, with addresses whose countries the test databases know.
TWO_VANTAGES = Scenario(
    "two-vantages",
    [
        Client("seeder-1", address="2.125.160.217", country="GB", options={"seeds": True}),
        Client("seeder-2", address="89.160.20.129", country="SE", options={"seeds": True}),
        Client("super-seeder", address="81.2.69.145", country="GB", options={"seeds": True, "super_seeds": True}),
        leecher("leecher-1", 90, address="89.160.20.114", country="SE"),
        leecher("leecher-2", 105, address="175.16.199.10", country="CN"),
        leecher("leecher-3", 120, address="202.196.224.11", country="PH"),
        leecher("leecher-4", 135, address="214.0.0.5", country="SG"),
        leecher("leecher-5", 150, address="214.0.1.6", country="AU"),
        leecher("leecher-6", 170, address="216.160.83.57", country="US", leaves_after_s=0),
        leecher("leecher-of-a-part", 120, address="81.2.69.193", country="GB", leaves_out_a_file=True),
        leecher("transmission", 120, "transmission", address="202.196.225.20", country="PH"),
        leecher("aria2", 120, "aria2", address="175.16.199.77", country="CN"),
        leecher("leecher-7", 140, address="149.101.100.2", country="US", late=True),
        leecher("leecher-8", 170, address="67.43.156.8", country="BT", late=True, leaves_after_s=0),
        leecher("leecher-9", 120, address="2.3.3.7", late=True),
    ],
    downloads=11,
    captures=[
        Capture("torrent-file", address="81.2.69.161"),
        Capture("magnet", entry="magnet", address="214.78.121.9"),
    ],
    tracker="opentracker",
    whole_report=True,
)

EVERY_CLIENT = Scenario(
    "every-client",
    [
        *seeders(),
        leecher("aria2", 110, "aria2"),
        leecher("ctorrent", 100, "ctorrent"),
        leecher("deluge", 120, "deluge"),
        leecher("libtorrent-2-0", 130, "libtorrent-2.0"),
        leecher("libtorrent-2-1", 140, "libtorrent"),
        leecher("qbittorrent", 110, "qbittorrent"),
        leecher("rtorrent", 120, "rtorrent"),
        leecher("transmission", 100, "transmission"),
        leecher("webtorrent", 130, "webtorrent"),
    ],
    downloads=9,
)

IPV6 = Scenario(
    "ipv6",
    [
        *seeders(),
        leecher("aria2", 110, "aria2"),
        leecher("libtorrent-2-0", 130, "libtorrent-2.0"),
        leecher("libtorrent-2-1", 140),
        leecher("qbittorrent", 110, "qbittorrent"),
        leecher("transmission", 100, "transmission"),
    ],
    downloads=5,
    network=6,
    named_by="tracker_http",
)

LEAVES_ON_COMPLETION = Scenario(
    "leaves-on-completion",
    [
        *seeders(),
        leecher("libtorrent-1", 130, leaves_after_s=0),
        leecher("libtorrent-2", 100, "libtorrent-2.0", leaves_after_s=0),
        leecher("qbittorrent", 110, "qbittorrent", leaves_after_s=0),
        leecher("aria2", 110, "aria2", leaves_after_s=0),
        leecher("transmission", 100, "transmission", leaves_after_s=0),
        leecher("rtorrent", 100, "rtorrent", leaves_after_s=0),
    ],
    downloads=6,
)

SUPER_SEEDING = Scenario(
    "super-seeding",
    [
        *seeders(2, super_seeds=True),
        Client("seeder-rtorrent", "rtorrent", options={"seeds": True, "super_seeds": True}),
        leecher("leecher-1", 130),
        leecher("leecher-2", 110),
        leecher("transmission", 120, "transmission"),
    ],
    downloads=3,
)

PARTIAL_SEEDS = Scenario(
    "partial-seeds",
    [
        *seeders(),
        leecher("whole-1", 130),
        leecher("whole-2", 100, "qbittorrent"),
        leecher("part-of-libtorrent", 130, leaves_out_a_file=True, leaves_after_s=20),
        leecher("part-of-aria2", 120, "aria2", leaves_out_a_file=True, leaves_after_s=20),
        leecher("part-of-deluge", 120, "deluge", leaves_out_a_file=True, leaves_after_s=20),
        leecher("part-of-qbittorrent", 120, "qbittorrent", leaves_out_a_file=True, leaves_after_s=20),
        leecher("part-of-rtorrent", 120, "rtorrent", leaves_out_a_file=True, leaves_after_s=20),
        leecher("part-of-transmission", 120, "transmission", leaves_out_a_file=True, leaves_after_s=20),
    ],
    downloads=2,
)

DHT_BY_MAGNET = Scenario(
    "dht-by-magnet",
    [
        *seeders(),
        *(leecher(f"leecher-{number}", 100 + 10 * number, from_magnet=True) for number in range(1, 6)),
    ],
    downloads=5,
    captures=[Capture("capture", entry="magnet")],
    tracker=None,
    dht=True,
    named_by="dht",
)

# Once they have called us, their NATs let our packets of uTP through.
# Without rtorrent: it tells nothing of its progress on a connection it made, and here it cannot be called.
BEHIND_NAT = Scenario(
    "behind-nat",
    [
        *seeders(),
        # A capture that lets one go, to see what it claims anew, is called again after a minute.
        leecher("libtorrent", 43, late=True, nat=True),
        leecher("qbittorrent", 36, "qbittorrent", late=True, nat=True),
        leecher("aria2", 36, "aria2", late=True, nat=True),
        leecher("transmission", 33, "transmission", late=True, nat=True),
        leecher("webtorrent", 55, "webtorrent", late=True, nat=True),
    ],
    downloads=5,
    first_contacts={"direction": "in"},
)

ONLY_BY_PEX = Scenario(
    "only-by-pex",
    [
        *seeders(),
        # Peers are told to others once a minute.
        leecher("libtorrent-2-0", 45, "libtorrent-2.0", without_trackers=True, knows=["seeder-1"]),
        leecher("libtorrent-2-1", 50, without_trackers=True, knows=["seeder-2"]),
        leecher("qbittorrent", 48, "qbittorrent", without_trackers=True, knows=["seeder-1"]),
        leecher("deluge", 44, "deluge", without_trackers=True, knows=["seeder-2"]),
        leecher("webtorrent", 46, "webtorrent", without_trackers=True, knows=["seeder-1"]),
    ],
    downloads=5,
    named_by="pex",
)

ONLY_BY_LSD = Scenario(
    "only-by-lsd",
    [
        *seeders(lsd=True),
        leecher("deluge", 110, "deluge", late=True, lsd=True),
        leecher("libtorrent-2-0", 120, "libtorrent-2.0", late=True, lsd=True),
        leecher("libtorrent-2-1", 130, late=True, lsd=True),
        leecher("qbittorrent", 110, "qbittorrent", late=True, lsd=True),
        leecher("transmission", 100, "transmission", late=True, lsd=True),
    ],
    downloads=5,
    captures=[Capture("capture", entry="file without trackers")],
    network="one network",
    tracker=None,
    named_by="lsd",
)

# The other clients announce themselves by multicast of IPv4 alone.
ONLY_BY_LSD_OVER_IPV6 = Scenario(
    "only-by-lsd-over-ipv6",
    [
        *seeders(lsd=True),
        leecher("libtorrent-2-0", 120, "libtorrent-2.0", late=True, lsd=True),
        leecher("libtorrent-2-1", 130, late=True, lsd=True),
        leecher("qbittorrent", 110, "qbittorrent", late=True, lsd=True),
    ],
    downloads=3,
    captures=[Capture("capture", entry="file without trackers")],
    network="one network of IPv6",
    tracker=None,
    named_by="lsd",
)

ONLY_ENCRYPTED = Scenario(
    "only-encrypted",
    [
        *seeders(encryption="forced"),
        leecher("aria2", 110, "aria2", encryption="forced"),
        leecher("deluge", 120, "deluge", encryption="forced"),
        leecher("libtorrent-2-0", 130, "libtorrent-2.0", encryption="forced"),
        leecher("libtorrent-2-1", 140, encryption="forced"),
        leecher("qbittorrent", 110, "qbittorrent", encryption="forced"),
        leecher("rtorrent", 120, "rtorrent", encryption="forced"),
        leecher("transmission", 100, "transmission", encryption="forced"),
    ],
    downloads=7,
    contacts={"encryption": "mse"},
    encrypted=True,
)

# Nobody takes RC4 for the payload, which is as it is behind an obfuscating handshake.
ONLY_ENCRYPTED_HANDSHAKES = Scenario(
    "only-encrypted-handshakes",
    [
        *seeders(encryption="forced handshake"),
        leecher("libtorrent-2-0", 110, "libtorrent-2.0", encryption="forced handshake"),
        leecher("libtorrent-2-1", 120, encryption="forced handshake"),
    ],
    downloads=2,
    contacts={"encryption": "mse"},
)

ONLY_OVER_UTP = Scenario(
    "only-over-utp",
    [
        *seeders(transport="utp"),
        leecher("libtorrent-2-0", 130, "libtorrent-2.0", transport="utp"),
        leecher("libtorrent-2-1", 140, transport="utp"),
        leecher("qbittorrent", 110, "qbittorrent", transport="utp"),
    ],
    downloads=3,
    contacts={"transport": "utp"},
)

# Nobody can call the hidden leecher, nor it the capture, which does not listen: one that both are connected to has
# them call each other (BEP 55). The seeder is let go too soon for that.
INTRODUCED = Scenario(
    "introduced",
    [
        *seeders(1, transport="utp"),
        leecher("introducer", 38, transport="utp", without_trackers=True, knows=["seeder-1"]),
        leecher("hidden", 42, nat=True, transport="utp", without_trackers=True, knows=["introducer", "seeder-1"]),
    ],
    downloads=2,
    captures=[Capture("capture", options=["--no-listen"])],
    named_by="pex",
    contacts={"transport": "utp", "direction": "out"},
)

# The longest first.
SCENARIOS = [
    ONLY_BY_PEX,
    INTRODUCED,
    BEHIND_NAT,
    ONLY_BY_LSD,
    ONLY_BY_LSD_OVER_IPV6,
    ONLY_ENCRYPTED,
    TWO_VANTAGES,
    EVERY_CLIENT,
    PARTIAL_SEEDS,
    DHT_BY_MAGNET,
    IPV6,
    LEAVES_ON_COMPLETION,
    ONLY_ENCRYPTED_HANDSHAKES,
    ONLY_OVER_UTP,
    SUPER_SEEDING,
]
