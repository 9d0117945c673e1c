"""rtorrent with one torrent, asked by XML-RPC over SCGI."""

import contextlib
import socket
import time
import xmlrpc.client
from pathlib import Path

import common

RPC_PORT = 5000
ENCRYPTION = {"forced": "require,require_RC4", "disabled": "none", None: "allow_incoming,try_outgoing"}


def call(method, *parameters):
    body = xmlrpc.client.dumps(parameters, method).encode()
    headers = f"CONTENT_LENGTH\0{len(body)}\0SCGI\x001\0".encode()
    with socket.create_connection(("127.0.0.1", RPC_PORT), timeout=5) as connection:
        connection.sendall(f"{len(headers)}:".encode() + headers + b"," + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    (result,), _ = xmlrpc.client.loads(answer.split(b"\r\n\r\n", 1)[1])
    return result


def main():
    options = common.options("dht", "from_magnet", "knows", "lsd", "transport")
    home = Path(options["home"])
    limit_kb_per_s = options.get("download_bytes_per_s", 0) // 1024
    lines = [
        "system.daemon.set = true",
        f"network.scgi.open_port = 127.0.0.1:{RPC_PORT}",
        f"network.port_range.set = {common.PORT}-{common.PORT}",
        "network.port_random.set = no",
        "dht.mode.set = disable",
        # A check of the whole content at the end would make its count start over.
        "pieces.hash.on_completion.set = no",
        "protocol.pex.set = yes",
        f"protocol.encryption.set = {ENCRYPTION[options.get('encryption')]}",
        f"directory.default.set = {options['folder']}",
        f"throttle.global_down.max_rate.set_kb = {limit_kb_per_s}",
    ]
    if options.get("super_seeds"):
        lines.append("protocol.connection.seed.set = initial_seed")
    (home / "settings").write_text("\n".join(lines) + "\n")
    daemon = common.start_daemon(["rtorrent", "-n", "-o", f"import={home / 'settings'}"], options["home"])
    common.once_up(lambda: call("system.client_version"))
    metainfo = xmlrpc.client.Binary(Path(options["torrent"]).read_bytes())
    call("load.raw", "", metainfo)
    while not (torrents := call("download_list")):
        time.sleep(common.SAMPLE_S)
    (info_hash,) = torrents
    if options.get("leaves_out_a_file"):
        call("f.priority.set", f"{info_hash}:f1", 0)
        call("d.update_priorities", info_hash)
    call("d.start", info_hash)

    def sample():
        pieces = call("d.completed_chunks", info_hash)
        given = {}
        with contextlib.suppress(xmlrpc.client.Fault):
            for address, up_bytes in call("p.multicall", info_hash, "", "p.address=", "p.up_total="):
                given[address] = given.get(address, 0) + up_bytes
        complete = bool(call("d.complete", info_hash) or call("d.is_partially_done", info_hash))
        return pieces, complete, given

    common.run(daemon, options, sample)


main()
