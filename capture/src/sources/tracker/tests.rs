//! Announcing and scraping to the end of a run, over both protocols.

use std::{net::SocketAddr, sync::atomic::Ordering};

use schema::{
    InfoHash, PeerId,
    table::{Request, RequestKind, RequestOutcome, Row, Source, TorrentOrigin},
};
use tokio::{net::UdpSocket, task::JoinHandle};
use wire::tracker::{
    AnnounceEvent, AnnounceRequest, AnnounceResponse, Family as WireFamily, ScrapeEntry,
    http::{decode_announce_query, decode_scrape_query, encode_announce, encode_failure, encode_scrape},
    udp::{Counts, Request as Datagram, Response},
};

use super::{
    fake::{HttpTracker, Reply, http, ok, soon},
    *,
};
use crate::{
    sources,
    swarm::{Description, SwarmId},
};

/// A run of the tracker sources over some swarms.
struct Watched {
    rows: mpsc::Receiver<Event>,
    answers: mpsc::Receiver<Answer>,
    counts: Arc<RequestCounts>,
    ending: CancellationToken,
    task: JoinHandle<Result<(), TrackerError>>,
}

impl Watched {
    /// Watches `swarms` swarms, each with every one of `urls` as a tier of its own.
    fn start(urls: &[String], swarms: u8, announce_every: Duration, policy: AddressPolicy) -> Self {
        let swarms = (0..swarms).map(|n| {
            let description = Description {
                info_hash: InfoHash([n; 20]),
                info_hash_v2: None,
                name: None,
                origin: TorrentOrigin::InfoHash,
                trackers: urls.iter().map(|url| vec![url.clone()]).collect(),
                peers: vec![],
                metadata: None,
            };
            Arc::new(Swarm::new(SwarmId(n.into()), description, PeerId(*b"-SW0100-abcdefghijkl"), 77))
        });
        let (answers, answered) = sources::channel();
        let (rows, written) = mpsc::channel(1000);
        let (counts, ending) = (Arc::default(), CancellationToken::new());
        let setup = Setup {
            swarms: swarms.collect(),
            answers,
            counts: Arc::clone(&counts),
            clock: Clock::start(),
            policy: Arc::new(policy),
            bind: vec![],
            announce_every: Some(announce_every),
            ports: ListenPorts { ipv4: Some(4321), ipv6: None },
            ending: ending.clone(),
        };
        let task = tokio::spawn(ask(setup, rows));
        Self { rows: written, answers: answered, counts, ending, task }
    }

    fn lenient(urls: &[String], swarms: u8, announce_every: Duration) -> Self {
        Self::start(urls, swarms, announce_every, AddressPolicy::new(true, &[]))
    }

    async fn row(&mut self) -> Request {
        let event = soon(self.rows.recv()).await.expect("the sources have ended");
        let Row::Request(row) = event.row else { panic!("{event:?} is no request") };
        row
    }

    /// The next row of that kind.
    async fn row_of(&mut self, kind: RequestKind) -> Request {
        loop {
            let row = self.row().await;
            if row.kind == kind {
                return row;
            }
        }
    }

    /// Ends the run and gives the rows that came with it.
    async fn end(mut self) -> Vec<Request> {
        self.ending.cancel();
        soon(&mut self.task).await.unwrap().unwrap();
        let mut rows = Vec::new();
        while let Ok(event) = self.rows.try_recv() {
            if let Row::Request(row) = event.row {
                rows.push(row);
            }
        }
        rows
    }
}

const OFTEN: Duration = Duration::from_millis(30);
const SELDOM: Duration = Duration::from_hours(1);

fn announce_of(target: &str) -> AnnounceRequest {
    let (path, query) = target.split_once('?').expect("a query");
    assert_eq!(path, "/announce");
    decode_announce_query(query).unwrap().request
}

fn response() -> AnnounceResponse {
    AnnounceResponse {
        peers: vec!["198.51.100.7:51413".parse().unwrap(), "[2001:db8::7]:1".parse().unwrap()],
        interval_s: Some(1800),
        seeders: Some(3),
        leechers: Some(4),
        downloaded: Some(5),
        warning: Some("be nice".into()),
        tracker_id: Some(b"you".to_vec()),
        ..AnnounceResponse::default()
    }
}

