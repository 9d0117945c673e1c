//! `requests`: every question asked of a source, and what came back.

use crate::{table::Source, value::InfoHash};

closed_set! {
    /// The address family a request went over.
    Family {
        /// IPv4.
        Ipv4 = 0, "ipv4";
        /// IPv6.
        Ipv6 = 1, "ipv6";
    }
}

closed_set! {
    /// What was asked.
    RequestKind {
        /// Peers, of a tracker, while saying that we watch (BEP 3, BEP 15); of a DHT node, only the saying (BEP 5).
        Announce = 0, "announce";
        /// Peers, of a DHT node (BEP 5).
        GetPeers = 1, "get_peers";
        /// Peers, by local multicast (BEP 14): an announcement of ours, whose endpoint is the group, or one of another
        /// client, whose endpoint is that client and whose duration counts from ours.
        Lsd = 2, "lsd";
        /// Peers, of a peer (BEP 11).
        Pex = 3, "pex";
        /// Counts, of a tracker (BEP 48, BEP 15).
        Scrape = 4, "scrape";
        /// Swarm-size bloom filters, of a DHT node (BEP 33).
        ScrapeBloom = 5, "scrape_bloom";
    }
}

closed_set! {
    /// How a request ended; causes are kept apart.
    RequestOutcome {
        /// The connection could not be made, or broke.
        ConnectionFailed = 0, "connection_failed";
        /// The source answered that it will not serve us (`failure reason`, a UDP or KRPC error).
        Failure = 1, "failure";
        /// An HTTP status other than 200.
        HttpStatus = 2, "http_status";
        /// The answer could not be understood.
        Malformed = 3, "malformed";
        /// The source's address may not be contacted (private, reserved or excluded).
        NotAllowed = 4, "not_allowed";
        /// An answer that was understood.
        Ok = 5, "ok";
        /// No answer in time.
        TimedOut = 6, "timed_out";
        /// The host name did not resolve to an address.
        Unresolved = 7, "unresolved";
    }
}

define_table! {
    /// A request to a source.
    Request in "requests" {
        /// The swarm asked about.
        info_hash: InfoHash,
        /// What kind of source was asked.
        source: Source,
        /// Who was asked: the announce URL, or a node's or peer's address and port.
        endpoint: String,
        /// The address family used; null where no connection was tried or it is not known.
        family: Option<Family>,
        /// What was asked.
        kind: RequestKind,
        /// From the first packet or connect to the end, µs; for pex, since the handshake or the message before.
        duration_us: u64,
        /// How it ended.
        outcome: RequestOutcome,
        /// The source's own words or the cause of a failure; on success a tracker's warning, or what was left out of
        /// an answer; else null.
        error: Option<String>,
        /// Addresses in the answer, repeats included; null for scrapes and failures.
        peers: Option<u32>,
        /// The announce interval the source asked for, seconds; null where it said none.
        interval_s: Option<u32>,
        /// Complete peers by the source's count; null where it said none.
        seeders: Option<u64>,
        /// Incomplete peers by the source's count; null where it said none.
        leechers: Option<u64>,
        /// Completed downloads the source has counted since it began; null where it said none.
        downloaded: Option<u64>,
    }
}
