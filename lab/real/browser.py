"""Headless Chromium without any network, spoken to over a pipe in its DevTools protocol."""

import base64
import itertools
import json
import os
import select
import subprocess
import time
from contextlib import contextmanager

COMMAND = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
COMMAND += ["--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe"]
# Seconds that the browser may take for an answer.
PATIENCE = 60


class Page:
    """One tab: opens a file, runs JavaScript in it, and keeps what the browser complained of."""

    def __init__(self, to_browser, from_browser):
        self.to_browser, self.from_browser = to_browser, from_browser
        self.numbers = itertools.count(1)
        self.received = b""
        self.complaints = []
        self.loaded = False
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Sends a command and waits for its result."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _receive(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self.received:
            ready, _, _ = select.select([self.from_browser], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"the browser said nothing for {PATIENCE} s"
            part = os.read(self.from_browser, 1 << 16)
            assert part, "the browser has ended"
            self.received += part
        line, _, self.received = self.received.partition(b"\0")
        message = json.loads(line)
        self._note(message.get("method"), message.get("params"))
        return message

    def _note(self, event, parameters):
        if event == "Page.loadEventFired":
            self.loaded = True
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"])
        elif event == "Log.entryAdded":
            self.complaints.append(parameters["entry"])
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(parameters)
        elif event == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.complaints.append(f"asked the network for {url}")

    def show(self, width=1280, height=900, *, dark=False, media="screen"):
        """Sets the window's size and what the reader prefers."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def open(self, path, fragment=""):
        """Opens a file anew and waits until it is loaded; returns the seconds that took."""
        self.loaded = False
        self.call("Page.navigate", url="about:blank")
        while not self.loaded:
            self._receive()
        self.loaded = False
        began = time.monotonic()
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        while not self.loaded:
            self._receive()
        return time.monotonic() - began

    def run(self, script):
        """The value of a JavaScript expression; of a promise, what it is kept with."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition):
        """Waits until a JavaScript expression is true; fails where it does not become so."""
        deadline = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}"

    def settle(self):
        """Lets what was started by an event come to its end."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def point(self, x, y):
        """Moves the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key):
        """Presses a key by its name."""
        codes = {"Escape": 27, "ArrowRight": 39}
        for kind in ("rawKeyDown", "keyUp"):
            code = codes[key]
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path, *, whole=True):
        """Takes a picture of the window, or of the whole page, for people to look at."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self):
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])


@contextmanager
def browser(profile):
    """A page of a browser of its own, in a network namespace of its own where that may be made."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()

    def as_expected():
        # The protocol's numbers: the browser reads from 3 and writes to 4.
        low, high = os.dup(from_us), os.dup(to_us)
        os.dup2(low, 3)
        os.dup2(high, 4)

    isolated = ["unshare", "--net"] if os.geteuid() == 0 else []
    command = [*isolated, *COMMAND, f"--user-data-dir={profile}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, preexec_fn=as_expected, close_fds=False, **quiet)
    os.close(from_us)
    os.close(to_us)
    try:
        yield Page(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        process.terminate()
        process.wait(PATIENCE)
