"""aria2c with one torrent, asked through its RPC."""

import base64
from pathlib import Path

import common

RPC = "http://127.0.0.1:6800/jsonrpc"


def call(method, *parameters):
    return common.post(RPC, {"jsonrpc": "2.0", "id": "1", "method": method, "params": parameters})["result"]


def main():
    options = common.options()
    daemon = common.start_daemon(
        [
            "aria2c",
            "--enable-rpc",
            "--enable-dht=false",
            "--bt-enable-lpd=false",
            "--file-allocation=none",
            "--listen-port=6881",
            "--seed-ratio=0",
            f"--dir={options['folder']}",
            f"--max-overall-download-limit={options['download_bytes_per_s']}",
            "--quiet",
        ]
    )
    try:
        metainfo = base64.b64encode(Path(options["torrent"]).read_bytes()).decode()
        gid = common.once_up(lambda: call("aria2.addTorrent", metainfo))

        def sample():
            status = call("aria2.tellStatus", gid, ["bitfield", "completedLength", "totalLength"])
            pieces = int(status.get("bitfield", "0"), 16).bit_count()
            done_bytes = int(status["completedLength"])
            return pieces, done_bytes > 0 and done_bytes == int(status["totalLength"])

        common.report(sample, options.get("leaves", False))
    except common.Terminated:
        pass
    finally:
        daemon.terminate()
        daemon.wait()


main()
