//! The ladder against peers of each kind, and against whole populations of them.

use ContactOutcome::{
    ConnectTimedOut, HandshakeClosed, HandshakeMalformed, HandshakeTimedOut, Refused, ShutdownEarly,
    VisitDone,
};
use proptest::prelude::*;

use super::*;

/// A ladder of these rungs, and one peer.
struct Peer {
    ladder: Ladder,
    ways: Ways,
    hints: Hints,
    failed_rounds: u8,
}

impl Peer {
    fn new(rungs: Rungs) -> Self {
        Self {
            ladder: Ladder::new(rungs, 1),
            ways: Ways::default(),
            hints: Hints::default(),
            failed_rounds: 0,
        }
    }

    /// One round with a peer that answers each rung like this; the rungs that were tried.
    fn round(&mut self, answer: impl Fn(Rung) -> ContactOutcome) -> Vec<Rung> {
        self.round_of(|rung| End { outcome: answer(rung), refused: false })
    }

    fn round_of(&mut self, answer: impl Fn(Rung) -> End) -> Vec<Rung> {
        let mut tried = Vec::new();
        loop {
            let rung = self.ladder.rung(self.ways, self.hints);
            assert!(!tried.contains(&rung), "{rung:?} twice in a round");
            tried.push(rung);
            let end = answer(rung);
            if self.ladder.ended(&mut self.ways, self.hints, rung, end, self.failed_rounds).is_some() {
                continue;
            }
            self.failed_rounds = if end.outcome.has_handshake() { 0 } else { self.failed_rounds + 1 };
            return tried;
        }
    }
}

fn mse_only(rung: Rung) -> ContactOutcome {
    match rung {
        Rung::MSE_TCP => VisitDone,
        Rung::PLAIN_TCP => HandshakeClosed,
        _ => ConnectTimedOut,
    }
}

#[test]
fn what_worked_is_tried_first() {
    let mut peer = Peer::new(Rungs::new(true, true));
    assert_eq!(peer.round(mse_only), [Rung::PLAIN_TCP, Rung::MSE_TCP]);
    assert_eq!(peer.round(mse_only), [Rung::MSE_TCP]);
    // It went away: no other rung brings it back, until it is a stranger again.
    assert_eq!(peer.round(|_| Refused), [Rung::MSE_TCP]);
    assert_eq!(peer.round(|_| Refused), [Rung::MSE_TCP]);
    assert_eq!(peer.round(|_| Refused)[0], Rung::MSE_TCP);
    assert_eq!(peer.round(|_| Refused)[0], Rung::PLAIN_TCP);
}

#[test]
fn a_peer_on_udp_alone_is_found_after_its_tcp_port_was_refused() {
    let mut peer = Peer::new(Rungs::new(true, true));
    let utp = |rung: Rung| if rung.transport == Transport::Utp { VisitDone } else { Refused };
    assert_eq!(peer.round(utp), [Rung::PLAIN_TCP, Rung::PLAIN_UTP]);
    assert_eq!(peer.round(utp), [Rung::PLAIN_UTP]);
    let mut peer = Peer::new(Rungs::new(true, true));
    let utp_mse = |rung: Rung| match rung {
        Rung::MSE_UTP => VisitDone,
        Rung::PLAIN_UTP => HandshakeClosed,
        _ => ConnectTimedOut,
    };
    assert_eq!(peer.round(utp_mse), [Rung::PLAIN_TCP, Rung::PLAIN_UTP, Rung::MSE_UTP]);
}

#[test]
fn a_dead_address_costs_two_contacts_once_and_then_one() {
    let mut peer = Peer::new(Rungs::new(true, true));
    let costs: Vec<usize> = (0..8).map(|_| peer.round(|_| ConnectTimedOut).len()).collect();
    assert_eq!(costs, [2, 1, 1, 1, 2, 1, 1, 1]);
}

