"""What every agent does: run one real client on its host and print its own figures as JSON lines.

An agent is started as `agent '{"torrent": …, "folder": …, …}'` (`clients.py` tells the options), samples its client
ten times a second, and ends on SIGTERM, or some time after the download is complete if `leaves_after_s` is set.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

PORT = 6881
SAMPLE_S = 0.1
START_S = 20
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Terminated(Exception):
    """The harness wants the client to stop."""


def on_terminate(_signal, _frame):
    raise Terminated


def options(*unable):
    """The options; those named in `unable` are refused, so that no scenario holds for want of being run."""
    signal.signal(signal.SIGTERM, on_terminate)
    given = json.loads(sys.argv[1])
    refused = [name for name in unable if given.get(name)]
    if refused:
        sys.exit(f"this client knows no {', '.join(refused)}")
    return given


def start_daemon(arguments, home, **more):
    """Starts the client with all of its folders below `home`."""
    folders = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "XDG_CACHE_HOME": home}
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **folders},
        preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        **{"stdout": sys.stderr, **more},
    )


def post(url, body, headers=()):
    request = urllib.request.Request(url, json.dumps(body).encode(), dict(headers))
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def once_up(call):
    """The result of `call`, tried until the client listens."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return call()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(SAMPLE_S)


def listens():
    """Waits until the client accepts connections of peers, for one that says so in no other way."""
    once_up(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=1).close())


class Reporter:
    """Prints samples, and tells when the client shall leave."""

    def __init__(self, options):
        self.observers = options.get("observers", [])
        self.leaves_after_s = options.get("leaves_after_s")
        self.given = {}
        self.completed_at = None

    def sample(self, pieces, complete, given, **more):
        """`given` is what the client says it gave to each address, in bytes, or bytes/s where it tells no more."""
        for address in self.observers:
            self.given[address] = max(self.given.get(address, 0), given.get(address, 0))
        now = time.time()
        sample = {"time": now, "pieces": pieces, "complete": complete, "given": self.given, **more}
        print(json.dumps(sample), flush=True)
        if complete and self.completed_at is None:
            self.completed_at = now
        return self.leaves_after_s is not None and complete and now >= self.completed_at + self.leaves_after_s


def run(daemon, options, sample):
    """Reports `sample()` = (pieces, complete, given) until the client shall leave; then ends it."""
    reporter = Reporter(options)
    try:
        while not reporter.sample(*sample()):
            time.sleep(SAMPLE_S)
    except Terminated:
        pass
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(SAMPLE_S)
            print(f"the client ended by itself: {daemon.returncode}", file=sys.stderr)
        daemon.terminate()
        daemon.wait()
