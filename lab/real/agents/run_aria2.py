"""aria2c with one torrent, asked through its RPC."""

import base64
from pathlib import Path

import common

RPC = "http://127.0.0.1:6800/jsonrpc"


def call(method, *parameters):
    return common.post(RPC, {"jsonrpc": "2.0", "id": "1", "method": method, "params": parameters})["result"]


def main():
    options = common.options("dht", "knows", "lsd", "super_seeds", "transport")
    arguments = [
        "aria2c",
        "--enable-rpc",
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--file-allocation=none",
        f"--listen-port={common.PORT}",
        "--seed-ratio=0",
        f"--dir={options['folder']}",
        f"--max-overall-download-limit={options.get('download_bytes_per_s', 0)}",
        "--quiet",
    ]
    if options.get("encryption"):
        arguments += ["--bt-force-encryption=true", "--bt-min-crypto-level=arc4"]
    wanted = {"select-file": "1"} if options.get("leaves_out_a_file") else {}
    daemon = common.start_daemon(arguments, options["home"])
    if options.get("from_magnet"):
        gid = common.once_up(lambda: call("aria2.addUri", [options["magnet"]]))
    else:
        metainfo = base64.b64encode(Path(options["torrent"]).read_bytes()).decode()
        gid = common.once_up(lambda: call("aria2.addTorrent", metainfo, [], wanted))

    def sample():
        status = call("aria2.tellStatus", gid, ["bitfield", "seeder"])
        pieces = int(status.get("bitfield", "0"), 16).bit_count()
        # It has no totals for a peer, only speeds.
        given = {peer["ip"]: int(peer["uploadSpeed"]) for peer in call("aria2.getPeers", gid)}
        return pieces, status.get("seeder") == "true", given

    common.run(daemon, options, sample)


main()
