//! The DHT client among nodes on loopback.

use std::{collections::BTreeSet, net::SocketAddr, path::Path};

use schema::{
    InfoHash, PeerId,
    table::{Request, RequestKind, RequestOutcome, Row, Source, TorrentOrigin},
};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;
use wire::tracker::Family;

use super::*;
use crate::{
    sources,
    swarm::{Description, Metadata, SwarmId},
    udp::{self, Udp},
};

const HASH: InfoHash = InfoHash([0x77; 20]);

/// A DHT of the capture on loopback, looking up one swarm, and announcing itself if it has a port.
struct Watched {
    address: SocketAddr,
    answers: mpsc::Receiver<Answer>,
    rows: mpsc::Receiver<Event>,
    counts: Arc<RequestCounts>,
    ending: CancellationToken,
    tasks: [JoinHandle<()>; 2],
}

fn swarm(private: Option<bool>) -> Arc<Swarm> {
    let metadata = private.map(|private| Metadata {
        info_hash_v2: None,
        name: "n".into(),
        piece_length: 16_384,
        piece_count: 1,
        size_bytes: 1,
        private,
    });
    let description = Description {
        info_hash: HASH,
        info_hash_v2: None,
        name: None,
        origin: TorrentOrigin::InfoHash,
        trackers: vec![],
        peers: vec![],
        metadata,
    };
    Arc::new(Swarm::new(SwarmId(0), description, PeerId(*b"-ST0100-abcdefghijkl"), 77))
}

impl Watched {
    async fn start(folder: &Path, routers: &[SocketAddr], port: Option<u16>, swarm: Arc<Swarm>) -> Self {
        let (answers, answered) = sources::channel();
        let (counts, ending) = (Arc::<RequestCounts>::default(), CancellationToken::new());
        let (clock, policy) = (Clock::start(), Arc::new(AddressPolicy::new(true, &[])));
        let mut udp = Udp::open(&udp::Setup {
            listen: vec![],
            bind: vec!["127.0.0.1".parse().unwrap()],
            policy: Arc::clone(&policy),
            clock,
            krpc: true,
            utp_connections_max: None,
        });
        let ports = [udp.take_krpc(Family::Ipv4), udp.take_krpc(Family::Ipv6)];
        udp.spawn(&TaskTracker::new(), &ending);
        let setup = Setup {
            swarms: [swarm].into_iter().collect(),
            answers: answers.clone(),
            counts: Arc::clone(&counts),
            clock,
            policy,
            udp: ports,
            ports: ListenPorts { ipv4: port, ipv6: None },
            look_up_every: Some(LOOK_UP_EVERY_MIN),
            queries_per_second: 1000,
            serve: port.is_some(),
            unrestricted: true,
            routers: routers.iter().map(ToString::to_string).collect(),
            state: folder.join("state/dht-nodes"),
            keeps_nodes: true,
            ending: ending.clone(),
        };
        let (reports, ended) = mpsc::channel(REPORTS_WAITING_MAX);
        let (written, rows) = mpsc::channel(10_000);
        let driver = Driver::new(setup, reports).await.unwrap();
        let address = driver.address();
        let reporting = report::report(ended, answers, written, ending.clone());
        let tasks = [tokio::spawn(driver.run()), tokio::spawn(reporting)];
        Self { address, answers: answered, rows, counts, ending, tasks }
    }

    /// Waits until all of `peers` were named.
    async fn named(&mut self, peers: &BTreeSet<SocketAddr>) {
        let mut named = BTreeSet::new();
        let waiting = async {
            while !peers.is_subset(&named) {
                let answer = self.answers.recv().await.expect("the DHT has ended");
                assert_eq!((answer.source, answer.swarm), (Source::Dht, SwarmId(0)));
                assert!(answer.endpoint.is_some_and(|endpoint| endpoint.parse::<SocketAddr>().is_ok()));
                named.extend(answer.peers.into_iter().map(|(peer, _)| peer));
            }
        };
        let all = timeout(Duration::from_secs(40), waiting).await;
        assert!(all.is_ok(), "{named:?} of {peers:?}");
    }

