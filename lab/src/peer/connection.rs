//! A connection from its first byte to its last: handshake, admission, then the session (BEP 3).

use std::{io, net::SocketAddr, time::Duration};

use rand::RngExt;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpSocket,
    time::{sleep_until, timeout},
};
use wire::peer::handshake::{self, Handshake};

use crate::{
    peer::{
        Peer, hostile,
        session::{Session, With},
        stream::{Link, Stream},
    },
    profile::{Role, Tells},
};

/// How long a peer waits for the other side's handshake, and for room to write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves a connection somebody made to the peer.
pub async fn accept(peer: &Peer, link: Link, remote: SocketAddr) -> io::Result<()> {
    if let Role::Hostile(kind) = peer.plan.profile.role {
        let Link::Tcp(stream) = link else { return Ok(()) };
        let now = peer.world.clock.instant();
        let Some(nth) = peer.enter(remote.ip(), now) else { return Ok(()) };
        let served = hostile::accept(peer, kind, stream, nth).await;
        peer.leave(remote.ip(), peer.world.clock.instant());
        return served;
    }
    let mut stream = timeout(PATIENCE, Stream::accept(peer, link)).await??;
    let theirs = timeout(PATIENCE, read_handshake(&mut stream)).await??;
    if theirs.info_hash != peer.info_hash() {
        return Ok(());
    }
    let now = peer.world.clock.instant();
    peer.world.tally.note(peer.address, now);
    let Some(nth) = peer.enter(remote.ip(), now) else { return Ok(()) };
    let served = async {
        stream.write_all(&own_handshake(peer).encode()).await?;
        talk(peer, stream, &With { handshake: &theirs, remote, dialled: false }, nth).await
    };
    let served = served.await;
    peer.leave(remote.ip(), peer.world.clock.instant());
    served
}

/// Connects from the peer's address to somebody, unless they are connected already.
pub async fn dial(peer: &Peer, remote: SocketAddr) -> io::Result<()> {
    if peer.is_connected(remote.ip()) {
        return Ok(());
    }
    let Some(nth) = peer.enter(remote.ip(), peer.world.clock.instant()) else { return Ok(()) };
    let talked = async {
        let link = timeout(PATIENCE, connect(peer, remote)).await??;
        let handshake = own_handshake(peer).encode();
        let mut stream = timeout(PATIENCE, Stream::initiate(peer, link, handshake)).await??;
        let theirs = timeout(PATIENCE, read_handshake(&mut stream)).await??;
        if theirs.info_hash != peer.info_hash() || theirs.peer_id == peer.peer_id() {
            return Ok(());
        }
        peer.world.met(peer, remote);
        talk(peer, stream, &With { handshake: &theirs, remote, dialled: true }, nth).await
    };
    let talked = talked.await;
    peer.leave(remote.ip(), peer.world.clock.instant());
    talked
}

async fn connect(peer: &Peer, remote: SocketAddr) -> io::Result<Link> {
    if let Some(utp) = &peer.utp {
        return Ok(Link::Utp(utp.connect(remote).await?));
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(peer.address.ip(), 0))?;
    Ok(Link::Tcp(socket.connect(remote).await?))
}

/// The peer's side of the handshake.
pub fn own_handshake(peer: &Peer) -> Handshake {
    Handshake { reserved: peer.reserved(), info_hash: peer.info_hash(), peer_id: peer.peer_id() }
}

/// Reads the other side's.
pub async fn read_handshake(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Handshake> {
    let mut bytes = [0; handshake::LEN];
    stream.read_exact(&mut bytes).await?;
    match Handshake::decode(&bytes) {
        Ok(Some(handshake)) => Ok(handshake),
        Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Speaks until one side closes or the peer goes.
async fn talk(peer: &Peer, mut stream: Stream, with: &With<'_>, nth: u32) -> io::Result<()> {
    let clock = &peer.world.clock;
    let (from_ms, to_ms) = peer.plan.profile.client.opening_delay_ms;
    let delay = Duration::from_millis(peer.chance(nth).random_range(from_ms..=to_ms));
    let mut session = Session::new(peer, with, nth, clock.instant(), delay);
    let mut input = vec![0; 4096];
    let mut output = Vec::new();
    loop {
        session.tick(clock.instant(), &mut output);
        if !output.is_empty() {
            timeout(PATIENCE, stream.write_all(&output)).await??;
            output.clear();
        }
        peer.world.told(peer, with.remote, &session.named());
        if session.is_over() {
            return stream.shutdown().await;
        }
        tokio::select! {
            read = stream.read(&mut input) => {
                let read = read?;
                let bytes = input.get(..read).unwrap_or_default();
                let goes_on = !bytes.is_empty() && session.handle_bytes(bytes, clock.instant(), &mut output);
                for offence in session.offences() {
                    peer.world.note_offence(peer, with.remote, offence);
                }
                if !goes_on {
                    return Ok(());
                }
            }
            () = sleep_until(session.wake(clock.instant())) => {}
            () = peer.gone.cancelled() => break,
        }
    }
    if peer.plan.profile.role == Role::Crashes {
        return stream.link.reset();
    }
    if peer.plan.profile.client.tells == Tells::AtOnce {
        session.tick(clock.instant(), &mut output);
        timeout(PATIENCE, stream.write_all(&output)).await??;
    }
    stream.shutdown().await
}