/// Answers announces alone.
fn announces(_: SocketAddr, target: &str) -> Reply {
    if target.starts_with("/announce") { ok(&encode_announce(&response(), true)) } else { ok(b"de") }
}

#[tokio::test]
async fn http_announces_start_go_on_and_stop() {
    let mut tracker = HttpTracker::start("127.0.0.1", announces).await;
    let mut watched = Watched::lenient(&[tracker.url("/announce")], 1, OFTEN);
    let mut events = Vec::new();
    while events.len() < 3 {
        let target = tracker.next().await;
        if target.starts_with("/announce") {
            events.push(announce_of(&target));
        }
    }
    let row = watched.row_of(RequestKind::Announce).await;
    assert_eq!(row.outcome, RequestOutcome::Ok);
    assert_eq!((row.source, row.family), (Source::TrackerHttp, Some(Family::Ipv4)));
    assert_eq!(row.endpoint, tracker.url("/announce"));
    assert_eq!((row.peers, row.interval_s), (Some(2), Some(1800)));
    assert_eq!((row.seeders, row.leechers, row.downloaded), (Some(3), Some(4), Some(5)));
    assert_eq!(row.error.as_deref(), Some("be nice"));
    let answer = soon(watched.answers.recv()).await.unwrap();
    assert_eq!(answer.swarm, SwarmId(0));
    assert_eq!(answer.endpoint.as_deref(), Some(tracker.url("/announce").as_str()));
    assert_eq!(answer.peers, response().peers.iter().map(|&peer| (peer, None)).collect::<Vec<_>>());

    let rows = watched.end().await;
    let mut announces = rows.iter().filter(|row| row.kind == RequestKind::Announce);
    assert!(announces.all(|row| row.outcome == RequestOutcome::Ok));
    let last = loop {
        let target = soon(tracker.asked.recv()).await.unwrap();
        if target.starts_with("/announce") && announce_of(&target).event != AnnounceEvent::None {
            break announce_of(&target);
        }
    };
    assert_eq!(last.event, AnnounceEvent::Stopped);
    assert_eq!(last.num_want, Some(0));
    assert_eq!(events[0].event, AnnounceEvent::Started);
    assert_eq!(events[1].event, AnnounceEvent::None);
    assert_eq!(events[2].event, AnnounceEvent::None);
    assert_eq!((events[0].tracker_id.as_deref(), events[1].tracker_id.as_deref()), (None, Some(&b"you"[..])));
    for announce in events.iter().chain([&last]) {
        assert_eq!((announce.port, announce.key), (4321, 77));
        assert_eq!((announce.uploaded, announce.downloaded), (0, 0));
        assert!(announce.left > 0);
        assert_eq!(announce.peer_id.0, *b"-SW0100-abcdefghijkl");
    }
}

