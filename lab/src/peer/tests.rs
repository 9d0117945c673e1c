//! A small client of its own against each kind of peer.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use wire::{
    InfoHash, PeerId,
    peer::{
        bitfield::Bitfield,
        extension::{ExtendedHandshake, UT_METADATA, UtMetadata},
        handshake::{Handshake, Reserved},
        message::{self, Block, Decoder, Message},
        mse::{Initiator, Methods, Secret},
    },
};

use crate::{
    peer::{connection::read_handshake, life},
    plan::{PeerPlan, Plan, PlanOptions, schedule::Schedule},
    profile::{CLIENTS, Hostile, NamedBy, Profile, Role},
    swarm::{SwarmOptions, World},
};

mod unusual;

/// No test waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pieces of the first torrent of every lab.
const PIECES: u32 = 1_031;
const METADATA_ID: u8 = 9;

struct Lab {
    world: Arc<World>,
    out: TempDir,
}

impl Lab {
    fn new() -> Self {
        let out = tempfile::tempdir().unwrap();
        let plan = PlanOptions { peers: 1, swarms: 1, length: Duration::from_mins(1), seed: 1 };
        let options = SwarmOptions {
            plan,
            out: out.path().to_owned(),
            interval: Duration::from_secs(3),
            answer_peers: 100,
            wait_for_capture: true,
            ready_file: None,
        };
        Self { world: Arc::new(World::new(&Plan::draw(&plan), &options).unwrap()), out }
    }

    /// A peer with this profile and this many pieces, which gets the others at these times.
    async fn peer(&self, profile: &str, pieces: u32, arrivals_ms: Vec<u32>) -> (SocketAddr, JoinHandle<()>) {
        self.peer_at([127, 99, 0, 1], profile, pieces, arrivals_ms).await
    }

    async fn peer_at(
        &self,
        ip: [u8; 4],
        profile: &str,
        pieces: u32,
        arrivals_ms: Vec<u32>,
    ) -> (SocketAddr, JoinHandle<()>) {
        let profile: Profile = profile.parse().unwrap();
        let leaves = arrivals_ms.last().map(|last| Duration::from_millis(u64::from(*last) + 50));
        let plan = PeerPlan {
            swarm: 0,
            ip: Ipv4Addr::from(ip),
            profile,
            peer_id: [ip[3]; 20],
            joins: Duration::ZERO,
            away: (profile.role.comes_back())
                .then_some((Duration::from_millis(30), Duration::from_millis(300))),
            leaves: leaves.filter(|_| matches!(profile.role, Role::Crashes | Role::Leaves)),
            schedule: Schedule::fixed(PIECES, pieces, arrivals_ms),
            dials: profile.nat || profile.named_by == NamedBy::Neighbours,
            seed: 1,
        };
        let up = life::come_up(&self.world, plan).await.unwrap();
        (up.address(), tokio::spawn(up.live()))
    }

    fn info_hash(&self) -> InfoHash {
        InfoHash(self.world.torrents[0].info_hash)
    }

    async fn visit(&self, address: SocketAddr) -> io::Result<Visit> {
        let mut stream = TcpStream::connect(address).await?;
        let ours = Handshake {
            reserved: Reserved(Reserved::FAST | Reserved::EXTENSION),
            info_hash: self.info_hash(),
            peer_id: PeerId([2; 20]),
        };
        stream.write_all(&ours.encode()).await?;
        let theirs = timeout(PATIENCE, read_handshake(&mut stream)).await??;
        Ok(Visit { stream, theirs, decoder: Decoder::default(), buffered: Vec::new() })
    }
}

struct Visit {
    stream: TcpStream,
    theirs: Handshake,
    decoder: Decoder,
    buffered: Vec<u8>,
}

