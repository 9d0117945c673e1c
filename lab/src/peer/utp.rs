//! A peer's uTP (BEP 29): `wire::utp` behind a socket of its own, and streams to read and write.
//!
//! Whoever touches the endpoint sends what came of it at once; [`UtpSocket::run`] takes what arrives and what falls due.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UdpSocket,
    sync::{Notify, mpsc},
    time::sleep_until,
};
use wire::utp::{
    End,
    endpoint::{Config, Endpoint, Event, Handle},
};

use crate::clock::Clock;

/// Connections of a peer at once.
const CONNECTIONS_MAX: usize = 256;
/// Connections that may wait to be served.
const WAITING_MAX: usize = 32;
/// No datagram on a link is larger.
const DATAGRAM_MAX: usize = 2048;

/// A peer's UDP socket and the connections on it.
#[derive(Debug)]
pub struct UtpSocket {
    udp: UdpSocket,
    clock: Clock,
    state: Mutex<State>,
    /// Something is due before [`Self::run`] would wake.
    rearmed: Notify,
    begun: mpsc::Sender<UtpStream>,
}

#[derive(Debug)]
struct State {
    endpoint: Endpoint,
    /// Who waits for a connection.
    wakers: HashMap<Handle, Waker>,
}

/// Connections that others have made.
pub type Begun = mpsc::Receiver<UtpStream>;

impl UtpSocket {
    /// A socket at this address, to which others can connect or, behind a NAT, not.
    pub async fn bind(
        at: SocketAddr,
        clock: Clock,
        accepts: bool,
        seed: [u8; 32],
    ) -> io::Result<(Arc<Self>, Begun)> {
        let udp = UdpSocket::bind(at).await?;
        let config = Config { accepts, connections_max: CONNECTIONS_MAX, seed };
        let endpoint = Endpoint::new(config, clock.instant().into_std());
        let state = Mutex::new(State { endpoint, wakers: HashMap::new() });
        let (begun, waiting) = mpsc::channel(WAITING_MAX);
        Ok((Arc::new(Self { udp, clock, state, rearmed: Notify::new(), begun }), waiting))
    }

    /// Where it is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Connects to somebody.
    pub async fn connect(self: &Arc<Self>, remote: SocketAddr) -> io::Result<UtpStream> {
        let handle = self.act(|state, now| state.endpoint.connect(now, remote)).map_err(io::Error::other)?;
        let stream = UtpStream { socket: Arc::clone(self), handle, remote };
        poll_fn(|cx| {
            let connected = self.act(|state, _| {
                let connected = state.endpoint.is_connected(handle);
                if connected == Ok(false) {
                    state.wakers.insert(handle, cx.waker().clone());
                }
                connected
            });
            match connected {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => Poll::Pending,
                Err(end) => Poll::Ready(Err(error_of(end))),
            }
        })
        .await?;
        Ok(stream)
    }

    /// Takes datagrams and does what is due, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut datagram = vec![0; DATAGRAM_MAX];
        loop {
            let due = self.lock().endpoint.poll_timeout();
            tokio::select! {
                received = self.udp.recv_from(&mut datagram) => {
                    // What is not for us, such as an ICMP error of an earlier datagram, is the next timeout's matter.
                    let Ok((length, from)) = received else { continue };
                    let bytes = datagram.get(..length).unwrap_or_default();
                    self.act(|state, now| state.endpoint.handle_datagram(now, from, bytes));
                }
                () = self.rearmed.notified() => {}
                () = sleep_until(due.unwrap_or_else(|| self.clock.instant().into_std()).into()), if due.is_some() => {
                    self.act(|state, now| state.endpoint.handle_timeout(now));
                }
            }
        }
    }

    /// Does something to the endpoint, then all that follows from it.
    fn act<T>(self: &Arc<Self>, what: impl FnOnce(&mut State, std::time::Instant) -> T) -> T {
        let now = self.clock.instant().into_std();
        let (mut datagrams, mut wakers, mut begun) = (Vec::new(), Vec::new(), Vec::new());
        let (done, sooner) = {
            let mut state = self.lock();
            let before = state.endpoint.poll_timeout();
            let done = what(&mut state, now);
            while let Some(datagram) = state.endpoint.poll_transmit(now) {
                datagrams.push(datagram);
            }
            while let Some(event) = state.endpoint.poll_event() {
                match event {
                    Event::Changed(handle) => wakers.extend(state.wakers.remove(&handle)),
                    Event::Incoming(handle, remote) => begun.push((handle, remote)),
                }
            }
            let after = state.endpoint.poll_timeout();
            (done, after.is_some_and(|after| before.is_none_or(|before| after < before)))
        };
        for (to, datagram) in datagrams {
            // A datagram that finds no room is lost, as any router may lose it: it is sent again.
            self.udp.try_send_to(&datagram, to).ok();
        }
        if sooner {
            self.rearmed.notify_one();
        }
        wakers.into_iter().for_each(Waker::wake);
        for (handle, remote) in begun {
            // Who finds no place is dropped, which ends it.
            self.begun.try_send(UtpStream { socket: Arc::clone(self), handle, remote }).ok();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A uTP connection.
#[derive(Debug)]
pub struct UtpStream {
    socket: Arc<UtpSocket>,
    handle: Handle,
    remote: SocketAddr,
}

impl UtpStream {
    /// The other side's address.
    pub const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Tells the other side that this connection is no more, whatever is under way.
    pub fn reset(&self) {
        self.socket.act(|state, _| state.endpoint.abort(self.handle));
    }
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        self.socket.act(|state, now| {
            state.wakers.remove(&self.handle);
            state.endpoint.release(now, self.handle);
        });
    }
}

impl AsyncRead for UtpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let unfilled = to.initialize_unfilled();
        let read = self.socket.act(|state, _| {
            let read = state.endpoint.read(self.handle, unfilled);
            if read == Ok(None) {
                state.wakers.insert(self.handle, cx.waker().clone());
            }
            read
        });
        match read {
            Ok(Some(length)) => {
                to.advance(length);
                Poll::Ready(Ok(()))
            }
            Ok(None) => Poll::Pending,
            Err(end) => Poll::Ready(Err(error_of(end))),
        }
    }
}

impl AsyncWrite for UtpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = self.socket.act(|state, _| {
            let written = state.endpoint.write(self.handle, bytes);
            if written == Ok(0) {
                state.wakers.insert(self.handle, cx.waker().clone());
            }
            written
        });
        match written {
            Ok(0) => Poll::Pending,
            Ok(length) => Poll::Ready(Ok(length)),
            Err(end) => Poll::Ready(Err(error_of(end))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.act(|state, _| state.endpoint.finish(self.handle));
        Poll::Ready(Ok(()))
    }
}

fn error_of(end: End) -> io::Error {
    match end {
        End::Refused => io::ErrorKind::ConnectionRefused.into(),
        End::Reset => io::ErrorKind::ConnectionReset.into(),
        End::TimedOut => io::ErrorKind::TimedOut.into(),
    }
}
