//! The scheduler against simulated peers, with a clock of its own.

use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use proptest::prelude::*;
use schema::table::ContactOutcome;

use super::*;
use crate::{address::AddressPolicy, registry::Sighted};

mod stand_still;

const SWARM: SwarmId = SwarmId(0);
const COUNT: u32 = 1000;
const UNKNOWN_ID: [u8; 20] = *b"-XX0001-abcdefghijkl";
const LIBTORRENT_ID: [u8; 20] = *b"-LT20B0-abcdefghijkl";
const RQBIT_ID: [u8; 20] = *b"-rQ9100-abcdefghijkl";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pacing() -> Pacing {
    Pacing {
        max_out: 100,
        per_second: 1000,
        hold: secs(1800),
        revisit: secs(600),
        rungs: Rungs::new(false, false),
        ip: Limit::IP,
        network: Limit::NETWORK,
    }
}

/// A schedule with its registry and time.
struct World {
    schedule: Schedule,
    registry: Registry,
    start: Instant,
    now: Instant,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
    fn new(pacing: Pacing) -> Self {
        let now = Instant::now();
        Self {
            schedule: Schedule::new(now, pacing, ContactNumbers::default(), 1),
            registry: Registry::new(Arc::new(AddressPolicy::new(true, &[])), 2),
            start: now,
            now,
        }
    }

    fn meet(&mut self, host: u8, port: u16) -> PeerKey {
        let ip = Ipv4Addr::new(10, 0, 0, host);
        let Sighted::New(peer) = self.registry.sight(SWARM, (ip, port).into()) else { panic!("met before") };
        self.schedule.add(self.now, peer, Origin::Tracker);
        peer
    }

    fn next(&mut self) -> Option<Action> {
        self.schedule.next(self.now, &self.registry)
    }

    /// Lets time pass until the next action, at most until `limit` from now.
    fn next_within(&mut self, limit: Duration) -> Option<Action> {
        let until = self.now + limit;
        loop {
            if let Some(action) = self.next() {
                return Some(action);
            }
            let Some(at) = self.schedule.next_wake(self.now).filter(|&at| at <= until) else {
                self.now = until;
                return None;
            };
            self.now = at.max(self.now + Duration::from_micros(1));
        }
    }

    fn dialled(&mut self, limit: Duration) -> u64 {
        match self.next_within(limit) {
            Some(Action::Dial { contact, .. }) => contact,
            other => panic!("{other:?} instead of a contact"),
        }
    }

    fn closed(&mut self, limit: Duration) -> u64 {
        match self.next_within(limit) {
            Some(Action::Close { contact, why: Why::Done }) => contact,
            other => panic!("{other:?} instead of an end"),
        }
    }

    /// The handshake and opening burst of a contact, two seconds in all.
    fn opens(&mut self, contact: u64, id: &[u8; 20], pieces: u32, claimed: bool) {
        self.schedule.handshake(contact, id);
        self.now += secs(2);
        self.schedule.observed(self.now, contact, seen(pieces, true, claimed));
        self.schedule.settled(self.now, contact);
    }

    fn has(&mut self, contact: u64, pieces: u32) {
        self.schedule.observed(self.now, contact, seen(pieces, false, false));
    }

    fn ends(&mut self, contact: u64, outcome: ContactOutcome) {
        self.schedule.ended(self.now, contact, outcome);
    }

    /// Seconds until the next contact begins.
    fn until_dialled(&mut self) -> (u64, f64) {
        let before = self.now;
        let contact = self.dialled(secs(100_000));
        (contact, (self.now - before).as_secs_f64())
    }
}

fn seen(pieces: u32, opening: bool, claimed: bool) -> Seen {
    Seen {
        claimed: claimed && pieces > 0,
        complete: pieces == COUNT,
        opening,
        piece_count: Some(COUNT),
        pieces: Some(pieces),
        settled: true,
    }
}

#[test]
fn a_new_peer_is_contacted_at_once() {
    let mut world = World::new(pacing());
    let peer = world.meet(1, 1);
    assert_eq!(world.next(), Some(Action::Dial { contact: 1, peer, attempt: 1, rung: Rung::PLAIN_TCP }));
    assert_eq!(world.next(), None);
}

