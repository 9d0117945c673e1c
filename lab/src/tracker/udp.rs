//! Trackers over UDP (BEP 15): connection ids, announces, scrapes.
//!
//! A connection id is a keyed hash of the client's address and the minute, so that nothing is kept per client.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;
use wire::tracker::{
    Family,
    udp::{Counts, Request, Response},
};

use crate::tracker::Tracker;

/// A connection id holds for this long at least, and for less than twice as long.
const ID_HOLDS: Duration = Duration::from_mins(1);

/// Serves until the lab ends.
pub async fn serve(tracker: Tracker, socket: UdpSocket, end: CancellationToken) {
    let mut datagram = vec![0; 4096];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut datagram) => received,
            () = end.cancelled() => return,
        };
        let answered = match received {
            Ok((length, remote)) => {
                let request = datagram.get(..length).unwrap_or_default();
                let Some(response) = respond(&tracker, remote, request) else { continue };
                let family = if remote.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
                socket.send_to(&response.encode(family), remote).await.map(drop)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            tracing::debug!(tracker = tracker.url, %error, "request failed");
        }
    }
}

/// The answer to a datagram; `None` for one that is no request.
pub fn respond(tracker: &Tracker, remote: SocketAddr, datagram: &[u8]) -> Option<Response> {
    let request = Request::decode(datagram).ok()?;
    let minute = tracker.world.clock.now().0 / 1_000_000 / i64::try_from(ID_HOLDS.as_secs()).unwrap_or(60);
    let holds = |id: u64| (minute - 1..=minute).any(|minute| id == connection_id(tracker, remote, minute));
    let refuse =
        |transaction_id, message: &str| Response::Error { transaction_id, message: message.to_owned() };
    Some(match request {
        Request::Connect { transaction_id } => {
            Response::Connect { transaction_id, connection_id: connection_id(tracker, remote, minute) }
        }
        Request::Announce(announce) if holds(announce.connection_id) => {
            match tracker.announce(remote.ip(), &announce.request) {
                Some(response) => Response::Announce { transaction_id: announce.transaction_id, response },
                None => refuse(announce.transaction_id, "unregistered torrent"),
            }
        }
        Request::Scrape { connection_id, transaction_id, info_hashes } if holds(connection_id) => {
            let counts = counts(tracker, remote.ip(), &info_hashes);
            counts.map_or(refuse(transaction_id, "unregistered torrent"), |counts| Response::Scrape {
                transaction_id,
                counts,
            })
        }
        Request::Announce(announce) => refuse(announce.transaction_id, "the connection id does not hold"),
        Request::Scrape { transaction_id, .. } => refuse(transaction_id, "the connection id does not hold"),
    })
}

/// Counts in the order asked for; `None` if a swarm is not known.
fn counts(tracker: &Tracker, ip: IpAddr, info_hashes: &[wire::InfoHash]) -> Option<Vec<Counts>> {
    let entries = tracker.scrape(ip, info_hashes);
    let narrow = |count: Option<u64>| u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX);
    let counts = entries.iter().map(|entry| Counts {
        seeders: narrow(entry.seeders),
        completed: narrow(entry.downloaded),
        leechers: narrow(entry.leechers),
    });
    (entries.len() == info_hashes.len()).then(|| counts.collect())
}

fn connection_id(tracker: &Tracker, remote: SocketAddr, minute: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&tracker.url, remote, minute).hash(&mut hasher);
    hasher.finish()
}
