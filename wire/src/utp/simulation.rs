//! Two endpoints, a link between them that loses, repeats and reorders, and a clock of their own.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::SocketAddr,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{
    End, KEEP_ALIVE, WINDOW_BYTES,
    connection::Connection,
    endpoint::{Config, Endpoint, Event, Full, Handle},
    packet::{Header, Kind, Packet},
};

const ASKS: &str = "1.2.3.4:1111";
const LISTENS: &str = "[2001:db8::1]:2222";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Of 256 datagrams, how many meet with what.
#[derive(Clone, Copy, Default)]
struct Link {
    lost: u8,
    repeated: u8,
    late: u8,
}

/// One end: its endpoint, what it has yet to write, what it has read.
struct Side {
    endpoint: Endpoint,
    handle: Option<Handle>,
    unwritten: Vec<u8>,
    read: Vec<u8>,
    finishes: bool,
    eof: bool,
    ended: Option<End>,
}

/// When it arrives, its number, where, where from, and what.
type Arrival = (Instant, u64, SocketAddr, SocketAddr, Vec<u8>);

struct World {
    now: Instant,
    began: Instant,
    sides: BTreeMap<SocketAddr, Side>,
    agenda: BinaryHeap<Reverse<Arrival>>,
    sent: u64,
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    random: u64,
    link: Link,
}

fn config(accepts: bool) -> Config {
    Config { accepts, connections_max: 100, seed: [if accepts { 7 } else { 8 }; 32] }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "only differences are used")]
    fn new(link: Link, seed: u64) -> Self {
        let now = Instant::now();
        let side = |accepts| Side {
            endpoint: Endpoint::new(config(accepts), now),
            handle: None,
            unwritten: vec![],
            read: vec![],
            finishes: false,
            eof: false,
            ended: None,
        };
        let sides = BTreeMap::from([(address(ASKS), side(false)), (address(LISTENS), side(true))]);
        let (agenda, datagrams) = (BinaryHeap::new(), Vec::new());
        Self { now, began: now, sides, agenda, sent: 0, datagrams, random: seed, link }
    }

    fn connect(&mut self) {
        let side = self.sides.get_mut(&address(ASKS)).unwrap();
        side.handle = Some(side.endpoint.connect(self.now, address(LISTENS)).unwrap());
        self.attend(address(ASKS));
    }

    fn draw(&mut self) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }

    /// Reads, writes and sends all that a side can.
    fn attend(&mut self, at: SocketAddr) {
        let side = self.sides.get_mut(&at).unwrap();
        while let Some(event) = side.endpoint.poll_event() {
            if let Event::Incoming(handle, _) = event {
                assert_eq!(side.handle.replace(handle), None, "one connection was begun");
            }
        }
        if let Some(handle) = side.handle {
            let mut buffer = [0; 700];
            loop {
                match side.endpoint.read(handle, &mut buffer) {
                    Ok(Some(0)) => {
                        side.eof = true;
                        break;
                    }
                    Ok(Some(length)) => side.read.extend_from_slice(&buffer[..length]),
                    Ok(None) => break,
                    Err(end) => {
                        side.ended = Some(end);
                        break;
                    }
                }
            }
            if side.endpoint.is_connected(handle) == Ok(true) {
                let written = side.endpoint.write(handle, &side.unwritten).unwrap();
                side.unwritten.drain(..written);
                if side.finishes && side.unwritten.is_empty() {
                    side.endpoint.finish(handle);
                }
            }
        }
        let mut datagrams = Vec::new();
        while let Some(datagram) = side.endpoint.poll_transmit(self.now) {
            datagrams.push(datagram);
        }
        for (to, datagram) in datagrams {
            self.datagrams.push((at, datagram.clone()));
            let [lost, repeated, late] = [(); 3].map(|()| self.draw() % 256);
            if lost < u64::from(self.link.lost) {
                continue;
            }
            let times = if repeated < u64::from(self.link.repeated) { 2 } else { 1 };
            for _ in 0..times {
                let delay = if late < u64::from(self.link.late) { 10 + self.draw() % 300 } else { 10 };
                self.sent += 1;
                let arrives = self.now + Duration::from_millis(delay);
                self.agenda.push(Reverse((arrives, self.sent, to, at, datagram.clone())));
            }
        }
    }

    /// Goes on until nothing is under way before `until` after the beginning.
    fn run(&mut self, until: Duration) {
        let until = self.began + until;
        loop {
            let arrival = self.agenda.peek().map(|Reverse((at, ..))| *at);
            let wake =
                self.sides.iter().filter_map(|(at, side)| Some((side.endpoint.poll_timeout()?, *at))).min();
            let next = arrival.into_iter().chain(wake.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|&next| next <= until) else { break };
            self.now = self.now.max(next);
            if arrival.is_some_and(|arrival| arrival <= self.now) {
                let Some(Reverse((_, _, to, from, datagram))) = self.agenda.pop() else { break };
                let Some(side) = self.sides.get_mut(&to) else { continue };
                side.endpoint.handle_datagram(self.now, from, &datagram);
                self.attend(to);
            } else if let Some((_, at)) = wake {
                self.sides.get_mut(&at).unwrap().endpoint.handle_timeout(self.now);
                self.attend(at);
            }
        }
        self.now = until;
    }

    fn side(&mut self, at: &str) -> &mut Side {
        self.sides.get_mut(&address(at)).unwrap()
    }
}

