//! uTP and the DHT on one socket: bytes both ways, how streams end, and what is dropped or not answered.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use wire::utp::packet::{Header, Kind, Packet};

use super::*;

/// Sockets on loopback that are read, of the one family named.
struct Node {
    utp: Utp,
    krpc: Option<krpc::Port>,
    incoming: mpsc::Receiver<UtpStream>,
    gauge: UdpGauge,
    family: Family,
    _ending: tokio_util::sync::DropGuard,
}

impl Node {
    fn start(family: Family, krpc: bool, utp: Option<usize>, policy: AddressPolicy) -> Self {
        let loopback: SocketAddr =
            if family == Family::Ipv4 { "127.0.0.1:0" } else { "[::1]:0" }.parse().unwrap();
        let mut udp = Udp::open(&Setup {
            listen: vec![loopback],
            bind: vec![],
            policy: Arc::new(policy),
            clock: Clock::start(),
            krpc,
            utp_connections_max: utp,
        });
        let ending = CancellationToken::new();
        let node = Self {
            utp: udp.utp(),
            krpc: udp.take_krpc(family),
            incoming: udp.take_incoming().unwrap(),
            gauge: udp.gauge(),
            family,
            _ending: ending.clone().drop_guard(),
        };
        udp.spawn(&TaskTracker::new(), &ending);
        node
    }

    fn open(family: Family) -> Self {
        Self::start(family, true, Some(100), AddressPolicy::new(true, &[]))
    }

    fn address(&self) -> SocketAddr {
        self.utp.address(self.family).unwrap()
    }

    fn connections(&self) -> usize {
        self.utp.sockets.iter().flatten().map(|socket| socket.connections()).sum()
    }

    /// Waits until `datagrams` were dropped.
    async fn dropped(&self, datagrams: u64) {
        let waiting = async {
            while self.gauge.read().dropped < datagrams {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), waiting).await.expect("too few are dropped");
        assert_eq!(self.gauge.read().dropped, datagrams);
    }
}

async fn pair(one: &Node, other: &mut Node) -> (UtpStream, UtpStream) {
    let mut ours = one.utp.connect(other.address()).await.unwrap();
    ours.write_all(b"first").await.unwrap();
    let mut theirs = other.incoming.recv().await.unwrap();
    let mut first = [0; 5];
    theirs.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"first");
    (ours, theirs)
}

#[tokio::test]
async fn bytes_go_both_ways_over_both_families() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let (one, mut other) = (Node::open(family), Node::open(family));
        let (mut ours, mut theirs) = pair(&one, &mut other).await;
        assert_eq!(theirs.remote(), one.address());
        let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).take(300_000).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            theirs.write_all(&sent).await.unwrap();
            theirs.shutdown().await.unwrap();
            let mut rest = Vec::new();
            theirs.read_to_end(&mut rest).await.unwrap();
            rest
        });
        let mut received = Vec::new();
        ours.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        ours.write_all(b"last").await.unwrap();
        ours.shutdown().await.unwrap();
        drop(ours);
        assert_eq!(sending.await.unwrap(), b"last");
        let gone = async {
            while one.connections() + other.connections() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), gone).await.expect("a connection stays behind");
        assert_eq!(one.gauge.read(), UdpCounts::default());
        assert_eq!(other.gauge.read().syns, 1);
    }
}

#[tokio::test]
async fn a_dropped_stream_and_a_refused_one_end_for_the_other_side() {
    let (one, mut other) = (Node::open(Family::Ipv4), Node::open(Family::Ipv4));
    let (mut ours, theirs) = pair(&one, &mut other).await;
    drop(theirs);
    assert_eq!(ours.read(&mut [0; 9]).await.unwrap(), 0);
    let (mut ours, theirs) = pair(&one, &mut other).await;
    theirs.refuse();
    assert_eq!(ours.read(&mut [0; 9]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(ours.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn the_dht_and_utp_share_a_port() {
    let (mut one, mut other) = (Node::open(Family::Ipv4), Node::open(Family::Ipv4));
    let _streams = pair(&one, &mut other).await;
    assert_eq!(one.krpc.as_ref().unwrap().address().unwrap(), one.address());
    one.krpc.as_ref().unwrap().send(other.address(), b"d1:q").await;
    let datagram = krpc::receive(other.krpc.as_mut()).await;
    assert_eq!(datagram, (one.address(), b"d1:q"[..].into()));
    one.krpc.as_ref().unwrap().send(other.address(), b"x1:q").await;
    other.dropped(1).await;
    assert!(one.krpc.take().is_some());
}

#[tokio::test]
async fn what_is_not_spoken_is_dropped() {
    let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let syn = Header { kind: Kind::Syn, connection: 1, sent_us: 0, delay_us: 0, window: 0, seq: 1, ack: 0 };
    let syn = Packet::bare(syn).encode();
    let dht_alone = Node::start(Family::Ipv4, true, None, AddressPolicy::new(true, &[]));
    assert!(!dht_alone.utp.is_spoken());
    sender.send_to(&syn, dht_alone.krpc.as_ref().unwrap().address().unwrap()).await.unwrap();
    dht_alone.dropped(1).await;
    assert_eq!(
        dht_alone.utp.connect(sender.local_addr().unwrap()).await.err().unwrap().kind(),
        io::ErrorKind::NetworkUnreachable
    );

    let utp_alone = Node::start(Family::Ipv4, false, Some(1), AddressPolicy::new(true, &[]));
    sender.send_to(b"d1:q", utp_alone.address()).await.unwrap();
    utp_alone.dropped(1).await;

    // Who must not be contacted is not answered either.
    let strict = Node::start(Family::Ipv4, true, Some(1), AddressPolicy::default());
    sender.send_to(&syn, strict.address()).await.unwrap();
    strict.dropped(1).await;
    assert_eq!(strict.gauge.read().syns, 0);

    let neither = Udp::open(&Setup {
        listen: vec![],
        bind: vec![],
        policy: Arc::default(),
        clock: Clock::start(),
        krpc: false,
        utp_connections_max: None,
    });
    assert!(neither.readers.is_empty());
}

#[tokio::test]
async fn a_port_where_nobody_listens_answers_no_syn() {
    let mut udp = Udp::open(&Setup {
        listen: vec![],
        bind: vec!["127.0.0.1".parse().unwrap()],
        policy: Arc::new(AddressPolicy::new(true, &[])),
        clock: Clock::start(),
        krpc: false,
        utp_connections_max: Some(9),
    });
    let (utp, ending) = (udp.utp(), CancellationToken::new());
    let _incoming = udp.take_incoming();
    let gauge = udp.gauge();
    udp.spawn(&TaskTracker::new(), &ending);
    let one = Node::open(Family::Ipv4);
    let asked = async {
        while gauge.read().dropped == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = one.utp.connect(utp.address(Family::Ipv4).unwrap()) => panic!("there is an answer"),
        () = asked => {}
    }
    assert_eq!((gauge.read().syns, gauge.read().dropped), (1, 1));
    ending.cancel();
    assert_eq!(one.connections(), 0, "who gives up leaves nothing behind");
}
