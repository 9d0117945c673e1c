//! LSD (BEP 14): swarms announced to the networks we stand in, and peers there that announce themselves.
//!
//! `group` is a family's socket, joined on each interface. Swarms → announcements, a row each; announcements of others →
//! rows and answers. Only interfaces whose own address may be contacted take part: nobody else there may be either.

mod group;
mod heard;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use schema::table::{Event, Family, Request, RequestKind, RequestOutcome, Row, Source};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use wire::lsd::{Announcement, BYTES_MAX, GROUP_V4, GROUP_V6, SWARMS_MAX};

use self::{
    group::Group,
    heard::{Heard, Limits},
};
use crate::{
    address::AddressPolicy,
    clock::Clock,
    log::Log,
    sources::{Answer, RequestCounts, tracker::ListenPorts},
    swarm::Swarm,
};

/// A swarm is announced this often (BEP 14), unless the user says otherwise.
const ANNOUNCE_EVERY: Duration = Duration::from_mins(5);
/// But not more often than this.
const ANNOUNCE_EVERY_MIN: Duration = Duration::from_secs(5);
/// Announcements leave at least this far apart.
const APART: Duration = Duration::from_secs(1);
/// Rows that may wait for the log.
const ROWS_WAITING_MAX: usize = 256;

/// What LSD needs from the run.
pub struct Setup {
    /// Every swarm of the run; private ones are left out as soon as they are known to be.
    pub swarms: Arc<[Arc<Swarm>]>,
    /// Where peers go.
    pub answers: mpsc::Sender<Answer>,
    /// Counts announcements, for the gauges.
    pub counts: Arc<RequestCounts>,
    /// Tells the time, and dates rows.
    pub clock: Clock,
    /// Which peers may be contacted.
    pub policy: Arc<AddressPolicy>,
    /// The interfaces to use, by an address of theirs; all that may be if there is none.
    pub interfaces: Vec<IpAddr>,
    /// Where peers can connect to us; a family without a port only listens.
    pub ports: ListenPorts,
    /// `--announce-every`.
    pub announce_every: Option<Duration>,
    /// The groups; others than those of BEP 14 only in tests.
    pub groups: [SocketAddr; 2],
    /// Cancelled when the run ends.
    pub ending: CancellationToken,
}

/// The groups of BEP 14.
pub const GROUPS: [SocketAddr; 2] = [SocketAddr::V4(GROUP_V4), SocketAddr::V6(GROUP_V6)];

/// Announces and listens until `ending`; returns when the last row is in the log.
pub async fn run(setup: Setup, log: Log) {
    let (rows, mut written) = mpsc::channel::<Event>(ROWS_WAITING_MAX);
    let writing = async {
        while let Some(Event { time, row }) = written.recv().await {
            log.append_at(time, row).await;
        }
    };
    tokio::join!(discover(setup, rows), writing);
}

/// As [`run`], with the rows sent to a channel.
async fn discover(setup: Setup, rows: mpsc::Sender<Event>) {
    let [v4, v6] = setup.groups;
    let cookie = format!("{:016x}", rand::random::<u64>());
    let (setup, rows) = (&setup, &rows);
    let sides = [(v4, setup.ports.ipv4), (v6, setup.ports.ipv6)].map(|(address, port)| {
        let cookie = cookie.clone();
        async move {
            let interfaces = group::interfaces(address, &setup.policy, &setup.interfaces);
            match Group::open(address, &interfaces) {
                Ok(Some(group)) => {
                    let now = setup.clock.instant();
                    let family = if address.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
                    let heard = Heard::new(&setup.swarms, now);
                    let limits = Limits::new(now);
                    Side { setup, rows: rows.clone(), group, family, port, cookie, heard, limits }
                        .run()
                        .await;
                }
                Ok(None) => tracing::debug!("no interface for local peers of {address}"),
                Err(error) => tracing::warn!("local peers are not looked for over {address}: {error}"),
            }
        }
    });
    let [v4, v6] = sides;
    tokio::join!(v4, v6);
}

/// One family.
struct Side<'a> {
    setup: &'a Setup,
    rows: mpsc::Sender<Event>,
    group: Group,
    family: Family,
    /// The port we tell; `None` where nobody can connect to us.
    port: Option<u16>,
    cookie: String,
    heard: Heard,
    limits: Limits,
}

