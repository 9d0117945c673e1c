//! Whole runs against scripted peers over loopback: rows from the start to the stop, in both directions.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail the test")]

mod support;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use capture::{
    address::AddressPolicy,
    cli::Options,
    clock::Clock,
    gauge, run,
    swarm::{self, Description},
};
use schema::{
    InfoHash as LoggedInfoHash,
    table::{Contact, ContactOutcome, Direction, Encryption, Gauge, RunEvent, Source, TorrentOrigin},
};
use support::Rows;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use wire::{
    InfoHash, PeerId,
    peer::{
        extension::{ExtendedHandshake, HANDSHAKE_ID, UT_HOLEPUNCH},
        handshake::{self, Handshake, Reserved},
        holepunch::UtHolepunch,
        message::{Decoder, Message, encode},
        mse::{Established, Initiator, Method, Methods, Responder, Secret},
    },
};

const SWARM: [u8; 20] = [7; 20];
const FAST: u64 = Reserved::FAST | Reserved::EXTENSION;

/// A run over one magnet that names some peers.
struct Running {
    cancel: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    gauges: watch::Receiver<Option<Gauge>>,
    folder: TempDir,
}

impl Running {
    /// Peers are scripted in plain.
    fn start(peers: Vec<SocketAddr>, more: &[&str]) -> Self {
        Self::start_with_mse(peers, &[more, &["--no-mse"]].concat())
    }

    fn start_with_mse(peers: Vec<SocketAddr>, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments: Vec<&str> =
            vec!["capture", "--torrents", "unused", "--allow-private", "--listen", "127.0.0.1:0"];
        arguments.extend(["--settle", "200ms", "--gauge-every", "50ms", "--out"]);
        arguments.push(folder.path().to_str().unwrap());
        arguments.extend(more);
        let swarms = swarm::assemble([Description {
            info_hash: LoggedInfoHash(SWARM),
            info_hash_v2: None,
            name: None,
            origin: TorrentOrigin::Magnet,
            trackers: vec![],
            peers: peers.into_iter().map(Into::into).collect(),
            metadata: None,
        }]);
        let (sender, gauges) = gauge::channel();
        let cancel = CancellationToken::new();
        let setup = run::Setup {
            options: Options::from_arguments(arguments).unwrap(),
            policy: Arc::new(AddressPolicy::new(true, &[])),
            swarms,
            clock: Clock::start(),
            cancel: cancel.clone(),
            gauges: sender,
        };
        Self { cancel, task: tokio::spawn(run::run(setup)), gauges, folder }
    }

    /// Waits until the gauges tell so.
    async fn until(&mut self, so: impl Fn(&Gauge) -> bool) {
        let told = self.gauges.wait_for(|gauge| gauge.as_ref().is_some_and(&so));
        timeout(Duration::from_secs(20), told).await.unwrap().unwrap();
    }

    async fn stop(self) -> Rows {
        self.cancel.cancel();
        timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap().unwrap();
        Rows::read(self.folder.path())
    }
}

fn id(last: u8) -> PeerId {
    let mut id = *b"-XX0001-abcdefghijkl";
    id[19] = last;
    PeerId(id)
}

async fn greet(stream: &mut TcpStream, info_hash: [u8; 20], peer_id: PeerId) {
    let handshake = Handshake { reserved: Reserved(FAST), info_hash: InfoHash(info_hash), peer_id };
    stream.write_all(&handshake.encode()).await.unwrap();
}

async fn say(stream: &mut TcpStream, message: &Message) {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    stream.write_all(&bytes).await.unwrap();
}

/// Reads the other side's handshake and extended handshake.
async fn hear_greeting(stream: &mut TcpStream) -> (Handshake, ExtendedHandshake) {
    let mut bytes = [0; handshake::LEN];
    stream.read_exact(&mut bytes).await.unwrap();
    let handshake = Handshake::decode(&bytes).unwrap().unwrap();
    let mut decoder = Decoder::default();
    loop {
        let byte = [stream.read_u8().await.unwrap()];
        if let Some(Message::Extended { id: HANDSHAKE_ID, payload }) =
            decoder.next(&mut byte.as_slice()).unwrap()
        {
            return (handshake, ExtendedHandshake::decode(&payload).unwrap());
        }
    }
}

async fn hears_the_end(stream: &mut TcpStream) {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|len| len > 0) {}
}

async fn listen(host: u8) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn connect(host: u8, port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap()
}

fn incoming(rows: &Rows, host: u8) -> &Contact {
    let from = Ipv4Addr::new(127, 0, 0, host);
    let mut found = rows.contacts.iter().filter(|row| row.direction == Direction::In && row.ip == from);
    let (Some(row), None) = (found.next(), found.next()) else { panic!("not one contact from {from}") };
    row
}

