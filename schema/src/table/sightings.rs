//! `sightings`: every address every answer named.

use std::net::IpAddr;

use crate::value::InfoHash;

closed_set! {
    /// What named a peer.
    Source {
        /// A DHT node (BEP 5).
        Dht = 0, "dht";
        /// The peer connected to us.
        Incoming = 1, "incoming";
        /// Local multicast (BEP 14).
        Lsd = 2, "lsd";
        /// The `x.pe` parameter of a magnet link (BEP 9).
        Magnet = 3, "magnet";
        /// Another peer (BEP 11).
        Pex = 4, "pex";
        /// An HTTP or HTTPS tracker (BEP 3).
        TrackerHttp = 5, "tracker_http";
        /// A UDP tracker (BEP 15).
        TrackerUdp = 6, "tracker_udp";
    }
}

define_table! {
    /// An address in an answer, repeats included.
    Sighting in "sightings" {
        /// The swarm it was named for.
        info_hash: InfoHash,
        /// What kind of source named it.
        source: Source,
        /// Who named it: the announce URL, or a node's or peer's address and port; null for incoming and magnet.
        endpoint: Option<String>,
        /// The peer's address, IPv4-mapped made IPv4.
        ip: IpAddr,
        /// The peer's port; for incoming, the remote port of the connection.
        port: u16,
        /// PEX flags (BEP 11): 1 prefers encryption, 2 seeder, 4 uTP, 8 introduces by holepunch, 16 reachable, all by the
        /// sender's word; null from other sources, and where the sender told none.
        flags: Option<u8>,
    }
}
