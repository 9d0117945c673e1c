//! UDP requests to trackers (BEP 15, BEP 41): one socket a family for all of them.
//!
//! A datagram finds its request by transaction id, and counts only if it comes from the address that was asked.
//! Connection ids are kept per tracker address while they last.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schema::table::{Family, RequestOutcome};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc, time::sleep_until};
use tokio_util::task::AbortOnDropHandle;
use wire::{
    InfoHash,
    tracker::{
        AnnounceRequest, AnnounceResponse, Family as WireFamily, ScrapeEntry,
        udp::{
            Exchange, Response,
            exchange::{Answer, Connection, Failure, Query, Timing},
        },
    },
};

use super::{host::family_of, trouble::Trouble};
use crate::clock::Clock;

/// Three datagrams, 15, 30 and 60 s apart, are one request and one row; the delay after it goes on growing.
const TIMING: Timing = Timing { base: Duration::from_secs(15), retransmissions: 2 };
/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Datagrams that may wait for one request: an answer, and what was sent twice.
const WAITING_MAX: usize = 4;
/// After an error of the socket itself, so that a lasting one does not keep the processor busy.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The sockets of both families.
pub struct UdpTrackers {
    ipv4: io::Result<Port>,
    ipv6: io::Result<Port>,
    clock: Clock,
    timing: Timing,
}

/// One socket and the task that hears it.
struct Port {
    shared: Arc<Shared>,
    _hearing: AbortOnDropHandle<()>,
}

struct Shared {
    socket: UdpSocket,
    waiting: Mutex<HashMap<u32, Waiting>>,
    connections: Mutex<HashMap<SocketAddr, Connection>>,
}

/// A request that waits for datagrams.
struct Waiting {
    from: SocketAddr,
    datagrams: mpsc::Sender<Vec<u8>>,
}

impl UdpTrackers {
    /// Sockets on `bind`'s address of each family, or on any; a machine may lack one of the families.
    pub fn open(clock: Clock, bind: &[IpAddr]) -> io::Result<Self> {
        let local =
            |any: IpAddr| bind.iter().copied().find(|ip| ip.is_ipv4() == any.is_ipv4()).unwrap_or(any);
        let ipv4 = Port::open(local(Ipv4Addr::UNSPECIFIED.into()), clock);
        let ipv6 = Port::open(local(Ipv6Addr::UNSPECIFIED.into()), clock);
        match (ipv4, ipv6) {
            (Err(error), Err(_alike)) => Err(error),
            (ipv4, ipv6) => Ok(Self { ipv4, ipv6, clock, timing: TIMING }),
        }
    }

    /// Announces to the tracker at `address`.
    pub async fn announce(
        &self,
        address: SocketAddr,
        request: AnnounceRequest,
        url_data: Vec<u8>,
    ) -> Result<AnnounceResponse, Trouble> {
        match self.ask(address, Query::Announce { request: Box::new(request), url_data }).await? {
            Answer::Announce(response) => Ok(response),
            Answer::Scrape(_) => {
                Err(Trouble::new(RequestOutcome::Malformed, "a scrape's answer to an announce"))
            }
        }
    }

    /// Asks the tracker at `address` for counts.
    pub async fn scrape(
        &self,
        address: SocketAddr,
        swarms: &[InfoHash],
    ) -> Result<Vec<ScrapeEntry>, Trouble> {
        match self.ask(address, Query::Scrape(swarms.to_vec())).await? {
            Answer::Scrape(entries) => Ok(entries),
            Answer::Announce(_) => {
                Err(Trouble::new(RequestOutcome::Malformed, "an announce's answer to a scrape"))
            }
        }
    }

