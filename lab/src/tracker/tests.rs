//! The lab's trackers, asked with our own messages over HTTP and UDP.

use std::time::Duration;

use proptest::prelude::*;
use wire::{
    PeerId,
    tracker::{
        Family, http,
        udp::{Announce, Request as Datagram, Response},
    },
};

use super::*;
use crate::{
    plan::{Plan, PlanOptions},
    swarm::SwarmOptions,
};

const CLIENT: &str = "127.0.0.1:50000";

struct Lab {
    world: Arc<World>,
    out: tempfile::TempDir,
}

fn lab() -> Lab {
    let out = tempfile::tempdir().unwrap();
    let plan = PlanOptions { peers: 10, swarms: 2, length: Duration::from_mins(1), seed: 1 };
    let options = SwarmOptions {
        plan,
        out: out.path().to_owned(),
        interval: Duration::from_secs(3),
        answer_peers: 100,
        wait_for_capture: true,
        ready_file: None,
    };
    Lab { world: Arc::new(World::new(&Plan::draw(&plan), &options).unwrap()), out }
}

impl Lab {
    fn tracker(&self, compact: bool) -> Tracker {
        Tracker {
            world: Arc::clone(&self.world),
            url: "http://127.0.1.2:1/announce".to_owned(),
            compact,
            generous: false,
        }
    }

    fn info_hash(&self) -> InfoHash {
        InfoHash(self.world.torrents[0].info_hash)
    }

    fn fill(&self, peers: u8) {
        for host in 0..peers {
            self.world.members.join(0, SocketAddr::from(([127, 64, 1, host], 6881)), host % 4 == 0);
        }
    }

    fn requests(&self) -> Vec<Request> {
        crate::truth::read(&self.out.path().join("requests.csv")).unwrap()
    }
}

fn announce(info_hash: InfoHash, event: AnnounceEvent, num_want: Option<u32>) -> AnnounceRequest {
    AnnounceRequest {
        info_hash,
        peer_id: PeerId([7; 20]),
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event,
        num_want,
        key: 0,
        tracker_id: None,
    }
}

fn get(tracker: &Tracker, url: &url::Url) -> Vec<u8> {
    let ip = CLIENT.parse::<SocketAddr>().unwrap().ip();
    super::http::respond(tracker, ip, url.path(), url.query().unwrap_or_default()).1
}

fn ask_http(tracker: &Tracker, request: &AnnounceRequest) -> Result<AnnounceResponse, http::ResponseError> {
    http::decode_announce(&get(tracker, &http::announce_url(&tracker.url, request).unwrap()))
}

fn ask_udp(tracker: &Tracker, request: &Datagram) -> Response {
    let response = super::udp::respond(tracker, CLIENT.parse().unwrap(), &request.encode()).unwrap();
    Response::decode(&response.encode(Family::Ipv4), Family::Ipv4).unwrap()
}

