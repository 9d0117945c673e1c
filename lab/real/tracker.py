"""opentracker, over HTTP and UDP."""

import json
import sys

from clients import wait_until

PORT = 6969
# Runs on the tracker's host, which alone can reach it: prints the scrape's counts.
SCRAPE = """
import json, sys, urllib.request
import libtorrent
answer = urllib.request.urlopen(sys.argv[1], timeout=5).read()
totals = {"complete": 0, "incomplete": 0, "downloaded": 0}
for counts in libtorrent.bdecode(answer)[b"files"].values():
    totals |= {key.decode(): value for key, value in counts.items()}
print(json.dumps(totals))
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
            wait_until(lambda: self.scrape(info_hash) is not None, "the tracker answers", 10)

    def scrape(self, info_hash):
        """A swarm's `complete`, `incomplete` and `downloaded`; None while the tracker does not answer."""
        query = "".join(f"%{info_hash[at : at + 2]}" for at in range(0, len(info_hash), 2))
        url = f"http://{self.host.address}:{PORT}/scrape?info_hash={query}"
        answer = self.host.run([sys.executable, "-c", SCRAPE, url])
        return json.loads(answer.stdout) if answer.returncode == 0 else None