#[test]
fn failed_contacts_are_retried_with_growing_delays() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let mut contact = world.dialled(secs(0));
    let mut delays = Vec::new();
    for _ in 0..14 {
        world.ends(contact, ContactOutcome::Refused);
        let (next, delay) = world.until_dialled();
        contact = next;
        delays.push(delay);
    }
    for (delay, expected) in delays.iter().zip([5.0, 10.0, 20.0, 40.0, 80.0]) {
        assert!((expected..expected * 1.13 + 0.1).contains(delay), "{delays:?}");
    }
    assert!(delays.iter().all(|&delay| delay < 1800.0 * 1.13), "{delays:?}");
    assert!(delays.last() > Some(&1799.0), "{delays:?}");
}

#[test]
fn a_further_rung_follows_within_seconds_and_only_then_the_back_off() {
    let mut world = World::new(Pacing { rungs: Rungs::new(true, false), ..pacing() });
    let peer = world.meet(1, 1);
    world.schedule.hinted(peer, Hints::ENCRYPTION);
    let dialled = world.next();
    let Some(Action::Dial { contact, rung: Rung::MSE_TCP, .. }) = dialled else { panic!("{dialled:?}") };
    world.ends(contact, ContactOutcome::HandshakeReset);
    let before = world.now;
    let dialled = world.next_within(secs(3));
    let Some(Action::Dial { contact, rung: Rung::PLAIN_TCP, attempt: 2, .. }) = dialled else {
        panic!("{dialled:?}")
    };
    assert_eq!((world.now - before).as_secs(), 2);
    world.ends(contact, ContactOutcome::HandshakeReset);
    let delay = world.until_dialled().1;
    assert!((5.0..6.0).contains(&delay), "{delay}");
}

#[test]
fn a_peer_that_came_obfuscated_is_dialled_so() {
    let mut world = World::new(Pacing { rungs: Rungs::new(true, false), ..pacing() });
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    world.schedule.incoming(77, SWARM, ip, &LIBTORRENT_ID, Rung::MSE_TCP);
    let peer = world.meet(1, 6881);
    assert!(world.schedule.attach(77, peer));
    world.ends(77, ContactOutcome::ClosedByRemote);
    let dialled = world.next_within(secs(10));
    assert!(matches!(dialled, Some(Action::Dial { rung: Rung::MSE_TCP, .. })), "{dialled:?}");
}

#[test]
fn a_seeder_is_looked_at_rarely() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, &LIBTORRENT_ID, COUNT, true);
    assert_eq!(world.closed(secs(0)), contact);
    world.ends(contact, ContactOutcome::VisitDone);
    assert!(world.until_dialled().1 >= 1800.0);
}

#[test]
fn a_leecher_that_tells_is_held_until_it_is_complete() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, &LIBTORRENT_ID, 100, true);
    for pieces in 101..COUNT {
        assert_eq!(world.next_within(secs(1)), None, "at {pieces} pieces");
        world.has(contact, pieces);
    }
    assert_eq!(world.schedule.counts().crossings, 1);
    world.has(contact, COUNT);
    assert_eq!(world.closed(secs(0)), contact);
}

#[test]
fn a_held_contact_ends_after_hold_and_goes_on_with_a_fresh_handshake() {
    let mut world = World::new(Pacing { hold: secs(60), ..pacing() });
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, &LIBTORRENT_ID, 100, true);
    let held_from = world.now;
    assert_eq!(world.closed(secs(100)), contact);
    assert_eq!(world.now - held_from, secs(60));
    world.ends(contact, ContactOutcome::VisitDone);
    assert!((2.0..3.0).contains(&world.until_dialled().1));
}