#[tokio::test]
async fn a_run_has_rows_from_its_start_to_its_stop() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start(vec![address, "127.0.0.3:0".parse().unwrap()], &[]);
    let (mut peer, _) = listener.accept().await.unwrap();
    greet(&mut peer, SWARM, id(b'a')).await;
    say(&mut peer, &Message::Bitfield(vec![0x80])).await;
    running.until(|gauge| gauge.contacts_open == 1 && gauge.log_rows > 6).await;
    let rows = running.stop().await;
    let life: Vec<_> = rows.runs.iter().map(|row| (row.event, row.reason.as_deref())).collect();
    assert_eq!(life, [(RunEvent::Started, None), (RunEvent::Stopped, Some("signal"))]);
    assert_eq!(rows.torrents.len(), 1);
    assert_eq!(rows.sightings.len(), 2);
    assert!(rows.sightings.iter().all(|row| row.source == Source::Magnet && row.endpoint.is_none()));
    let row = rows.contact();
    assert_eq!((row.outcome, row.port, row.attempt), (ContactOutcome::Shutdown, address.port(), 1));
    assert_eq!(rows.progress[0].pieces, Some(1));
    let last = rows.gauges.last().unwrap();
    assert_eq!((last.peers_known, last.peers_not_allowed, last.contacts_open), (2, 2, 0));
    assert_eq!((last.contacts_started, last.first_contacts_ok), (1, 1));
}

#[tokio::test]
async fn a_run_ends_by_itself() {
    let running = Running::start(vec![], &["--for", "200ms", "--no-listen"]);
    timeout(Duration::from_secs(10), running.task).await.unwrap().unwrap().unwrap();
    let rows = Rows::read(running.folder.path());
    assert_eq!(rows.runs[1].reason.as_deref(), Some("duration"));
}

#[tokio::test]
async fn whoever_connects_to_us_has_a_row() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start(vec![address], &[]);
    let (mut guide, _) = listener.accept().await.unwrap();
    greet(&mut guide, SWARM, id(b'a')).await;
    let (ours, extended) = hear_greeting(&mut guide).await;
    let port = extended.p.unwrap();

    let mut lost = connect(3, port).await;
    greet(&mut lost, [9; 20], id(b'b')).await;
    hears_the_end(&mut lost).await;
    let mut mirror = connect(4, port).await;
    greet(&mut mirror, SWARM, ours.peer_id).await;
    hears_the_end(&mut mirror).await;
    let mut garbage = connect(5, port).await;
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    hears_the_end(&mut garbage).await;
    let mut leecher = connect(6, port).await;
    greet(&mut leecher, SWARM, id(b'c')).await;
    say(&mut leecher, &Message::Bitfield(vec![0xc0])).await;
    hear_greeting(&mut leecher).await;
    running.until(|gauge| gauge.incoming_unique == 1 && gauge.contacts_open == 2).await;
    let remote = leecher.local_addr().unwrap();
    let rows = running.stop().await;

    let row = incoming(&rows, 3);
    assert_eq!((row.outcome, row.info_hash.0), (ContactOutcome::WrongInfoHash, [9; 20]));
    assert_eq!((row.peer_id.map(|id| id.0), row.connect_us, row.open_us), (Some(id(b'b').0), None, None));
    assert_eq!(incoming(&rows, 4).outcome, ContactOutcome::SelfConnection);
    let row = incoming(&rows, 5);
    assert_eq!((row.outcome, row.info_hash.0), (ContactOutcome::HandshakeMalformed, [0; 20]));
    let row = incoming(&rows, 6);
    assert_eq!((row.outcome, row.port, row.info_hash.0), (ContactOutcome::Shutdown, remote.port(), SWARM));
    let named: Vec<_> = rows.sightings.iter().filter(|row| row.source == Source::Incoming).collect();
    assert_eq!(named.len(), 1);
    assert_eq!((named[0].port, named[0].flags), (remote.port(), None));
    let options: serde_json::Value = serde_json::from_str(&rows.runs[0].config).unwrap();
    assert_eq!(options["listen"], serde_json::json!([format!("127.0.0.1:{port}")]), "where we are named");
    assert_eq!(rows.gauges.last().unwrap().incoming_contacts, 4);
}

/// Says its part of an obfuscated handshake with one of ours, in plaintext or RC4 as offered; gives what decrypts.
async fn obfuscate(stream: &mut TcpStream, offer: Methods, peer_id: PeerId) -> Established {
    let handshake = Handshake { reserved: Reserved(FAST), info_hash: InfoHash(SWARM), peer_id };
    let secret = Secret::new([peer_id.0[19]; 20], vec![1; 100], 10);
    let mut initiator = Initiator::new(secret, InfoHash(SWARM), offer, handshake.encode());
    loop {
        stream.write_all(&initiator.take_output()).await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        if let Some(established) = initiator.handle_bytes(&[byte]).unwrap() {
            return established;
        }
    }
}

