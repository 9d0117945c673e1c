//! Peers that no tracker names, and peers without TCP.

use std::net::IpAddr;

use rand::{RngExt, SeedableRng};
use wire::peer::{
    extension::UT_PEX,
    pex::{Flags, UtPex},
};

use super::*;
use crate::peer::{stream::Link, utp::UtpSocket};

const PEX_ID: u8 = 7;

impl Visit {
    /// Asks for peers, and takes the first message that tells any.
    async fn peers(&mut self, listens_at: Option<u16>) -> UtPex {
        let ours = ExtendedHandshake {
            m: [(UT_PEX.to_owned(), PEX_ID)].into(),
            p: listens_at,
            ..ExtendedHandshake::default()
        };
        self.send(&Message::Extended { id: 0, payload: ours.encode() }).await;
        loop {
            let message = self.next().await.unwrap().expect("it goes on");
            if let Message::Extended { id: PEX_ID, payload } = message {
                return UtPex::decode(&payload).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_peer_that_no_tracker_names_is_told_of_by_its_neighbours() {
    let lab = Lab::new();
    let (neighbour, _) = lab.peer("seeder:libtorrent", PIECES, Vec::new()).await;
    let (hidden, hidden_lives) =
        lab.peer_at([127, 99, 0, 2], "leaves:qbittorrent:pex", 10, vec![3_000]).await;
    let (_, named) = lab.world.members.name(0, 100);
    assert_eq!(named, [neighbour]);

    let mut visit = lab.visit(neighbour).await.unwrap();
    let told = visit.peers(Some(4_000)).await;
    assert_eq!(told.added, [(hidden, Some(Flags::default()))], "and not of the visitor itself");
    // Others are told of the visitor, for as long as it is there.
    lab.world.begin();
    hidden_lives.await.unwrap();
    let dropped = loop {
        if let Some(Message::Extended { id: PEX_ID, payload }) = visit.next().await.unwrap() {
            break UtPex::decode(&payload).unwrap();
        }
    };
    assert_eq!((dropped.added, dropped.dropped), (Vec::new(), vec![hidden]));

    let truths = lab.world.truths();
    let truth = truths.iter().find(|truth| truth.ip == hidden.ip()).expect("it has left");
    assert!(truth.known_at.is_some(), "the neighbour's word made it known");
}

#[tokio::test]
async fn a_peer_without_tcp_is_served_over_utp_plain_and_obfuscated() {
    let lab = Lab::new();
    let (address, _) = lab.peer("seeder:qbittorrent:utp-only", PIECES, Vec::new()).await;
    let refused = TcpStream::connect(address).await.map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(io::ErrorKind::ConnectionRefused));

    let at = SocketAddr::new(IpAddr::from([127, 99, 9, 9]), 0);
    let seed = rand_chacha::ChaCha8Rng::seed_from_u64(1).random();
    let (socket, _begun) = UtpSocket::bind(at, lab.world.clock, true, seed).await.unwrap();
    tokio::spawn(Arc::clone(&socket).run());
    let ours = Handshake { reserved: Reserved(0), info_hash: lab.info_hash(), peer_id: PeerId([2; 20]) };
    let mut link = Link::Utp(socket.connect(address).await.unwrap());
    link.write_all(&ours.encode()).await.unwrap();
    let theirs = timeout(PATIENCE, read_handshake(&mut link)).await.unwrap().unwrap();
    assert_eq!(theirs.peer_id, PeerId([1; 20]));
    let mut bitfield = vec![0; 5 + PIECES.div_ceil(8) as usize];
    timeout(PATIENCE, link.read_exact(&mut bitfield)).await.unwrap().unwrap();
    assert_eq!(bitfield[4], 5, "a bitfield, as Fast was not offered");
    drop(link);

    let mut link = Link::Utp(socket.connect(address).await.unwrap());
    let secret = Secret::new([3; 20], Vec::new(), 0);
    let mut initiator = Initiator::new(secret, lab.info_hash(), Methods::RC4, ours.encode());
    let established = loop {
        link.write_all(&initiator.take_output()).await.unwrap();
        let mut bytes = [0; 1024];
        let length = timeout(PATIENCE, link.read(&mut bytes)).await.unwrap().unwrap();
        if let Some(established) = initiator.handle_bytes(&bytes[..length]).unwrap() {
            break established;
        }
    };
    assert!(established.payload.is_empty() || established.payload[0] == 19);
}

#[tokio::test]
async fn a_peer_without_tcp_connects_to_observers_over_utp() {
    let lab = Lab::new();
    let at = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
    let (observer, mut begun) = UtpSocket::bind(at, lab.world.clock, true, [4; 32]).await.unwrap();
    tokio::spawn(Arc::clone(&observer).run());
    lab.world.members.observe(0, observer.address().unwrap(), false);
    let (address, _) = lab.peer("stays:transmission:nat:utp-only", 10, Vec::new()).await;
    let mut link = Link::Utp(timeout(PATIENCE, begun.recv()).await.unwrap().expect("a connection"));
    let theirs = timeout(PATIENCE, read_handshake(&mut link)).await.unwrap().unwrap();
    assert_eq!((theirs.peer_id, theirs.info_hash), (PeerId([1; 20]), lab.info_hash()));
    assert_eq!(lab.world.members.name(0, 10).1, [address]);
}
