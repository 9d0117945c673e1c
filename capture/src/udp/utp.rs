//! uTP over a shared UDP socket: the endpoint of `wire::utp` behind a lock, and streams that contacts read and write.
//!
//! A stream locks the endpoint for as long as it copies bytes, and sends what came of it from its own task; the reader
//! does the same for what has arrived. No task and no buffer belongs to a connection: held and idle it takes what
//! `wire::utp` has for it and the waker of its contact.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UdpSocket,
    sync::{Notify, mpsc},
};
use wire::utp::{
    End,
    endpoint::{Config, Counts, Endpoint, Event, Handle},
};

use super::Dropped;
use crate::clock::Clock;

/// The uTP side of a socket.
pub struct UtpSocket {
    socket: Arc<UdpSocket>,
    clock: Clock,
    state: Mutex<State>,
    /// Says that something is due before the reader would wake.
    rearmed: Notify,
    incoming: mpsc::Sender<UtpStream>,
    dropped: Arc<Dropped>,
}

struct State {
    endpoint: Endpoint,
    /// Who waits for a connection, by [`Handle::index`].
    wakers: Vec<Option<Waker>>,
    /// When the reader wakes.
    armed: Option<Instant>,
}

impl State {
    fn waits(&mut self, handle: Handle, waker: &Waker) {
        if self.wakers.len() <= handle.index() {
            self.wakers.resize(handle.index() + 1, None);
        }
        if let Some(place) = self.wakers.get_mut(handle.index())
            && !place.as_ref().is_some_and(|known| known.will_wake(waker))
        {
            *place = Some(waker.clone());
        }
    }
}

impl UtpSocket {
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        clock: Clock,
        accepts: bool,
        connections_max: usize,
        incoming: mpsc::Sender<UtpStream>,
        dropped: Arc<Dropped>,
    ) -> Arc<Self> {
        let config = Config { accepts, connections_max, seed: rand::random() };
        let endpoint = Endpoint::new(config, clock.instant().into_std());
        let state = Mutex::new(State { endpoint, wakers: Vec::new(), armed: None });
        Arc::new(Self { socket, clock, state, rearmed: Notify::new(), incoming, dropped })
    }

    /// Connects to a peer.
    pub(super) async fn connect(self: &Arc<Self>, to: SocketAddr) -> io::Result<UtpStream> {
        let (begun, unsent) = self.act(|state, now| state.endpoint.connect(now, to));
        let stream =
            UtpStream { socket: Arc::clone(self), handle: begun.map_err(io::Error::other)?, remote: to };
        if let Some(error) = unsent {
            return Err(error);
        }
        poll_fn(|cx| {
            let (connected, _) = self.act(|state, _| {
                let connected = state.endpoint.is_connected(stream.handle);
                if connected == Ok(false) {
                    state.waits(stream.handle, cx.waker());
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

    /// Where the socket is.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Counters so far.
    pub(super) fn counts(&self) -> Counts {
        self.lock().endpoint.counts()
    }

    /// Connections at this moment.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.lock().endpoint.len()
    }

    /// Takes what has arrived, and does what is due.
    pub(super) fn handle<'a>(self: &Arc<Self>, datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>) {
        self.act(|state, now| {
            for (from, datagram) in datagrams {
                state.endpoint.handle_datagram(now, from, datagram);
            }
            state.endpoint.handle_timeout(now);
        });
    }

    /// When the reader is to call [`Self::handle`] at the latest, unless [`Self::rearmed`] says so before.
    pub(super) fn arm(&self) -> Option<Instant> {
        let mut state = self.lock();
        state.armed = state.endpoint.poll_timeout();
        state.armed
    }

    pub(super) async fn rearmed(&self) {
        self.rearmed.notified().await;
    }

    /// Does something to the endpoint, then all that follows from it; tells why the last datagram was not sent.
    fn act<T>(self: &Arc<Self>, what: impl FnOnce(&mut State, Instant) -> T) -> (T, Option<io::Error>) {
        let now = self.clock.instant().into_std();
        let (mut datagrams, mut wakers, mut begun) = (Vec::new(), Vec::new(), Vec::new());
        let (done, sooner) = {
            let mut state = self.lock();
            let done = what(&mut state, now);
            while let Some(datagram) = state.endpoint.poll_transmit(now) {
                datagrams.push(datagram);
            }
            while let Some(event) = state.endpoint.poll_event() {
                match event {
                    Event::Changed(handle) => {
                        wakers.extend(state.wakers.get_mut(handle.index()).and_then(Option::take));
                    }
                    Event::Incoming(handle, remote) => begun.push((handle, remote)),
                }
            }
            let next = state.endpoint.poll_timeout();
            let sooner = next.is_some_and(|next| state.armed.is_none_or(|armed| next < armed));
            if sooner {
                state.armed = next;
            }
            (done, sooner)
        };
        let mut unsent = None;
        for (to, datagram) in datagrams {
            // A full socket buffer loses a datagram, as any router may: it is sent again.
            if let Err(error) = SockRef::from(&*self.socket).send_to(&datagram, &to.into()) {
                tracing::trace!("cannot send to {to} over uTP: {error}");
                unsent = Some(error).filter(|error| error.kind() != io::ErrorKind::WouldBlock);
            }
        }
        if sooner {
            self.rearmed.notify_one();
        }
        wakers.into_iter().for_each(Waker::wake);
        for (handle, remote) in begun {
            let stream = UtpStream { socket: Arc::clone(self), handle, remote };
            if let Err(refused) = self.incoming.try_send(stream) {
                self.dropped.count();
                refused.into_inner().refuse();
            }
        }
        (done, unsent)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A uTP connection to a peer.
pub struct UtpStream {
    socket: Arc<UtpSocket>,
    handle: Handle,
    remote: SocketAddr,
}

impl UtpStream {
    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Ends the connection without a farewell.
    pub fn refuse(self) {
        self.socket.act(|state, _| state.endpoint.abort(self.handle));
    }
}

impl Drop for UtpStream {
    fn drop(&mut self) {
        self.socket.act(|state, now| {
            if let Some(place) = state.wakers.get_mut(self.handle.index()) {
                *place = None;
            }
            state.endpoint.release(now, self.handle);
        });
    }
}

impl AsyncRead for UtpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let unfilled = to.initialize_unfilled();
        let (read, _) = self.socket.act(|state, _| {
            let read = state.endpoint.read(self.handle, unfilled);
            if read == Ok(None) {
                state.waits(self.handle, cx.waker());
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
        let (written, _) = self.socket.act(|state, _| {
            let written = state.endpoint.write(self.handle, bytes);
            if written == Ok(0) {
                state.waits(self.handle, cx.waker());
            }
            written
        });
        match written {
            Ok(0) => Poll::Pending,
            Ok(length) => Poll::Ready(Ok(length)),
            Err(end) => Poll::Ready(Err(error_of(end))),
        }
    }

    /// What was written is on its way already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends our half; what was written is delivered whether or not the stream lives on.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.act(|state, _| state.endpoint.finish(self.handle));
        Poll::Ready(Ok(()))
    }
}

fn error_of(end: End) -> io::Error {
    match end {
        End::Refused => io::ErrorKind::ConnectionRefused.into(),
        End::Reset => io::ErrorKind::ConnectionReset.into(),
        End::TimedOut => io::Error::new(io::ErrorKind::TimedOut, "what we sent was not acknowledged"),
    }
}
