//! Obfuscated contacts (MSE) we open: with peers that speak it, and with those that do not.

use std::{net::Ipv4Addr, sync::Arc};

use capture::{
    contact::{
        What,
        dial::{Dial, dial},
    },
    schedule::{Offer, Rung},
};
use schema::table::{ContactOutcome, Encryption};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use wire::{
    InfoHash, PeerId,
    peer::{
        handshake::{Handshake, Reserved},
        message::Message,
        mse::{Ciphers, Methods, Responder, Secret},
    },
};

use crate::{
    SWARM, THEIRS,
    bench::{Bench, swarm},
    bytes_of,
    support::Rows,
};

/// The rows of one obfuscated contact with a peer that behaves like this.
async fn rows_of<F: Future<Output = ()> + Send>(script: impl FnOnce(TcpStream) -> F) -> Rows {
    told_by(Offer::Rc4, script).await.0
}

/// As [`rows_of`] with an offer, and whether the scheduler was told that it was refused.
async fn told_by<F: Future<Output = ()> + Send>(
    offer: Offer,
    script: impl FnOnce(TcpStream) -> F,
) -> (Rows, bool) {
    let mut bench = Bench::new(swarm(SWARM, true));
    let mut heard = bench.take_events();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let swarm = Arc::clone(&bench.context.swarms[0]);
    let (_keep, close) = oneshot::channel();
    let contact = Dial { contact: 1, attempt: 2, rung: Rung::MSE_TCP.offering(offer), swarm, address, close };
    let peer = async { script(listener.accept().await.unwrap().0).await };
    tokio::join!(dial(Arc::clone(&bench.context), contact), peer);
    let rows = bench.rows().await;
    assert_eq!(rows.contact().encryption, Encryption::Mse);
    let mut refused = false;
    while let Ok(event) = heard.try_recv() {
        refused |= matches!(event.what, What::Refused);
    }
    (rows, refused)
}

/// Answers until the handshake is done; gives what followed our handshake, which came with it.
async fn respond(stream: &mut TcpStream, swarm: [u8; 20]) -> Option<(Ciphers, Vec<u8>)> {
    respond_with(stream, swarm, Methods::ANY).await
}

async fn respond_with(
    stream: &mut TcpStream,
    swarm: [u8; 20],
    methods: Methods,
) -> Option<(Ciphers, Vec<u8>)> {
    let swarms = [InfoHash(swarm)].into_iter().collect();
    let mut responder = Responder::new(Secret::new([3; 20], vec![4; 512], 512), methods);
    let mut bytes = [0; 700];
    loop {
        let len = stream.read(&mut bytes).await.unwrap();
        let established = responder.handle_bytes(&bytes[..len], &swarms).ok()?;
        stream.write_all(&responder.take_output()).await.unwrap();
        if let Some(established) = established {
            return Some((established.ciphers, established.payload));
        }
    }
}

async fn hears_the_end(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|len| len > 0) {}
}

#[tokio::test]
async fn an_obfuscated_peer_is_observed_like_any_other() {
    let rows = rows_of(async |mut stream| {
        let (mut ciphers, heard) = respond(&mut stream, SWARM).await.unwrap();
        let ours = Handshake::decode(&heard).unwrap().unwrap();
        assert_eq!(ours.info_hash, InfoHash(SWARM));
        let theirs =
            Handshake { reserved: Reserved(0), info_hash: InfoHash(SWARM), peer_id: PeerId(THEIRS.0) };
        let mut said = [&theirs.encode()[..], &bytes_of(&Message::Bitfield(vec![0xc0, 0, 0]))].concat();
        ciphers.encrypt(&mut said);
        for byte in said {
            stream.write_all(&[byte]).await.unwrap();
        }
        // The end comes once the peer has been silent for too long, after the opening was told.
        hears_the_end(&mut stream).await;
    })
    .await;
    let row = rows.contact();
    assert_eq!((row.outcome, row.pieces_first), (ContactOutcome::IdleTimedOut, Some(2)));
    assert_eq!(row.peer_id.map(|id| id.0), Some(THEIRS.0));
    assert_eq!(row.bytes_in, 96 + 512 + 14 + 512 + 68 + 5 + 3);
    assert!(row.bytes_out >= 96 + 40 + 16 + 68);
}