impl Visit {
    async fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message::encode(message, &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message; `None` when the peer has closed.
    async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            let mut rest = self.buffered.as_slice();
            let message = self.decoder.next(&mut rest).map_err(io::Error::other)?;
            self.buffered = rest.to_vec();
            if message.is_some() {
                return Ok(message);
            }
            let mut bytes = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await??;
            if read == 0 {
                return Ok(None);
            }
            self.buffered.extend_from_slice(&bytes[..read]);
        }
    }

    /// Everything up to the unchoke that ends the opening.
    async fn opening(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            match self.next().await.unwrap().expect("the opening ends with an unchoke") {
                Message::Unchoke => return messages,
                message => messages.push(message),
            }
        }
    }

    /// The piece of the next HAVE; `None` when the peer has closed.
    async fn have(&mut self) -> io::Result<Option<u32>> {
        loop {
            match self.next().await? {
                Some(Message::Have(piece)) => return Ok(Some(piece)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

fn pieces_in(opening: &[Message]) -> Option<u32> {
    opening.iter().find_map(|message| match message {
        Message::Bitfield(bytes) => Some(Bitfield::from_bytes(bytes, PIECES).unwrap().count()),
        Message::HaveAll => Some(PIECES),
        Message::HaveNone => Some(0),
        _ => None,
    })
}

#[tokio::test]
async fn every_client_opens_in_its_own_way() {
    for client in CLIENTS {
        for pieces in [0, 400, PIECES] {
            let lab = Lab::new();
            let (address, _) = lab.peer(&format!("stays:{}", client.name), pieces, Vec::new()).await;
            let mut visit = lab.visit(address).await.unwrap();
            assert_eq!(visit.theirs.reserved.fast(), client.fast, "{}", client.name);
            let opening = visit.opening().await;
            let extended = opening.iter().find_map(|message| match message {
                Message::Extended { id: 0, payload } => Some(ExtendedHandshake::decode(payload).unwrap()),
                _ => None,
            });
            assert_eq!(extended.as_ref().and_then(|extended| extended.v.as_deref()), client.version);
            assert_eq!(extended.and_then(|extended| extended.p), client.version.map(|_| address.port()));
            let claimed = pieces_in(&opening);
            match pieces {
                0 => assert_eq!(claimed, client.fast.then_some(0), "{}", client.name),
                _ if client.lazy_bitfield => {
                    let mut claimed = claimed.unwrap();
                    assert!((pieces - 5..pieces).contains(&claimed));
                    while claimed < pieces {
                        visit.have().await.unwrap().unwrap();
                        claimed += 1;
                    }
                }
                _ => assert_eq!(claimed, Some(pieces), "{}", client.name),
            }
            let have_all = opening.contains(&Message::HaveAll);
            assert_eq!(have_all, pieces == PIECES && client.fast && !client.lazy_bitfield, "{}", client.name);
        }
    }
}

/// Shakes hands obfuscated, and tells what the peer calls itself.
async fn obfuscated(lab: &Lab, address: SocketAddr) -> io::Result<PeerId> {
    let mut stream = TcpStream::connect(address).await?;
    let ours = Handshake {
        reserved: Reserved(Reserved::FAST),
        info_hash: lab.info_hash(),
        peer_id: PeerId([2; 20]),
    };
    let secret = Secret::new([5; 20], vec![6; 100], 7);
    let mut side = Initiator::new(secret, lab.info_hash(), Methods::RC4, ours.encode());
    let mut established = loop {
        stream.write_all(&side.take_output()).await?;
        let byte = timeout(PATIENCE, stream.read_u8()).await??;
        if let Some(established) = side.handle_bytes(&[byte]).map_err(io::Error::other)? {
            break established;
        }
    };
    let mut theirs = [0; 68];
    timeout(PATIENCE, stream.read_exact(&mut theirs)).await??;
    established.ciphers.decrypt(&mut theirs);
    Ok(Handshake::decode(&theirs).unwrap().unwrap().peer_id)
}

#[tokio::test]
async fn peers_take_plain_and_obfuscated_connections_as_their_profile_says() {
    let cases = [
        ("", true, true),
        (":mse-only", false, true),
        (":plain-only", true, false),
        (":prefers-mse", true, true),
    ];
    for (suffix, plain, mse) in cases {
        let lab = Lab::new();
        let (address, _) = lab.peer(&format!("seeder:webtorrent{suffix}"), PIECES, Vec::new()).await;
        assert_eq!(lab.visit(address).await.is_ok(), plain, "{suffix}");
        let met = obfuscated(&lab, address).await;
        assert_eq!(met.is_ok(), mse, "{suffix}: {met:?}");
        assert!(met.is_err() || met.is_ok_and(|peer_id| peer_id == PeerId([1; 20])));
    }
}

#[tokio::test]
async fn a_leaver_tells_of_each_piece_and_is_gone_when_it_has_all() {
    let lab = Lab::new();
    let arrivals = (1..=PIECES - 1_000).map(|nth| nth * 20).collect();
    let (address, life) = lab.peer("leaves:webtorrent", 1_000, arrivals).await;
    let mut visit = lab.visit(address).await.unwrap();
    assert_eq!(pieces_in(&visit.opening().await), Some(1_000));
    assert_eq!(lab.world.members.counts(0).seeders, 0);
    lab.world.begin();
    let mut told = Vec::new();
    while let Some(piece) = visit.have().await.unwrap() {
        told.push(piece);
    }
    life.await.unwrap();
    let expected = Schedule::fixed(PIECES, 1_000, Vec::new());
    assert_eq!(told, expected.pieces(1_000, PIECES));
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(lab.world.members.counts(0).downloaded, 1);
    assert_eq!(lab.world.members.counts(0).seeders, 0);
}

#[tokio::test]
async fn a_crash_resets_the_connection_and_the_trackers_do_not_notice() {
    let lab = Lab::new();
    let (address, life) = lab.peer("crashes:webtorrent", 0, vec![20, 40]).await;
    let mut visit = lab.visit(address).await.unwrap();
    visit.opening().await;
    lab.world.begin();
    let ended = loop {
        match visit.have().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    life.await.unwrap();
    assert_eq!(lab.world.members.counts(0).leechers, 1);
}

#[tokio::test]
async fn who_restarts_comes_back_with_another_peer_id_and_its_pieces() {
    let lab = Lab::new();
    let (address, _) = lab.peer("restarts:qbittorrent", 400, vec![20, 500]).await;
    let mut before = lab.visit(address).await.unwrap();
    lab.world.begin();
    while before.next().await.unwrap().is_some() {}
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    let mut after = loop {
        tokio::select! {
            visit = lab.visit(address) => if let Ok(visit) = visit { break visit },
            () = &mut deadline => panic!("it does not come back"),
        }
        tokio::task::yield_now().await;
    };
    assert_ne!(after.theirs.peer_id, before.theirs.peer_id);
    assert_eq!(pieces_in(&after.opening().await), Some(401));
}

#[tokio::test]
async fn metadata_is_served_whole() {
    let lab = Lab::new();
    let (address, _) = lab.peer("stays:qbittorrent", 10, Vec::new()).await;
    let mut visit = lab.visit(address).await.unwrap();
    let ours = ExtendedHandshake {
        m: [(UT_METADATA.to_owned(), METADATA_ID)].into(),
        ..ExtendedHandshake::default()
    };
    visit.send(&Message::Extended { id: 0, payload: ours.encode() }).await;
    let opening = visit.opening().await;
    let theirs = opening.iter().find_map(|message| match message {
        Message::Extended { id: 0, payload } => ExtendedHandshake::decode(payload).ok(),
        _ => None,
    });
    let theirs = theirs.unwrap();
    let id = theirs.id_of(UT_METADATA).unwrap();
    let size = theirs.metadata_size.unwrap();
    let mut info = Vec::new();
    for piece in 0..=size.div_ceil(16 * 1024) {
        visit.send(&Message::Extended { id, payload: UtMetadata::Request { piece }.encode() }).await;
        let reply = loop {
            if let Message::Extended { id: METADATA_ID, payload } = visit.next().await.unwrap().unwrap() {
                break UtMetadata::decode(&payload).unwrap();
            }
        };
        match reply {
            UtMetadata::Data { bytes, .. } => info.extend(bytes),
            reply => assert_eq!(reply, UtMetadata::Reject { piece: size.div_ceil(16 * 1024) }),
        }
    }
    assert_eq!(InfoHash::of_info(&info), lab.info_hash());
}

#[tokio::test]
async fn a_super_seeder_claims_nothing_and_then_reveals() {
    for client in ["libtorrent", "ctorrent"] {
        let lab = Lab::new();
        let (address, _) = lab.peer(&format!("super_seeder:{client}"), PIECES, Vec::new()).await;
        let mut visit = lab.visit(address).await.unwrap();
        assert_eq!(pieces_in(&visit.opening().await).unwrap_or(0), 0);
        assert!(visit.have().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_second_connection_is_refused_by_those_who_do_so() {
    for client in CLIENTS {
        let lab = Lab::new();
        let (address, _) = lab.peer(&format!("stays:{}", client.name), 10, Vec::new()).await;
        let _first = lab.visit(address).await.unwrap();
        let accepted = client.second_connection == crate::profile::SecondConnection::Accepted;
        assert_eq!(lab.visit(address).await.is_ok(), accepted, "{}", client.name);
    }
}

#[tokio::test]
async fn who_is_behind_a_nat_comes_from_its_own_address() {
    let lab = Lab::new();
    let observer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    lab.world.members.observe(0, observer.local_addr().unwrap(), false);
    let (address, _) = lab.peer("stays:qbittorrent:nat", 10, Vec::new()).await;
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let (mut stream, remote) = timeout(PATIENCE, observer.accept()).await.unwrap().unwrap();
    assert_eq!(remote.ip(), address.ip());
    let theirs = read_handshake(&mut stream).await.unwrap();
    assert_eq!(theirs.info_hash, lab.info_hash());
}

#[tokio::test]
async fn nobody_answers_in_a_black_hole() {
    let lab = Lab::new();
    let (address, _) = lab.peer("blackhole:rqbit", 0, Vec::new()).await;
    assert!(timeout(Duration::from_millis(500), TcpStream::connect(address)).await.is_err());
}

#[tokio::test]
async fn each_hostile_peer_breaks_the_protocol_in_its_way() {
    let kinds = Role::TABLE.iter().filter_map(|(role, name, _)| match role {
        Role::Hostile(kind) => Some((*kind, *name)),
        _ => None,
    });
    for (kind, name) in kinds {
        let lab = Lab::new();
        let (address, _) = lab.peer(&format!("{name}:qbittorrent"), PIECES, Vec::new()).await;
        let visit = timeout(Duration::from_secs(3), lab.visit(address)).await;
        match kind {
            Hostile::Garbage => assert!(visit.unwrap().is_err()),
            Hostile::Slowloris => assert!(visit.is_err()),
            Hostile::WrongInfoHash => assert_ne!(visit.unwrap().unwrap().theirs.info_hash, lab.info_hash()),
            Hostile::MuteFirst | Hostile::SilentClose => {
                assert_eq!(visit.unwrap().unwrap().next().await.unwrap(), None);
            }
            Hostile::GiantLength => {
                let mut visit = visit.unwrap().unwrap();
                assert!(matches!(visit.next().await, Ok(Some(Message::Bitfield(_)))));
                assert!(visit.next().await.is_err());
            }
            Hostile::LyingBitfield => match visit.unwrap().unwrap().next().await.unwrap().unwrap() {
                Message::Bitfield(bytes) => assert!(Bitfield::from_bytes(&bytes, PIECES).is_err()),
                other => panic!("{other:?}"),
            },
            Hostile::HaveOutOfRange => {
                assert_eq!(visit.unwrap().unwrap().have().await.unwrap(), Some(PIECES));
            }
            Hostile::Leaps => {
                let first = visit.unwrap().unwrap().next().await.unwrap().unwrap();
                let second = lab.visit(address).await.unwrap().next().await.unwrap().unwrap();
                assert_eq!(pieces_in(&[first]), Some(PIECES / 10));
                assert_eq!(pieces_in(&[second]), Some(PIECES));
            }
            Hostile::Backwards => {
                let first = visit.unwrap().unwrap().next().await.unwrap().unwrap();
                let second = lab.visit(address).await.unwrap().next().await.unwrap().unwrap();
                assert!(pieces_in(&[first]) > pieces_in(&[second]));
            }
        }
    }
}

#[tokio::test]
async fn what_an_observer_must_not_do_is_noted() {
    let lab = Lab::new();
    let (address, _) = lab.peer("stays:qbittorrent", 10, Vec::new()).await;
    let mut visit = lab.visit(address).await.unwrap();
    visit.opening().await;
    visit.send(&Message::Interested).await;
    visit.send(&Message::Request(Block { piece: 0, begin: 0, length: 16_384 })).await;
    let upload_only = ExtendedHandshake { upload_only: Some(true), ..ExtendedHandshake::default() };
    visit.send(&Message::Extended { id: 0, payload: upload_only.encode() }).await;
    visit.stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    visit.stream.write_all(&[5]).await.unwrap();
    while visit.next().await.is_ok_and(|message| message.is_some()) {}
    let noted = std::fs::read_to_string(lab.out.path().join("offences.csv")).unwrap();
    let offences: Vec<_> = noted.lines().skip(1).filter_map(|line| line.rsplit(',').next()).collect();
    assert_eq!(offences, ["interested", "request", "upload_only", "malformed"]);
}
