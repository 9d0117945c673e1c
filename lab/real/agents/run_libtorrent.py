"""A libtorrent session with one torrent."""

import contextlib

import common
import libtorrent

SETTINGS = {
    "alert_mask": 0,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_natpmp": False,
    "enable_upnp": False,
    "listen_interfaces": "0.0.0.0:6881",
    "stop_tracker_timeout": 1,
    "unchoke_slots_limit": 20,
}


def main():
    options = common.options()
    session = libtorrent.session({**SETTINGS, "download_rate_limit": options.get("download_bytes_per_s", 0)})
    parameters = libtorrent.load_torrent_file(options["torrent"])
    parameters.save_path = options["folder"]
    flags = libtorrent.torrent_flags
    parameters.flags &= ~(flags.auto_managed | flags.paused)
    if options.get("seeds"):
        parameters.flags |= flags.seed_mode
    if options.get("super_seeds"):
        parameters.flags |= flags.super_seeding
    if "leaves_out" in options:
        files = parameters.ti.files()
        wanted = [not files.file_path(index).endswith(options["leaves_out"]) for index in range(files.num_files())]
        parameters.file_priorities = [4 if wants else 0 for wants in wanted]
    handle = session.add_torrent(parameters)

    def sample():
        status = handle.status()
        return status.num_pieces, status.is_finished

    with contextlib.suppress(common.Terminated):
        common.report(sample, options.get("leaves", False))
    session.remove_torrent(handle)


main()
