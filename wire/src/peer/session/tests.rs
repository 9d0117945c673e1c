//! The observer against scripted peers, with a clock of its own.

use std::{collections::BTreeMap, net::SocketAddr};

use proptest::prelude::*;
use sha1::{Digest, Sha1};

use super::{
    extensions::{OUR_UT_HOLEPUNCH, OUR_UT_METADATA, OUR_UT_PEX},
    *,
};
use crate::{
    InfoHash, PeerId,
    peer::{
        extension::{ExtendedHandshake, HANDSHAKE_ID, UT_HOLEPUNCH, UtMetadata},
        holepunch::{Refusal, UtHolepunch},
        pex::UtPex,
    },
};

const FAST: u64 = Reserved::FAST | Reserved::EXTENSION;
const PIECES: u32 = 20;
const OURS: PeerId = PeerId(*b"-SW0100-abcdefghijkl");
const THEIRS: PeerId = PeerId(*b"-XX0001-abcdefghijkl");
const SWARM: InfoHash = InfoHash([7; 20]);

fn local(piece_count: Option<u32>) -> Local {
    Local {
        info_hash: SWARM,
        peer_id: OURS,
        listen_port: Some(6881),
        client: "observer",
        piece_count,
        pex: true,
        introductions: true,
    }
}

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An observation: ms since the start, kind, settled, pieces, piece.
type Told = (u128, Kind, bool, Option<u32>, Option<u32>);

/// A session and the time.
struct Talk {
    session: Session,
    start: Instant,
    now: Instant,
    /// Everything the session sent.
    sent: Vec<u8>,
}