#[tokio::test]
async fn every_tracker_of_every_tier_is_asked() {
    let one = HttpTracker::start("127.0.0.1", announces).await;
    let two = HttpTracker::start("127.0.0.1", announces).await;
    let mut watched = Watched::lenient(&[one.url("/announce"), two.url("/announce")], 3, SELDOM);
    let mut seen = Vec::new();
    for _ in 0..6 {
        let row = watched.row_of(RequestKind::Announce).await;
        seen.push((row.endpoint, row.info_hash.0[0]));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn a_failure_is_told_in_the_trackers_words_and_asked_again_as_started() {
    let mut tracker =
        HttpTracker::start("127.0.0.1", |_, _| ok(&encode_failure("unregistered torrent"))).await;
    let mut watched = Watched::lenient(&[tracker.url("/announce")], 1, OFTEN);
    for _ in 0..2 {
        let row = watched.row().await;
        assert_eq!((row.outcome, row.kind), (RequestOutcome::Failure, RequestKind::Announce));
        assert_eq!(row.error.as_deref(), Some("unregistered torrent"));
        assert_eq!((row.peers, row.interval_s), (None, None));
        assert_eq!(announce_of(&tracker.next().await).event, AnnounceEvent::Started);
    }
    assert!(watched.counts.failed.load(Ordering::Relaxed) >= 2);
    assert_eq!(watched.counts.ok.load(Ordering::Relaxed), 0);
    // A tracker that never took us in is not told that we leave.
    assert!(watched.end().await.iter().all(|row| row.outcome == RequestOutcome::Failure));
}

#[tokio::test]
async fn hostile_answers_are_malformed() {
    let deep = [b"d5:peers".as_slice(), &vec![b'l'; 100_000]].concat();
    for body in
        [b"le".to_vec(), b"i5e".to_vec(), b"<html>".to_vec(), vec![], b"d5:peers7:1234567e".to_vec(), deep]
    {
        let shown = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        let tracker = HttpTracker::start("127.0.0.1", move |_, _| ok(&body)).await;
        let row = Watched::lenient(&[tracker.url("/announce")], 1, SELDOM).row().await;
        assert_eq!(row.outcome, RequestOutcome::Malformed, "{shown}");
        assert!(row.error.is_some());
    }
}

#[tokio::test]
async fn refused_and_unresolved_hosts_are_rows() {
    let mut strict =
        Watched::start(&["http://127.0.0.1:9/announce".into()], 1, SELDOM, AddressPolicy::default());
    let row = strict.row().await;
    assert_eq!((row.outcome, row.family), (RequestOutcome::NotAllowed, Some(Family::Ipv4)));
    assert_eq!(row.error.as_deref(), Some("127.0.0.1 is 127.0.0.1: the address is loopback"));
    let mut lost = Watched::lenient(&["udp://no-such-host.invalid:1/announce".into()], 1, SELDOM);
    let row = lost.row().await;
    assert_eq!((row.outcome, row.family, row.source), (RequestOutcome::Unresolved, None, Source::TrackerUdp));
}

#[tokio::test]
async fn scrapes_follow_the_first_announce() {
    let tracker = HttpTracker::start("127.0.0.1", |_, target| match target.split_once('?') {
        Some(("/scrape", query)) => {
            let entries: Vec<ScrapeEntry> =
                decode_scrape_query(query).unwrap().into_iter().map(counted).collect();
            ok(&encode_scrape(&entries))
        }
        _ => ok(&encode_announce(&response(), true)),
    })
    .await;
    let mut watched = Watched::lenient(&[tracker.url("/announce")], 3, SELDOM);
    for n in 0..3 {
        let row = watched.row_of(RequestKind::Scrape).await;
        assert_eq!(row.info_hash.0[0], n);
        assert_eq!((row.seeders, row.leechers, row.downloaded), (Some(n.into()), Some(1), Some(2)));
        assert_eq!((row.outcome, row.peers), (RequestOutcome::Ok, None));
    }
}

fn counted(info_hash: wire::InfoHash) -> ScrapeEntry {
    let seeders = Some(info_hash.0[0].into());
    ScrapeEntry { info_hash, seeders, leechers: Some(1), downloaded: Some(2) }
}

#[tokio::test]
async fn a_tracker_that_minds_many_swarms_is_scraped_one_by_one() {
    let refuse: fn(usize) -> Reply = |_| Reply::Bytes(http("400 Bad Request", "", b""));
    let first_alone: fn(usize) -> Reply = |_| ok(&encode_scrape(&[counted(wire::InfoHash([0; 20]))]));
    for many in [refuse, first_alone] {
        let mut tracker = HttpTracker::start("127.0.0.1", move |_, target| match target.split_once('?') {
            Some(("/scrape", query)) => match decode_scrape_query(query).unwrap().as_slice() {
                [alone] => ok(&encode_scrape(&[counted(*alone)])),
                several => many(several.len()),
            },
            _ => ok(&encode_announce(&response(), true)),
        })
        .await;
        let mut watched = Watched::lenient(&[tracker.url("/announce")], 3, OFTEN);
        let mut counted = Vec::new();
        while counted.len() < 6 {
            let row = watched.row_of(RequestKind::Scrape).await;
            if row.outcome == RequestOutcome::Ok {
                counted.push(row.info_hash.0[0]);
            }
        }
        assert_eq!(counted, [0, 1, 2, 0, 1, 2]);
        let mut at_once = Vec::new();
        while let Ok(target) = tracker.asked.try_recv() {
            if let Some(("/scrape", query)) = target.split_once('?') {
                at_once.push(decode_scrape_query(query).unwrap().len());
            }
        }
        assert_eq!(at_once[0], 3);
        assert_eq!(at_once.iter().filter(|&&count| count > 1).count(), 1, "{at_once:?}");
    }
}

/// Serves UDP announces and scrapes; tells of the announces.
fn serve_udp(socket: UdpSocket) -> (JoinHandle<()>, mpsc::Receiver<AnnounceRequest>) {
    let (send, asked) = mpsc::channel(1000);
    let serving = tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let response = match Datagram::decode(&buffer[..length]).unwrap() {
                Datagram::Connect { transaction_id } => {
                    Response::Connect { transaction_id, connection_id: 9 }
                }
                Datagram::Announce(announce) => {
                    send.send(announce.request).await.unwrap();
                    Response::Announce { transaction_id: announce.transaction_id, response: response() }
                }
                Datagram::Scrape { transaction_id, info_hashes, .. } => {
                    let count = |_| Counts { seeders: 1, completed: 2, leechers: 3 };
                    Response::Scrape { transaction_id, counts: info_hashes.iter().map(count).collect() }
                }
            };
            socket.send_to(&response.encode(WireFamily::Ipv4), from).await.unwrap();
        }
    });
    (serving, asked)
}