#[test]
fn a_client_that_never_tells_is_visited_more_often_as_it_nears_the_threshold() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let start = world.now;
    // Two pieces a second.
    let pieces_at = |now: Instant| u32::try_from((now - start).as_millis() / 500).unwrap_or(COUNT).min(COUNT);
    let mut visits = Vec::new();
    loop {
        let contact = world.dialled(secs(10_000));
        visits.push(world.now);
        let pieces = pieces_at(world.now + secs(2));
        world.opens(contact, &RQBIT_ID, pieces, true);
        assert_eq!(world.closed(secs(0)), contact, "held at {pieces} pieces");
        world.ends(contact, ContactOutcome::VisitDone);
        if pieces == COUNT {
            break;
        }
    }
    assert_eq!(world.schedule.counts().crossings, 1);
    let gaps: Vec<f64> = visits.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps.iter().all(|&gap| gap >= 4.0), "two seconds of visit, two of rest: {gaps:?}");
    assert!(gaps.iter().any(|&gap| gap > 60.0), "no more visits than needed: {gaps:?}");
    let crossing = visits.iter().rposition(|&visit| pieces_at(visit + secs(2)) < 980).unwrap();
    assert!(gaps[crossing] < 8.0, "the crossing is dated within seconds: {gaps:?}");
}

#[test]
fn an_unknown_client_that_kept_quiet_is_asked_again_and_then_visited() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let mut contact = world.dialled(secs(0));
    let mut pieces = 100;
    let mut held = Vec::new();
    for _ in 0..4 {
        world.opens(contact, &UNKNOWN_ID, pieces, true);
        let opened = world.now;
        assert_eq!(world.closed(secs(60)), contact);
        held.push((world.now - opened).as_secs());
        world.ends(contact, ContactOutcome::VisitDone);
        contact = world.dialled(secs(700));
        pieces += 20;
    }
    assert_eq!(held[0], 8);
    assert_eq!(held[3], 0, "{held:?}");
}

#[test]
fn a_stalled_client_is_asked_ever_less() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let mut contact = world.dialled(secs(0));
    let mut held = Vec::new();
    for _ in 0..8 {
        world.opens(contact, &UNKNOWN_ID, 100, true);
        let opened = world.now;
        assert_eq!(world.closed(secs(2000)), contact);
        held.push((world.now - opened).as_secs());
        world.ends(contact, ContactOutcome::VisitDone);
        contact = world.dialled(secs(3));
    }
    assert_eq!(held, [8, 16, 32, 64, 128, 256, 512, 600]);
}

#[test]
fn batches_of_haves_do_not_make_a_peer_look_fast() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, b"-TR3000-abcdefghijkl", 100, true);
    let mut pieces = 100;
    // Ten pieces a second, told every ten seconds: the first at once, the rest folded a second later.
    while pieces + 200 < 980 {
        assert_eq!(world.next_within(secs(9)), None, "at {pieces} pieces");
        world.has(contact, pieces + 1);
        assert_eq!(world.next_within(secs(1)), None, "at {pieces} pieces");
        pieces += 100;
        world.has(contact, pieces);
    }
    // About 18 s from the threshold: asked when that should be crossed, not with the batch after it.
    world.next_within(secs(9));
    world.has(contact, pieces + 1);
    world.now += secs(1);
    world.has(contact, pieces + 100);
    let before = world.now;
    assert_eq!(world.closed(secs(30)), contact);
    let waited = (world.now - before).as_secs();
    assert!((4..9).contains(&waited), "{waited}");
}

#[test]
fn a_stalled_client_that_had_been_fast_is_asked_ever_less() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let mut contact = world.dialled(secs(0));
    world.opens(contact, &UNKNOWN_ID, 100, true);
    for pieces in 1..60 {
        world.now += secs(1);
        world.has(contact, 300 + pieces * 10);
        assert_eq!(world.next(), None);
    }
    let stalled = world.now;
    let mut handshakes = 0;
    while world.now < stalled + secs(3600) {
        assert_eq!(world.closed(secs(700)), contact);
        world.ends(contact, ContactOutcome::VisitDone);
        contact = world.dialled(secs(700));
        world.opens(contact, &UNKNOWN_ID, 890, true);
        handshakes += 1;
    }
    assert!(handshakes < 25, "{handshakes} handshakes in an hour of nothing");
}