impl Talk {
    fn outgoing(piece_count: Option<u32>) -> Self {
        Self::with(Settings::default(), piece_count)
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
    fn with(settings: Settings, piece_count: Option<u32>) -> Self {
        let now = Instant::now();
        Self {
            session: Session::outgoing(now, local(piece_count), settings),
            start: now,
            now,
            sent: Vec::new(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
    fn incoming() -> Self {
        let now = Instant::now();
        Self { session: Session::incoming(now, Settings::default()), start: now, now, sent: Vec::new() }
    }

    /// After the handshake with a peer of these reserved bits.
    fn greeted(reserved: u64, piece_count: Option<u32>) -> Self {
        let mut talk = Self::outgoing(piece_count);
        talk.greet(reserved);
        talk
    }

    fn greet(&mut self, reserved: u64) {
        self.handshake(reserved, SWARM, THEIRS);
        assert!(matches!(self.events().as_slice(), [Event::Handshake(_)]));
    }

    fn handshake(&mut self, reserved: u64, info_hash: InfoHash, peer_id: PeerId) {
        let handshake = Handshake { reserved: Reserved(reserved), info_hash, peer_id };
        self.session.handle_bytes(self.now, &handshake.encode());
    }

    fn says(&mut self, message: &Message) {
        self.session.handle_bytes(self.now, &bytes_of(message));
    }

    /// Lets time pass, with every timer on the way.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.session.next_timeout().filter(|&at| at <= until) {
            assert!(at >= self.now || at + ms(1) > self.now, "a timer in the past");
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn drain(&mut self) {
        self.sent.extend_from_slice(self.session.output());
        let len = self.session.output().len();
        self.session.sent(len);
    }

    fn events(&mut self) -> Vec<Event> {
        self.drain();
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    fn observations(&mut self) -> Vec<Told> {
        let start = self.start;
        let told = self.events().into_iter().filter_map(|event| match event {
            Event::Observation(seen) => {
                let at = seen.at.duration_since(start).as_millis();
                Some((at, seen.kind, seen.settled, seen.pieces, seen.piece))
            }
            _ => None,
        });
        told.collect()
    }

    fn end(&mut self) -> Option<End> {
        self.events().into_iter().find_map(|event| match event {
            Event::Ended(end) => Some(end),
            _ => None,
        })
    }
}

fn bitfield(pieces: impl IntoIterator<Item = u32>) -> Message {
    let mut bits = crate::peer::bitfield::Bitfield::empty(PIECES);
    for piece in pieces {
        bits.set(piece).unwrap();
    }
    Message::Bitfield(bits.to_bytes())
}

fn extended(metadata_size: Option<u32>) -> Message {
    let handshake = ExtendedHandshake {
        m: BTreeMap::from([("ut_metadata".to_owned(), 9)]),
        v: Some("peer 1".into()),
        p: Some(4711),
        metadata_size,
        upload_only: Some(true),
        ..ExtendedHandshake::default()
    };
    Message::Extended { id: HANDSHAKE_ID, payload: handshake.encode() }
}

#[test]
fn we_greet_first_and_say_who_we_are_but_never_upload_only() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    let ours = Handshake::decode(&talk.sent).unwrap().unwrap();
    assert_eq!((ours.info_hash, ours.peer_id), (SWARM, OURS));
    assert!(ours.reserved.fast() && ours.reserved.extension() && ours.reserved.dht());
    talk.says(&extended(None));
    let mut rest = &talk.sent[handshake::LEN..];
    let Ok(Some(Message::Extended { id, payload })) = Decoder::default().next(&mut rest) else {
        panic!("no extended handshake");
    };
    assert_eq!(id, HANDSHAKE_ID);
    let told = ExtendedHandshake::decode(&payload).unwrap();
    assert_eq!((told.v.as_deref(), told.p, told.upload_only), (Some("observer"), Some(6881), None));
    assert!(rest.is_empty());
}

#[test]
fn a_peer_without_extensions_hears_nothing_but_the_handshake() {
    let talk = Talk::greeted(0, Some(PIECES));
    assert_eq!(talk.sent.len(), handshake::LEN);
}

#[test]
fn the_opening_burst_is_one_observation_at_the_settle_time() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.wait(ms(300));
    talk.says(&bitfield([0, 1]));
    talk.wait(ms(1500));
    talk.says(&Message::Have(5));
    talk.says(&Message::Have(5));
    assert_eq!(talk.observations(), []);
    talk.wait(ms(1000));
    assert_eq!(talk.observations(), [(1800, Kind::Bitfield, true, Some(3), None)]);
    assert_eq!(talk.session.summary().pieces_first, Some(3));
}

#[test]
fn haves_before_the_bitfield_of_the_burst_count_with_it() {
    for piece_count in [Some(PIECES), None] {
        let mut talk = Talk::greeted(0, piece_count);
        talk.says(&Message::Have(7));
        talk.says(&bitfield([0, 1]));
        talk.wait(ms(2000));
        assert_eq!(talk.observations(), [(0, Kind::Bitfield, true, Some(3), None)], "{piece_count:?}");
    }
}

#[test]
fn haves_behind_an_empty_bitfield_are_no_claim_of_the_handshake() {
    let mut talk = Talk::greeted(0, Some(PIECES));
    talk.says(&bitfield([]));
    talk.says(&Message::Have(3));
    talk.wait(ms(2100));
    assert_eq!(talk.observations(), [(0, Kind::HaveNone, true, Some(1), None)]);
}

#[test]
fn a_contact_that_ends_in_the_burst_tells_at_least() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&bitfield([0, 1]));
    talk.wait(ms(500));
    talk.session.handle_closed(talk.now, Closer::Us);
    assert_eq!(talk.observations(), [(0, Kind::Bitfield, false, Some(2), None)]);
}

#[test]
fn a_contact_that_ends_without_a_claim_tells_nothing() {
    let mut talk = Talk::greeted(0, Some(PIECES));
    talk.says(&Message::Unchoke);
    talk.wait(ms(1900));
    talk.session.handle_closed(talk.now, Closer::Us);
    assert_eq!(talk.observations(), []);
    assert_eq!(talk.session.summary().pieces_last, None);
}

#[test]
fn silence_is_zero_only_without_fast() {
    let mut without = Talk::greeted(Reserved::EXTENSION, Some(PIECES));
    without.says(&Message::Unchoke);
    without.wait(ms(2500));
    without.session.handle_closed(without.now, Closer::Us);
    assert_eq!(without.observations(), [(2000, Kind::Silence, true, Some(0), None)]);
    let mut with = Talk::greeted(FAST, Some(PIECES));
    with.wait(ms(20_000));
    assert_eq!(with.observations(), []);
    assert_eq!(with.session.summary().pieces_first, None);
}

#[test]
fn silence_that_the_peer_soon_ends_is_unknown() {
    for closed_after in [2100, 9900] {
        let mut talk = Talk::greeted(Reserved::EXTENSION, Some(PIECES));
        talk.says(&Message::Unchoke);
        talk.wait(ms(closed_after));
        talk.session.handle_closed(talk.now, Closer::Peer);
        assert_eq!(talk.observations(), []);
        assert_eq!(talk.session.summary().pieces_first, None);
    }
    let mut patient = Talk::greeted(Reserved::EXTENSION, Some(PIECES));
    patient.says(&Message::Unchoke);
    patient.wait(ms(10_000));
    patient.session.handle_closed(patient.now, Closer::Peer);
    assert_eq!(patient.observations(), [(2000, Kind::Silence, true, Some(0), None)]);
}

#[test]
fn who_has_not_said_a_word_is_silent_only_after_five_settle_times() {
    for closed_after in [2500, 9900] {
        let mut talk = Talk::greeted(0, Some(PIECES));
        talk.wait(ms(closed_after));
        assert!(talk.events().is_empty(), "not settled");
        talk.session.handle_closed(talk.now, Closer::Us);
        assert_eq!(talk.observations(), [], "a seeder too busy to speak has not nothing");
    }
    let mut talk = Talk::greeted(0, Some(PIECES));
    talk.wait(ms(10_100));
    assert!(matches!(talk.events().as_slice(), [Event::Settled]));
    talk.session.handle_closed(talk.now, Closer::Us);
    assert_eq!(talk.observations(), [(10_000, Kind::Silence, true, Some(0), None)]);
}

#[test]
fn the_haves_of_a_lazy_bitfield_follow_the_bitfield_and_not_the_handshake() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.wait(ms(1500));
    talk.says(&bitfield(0..18));
    talk.wait(ms(1500));
    talk.says(&Message::Have(18));
    talk.says(&Message::Have(19));
    talk.wait(ms(2000));
    assert_eq!(talk.observations(), [(3000, Kind::Bitfield, true, Some(PIECES), None)]);
}