#[tokio::test]
async fn obfuscated_peers_that_connect_to_us_are_observed() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start_with_mse(vec![address], &[]);
    // The guide is there only to tell our port, whichever way it is asked.
    let port = loop {
        let (mut guide, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        guide.peek(&mut first).await.unwrap();
        if first == [19] {
            greet(&mut guide, SWARM, id(b'a')).await;
            break hear_greeting(&mut guide).await.1.p.unwrap();
        }
    };
    let mut open = Vec::new();
    for (host, offer, method) in [
        (3, Methods::RC4, Method::Rc4),
        (4, Methods::ANY, Method::Rc4),
        (5, Methods::PLAINTEXT, Method::Plaintext),
    ] {
        let mut peer = connect(host, port).await;
        let mut established = obfuscate(&mut peer, offer, id(host)).await;
        assert_eq!(established.method, method);
        let mut bitfield = Vec::new();
        encode(&Message::Bitfield(vec![0xc0]), &mut bitfield);
        established.ciphers.encrypt(&mut bitfield);
        peer.write_all(&bitfield).await.unwrap();
        open.push(peer);
    }
    let mut stranger = connect(6, port).await;
    stranger.write_all(&b"GET / HTTP/1.1\r\n".repeat(50)).await.unwrap();
    hears_the_end(&mut stranger).await;
    let mut plain = connect(7, port).await;
    greet(&mut plain, SWARM, id(b'z')).await;
    hear_greeting(&mut plain).await;
    running.until(|gauge| gauge.incoming_unique == 4).await;
    // Every opening burst is over.
    running.until(|gauge| gauge.peers_known >= 1 && gauge.log_rows > 30).await;
    let rows = running.stop().await;
    for host in [3, 4, 5] {
        let row = incoming(&rows, host);
        assert_eq!((row.outcome, row.encryption), (ContactOutcome::Shutdown, Encryption::Mse), "{row:?}");
        assert_eq!((row.info_hash.0, row.peer_id.map(|id| id.0)), (SWARM, Some(id(host).0)));
        assert!(row.bytes_in >= 96 + 100 + 40 + 14 + 10 + 2 + 68 + 6 && row.bytes_out >= 96 + 14 + 68);
        let seen = rows.progress.iter().find(|seen| seen.contact == row.contact).unwrap();
        assert_eq!(seen.pieces, Some(2));
    }
    let row = incoming(&rows, 6);
    assert_eq!((row.outcome, row.encryption), (ContactOutcome::HandshakeMalformed, Encryption::Mse));
    assert!(row.error.as_deref().is_some_and(|error| error.starts_with("MSE: ")));
    assert_eq!(incoming(&rows, 7).encryption, Encryption::Plain);
}

#[tokio::test]
async fn a_peer_that_takes_only_obfuscated_connections_is_reached_by_the_next_rung() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start_with_mse(vec![address], &[]);
    let swarms = [InfoHash(SWARM)].into_iter().collect();
    let (stream, _established) = loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut responder = Responder::new(Secret::new([9; 20], vec![2; 300], 200), Methods::ANY);
        let mut first = [0; 1];
        stream.peek(&mut first).await.unwrap();
        if first == [19] {
            continue;
        }
        let established = loop {
            let byte = stream.read_u8().await.unwrap();
            let established = responder.handle_bytes(&[byte], &swarms).unwrap();
            stream.write_all(&responder.take_output()).await.unwrap();
            if let Some(established) = established {
                break established;
            }
        };
        let mut said = Handshake { reserved: Reserved(0), info_hash: InfoHash(SWARM), peer_id: id(b'a') }
            .encode()
            .to_vec();
        encode(&Message::Bitfield(vec![0xe0]), &mut said);
        let mut established = established;
        established.ciphers.encrypt(&mut said);
        stream.write_all(&said).await.unwrap();
        break (stream, established);
    };
    running.until(|gauge| gauge.contacts_open == 1 && gauge.log_rows > 5).await;
    let rows = running.stop().await;
    drop(stream);
    let reached = rows.contacts.iter().find(|row| row.encryption == Encryption::Mse).unwrap();
    assert_eq!((reached.outcome, reached.direction), (ContactOutcome::Shutdown, Direction::Out));
    assert!(rows.progress.iter().any(|seen| seen.contact == reached.contact && seen.pieces == Some(3)));
    for row in rows.contacts.iter().filter(|row| row.encryption == Encryption::Plain) {
        assert!(
            matches!(row.outcome, ContactOutcome::HandshakeClosed | ContactOutcome::HandshakeReset),
            "{row:?}"
        );
        assert_eq!((row.attempt, reached.attempt), (1, 2));
    }
}