#[test]
fn a_peer_that_waits_for_its_last_pieces_is_visited_often_for_a_while() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let mut visits = Vec::new();
    // As transmission 3.00 with a download limit: fast until shortly before the threshold, then nothing.
    let mut contact = world.dialled(secs(0));
    world.opens(contact, b"-TR3000-abcdefghijkl", 700, true);
    for pieces in [800, 900, 970] {
        world.now += secs(5);
        world.has(contact, pieces);
    }
    let stalled = world.now;
    while world.now < stalled + secs(3600) {
        assert_eq!(world.closed(secs(700)), contact);
        world.ends(contact, ContactOutcome::VisitDone);
        contact = world.dialled(secs(700));
        visits.push((world.now - stalled).as_secs_f64());
        world.opens(contact, b"-TR3000-abcdefghijkl", 970, true);
    }
    let gaps: Vec<f64> = visits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let first = gaps.iter().zip(&visits).filter(|&(_, &visit)| visit < 40.0);
    assert!(first.clone().count() > 5 && first.clone().all(|(&gap, _)| gap < 6.0), "{visits:?}");
    assert!(visits.len() < 60, "{} visits in an hour of nothing", visits.len());
}

#[test]
fn a_leecher_that_hangs_up_is_looked_for_at_once() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, &LIBTORRENT_ID, 100, true);
    world.now += secs(20);
    world.ends(contact, ContactOutcome::ClosedByRemote);
    let (contact, delay) = world.until_dialled();
    assert!((2.0..3.0).contains(&delay));
    world.ends(contact, ContactOutcome::Refused);
    let delay = world.until_dialled().1;
    assert!((2.0..3.0).contains(&delay), "{delay}");
}

#[test]
fn a_peer_that_opened_with_nothing_is_believed_after_a_second_handshake() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, &LIBTORRENT_ID, 0, false);
    assert_eq!(world.next_within(secs(30)), None);
    world.has(contact, 10);
    assert_eq!(world.closed(secs(0)), contact);
    world.ends(contact, ContactOutcome::VisitDone);
    let (contact, delay) = world.until_dialled();
    assert!((2.0..3.0).contains(&delay));
    world.opens(contact, &LIBTORRENT_ID, 12, true);
    world.has(contact, 500);
    assert_eq!(world.next_within(secs(60)), None, "believed and held");
}

#[test]
fn a_super_seeder_is_asked_early_near_and_after_the_threshold_and_no_more() {
    let mut world = World::new(Pacing { hold: secs(100_000), ..pacing() });
    world.meet(1, 1);
    let mut handshakes = 0;
    let mut contact = world.dialled(secs(0));
    for pass in 0..6 {
        world.opens(contact, &LIBTORRENT_ID, 0, false);
        handshakes += 1;
        let mut closed = false;
        for pieces in 1..COUNT {
            world.has(contact, pieces);
            if world.next_within(secs(1)).is_some() {
                closed = true;
                break;
            }
        }
        if !closed {
            break;
        }
        assert!(pass < 5, "asked again and again");
        world.ends(contact, ContactOutcome::VisitDone);
        contact = world.dialled(secs(3));
    }
    assert_eq!(handshakes, 4);
}

#[test]
fn an_incoming_peer_is_not_dialled_while_it_is_here() {
    let mut world = World::new(pacing());
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    world.schedule.incoming(77, SWARM, ip, &LIBTORRENT_ID, Rung::PLAIN_TCP);
    let peer = world.meet(1, 6881);
    assert!(world.schedule.attach(77, peer));
    world.opens(77, &LIBTORRENT_ID, 100, true);
    assert_eq!(world.next_within(secs(100)), None);
    world.ends(77, ContactOutcome::ClosedByRemote);
    assert!((2.0..3.0).contains(&world.until_dialled().1));
}

#[test]
fn who_came_in_and_may_tell_nothing_is_called_back() {
    // rtorrent, on a connection that it made.
    let mut world = World::new(pacing());
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    for (tells, held) in [(true, true), (false, false)] {
        let contact = 77 + u64::from(tells);
        world.schedule.incoming(contact, SWARM, ip, b"-lt0D80-abcdefghijkl", Rung::PLAIN_TCP);
        let peer = world.meet(1, 6881 + u16::from(tells));
        assert!(world.schedule.attach(contact, peer));
        world.opens(contact, b"-lt0D80-abcdefghijkl", 100, true);
        if tells {
            world.has(contact, 101);
        }
        let closed = world.next_within(secs(20));
        assert_eq!(closed.is_none(), held, "{closed:?}");
        world.ends(contact, ContactOutcome::VisitDone);
        world.schedule.block(PeerKey(u32::from(!tells)));
    }
}

