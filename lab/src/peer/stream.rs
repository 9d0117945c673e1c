//! A peer's connection, over TCP or uTP, obfuscated or not (MSE), as its profile has it.
//!
//! Bytes are read through [`AsyncRead`], decrypted; they are written by [`Stream::write_all`], which encrypts.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use rand::RngExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use wire::peer::{
    handshake,
    mse::{Ciphers, Established, Initiator, Methods, PAD_MAX, Responder, Secret},
};

use crate::{
    peer::{Peer, utp::UtpStream},
    profile::Obfuscation,
};

/// A connection, before anything was said on it.
#[derive(Debug)]
pub enum Link {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over uTP.
    Utp(UtpStream),
}

impl Link {
    /// Ends the connection as one does that dies: the other side gets a reset and no farewell.
    pub fn reset(&self) -> io::Result<()> {
        match self {
            // Unread bytes and no linger make the kernel reset the connection.
            Self::Tcp(tcp) => socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO)),
            Self::Utp(utp) => {
                utp.reset();
                Ok(())
            }
        }
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, room),
            Self::Utp(utp) => Pin::new(utp).poll_read(cx, room),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Utp(utp) => Pin::new(utp).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Utp(utp) => Pin::new(utp).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Utp(utp) => Pin::new(utp).poll_shutdown(cx),
        }
    }
}

/// A connection whose obfuscation is settled.
#[derive(Debug)]
pub struct Stream {
    /// The connection itself.
    pub link: Link,
    ciphers: Option<Box<Ciphers>>,
    /// Decrypted bytes that came with the end of the obfuscating handshake, or that told there is none.
    read_ahead: Vec<u8>,
}

impl Stream {
    /// Takes a connection somebody made; fails where it is not obfuscated as the peer wants it.
    pub async fn accept(peer: &Peer, mut link: Link) -> io::Result<Self> {
        let obfuscation = peer.plan.profile.obfuscation;
        let mut first = vec![0; handshake::LEN];
        let mut len = 0;
        let plain = loop {
            let room = first.get_mut(len..).unwrap_or_default();
            len += read_some(&mut link, room).await?;
            if let Some(plain) = handshake::begins(first.get(..len).unwrap_or_default()) {
                break plain;
            }
        };
        first.truncate(len);
        let methods = match obfuscation {
            Obfuscation::MsePlaintextOnly => Methods::PLAINTEXT,
            _ => Methods::ANY,
        };
        match (plain, obfuscation) {
            (true, Obfuscation::MseOnly | Obfuscation::MsePlaintextOnly) => {
                Err(io::Error::other("not obfuscated"))
            }
            (false, Obfuscation::PlainOnly) => Err(io::Error::other("no handshake")),
            (true, _) => Ok(Self { link, ciphers: None, read_ahead: first }),
            (false, _) => {
                let mut responder = Responder::new(secret(peer, 0), methods);
                let swarms = [peer.info_hash()].into_iter().collect();
                settle(link, first, |bytes| {
                    let established = responder.handle_bytes(bytes, &swarms);
                    (established, responder.take_output())
                })
                .await
            }
        }
    }

    /// Begins a connection the peer made: its handshake goes out, obfuscated if that is what it prefers.
    pub async fn initiate(peer: &Peer, mut link: Link, handshake: [u8; handshake::LEN]) -> io::Result<Self> {
        if matches!(peer.plan.profile.obfuscation, Obfuscation::Either | Obfuscation::PlainOnly) {
            link.write_all(&handshake).await?;
            return Ok(Self { link, ciphers: None, read_ahead: Vec::new() });
        }
        let offer = match peer.plan.profile.obfuscation {
            Obfuscation::MsePlaintextOnly => Methods::PLAINTEXT,
            _ => Methods::RC4,
        };
        let mut initiator = Initiator::new(secret(peer, 1), peer.info_hash(), offer, handshake);
        link.write_all(&initiator.take_output()).await?;
        settle(link, Vec::new(), |bytes| {
            let established = initiator.handle_bytes(bytes);
            (established, initiator.take_output())
        })
        .await
    }

    /// Sends all of these bytes.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(ciphers) = &mut self.ciphers else { return self.link.write_all(bytes).await };
        let mut bytes = bytes.to_vec();
        ciphers.encrypt(&mut bytes);
        self.link.write_all(&bytes).await
    }

    /// Says that nothing follows.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.link.shutdown().await
    }
}

/// Goes on until the obfuscating handshake is done.
async fn settle(
    mut link: Link,
    mut received: Vec<u8>,
    mut side: impl FnMut(&[u8]) -> (Result<Option<Established>, wire::peer::mse::Error>, Vec<u8>),
) -> io::Result<Stream> {
    loop {
        let (established, output) = side(&received);
        link.write_all(&output).await?;
        if let Some(Established { ciphers, payload, .. }) = established.map_err(io::Error::other)? {
            return Ok(Stream { link, ciphers: Some(Box::new(ciphers)), read_ahead: payload });
        }
        received.resize(1024, 0);
        let len = read_some(&mut link, &mut received).await?;
        received.truncate(len);
    }
}

async fn read_some(link: &mut Link, room: &mut [u8]) -> io::Result<usize> {
    match link.read(room).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        len => Ok(len),
    }
}

fn secret(peer: &Peer, stream: u32) -> Secret {
    let mut rng = peer.chance(u32::MAX - stream);
    let mut pad = vec![0; rng.random_range(0..=usize::from(PAD_MAX))];
    rng.fill(&mut pad[..]);
    Secret::new(rng.random(), pad, rng.random_range(0..=PAD_MAX))
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.read_ahead.is_empty() {
            let len = self.read_ahead.len().min(room.remaining());
            room.put_slice(&self.read_ahead.drain(..len).collect::<Vec<_>>());
            return Poll::Ready(Ok(()));
        }
        let before = room.filled().len();
        let read = Pin::new(&mut self.link).poll_read(cx, room);
        if let (Poll::Ready(Ok(())), Some(ciphers)) = (&read, &mut self.ciphers) {
            ciphers.decrypt(room.filled_mut().get_mut(before..).unwrap_or_default());
        }
        read
    }
}
