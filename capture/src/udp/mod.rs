//! One UDP port per family, shared by the DHT and uTP, as peers and nodes expect: the one that TCP listens on.
//!
//! ```text
//! socket ─ reader ─┬─ first byte `d` ─▶ krpc::Port ─▶ sources::dht
//!                  ├─ uTP ─▶ utp::UtpSocket ─▶ streams ─▶ contact, sources::incoming
//!                  └─ else ─▶ counted
//! ```
//! Both sides send straight from the socket. Every queue is bounded; what finds no room is dropped and counted.

pub mod krpc;
mod reader;
#[cfg(test)]
mod tests;
pub mod utp;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wire::tracker::Family;

use self::{
    reader::Reader,
    utp::{UtpSocket, UtpStream},
};
use crate::{address::AddressPolicy, clock::Clock};

/// What the kernel may hold for us while we are busy; as far as it allows.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Connections that peers have begun and that may wait to be looked at.
const INCOMING_WAITING_MAX: usize = 256;

/// What is opened, and for whom.
pub struct Setup {
    /// Where peers can connect to us; the UDP port is the same if it is free.
    pub listen: Vec<SocketAddr>,
    /// `--bind`: send from these addresses.
    pub bind: Vec<IpAddr>,
    /// Who may send to us over uTP.
    pub policy: Arc<AddressPolicy>,
    /// The clock.
    pub clock: Clock,
    /// Whether the DHT is asked.
    pub krpc: bool,
    /// uTP connections at once; none where it is not spoken.
    pub utp_connections_max: Option<usize>,
}

/// The sockets of a run.
pub struct Udp {
    krpc: [Option<krpc::Port>; 2],
    utp: Utp,
    incoming: Option<mpsc::Receiver<UtpStream>>,
    readers: Vec<Reader>,
    dropped: Arc<Dropped>,
}

/// uTP over both families.
#[derive(Clone, Default)]
pub struct Utp {
    sockets: [Option<Arc<UtpSocket>>; 2],
}

/// Datagrams that were received and not taken.
#[derive(Debug, Default)]
pub(crate) struct Dropped(AtomicU64);

impl Dropped {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Figures of the sockets, for the gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounts {
    /// Datagrams of no protocol we speak, from addresses that are not contacted, of no connection, or beyond a limit.
    pub dropped: u64,
    /// uTP connections that peers asked for, repeats included.
    pub syns: u64,
}

/// Reads the figures of a run's sockets at any time.
#[derive(Clone)]
pub struct UdpGauge {
    utp: Utp,
    dropped: Arc<Dropped>,
}

impl UdpGauge {
    /// The figures so far.
    pub fn read(&self) -> UdpCounts {
        let utp = self.utp.sockets.iter().flatten().map(|socket| socket.counts());
        let dropped = self.dropped.0.load(Ordering::Relaxed);
        utp.fold(UdpCounts { dropped, syns: 0 }, |sum, utp| UdpCounts {
            dropped: sum.dropped + utp.strays,
            syns: sum.syns + utp.syns,
        })
    }
}

impl Udp {
    /// Opens a socket of each family, as far as the system has it; none where nobody needs one.
    pub fn open(setup: &Setup) -> Self {
        let (incoming, begun) = mpsc::channel(INCOMING_WAITING_MAX);
        let mut udp = Self {
            krpc: [None, None],
            utp: Utp::default(),
            incoming: Some(begun),
            readers: Vec::new(),
            dropped: Arc::default(),
        };
        if !setup.krpc && setup.utp_connections_max.is_none() {
            return udp;
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            match open(family, setup) {
                Ok(socket) => udp.share(family, Arc::new(socket), setup, &incoming),
                Err(error) => tracing::warn!("no UDP socket over {}: {error}", name(family)),
            }
        }
        udp
    }

    fn share(
        &mut self,
        family: Family,
        socket: Arc<UdpSocket>,
        setup: &Setup,
        incoming: &mpsc::Sender<UtpStream>,
    ) {
        let accepts = setup.listen.iter().any(|listen| family_of(listen.ip()) == family);
        let utp = setup.utp_connections_max.map(|connections_max| {
            let (socket, incoming) = (Arc::clone(&socket), incoming.clone());
            UtpSocket::new(socket, setup.clock, accepts, connections_max, incoming, Arc::clone(&self.dropped))
        });
        let (krpc, port) = setup.krpc.then(|| krpc::port(Arc::clone(&socket))).unzip();
        let policy = Arc::clone(&setup.policy);
        self.readers.push(Reader::new(socket, policy, krpc, utp.clone(), Arc::clone(&self.dropped)));
        if let Some(place) = self.krpc.get_mut(index(family)) {
            *place = port;
        }
        if let Some(place) = self.utp.sockets.get_mut(index(family)) {
            *place = utp;
        }
    }

    /// The DHT's side of a family's socket, once.
    pub fn take_krpc(&mut self, family: Family) -> Option<krpc::Port> {
        self.krpc.get_mut(index(family))?.take()
    }

    /// Connections that peers begin, once.
    pub fn take_incoming(&mut self) -> Option<mpsc::Receiver<UtpStream>> {
        self.incoming.take()
    }

    /// What makes connections.
    pub fn utp(&self) -> Utp {
        self.utp.clone()
    }

    /// What tells the figures.
    pub fn gauge(&self) -> UdpGauge {
        UdpGauge { utp: self.utp(), dropped: Arc::clone(&self.dropped) }
    }

    /// Reads the sockets until `ending`.
    pub fn spawn(self, tasks: &TaskTracker, ending: &CancellationToken) {
        for reader in self.readers {
            tasks.spawn(reader.run(ending.clone()));
        }
    }
}

impl Utp {
    /// Connects to a peer; without a timeout of its own short of a minute.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<UtpStream> {
        let socket = self.sockets.get(index(family_of(to.ip()))).and_then(Option::as_ref);
        match socket {
            Some(socket) => socket.connect(to).await,
            None => Err(io::ErrorKind::NetworkUnreachable.into()),
        }
    }

    /// Whether any family has it.
    pub fn is_spoken(&self) -> bool {
        self.sockets.iter().any(Option::is_some)
    }

    /// Where a family's socket is.
    pub fn address(&self, family: Family) -> Option<SocketAddr> {
        self.sockets.get(index(family))?.as_ref()?.address().ok()
    }
}

/// Opens a socket of `family`: on the port where we listen, else on any; from the address to bind to, if there is one.
fn open(family: Family, setup: &Setup) -> io::Result<UdpSocket> {
    let any = match family {
        Family::Ipv4 => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let bind = setup.bind.iter().copied().find(|&ip| family_of(ip) == family);
    let Some(listen) = setup.listen.iter().find(|address| family_of(address.ip()) == family) else {
        return bind_to(SocketAddr::new(bind.unwrap_or(any), 0));
    };
    let ip = if listen.ip().is_unspecified() { bind.unwrap_or(any) } else { listen.ip() };
    let place = SocketAddr::new(ip, listen.port());
    bind_to(place).or_else(|error| {
        tracing::warn!("UDP port {place} cannot be used: {error}; peers will not find us by uTP");
        bind_to(SocketAddr::new(ip, 0))
    })
}

fn bind_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn family_of(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

fn index(family: Family) -> usize {
    match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 1,
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