#[test]
fn a_claim_is_foretold_before_the_burst_is_over() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&bitfield(0..18));
    let expected = [(Some(18), Some(PIECES))];
    let foretold = talk.events().into_iter().filter_map(|event| match event {
        Event::Claimed { pieces, piece_count } => Some((pieces, piece_count)),
        _ => None,
    });
    assert_eq!(foretold.collect::<Vec<_>>(), expected);
}

#[test]
fn silence_begins_when_the_peer_stops_speaking_of_other_things() {
    let mut talk = Talk::greeted(Reserved::EXTENSION, Some(PIECES));
    talk.wait(ms(1900));
    talk.says(&extended(None));
    talk.wait(ms(200));
    assert_eq!(talk.observations(), []);
    talk.says(&bitfield([1]));
    talk.wait(ms(2000));
    assert_eq!(talk.observations(), [(2100, Kind::Bitfield, true, Some(1), None)]);
}

#[test]
fn a_bitfield_that_drips_in_is_not_taken_for_silence() {
    let mut talk = Talk::greeted(0, Some(PIECES));
    for byte in bytes_of(&bitfield(0..PIECES)) {
        talk.wait(ms(1500));
        talk.session.handle_bytes(talk.now, &[byte]);
    }
    // Ten settle times are more than are waited for: what it has is unknown until the claim is whole.
    assert_eq!(talk.observations(), [(12_000, Kind::Bitfield, true, Some(PIECES), None)]);
}

#[test]
fn every_opening_claim_has_its_kind() {
    let cases = [
        (Message::HaveAll, Kind::HaveAll, Some(PIECES)),
        (Message::HaveNone, Kind::HaveNone, Some(0)),
        (bitfield([]), Kind::Bitfield, Some(0)),
    ];
    for (message, kind, pieces) in cases {
        let mut talk = Talk::greeted(FAST, Some(PIECES));
        talk.says(&message);
        talk.wait(ms(2000));
        assert_eq!(talk.observations(), [(0, kind, true, pieces, None)]);
    }
    let mut haves = Talk::greeted(0, Some(PIECES));
    haves.says(&Message::Have(1));
    haves.wait(ms(2000));
    assert_eq!(haves.observations(), [(0, Kind::Have, true, Some(1), None)]);
    // With Fast something must be said about the rest: HAVEs alone are a lower bound.
    let mut fast = Talk::greeted(FAST, Some(PIECES));
    fast.says(&Message::Have(1));
    fast.wait(ms(2000));
    assert_eq!(fast.observations(), [(0, Kind::Have, false, Some(1), None)]);
}

#[test]
fn later_haves_are_folded_to_one_observation_per_resolution() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&Message::HaveNone);
    talk.wait(ms(3000));
    talk.observations();
    for piece in 0..6 {
        talk.says(&Message::Have(piece));
        talk.wait(ms(400));
    }
    // Told at 3, 4 and 5 s, each with the time of its last HAVE.
    let expected = [
        (3000, Kind::Have, true, Some(1), Some(0)),
        (3800, Kind::Have, true, Some(3), None),
        (4600, Kind::Have, true, Some(5), None),
    ];
    assert_eq!(talk.observations(), expected);
}

