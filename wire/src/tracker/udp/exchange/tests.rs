//! The exchange with a UDP tracker on a simulated clock.

use proptest::prelude::*;

use super::*;
use crate::{PeerId, tracker::AnnounceEvent};

const ID: u32 = 0x0102_0304;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A moment to count from; its value does not matter.
#[expect(clippy::disallowed_methods, reason = "only differences to it are used")]
fn start() -> Instant {
    Instant::now()
}

fn announce() -> Query {
    let request = AnnounceRequest {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        port: 3,
        uploaded: 0,
        downloaded: 0,
        left: 4,
        event: AnnounceEvent::Started,
        num_want: None,
        key: 5,
        tracker_id: None,
    };
    Query::Announce { request: Box::new(request), url_data: b"/path".to_vec() }
}

fn exchange(query: Query, connection: Option<Connection>) -> Exchange {
    Exchange::new(query, Family::Ipv4, ID, Timing::default(), connection)
}

fn granted(id: u64) -> Vec<u8> {
    Response::Connect { transaction_id: ID, connection_id: id }.encode(Family::Ipv4)
}

fn answered() -> (Vec<u8>, AnnounceResponse) {
    let response = AnnounceResponse {
        peers: vec!["127.0.0.1:1".parse().unwrap()],
        interval_s: Some(60),
        seeders: Some(1),
        leechers: Some(2),
        ..AnnounceResponse::default()
    };
    let datagram = Response::Announce { transaction_id: ID, response: response.clone() }.encode(Family::Ipv4);
    (datagram, response)
}

fn refused(message: &str) -> Vec<u8> {
    Response::Error { transaction_id: ID, message: message.into() }.encode(Family::Ipv4)
}

