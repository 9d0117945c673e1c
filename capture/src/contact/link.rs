//! A connection with what obfuscates it: bytes of the socket ⇄ bytes of the session (MSE).
//!
//! ```text
//! outgoing ─ plain ──────────────────────────────────────────▶ Plain
//!          └ MSE ───────────────────────────────▶ Initiating ▶ Secured
//! incoming ─▶ Detecting ─ BitTorrent's first bytes ──────────▶ Plain
//!                       └ anything else ────────▶ Responding ▶ Secured
//! ```
//! Nothing is buffered but what could not be sent; RC4's state is 520 bytes beside the contact.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use schema::{InfoHash, table::Encryption};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wire::peer::{
    handshake,
    mse::{self, Ciphers, Established, Initiator, Methods, PAD_MAX, Responder, Secret, SwarmKeys},
    session::Session,
};

/// Bytes taken from a connection at once; a whole opening burst fits.
const READ_BYTES: usize = 8 * 1024;

/// How a connection failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection itself.
    Io(io::Error),
    /// What obfuscates it.
    Mse(mse::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<mse::Error> for Broken {
    fn from(error: mse::Error) -> Self {
        Self::Mse(error)
    }
}

/// A byte stream and what obfuscates it.
pub(super) struct Link<S> {
    stream: S,
    layer: Layer,
    /// Bytes as they go out that found no room yet.
    unsent: Vec<u8>,
    /// What obfuscates it, as far as that is known.
    pub encryption: Encryption,
    /// The swarm that an incoming obfuscated peer means; its handshake says so again.
    pub named: Option<InfoHash>,
    /// Bytes received, the obfuscating ones included.
    pub bytes_in: u64,
    /// Bytes sent, the obfuscating ones included.
    pub bytes_out: u64,
}

/// What the bytes go through.
enum Layer {
    Detecting { received: Vec<u8> },
    Initiating(Box<Initiator>),
    Plain,
    Responding(Box<Responder>),
    Secured(Box<Ciphers>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    fn new(stream: S, encryption: Encryption, layer: Layer) -> Self {
        Self { stream, layer, unsent: Vec::new(), encryption, named: None, bytes_in: 0, bytes_out: 0 }
    }

    /// Bytes as they are.
    pub fn plain(stream: S) -> Self {
        Self::new(stream, Encryption::Plain, Layer::Plain)
    }

    /// We obfuscate: the session's handshake goes with the first bytes that can carry it.
    pub fn initiating(stream: S, session: &mut Session, info_hash: wire::InfoHash, offer: Methods) -> Self {
        let Some(&initial) = session.output().first_chunk::<{ handshake::LEN }>() else {
            return Self::plain(stream);
        };
        session.sent(initial.len());
        let mut initiator = Initiator::new(random_secret(), info_hash, offer, initial);
        let unsent = initiator.take_output();
        let layer = Layer::Initiating(Box::new(initiator));
        Self { unsent, ..Self::new(stream, Encryption::Mse, layer) }
    }

    /// The peer's first bytes tell whether it obfuscates.
    pub fn detecting(stream: S) -> Self {
        Self::new(stream, Encryption::Plain, Layer::Detecting { received: Vec::new() })
    }

    /// Sends what is to be sent, and takes what has come to `hear`; 0 bytes taken is the peer's end of the connection.
    pub fn poll_exchange(
        &mut self,
        cx: &mut TaskContext<'_>,
        session: &mut Session,
        swarms: &SwarmKeys,
        hear: impl FnMut(&mut Session, &[u8]),
    ) -> Poll<Result<usize, Broken>> {
        let unsent = self.poll_send(cx, session);
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        match (Pin::new(&mut self.stream).poll_read(cx, &mut bytes), unsent) {
            (Poll::Ready(Ok(())), _) => {
                let taken = bytes.filled().len();
                self.bytes_in += taken as u64;
                if taken > 0 {
                    self.handle_bytes(bytes.filled_mut(), session, swarms, hear)?;
                }
                Poll::Ready(Ok(taken))
            }
            (Poll::Ready(Err(error)), _) | (Poll::Pending, Poll::Ready(Err(error))) => {
                Poll::Ready(Err(error.into()))
            }
            (Poll::Pending, _) => Poll::Pending,
        }
    }

    /// What the obfuscating handshake still waits for.
    pub fn awaits(&self) -> Option<&'static str> {
        match &self.layer {
            Layer::Detecting { .. } | Layer::Plain | Layer::Secured(_) => None,
            Layer::Initiating(initiator) => Some(initiator.awaits()),
            Layer::Responding(responder) => Some(responder.awaits()),
        }
    }

    /// Whether the peer, at the end of the connection, has answered with its key and not taken what we offered.
    pub fn was_refused(&self) -> bool {
        matches!(&self.layer, Layer::Initiating(initiator) if initiator.has_offered())
    }

    /// Closes our side.
    pub fn poll_close(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Sends until all is gone or there is no room.
    fn poll_send(&mut self, cx: &mut TaskContext<'_>, session: &mut Session) -> Poll<io::Result<()>> {
        loop {
            while !self.unsent.is_empty() {
                let sent = ready!(poll_write(&mut self.stream, cx, &self.unsent))?;
                self.bytes_out += sent as u64;
                self.unsent.drain(..sent);
            }
            self.unsent = Vec::new();
            if session.output().is_empty() {
                return Poll::Ready(Ok(()));
            }
            match &mut self.layer {
                Layer::Plain => {
                    let sent = ready!(poll_write(&mut self.stream, cx, session.output()))?;
                    self.bytes_out += sent as u64;
                    session.sent(sent);
                }
                Layer::Secured(ciphers) => {
                    self.unsent = session.output().to_vec();
                    ciphers.encrypt(&mut self.unsent);
                    session.sent(self.unsent.len());
                }
                Layer::Detecting { .. } | Layer::Initiating(_) | Layer::Responding(_) => {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn handle_bytes(
        &mut self,
        bytes: &mut [u8],
        session: &mut Session,
        swarms: &SwarmKeys,
        mut hear: impl FnMut(&mut Session, &[u8]),
    ) -> Result<(), mse::Error> {
        match &mut self.layer {
            Layer::Detecting { received } => {
                received.extend_from_slice(bytes);
                let mut received = std::mem::take(received);
                self.layer = match handshake::begins(&received) {
                    None => {
                        self.layer = Layer::Detecting { received };
                        return Ok(());
                    }
                    Some(true) => Layer::Plain,
                    Some(false) => {
                        self.encryption = Encryption::Mse;
                        Layer::Responding(Box::new(Responder::new(random_secret(), Methods::ANY)))
                    }
                };
                self.handle_bytes(&mut received, session, swarms, hear)?;
            }
            Layer::Plain => hear(session, bytes),
            Layer::Secured(ciphers) => {
                ciphers.decrypt(bytes);
                hear(session, bytes);
            }
            Layer::Initiating(initiator) => {
                let established = initiator.handle_bytes(bytes)?;
                self.unsent.append(&mut initiator.take_output());
                self.establish(established, session, hear);
            }
            Layer::Responding(responder) => {
                let established = responder.handle_bytes(bytes, swarms)?;
                self.unsent.append(&mut responder.take_output());
                self.named = established.as_ref().map(|established| InfoHash(established.info_hash.0));
                self.establish(established, session, hear);
            }
        }
        Ok(())
    }

    fn establish(
        &mut self,
        established: Option<Established>,
        session: &mut Session,
        mut hear: impl FnMut(&mut Session, &[u8]),
    ) {
        let Some(Established { ciphers, payload, .. }) = established else { return };
        self.layer = Layer::Secured(Box::new(ciphers));
        if !payload.is_empty() {
            hear(session, &payload);
        }
    }
}

fn poll_write(
    stream: &mut (impl AsyncWrite + Unpin),
    cx: &mut TaskContext<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(stream).poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        sent => Poll::Ready(sent),
    }
}

fn random_secret() -> Secret {
    let mut pad = vec![0; usize::from(rand::random_range(0..=PAD_MAX))];
    rand::fill(&mut pad[..]);
    Secret::new(rand::random(), pad, rand::random_range(0..=PAD_MAX))
}