#[test]
fn a_have_that_crosses_is_told_at_once_with_what_came_before() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&bitfield(0..15));
    talk.wait(ms(3000));
    talk.observations();
    for piece in 15..20 {
        talk.says(&Message::Have(piece));
        talk.wait(ms(10));
    }
    let told = talk.observations();
    assert_eq!(
        told,
        [
            (3000, Kind::Have, true, Some(16), Some(15)),
            (3010, Kind::Have, true, Some(17), Some(16)),
            (3020, Kind::Have, true, Some(18), Some(17)),
            (3030, Kind::Have, true, Some(19), Some(18)),
            (3040, Kind::Have, true, Some(20), Some(19)),
        ]
    );
}

#[test]
fn what_is_folded_is_told_at_the_end() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&Message::HaveNone);
    talk.wait(ms(3000));
    for piece in 0..3 {
        talk.says(&Message::Have(piece));
    }
    talk.session.handle_closed(talk.now, Closer::Us);
    let told = talk.observations();
    assert_eq!(told.last(), Some(&(3000, Kind::Have, true, Some(3), None)));
    assert_eq!(talk.session.summary().pieces_last, Some(3));
}

#[test]
fn resolution_zero_tells_every_have() {
    let settings = Settings { have_resolution: Duration::ZERO, ..Settings::default() };
    let mut talk = Talk::with(settings, Some(PIECES));
    talk.greet(FAST);
    talk.says(&Message::HaveNone);
    talk.wait(ms(3000));
    talk.observations();
    for piece in [3, 4, 4] {
        talk.says(&Message::Have(piece));
    }
    let told: Vec<_> = talk.observations().into_iter().map(|(.., pieces, piece)| (pieces, piece)).collect();
    assert_eq!(told, [(Some(1), Some(3)), (Some(2), Some(4)), (Some(2), Some(4))]);
}

#[test]
fn a_bitfield_that_is_late_proves_the_silence_wrong() {
    let mut talk = Talk::greeted(0, Some(PIECES));
    talk.says(&Message::Unchoke);
    talk.wait(ms(2500));
    assert!(matches!(talk.events().as_slice(), [Event::Settled]));
    talk.says(&bitfield(0..PIECES));
    talk.session.handle_closed(talk.now, Closer::Us);
    assert_eq!(talk.observations(), [(2500, Kind::Bitfield, true, Some(PIECES), None)]);
}

#[test]
fn silence_is_told_with_the_first_have() {
    let mut talk = Talk::greeted(0, Some(PIECES));
    talk.says(&Message::Unchoke);
    talk.wait(ms(5000));
    talk.says(&Message::Have(3));
    let told = talk.observations();
    let expected = [(2000, Kind::Silence, true, Some(0), None), (5000, Kind::Have, true, Some(1), Some(3))];
    assert_eq!(told, expected);
}

#[test]
fn a_bitfield_after_the_burst_takes_the_place_of_all_earlier_claims() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&bitfield([1, 2]));
    talk.wait(ms(3000));
    talk.says(&bitfield([5]));
    let told = talk.observations();
    assert_eq!(told[1], (3000, Kind::Bitfield, true, Some(1), None));
}

#[test]
fn lies_are_protocol_errors_that_say_what_was_wrong() {
    let lies = [
        (Message::Bitfield(vec![0; 4]), "4 bytes"),
        (Message::Bitfield(vec![0; 2]), "2 bytes"),
        (Message::Bitfield(vec![0, 0, 0x0f]), "behind the last"),
        (Message::Have(PIECES), "HAVE of piece 20"),
        (Message::Have(u32::MAX), "HAVE of piece 4294967295"),
    ];
    for (lie, reason) in lies {
        let mut talk = Talk::greeted(FAST, Some(PIECES));
        talk.says(&lie);
        let Some(End::ProtocolError(told)) = talk.end() else { panic!("{lie:?} was believed") };
        assert!(told.contains(reason), "{told:?}");
        assert_eq!(talk.session.next_timeout(), None);
    }
}

#[test]
fn a_lie_leaves_what_was_claimed_before_it() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&bitfield([1, 2]));
    talk.says(&Message::Have(PIECES));
    assert_eq!(talk.observations(), [(0, Kind::Bitfield, false, Some(2), None)]);
}