#[tokio::test]
async fn udp_announces_start_go_on_and_stop() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    let (serving, mut asked) = serve_udp(socket);
    let mut watched = Watched::lenient(std::slice::from_ref(&url), 2, OFTEN);
    let mut events = Vec::new();
    while events.len() < 6 {
        let announce = soon(asked.recv()).await.unwrap();
        events.push((announce.info_hash.0[0], announce.event));
    }
    for swarm in [0, 1] {
        let mut own = events.iter().filter(|(n, _)| *n == swarm).map(|(_, event)| *event);
        assert_eq!(own.next(), Some(AnnounceEvent::Started));
        assert!(own.all(|event| event == AnnounceEvent::None));
    }
    let scrape = watched.row_of(RequestKind::Scrape).await;
    assert_eq!((scrape.source, scrape.endpoint), (Source::TrackerUdp, url));
    assert_eq!((scrape.seeders, scrape.leechers, scrape.downloaded), (Some(1), Some(3), Some(2)));
    let answer = soon(watched.answers.recv()).await.unwrap();
    assert_eq!((answer.source, answer.peers.len()), (Source::TrackerUdp, 1));

    watched.end().await;
    let mut stopped = Vec::new();
    while let Ok(announce) = asked.try_recv() {
        if announce.event == AnnounceEvent::Stopped {
            stopped.push(announce.info_hash.0[0]);
        }
    }
    stopped.sort_unstable();
    assert_eq!(stopped, [0, 1]);
    serving.abort();
}

#[tokio::test]
async fn a_silent_tracker_does_not_hold_up_the_end() {
    let tracker = HttpTracker::start("127.0.0.1", |_, _| Reply::Hang(vec![])).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let urls = [tracker.url("/announce"), format!("udp://{}", silent.local_addr().unwrap())];
    let watched = Watched::lenient(&urls, 2, SELDOM);
    // Both have been asked, and neither has answered.
    let mut tracker = tracker;
    tracker.next().await;
    soon(silent.recv_from(&mut [0; 2048])).await.unwrap();
    let rows = watched.end().await;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row.outcome == RequestOutcome::TimedOut), "{rows:?}");
}

#[tokio::test]
async fn a_host_with_both_families_is_asked_over_both() {
    // One port on both addresses, so that one URL's host name leads to two servers.
    let (mut one, mut other) = loop {
        let one = HttpTracker::start("127.0.0.1", announces).await;
        if let Some(other) =
            HttpTracker::start_at(SocketAddr::new("::1".parse().unwrap(), one.address.port()), announces)
                .await
        {
            break (one, other);
        }
    };
    let url = format!("http://localhost:{}/announce", one.address.port());
    let mut watched = Watched::lenient(&[url], 1, SELDOM);
    let mut families =
        [watched.row_of(RequestKind::Announce).await, watched.row_of(RequestKind::Announce).await]
            .map(|row| (row.family, row.outcome));
    families.sort_unstable();
    assert_eq!(families, [Family::Ipv4, Family::Ipv6].map(|family| (Some(family), RequestOutcome::Ok)));
    assert_eq!(announce_of(&one.next().await).port, 4321);
    assert_eq!(announce_of(&other.next().await).port, PORT_NOT_LISTENING);
}
