"""What every agent does: run one real client on its host and print its own figures as JSON lines.

An agent is started as `agent.py '{"torrent": …, "folder": …, …}'`, samples its client ten times a second, and ends on
SIGTERM, or when the download is complete if `leaves` is set.
"""

import ctypes
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

SAMPLE_S = 0.1
START_S = 20
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Terminated(Exception):
    """The harness wants the client to stop."""


def on_terminate(_signal, _frame):
    raise Terminated


def options():
    signal.signal(signal.SIGTERM, on_terminate)
    return json.loads(sys.argv[1])


def start_daemon(arguments):
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
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


def report(sample, leaves):
    """Prints `sample()` = (pieces, complete) until the client shall stop."""
    while True:
        pieces, complete = sample()
        print(json.dumps({"time": time.time(), "pieces": pieces, "complete": complete}), flush=True)
        if leaves and complete:
            return
        time.sleep(SAMPLE_S)