#[test]
fn a_giant_length_ends_the_session() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.session.handle_bytes(talk.now, &[0xff, 0xff, 0xff, 0xff, 5]);
    assert!(matches!(talk.end(), Some(End::ProtocolError(_))));
}

#[test]
fn a_magnets_claims_are_kept_and_checked_when_the_metadata_is_learnt() {
    let mut honest = Talk::greeted(FAST, None);
    honest.says(&bitfield([1, 2]));
    honest.wait(ms(2000));
    assert_eq!(honest.observations(), [(0, Kind::Bitfield, true, Some(2), None)]);
    honest.session.metadata_learnt(honest.now, PIECES);
    honest.says(&Message::Have(3));
    let Some(Event::Observation(seen)) = honest.events().pop() else { panic!("no observation") };
    assert_eq!((seen.pieces, seen.piece_count), (Some(3), Some(PIECES)));

    let mut liar = Talk::greeted(FAST, None);
    liar.says(&Message::Bitfield(vec![0xff; 3]));
    assert!(matches!(liar.events().as_slice(), [Event::Claimed { .. }]));
    liar.session.metadata_learnt(liar.now, PIECES);
    // The lie itself is not told as an observation.
    assert!(matches!(liar.events().as_slice(), [Event::Ended(End::ProtocolError(_))]));

    let mut seeder = Talk::greeted(FAST, None);
    seeder.says(&Message::HaveAll);
    seeder.wait(ms(2000));
    assert_eq!(seeder.observations(), [(0, Kind::HaveAll, true, None, None)]);

    let mut haves = Talk::greeted(0, None);
    haves.says(&Message::Have(PIECES + 40));
    haves.session.metadata_learnt(haves.now, PIECES);
    assert!(matches!(haves.end(), Some(End::ProtocolError(_))));
}

#[test]
fn memory_is_bounded_while_the_piece_count_is_unknown() {
    let mut talk = Talk::greeted(0, None);
    talk.says(&Message::Have(u32::MAX));
    assert!(matches!(talk.end(), Some(End::ProtocolError(_))));
    let mut talk = Talk::greeted(0, None);
    talk.session.handle_bytes(talk.now, &[0, 0x10, 0, 0, 5]);
    assert!(matches!(talk.end(), Some(End::ProtocolError(_))));
}

#[test]
fn keep_alives_hold_the_connection_and_silence_ends_it() {
    let mut talk = Talk::greeted(0, Some(PIECES));
    talk.wait(Duration::from_secs(200));
    assert_eq!(&talk.sent[handshake::LEN..], [0; 12]);
    assert_eq!(talk.end(), None);
    talk.wait(Duration::from_mins(8));
    assert_eq!(talk.end(), Some(End::IdleTimedOut));
    talk.session.handle_closed(talk.now, Closer::Us);
    assert!(talk.session.summary().max_gap >= Some(Duration::from_secs(479)));
}

#[test]
fn keep_alives_go_on_though_their_bytes_go_out_between_two_looks_at_the_timer() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&bitfield([1]));
    talk.wait(ms(3000));
    talk.session.set_keep_alive(ms(8000));
    // Whoever drives the session asks for the timer while the bytes of the last keep-alive still wait.
    let mut sent = 0;
    for _ in 0..3 {
        talk.now = talk.session.next_timeout().unwrap();
        talk.session.handle_timeout(talk.now);
        let next = talk.session.next_timeout().unwrap();
        assert!(next <= talk.now + ms(8000), "{:?} until the next", next - talk.now);
        sent += talk.session.output().len();
        talk.drain();
    }
    assert_eq!(sent, 3 * 4);
}

#[test]
fn a_handshake_that_does_not_come_ends_the_wait() {
    let mut talk = Talk::outgoing(Some(PIECES));
    talk.session.handle_bytes(talk.now, b"\x13BitTorrent proto");
    talk.wait(Duration::from_secs(30));
    assert_eq!(talk.end(), Some(End::HandshakeTimedOut));
}

#[test]
fn garbage_another_swarm_and_ourselves_are_told_apart() {
    let mut garbage = Talk::outgoing(Some(PIECES));
    garbage.session.handle_bytes(garbage.now, b"HTTP/1.1 400 Bad Request\r\n");
    assert!(matches!(garbage.end(), Some(End::HandshakeMalformed(_))));
    let mut other = Talk::outgoing(Some(PIECES));
    other.handshake(FAST, InfoHash([8; 20]), THEIRS);
    assert_eq!(other.end(), Some(End::WrongInfoHash));
    let mut ourselves = Talk::outgoing(Some(PIECES));
    ourselves.handshake(FAST, SWARM, OURS);
    assert_eq!(ourselves.end(), Some(End::SelfConnection));
}

