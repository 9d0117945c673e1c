"""ctorrent with one torrent; it has no RPC, its status line is read."""

import re
import threading

import common

# Its line begins so: "\ 1/1/3 [12/256/256] 0MB,0MB | …": seeders/leechers, [pieces/all/available].
STATUS = re.compile(rb"\[(\d+)/(\d+)/\d+\]")


class Status:
    """The pieces of the newest status line."""

    def __init__(self, output):
        self.pieces, self.total = 0, None
        threading.Thread(target=self.read, args=[output], daemon=True).start()

    def read(self, output):
        rest = b""
        while data := output.read1(4096):
            rest = (rest + data)[-4096:]
            for found in STATUS.finditer(rest):
                self.pieces, self.total = int(found[1]), int(found[2])


def main():
    options = common.options(
        "dht", "encryption", "from_magnet", "knows", "leaves_out_a_file", "lsd", "super_seeds", "transport"
    )
    limit_kb_per_s = options.get("download_bytes_per_s", 0) // 1024
    command = ["stdbuf", "-o0", "ctorrent", "-s", f"{options['folder']}/{options['name']}", "-p", str(common.PORT)]
    command += ["-D", str(limit_kb_per_s), options["torrent"]]
    daemon = common.start_daemon(command, options["home"], stdout=common.subprocess.PIPE)
    status = Status(daemon.stdout)
    common.listens()

    def sample():
        # It tells nothing of single peers.
        return status.pieces, status.pieces == status.total, {}

    common.run(daemon, options, sample)


main()
