"""Trackers over HTTP and UDP: opentracker, and the one that webtorrent brings, which also serves IPv6."""

import ipaddress
import json
import sys

from clients import wait_until
from network import bracketed

PORT = 6969
COMPACT_LEN = 6
ANNOUNCE_EVERY_MS = 5_000
# Runs on the tracker's host, which alone can reach it: prints the answer to a GET as JSON with text of any bytes.
GET = """
import json, sys, urllib.request
import libtorrent
def plain(value):
    if isinstance(value, dict):
        return {key.decode("latin-1"): plain(item) for key, item in value.items()}
    return value.decode("latin-1") if isinstance(value, bytes) else value
print(json.dumps(plain(libtorrent.bdecode(urllib.request.urlopen(sys.argv[1], timeout=5).read()))))
"""


class Tracker:
    """A tracker on a host of its own."""

    def __init__(self, network, address=None):
        self.host = network.host("tracker", address)
        at = f"{bracketed(self.host.address)}:{PORT}/announce"
        self.http, self.udp = f"http://{at}", f"udp://{at}"
        self.urls = [self.http, self.udp]

    def start(self, folder, info_hash):
        folder.mkdir()
        with (folder / "tracker.log").open("w") as log:
            self.host.start(self.command(folder, info_hash), stdout=log, stderr=log)
        wait_until(lambda: self.get("scrape", info_hash) is not None, "the tracker answers", 10)

    def get(self, what, info_hash, query=""):
        """The tracker's answer about a swarm; None while there is none."""
        quoted = "".join(f"%{info_hash[at : at + 2]}" for at in range(0, len(info_hash), 2))
        url = f"http://{bracketed(self.host.address)}:{PORT}/{what}?info_hash={quoted}{query}"
        answer = self.host.run([sys.executable, "-c", GET, url])
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def peers(self, info_hash):
        """The addresses the tracker names to a newcomer, which it counts from then on."""
        query = f"&peer_id={'-' * 20}&port=1&left=1&numwant=200&compact=1&event=started"
        peers = self.get("announce", info_hash, query)["peers"].encode("latin-1")
        addresses = (ipaddress.ip_address(peers[at : at + 4]) for at in range(0, len(peers), COMPACT_LEN))
        return {str(address) for address in addresses}


class OpenTracker(Tracker):
    """It serves the info-hashes it is given: Debian's build knows no other mode, and no IPv6."""

    def command(self, folder, info_hash):
        # It goes into the folder by chroot and reads the list there as nobody.
        folder.chmod(0o755)
        (folder / "whitelist").write_text(f"{info_hash}\n")
        return ["opentracker", "-i", self.host.address, "-p", PORT, "-P", PORT, "-d", folder, "-w", "whitelist"]


class WebTorrentTracker(Tracker):
    """It serves any swarm, and tells peers to come back soon."""

    def __init__(self, network, modules):
        super().__init__(network)
        self.modules = modules
        if ":" in self.host.address:
            # Its answers over UDP have no peers of IPv6.
            self.urls = [self.http]

    def command(self, folder, info_hash):
        program = self.modules / "bittorrent-tracker" / "bin" / "cmd.js"
        return ["node", program, "--http", "--udp", "--port", PORT, "--interval", ANNOUNCE_EVERY_MS]
