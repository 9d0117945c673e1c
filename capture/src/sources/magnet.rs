//! Peers that magnet links name (BEP 9, `x.pe`): addresses at once, host names as soon as they resolve.
//!
//! Names go through the resolver that trackers' names go through; what an address may be used for is the registry's to
//! decide, as with every source.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use schema::table::Source;
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use wire::magnet::PeerName;

use crate::{
    printable::printable,
    sources::{Answer, tracker::host::lookup},
    swarm::{Swarm, SwarmId},
};

/// A name that does not resolve is tried again after this time, then after twice as long, and so on.
const AGAIN: Duration = Duration::from_secs(30);
/// So often in all.
const TRIES: u32 = 6;
/// Addresses of one name that are used.
const PER_NAME_MAX: usize = 8;

/// Names the peers of every magnet link; ends with the last name, or with the run.
pub async fn name(swarms: Arc<[Arc<Swarm>]>, answers: mpsc::Sender<Answer>, ending: CancellationToken) {
    tokio::select! {
        () = ending.cancelled() => {}
        () = name_all(&swarms, &answers) => {}
    }
}

async fn name_all(swarms: &[Arc<Swarm>], answers: &mpsc::Sender<Answer>) {
    let mut names = Vec::new();
    for swarm in swarms {
        let mut addresses = Vec::new();
        for peer in &swarm.peers {
            match peer {
                PeerName::Address(address) => addresses.push(*address),
                PeerName::Host { name, port } => names.push((swarm.id, name, *port)),
            }
        }
        tell(swarm.id, addresses, answers).await;
    }
    for nth in 1..=TRIES {
        let mut unresolved = Vec::new();
        for (swarm, name, port) in names {
            match lookup(name, port).await {
                Ok(mut addresses) => {
                    addresses.truncate(PER_NAME_MAX);
                    tell(swarm, addresses, answers).await;
                }
                Err(error) => {
                    if nth == 1 || nth == TRIES {
                        tracing::warn!("a magnet link's peer {}: {error}", printable(name));
                    }
                    unresolved.push((swarm, name, port));
                }
            }
        }
        names = unresolved;
        if names.is_empty() {
            return;
        }
        sleep(AGAIN * (1 << (nth - 1))).await;
    }
}

async fn tell(swarm: SwarmId, addresses: Vec<SocketAddr>, answers: &mpsc::Sender<Answer>) {
    if addresses.is_empty() {
        return;
    }
    let peers = addresses.into_iter().map(|address| (address, None)).collect();
    // The registry takes nobody in any more once the run ends.
    answers.send(Answer { swarm, source: Source::Magnet, endpoint: None, peers }).await.ok();
}

#[cfg(test)]
mod tests {
    use schema::{InfoHash, PeerId, table::TorrentOrigin};
    use tokio::time::timeout;

    use super::*;
    use crate::{sources, swarm::Description};

    #[tokio::test]
    async fn addresses_of_both_families_are_named_at_once_and_names_when_they_resolve() {
        let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let description = Description {
            info_hash: InfoHash([1; 20]),
            info_hash_v2: None,
            name: None,
            origin: TorrentOrigin::Magnet,
            trackers: vec![],
            // A name under .invalid resolves nowhere (RFC 6761).
            peers: named(&["192.0.2.1:1", "[2001:db8::1]:2", "no.invalid:3", "localhost:4"]),
            metadata: None,
        };
        let swarm = Arc::new(Swarm::new(SwarmId(5), description, PeerId([b'x'; 20]), 7));
        let (answers, mut answered) = sources::channel();
        let ending = CancellationToken::new();
        let naming = tokio::spawn(name([swarm].into_iter().collect(), answers, ending.clone()));
        let mut next = async || timeout(Duration::from_secs(30), answered.recv()).await.unwrap().unwrap();
        let first = next().await;
        assert_eq!((first.swarm, first.source, first.endpoint), (SwarmId(5), Source::Magnet, None));
        let addresses: Vec<String> = first.peers.iter().map(|(peer, _)| peer.to_string()).collect();
        assert_eq!(addresses, ["192.0.2.1:1", "[2001:db8::1]:2"]);
        let second = next().await;
        assert!(
            second.peers.iter().all(|(peer, _)| peer.ip().is_loopback() && peer.port() == 4),
            "{second:?}"
        );
        ending.cancel();
        timeout(Duration::from_secs(5), naming).await.unwrap().unwrap();
    }
}
