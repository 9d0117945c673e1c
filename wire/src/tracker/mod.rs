//! What is asked of trackers and what they answer, whatever carries it: [`http`] (BEP 3) or [`udp`] (BEP 15).

pub mod http;
pub mod udp;

use std::net::SocketAddr;

use crate::{InfoHash, PeerId};

/// The address family a tracker was asked over: it decides how peers are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4, 6 bytes a peer.
    Ipv4,
    /// IPv6, 18 bytes a peer.
    Ipv6,
}

/// Why a client announces itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnnounceEvent {
    /// It is time again.
    #[default]
    None,
    /// The download is complete. A capture never says so; the lab's peers do.
    Completed,
    /// The first announce of a session.
    Started,
    /// The last one.
    Stopped,
}

/// An announce, as the asking side means it and as a tracker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceRequest {
    /// The swarm.
    pub info_hash: InfoHash,
    /// What the client calls itself.
    pub peer_id: PeerId,
    /// The port it listens on.
    pub port: u16,
    /// Bytes uploaded since `started`.
    pub uploaded: u64,
    /// Bytes downloaded since `started`.
    pub downloaded: u64,
    /// Bytes still missing.
    pub left: u64,
    /// Why.
    pub event: AnnounceEvent,
    /// Peers wanted; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// Proves to the tracker that two addresses are one client.
    pub key: u32,
    /// What the tracker asked to be told again (HTTP only).
    pub tracker_id: Option<Vec<u8>>,
}

/// A tracker's answer to an announce. What it did not say, or said nonsensically, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceResponse {
    /// Peers of both families, repeats and port 0 included.
    pub peers: Vec<SocketAddr>,
    /// Peers in dictionaries that cannot be used (HTTP only); not sent.
    pub left_out: u32,
    /// Seconds until the next announce.
    pub interval_s: Option<u32>,
    /// Seconds that must pass before the next announce.
    pub min_interval_s: Option<u32>,
    /// Complete peers (HTTP `complete`).
    pub seeders: Option<u64>,
    /// Incomplete peers (HTTP `incomplete`).
    pub leechers: Option<u64>,
    /// Downloads the tracker was told of (HTTP only, not in every tracker).
    pub downloaded: Option<u64>,
    /// Words for the user, on success (HTTP only), bytes that are not UTF-8 replaced.
    pub warning: Option<String>,
    /// To be sent back in later announces (HTTP only).
    pub tracker_id: Option<Vec<u8>>,
}

/// One swarm's counts in a scrape. What the tracker did not say, or said nonsensically, is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrapeEntry {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Complete peers (HTTP `complete`).
    pub seeders: Option<u64>,
    /// Incomplete peers (HTTP `incomplete`).
    pub leechers: Option<u64>,
    /// Downloads the tracker was told of since it began counting (HTTP `downloaded`, UDP `completed`).
    pub downloaded: Option<u64>,
}

/// What property tests ask and answer.
#[cfg(test)]
pub(crate) mod arbitrary {
    use proptest::{option, prelude::*};

    use super::*;

    pub(crate) fn event() -> impl Strategy<Value = AnnounceEvent> {
        proptest::sample::select(vec![
            AnnounceEvent::None,
            AnnounceEvent::Completed,
            AnnounceEvent::Started,
            AnnounceEvent::Stopped,
        ])
    }

    prop_compose! {
        pub(crate) fn request()(
            info_hash: [u8; 20], peer_id: [u8; 20], port: u16,
            uploaded: u64, downloaded: u64, left: u64,
            event in event(), num_want in option::of(0..i32::MAX as u32), key: u32,
            tracker_id in option::of(any::<Vec<u8>>()),
        ) -> AnnounceRequest {
            AnnounceRequest {
                info_hash: InfoHash(info_hash),
                peer_id: PeerId(peer_id),
                port, uploaded, downloaded, left, event, num_want, key, tracker_id,
            }
        }
    }

    prop_compose! {
        /// IPv4 peers first, as the encodings order them.
        pub(crate) fn response()(
            v4 in proptest::collection::vec(any::<([u8; 4], u16)>(), 0..20),
            v6 in proptest::collection::vec(any::<([u8; 16], u16)>(), 0..20),
            interval_s in option::of(any::<u32>()), min_interval_s in option::of(any::<u32>()),
            counts in proptest::array::uniform3(option::of(0..i64::MAX as u64)),
            warning in option::of("\\PC{0,20}"), tracker_id in option::of(any::<Vec<u8>>()),
        ) -> AnnounceResponse {
            let [seeders, leechers, downloaded] = counts;
            let v4 = v4.into_iter().map(SocketAddr::from);
            AnnounceResponse {
                peers: v4.chain(v6.into_iter().map(SocketAddr::from)).collect(),
                left_out: 0, interval_s, min_interval_s, seeders, leechers, downloaded, warning, tracker_id,
            }
        }
    }
}