fn bytes(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 31 + usize::from(seed)).to_le_bytes()[0] ^ (at >> 8).to_le_bytes()[0])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn streams_arrive_whole_over_a_bad_link(
        lost in 0..20_u8, repeated in 0..60_u8, late in 0..100_u8, seed: u64,
        there in 1..60_000_usize, back in 0..60_000_usize,
    ) {
        let mut world = World::new(Link { lost, repeated, late }, seed);
        world.side(ASKS).unwritten = bytes(there, 1);
        world.side(LISTENS).unwritten = bytes(back, 2);
        world.side(ASKS).finishes = true;
        world.side(LISTENS).finishes = true;
        world.connect();
        world.run(Duration::from_hours(1));
        prop_assert!(world.side(LISTENS).read == bytes(there, 1));
        prop_assert!(world.side(ASKS).read == bytes(back, 2));
        for at in [ASKS, LISTENS] {
            let now = world.now;
            let side = world.side(at);
            prop_assert!(side.eof && side.ended.is_none());
            side.endpoint.release(now, side.handle.unwrap());
            while side.endpoint.poll_transmit(now).is_some() {}
            prop_assert!(side.endpoint.is_empty() && side.endpoint.held() == 0);
        }
    }

    #[test]
    fn any_datagrams_leave_an_endpoint_sound(
        datagrams in proptest::collection::vec(
            (0..6_u8, 0..4_u16, 0..80_u16, any::<u8>(), 0..2000_usize, proptest::collection::vec(any::<u8>(), 0..9)),
            1..200,
        ),
    ) {
        let mut world = World::new(Link::default(), 1);
        world.side(ASKS).unwritten = bytes(100, 1);
        world.connect();
        world.run(Duration::from_secs(1));
        let handle = world.side(LISTENS).handle.unwrap();
        let header = Packet::decode(&world.datagrams.last().unwrap().1).unwrap().header;
        let (listens, now) = (&mut world.sides.get_mut(&address(LISTENS)).unwrap().endpoint, world.now);
        for (kind, id, seq, window, length, sack) in datagrams {
            let kinds = [Kind::Data, Kind::Fin, Kind::State, Kind::Syn, Kind::Reset];
            let kind = *kinds.get(usize::from(kind)).unwrap_or(&Kind::Data);
            let header = Header {
                kind,
                connection: header.connection.wrapping_add(id).wrapping_sub(1),
                window: window.into(),
                seq: header.ack.wrapping_add(seq).wrapping_sub(8),
                ack: header.seq.wrapping_sub(1),
                ..header
            };
            let payload = bytes(length, 3);
            let packet = Packet { header, selective_ack: &sack, payload: &payload };
            listens.handle_datagram(now, address(ASKS), &packet.encode());
            while let Some((_, datagram)) = listens.poll_transmit(now) {
                prop_assert!(Packet::decode(&datagram).is_some());
            }
            prop_assert!(listens.held() <= 2 * WINDOW_BYTES && listens.len() <= 3);
        }
        listens.release(now, handle);
    }
}

#[test]
fn a_good_link_needs_few_datagrams() {
    let mut world = World::new(Link::default(), 1);
    world.side(ASKS).unwritten = bytes(68, 1);
    world.side(LISTENS).unwritten = bytes(168, 2);
    world.connect();
    world.run(Duration::from_secs(20));
    assert_eq!(world.side(LISTENS).read.len(), 68);
    assert_eq!(world.side(ASKS).read.len(), 168);
    let kinds: Vec<_> =
        world.datagrams.iter().map(|(_, datagram)| Packet::decode(datagram).unwrap().header.kind).collect();
    // The answer to the first bytes carries the acknowledgement.
    assert_eq!(kinds, [Kind::Syn, Kind::State, Kind::Data, Kind::Data, Kind::State]);
    world.run(KEEP_ALIVE + Duration::from_secs(1));
    assert_eq!(world.datagrams.len(), 7, "one from each side keeps the connection alive");
}

#[test]
fn a_syn_is_sent_again() {
    let mut world = World::new(Link { lost: 255, ..Link::default() }, 0);
    world.connect();
    world.run(Duration::from_secs(8));
    assert!(
        world
            .datagrams
            .iter()
            .all(|(_, datagram)| Packet::decode(datagram).unwrap().header.kind == Kind::Syn)
    );
    assert_eq!(world.datagrams.len(), 4, "at 0, 1, 3 and 7 s");
    world.run(Duration::from_mins(3));
    assert_eq!(world.side(ASKS).ended, Some(End::TimedOut));
}

