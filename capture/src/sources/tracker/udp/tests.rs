//! UDP trackers that answer, are silent, and answer for others.

use wire::{
    PeerId,
    tracker::{
        AnnounceEvent,
        udp::{Counts, Request},
    },
};

use super::*;

/// A tracker whose every word the test says itself.
struct Tracker {
    socket: UdpSocket,
    family: WireFamily,
}

impl Tracker {
    async fn start(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let family = if ip.is_ipv4() { WireFamily::Ipv4 } else { WireFamily::Ipv6 };
        Self { socket: UdpSocket::bind((ip, 0)).await.unwrap(), family }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    async fn hear(&self) -> (Request, SocketAddr) {
        let mut buffer = [0; 2048];
        let (length, from) = self.socket.recv_from(&mut buffer).await.unwrap();
        (Request::decode(&buffer[..length]).unwrap(), from)
    }

    async fn say(&self, to: SocketAddr, response: Response) {
        self.socket.send_to(&response.encode(self.family), to).await.unwrap();
    }

    /// Grants a connection to the next request, which must ask for one.
    async fn grant(&self, connection_id: u64) {
        let (request, from) = self.hear().await;
        let Request::Connect { transaction_id } = request else { panic!("{request:?} is no connect") };
        self.say(from, Response::Connect { transaction_id, connection_id }).await;
    }

    /// Hears an announce, which must come with that connection.
    async fn hear_announce(&self, connection_id: u64) -> (wire::tracker::udp::Announce, SocketAddr) {
        let (request, from) = self.hear().await;
        let Request::Announce(announce) = request else { panic!("{request:?} is no announce") };
        assert_eq!(announce.connection_id, connection_id);
        (*announce, from)
    }

    async fn answer_announce(&self, connection_id: u64) {
        let (announce, from) = self.hear_announce(connection_id).await;
        self.say(from, Response::Announce { transaction_id: announce.transaction_id, response: response() })
            .await;
    }
}

fn response() -> AnnounceResponse {
    AnnounceResponse {
        interval_s: Some(900),
        seeders: Some(1),
        leechers: Some(2),
        ..AnnounceResponse::default()
    }
}

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        port: 6881,
        uploaded: 0,
        downloaded: 0,
        left: 1,
        event: AnnounceEvent::Started,
        num_want: None,
        key: 3,
        tracker_id: None,
    }
}

fn trackers() -> UdpTrackers {
    UdpTrackers::open(Clock::start(), &[]).unwrap()
}

async fn announce(trackers: &UdpTrackers, tracker: &Tracker) -> Result<AnnounceResponse, Trouble> {
    trackers.announce(tracker.address(), request(), b"/announce".to_vec()).await
}

#[tokio::test]
async fn an_announce_is_answered_over_both_families() {
    for ip in ["127.0.0.1", "::1"] {
        let (trackers, tracker) = (trackers(), Tracker::start(ip).await);
        let peer = SocketAddr::new(ip.parse().unwrap(), 7);
        let serve = async {
            tracker.grant(5).await;
            let (announce, from) = tracker.hear_announce(5).await;
            assert_eq!(announce.url_data, b"/announce");
            assert_eq!((announce.request.event, announce.request.left), (AnnounceEvent::Started, 1));
            let response = AnnounceResponse { peers: vec![peer], ..response() };
            tracker.say(from, Response::Announce { transaction_id: announce.transaction_id, response }).await;
        };
        let (answer, ()) = tokio::join!(announce(&trackers, &tracker), serve);
        assert_eq!(answer.unwrap().peers, [peer], "{ip}");
    }
}

#[tokio::test]
async fn a_scrape_is_answered_in_order() {
    let (trackers, tracker) = (trackers(), Tracker::start("127.0.0.1").await);
    let swarms = [InfoHash([1; 20]), InfoHash([2; 20])];
    let serve = async {
        tracker.grant(5).await;
        let (request, from) = tracker.hear().await;
        let Request::Scrape { transaction_id, info_hashes, .. } = request else { panic!("{request:?}") };
        assert_eq!(info_hashes, swarms);
        let counts = [1, 4].map(|n| Counts { seeders: n, completed: n + 1, leechers: n + 2 }).to_vec();
        tracker.say(from, Response::Scrape { transaction_id, counts }).await;
    };
    let (entries, ()) = tokio::join!(trackers.scrape(tracker.address(), &swarms), serve);
    let entries = entries.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.info_hash).collect::<Vec<_>>(), swarms);
    assert_eq!((entries[1].seeders, entries[1].downloaded, entries[1].leechers), (Some(4), Some(5), Some(6)));
}