#[tokio::test]
async fn a_peer_that_came_to_us_is_dialled_only_after_it_left() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start(vec![address], &[]);
    let (mut guide, _) = listener.accept().await.unwrap();
    greet(&mut guide, SWARM, id(b'a')).await;
    let port = hear_greeting(&mut guide).await.1.p.unwrap();

    let (own, own_address) = listen(3).await;
    let mut leecher = connect(3, port).await;
    greet(&mut leecher, SWARM, id(b'c')).await;
    let extended = ExtendedHandshake { p: Some(own_address.port()), ..ExtendedHandshake::default() };
    say(&mut leecher, &Message::Extended { id: HANDSHAKE_ID, payload: extended.encode() }).await;
    say(&mut leecher, &Message::Bitfield(vec![0xc0])).await;
    hear_greeting(&mut leecher).await;
    running.until(|gauge| gauge.peers_known == 2).await;
    let started = running.gauges.borrow().as_ref().unwrap().contacts_started;
    assert_eq!(started, 1, "the guide alone");
    drop(leecher);
    let (mut visit, _) = timeout(Duration::from_secs(10), own.accept()).await.unwrap().unwrap();
    greet(&mut visit, SWARM, id(b'c')).await;
    hear_greeting(&mut visit).await;
    running.until(|gauge| gauge.contacts_open == 2).await;
    let rows = running.stop().await;
    let visits = rows.contacts.iter().filter(|row| row.ip == own_address.ip());
    let mut directions: Vec<_> = visits.map(|row| (row.direction, row.attempt)).collect();
    directions.sort();
    assert_eq!(directions, [(Direction::In, 1), (Direction::Out, 1)]);
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start(vec![address], &[]);
    let (mut guide, _) = listener.accept().await.unwrap();
    greet(&mut guide, SWARM, id(b'a')).await;
    let port = hear_greeting(&mut guide).await.1.p.unwrap();
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(connect(3, port).await);
    }
    running.until(|gauge| gauge.incoming_refused == 24 && gauge.incoming_contacts == 16).await;
    let mut other = connect(4, port).await;
    greet(&mut other, SWARM, id(b'd')).await;
    hear_greeting(&mut other).await;
    drop(crowd);
    let rows = running.stop().await;
    assert_eq!(incoming(&rows, 4).outcome, ContactOutcome::Shutdown);
}

#[tokio::test]
async fn while_the_log_is_paused_not_even_who_is_introduced_is_dialled() {
    let (listener, address) = listen(2).await;
    let mut running = Running::start(vec![address], &[]);
    let (mut broker, _) = listener.accept().await.unwrap();
    greet(&mut broker, SWARM, id(b'a')).await;
    let extended = ExtendedHandshake { m: [(UT_HOLEPUNCH.to_owned(), 5)].into(), ..Default::default() };
    say(&mut broker, &Message::Extended { id: HANDSHAKE_ID, payload: extended.encode() }).await;
    let (_, ours) = hear_greeting(&mut broker).await;
    let holepunch = *ours.m.get(UT_HOLEPUNCH).unwrap();
    running.until(|gauge| gauge.contacts_open == 1 && gauge.log_lag_rows == 0).await;

    // Where the log was, there is a file for a while.
    let folder = running.folder.path().to_owned();
    let elsewhere = folder.with_extension("elsewhere");
    std::fs::rename(&folder, &elsewhere).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    running.until(|gauge| gauge.log_paused == Some(true)).await;
    let introduced = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 3), 0)).await.unwrap();
    let connect = UtHolepunch::Connect(introduced.local_addr().unwrap()).encode();
    say(&mut broker, &Message::Extended { id: holepunch, payload: connect }).await;
    drop(broker);
    // What a contact tells is heard in order: first whom it introduced, then that it ended.
    running.until(|gauge| gauge.contacts_open == 0).await;
    assert_eq!(running.gauges.borrow().as_ref().unwrap().contacts_started, 1);
    let heard = introduced.try_recv_from(&mut [0; 64]);
    assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    std::fs::remove_file(&folder).unwrap();
    running.until(|gauge| gauge.log_paused == Some(false) && gauge.log_lag_rows == 0).await;
    let rows = running.stop().await;
    std::fs::remove_dir_all(&elsewhere).unwrap();
    assert_eq!(rows.contact().outcome, ContactOutcome::ClosedByRemote);
}
