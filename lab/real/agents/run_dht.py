"""A DHT of libtorrent nodes, each at an address of its own of this host, and swarms known to it alone.

Options: `addresses` of the nodes, and `swarms`: how many of the nodes are in each, by info-hash. Once one of them finds
every peer of every swarm the agent prints {"ready": true, "peers": {info-hash: [address, …]}}, and lives on.
"""

import contextlib
import json
import sys
import time

import common
import libtorrent

PORT = 6881
JOIN_S = 150
SETTINGS = {
    "alert_mask": libtorrent.alert.category_t.dht_notification | libtorrent.alert.category_t.dht_operation_notification,
    "dht_bootstrap_nodes": "",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_natpmp": False,
    "enable_upnp": False,
    "dht_announce_interval": 60,
    # All nodes stand in a few networks: that is no reason to distrust them.
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_ignore_dark_internet": False,
    # Peers that find each other shall not bother with it.
    "connections_limit": 2,
}


def node(address):
    return libtorrent.session(
        {
            **SETTINGS,
            "listen_interfaces": f"{address}:{PORT}",
            "outgoing_interfaces": address,
        }
    )


def join(session, info_hash, folder):
    parameters = libtorrent.parse_magnet_uri(f"magnet:?xt=urn:btih:{info_hash}")
    parameters.save_path = folder
    parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    session.add_torrent(parameters)


def missing(session, peers):
    """The peers of each swarm that lookups do not find."""
    session.pop_alerts()
    for info_hash in peers:
        session.dht_get_peers(libtorrent.sha1_hash(bytes.fromhex(info_hash)))
    unseen, deadline = {info_hash: set(addresses) for info_hash, addresses in peers.items()}, time.monotonic() + 5
    while any(unseen.values()) and time.monotonic() < deadline:
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.dht_get_peers_reply_alert):
                unseen[str(alert.info_hash)].difference_update(peer[0] for peer in alert.peers())
    return {info_hash: addresses for info_hash, addresses in unseen.items() if addresses}


def main():
    options = common.options()
    sessions = {address: node(address) for address in options["addresses"]}
    first = options["addresses"][0]
    for address, session in sessions.items():
        if address != first:
            session.add_dht_node((first, PORT))
    peers, turn = {}, 1
    for info_hash, count in options["swarms"].items():
        peers[info_hash] = [options["addresses"][(turn + n) % len(sessions)] for n in range(count)]
        turn += 1
    deadline = time.monotonic() + JOIN_S
    while any(session.status().dht_nodes < 8 for session in sessions.values()):
        assert time.monotonic() < deadline, "the nodes do not find each other"
        time.sleep(common.SAMPLE_S)
    for info_hash, addresses in peers.items():
        for address in addresses:
            join(sessions[address], info_hash, options["folder"])
    # A client announces one swarm after the other.
    while unseen := missing(sessions[first], peers):
        assert time.monotonic() < deadline, f"not announced: {unseen}"
        print(f"{len(unseen)} swarms are not announced yet", file=sys.stderr, flush=True)
    print(json.dumps({"ready": True, "peers": peers}), flush=True)
    with contextlib.suppress(common.Terminated):
        while True:
            time.sleep(common.SAMPLE_S)


main()
