//! Contacts with scripted peers over loopback: every way one can go has its row.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's helpers fail the test")]

mod bench;
mod obfuscated;
mod pex;
#[path = "../support/mod.rs"]
mod support;
mod utp;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bench::{Bench, PIECES, SETTLE_US, swarm};
use capture::{
    address::AddressPolicy,
    contact::{
        ContactEvent, Context, What,
        dial::{Dial, dial},
    },
    schedule::{Rung, Why},
    swarm::Swarm,
};
use schema::table::{ContactOutcome, Direction, ProgressKind, TorrentOrigin};
use support::Rows;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use wire::{
    InfoHash, PeerId,
    peer::{
        extension::{ExtendedHandshake, HANDSHAKE_ID, UtMetadata},
        handshake::{self, Handshake, Reserved},
        message::{Decoder, Message, encode},
        metadata::piece_of,
    },
};

const SWARM: [u8; 20] = [7; 20];
const THEIRS: PeerId = PeerId(*b"-XX0001-abcdefghijkl");
const FAST: u64 = Reserved::FAST | Reserved::EXTENSION;

fn greeting(reserved: u64, info_hash: [u8; 20], peer_id: PeerId) -> Vec<u8> {
    Handshake { reserved: Reserved(reserved), info_hash: InfoHash(info_hash), peer_id }.encode().to_vec()
}

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

/// The other end of a contact.
struct Peer(TcpStream);

impl Peer {
    async fn sends(&mut self, bytes: &[u8]) {
        // Whoever is hung up on while talking may find out by an error.
        self.0.write_all(bytes).await.ok();
    }

    async fn says(&mut self, message: &Message) {
        self.sends(&bytes_of(message)).await;
    }

    async fn hears_handshake(&mut self) {
        let mut theirs = [0; handshake::LEN];
        self.0.read_exact(&mut theirs).await.unwrap();
    }

    /// Closes its side, with nothing left unread that would turn that into a reset.
    async fn hangs_up(mut self) {
        self.0.shutdown().await.unwrap();
        self.hears_the_end().await;
    }

    /// Reads until the other side hangs up.
    async fn hears_the_end(&mut self) {
        let mut rest = [0; 1024];
        while self.0.read(&mut rest).await.is_ok_and(|len| len > 0) {}
    }
}

/// A contact with a peer that behaves like `script`; `meddle` may end it from our side.
async fn contact_with<F: Future<Output = ()> + Send>(
    bench: &mut Bench,
    script: impl FnOnce(Peer) -> F + Send + 'static,
) -> Arc<Swarm> {
    let (_keep, close) = oneshot::channel();
    closable_contact_with(bench, script, close).await
}

async fn closable_contact_with<F: Future<Output = ()> + Send>(
    bench: &mut Bench,
    script: impl FnOnce(Peer) -> F + Send + 'static,
    close: oneshot::Receiver<Why>,
) -> Arc<Swarm> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let swarm = Arc::clone(&bench.context.swarms[0]);
    let contact =
        Dial { contact: 1, attempt: 3, rung: Rung::PLAIN_TCP, swarm: Arc::clone(&swarm), address, close };
    let peer = async {
        let (stream, _) = listener.accept().await.unwrap();
        script(Peer(stream)).await;
    };
    tokio::join!(dial(Arc::clone(&bench.context), contact), peer);
    swarm
}

async fn rows_of<F: Future<Output = ()> + Send>(script: impl FnOnce(Peer) -> F + Send + 'static) -> Rows {
    let mut bench = Bench::new(swarm(SWARM, true));
    contact_with(&mut bench, script).await;
    bench.rows().await
}

/// Waits until the contact tells the scheduler of this.
async fn until(heard: &mut mpsc::Receiver<ContactEvent>, is_it: impl Fn(&What) -> bool) {
    let told = async { while !is_it(&heard.recv().await.unwrap().what) {} };
    timeout(Duration::from_secs(20), told).await.unwrap();
}

/// As `rows_of`, of a contact that never had a handshake.
async fn fails_with<F: Future<Output = ()> + Send>(
    outcome: ContactOutcome,
    script: impl FnOnce(Peer) -> F + Send + 'static,
) -> Rows {
    let rows = rows_of(script).await;
    let row = rows.contact();
    assert_eq!(row.outcome, outcome, "{row:?}");
    assert_eq!((row.direction, row.attempt, row.contact), (Direction::Out, 3, 1));
    assert!(row.connect_us.is_some() && row.handshake_us.is_some());
    assert_eq!((row.open_us, row.max_gap_us), (None, None));
    assert!(rows.progress.is_empty());
    rows
}

