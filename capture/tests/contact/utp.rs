//! Contacts over uTP, and peers that introduce others over it.

use std::sync::Arc;

use capture::{
    clock::Clock,
    udp::{Setup, Udp, Utp, utp::UtpStream},
};
use schema::table::Transport;
use tokio::sync::mpsc;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use wire::{
    peer::{extension::UT_HOLEPUNCH, holepunch::UtHolepunch},
    tracker::Family,
};

use super::*;

/// Sockets on loopback that are read until the guard is dropped.
fn open() -> (Utp, mpsc::Receiver<UtpStream>, DropGuard) {
    let mut udp = Udp::open(&Setup {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        bind: vec![],
        policy: Arc::new(AddressPolicy::new(true, &[])),
        clock: Clock::start(),
        krpc: false,
        utp_connections_max: Some(9),
    });
    let (utp, incoming, ending) = (udp.utp(), udp.take_incoming().unwrap(), CancellationToken::new());
    udp.spawn(&TaskTracker::new(), &ending);
    (utp, incoming, ending.drop_guard())
}

async fn hears_name(stream: &mut UtpStream, name: &str) -> Option<u8> {
    let mut theirs = [0; handshake::LEN];
    stream.read_exact(&mut theirs).await.unwrap();
    let (mut decoder, mut byte) = (Decoder::default(), [0]);
    loop {
        stream.read_exact(&mut byte).await.unwrap();
        if let Ok(Some(Message::Extended { id: HANDSHAKE_ID, payload })) = decoder.next(&mut &byte[..]) {
            return ExtendedHandshake::decode(&payload).unwrap().id_of(name);
        }
    }
}

#[tokio::test]
async fn a_peer_is_observed_over_utp_and_introduces_another() {
    let mut bench = Bench::new(swarm(SWARM, true));
    let (ours, _, _guard) = open();
    let (theirs, mut incoming, _their_guard) = open();
    let address = theirs.address(Family::Ipv4).unwrap();
    Arc::get_mut(&mut bench.context).unwrap().utp = ours;
    let swarm = Arc::clone(&bench.context.swarms[0]);
    let (_keep, close) = oneshot::channel();
    let contact = Dial { contact: 1, attempt: 1, rung: Rung::PLAIN_UTP, swarm, address, close };
    let other: SocketAddr = "198.51.100.7:6881".parse().unwrap();
    let peer = async {
        let mut stream = incoming.recv().await.unwrap();
        stream.write_all(&greeting(FAST, SWARM, THEIRS)).await.unwrap();
        let id = hears_name(&mut stream, UT_HOLEPUNCH).await.unwrap();
        stream.write_all(&bytes_of(&Message::HaveAll)).await.unwrap();
        let payload = UtHolepunch::Connect(other).encode();
        stream.write_all(&bytes_of(&Message::Extended { id, payload })).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    };
    tokio::join!(dial(Arc::clone(&bench.context), contact), peer);
    let mut introduced = Vec::new();
    while let Ok(event) = bench.events.try_recv() {
        if let What::Introduced { peer } = event.what {
            introduced.push(peer);
        }
    }
    assert_eq!(introduced, [other]);
    let rows = bench.rows().await;
    let row = rows.contact();
    assert_eq!((row.outcome, row.transport), (ContactOutcome::ClosedByRemote, Transport::Utp), "{row:?}");
    assert_eq!((row.port, row.direction), (address.port(), Direction::Out));
    assert!(row.connect_us.is_some() && row.bytes_in > 68 && row.bytes_out > 68);
    assert_eq!(rows.progress.len(), 1);
}

#[tokio::test]
async fn who_does_not_answer_over_utp_has_a_row_that_says_so() {
    let mut bench = Bench::new(swarm(SWARM, true));
    let (ours, _, _guard) = open();
    let context = Arc::get_mut(&mut bench.context).unwrap();
    context.utp = ours;
    context.connect_timeout = Duration::from_millis(300);
    let swarm = Arc::clone(&bench.context.swarms[0]);
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (_keep, close) = oneshot::channel();
    let address = silent.local_addr().unwrap();
    let contact = Dial { contact: 1, attempt: 1, rung: Rung::PLAIN_UTP, swarm, address, close };
    dial(Arc::clone(&bench.context), contact).await;
    assert_eq!(bench.rows().await.contact().outcome, ContactOutcome::ConnectTimedOut);
}