#[test]
fn an_incoming_peer_is_answered_only_once_it_is_accepted() {
    let mut talk = Talk::incoming();
    let handshake = Handshake { reserved: Reserved(FAST), info_hash: SWARM, peer_id: THEIRS };
    let mut bytes = handshake.encode().to_vec();
    bytes.extend(bytes_of(&bitfield([1])));
    talk.session.handle_bytes(talk.now, &bytes);
    assert!(matches!(talk.events().as_slice(), [Event::Handshake(named)] if named.info_hash == SWARM));
    assert!(talk.sent.is_empty());
    talk.session.accept(talk.now, local(Some(PIECES)));
    talk.wait(ms(2000));
    assert_eq!(talk.observations(), [(0, Kind::Bitfield, true, Some(1), None)]);
    assert!(talk.sent.len() > handshake::LEN);
}

#[test]
fn an_incoming_peer_that_is_never_accepted_is_given_up() {
    let mut talk = Talk::incoming();
    talk.handshake(FAST, SWARM, THEIRS);
    talk.events();
    talk.wait(Duration::from_secs(20));
    assert_eq!(talk.end(), Some(End::HandshakeTimedOut));
}

#[test]
fn the_extended_handshake_is_told_and_amended() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&extended(Some(100)));
    let amended = ExtendedHandshake { p: Some(99), ..ExtendedHandshake::default() };
    talk.says(&Message::Extended { id: HANDSHAKE_ID, payload: amended.encode() });
    let told: Vec<Extended> = talk
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Extended(told) => Some(told),
            _ => None,
        })
        .collect();
    assert_eq!(told[0].listen_port, Some(4711));
    let expected = Extended {
        client: Some("peer 1".into()),
        listen_port: Some(99),
        metadata_size: Some(100),
        upload_only: Some(true),
    };
    assert_eq!(told[1], expected);
}

/// A peer that serves `info`, up to the session's end or the first event that is no observation.
#[test]
fn peers_are_taken_from_others_as_far_as_we_asked_for_them() {
    let named = UtPex { added: vec![(([1, 2, 3, 4], 5).into(), None)], ..UtPex::default() };
    let says = |talk: &mut Talk, payload| {
        talk.says(&Message::Extended { id: OUR_UT_PEX, payload });
        talk.events()
    };
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    assert!(talk.sent.windows(10).any(|bytes| bytes == b"6:ut_pexi2"));
    assert!(matches!(says(&mut talk, named.encode()).as_slice(), [Event::Pex(Ok(told))] if *told == named));
    assert!(matches!(says(&mut talk, b"le".to_vec()).as_slice(), [Event::Pex(Err(_))]));
    talk.sent.clear();
    talk.session.stop_pex(talk.now);
    talk.session.stop_pex(talk.now);
    assert!(says(&mut talk, named.encode()).is_empty());
    let refusals = talk.sent.windows(11).filter(|bytes| bytes == b"6:ut_pexi0e").count();
    assert_eq!(refusals, 1);

    let mut talk = Talk::outgoing(Some(PIECES));
    let private = Local { pex: false, ..local(Some(PIECES)) };
    talk.session = Session::outgoing(talk.now, private, Settings::default());
    talk.greet(FAST);
    assert!(says(&mut talk, named.encode()).is_empty());
    assert!(!talk.sent.windows(6).any(|bytes| bytes == b"ut_pex"));
}

