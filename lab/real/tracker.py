"""opentracker, over HTTP and UDP."""

import ipaddress
import json
import sys

from clients import wait_until

PORT = 6969
COMPACT_LEN = 6
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
    """A tracker that serves the info-hashes it is given: Debian's opentracker knows no other mode."""

    def __init__(self, network, address):
        self.host = network.host("tracker", address)
        self.http = f"http://{address}:{PORT}/announce"
        self.udp = f"udp://{address}:{PORT}/announce"

    def start(self, folder, info_hashes):
        # It goes into the folder by chroot and reads the list there as nobody.
        folder.chmod(0o755)
        (folder / "whitelist").write_text("".join(f"{info_hash}\n" for info_hash in info_hashes))
        with (folder / "tracker.log").open("w") as log:
            self.host.start(
                ["opentracker", "-i", self.host.address, "-p", PORT, "-P", PORT, "-d", folder, "-w", "whitelist"],
                stdout=log,
                stderr=log,
            )
        for info_hash in info_hashes:
            wait_until(lambda: self.get("scrape", info_hash) is not None, "the tracker answers", 10)

    def get(self, what, info_hash, query=""):
        """The tracker's answer about a swarm; None while there is none."""
        quoted = "".join(f"%{info_hash[at : at + 2]}" for at in range(0, len(info_hash), 2))
        url = f"http://{self.host.address}:{PORT}/{what}?info_hash={quoted}{query}"
        answer = self.host.run([sys.executable, "-c", GET, url])
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def peer_count(self, info_hash):
        counts = self.get("scrape", info_hash)["files"].values()
        return sum(swarm["complete"] + swarm["incomplete"] for swarm in counts)

    def peers(self, info_hash):
        """The addresses the tracker names to a newcomer, which it counts from then on."""
        query = f"&peer_id={'-' * 20}&port=1&left=1&numwant=200&compact=1&event=started"
        peers = self.get("announce", info_hash, query)["peers"].encode("latin-1")
        addresses = (ipaddress.ip_address(peers[at : at + 4]) for at in range(0, len(peers), COMPACT_LEN))
        return {str(address) for address in addresses}
