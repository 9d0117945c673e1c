"""transmission-daemon with one torrent, asked through its RPC."""

import base64
import json
import urllib.error
from pathlib import Path

import common

RPC = "http://127.0.0.1:9091/transmission/rpc"
SESSION_HEADER = "X-Transmission-Session-Id"
PREFERRED, REQUIRED = 1, 2


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
    options = common.options("dht", "knows", "super_seeds")
    if options.get("transport") == "utp":
        raise SystemExit("this client cannot do without TCP")
    home = Path(options["home"])
    limit_kb_per_s = options.get("download_bytes_per_s", 0) // 1000
    settings = {
        "dht-enabled": False,
        "download-dir": options["folder"],
        "encryption": REQUIRED if options.get("encryption") else PREFERRED,
        "lpd-enabled": options.get("lsd", False),
        "peer-port": common.PORT,
        "port-forwarding-enabled": False,
        "rpc-bind-address": "127.0.0.1",
        "speed-limit-down": limit_kb_per_s,
        "speed-limit-down-enabled": limit_kb_per_s > 0,
        "utp-enabled": options.get("transport") != "tcp",
    }
    (home / "settings.json").write_text(json.dumps(settings))
    command = ["transmission-daemon", "--foreground", "--config-dir", options["home"]]
    daemon = common.start_daemon(command, options["home"])
    rpc = Rpc()
    if options.get("from_magnet"):
        source = {"filename": options["magnet"]}
    else:
        source = {"metainfo": base64.b64encode(Path(options["torrent"]).read_bytes()).decode()}
    if options.get("leaves_out_a_file"):
        source["files-unwanted"] = [1]
    common.once_up(lambda: rpc.call("torrent-add", source))

    def sample():
        fields = ["haveValid", "leftUntilDone", "peers", "pieces"]
        (torrent,) = rpc.call("torrent-get", {"fields": fields})["torrents"]
        pieces = sum(byte.bit_count() for byte in base64.b64decode(torrent["pieces"]))
        # It has no totals for a peer, only speeds.
        given = {peer["address"]: peer["rateToPeer"] for peer in torrent["peers"]}
        return pieces, torrent["haveValid"] > 0 and torrent["leftUntilDone"] == 0, given

    common.run(daemon, options, sample)


main()