#[test]
fn introductions_are_asked_for_taken_and_not_given() {
    let other: SocketAddr = ([1, 2, 3, 4], 5).into();
    let says = |talk: &mut Talk, message: UtHolepunch| {
        talk.says(&Message::Extended { id: OUR_UT_HOLEPUNCH, payload: message.encode() });
        talk.events()
    };
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    assert!(talk.sent.windows(16).any(|bytes| bytes == b"12:ut_holepunchi"));
    assert!(!talk.session.offers_introductions());
    let m = [(UT_HOLEPUNCH.to_owned(), 9)].into();
    let payload = ExtendedHandshake { m, ..ExtendedHandshake::default() }.encode();
    talk.says(&Message::Extended { id: HANDSHAKE_ID, payload });
    talk.events();
    assert!(talk.session.offers_introductions());
    talk.sent.clear();
    talk.session.ask_introduction(talk.now, other);
    talk.events();
    assert!(talk.sent.ends_with(&[&[20, 9][..], &UtHolepunch::Rendezvous(other).encode()].concat()));
    let events = says(&mut talk, UtHolepunch::Connect(other));
    assert!(matches!(events.as_slice(), [Event::Introduced(peer)] if *peer == other));
    assert!(says(&mut talk, UtHolepunch::Error(other, Refusal::NO_SUCH_PEER)).is_empty());
    assert!(says(&mut talk, UtHolepunch::Rendezvous(other)).is_empty());
    assert!(talk.sent.ends_with(&UtHolepunch::Error(other, Refusal::NOT_CONNECTED).encode()));
    talk.says(&Message::Extended { id: OUR_UT_HOLEPUNCH, payload: vec![7; 3] });
    assert!(talk.events().is_empty(), "what cannot be read does no harm");

    let mut talk = Talk::outgoing(Some(PIECES));
    let without = Local { introductions: false, ..local(Some(PIECES)) };
    talk.session = Session::outgoing(talk.now, without, Settings::default());
    talk.greet(FAST);
    assert!(says(&mut talk, UtHolepunch::Connect(other)).is_empty());
    assert!(!talk.sent.windows(12).any(|bytes| bytes == b"ut_holepunch"));
}

fn fetch(info: &[u8], size: u32, info_hash: InfoHash, answer: impl Fn(u32) -> UtMetadata) -> Vec<Event> {
    let mut talk = Talk::with(Settings::default(), None);
    talk.session = Session::outgoing(talk.now, Local { info_hash, ..local(None) }, Settings::default());
    talk.handshake(FAST, info_hash, THEIRS);
    talk.says(&extended(Some(size)));
    talk.events();
    assert!(talk.session.offers_metadata(), "of {} bytes", info.len());
    talk.sent.clear();
    talk.session.fetch_metadata(talk.now);
    let mut decoder = Decoder::default();
    loop {
        let events = talk.events();
        let sent = std::mem::take(&mut talk.sent);
        let mut sent = sent.as_slice();
        let mut asked = false;
        while let Ok(Some(Message::Extended { id: 9, payload })) = decoder.next(&mut sent) {
            let Ok(UtMetadata::Request { piece }) = UtMetadata::decode(&payload) else {
                panic!("no request")
            };
            asked = true;
            talk.says(&Message::Extended { id: OUR_UT_METADATA, payload: answer(piece).encode() });
        }
        if !asked {
            return events;
        }
    }
}

fn serve(info: &[u8]) -> impl Fn(u32) -> UtMetadata {
    move |piece| UtMetadata::Data {
        piece,
        total_size: u32::try_from(info.len()).ok(),
        bytes: crate::peer::metadata::piece_of(info, piece).unwrap_or_default().to_vec(),
    }
}

#[test]
fn metadata_is_fetched_and_checked() {
    let info = vec![b'i'; 100_000];
    let info_hash = InfoHash(Sha1::digest(&info).into());
    let events = fetch(&info, 100_000, info_hash, serve(&info));
    assert!(matches!(events.as_slice(), [Event::Metadata(got)] if *got == info));
}

#[test]
fn metadata_of_another_torrent_a_rejection_and_a_hostile_size_are_told() {
    let info = vec![b'i'; 100];
    let lie = fetch(&info, 100, SWARM, serve(&info));
    assert!(matches!(lie.as_slice(), [Event::MetadataFailed(error)] if error.is_lie()), "{lie:?}");
    let rejected = fetch(&info, 100, SWARM, |piece| UtMetadata::Reject { piece });
    assert!(matches!(rejected.as_slice(), [Event::MetadataFailed(FetchError::Rejected)]));
    let giant = fetch(&info, u32::MAX, SWARM, serve(&info));
    assert!(matches!(giant.as_slice(), [Event::MetadataFailed(error)] if !error.is_lie()));
}

#[test]
fn a_peer_that_never_answers_for_metadata_is_given_up_on() {
    let mut talk = Talk::greeted(FAST, None);
    talk.says(&extended(Some(100)));
    talk.session.fetch_metadata(talk.now);
    talk.wait(Duration::from_secs(30));
    let events = talk.events();
    assert!(events.iter().any(|event| matches!(event, Event::MetadataFailed(FetchError::TimedOut))));
}

