//! The DHT's side of a shared UDP socket: datagrams that begin as KRPC in, any out.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::UdpSocket, sync::mpsc};

/// Datagrams that may wait for the DHT.
const DATAGRAMS_WAITING_MAX: usize = 1024;

/// A datagram and where it came from.
pub type Datagram = (SocketAddr, Box<[u8]>);

/// A socket as the DHT sees it.
pub struct Port {
    socket: Arc<UdpSocket>,
    datagrams: mpsc::Receiver<Datagram>,
}

/// A port, and what fills it.
pub(super) fn port(socket: Arc<UdpSocket>) -> (mpsc::Sender<Datagram>, Port) {
    let (sender, datagrams) = mpsc::channel(DATAGRAMS_WAITING_MAX);
    (sender, Port { socket, datagrams })
}

impl Port {
    /// Where the socket is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends a datagram; one that cannot be sent is as good as lost, which its timeout tells.
    pub async fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.socket.send_to(datagram, to).await {
            tracing::debug!("cannot send to the DHT node {to}: {error}");
        }
    }
}

/// The next datagram of a family there may be no socket for.
pub async fn receive(port: Option<&mut Port>) -> Datagram {
    let datagram = match port {
        Some(port) => port.datagrams.recv().await,
        None => None,
    };
    match datagram {
        Some(datagram) => datagram,
        // Nobody reads the socket any more: the run is about to end.
        None => std::future::pending().await,
    }
}