#[test]
fn a_known_peer_id_that_came_in_is_not_dialled_and_an_unknown_one_waits_a_little() {
    let mut world = World::new(pacing());
    let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    world.meet(1, 6881);
    let contact = world.dialled(secs(0));
    world.opens(contact, &UNKNOWN_ID, 100, true);
    world.schedule.incoming(77, SWARM, ip, &UNKNOWN_ID, Rung::PLAIN_TCP);
    world.ends(contact, ContactOutcome::ClosedByRemote);
    assert_eq!(world.next_within(secs(300)), None, "it is here already");
    world.meet(1, 7000);
    let delay = world.until_dialled().1;
    assert!((20.0..40.0).contains(&delay), "{delay}");
}

#[test]
fn ourselves_are_never_contacted_again() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.ends(contact, ContactOutcome::SelfConnection);
    assert_eq!(world.next_within(secs(1_000_000)), None);
}

#[test]
fn at_the_limit_the_least_useful_contact_makes_place() {
    let mut world = World::new(Pacing { max_out: 2, ..pacing() });
    world.meet(1, 1);
    world.meet(2, 1);
    let (far, near) = (world.dialled(secs(0)), world.dialled(secs(0)));
    world.opens(far, &LIBTORRENT_ID, 10, true);
    world.opens(near, &LIBTORRENT_ID, 970, true);
    world.meet(3, 1);
    assert_eq!(world.next_within(secs(1)), Some(Action::Close { contact: far, why: Why::Limit }));
    assert_eq!(world.next_within(secs(1)), None);
    world.ends(far, ContactOutcome::OurLimit);
    assert!(matches!(world.next_within(secs(1)), Some(Action::Dial { attempt: 1, .. })));
}

#[test]
fn a_known_peer_takes_at_most_a_hundred_bytes() {
    // Right behind a step of any list's growth, too.
    for peers in [100_000_u32, 114_689, 230_000] {
        let mut world = World::new(pacing());
        let before = world.registry.memory_bytes() + world.schedule.memory_bytes();
        for number in 0..peers {
            let ip = Ipv4Addr::from_bits(0x1000_0000 + number * 7);
            let Sighted::New(peer) = world.registry.sight(SWARM, (ip, 6881).into()) else {
                panic!("met before")
            };
            world.schedule.add(world.now, peer, Origin::Tracker);
        }
        let each = |world: &World| {
            (world.registry.memory_bytes() + world.schedule.memory_bytes() - before) as f64 / f64::from(peers)
        };
        assert!(each(&world) <= 100.0, "{} bytes each of {peers} that wait", each(&world));
        world.schedule.queue_due(world.now, &world.registry);
        assert_eq!(world.schedule.due(), u64::from(peers));
        assert!(each(&world) <= 100.0, "{} bytes each of {peers} that are due", each(&world));
    }
}

#[test]
fn a_source_cannot_make_us_flood_a_host() {
    let limit = Limit { open: 3, per_minute: 60 };
    let mut world = World::new(Pacing { ip: limit, ..pacing() });
    // Every swarm, so that the rest between visits in a swarm does not hide the limit.
    for port in 1..=200_u16 {
        for swarm in [SwarmId(0), SwarmId(1)] {
            let sighted = world.registry.sight(swarm, (Ipv4Addr::new(10, 0, 0, 1), port).into());
            let Sighted::New(peer) = sighted else { panic!("met before") };
            world.schedule.add(world.now, peer, Origin::Tracker);
        }
    }
    let (mut open, mut begun) = (VecDeque::new(), 0);
    let until = world.start + secs(60);
    while world.now < until {
        if let Some(Action::Dial { contact, .. }) = world.next_within(secs(1)) {
            open.push_back(contact);
            begun += 1;
            assert!(open.len() <= 3, "{} at once", open.len());
        }
        if open.len() == 3 {
            world.now += secs(1);
            let contact = open.pop_front().expect("open");
            world.ends(contact, ContactOutcome::ConnectTimedOut);
        }
    }
    assert!((20..=75).contains(&begun), "{begun} in a minute");
    // Another host is served meanwhile.
    world.meet(2, 1);
    assert!(matches!(world.next_within(secs(1)), Some(Action::Dial { .. })));
}

