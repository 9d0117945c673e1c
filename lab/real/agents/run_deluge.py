"""deluged with one torrent, asked through its RPC: zlib over rencode over TLS."""

import base64
import json
import socket
import ssl
import struct
import zlib
from pathlib import Path

import common
import rencode

RPC_PORT = 58846
HEADER = struct.Struct(">BI")
VERSION = 1
RESPONSE = 1
ENCRYPTION = {"forced": 0, "disabled": 2}
EITHER = 1
FULL_STREAM = 1
# Its list of pieces fails now and then with an error of its own; a piece of these torrents is one block.
FIELDS = ["is_finished", "peers", "piece_length", "total_done"]


class Rpc:
    """A connection to the daemon."""

    def __init__(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", RPC_PORT), timeout=5))
        self.count = 0

    def read(self, length):
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError("the daemon hung up")
            data += part
        return data

    def call(self, method, *arguments, **named):
        self.count += 1
        body = zlib.compress(rencode.dumps([[self.count, method, arguments, named]]))
        self.socket.sendall(HEADER.pack(VERSION, len(body)) + body)
        while True:
            _, length = HEADER.unpack(self.read(HEADER.size))
            answer = rencode.loads(zlib.decompress(self.read(length)), decode_utf8=True)
            # Events come in between.
            if answer[0] == RESPONSE and answer[1] == self.count:
                return answer[2]
            if len(answer) > 1 and answer[1] == self.count:
                raise RuntimeError(f"{method}: {answer[2:]}")


def write_settings(options):
    policy = ENCRYPTION.get(options.get("encryption"), EITHER)
    settings = {
        "allow_remote": False,
        "daemon_port": RPC_PORT,
        "dht": False,
        "download_location": options["folder"],
        "enc_in_policy": policy,
        "enc_level": FULL_STREAM,
        "enc_out_policy": policy,
        "listen_ports": [common.PORT, common.PORT],
        "lsd": options.get("lsd", False),
        "max_download_speed": options.get("download_bytes_per_s", -1024) / 1024,
        "natpmp": False,
        "new_release_check": False,
        "random_port": False,
        "upnp": False,
        "utpex": True,
    }
    versions = {"file": 1, "format": 1}
    (Path(options["home"]) / "core.conf").write_text(json.dumps(versions) + json.dumps(settings))
    (Path(options["home"]) / "auth").write_text("agent:agent:10\n")


def main():
    options = common.options("dht", "from_magnet", "transport")
    write_settings(options)
    daemon = common.start_daemon(["deluged", "--do-not-daemonize", "--config", options["home"]], options["home"])
    rpc = common.once_up(Rpc)
    rpc.call("daemon.login", "agent", "agent", client_version="2.0.3")
    of_torrent = {"seed_mode": options.get("seeds", False), "super_seeding": options.get("super_seeds", False)}
    if options.get("leaves_out_a_file"):
        of_torrent["file_priorities"] = [4, 0]
    metainfo = base64.b64encode(Path(options["torrent"]).read_bytes())
    torrent = rpc.call("core.add_torrent_file", "t.torrent", metainfo, of_torrent)
    for address, port in options.get("knows_at", []):
        rpc.call("core.connect_peer", torrent, address, port)

    def sample():
        status = rpc.call("core.get_torrent_status", torrent, FIELDS)
        pieces = -(-status["total_done"] // status["piece_length"])
        # It has no totals for a peer, only speeds.
        given = {peer["ip"].rsplit(":", 1)[0].strip("[]"): peer["up_speed"] for peer in status["peers"]}
        return pieces, status["is_finished"], given

    common.run(daemon, options, sample)


main()
