//! One UDP socket per family: on the port that peers connect to, else on any.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::UdpSocket, time::sleep};
use wire::tracker::Family;

/// Datagrams beyond this are cut, and so malformed: nodes keep to what one packet holds.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// What the kernel may hold for us while we are busy; as far as it allows.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;
/// After an error of a socket itself, so that a lasting one does not keep the processor busy.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// A socket and the datagram it received last.
pub(super) struct Port {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

impl Port {
    /// Opens a socket of `family`: where we listen, else from where we are to send, else anywhere.
    pub fn open(family: Family, listen: &[SocketAddr], bind: &[IpAddr]) -> io::Result<Self> {
        let is_ipv4 = family == Family::Ipv4;
        let any = if is_ipv4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let from = bind.iter().copied().find(|ip| ip.is_ipv4() == is_ipv4).unwrap_or(any);
        if let Some(listen) = listen.iter().find(|address| address.is_ipv4() == is_ipv4) {
            match open(*listen) {
                Ok(socket) => return Ok(Self::new(socket)),
                Err(error) => {
                    tracing::warn!("the DHT cannot use UDP port {listen}: {error}; it uses another one");
                    return open(SocketAddr::new(listen.ip(), 0)).map(Self::new);
                }
            }
        }
        open(SocketAddr::new(from, 0)).map(Self::new)
    }

    fn new(socket: UdpSocket) -> Self {
        Self { socket, buffer: vec![0; DATAGRAM_BYTES_MAX] }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next datagram and where it came from.
    pub async fn receive(&mut self) -> (SocketAddr, &[u8]) {
        loop {
            match self.socket.recv_from(&mut self.buffer).await {
                Ok((length, from)) => return (from, self.buffer.get(..length).unwrap_or_default()),
                Err(error) => {
                    tracing::debug!("cannot receive from the DHT: {error}");
                    sleep(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// Sends a datagram; one that cannot be sent is as good as lost, which its timeout tells.
    pub async fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.send_to(datagram, to).await {
            tracing::debug!("cannot send to the DHT node {to}: {error}");
        }
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// The next datagram of a family there may be no socket for.
pub(super) async fn receive(port: Option<&mut Port>) -> (SocketAddr, &[u8]) {
    match port {
        Some(port) => port.receive().await,
        None => std::future::pending().await,
    }
}