#[test]
fn others_requests_for_metadata_are_rejected_within_bounds() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.says(&extended(None));
    talk.drain();
    talk.sent.clear();
    let request = UtMetadata::Request { piece: 3 }.encode();
    talk.says(&Message::Extended { id: OUR_UT_METADATA, payload: request.clone() });
    talk.drain();
    let mut sent = talk.sent.as_slice();
    let Ok(Some(Message::Extended { id: 9, payload })) = Decoder::default().next(&mut sent) else { panic!() };
    assert_eq!(UtMetadata::decode(&payload), Ok(UtMetadata::Reject { piece: 3 }));
    for _ in 0..10_000 {
        talk.session.handle_bytes(
            talk.now,
            &bytes_of(&Message::Extended { id: OUR_UT_METADATA, payload: request.clone() }),
        );
    }
    assert!(talk.session.output().len() < 2 * OUTPUT_MAX);
}

#[test]
fn messages_bytes_and_gaps_are_counted() {
    let mut talk = Talk::greeted(FAST, Some(PIECES));
    talk.wait(ms(5000));
    talk.says(&Message::KeepAlive);
    talk.wait(ms(1000));
    talk.says(&Message::Unchoke);
    talk.session.handle_closed(talk.now, Closer::Us);
    talk.drain();
    let summary = talk.session.summary();
    assert_eq!((summary.messages, summary.bytes_in), (2, 68 + 4 + 5));
    assert_eq!(summary.max_gap, Some(ms(5000)));
    assert_eq!(summary.bytes_out, talk.sent.len() as u64);
}

#[test]
fn bitfields_are_recorded_where_asked_for() {
    let settings = Settings { record_bitfields: true, ..Settings::default() };
    let mut talk = Talk::with(settings, Some(PIECES));
    talk.greet(FAST);
    talk.says(&bitfield([0, 8]));
    talk.wait(ms(2000));
    let recorded = talk.events().into_iter().find_map(|event| match event {
        Event::Observation(seen) => seen.bitfield,
        _ => None,
    });
    assert_eq!(recorded, Some(vec![0x80, 0x80, 0]));
}

/// Messages of every kind, true, false and torn.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let message = prop_oneof![
        any::<u32>().prop_map(|piece| bytes_of(&Message::Have(piece % (2 * PIECES)))),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(|bits| bytes_of(&Message::Bitfield(bits))),
        Just(bytes_of(&Message::HaveAll)),
        Just(bytes_of(&Message::HaveNone)),
        Just(bytes_of(&Message::KeepAlive)),
        (0..12_u8, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(id, payload)| bytes_of(&Message::Extended { id, payload })),
        (0..4_u32).prop_map(|piece| {
            let payload = UtMetadata::Request { piece }.encode();
            bytes_of(&Message::Extended { id: OUR_UT_METADATA, payload })
        }),
        Just(bytes_of(&extended(Some(40_000)))),
        prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(message, 0..30).prop_map(|messages| messages.concat())
}

proptest! {
    #[test]
    fn no_input_in_any_split_makes_us_panic_or_send_what_an_observer_does_not(
        greets: bool, known: bool, reserved: u64, input in any_input(),
        cuts in prop::collection::vec((1..50_usize, 0..40_000_u64), 1..30),
        learnt_at in 0..30_usize,
    ) {
        let mut talk = Talk::outgoing(known.then_some(PIECES));
        talk.drain();
        if greets {
            talk.handshake(reserved, SWARM, THEIRS);
        }
        let mut rest = input.as_slice();
        for (turn, (len, pause)) in cuts.into_iter().enumerate() {
            let (now, later) = rest.split_at(len.min(rest.len()));
            talk.session.handle_bytes(talk.now, now);
            rest = later;
            if turn == learnt_at {
                talk.session.metadata_learnt(talk.now, PIECES);
            }
            if talk.session.offers_metadata() && !known {
                talk.session.fetch_metadata(talk.now);
            }
            talk.drain();
            talk.wait(ms(pause));
        }
        talk.session.handle_closed(talk.now, Closer::Us);
        for event in talk.events() {
            if let Event::Observation(seen) = event
                && let (Some(pieces), Some(piece_count)) = (seen.pieces, seen.piece_count)
            {
                prop_assert!(pieces <= piece_count);
            }
        }
        prop_assert!(Handshake::decode(&talk.sent).unwrap().is_some());
        let mut sent = &talk.sent[handshake::LEN..];
        let mut decoder = Decoder::default();
        while let Some(message) = decoder.next(&mut sent).unwrap() {
            prop_assert!(
                matches!(message, Message::KeepAlive | Message::Extended { .. }),
                "sent {message:?}"
            );
        }
    }
}
