//! Two captures and a scripted client on loopback multicast, on a port of their own.

use std::net::{Ipv4Addr, UdpSocket};

use schema::{InfoHash, PeerId, table::TorrentOrigin};
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::{
    sources,
    swarm::{Description, Metadata, SwarmId},
};

const PUBLIC: InfoHash = InfoHash([0x77; 20]);
const PRIVATE: InfoHash = InfoHash([0x88; 20]);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn swarms() -> Arc<[Arc<Swarm>]> {
    let swarm = |(id, info_hash, private)| {
        let metadata = Metadata {
            info_hash_v2: None,
            name: "n".into(),
            piece_length: 16_384,
            piece_count: 1,
            size_bytes: 1,
            private,
        };
        let description = Description {
            info_hash,
            info_hash_v2: None,
            name: None,
            origin: TorrentOrigin::File,
            trackers: vec![],
            peers: vec![],
            metadata: Some(metadata),
        };
        Arc::new(Swarm::new(SwarmId(id), description, PeerId(*b"-ST0100-abcdefghijkl"), 77))
    };
    [(0, PUBLIC, false), (1, PRIVATE, true)].map(swarm).into_iter().collect()
}

/// A group on a port nobody uses at the moment.
fn group() -> SocketAddr {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    SocketAddr::new(GROUP_V4.ip().to_owned().into(), free)
}

struct Local {
    answers: mpsc::Receiver<Answer>,
    rows: mpsc::Receiver<Event>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

fn start(group: SocketAddr, port: Option<u16>, policy: AddressPolicy) -> Local {
    let (answers, answered) = sources::channel();
    let (rows, written) = mpsc::channel(1000);
    let ending = CancellationToken::new();
    let setup = Setup {
        swarms: swarms(),
        answers,
        counts: Arc::default(),
        clock: Clock::start(),
        policy: Arc::new(policy),
        interfaces: vec![LOOPBACK],
        ports: ListenPorts { ipv4: port, ipv6: None },
        announce_every: Some(ANNOUNCE_EVERY_MIN),
        groups: [group, GROUPS[1]],
        ending: ending.clone(),
    };
    Local { answers: answered, rows: written, ending, task: tokio::spawn(discover(setup, rows)) }
}

impl Local {
    async fn answer(&mut self) -> Answer {
        timeout(Duration::from_secs(20), self.answers.recv()).await.expect("nobody is heard").unwrap()
    }

    async fn end(mut self) -> Vec<Request> {
        self.ending.cancel();
        timeout(Duration::from_secs(5), self.task).await.unwrap().unwrap();
        let mut rows = Vec::new();
        while let Some(event) = self.rows.recv().await {
            let Row::Request(row) = event.row else { panic!("{event:?} is no request") };
            assert_eq!((row.source, row.kind, row.info_hash), (Source::Lsd, RequestKind::Lsd, PUBLIC));
            assert_eq!((row.family, row.outcome), (Some(Family::Ipv4), RequestOutcome::Ok));
            rows.push(row);
        }
        rows
    }
}

#[tokio::test]
async fn captures_of_one_network_find_each_other_and_not_themselves() {
    let group = group();
    let mut first = start(group, Some(4001), AddressPolicy::new(true, &[]));
    let mut silent = start(group, None, AddressPolicy::new(true, &[]));
    let second = start(group, Some(4002), AddressPolicy::new(true, &[]));
    let answer = first.answer().await;
    assert_eq!((answer.source, answer.swarm), (Source::Lsd, SwarmId(0)));
    assert_eq!(answer.peers, [(SocketAddr::new(LOOPBACK, 4002), None)]);
    assert_eq!(answer.endpoint, Some(SocketAddr::new(LOOPBACK, group.port()).to_string().into()));
    silent.answer().await;
    let rows = first.end().await;
    let announced = |row: &&Request| row.endpoint == group.to_string();
    assert!(rows.iter().any(|row| announced(&row) && row.peers == Some(0)), "{rows:?}");
    assert!(rows.iter().any(|row| !announced(&row) && row.peers == Some(1)), "{rows:?}");
    assert!(
        silent.end().await.iter().all(|row| !announced(&row)),
        "without a port there is nothing to announce"
    );
    second.end().await;
}

#[tokio::test]
async fn announcements_of_private_and_unknown_swarms_are_passed_over() {
    let group = group();
    let mut local = start(group, Some(4001), AddressPolicy::new(true, &[]));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
    let announce = |info_hashes: &[InfoHash], port| {
        let info_hashes = info_hashes.iter().map(|hash| wire::InfoHash(hash.0)).collect();
        let datagram = Announcement { port, info_hashes, cookie: None }.encode(group);
        socket.send_to(&datagram, group).unwrap();
    };
    let heard = async {
        loop {
            // Until it listens.
            announce(&[PRIVATE, InfoHash([9; 20])], 5001);
            socket.send_to(b"BT-SEARCH", group).unwrap();
            announce(&[PUBLIC], 5002);
            if let Ok(answer) = timeout(Duration::from_millis(100), local.answers.recv()).await {
                return answer.unwrap();
            }
        }
    };
    let answer = timeout(Duration::from_secs(10), heard).await.unwrap();
    assert_eq!(answer.peers, [(SocketAddr::new(LOOPBACK, 5002), None)]);
    assert!(local.end().await.iter().all(|row| row.info_hash == PUBLIC));
}

#[tokio::test]
async fn a_network_nobody_of_which_may_be_contacted_hears_nothing() {
    let group = group();
    let strict = start(group, Some(4001), AddressPolicy::default());
    timeout(Duration::from_secs(5), strict.task).await.expect("there is nothing to do").unwrap();
}