#[tokio::test]
async fn a_handshake_that_drips_times_out() {
    let rows = fails_with(ContactOutcome::HandshakeTimedOut, async |mut peer: Peer| {
        peer.sends(&greeting(FAST, SWARM, THEIRS)[..60]).await;
        peer.hears_the_end().await;
    })
    .await;
    assert_eq!((rows.contact().bytes_in, rows.contact().bytes_out), (60, 68));
    assert!(rows.contact().handshake_us >= Some(500_000));
}

#[tokio::test]
async fn garbage_is_no_handshake() {
    let rows = fails_with(ContactOutcome::HandshakeMalformed, async |mut peer: Peer| {
        peer.sends(b"SSH-2.0-OpenSSH_9.9\r\n").await;
        peer.hears_the_end().await;
    })
    .await;
    assert!(rows.contact().error.is_some());
}

#[tokio::test]
async fn hanging_up_before_the_handshake_is_told_apart_from_a_reset() {
    fails_with(ContactOutcome::HandshakeClosed, async |mut peer: Peer| {
        peer.hears_handshake().await;
        peer.sends(&greeting(FAST, SWARM, THEIRS)[..30]).await;
        peer.hangs_up().await;
    })
    .await;
    fails_with(ContactOutcome::HandshakeReset, async |mut peer: Peer| {
        peer.hears_handshake().await;
        socket2::SockRef::from(&peer.0).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
}

#[tokio::test]
async fn another_swarm_and_ourselves_are_no_success() {
    let rows = fails_with(ContactOutcome::WrongInfoHash, async |mut peer: Peer| {
        peer.sends(&greeting(FAST, [9; 20], THEIRS)).await;
        peer.hears_the_end().await;
    })
    .await;
    assert_eq!(rows.contact().info_hash.0, SWARM);
    let mut bench = Bench::new(swarm(SWARM, true));
    let own = bench.context.swarms[0].peer_id.0;
    contact_with(&mut bench, async move |mut peer: Peer| {
        peer.sends(&greeting(FAST, SWARM, PeerId(own))).await;
        peer.hears_the_end().await;
    })
    .await;
    assert_eq!(bench.rows().await.contact().outcome, ContactOutcome::SelfConnection);
}

#[tokio::test]
async fn an_honest_leecher_is_observed_to_its_end() {
    let mut bench = Bench::new(swarm(SWARM, true));
    let mut heard = bench.take_events();
    contact_with(&mut bench, async move |mut peer: Peer| {
        peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
        let extended =
            ExtendedHandshake { v: Some("peer 1".into()), p: Some(4711), ..ExtendedHandshake::default() };
        peer.says(&Message::Extended { id: HANDSHAKE_ID, payload: extended.encode() }).await;
        peer.says(&Message::Bitfield(vec![0xc0, 0, 0])).await;
        until(&mut heard, |what| matches!(what, What::Settled)).await;
        peer.says(&Message::Have(2)).await;
        peer.hangs_up().await;
    })
    .await;
    let rows = bench.rows().await;
    let row = rows.contact();
    assert_eq!((row.outcome, row.error.as_deref()), (ContactOutcome::ClosedByRemote, None));
    assert_eq!((row.client.as_deref(), row.listen_port, row.upload_only), (Some("peer 1"), Some(4711), None));
    assert_eq!((row.pieces_first, row.pieces_last, row.messages), (Some(2), Some(3), 3));
    assert_eq!((row.peer_id.map(|id| id.0), row.reserved.map(|bits| bits.0)), (Some(THEIRS.0), Some(FAST)));
    assert!(row.open_us >= Some(SETTLE_US) && row.max_gap_us >= Some(SETTLE_US));
    let seen: Vec<_> =
        rows.progress.iter().map(|row| (row.kind, row.settled, row.pieces, row.piece)).collect();
    assert_eq!(
        seen,
        [(ProgressKind::Bitfield, true, Some(2), None), (ProgressKind::Have, true, Some(3), Some(2))]
    );
    assert!(rows.progress.iter().all(|row| row.piece_count == Some(PIECES) && row.contact == 1));
}

#[tokio::test]
async fn a_contact_that_ends_before_the_settle_time_tells_at_least() {
    let rows = rows_of(async |mut peer: Peer| {
        peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
        peer.says(&Message::Bitfield(vec![0xc0, 0, 0])).await;
        peer.hangs_up().await;
    })
    .await;
    assert_eq!(rows.contact().outcome, ContactOutcome::ClosedByRemote);
    assert_eq!((rows.progress[0].settled, rows.progress[0].pieces), (false, Some(2)));
}

#[tokio::test]
async fn silence_is_an_observation_only_of_a_peer_without_fast() {
    for (reserved, expected) in [(0, 1), (FAST, 0)] {
        let rows = rows_of(async move |mut peer: Peer| {
            peer.sends(&greeting(reserved, SWARM, THEIRS)).await;
            peer.sends(&bytes_of(&Message::Unchoke)).await;
            peer.hears_the_end().await;
        })
        .await;
        assert_eq!(rows.contact().outcome, ContactOutcome::IdleTimedOut);
        assert_eq!(rows.progress.len(), expected);
        assert!(rows.progress.iter().all(|row| row.kind == ProgressKind::Silence && row.settled));
    }
}

#[tokio::test]
async fn lies_end_the_contact_with_their_cause() {
    let giant = vec![0xff, 0xff, 0xff, 0xff, 5];
    let lies = [bytes_of(&Message::Bitfield(vec![0xff; 3])), bytes_of(&Message::Have(PIECES)), giant];
    for lie in lies {
        let rows = rows_of(async move |mut peer: Peer| {
            peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
            peer.sends(&lie).await;
            peer.hears_the_end().await;
        })
        .await;
        assert_eq!(rows.contact().outcome, ContactOutcome::ProtocolError);
        assert!(rows.contact().error.is_some());
        assert!(rows.progress.is_empty());
    }
}

#[tokio::test]
async fn a_reset_after_the_handshake_is_one() {
    let mut bench = Bench::new(swarm(SWARM, true));
    let mut heard = bench.take_events();
    contact_with(&mut bench, async move |mut peer: Peer| {
        peer.hears_handshake().await;
        peer.sends(&greeting(0, SWARM, THEIRS)).await;
        // A reset overtakes what was not read before it.
        until(&mut heard, |what| matches!(what, What::Handshake { .. })).await;
        socket2::SockRef::from(&peer.0).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    assert_eq!(bench.rows().await.contact().outcome, ContactOutcome::Reset);
}

#[tokio::test]
async fn the_scheduler_and_the_end_of_the_run_close_contacts() {
    for (why, outcome) in [(Why::Done, ContactOutcome::VisitDone), (Why::Limit, ContactOutcome::OurLimit)] {
        let mut bench = Bench::new(swarm(SWARM, true));
        let (close, closed) = oneshot::channel();
        let script = async move |mut peer: Peer| {
            peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
            // Our extended handshake comes after theirs is known.
            peer.hears_handshake().await;
            peer.0.read_u8().await.unwrap();
            close.send(why).unwrap();
            peer.hears_the_end().await;
        };
        closable_contact_with(&mut bench, script, closed).await;
        assert_eq!(bench.rows().await.contact().outcome, outcome);
    }
    for (greets, outcome) in [(true, ContactOutcome::Shutdown), (false, ContactOutcome::ShutdownEarly)] {
        let mut bench = Bench::new(swarm(SWARM, true));
        let cancel = bench.context.cancel.clone();
        contact_with(&mut bench, async move |mut peer: Peer| {
            peer.hears_handshake().await;
            if greets {
                peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
                peer.0.read_u8().await.unwrap();
            }
            cancel.cancel();
            peer.hears_the_end().await;
        })
        .await;
        assert_eq!(bench.rows().await.contact().outcome, outcome);
    }
}

async fn unconnected(context: &Arc<Context>, address: SocketAddr) {
    let (_keep, close) = oneshot::channel();
    let swarm = Arc::clone(&context.swarms[0]);
    dial(Arc::clone(context), Dial { contact: 1, attempt: 1, rung: Rung::PLAIN_TCP, swarm, address, close })
        .await;
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let bench = Bench::new(swarm(SWARM, true));
    // Bound and not listening: nobody else gets the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    unconnected(&bench.context, socket.local_addr().unwrap()).await;
    let rows = bench.rows().await;
    let row = rows.contact();
    assert_eq!((row.outcome, row.handshake_us), (ContactOutcome::Refused, None));
    assert!(row.connect_us.is_some());
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_not_contacted_even_if_asked_for() {
    let mut bench = Bench::new(swarm(SWARM, true));
    Arc::get_mut(&mut bench.context).unwrap().policy = Arc::new(AddressPolicy::new(false, &[]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    unconnected(&bench.context, listener.local_addr().unwrap()).await;
    let rows = bench.rows().await;
    assert_eq!(rows.contact().outcome, ContactOutcome::ConnectFailed);
    assert!(rows.contact().error.as_deref().is_some_and(|error| error.contains("loopback")));
}

/// An info dictionary of 20 pieces.
fn info() -> Vec<u8> {
    let mut info = b"d6:lengthi327680e4:name9:a torrent12:piece lengthi16384e6:pieces400:".to_vec();
    info.extend([b'p'; 400]);
    info.push(b'e');
    info
}

/// A peer that has a magnet's metadata, or what it takes for it.
async fn serve(mut peer: Peer, info_hash: [u8; 20], served: Vec<u8>) {
    peer.hears_handshake().await;
    peer.sends(&greeting(FAST, info_hash, THEIRS)).await;
    let extended = ExtendedHandshake {
        m: [("ut_metadata".to_owned(), 5)].into(),
        metadata_size: u32::try_from(served.len()).ok(),
        ..ExtendedHandshake::default()
    };
    peer.says(&Message::Bitfield(vec![0xc0, 0, 0])).await;
    peer.says(&Message::Extended { id: HANDSHAKE_ID, payload: extended.encode() }).await;
    let (mut decoder, mut bytes, mut id) = (Decoder::default(), [0; 1024], 0);
    while let Ok(len @ 1..) = peer.0.read(&mut bytes).await {
        let mut input = &bytes[..len];
        while let Ok(Some(message)) = decoder.next(&mut input) {
            let Message::Extended { id: to, payload } = message else { continue };
            if to == HANDSHAKE_ID {
                id = ExtendedHandshake::decode(&payload).unwrap().id_of("ut_metadata").unwrap();
            } else if let Ok(UtMetadata::Request { piece }) = UtMetadata::decode(&payload) {
                let bytes = piece_of(&served, piece).unwrap().to_vec();
                let answer = UtMetadata::Data { piece, total_size: None, bytes };
                peer.says(&Message::Extended { id, payload: answer.encode() }).await;
            }
        }
    }
}

#[tokio::test]
async fn a_magnets_metadata_is_learnt_from_a_peer() {
    let info = info();
    let info_hash = InfoHash::of_info(&info).0;
    let mut bench = Bench::new(swarm(info_hash, false));
    let swarm = contact_with(&mut bench, move |peer| serve(peer, info_hash, info)).await;
    assert_eq!(swarm.piece_count(), Some(PIECES));
    let rows = bench.rows().await;
    assert_eq!(rows.contact().outcome, ContactOutcome::IdleTimedOut);
    let learnt: Vec<_> = rows.torrents.iter().map(|row| (row.origin, row.piece_count)).collect();
    assert_eq!(learnt, [(TorrentOrigin::Metadata, Some(PIECES))]);
    assert_eq!((rows.progress[0].pieces, rows.progress[0].piece_count), (Some(2), Some(PIECES)));
}

#[tokio::test]
async fn metadata_that_is_not_the_magnets_is_a_lie() {
    let info = info();
    let mut bench = Bench::new(swarm(SWARM, false));
    let swarm = contact_with(&mut bench, move |peer| serve(peer, SWARM, info)).await;
    assert_eq!(swarm.piece_count(), None);
    let rows = bench.rows().await;
    assert_eq!(rows.contact().outcome, ContactOutcome::ProtocolError);
    assert!(rows.contact().error.as_deref().is_some_and(|error| error.contains("metadata")));
    assert!(rows.torrents.is_empty());
}

#[tokio::test]
async fn the_scheduler_hears_in_the_order_of_what_happened() {
    let mut bench = Bench::new(swarm(SWARM, true));
    contact_with(&mut bench, async |mut peer: Peer| {
        peer.sends(&greeting(FAST, SWARM, THEIRS)).await;
        peer.says(&Message::HaveAll).await;
        peer.hears_the_end().await;
    })
    .await;
    let heard: Vec<&str> = std::iter::from_fn(|| bench.events.try_recv().ok())
        .map(|event| match event.what {
            What::Claimed { piece_count: Some(PIECES), .. } => "claimed",
            What::Ended(ContactOutcome::IdleTimedOut) => "ended",
            What::Handshake { .. } => "handshake",
            What::Seen(seen) if seen.complete && seen.opening && seen.claimed => "complete",
            What::Settled => "settled",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(heard, ["handshake", "claimed", "complete", "settled", "ended"]);
    bench.rows().await;
}

#[tokio::test]
async fn a_held_contact_takes_little_memory() {
    let bench = Bench::new(swarm(SWARM, true));
    let (_keep, close) = oneshot::channel();
    let swarm = Arc::clone(&bench.context.swarms[0]);
    let address = (Ipv4Addr::LOCALHOST, 1).into();
    let contact = dial(
        Arc::clone(&bench.context),
        Dial { contact: 1, attempt: 1, rung: Rung::PLAIN_TCP, swarm, address, close },
    );
    // The budget is 8 KiB; buffers exist only while something is on its way.
    assert!(size_of_val(&contact) <= 4 * 1024, "{} bytes", size_of_val(&contact));
    drop(contact);
    bench.rows().await;
}
