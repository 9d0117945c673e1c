//! A walk over a DHT of captures that serve, on loopback.

use std::{collections::BTreeSet, path::Path};

use schema::{InfoHash as Hash, PeerId, RunId, table::TorrentOrigin};
use serde_json::Value;
use tokio::{task::JoinHandle, time::timeout};

use super::*;
use crate::{
    log::{Log, LogOptions},
    sources::{self, Answer, dht, tracker::ListenPorts},
    swarm::{self, Description, SwarmId},
};

/// A capture's DHT that serves others and announces one swarm.
struct Serving {
    log: Log,
    _answers: mpsc::Receiver<Answer>,
    ending: CancellationToken,
    task: JoinHandle<()>,
}

/// A UDP port nobody uses at the moment.
fn free() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Serving {
    fn start(folder: &Path, at: SocketAddr, router: Option<SocketAddr>, info_hash: [u8; 20]) -> Self {
        let clock = Clock::start();
        let options = LogOptions {
            folder: folder.to_owned(),
            run: RunId("20260102T030405Z-9f86d081".to_owned()),
            rotate_every: Duration::from_mins(10),
            rotate_size: 1 << 30,
            sync_every: Duration::from_millis(100),
        };
        let log = Log::open(options, clock).unwrap();
        let description = Description {
            info_hash: Hash(info_hash),
            info_hash_v2: None,
            name: None,
            origin: TorrentOrigin::InfoHash,
            trackers: vec![],
            peers: vec![],
            metadata: None,
        };
        let swarm = swarm::Swarm::new(SwarmId(0), description, PeerId([b'x'; 20]), 7);
        let (answers, answered) = sources::channel();
        let (ending, policy) = (CancellationToken::new(), Arc::new(AddressPolicy::new(true, &[])));
        let mut udp = Udp::open(&udp::Setup {
            listen: vec![at],
            bind: vec![],
            policy: Arc::clone(&policy),
            clock,
            krpc: true,
            utp_connections_max: None,
        });
        let ports = [udp.take_krpc(Family::Ipv4), None];
        udp.spawn(&TaskTracker::new(), &ending);
        let setup = dht::Setup {
            swarms: [Arc::new(swarm)].into_iter().collect(),
            answers,
            counts: Arc::default(),
            clock,
            policy,
            udp: ports,
            ports: ListenPorts { ipv4: Some(at.port()), ipv6: None },
            look_up_every: Some(Duration::from_secs(2)),
            queries_per_second: 1000,
            serve: true,
            unrestricted: true,
            routers: router.iter().map(ToString::to_string).collect(),
            state: folder.join("state/dht-nodes"),
            keeps_nodes: true,
            ending: ending.clone(),
        };
        Self { task: tokio::spawn(dht::run(setup, log.clone())), log, _answers: answered, ending }
    }

    async fn end(self) {
        self.ending.cancel();
        timeout(Duration::from_secs(20), self.task).await.unwrap().unwrap();
        self.log.close().await.unwrap();
    }
}

fn setup(router: SocketAddr, scrape: bool, limit: usize) -> Setup {
    Setup {
        clock: Clock::start(),
        policy: Arc::new(AddressPolicy::new(true, &[])),
        bind: vec!["127.0.0.1".parse().unwrap()],
        routers: vec![router.to_string()],
        queries_per_second: 200,
        unrestricted: true,
        scrape,
        format: if scrape { Format::Json } else { Format::Text },
        limit,
        run_for: Some(Duration::from_secs(40)),
        cancel: CancellationToken::new(),
    }
}

#[tokio::test]
async fn every_swarm_is_found_and_measured_and_the_list_can_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let first = free();
    let hashes: Vec<[u8; 20]> = (1..=4).map(|n| [n; 20]).collect();
    let mut serving = Vec::new();
    for (n, hash) in hashes.iter().enumerate() {
        let (at, router) = if n == 0 { (first, None) } else { (free(), Some(first)) };
        serving.push(Serving::start(&folder.path().join(n.to_string()), at, router, *hash));
    }
    let expected: BTreeSet<String> = hashes.iter().map(|hash| wire::InfoHash(*hash).to_string()).collect();
    let listed = async {
        loop {
            // Until all have announced themselves; a node that told all it holds is not asked again so soon.
            let mut out = Vec::new();
            let brief = Setup { run_for: Some(Duration::from_secs(2)), ..setup(first, false, 4) };
            let counts = run(brief, &mut out).await.unwrap();
            let found: BTreeSet<String> =
                String::from_utf8(out).unwrap().lines().map(ToOwned::to_owned).collect();
            assert!(found.is_subset(&expected) && counts.swarms == found.len());
            if found == expected {
                return counts;
            }
        }
    };
    let counts = timeout(Duration::from_secs(50), listed).await.expect("some are not found");
    assert!(counts.sampled > 0 && counts.asked >= counts.answered && counts.answered >= counts.sampled);

    let mut out = Vec::new();
    run(setup(first, true, 4), &mut out).await.unwrap();
    let rows: Vec<Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: BTreeSet<String> =
        rows.iter().map(|row| row["info_hash"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, expected);
    // All announce from one address, of which the filters know once.
    assert!(rows.iter().all(|row| row["leechers"] == 1 && row["seeders"] == 0), "{rows:?}");
    for one in serving {
        one.end().await;
    }
}

#[tokio::test]
async fn nobody_to_ask_and_a_reader_that_has_enough_end_it() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let alone = Setup { run_for: Some(Duration::from_millis(300)), ..setup(free(), false, 4) };
    let mut out = Vec::new();
    assert_eq!(run(alone, &mut out).await.unwrap().answered, 0);
    assert!(out.is_empty());

    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (free(), free());
    let serving = [
        Serving::start(&folder.path().join("a"), first, None, [1; 20]),
        Serving::start(&folder.path().join("b"), second, Some(first), [2; 20]),
    ];
    let ended = timeout(Duration::from_secs(30), run(setup(first, false, 4), &mut Closed)).await;
    assert!(ended.unwrap().is_ok());
    for one in serving {
        one.end().await;
    }
}