#[tokio::test]
async fn who_does_not_speak_it_fails_with_its_cause() {
    let hangs_up = rows_of(async |mut stream: TcpStream| {
        // Reads all there is, so that the close is no reset.
        let mut bytes = [0; 2048];
        assert!(stream.read(&mut bytes).await.unwrap() >= 96);
        stream.shutdown().await.unwrap();
        hears_the_end(&mut stream).await;
    });
    let closed = hangs_up.await;
    assert_eq!(closed.contact().outcome, ContactOutcome::HandshakeClosed);
    assert_eq!(closed.contact().error.as_deref(), Some("MSE: waited for the peer's key"));
    let stranger = rows_of(async |mut stream: TcpStream| {
        stream.write_all(&[7; 96 + 512 + 8]).await.unwrap();
        hears_the_end(&mut stream).await;
    });
    let garbled = stranger.await;
    assert_eq!(garbled.contact().outcome, ContactOutcome::HandshakeMalformed);
    assert_eq!(garbled.contact().error.as_deref(), Some("MSE: no end of the pad within 512 bytes"));
    let waits = rows_of(async |mut stream: TcpStream| hears_the_end(&mut stream).await);
    assert_eq!(waits.await.contact().outcome, ContactOutcome::HandshakeTimedOut);
    let other_swarm = rows_of(async |mut stream: TcpStream| {
        assert!(respond(&mut stream, [1; 20]).await.is_none());
        stream.shutdown().await.unwrap();
        hears_the_end(&mut stream).await;
    });
    let turned_away = other_swarm.await;
    assert_eq!(turned_away.contact().outcome, ContactOutcome::HandshakeClosed);
    assert_eq!(turned_away.contact().error.as_deref(), Some("MSE: waited for the peer's answer"));
}

#[tokio::test]
async fn a_peer_that_wants_no_rc4_says_so_and_is_observed_with_the_payload_as_it_is() {
    let (rows, refused) = told_by(Offer::Rc4, async |mut stream| {
        assert!(respond_with(&mut stream, SWARM, Methods::PLAINTEXT).await.is_none());
        stream.shutdown().await.unwrap();
        hears_the_end(&mut stream).await;
    })
    .await;
    assert_eq!((rows.contact().outcome, refused), (ContactOutcome::HandshakeClosed, true));
    let (rows, refused) = told_by(Offer::Plaintext, async |mut stream| {
        let (mut ciphers, heard) = respond_with(&mut stream, SWARM, Methods::PLAINTEXT).await.unwrap();
        assert_eq!(Handshake::decode(&heard).unwrap().unwrap().info_hash, InfoHash(SWARM));
        let theirs = Handshake { reserved: Reserved(0), info_hash: InfoHash(SWARM), peer_id: THEIRS };
        let plain = [&theirs.encode()[..], &bytes_of(&Message::Bitfield(vec![0xc0, 0, 0]))].concat();
        let mut said = plain.clone();
        ciphers.encrypt(&mut said);
        assert!(said == plain, "as it is");
        stream.write_all(&said).await.unwrap();
        hears_the_end(&mut stream).await;
    })
    .await;
    assert_eq!((rows.contact().pieces_first, refused), (Some(2), false));
    let (rows, refused) = told_by(Offer::Rc4, async |mut stream: TcpStream| {
        stream.shutdown().await.unwrap();
        hears_the_end(&mut stream).await;
    })
    .await;
    assert_eq!((rows.contact().outcome, refused), (ContactOutcome::HandshakeClosed, false), "no key came");
}
