"""qbittorrent-nox with one torrent, asked through its web API."""

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path

import common

API = "http://127.0.0.1:8080/api/v2"
BOUNDARY = "a-line-that-no-part-holds"
ENCRYPTION = {"forced": 1, "disabled": 2}
TRANSPORT = {"tcp": "TCP", "utp": "UTP"}


def get(path, **query):
    with urllib.request.urlopen(f"{API}/{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
        return json.load(answer)


def post(path, fields, torrent=None):
    """A form, with a torrent file if one is given."""
    parts = [(f'name="{name}"', str(value).encode()) for name, value in fields.items()]
    if torrent:
        parts.append(('name="torrents"; filename="t.torrent"', Path(torrent).read_bytes()))
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    request = urllib.request.Request(f"{API}/{path}", body + f"--{BOUNDARY}--\r\n".encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read()


def write_settings(options):
    session = {
        "BTProtocol": TRANSPORT.get(options.get("transport"), "Both"),
        "DHTEnabled": "false",
        "Encryption": ENCRYPTION.get(options.get("encryption"), 0),
        "GlobalDLSpeedLimit": options.get("download_bytes_per_s", 0) // 1024,
        "LSDEnabled": json.dumps(options.get("lsd", False)),
        "Port": common.PORT,
        "QueueingSystemEnabled": "false",
    }
    lines = ["[LegalNotice]", "Accepted=true", "[BitTorrent]"]
    lines += [f"Session\\{key}={value}" for key, value in session.items()]
    lines += ["[Preferences]", "WebUI\\LocalHostAuth=false", "WebUI\\Address=127.0.0.1", "WebUI\\Port=8080"]
    lines += ["[Network]", "PortForwardingEnabled=false"]
    folder = Path(options["home"]) / "qBittorrent" / "config"
    folder.mkdir(parents=True)
    (folder / "qBittorrent.conf").write_text("\n".join(lines) + "\n")


def main():
    options = common.options("dht", "super_seeds")
    write_settings(options)
    daemon = common.start_daemon(["qbittorrent-nox", f"--profile={options['home']}"], options["home"])
    common.once_up(lambda: get("app/buildInfo"))
    fields = {"savepath": options["folder"], "skip_checking": json.dumps(options.get("seeds", False))}
    if options.get("from_magnet"):
        post("torrents/add", {**fields, "urls": options["magnet"]})
    else:
        post("torrents/add", fields, options["torrent"])
    while not (torrents := get("torrents/info")):
        time.sleep(common.SAMPLE_S)
    info_hash = torrents[0]["hash"]
    if options.get("leaves_out_a_file"):
        post("torrents/filePrio", {"hash": info_hash, "id": 1, "priority": 0})
    if options.get("knows_at"):
        peers = "|".join(f"{address}:{port}" for address, port in options["knows_at"])
        post("torrents/addPeers", {"hashes": info_hash, "peers": peers})

    def sample():
        (torrent,) = get("torrents/info")
        pieces = get("torrents/pieceStates", hash=info_hash).count(2) if torrent["completed"] else 0
        given = {}
        for peer in get("sync/torrentPeers", hash=info_hash, rid=0).get("peers", {}).values():
            given[peer["ip"]] = given.get(peer["ip"], 0) + peer["uploaded"]
        return pieces, torrent["completed"] > 0 and torrent["amount_left"] == 0, given

    common.run(daemon, options, sample)


main()