/// What is sent next: 0 for a connect, or the connection id of a question.
fn sent(exchange: &mut Exchange, now: Instant) -> Option<u64> {
    match Request::decode(&exchange.poll_transmit(now)?).unwrap() {
        Request::Connect { transaction_id: ID } => Some(0),
        Request::Announce(announce) if announce.transaction_id == ID && announce.url_data == b"/path" => {
            Some(announce.connection_id)
        }
        Request::Scrape { connection_id, transaction_id: ID, .. } => Some(connection_id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn connects_asks_and_is_answered() {
    let now = start();
    let mut exchange = exchange(announce(), None);
    assert_eq!(sent(&mut exchange, now), Some(0));
    assert_eq!(sent(&mut exchange, now), None, "one datagram at a time");
    assert_eq!(exchange.poll_timeout(), Some(now + seconds(15)));
    assert!(exchange.handle_input(&granted(7), now));
    let connection = Connection { id: 7, expires_at: now + seconds(60) };
    assert_eq!(sent(&mut exchange, now), Some(7));
    let (datagram, response) = answered();
    assert!(exchange.handle_input(&datagram, now));
    assert_eq!(exchange.outcome(), Some(&Ok(Answer::Announce(response))));
    assert_eq!((exchange.poll_timeout(), sent(&mut exchange, now)), (None, None));
    assert_eq!(exchange.connection(now + seconds(59)), Some(connection));
    assert_eq!(exchange.connection(now + seconds(60)), None);
    assert!(!exchange.handle_input(&datagram, now), "a repeated answer is nobody's");
}

#[test]
fn silence_is_met_with_doubling_waits_and_then_given_up() {
    let first = start();
    let mut now = first;
    let mut exchange = exchange(announce(), None);
    let mut sent_at = Vec::new();
    while exchange.outcome().is_none() {
        if sent(&mut exchange, now).is_some() {
            sent_at.push((now - first).as_secs());
        }
        let deadline = exchange.poll_timeout().unwrap();
        exchange.handle_timeout(now);
        assert_eq!(exchange.poll_timeout(), Some(deadline), "not before its time");
        now = deadline;
        exchange.handle_timeout(now);
    }
    assert_eq!(sent_at, [0, 15, 45, 105, 225, 465, 945, 1905, 3825]);
    assert_eq!((now - first).as_secs(), 7665);
    assert_eq!(exchange.outcome(), Some(&Err(Failure::TimedOut)));
}

#[test]
fn an_expired_connection_is_asked_for_again() {
    let first = start();
    let mut exchange = exchange(announce(), None);
    sent(&mut exchange, first);
    exchange.handle_input(&granted(7), first);
    let mut sent_at = Vec::new();
    for _ in 0..4 {
        let now = exchange.poll_timeout().unwrap_or(first);
        exchange.handle_timeout(now);
        sent_at.push(((now - first).as_secs(), sent(&mut exchange, now)));
    }
    assert_eq!(sent_at, [(0, Some(7)), (15, Some(7)), (45, Some(7)), (105, Some(0))]);
    let now = first + seconds(106);
    exchange.handle_input(&granted(8), now);
    assert_eq!(sent(&mut exchange, now), Some(8));
    assert_eq!(exchange.poll_timeout(), Some(now + seconds(120)), "the waits go on growing");
}

#[test]
fn a_connection_is_reused_while_it_lasts() {
    let now = start();
    let connection = Connection { id: 9, expires_at: now + seconds(1) };
    assert_eq!(sent(&mut exchange(announce(), Some(connection)), now), Some(9));
    assert_eq!(sent(&mut exchange(announce(), Some(connection)), now + seconds(1)), Some(0));

    let mut restarted = exchange(announce(), Some(connection));
    assert_eq!(sent(&mut restarted, now), Some(9));
    assert!(restarted.handle_input(&refused("unknown connection"), now));
    assert_eq!(sent(&mut restarted, now), Some(0));
    restarted.handle_input(&granted(10), now);
    assert_eq!(sent(&mut restarted, now), Some(10));
    assert!(restarted.handle_input(&refused("no such swarm"), now));
    assert_eq!(restarted.outcome(), Some(&Err(Failure::Refused("no such swarm".into()))));
}

#[test]
fn a_scrape_is_answered_in_order() {
    let now = start();
    let swarms = vec![InfoHash([1; 20]), InfoHash([2; 20])];
    let ask = || {
        let mut exchange = exchange(Query::Scrape(swarms.clone()), None);
        sent(&mut exchange, now);
        exchange.handle_input(&granted(7), now);
        sent(&mut exchange, now);
        exchange
    };
    let counts = |seeders| Counts { seeders, completed: 5, leechers: 6 };
    let answer = |counts| Response::Scrape { transaction_id: ID, counts }.encode(Family::Ipv4);

    let mut exchange = ask();
    exchange.handle_input(&answer(vec![counts(3), counts(4)]), now);
    let Some(Ok(Answer::Scrape(entries))) = exchange.outcome() else { panic!("{exchange:?}") };
    let entry = |hash: &InfoHash, seeders| ScrapeEntry {
        info_hash: *hash,
        seeders: Some(seeders),
        leechers: Some(6),
        downloaded: Some(5),
    };
    assert_eq!(entries[..], [entry(&swarms[0], 3), entry(&swarms[1], 4)]);

    let mut exchange = ask();
    exchange.handle_input(&answer(vec![counts(3)]), now);
    assert_eq!(exchange.outcome(), Some(&Err(Failure::WrongCount { found: 1, expected: 2 })));
}

#[test]
fn datagrams_of_others_change_nothing() {
    let now = start();
    let mut exchange = exchange(announce(), None);
    sent(&mut exchange, now);
    let other = Response::Connect { transaction_id: ID + 1, connection_id: 7 }.encode(Family::Ipv4);
    for datagram in [&b""[..], b"\0\0\0\0", &other, &answered().0] {
        assert!(!exchange.handle_input(datagram, now), "{datagram:?}");
    }
    assert_eq!(exchange.connection(now), None);
    assert_eq!(exchange.poll_timeout(), Some(now + seconds(15)));
}

#[test]
fn a_malformed_answer_with_our_id_ends_the_exchange() {
    let now = start();
    let mut exchange = exchange(announce(), None);
    sent(&mut exchange, now);
    assert!(exchange.handle_input(b"\0\0\0\0\x01\x02\x03\x04half", now));
    assert_eq!(exchange.outcome(), Some(&Err(Failure::Malformed(ResponseError::Short { length: 12 }))));
}

proptest! {
    /// Whatever arrives whenever: it ends, sends at most one datagram per deadline, and never panics.
    #[test]
    fn every_exchange_ends(
        inputs in proptest::collection::vec((0..4_usize, any::<Vec<u8>>(), 0..200_u64), 0..60),
        scrape: bool, reuse: bool,
    ) {
        let first = start();
        let mut now = first;
        let query = if scrape { Query::Scrape(vec![InfoHash([1; 20])]) } else { announce() };
        let reused = reuse.then_some(Connection { id: 9, expires_at: first + seconds(30) });
        let mut exchange = exchange(query, reused);
        for (kind, bytes, wait) in inputs {
            sent(&mut exchange, now);
            now += seconds(wait);
            let datagram = match kind {
                0 => granted(7),
                1 => refused("no"),
                2 => [&ID.to_be_bytes()[..], &bytes].concat(),
                _ => [&[0, 0, 0, 1][..], &ID.to_be_bytes(), &bytes].concat(),
            };
            exchange.handle_input(&datagram, now);
            exchange.handle_timeout(now);
        }
        for _ in 0..20 {
            sent(&mut exchange, now);
            now = exchange.poll_timeout().unwrap_or(now);
            exchange.handle_timeout(now);
        }
        prop_assert!(exchange.outcome().is_some());
    }
}