    async fn end(mut self) -> Vec<Request> {
        self.ending.cancel();
        for task in self.tasks {
            timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
        }
        let mut rows = Vec::new();
        while let Ok(event) = self.rows.try_recv() {
            let Row::Request(row) = event.row else { panic!("{event:?} is no request") };
            rows.push(row);
        }
        rows
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn all_peers_of_a_swarm_are_found_and_every_query_is_a_row() {
    let (serving, mut others) = (folder(), Vec::new());
    let first = Watched::start(&serving.path().join("first"), &[], Some(50_000), swarm(None)).await;
    for port in 50_001..50_012 {
        let folder = serving.path().join(port.to_string());
        others.push(Watched::start(&folder, &[first.address], Some(port), swarm(None)).await);
    }
    let peers: BTreeSet<SocketAddr> = (50_001..50_012).map(|port| ([127, 0, 0, 1], port).into()).collect();
    let kept = folder();
    let mut watcher = Watched::start(kept.path(), &[first.address], None, swarm(None)).await;
    watcher.named(&peers).await;
    let nodes: BTreeSet<String> =
        others.iter().chain([&first]).map(|other| other.address.to_string()).collect();
    let counts = Arc::clone(&watcher.counts);
    let rows = watcher.end().await;
    assert!(rows.iter().all(|row| row.info_hash == HASH && row.source == Source::Dht));
    assert!(rows.iter().all(|row| nodes.contains(&row.endpoint)), "{rows:?}");
    let of = |kind| rows.iter().filter(move |row| row.kind == kind && row.outcome == RequestOutcome::Ok);
    assert!(of(RequestKind::GetPeers).any(|row| row.peers > Some(0)));
    assert!(of(RequestKind::ScrapeBloom).any(|row| row.leechers == Some(1) && row.seeders == Some(0)));
    assert_eq!(of(RequestKind::Announce).count(), 0, "who does not listen does not announce");
    assert_eq!(counts.read().0 + counts.read().1, rows.len() as u64);

    // The next life needs no router.
    let mut again = Watched::start(kept.path(), &[], None, swarm(None)).await;
    again.named(&peers).await;
    again.end().await;
    let mut rows = Vec::new();
    for other in others {
        rows.extend(other.end().await);
    }
    assert!(rows.iter().any(|row| row.kind == RequestKind::Announce && row.outcome == RequestOutcome::Ok));
    first.end().await;
}

#[tokio::test]
async fn private_torrents_are_asked_of_nobody() {
    let (serving, private) = (folder(), folder());
    let mut server = Watched::start(serving.path(), &[], Some(1), swarm(None)).await;
    let mut watcher = Watched::start(private.path(), &[server.address], Some(2), swarm(Some(true))).await;
    let mut public =
        Watched::start(&private.path().join("b"), &[server.address], Some(3), swarm(Some(false))).await;
    // Those who asked after it have been served, so the private one had its time.
    public.named(&BTreeSet::from([([127, 0, 0, 1], 3).into()])).await;
    server.named(&BTreeSet::from([([127, 0, 0, 1], 3).into()])).await;
    assert!(watcher.answers.try_recv().is_err());
    assert_eq!(watcher.end().await, []);
    public.end().await;
    assert!(server.end().await.iter().all(|row| row.peers < Some(3)));
}

#[tokio::test]
async fn a_magnet_that_turns_out_private_is_looked_up_no_more() {
    let (serving, others) = (folder(), folder());
    let server = Watched::start(serving.path(), &[], Some(1), swarm(None)).await;
    let magnet = swarm(None);
    let mut watcher = Watched::start(others.path(), &[server.address], None, Arc::clone(&magnet)).await;
    let mut public = Watched::start(&others.path().join("b"), &[server.address], Some(3), swarm(None)).await;
    let peer = BTreeSet::from([([127, 0, 0, 1], 3).into()]);
    watcher.named(&peer).await;
    let private = swarm(Some(true)).metadata().cloned().unwrap();
    assert!(magnet.learn(private));
    // A look-up later nothing is under way any more, and another one later nothing has come.
    public.named(&peer).await;
    public.named(&peer).await;
    while watcher.answers.try_recv().is_ok() {}
    while watcher.rows.try_recv().is_ok() {}
    public.named(&peer).await;
    public.named(&peer).await;
    assert!(watcher.answers.try_recv().is_err());
    assert_eq!(watcher.end().await, []);
    public.end().await;
    server.end().await;
}

#[tokio::test]
async fn nodes_that_may_not_be_contacted_are_not() {
    let (serving, strict) = (folder(), folder());
    let server = Watched::start(serving.path(), &[], Some(1), swarm(None)).await;
    let (found, mut routers) = mpsc::channel(4);
    let resolving = tokio::spawn(routers::resolve(
        vec![server.address.to_string(), "127.0.0.1:0".to_owned()],
        Arc::new(AddressPolicy::default()),
        Arc::default(),
        found,
    ));
    assert!(
        timeout(Duration::from_millis(300), routers.recv()).await.is_err(),
        "loopback is not for everybody"
    );
    resolving.abort();
    assert!(!strict.path().join("state").exists());
    server.end().await;
}