#[test]
fn what_is_switched_off_is_not_tried() {
    for (mse, utp) in [(false, false), (true, false), (false, true)] {
        let mut peer = Peer::new(Rungs::new(mse, utp));
        peer.hints = Hints(0xff);
        peer.ways.came_by(Rung::MSE_UTP);
        for outcome in [Refused, HandshakeClosed, HandshakeTimedOut, ConnectTimedOut, ShutdownEarly] {
            for rung in peer.round(|_| outcome) {
                assert!(mse || rung.encryption == Encryption::Plain);
                assert!(utp || rung.transport == Transport::Tcp);
            }
        }
    }
}

#[test]
fn pex_and_the_way_a_peer_came_decide_about_the_first_rung() {
    let mut ladder = Ladder::new(Rungs::new(true, true), 1);
    assert_eq!(ladder.rung(Ways::default(), Hints::ENCRYPTION), Rung::MSE_TCP);
    let mut came = Ways::default();
    came.came_by(Rung::MSE_UTP);
    assert_eq!(ladder.rung(came, Hints::default()), Rung::MSE_UTP);
    came.came_by(Rung::PLAIN_TCP);
    assert_eq!(ladder.rung(came, Hints::default()), Rung::MSE_UTP, "the first way is as good");
}

#[test]
fn a_client_without_mse_is_not_bothered_with_it() {
    let mut peer = Peer::new(Rungs::new(true, true));
    peer.ways.client(b"-rQ9100-abcdefghijkl");
    assert!(!peer.round(|_| HandshakeClosed).iter().any(|rung| rung.encryption == Encryption::Mse));
}

/// Contacts per peer and share of peers reached, over a population that answers like this.
fn population(rungs: Rungs, peers: u32, answer: impl Fn(u32, Rung) -> ContactOutcome) -> (f64, f64, Ladder) {
    let mut one = Peer::new(rungs);
    let (mut contacts, mut reached) = (0, 0);
    for peer in 0..peers {
        (one.ways, one.failed_rounds) = (Ways::default(), 0);
        contacts += one.round(|rung| answer(peer, rung)).len();
        reached += u32::from(one.failed_rounds == 0);
    }
    (contacts as f64 / f64::from(peers), f64::from(reached) / f64::from(peers), one.ladder)
}

#[test]
fn a_rung_that_never_helps_is_given_up() {
    let (contacts, ..) = population(Rungs::new(true, true), 5000, |_, _| ConnectTimedOut);
    assert!(contacts < 1.1, "{contacts} contacts for each dead address");
}

#[test]
fn a_rung_that_helps_some_is_kept() {
    let utp_only = |peer: u32, rung: Rung| match rung.transport {
        Transport::Utp if peer.is_multiple_of(20) => VisitDone,
        _ => ConnectTimedOut,
    };
    let (contacts, reached, _) = population(Rungs::new(true, true), 5000, utp_only);
    assert!(reached > 0.045, "{reached} of all, where 0.05 can be");
    assert!(contacts < 2.1, "{contacts}");
}

#[test]
fn where_most_obfuscate_it_is_tried_first() {
    let (contacts, reached, mut ladder) = population(Rungs::new(true, false), 3000, |_, rung| mse_only(rung));
    assert!(reached > 0.999);
    assert!(contacts < 1.2, "{contacts}");
    let first = (0..100).filter(|_| ladder.rung(Ways::default(), Hints::default()) == Rung::MSE_TCP).count();
    assert!(first > 85, "{first}");
}

#[test]
fn only_strangers_teach() {
    let mut peer = Peer::new(Rungs::new(true, false));
    for _ in 0..3000 {
        assert_eq!(
            peer.round(|rung| if rung == Rung::PLAIN_TCP { VisitDone } else { HandshakeClosed }).len(),
            1
        );
    }
    for _ in 0..40 {
        peer.ways = Ways::default();
        peer.round(mse_only);
    }
    let first = (0..100).filter(|_| peer.ladder.rung(Ways::default(), Hints::default()) == Rung::MSE_TCP);
    assert!(first.count() > 85, "a regular's visits outweigh forty strangers");
}

