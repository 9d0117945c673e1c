//! The DHT (BEP 5, 32, 33, 42, 43): every swarm that is not private is looked up, again and again, in both families.
//!
//! `driver` feeds the node of `wire::dht` with datagrams and time; `plan` says which swarm is due; `report` makes rows
//! and answers; `state` keeps nodes over restarts; `routers` resolves where to begin. The UDP ports are those of [`crate::udp`].

mod driver;
mod plan;
mod report;
pub(crate) mod routers;
mod state;

use std::{path::PathBuf, sync::Arc, time::Duration};

use schema::table::Event;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::dht::lookup::Pace;

use self::{driver::Driver, report::Report};
use crate::{
    address::AddressPolicy,
    clock::Clock,
    log::Log,
    sources::{Answer, RequestCounts, tracker::ListenPorts},
    swarm::Swarm,
    udp::krpc::Port,
};

pub use routers::routers_of;

/// How searches go about it: most nodes that answer do so within a second.
pub(crate) const PACE: Pace = Pace { alpha: 4, late_after: Duration::from_millis(800), restrict: true };
/// A node that takes longer does not answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);
/// Client and version in our messages (BEP 5).
pub(crate) const VERSION: [u8; 4] = *b"ST\x01\x00";
/// A swarm is looked up this often, unless the user says otherwise.
const LOOK_UP_EVERY: Duration = Duration::from_mins(10);
/// But not more often than this.
const LOOK_UP_EVERY_MIN: Duration = Duration::from_secs(2);
/// Queries that ended and may wait for the log and the registry.
const REPORTS_WAITING_MAX: usize = 256;

/// What the DHT needs from the run.
pub struct Setup {
    /// Every swarm of the run; private ones are left out as soon as they are known to be.
    pub swarms: Arc<[Arc<Swarm>]>,
    /// Where peers go.
    pub answers: mpsc::Sender<Answer>,
    /// Counts requests, for the gauges.
    pub counts: Arc<RequestCounts>,
    /// Tells the time, and dates rows.
    pub clock: Clock,
    /// Which nodes may be contacted.
    pub policy: Arc<AddressPolicy>,
    /// The UDP ports for IPv4 and IPv6, as far as there are any.
    pub udp: [Option<Port>; 2],
    /// The ports to announce.
    pub ports: ListenPorts,
    /// `--announce-every`.
    pub look_up_every: Option<Duration>,
    /// `--dht-queries-per-second`.
    pub queries_per_second: u32,
    /// `--dht-serve`.
    pub serve: bool,
    /// Whether a host or network may have any number of nodes, as in a lab.
    pub unrestricted: bool,
    /// Where to begin, as `HOST:PORT`.
    pub routers: Vec<String>,
    /// The file that nodes are kept in.
    pub state: PathBuf,
    /// Whether nodes are kept there; else only our own IDs are, since a node is some peer's machine.
    pub keeps_nodes: bool,
    /// Cancelled when the run ends.
    pub ending: CancellationToken,
}

/// Looks swarms up until `ending`; returns when the last row is in the log.
pub async fn run(setup: Setup, log: Log) {
    let (reports, ended) = mpsc::channel(REPORTS_WAITING_MAX);
    let (rows, mut written) = mpsc::channel::<Event>(REPORTS_WAITING_MAX);
    let reporting = report::report(ended, setup.answers.clone(), rows, setup.ending.clone());
    let writing = async {
        while let Some(Event { time, row }) = written.recv().await {
            log.append_at(time, row).await;
        }
    };
    tokio::join!(look_up(setup, reports), reporting, writing);
}

/// As [`run`], with what there is to report sent to a channel.
async fn look_up(setup: Setup, reports: mpsc::Sender<Report>) {
    let Some(driver) = Driver::new(setup, reports).await else {
        tracing::error!("the DHT is not asked: there is no UDP socket");
        return;
    };
    driver.run().await;
}

#[cfg(test)]
mod tests;