#[test]
fn in_the_last_seconds_a_visit_ends_with_the_claim() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    // Ten pieces a second; 980 are the threshold.
    for (pieces, patience) in [(700, 100), (800, 100)] {
        let contact = world.dialled(secs(patience));
        world.schedule.claimed(world.now, contact, Some(pieces), Some(COUNT));
        assert_eq!(world.next(), None, "no hurry yet");
        world.opens(contact, &RQBIT_ID, pieces, true);
        assert_eq!(world.closed(secs(0)), contact);
        world.ends(contact, ContactOutcome::VisitDone);
        world.now += secs(8);
    }
    let contact = world.dialled(secs(100));
    world.schedule.handshake(contact, &RQBIT_ID);
    world.now += secs(6);
    world.schedule.claimed(world.now, contact, Some(960), Some(COUNT));
    assert_eq!(world.closed(secs(0)), contact);
    world.schedule.observed(world.now, contact, Seen { settled: false, ..seen(960, true, true) });
    world.ends(contact, ContactOutcome::VisitDone);
    let (contact, delay) = world.until_dialled();
    assert!((2.0..2.5).contains(&delay), "{delay}");
    world.schedule.handshake(contact, &RQBIT_ID);
    world.schedule.claimed(world.now, contact, Some(COUNT), Some(COUNT));
    assert_eq!(world.next_within(secs(1)), None, "what is past the threshold is looked at whole");
}

#[test]
fn under_a_small_budget_who_should_have_crossed_comes_before_the_unknown() {
    let mut world = World::new(Pacing { per_second: 1, ..pacing() });
    world.meet(1, 1);
    for pieces in [700, 850] {
        let contact = world.dialled(secs(100));
        world.opens(contact, &RQBIT_ID, pieces, true);
        world.closed(secs(0));
        world.ends(contact, ContactOutcome::VisitDone);
        world.now += secs(10);
    }
    world.now += secs(20);
    for host in 2..100 {
        world.meet(host, 1);
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        let Some(Action::Dial { contact, attempt, .. }) = world.next_within(secs(2)) else {
            panic!("no contact")
        };
        order.push(attempt);
        world.ends(contact, ContactOutcome::Refused);
    }
    assert_eq!(order[..3], [3, 1, 1]);
}

#[test]
fn a_peer_that_waits_for_a_place_is_worth_more_once_it_should_have_crossed() {
    let mut world = World::new(Pacing { per_second: 1, ..pacing() });
    world.meet(1, 1);
    for pieces in [500, 700] {
        let contact = world.dialled(secs(100));
        world.opens(contact, &RQBIT_ID, pieces, true);
        world.closed(secs(0));
        world.ends(contact, ContactOutcome::VisitDone);
        world.now += secs(8);
    }
    for host in 2..=250 {
        world.meet(host, 1);
    }
    // Due at half of the way, it gives way to the unknown; past the threshold, it does not.
    let mut at = None;
    for _ in 0..200 {
        let Some(Action::Dial { contact, attempt, .. }) = world.next_within(secs(2)) else { continue };
        if attempt == 3 {
            at = Some(world.now - world.start);
            break;
        }
        world.ends(contact, ContactOutcome::Refused);
    }
    let at = at.expect("visited").as_secs();
    assert!((25..60).contains(&at), "{at}");
}