#[tokio::test]
async fn other_transactions_and_other_senders_are_not_believed() {
    let (trackers, tracker) = (trackers(), Tracker::start("127.0.0.1").await);
    let (other_port, other_host) = (Tracker::start("127.0.0.1").await, Tracker::start("127.0.0.3").await);
    let serve = async {
        tracker.grant(5).await;
        let (announce, from) = tracker.hear_announce(5).await;
        let forged = |transaction_id| Response::Error { transaction_id, message: "forged".into() };
        tracker.say(from, forged(announce.transaction_id.wrapping_add(1))).await;
        other_port.say(from, forged(announce.transaction_id)).await;
        other_host.say(from, forged(announce.transaction_id)).await;
        tracker.socket.send_to(b"x", from).await.unwrap();
        tracker
            .say(from, Response::Announce { transaction_id: announce.transaction_id, response: response() })
            .await;
    };
    let (answer, ()) = tokio::join!(announce(&trackers, &tracker), serve);
    assert_eq!(answer.unwrap().interval_s, Some(900));
}

#[tokio::test]
async fn a_trackers_error_is_kept_in_its_own_words() {
    let (trackers, tracker) = (trackers(), Tracker::start("127.0.0.1").await);
    let serve = async {
        tracker.grant(5).await;
        let (Request::Announce(announce), from) = tracker.hear().await else { panic!("no announce") };
        let message = "torrent not registered".into();
        tracker.say(from, Response::Error { transaction_id: announce.transaction_id, message }).await;
    };
    let (answer, ()) = tokio::join!(announce(&trackers, &tracker), serve);
    assert_eq!(answer.unwrap_err(), Trouble::new(RequestOutcome::Failure, "torrent not registered"));
}

#[tokio::test]
async fn a_cut_off_answer_is_malformed() {
    let (trackers, tracker) = (trackers(), Tracker::start("127.0.0.1").await);
    let serve = async {
        tracker.grant(5).await;
        let (announce, from) = tracker.hear_announce(5).await;
        let whole = Response::Announce { transaction_id: announce.transaction_id, response: response() };
        let datagram = whole.encode(WireFamily::Ipv4);
        tracker.socket.send_to(&datagram[..12], from).await.unwrap();
    };
    let (answer, ()) = tokio::join!(announce(&trackers, &tracker), serve);
    assert_eq!(answer.unwrap_err().outcome, RequestOutcome::Malformed);
}

/// Does not wait long for a lost datagram.
fn hasty() -> UdpTrackers {
    let timing = Timing { base: Duration::from_millis(20), retransmissions: 2 };
    UdpTrackers { timing, ..trackers() }
}

#[tokio::test]
async fn silence_is_asked_again_and_ends() {
    let (trackers, tracker) = (hasty(), Tracker::start("127.0.0.1").await);
    let serve = async {
        let first = tracker.hear().await.0;
        assert_eq!(tracker.hear().await.0, first);
        assert_eq!(tracker.hear().await.0, first);
    };
    let (answer, ()) = tokio::join!(announce(&trackers, &tracker), serve);
    assert_eq!(answer.unwrap_err(), Trouble::new(RequestOutcome::TimedOut, "no answer within 140ms"));
    assert!(lock(&trackers.ipv4.as_ref().unwrap().shared.waiting).is_empty());
}

#[test]
fn a_request_ends_in_time_for_its_row() {
    assert_eq!(patience(TIMING), Duration::from_secs(105));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let (trackers, tracker) = (hasty(), Tracker::start("127.0.0.1").await);
    let serve = async {
        tracker.grant(5).await;
        let (lost, _) = tracker.hear_announce(5).await;
        let (again, from) = tracker.hear_announce(5).await;
        assert_eq!(again, lost);
        tracker
            .say(from, Response::Announce { transaction_id: again.transaction_id, response: response() })
            .await;
    };
    let (answer, ()) = tokio::join!(announce(&trackers, &tracker), serve);
    assert!(answer.is_ok());
}

#[tokio::test]
async fn a_connection_id_is_used_again() {
    let (trackers, tracker) = (trackers(), Tracker::start("127.0.0.1").await);
    let first = async {
        tracker.grant(5).await;
        tracker.answer_announce(5).await;
    };
    assert!(tokio::join!(announce(&trackers, &tracker), first).0.is_ok());
    assert!(tokio::join!(announce(&trackers, &tracker), tracker.answer_announce(5)).0.is_ok());
}

#[tokio::test]
async fn a_refused_connection_id_is_asked_for_anew() {
    let (trackers, tracker) = (trackers(), Tracker::start("127.0.0.1").await);
    let first = async {
        tracker.grant(5).await;
        tracker.answer_announce(5).await;
    };
    assert!(tokio::join!(announce(&trackers, &tracker), first).0.is_ok());
    let restarted = async {
        let (announce, from) = tracker.hear_announce(5).await;
        let message = "connection id mismatch".into();
        tracker.say(from, Response::Error { transaction_id: announce.transaction_id, message }).await;
        tracker.grant(6).await;
        tracker.answer_announce(6).await;
    };
    assert!(tokio::join!(announce(&trackers, &tracker), restarted).0.is_ok());
    assert_eq!(lock(&trackers.ipv4.as_ref().unwrap().shared.connections)[&tracker.address()].id, 6);
}