#[test]
fn forged_syns_leave_nothing_behind() {
    let mut world = World::new(Link::default(), 1);
    let now = world.now;
    let endpoint = &mut world.side(LISTENS).endpoint;
    for port in 1..=u16::MAX {
        let header = Header {
            kind: Kind::Syn,
            connection: port,
            sent_us: 0,
            delay_us: 0,
            window: 0,
            seq: port,
            ack: 0,
        };
        endpoint.handle_datagram(now, ([9, 9, 9, 9], port).into(), &Packet::bare(header).encode());
    }
    let mut answers = 0;
    while let Some((_, answer)) = endpoint.poll_transmit(now) {
        assert!(answer.len() <= 20, "an answer is no longer than what it answers");
        answers += 1;
    }
    assert_eq!((answers, endpoint.len(), endpoint.poll_timeout()), (1000, 0, None));
    assert_eq!(endpoint.counts().syns, u64::from(u16::MAX));
    assert_eq!(endpoint.counts().strays, u64::from(u16::MAX) - 1000);
}

#[test]
fn who_is_unknown_is_told_so_and_who_is_refused_knows() {
    let mut world = World::new(Link::default(), 1);
    world.side(ASKS).unwritten = bytes(68, 1);
    world.connect();
    world.run(Duration::from_secs(1));
    // The other side loses its memory.
    let now = world.now;
    world.side(LISTENS).endpoint = Endpoint::new(Config { seed: [9; 32], ..config(true) }, now);
    world.side(LISTENS).handle = None;
    world.side(ASKS).unwritten = bytes(4, 1);
    world.attend(address(ASKS));
    world.run(Duration::from_secs(2));
    assert_eq!(world.side(ASKS).ended, Some(End::Reset));

    let mut world = World::new(Link::default(), 1);
    world.side(ASKS).unwritten = bytes(68, 1);
    world.connect();
    world.run(Duration::from_millis(25));
    let side = world.side(LISTENS);
    assert!(side.handle.is_none());
    world.run(Duration::from_millis(35));
    let now = world.now;
    let side = world.side(LISTENS);
    side.endpoint.abort(side.handle.unwrap());
    side.endpoint.release(now, side.handle.unwrap());
    world.attend(address(LISTENS));
    assert!(world.side(LISTENS).endpoint.is_empty());
    world.run(Duration::from_secs(2));
    assert_eq!(world.side(ASKS).ended, Some(End::Reset));
}

#[test]
fn who_calls_where_no_calls_are_taken_is_told_so() {
    let mut world = World::new(Link::default(), 1);
    let now = world.now;
    world.side(LISTENS).endpoint = Endpoint::new(config(false), now);
    world.connect();
    world.run(Duration::from_millis(100));
    assert_eq!(world.side(ASKS).ended, Some(End::Refused));
}

#[test]
fn a_dead_peer_is_given_up_and_one_that_left_is_forgotten() {
    let mut world = World::new(Link::default(), 1);
    world.side(ASKS).unwritten = bytes(68, 1);
    world.connect();
    world.run(Duration::from_secs(1));
    world.link.lost = 255;
    world.random = 0;
    world.side(LISTENS).unwritten = bytes(4, 1);
    world.attend(address(LISTENS));
    let now = world.now;
    let side = world.side(ASKS);
    side.endpoint.release(now, side.handle.unwrap());
    side.handle = None;
    world.attend(address(ASKS));
    assert_eq!(world.side(ASKS).endpoint.len(), 1, "its goodbye is not acknowledged");
    world.run(Duration::from_secs(1) + Connection::LINGER);
    assert!(world.side(ASKS).endpoint.is_empty());
    world.run(Duration::from_mins(3));
    assert_eq!(world.side(LISTENS).ended, Some(End::TimedOut));
}

#[test]
fn there_are_no_more_connections_than_there_may_be() {
    let mut world = World::new(Link::default(), 1);
    let now = world.now;
    let endpoint = &mut world.side(ASKS).endpoint;
    let handles: Vec<_> = (0..100).map(|_| endpoint.connect(now, address(LISTENS)).unwrap()).collect();
    assert_eq!(endpoint.connect(now, address(LISTENS)), Err(Full));
    endpoint.release(now, handles[0]);
    assert!(endpoint.connect(now, address(LISTENS)).is_ok());
}

#[test]
fn an_idle_connection_is_small() {
    assert!(size_of::<Connection>() <= 320, "{}", size_of::<Connection>());
}

#[test]
fn the_first_packets_may_come_in_any_order() {
    let mut world = World::new(Link::default(), 1);
    // Three whole packets, a short one and the end: as many as are sent at first.
    world.side(ASKS).unwritten = bytes(3601, 1);
    world.side(ASKS).finishes = true;
    world.connect();
    world.run(Duration::from_millis(25));
    let mut arrivals: Vec<Arrival> =
        std::mem::take(&mut world.agenda).into_iter().map(|Reverse(next)| next).collect();
    arrivals.sort_by_key(|arrival| Reverse(arrival.1));
    assert_eq!(arrivals.len(), 5);
    for (nth, mut arrival) in (0..).zip(arrivals) {
        arrival.0 += Duration::from_millis(nth);
        world.agenda.push(Reverse(arrival));
    }
    world.run(Duration::from_secs(9));
    assert!(world.side(LISTENS).read == bytes(3601, 1) && world.side(LISTENS).eof);
}
