"""transmission-daemon with one torrent, asked through its RPC."""

import base64
import json
import urllib.error
from pathlib import Path

import common

RPC = "http://127.0.0.1:9091/transmission/rpc"
SESSION_HEADER = "X-Transmission-Session-Id"


class Rpc:
    """Transmission wants its session id back on every request, and tells it in a 409."""

    def __init__(self):
        self.session_id = ""

    def call(self, method, arguments):
        body = {"method": method, "arguments": arguments}
        try:
            return common.post(RPC, body, {SESSION_HEADER: self.session_id})["arguments"]
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
            self.session_id = error.headers[SESSION_HEADER]
        return common.post(RPC, body, {SESSION_HEADER: self.session_id})["arguments"]


def main():
    options = common.options()
    home = Path(options["folder"])
    limit_kb_per_s = options["download_bytes_per_s"] // 1000
    settings = {
        "dht-enabled": False,
        "download-dir": str(home),
        "lpd-enabled": False,
        "peer-port": 6881,
        "port-forwarding-enabled": False,
        "rpc-bind-address": "127.0.0.1",
        "speed-limit-down": limit_kb_per_s,
        "speed-limit-down-enabled": True,
    }
    (home / "settings.json").write_text(json.dumps(settings))
    daemon = common.start_daemon(["transmission-daemon", "--foreground", "--config-dir", str(home)])
    try:
        rpc = Rpc()
        metainfo = base64.b64encode(Path(options["torrent"]).read_bytes()).decode()
        common.once_up(lambda: rpc.call("torrent-add", {"metainfo": metainfo}))

        def sample():
            fields = ["haveValid", "pieces", "leftUntilDone"]
            (torrent,) = rpc.call("torrent-get", {"fields": fields})["torrents"]
            pieces = sum(byte.bit_count() for byte in base64.b64decode(torrent["pieces"]))
            return pieces, torrent["haveValid"] > 0 and torrent["leftUntilDone"] == 0

        common.report(sample, options.get("leaves", False))
    except common.Terminated:
        pass
    finally:
        daemon.terminate()
        daemon.wait()


main()
