//! Peers that break the protocol, each in one way; none of them ever downloads anything.

use std::{io, time::Duration};

use rand::RngExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use wire::{
    InfoHash,
    peer::{
        bitfield::Bitfield,
        handshake::{Handshake, Reserved},
        message::{self, Message},
    },
};

use crate::{
    peer::{
        Peer,
        connection::{own_handshake, read_handshake},
    },
    profile::Hostile,
};

/// How long a hostile peer holds a connection.
const HOLD: Duration = Duration::from_secs(20);

/// Serves the `nth` connection of an address in this way.
pub async fn accept(peer: &Peer, kind: Hostile, mut stream: TcpStream, nth: u32) -> io::Result<()> {
    if kind == Hostile::Garbage {
        let mut garbage = [0; 300];
        peer.chance(nth).fill(&mut garbage);
        stream.write_all(&garbage).await?;
        return hold(peer, &mut stream, HOLD).await;
    }
    timeout(HOLD, read_handshake(&mut stream)).await??;
    // Without Fast and extensions, so that nothing but what it is about is said.
    let handshake = Handshake { reserved: Reserved(0), ..own_handshake(peer) };
    match kind {
        Hostile::Slowloris => {
            for byte in handshake.encode() {
                stream.write_all(&[byte]).await?;
                hold(peer, &mut stream, Duration::from_secs(1)).await?;
            }
            return Ok(());
        }
        Hostile::WrongInfoHash => {
            let info_hash = InfoHash(handshake.info_hash.0.map(|byte| !byte));
            stream.write_all(&Handshake { info_hash, ..handshake }.encode()).await?;
            return hold(peer, &mut stream, HOLD).await;
        }
        _ => stream.write_all(&handshake.encode()).await?,
    }
    let mute = kind == Hostile::SilentClose || (kind == Hostile::MuteFirst && nth < 2);
    if mute {
        // On both sides of the settle time: silence that soon ends in a close says nothing about pieces.
        let silence = Duration::from_millis(peer.chance(nth).random_range(300..3_000));
        return hold(peer, &mut stream, silence).await;
    }
    let mut opening = Vec::new();
    write_opening(peer, kind, nth, &mut opening);
    stream.write_all(&opening).await?;
    hold(peer, &mut stream, HOLD).await
}

fn write_opening(peer: &Peer, kind: Hostile, nth: u32, out: &mut Vec<u8>) {
    let piece_count = peer.torrent.piece_count;
    let part = |share: u32| {
        let mut bitfield = Bitfield::empty(piece_count);
        for piece in 0..piece_count / 10 * share {
            bitfield.set(piece).ok();
        }
        bitfield.to_bytes()
    };
    match kind {
        Hostile::Backwards => {
            message::encode(&Message::Bitfield(part(if nth.is_multiple_of(2) { 6 } else { 3 })), out);
        }
        Hostile::GiantLength => {
            message::encode(&Message::Bitfield(part(2)), out);
            out.extend_from_slice(&0xffff_fff0_u32.to_be_bytes());
            out.extend_from_slice(&[5; 64]);
        }
        Hostile::HaveOutOfRange => {
            message::encode(&Message::Bitfield(part(5)), out);
            message::encode(&Message::Have(piece_count), out);
            message::encode(&Message::Have(u32::MAX), out);
        }
        Hostile::LyingBitfield => {
            let mut bits = Bitfield::full(piece_count).to_bytes();
            match bits.last_mut() {
                Some(last) if nth.is_multiple_of(2) && !piece_count.is_multiple_of(8) => *last = 0xff,
                _ => bits.extend_from_slice(&[0xff; 3]),
            }
            message::encode(&Message::Bitfield(bits), out);
        }
        Hostile::Leaps if nth == 0 => message::encode(&Message::Bitfield(part(1)), out),
        Hostile::Leaps | Hostile::MuteFirst => {
            message::encode(&Message::Bitfield(Bitfield::full(piece_count).to_bytes()), out);
        }
        Hostile::Garbage | Hostile::SilentClose | Hostile::Slowloris | Hostile::WrongInfoHash => {}
    }
}

/// Reads and ignores what comes, until this time is over, the other side closes, or the peer goes.
async fn hold(peer: &Peer, stream: &mut TcpStream, time: Duration) -> io::Result<()> {
    let mut input = [0; 1024];
    let closed = async {
        while stream.read(&mut input).await? > 0 {}
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    tokio::select! {
        closed = closed => closed,
        () = sleep(time) => Ok(()),
        () = peer.gone.cancelled() => Err(io::ErrorKind::Interrupted.into()),
    }
}
