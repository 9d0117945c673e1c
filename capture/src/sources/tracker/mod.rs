//! Trackers (BEP 3, BEP 12, BEP 15, BEP 48): every one of every tier is asked about its swarms, for the whole run.
//!
//! `watch` asks one tracker when it is due, at the `pace` it wants; `ask` chooses between `http` and `udp`; `host`
//! resolves names within the address policy; `report` makes rows and answers of what comes back.

mod ask;
#[cfg(test)]
mod fake;
pub(crate) mod host;
mod http;
mod pace;
mod report;
mod scrape;
mod trouble;
mod udp;
mod watch;

use std::{collections::HashMap, io, net::IpAddr, sync::Arc, time::Duration};

use schema::table::{Event, Family};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{ask::Tracker, http::HttpTrackers, pace::Pace, report::Reporter, udp::UdpTrackers, watch::Watch};
use crate::{
    address::AddressPolicy,
    clock::Clock,
    log::Log,
    printable::printable,
    sources::{Answer, RequestCounts},
    swarm::Swarm,
};

/// HTTP requests under way at once, over all trackers.
const HTTP_PLACES: usize = 128;
/// Rows that may wait for the log.
const ROWS_WAITING_MAX: usize = 256;
/// Announced where nobody listens: many trackers refuse an announce of port 0, and nothing answers on port 1.
const PORT_NOT_LISTENING: u16 = 1;

/// What the tracker sources need from the run.
pub struct Setup {
    /// Every swarm of the run.
    pub swarms: Arc<[Arc<Swarm>]>,
    /// Where peers go.
    pub answers: mpsc::Sender<Answer>,
    /// Counts requests, for the gauges.
    pub counts: Arc<RequestCounts>,
    /// Dates rows.
    pub clock: Clock,
    /// What may be contacted.
    pub policy: Arc<AddressPolicy>,
    /// `--bind`: connect from these addresses.
    pub bind: Vec<IpAddr>,
    /// `--announce-every`.
    pub announce_every: Option<Duration>,
    /// Where we listen.
    pub ports: ListenPorts,
    /// Cancelled when the run ends: trackers are told, within about 3 s.
    pub ending: CancellationToken,
}

/// The ports that incoming connections are accepted on, by family; what is bound, not what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenPorts {
    /// For IPv4, if we listen there.
    pub ipv4: Option<u16>,
    /// For IPv6, if we listen there.
    pub ipv6: Option<u16>,
}

impl ListenPorts {
    /// The port to announce over `family`.
    fn of(self, family: Family) -> u16 {
        let port = match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        };
        port.unwrap_or(PORT_NOT_LISTENING)
    }
}

/// Why trackers cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum TrackerError {
    /// No HTTP client could be made.
    #[error("cannot set up HTTP requests to trackers: {0}")]
    Http(#[from] reqwest::Error),
    /// No socket could be opened for UDP trackers.
    #[error("cannot open a UDP socket for trackers: {0}")]
    Udp(#[from] io::Error),
}

/// What all trackers share.
struct Shared {
    http: HttpTrackers,
    http_places: Semaphore,
    udp: UdpTrackers,
    policy: Arc<AddressPolicy>,
    pace: Pace,
    ports: ListenPorts,
    clock: Clock,
    reporter: Reporter,
    ending: CancellationToken,
}

/// Asks every tracker of every swarm until `ending`; returns when all have been told and the last row is in the log.
pub async fn run(setup: Setup, log: Log) -> Result<(), TrackerError> {
    let (rows, mut written) = mpsc::channel::<Event>(ROWS_WAITING_MAX);
    let writing = async {
        while let Some(Event { time, row }) = written.recv().await {
            log.append_at(time, row).await;
        }
    };
    let (asked, ()) = tokio::join!(ask(setup, rows), writing);
    asked
}

/// As [`run`], with the rows sent to a channel.
async fn ask(setup: Setup, rows: mpsc::Sender<Event>) -> Result<(), TrackerError> {
    let Setup { swarms, answers, counts, clock, policy, bind, announce_every, ports, ending } = setup;
    let shared = Arc::new(Shared {
        http: HttpTrackers::new(Arc::clone(&policy), &bind)?,
        http_places: Semaphore::new(HTTP_PLACES),
        udp: UdpTrackers::open(clock, &bind)?,
        policy,
        pace: Pace { announce_every },
        ports,
        clock,
        reporter: Reporter { answers, rows, counts, clock, ending: ending.clone() },
        ending,
    });
    let mut watches = JoinSet::new();
    for (tracker, swarms) in by_tracker(&swarms) {
        watches.spawn(Watch { tracker, swarms, shared: Arc::clone(&shared) }.run());
    }
    drop(shared);
    while let Some(ended) = watches.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a tracker is no longer asked: {error}");
        }
    }
    Ok(())
}

/// Every usable tracker with the swarms that name it, in any tier.
fn by_tracker(swarms: &[Arc<Swarm>]) -> Vec<(Tracker, Vec<Arc<Swarm>>)> {
    let mut named: Vec<(&str, Vec<Arc<Swarm>>)> = Vec::new();
    let mut places = HashMap::new();
    for swarm in swarms {
        for url in swarm.trackers.iter().flatten().map(|url| url.trim()) {
            let place = *places.entry(url).or_insert_with(|| {
                named.push((url, Vec::new()));
                named.len() - 1
            });
            if let Some((_, swarms)) = named.get_mut(place)
                && swarms.last().is_none_or(|last| last.id != swarm.id)
            {
                swarms.push(Arc::clone(swarm));
            }
        }
    }
    named.into_iter().filter_map(|(url, swarms)| usable(url).map(|tracker| (tracker, swarms))).collect()
}

fn usable(url: &str) -> Option<Tracker> {
    match Tracker::new(url) {
        Ok(tracker) => Some(tracker),
        Err(error) => {
            tracing::warn!("the tracker {} is not asked: {error}", printable(url));
            None
        }
    }
}

#[cfg(test)]
mod tests;