impl Side<'_> {
    async fn run(mut self) {
        let every = self.setup.announce_every.unwrap_or(ANNOUNCE_EVERY).max(ANNOUNCE_EVERY_MIN);
        let mut round_at = self.setup.clock.instant();
        let mut left = Vec::new();
        let mut next_at = round_at;
        let mut buffer = [0; BYTES_MAX + 1];
        loop {
            tokio::select! {
                biased;
                () = self.setup.ending.cancelled() => return,
                () = sleep_until(next_at), if self.port.is_some() => {
                    let now = self.setup.clock.instant();
                    if left.is_empty() {
                        left = self.round();
                        round_at = now + every;
                    }
                    if let Some(batch) = left.pop() {
                        self.announce(&batch).await;
                    }
                    next_at = if left.is_empty() { round_at } else { now + APART };
                }
                (len, from) = self.group.receive(&mut buffer) => {
                    let datagram = buffer.get(..len).unwrap_or_default();
                    self.hear(from, datagram).await;
                }
            }
        }
    }

    /// The swarms to announce, so many at once, in the order of the list from the end.
    fn round(&self) -> Vec<Vec<Arc<Swarm>>> {
        let public: Vec<_> = self.setup.swarms.iter().filter(|swarm| !swarm.is_private()).cloned().collect();
        public.rchunks(SWARMS_MAX).map(<[Arc<Swarm>]>::to_vec).rev().collect()
    }

    /// Announces swarms on every interface; a row for each swarm and interface.
    async fn announce(&mut self, swarms: &[Arc<Swarm>]) {
        let Some(port) = self.port else { return };
        let announcement = Announcement {
            port,
            info_hashes: swarms.iter().map(|swarm| wire::InfoHash(swarm.info_hash.0)).collect(),
            cookie: Some(self.cookie.clone()),
        };
        let datagram = announcement.encode(self.group.address);
        for interface in self.group.interfaces.clone() {
            let began = self.setup.clock.instant();
            let sent = self.group.send(interface, &datagram).await;
            let ended = self.setup.clock.instant();
            for swarm in swarms {
                self.heard.announced(swarm, ended);
                let mut row = self.row(swarm, self.group.address, ended - began);
                match &sent {
                    Ok(()) => row.peers = Some(0),
                    Err(error) => {
                        row.outcome = RequestOutcome::ConnectionFailed;
                        row.error = Some(format!("from {}: {error}", interface.ip));
                    }
                }
                self.tell(ended, row).await;
            }
        }
    }

    /// Takes an announcement of others, as far as it is about our swarms.
    async fn hear(&mut self, from: SocketAddr, datagram: &[u8]) {
        let now = self.setup.clock.instant();
        let Ok(announcement) = Announcement::decode(datagram) else { return };
        if announcement.cookie.as_deref() == Some(self.cookie.as_str()) || !self.limits.let_in(now, from.ip())
        {
            return;
        }
        let peer = SocketAddr::new(from.ip().to_canonical(), announcement.port);
        if !group::is_reachable(peer.ip()) {
            return;
        }
        for info_hash in announcement.info_hashes {
            let Some(swarm) = self.heard.swarm(info_hash, &self.setup.swarms) else { continue };
            let waited = self.heard.since(&swarm, now);
            let row = Request { peers: Some(1), ..self.row(&swarm, from, waited) };
            let answer = Answer {
                swarm: swarm.id,
                source: Source::Lsd,
                endpoint: Some(Arc::from(row.endpoint.as_str())),
                peers: vec![(peer, None)],
            };
            self.tell(now, row).await;
            tokio::select! {
                biased;
                // The registry takes nobody in any more once the run ends.
                sent = self.setup.answers.send(answer) => drop(sent),
                () = self.setup.ending.cancelled() => {}
            }
        }
    }

    fn row(&self, swarm: &Swarm, endpoint: SocketAddr, duration: Duration) -> Request {
        Request {
            info_hash: swarm.info_hash,
            source: Source::Lsd,
            endpoint: SocketAddr::new(endpoint.ip().to_canonical(), endpoint.port()).to_string(),
            family: Some(self.family),
            kind: RequestKind::Lsd,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            outcome: RequestOutcome::Ok,
            error: None,
            peers: None,
            interval_s: None,
            seeders: None,
            leechers: None,
            downloaded: None,
        }
    }

    async fn tell(&self, at: Instant, row: Request) {
        let counts = &self.setup.counts;
        let count = if row.outcome == RequestOutcome::Ok { &counts.ok } else { &counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        let event = Event { time: self.setup.clock.at(at), row: Row::Request(row) };
        // The rows' reader outlives us; where a test ends first, nobody is left to tell.
        self.rows.send(event).await.ok();
    }
}
