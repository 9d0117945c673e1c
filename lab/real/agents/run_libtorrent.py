"""A libtorrent session with one torrent, which also logs what kinds of message it hears from the observers."""

import contextlib
import re
import time

import common
import libtorrent

SETTINGS = {
    "alert_queue_size": 100_000,
    "dht_bootstrap_nodes": "",
    "dht_ignore_dark_internet": False,
    "dht_prefer_verified_node_ids": False,
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_natpmp": False,
    "enable_upnp": False,
    "listen_interfaces": f"0.0.0.0:{common.PORT},[::]:{common.PORT}",
    # Whoever asks a tracker before the others are there would not ask again in this test's time.
    "min_announce_interval": 5,
    "stop_tracker_timeout": 1,
    "unchoke_slots_limit": 20,
}
DHT_ANNOUNCE_EVERY_S = 2
FORCED, DISABLED = 0, 2
# What carries the payload behind an obfuscating handshake, by what is wanted.
LEVELS = {"forced": 2, "forced handshake": 1}
# The peer log has lines of every kind; those of the wire protocol begin with an arrow.
HEARD = re.compile(r"<== (\w+)")
OTHERS = "others"


def settings(options):
    chosen = {**SETTINGS, "download_rate_limit": options.get("download_bytes_per_s", 0)}
    if options.get("observers"):
        chosen["alert_mask"] = libtorrent.alert.category_t.peer_log_notification
    encryption = options.get("encryption")
    if encryption:
        policy = FORCED if encryption in LEVELS else DISABLED
        level = LEVELS.get(encryption, LEVELS["forced"])
        chosen |= {"in_enc_policy": policy, "out_enc_policy": policy, "allowed_enc_level": level}
    transport = options.get("transport")
    if transport:
        other = {"tcp": "utp", "utp": "tcp"}[transport]
        chosen |= {f"enable_incoming_{other}": False, f"enable_outgoing_{other}": False}
    chosen["enable_dht"] = "dht" in options
    chosen["enable_lsd"] = options.get("lsd", False)
    return chosen


def parameters(options):
    if options.get("from_magnet"):
        chosen = libtorrent.parse_magnet_uri(options["magnet"])
    else:
        chosen = libtorrent.load_torrent_file(options["torrent"])
    chosen.save_path = options["folder"]
    flags = libtorrent.torrent_flags
    chosen.flags &= ~(flags.auto_managed | flags.paused)
    if options.get("seeds"):
        chosen.flags |= flags.seed_mode
    if options.get("super_seeds"):
        chosen.flags |= flags.super_seeding
    if options.get("leaves_out_a_file"):
        chosen.file_priorities = [4, 0]
    return chosen


class Log:
    """The kinds of message each observer, and all others together, sent: from libtorrent's own log of its peers."""

    def __init__(self, session, observers):
        self.session = session
        self.heard = {observer: set() for observer in [*observers, OTHERS]}

    def read(self):
        for alert in self.session.pop_alerts():
            if isinstance(alert, libtorrent.peer_log_alert):
                kind = HEARD.search(alert.message())
                if kind:
                    self.heard.get(alert.ip[0], self.heard[OTHERS]).add(kind[1])
        return {observer: sorted(kinds) for observer, kinds in self.heard.items()}


def main():
    options = common.options()
    session = libtorrent.session(settings(options))
    handle = session.add_torrent(parameters(options))
    for address, port in options.get("knows_at", []):
        handle.connect_peer((address, port))
    log = Log(session, options.get("observers", []))
    reporter = common.Reporter(options)
    announced_at = 0

    with contextlib.suppress(common.Terminated):
        while True:
            status = handle.status()
            given = {}
            for peer in handle.get_peer_info():
                given[peer.ip[0]] = given.get(peer.ip[0], 0) + peer.total_upload
            complete = status.has_metadata and status.is_finished
            if reporter.sample(status.num_pieces, complete, given, heard=log.read()):
                break
            if "dht" in options and time.monotonic() >= announced_at + DHT_ANNOUNCE_EVERY_S:
                announced_at = time.monotonic()
                # A node that did not listen yet is not asked again otherwise.
                for address, port in options["dht"]:
                    session.add_dht_node((address, port))
                handle.force_dht_announce()
            time.sleep(common.SAMPLE_S)
    session.remove_torrent(handle)


main()