fn connect(tracker: &Tracker) -> u64 {
    match ask_udp(tracker, &Datagram::Connect { transaction_id: 5 }) {
        Response::Connect { transaction_id: 5, connection_id } => connection_id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn http_answers_with_packed_peers_or_dictionaries_and_true_counts() {
    for compact in [true, false] {
        let lab = lab();
        lab.fill(40);
        let tracker = lab.tracker(compact);
        let request = announce(lab.info_hash(), AnnounceEvent::Started, Some(20));
        let response = ask_http(&tracker, &request).unwrap();
        assert_eq!(response.peers.len(), 20);
        assert_eq!((response.seeders, response.leechers), (Some(10), Some(31)));
        assert_eq!((response.interval_s, response.min_interval_s), (Some(3), Some(2)));
        let url = http::scrape_url(&tracker.url, &[lab.info_hash()]).unwrap();
        let entry = http::decode_scrape(&get(&tracker, &url)).unwrap()[0];
        assert_eq!((entry.seeders, entry.leechers, entry.downloaded), (Some(10), Some(31), Some(0)));
    }
}

#[test]
fn http_refuses_swarms_it_does_not_know_and_queries_it_cannot_read() {
    let lab = lab();
    let tracker = lab.tracker(true);
    let unknown = announce(InfoHash([0; 20]), AnnounceEvent::Started, None);
    assert_eq!(
        ask_http(&tracker, &unknown),
        Err(http::ResponseError::Failure("unregistered torrent".to_owned()))
    );
    let body = super::http::respond(&tracker, IpAddr::from([127, 0, 0, 1]), "/announce", "port=1").1;
    assert!(matches!(http::decode_announce(&body), Err(http::ResponseError::Failure(_))));
    assert_eq!(super::http::respond(&tracker, IpAddr::from([127, 0, 0, 1]), "/stats", "").0, "404 Not Found");
}

#[test]
fn udp_answers_connect_announce_and_scrape() {
    let lab = lab();
    lab.fill(40);
    let tracker = lab.tracker(true);
    let connection_id = connect(&tracker);
    let datagram = |info_hash, connection_id| {
        Datagram::Announce(Box::new(Announce {
            connection_id,
            transaction_id: 6,
            request: announce(info_hash, AnnounceEvent::Started, Some(200)),
            url_data: Vec::new(),
        }))
    };
    match ask_udp(&tracker, &datagram(lab.info_hash(), connection_id)) {
        Response::Announce { transaction_id: 6, response } => {
            assert_eq!(response.peers.len(), 41, "the asker is a member, too");
            assert_eq!((response.seeders, response.leechers), (Some(10), Some(31)));
        }
        other => panic!("{other:?}"),
    }
    let scrape = |info_hashes| Datagram::Scrape { connection_id, transaction_id: 7, info_hashes };
    match ask_udp(&tracker, &scrape(vec![lab.info_hash()])) {
        Response::Scrape { counts, .. } => assert_eq!((counts[0].seeders, counts[0].leechers), (10, 31)),
        other => panic!("{other:?}"),
    }
    let refused = [
        datagram(InfoHash([0; 20]), connection_id),
        datagram(lab.info_hash(), connection_id ^ 1),
        scrape(vec![lab.info_hash(), InfoHash([0; 20])]),
    ];
    for request in refused {
        assert!(matches!(ask_udp(&tracker, &request), Response::Error { .. }), "{request:?}");
    }
}

#[test]
fn a_started_observer_is_named_until_it_stops_and_both_are_noted() {
    let lab = lab();
    let tracker = lab.tracker(true);
    let observer: SocketAddr = "127.0.0.1:6881".parse().unwrap();
    let started = ask_http(&tracker, &announce(lab.info_hash(), AnnounceEvent::Started, Some(50))).unwrap();
    assert_eq!(started.peers, [observer]);
    let stopped = ask_http(&tracker, &announce(lab.info_hash(), AnnounceEvent::Stopped, Some(50))).unwrap();
    assert!(stopped.peers.is_empty());
    assert_eq!(stopped.leechers, Some(0));
    let events: Vec<_> = lab.requests().into_iter().map(|request| request.event).collect();
    assert_eq!(events, ["started", "stopped"]);
}

#[test]
fn completions_are_counted_and_the_named_are_a_random_part() {
    let lab = lab();
    lab.fill(100);
    let members = &lab.world.members;
    let peer = SocketAddr::from(([127, 64, 1, 1], 6881));
    members.complete(0, peer);
    assert_eq!(members.counts(0), members::Counts { seeders: 26, leechers: 74, downloaded: 1 });
    let draws: std::collections::HashSet<_> = (0..5).map(|_| members.name(0, 50).1).collect();
    assert!(draws.len() > 1 && draws.iter().all(|peers| peers.len() == 50));
}

proptest! {
    #[test]
    fn no_datagram_or_query_upsets_a_tracker(datagram: Vec<u8>, query in "\\PC{0,80}") {
        let lab = lab();
        let tracker = lab.tracker(true);
        let remote: SocketAddr = CLIENT.parse().unwrap();
        super::udp::respond(&tracker, remote, &datagram);
        for path in ["/announce", "/scrape"] {
            prop_assert!(!super::http::respond(&tracker, remote.ip(), path, &query).1.is_empty());
        }
    }
}
