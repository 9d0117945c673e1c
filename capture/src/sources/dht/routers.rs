//! Where to begin: `HOST:PORT` of nodes that are always there → their addresses, looked up again while none answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{net::lookup_host, sync::mpsc, time::sleep};

use crate::address::AddressPolicy;

/// Nodes that their operators run for others to begin from.
const WELL_KNOWN: [&str; 4] = [
    "dht.libtorrent.org:25401",
    "dht.transmissionbt.com:6881",
    "router.bittorrent.com:6881",
    "router.utorrent.com:6881",
];

/// Names are looked up again after this long while we know no node.
const AGAIN: Duration = Duration::from_mins(1);
/// Addresses of one name that are used.
const PER_NAME_MAX: usize = 8;

/// Where to begin: those that were given, else the well-known ones; a lab does not get to them by itself.
pub fn routers_of(given: &[String], allow_private: bool) -> Vec<String> {
    match given {
        [] if allow_private => Vec::new(),
        [] => WELL_KNOWN.map(ToOwned::to_owned).to_vec(),
        given => given.to_vec(),
    }
}

/// Sends the addresses of `routers` that may be contacted, until somebody is known.
pub(crate) async fn resolve(
    routers: Vec<String>,
    policy: Arc<AddressPolicy>,
    is_lost: Arc<AtomicBool>,
    found: mpsc::Sender<SocketAddr>,
) {
    let mut is_first = true;
    loop {
        for router in &routers {
            for address in addresses(router, &policy, is_first).await {
                if found.send(address).await.is_err() {
                    return;
                }
            }
        }
        is_first = false;
        while !is_lost.load(Ordering::Relaxed) {
            sleep(AGAIN).await;
        }
        sleep(AGAIN).await;
    }
}

async fn addresses(router: &str, policy: &AddressPolicy, tell: bool) -> Vec<SocketAddr> {
    let found = match lookup_host(router).await {
        Ok(found) => found.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())),
        Err(error) => {
            if tell {
                tracing::warn!("the DHT router {router} does not resolve: {error}");
            }
            return Vec::new();
        }
    };
    let mut allowed = Vec::new();
    for address in found.take(PER_NAME_MAX) {
        match policy.check_endpoint(address) {
            Ok(()) => allowed.push(address),
            Err(why) if tell => tracing::warn!("the DHT router {router} is not asked at {address}: {why}"),
            Err(_) => {}
        }
    }
    allowed
}