#[test]
fn where_nobody_obfuscates_it_is_hardly_tried() {
    let plain_only = |_: u32, rung: Rung| if rung == Rung::PLAIN_TCP { VisitDone } else { HandshakeClosed };
    let (contacts, reached, _) = population(Rungs::new(true, false), 3000, plain_only);
    assert!(reached > 0.999);
    assert!(contacts < 1.05, "{contacts}");
}

proptest! {
    #[test]
    fn every_round_ends_and_a_peer_with_a_way_in_is_found(
        way in 0..4_usize,
        other_transport in prop_oneof![Just(Refused), Just(ConnectTimedOut)],
        other_encryption in prop_oneof![Just(HandshakeClosed), Just(HandshakeTimedOut), Just(HandshakeMalformed)],
        flags: u8,
    ) {
        let way = Rung::ALL[way];
        let mut peer = Peer::new(Rungs::new(true, true));
        peer.hints = Hints(flags);
        let answer = |rung: Rung| match rung {
            _ if rung == way => VisitDone,
            _ if rung.transport == way.transport => other_encryption,
            _ => other_transport,
        };
        let tried = peer.round(answer);
        prop_assert_eq!(tried.last(), Some(&way));
        prop_assert_eq!(peer.round(answer), [way]);
    }
}

/// Takes obfuscated connections alone, and of these only such whose payload is as it is.
fn plaintext_only(rung: Rung) -> End {
    let refused = rung == Rung::MSE_TCP;
    let outcome = match rung {
        Rung::PLAIN_TCP => HandshakeClosed,
        _ if refused => HandshakeClosed,
        _ if rung == Rung::MSE_TCP.offering(Offer::Plaintext) => VisitDone,
        _ => ConnectTimedOut,
    };
    End { outcome, refused }
}

#[test]
fn who_refuses_rc4_is_offered_the_payload_as_it_is_and_remembered() {
    let mut peer = Peer::new(Rungs::new(true, true));
    let last = Rung::MSE_TCP.offering(Offer::Plaintext);
    assert_eq!(peer.round_of(plaintext_only), [Rung::PLAIN_TCP, Rung::MSE_TCP, last]);
    assert_eq!(peer.round_of(plaintext_only), [last]);
    assert_eq!(peer.round(|_| Refused), [last], "away");
    assert_eq!(peer.round(|_| Refused), [last]);
    peer.round(|_| Refused);
    assert_eq!(peer.round_of(plaintext_only), [Rung::PLAIN_TCP, Rung::MSE_TCP, last], "a stranger again");
    // Whoever takes RC4 is never offered anything else.
    let mut peer = Peer::new(Rungs::new(true, true));
    assert_eq!(peer.round(mse_only), [Rung::PLAIN_TCP, Rung::MSE_TCP]);
    assert_eq!(peer.round(mse_only), [Rung::MSE_TCP]);
}

#[test]
fn where_refusals_have_other_causes_no_second_offer_is_wasted() {
    // As of clients that run on, and have left the swarm.
    let turned_away = |rung: Rung| End {
        outcome: if rung.transport == Transport::Tcp { HandshakeClosed } else { ConnectTimedOut },
        refused: rung.encryption == Encryption::Mse,
    };
    let mut ladder = Ladder::new(Rungs::new(true, true), 1);
    let (mut early, mut late) = (0, 0);
    for number in 0..1000 {
        let mut peer = Peer { ladder, ..Peer::new(Rungs::new(true, true)) };
        let tried = peer.round_of(turned_away);
        let offered = tried.iter().filter(|rung| rung.offer == Offer::Plaintext).count();
        *if number < 100 { &mut early } else { &mut late } += offered;
        ladder = peer.ladder;
    }
    assert!(early > 20 && late < 60, "{early} second offers to a hundred, then {late} to nine hundred");
}