    async fn ask(&self, address: SocketAddr, query: Query) -> Result<Answer, Trouble> {
        let (port, family) = match family_of(address.ip()) {
            Family::Ipv4 => (&self.ipv4, WireFamily::Ipv4),
            Family::Ipv6 => (&self.ipv6, WireFamily::Ipv6),
        };
        let shared = &port.as_ref().map_err(broken)?.shared;
        let (send, mut datagrams) = mpsc::channel(WAITING_MAX);
        let place = Place::take(shared, address, send);
        let kept = lock(&shared.connections).get(&address).copied();
        let mut exchange = Exchange::new(query, family, place.transaction_id, self.timing, kept);
        loop {
            let now = self.clock.instant().into_std();
            while let Some(datagram) = exchange.poll_transmit(now) {
                shared.socket.send_to(&datagram, address).await.map_err(|error| broken(&error))?;
            }
            if let Some(outcome) = exchange.outcome() {
                return outcome.clone().map_err(|failure| self.trouble(failure));
            }
            shared.keep(address, exchange.connection(now), kept);
            let deadline = exchange.poll_timeout().unwrap_or(now);
            tokio::select! {
                biased;
                Some(datagram) = datagrams.recv() => {
                    exchange.handle_input(&datagram, self.clock.instant().into_std());
                }
                () = sleep_until(deadline.into()) => exchange.handle_timeout(self.clock.instant().into_std()),
            }
        }
    }

    fn trouble(&self, failure: Failure) -> Trouble {
        match failure {
            Failure::Refused(words) => Trouble::new(RequestOutcome::Failure, words),
            Failure::TimedOut => Trouble::timed_out(patience(self.timing)),
            failure => Trouble::new(RequestOutcome::Malformed, failure.to_string()),
        }
    }
}

/// How long an unanswered request takes: the sum of its doubling waits.
fn patience(timing: Timing) -> Duration {
    timing.base.saturating_mul((2 << timing.retransmissions) - 1)
}

fn broken(error: &io::Error) -> Trouble {
    Trouble::new(RequestOutcome::ConnectionFailed, error.to_string())
}

impl Port {
    fn open(local: IpAddr, clock: Clock) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(SocketAddr::new(local, 0)), Type::DGRAM, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(local, 0).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let shared = Arc::new(Shared { socket, waiting: Mutex::default(), connections: Mutex::default() });
        let hearing = tokio::spawn(hear(Arc::clone(&shared), clock));
        Ok(Self { shared, _hearing: AbortOnDropHandle::new(hearing) })
    }
}

async fn hear(shared: Arc<Shared>, clock: Clock) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match shared.socket.recv_from(&mut buffer).await {
            Ok((length, from)) => shared.deliver(from, buffer.get(..length).unwrap_or_default()),
            Err(error) => {
                tracing::debug!("a UDP socket for trackers: {error}");
                sleep_until(clock.instant() + ERROR_PAUSE).await;
            }
        }
    }
}

impl Shared {
    /// Gives a datagram to the request it answers; forged, late and repeated ones are dropped.
    fn deliver(&self, from: SocketAddr, datagram: &[u8]) {
        let waiting = lock(&self.waiting);
        let asked = Response::transaction_id_of(datagram).and_then(|id| waiting.get(&id));
        if let Some(asked) =
            asked.filter(|asked| asked.from.ip() == from.ip() && asked.from.port() == from.port())
        {
            asked.datagrams.try_send(datagram.to_vec()).ok();
        }
    }

    /// Keeps the connection a request has; one that it began with and has no longer, as it was refused, is forgotten.
    fn keep(&self, address: SocketAddr, connection: Option<Connection>, began_with: Option<Connection>) {
        let mut connections = lock(&self.connections);
        match connection {
            Some(connection) => drop(connections.insert(address, connection)),
            None if connections.get(&address).copied() == began_with => drop(connections.remove(&address)),
            None => {}
        }
    }
}

/// A request's place among those that wait, given up when it ends.
struct Place<'a> {
    shared: &'a Shared,
    transaction_id: u32,
}

impl<'a> Place<'a> {
    fn take(shared: &'a Shared, from: SocketAddr, datagrams: mpsc::Sender<Vec<u8>>) -> Self {
        let mut waiting = lock(&shared.waiting);
        loop {
            let transaction_id = rand::random();
            if let Entry::Vacant(place) = waiting.entry(transaction_id) {
                place.insert(Waiting { from, datagrams });
                return Self { shared, transaction_id };
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.shared.waiting).remove(&self.transaction_id);
    }
}

/// The maps stay sound whatever a holder of the lock panicked on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
