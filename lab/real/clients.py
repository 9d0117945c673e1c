"""Real clients on hosts of the test network, and what each says of its own download."""

import bisect
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from network import Host

AGENTS = Path(__file__).parent / "agents"
POLL_S = 0.1


def wait_until(condition, what, timeout_s):
    """The first true value of `condition()`; an error naming `what` if there is none in time."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(POLL_S)
    return value


@dataclass
class Client:
    """A client's options and, once started, its own account of its progress."""

    name: str
    program: str
    address: str
    country: str | None
    options: dict = field(default_factory=dict)
    host: Host | None = None
    process: object = None
    folder: Path | None = None
    known: list = field(default_factory=list)

    @property
    def seeds(self):
        return self.options.get("seeds", False)

    def start(self, network, torrent, content, folder):
        self.host = self.host or network.host(self.name, self.address)
        self.folder = folder / self.name
        self.folder.mkdir()
        options = {"torrent": str(torrent), "folder": str(content if self.seeds else self.folder), **self.options}
        with (self.folder / "samples").open("w") as samples, (self.folder / "messages").open("w") as messages:
            agent = AGENTS / f"run_{self.program}.py"
            self.process = self.host.start(
                [sys.executable, agent, json.dumps(options)], stdout=samples, stderr=messages
            )

    def samples(self):
        """All samples so far, oldest first."""
        lines = (self.folder / "samples").read_text().splitlines(keepends=True)
        for line in lines[len(self.known) :]:
            if line.endswith("\n"):
                self.known.append(json.loads(line))
        return self.known

    def is_complete(self):
        samples = self.samples()
        if self.process.poll() not in (None, 0):
            raise RuntimeError(f"{self.name} ended: {(self.folder / 'messages').read_text()}")
        return bool(samples) and samples[-1]["complete"]

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