#[test]
fn a_program_no_table_knows_is_visited_once_it_kept_quiet_and_held_once_it_told() {
    for tells in [false, true] {
        let mut world = World::new(pacing());
        for host in 1..=3 {
            world.meet(host, 1);
            let contact = world.dialled(secs(0));
            world.opens(contact, &UNKNOWN_ID, 100, true);
            if tells {
                for pieces in 101..110 {
                    world.now += secs(1);
                    world.has(contact, pieces);
                }
            } else {
                assert_eq!(world.closed(secs(60)), contact, "tried");
            }
            world.ends(contact, ContactOutcome::VisitDone);
            let contact = world.dialled(secs(600));
            world.opens(contact, &UNKNOWN_ID, 150, true);
            world.ends(contact, ContactOutcome::Refused);
            world.schedule.block(PeerKey(u32::from(host) - 1));
        }
        world.meet(9, 1);
        let contact = world.dialled(secs(600));
        world.opens(contact, &UNKNOWN_ID, 100, true);
        let closed = world.next_within(secs(60));
        assert_eq!(
            closed.is_some(),
            !tells,
            "{closed:?} though it {}",
            if tells { "tells" } else { "does not" }
        );
    }
}

#[test]
fn a_client_that_takes_second_connections_is_not_waited_for() {
    for (id, waits) in [(&RQBIT_ID, false), (&LIBTORRENT_ID, true)] {
        let mut world = World::new(pacing());
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        world.schedule.incoming(77, SWARM, ip, id, Rung::PLAIN_TCP);
        world.schedule.handshake(77, id);
        world.meet(1, 6881);
        assert_eq!(world.next_within(secs(5)).is_none(), waits);
    }
}

#[test]
fn idle_limits_are_learnt_from_leechers_that_hang_up() {
    let mut world = World::new(pacing());
    world.meet(1, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, &UNKNOWN_ID, 100, true);
    assert_eq!(world.schedule.hung_up(contact, secs(20), secs(20)), None);
    let learnt = world.schedule.hung_up(contact, secs(20), secs(20));
    assert_eq!(learnt, Some((Program::of(&UNKNOWN_ID), secs(16))));
    // Who is complete may hang up for that.
    world.meet(2, 1);
    let contact = world.dialled(secs(0));
    world.opens(contact, b"-YY0001-abcdefghijkl", COUNT, true);
    for _ in 0..3 {
        assert_eq!(world.schedule.hung_up(contact, secs(20), secs(20)), None);
    }
}

/// What a simulated peer answers to a contact.
#[derive(Clone, Debug)]
struct Habits {
    host: u8,
    port: u16,
    reachable: bool,
    stays_s: u64,
    opens_with: u32,
    claims: bool,
    per_second: u32,
    id: u8,
}

