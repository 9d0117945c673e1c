//! What works beside the engine until the run ends, each with what it needs of the options: trackers, DHT, local peers,
//! host names, UDP sockets.

use std::{net::IpAddr, sync::Arc};

use schema::{conceal::Addresses, table::Event};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;
use tracing::error;
use wire::tracker::Family;

use super::Setup;
use crate::{
    cli::Options,
    contact::Context,
    hostnames,
    log::Log,
    sources::{Answer, RequestCounts, dht, incoming::Listeners, lsd, tracker},
    udp::{self, Udp},
};

/// Asks trackers until the run ends.
pub(super) fn trackers(
    setup: &Setup,
    context: &Arc<Context>,
    listeners: &Listeners,
    answers: mpsc::Sender<Answer>,
    counts: Arc<RequestCounts>,
) -> impl Future<Output = ()> + use<> {
    let log = context.log.clone();
    let trackers = tracker::Setup {
        swarms: Arc::clone(&setup.swarms),
        answers,
        counts,
        clock: setup.clock,
        policy: Arc::clone(&setup.policy),
        bind: setup.options.network.bind.clone(),
        announce_every: setup.options.network.announce_every,
        ports: listeners.ports(),
        ending: setup.cancel.clone(),
    };
    async move {
        if let Err(why) = tracker::run(trackers, log).await {
            error!("trackers are not asked: {why}");
        }
    }
}

/// Looks host names up until the run ends.
pub(super) fn reverse_lookups(setup: &Setup, log: &Log, tasks: &TaskTracker) -> hostnames::Offers {
    let (offers, offered) = hostnames::channel();
    let network = &setup.options.network;
    let lookups = hostnames::Setup {
        policy: Arc::clone(&setup.policy),
        clock: setup.clock,
        per_second: network.rdns_per_second,
        server: network.dns_server,
        ending: setup.cancel.clone(),
    };
    let log = log.clone();
    let rows = move |event: Event| {
        let log = log.clone();
        async move { log.append_at(event.time, event.row).await }
    };
    tasks.spawn(hostnames::run(lookups, offers.clone(), offered, rows));
    offers
}

/// What the UDP sockets are for.
pub(super) fn udp(setup: &Setup, listeners: &Listeners) -> udp::Setup {
    let Options { network, pacing, .. } = &setup.options;
    udp::Setup {
        listen: listeners.addresses(),
        bind: network.bind.clone(),
        policy: Arc::clone(&setup.policy),
        clock: setup.clock,
        krpc: !network.no_dht,
        utp_connections_max: (!network.no_utp)
            .then(|| usize::try_from(pacing.max_open).unwrap_or(usize::MAX)),
    }
}

/// What is needed to look for local peers until the run ends.
pub(super) fn lsd(
    setup: &Setup,
    listeners: &Listeners,
    answers: mpsc::Sender<Answer>,
    counts: &Arc<RequestCounts>,
    interfaces: Vec<IpAddr>,
) -> lsd::Setup {
    lsd::Setup {
        swarms: Arc::clone(&setup.swarms),
        answers,
        counts: Arc::clone(counts),
        clock: setup.clock,
        policy: Arc::clone(&setup.policy),
        interfaces,
        ports: listeners.ports(),
        announce_every: setup.options.network.announce_every,
        groups: lsd::GROUPS,
        ending: setup.cancel.clone(),
    }
}

/// What the DHT needs to look swarms up until the run ends.
pub(super) fn dht(
    setup: &Setup,
    listeners: &Listeners,
    udp: &mut Udp,
    answers: mpsc::Sender<Answer>,
    counts: &Arc<RequestCounts>,
) -> dht::Setup {
    let Options { input, network, .. } = &setup.options;
    dht::Setup {
        swarms: Arc::clone(&setup.swarms),
        answers,
        counts: Arc::clone(counts),
        clock: setup.clock,
        policy: Arc::clone(&setup.policy),
        udp: [udp.take_krpc(Family::Ipv4), udp.take_krpc(Family::Ipv6)],
        ports: listeners.ports(),
        look_up_every: network.announce_every,
        queries_per_second: network.dht_queries_per_second,
        serve: network.dht_serve,
        unrestricted: input.allow_private,
        routers: setup.options.dht_routers(),
        state: setup.options.folder().join("state").join("dht-nodes"),
        keeps_nodes: setup.options.log.addresses == Addresses::Full,
        ending: setup.cancel.clone(),
    }
}
