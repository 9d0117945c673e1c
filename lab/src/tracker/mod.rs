//! The lab's trackers: each answers from the true membership of its swarms, over HTTP or UDP.
//!
//! `http` and `udp` carry requests to a [`Tracker`], which asks [`members::Members`] and notes them.

pub mod http;
pub mod members;
pub mod udp;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use wire::{
    InfoHash,
    tracker::{AnnounceEvent, AnnounceRequest, AnnounceResponse, ScrapeEntry},
};

use crate::{
    swarm::World,
    truth::{Request, RequestKind},
};

/// How many swarms one scrape answers (UDP's own limit, BEP 15).
const MAX_SCRAPE: usize = 74;

/// One tracker: what it answers, whatever carries it.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// The lab it serves.
    pub world: Arc<World>,
    /// Its announce URL.
    pub url: String,
    /// Packs peers even where the client can do without (BEP 23); otherwise it never does.
    pub compact: bool,
    /// Names as many peers as it may, whatever number was asked for.
    pub generous: bool,
}

impl Tracker {
    /// Answers an announce of a swarm it knows.
    pub fn announce(&self, ip: IpAddr, request: &AnnounceRequest) -> Option<AnnounceResponse> {
        let swarm = self.swarm(request.info_hash)?;
        self.world.begin();
        let address = SocketAddr::new(ip, request.port);
        let members = &self.world.members;
        if request.event == AnnounceEvent::Stopped {
            members.leave_observer(swarm, address);
        } else {
            members.observe(swarm, address, request.left == 0);
        }
        let wanted = request.num_want.map_or(50, |wanted| usize::try_from(wanted).unwrap_or(0));
        let wanted = if request.event == AnnounceEvent::Stopped { 0 } else { wanted };
        let limit = self.world.answer_peers;
        let (observers, mut peers) =
            members.name(swarm, if self.generous { limit } else { wanted.min(limit) });
        self.world.named(&peers);
        peers.extend(observers);
        let counts = members.counts(swarm);
        self.note(ip, RequestKind::Announce, request.info_hash, Some(request), peers.len());
        let interval_s = u32::try_from(self.world.interval.as_secs()).unwrap_or(u32::MAX);
        Some(AnnounceResponse {
            peers,
            left_out: 0,
            interval_s: Some(interval_s),
            min_interval_s: Some(interval_s.saturating_sub(1).max(1)),
            seeders: Some(counts.seeders),
            leechers: Some(counts.leechers),
            downloaded: Some(counts.downloaded),
            warning: None,
            tracker_id: None,
        })
    }

    /// Counts of the swarms it knows among these.
    pub fn scrape(&self, ip: IpAddr, info_hashes: &[InfoHash]) -> Vec<ScrapeEntry> {
        let entry = |info_hash: &InfoHash| {
            let counts = self.world.members.counts(self.swarm(*info_hash)?);
            self.note(ip, RequestKind::Scrape, *info_hash, None, 0);
            Some(ScrapeEntry {
                info_hash: *info_hash,
                seeders: Some(counts.seeders),
                leechers: Some(counts.leechers),
                downloaded: Some(counts.downloaded),
            })
        };
        info_hashes.iter().take(MAX_SCRAPE).filter_map(entry).collect()
    }

    fn swarm(&self, info_hash: InfoHash) -> Option<usize> {
        self.world.torrents.iter().position(|torrent| torrent.info_hash == info_hash.0)
    }

    fn note(
        &self,
        ip: IpAddr,
        kind: RequestKind,
        info_hash: InfoHash,
        announce: Option<&AnnounceRequest>,
        peers: usize,
    ) {
        let event = announce.map_or("", |announce| match announce.event {
            AnnounceEvent::None => "",
            AnnounceEvent::Started => "started",
            AnnounceEvent::Stopped => "stopped",
            AnnounceEvent::Completed => "completed",
        });
        self.world.note_request(&Request {
            time: self.world.clock.now(),
            tracker: self.url.clone(),
            kind,
            info_hash: info_hash.to_string(),
            ip,
            port: announce.map(|announce| announce.port),
            event: event.to_owned(),
            left: announce.map(|announce| announce.left),
            peers,
        });
    }
}

#[cfg(test)]
mod tests;