fn habits() -> impl Strategy<Value = Habits> {
    (0..6_u8, 1..4_u16, any::<bool>(), 0..60_u64, 0..=COUNT, any::<bool>(), 0..50_u32, 0..3_u8).prop_map(
        |(host, port, reachable, stays_s, opens_with, claims, per_second, id)| Habits {
            host,
            port,
            reachable,
            stays_s,
            opens_with,
            claims,
            per_second,
            id,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn budgets_spacing_and_one_contact_a_peer_hold_whatever_peers_do(
        peers in prop::collection::vec(habits(), 1..24), max_out in 1..6_usize, per_second in 1..20_u32,
    ) {
        let mut world = World::new(Pacing { max_out, per_second, hold: secs(60), revisit: secs(20), rungs: Rungs::new(true, true), ..pacing() });
        let mut keys = HashMap::new();
        for habits in &peers {
            let address = (Ipv4Addr::new(10, 0, 0, habits.host), habits.port).into();
            if let Sighted::New(key) = world.registry.sight(SWARM, address) {
                keys.insert(key, habits.clone());
                world.schedule.add(world.now, key, Origin::Tracker);
            }
        }
        let mut open: HashMap<u64, (PeerKey, Instant)> = HashMap::new();
        let mut visits: HashMap<u8, Instant> = HashMap::new();
        let mut begun = Vec::new();
        while world.now < world.start + secs(300) {
            while let Some(action) = world.next() {
                match action {
                    Action::Dial { contact, peer, .. } => {
                        let busy: HashSet<PeerKey> = open.values().map(|&(peer, _)| peer).collect();
                        prop_assert!(!busy.contains(&peer), "two contacts at once to a peer");
                        prop_assert!(open.len() < max_out, "more contacts than allowed");
                        let host = keys[&peer].host;
                        if let Some(&last) = visits.get(&host) {
                            prop_assert!(world.now - last >= SPACING, "visited again after {:?}", world.now - last);
                        }
                        visits.insert(host, world.now);
                        begun.push(world.now);
                        open.insert(contact, (peer, world.now));
                        if keys[&peer].reachable {
                            let id = [LIBTORRENT_ID, RQBIT_ID, UNKNOWN_ID][usize::from(keys[&peer].id)];
                            world.schedule.handshake(contact, &id);
                        }
                    }
                    Action::Close { contact, .. } => {
                        let (peer, _) = open.remove(&contact).expect("open");
                        visits.insert(keys[&peer].host, world.now);
                        world.ends(contact, ContactOutcome::VisitDone);
                    }
                }
            }
            world.now += Duration::from_millis(100);
            for (contact, (peer, since)) in open.clone() {
                let (habits, age) = (&keys[&peer], world.now - since);
                let gone = !habits.reachable || age >= secs(habits.stays_s);
                if gone {
                    open.remove(&contact);
                    visits.insert(habits.host, world.now);
                    let outcome = if habits.reachable { ContactOutcome::ClosedByRemote } else { ContactOutcome::Refused };
                    world.ends(contact, outcome);
                } else if age == secs(2) {
                    world.schedule.observed(world.now, contact, seen(habits.opens_with, true, habits.claims));
                    world.schedule.settled(world.now, contact);
                } else if age > secs(2) && age.subsec_millis() == 0 {
                    let gained = u32::try_from(age.as_secs()).unwrap() * habits.per_second;
                    world.has(contact, (habits.opens_with + gained).min(COUNT));
                }
            }
        }
        for (at, later) in begun.iter().zip(begun.iter().skip(per_second as usize + 2)) {
            prop_assert!(*later - *at > Duration::from_millis(800), "more contacts a second than allowed");
        }
        let known = world.schedule.due() + world.schedule.waiting() + open.len() as u64;
        prop_assert_eq!(known, keys.len() as u64, "a peer was lost");
    }
}

#[test]
fn a_peer_said_to_be_a_seeder_is_visited_behind_the_others() {
    let mut world = World::new(Pacing { per_second: 1, ..pacing() });
    let mut hosts = Vec::new();
    for host in 1..=3 {
        let ip = Ipv4Addr::new(10, 0, 0, host);
        let Sighted::New(peer) = world.registry.sight(SWARM, (ip, 1).into()) else { panic!("met before") };
        let hints = if host == 1 { Hints::SEED } else { Hints::default() };
        world.schedule.hinted(peer, hints.with(Hints::UTP));
        assert_eq!(world.schedule.hints(peer).has(Hints::SEED), host == 1);
        world.schedule.add(world.now, peer, Origin::Tracker);
    }
    for _ in 0..3 {
        let Some(Action::Dial { peer, .. }) = world.next_within(secs(10)) else { panic!("three are due") };
        hosts.push(peer.index());
    }
    assert_eq!(hosts, [1, 2, 0], "hearsay delays, and excludes nobody");
}

#[test]
fn who_is_introduced_is_dialled_over_utp_at_once_or_not_at_all() {
    let rungs = |utp| Pacing { rungs: Rungs::new(false, utp), ..pacing() };
    let mut world = World::new(rungs(true));
    let peer = world.meet(1, 1);
    let contact = world.dialled(secs(0));
    let introduced = |world: &mut World, peer| world.schedule.introduced(world.now, peer, &world.registry);
    assert_eq!(introduced(&mut world, peer), None, "it is being dialled");
    world.ends(contact, ContactOutcome::Unreachable);
    world.now += secs(1);
    let dial = introduced(&mut world, peer);
    assert_eq!(dial, Some(Action::Dial { contact: 2, peer, attempt: 2, rung: Rung::PLAIN_UTP }));
    assert_eq!(introduced(&mut world, peer), None);
    assert_eq!((world.schedule.waiting(), world.schedule.due()), (0, 0));
    let mut world = World::new(rungs(false));
    let peer = world.meet(1, 1);
    assert_eq!(introduced(&mut world, peer), None, "uTP is not spoken");
}
