//! Both sides against each other, against bytes computed elsewhere, and against strangers.

use proptest::prelude::*;

use super::*;
use crate::{
    PeerId,
    peer::handshake::{Handshake, Reserved},
};

const SWARM: InfoHash = InfoHash([7; 20]);

fn handshake() -> [u8; 68] {
    Handshake { reserved: Reserved(0), info_hash: SWARM, peer_id: PeerId(*b"-XX0001-abcdefghijkl") }.encode()
}

fn swarms() -> SwarmKeys {
    [InfoHash([1; 20]), SWARM, InfoHash([9; 20])].into_iter().collect()
}

fn secret(first_byte: u8, pad: &[u8], later_pad: u16) -> Secret {
    let mut key = [0; 20];
    key.iter_mut().zip(first_byte..).for_each(|(to, byte)| *to = byte);
    Secret::new(key, pad.to_vec(), later_pad)
}

/// What one side has come to.
#[derive(Default)]
struct End {
    /// Bytes on their way to it.
    coming: Vec<u8>,
    established: Option<Established>,
}

impl End {
    /// Takes at most `most` of the bytes on their way.
    fn hear(
        &mut self,
        most: usize,
        side: impl FnOnce(&[u8]) -> Result<Option<Established>, Error>,
    ) -> Result<(), Error> {
        let mut chunk: Vec<u8> = self.coming.drain(..most.min(self.coming.len())).collect();
        if let Some(established) = &mut self.established {
            established.ciphers.decrypt(&mut chunk);
            established.payload.extend(chunk);
        } else {
            self.established = side(&chunk)?;
        }
        Ok(())
    }
}

/// Both sides' results after everything was said, in chunks of these sizes.
fn meet(
    mut a: Initiator,
    mut b: Responder,
    swarms: &SwarmKeys,
    chunks: &[usize],
) -> Result<(Established, Established), Error> {
    let mut sizes = chunks.iter().copied().cycle();
    let (mut end_a, mut end_b) = (End::default(), End::default());
    loop {
        end_b.coming.extend(a.take_output());
        end_a.coming.extend(b.take_output());
        if end_a.coming.is_empty() && end_b.coming.is_empty() {
            return Ok((end_a.established.expect("A waits"), end_b.established.expect("B waits")));
        }
        end_b.hear(sizes.next().unwrap(), |chunk| b.handle_bytes(chunk, swarms))?;
        end_a.hear(sizes.next().unwrap(), |chunk| a.handle_bytes(chunk))?;
    }
}

fn hex_sha1(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&InfoHash::of_info(bytes).0)
}

/// The expected values are those of another implementation, written for this test in Python with its own integers,
/// `hashlib` and an RC4 of six lines: private keys 1…20 and 101…120, pads of 8, 3, 3 and 5 bytes.
#[test]
fn every_byte_is_as_another_implementation_has_it() {
    let mut a = Initiator::new(secret(1, b"pad of A", 3), SWARM, Methods::RC4, handshake());
    let mut b = Responder::new(secret(101, b"pad", 5), Methods::ANY);
    let one = a.take_output();
    assert_eq!(hex_sha1(&one), "da63e79fa653b87145d249d7c085b4459f697a37");
    assert!(b.handle_bytes(&one, &swarms()).unwrap().is_none());
    let two = b.take_output();
    assert_eq!(hex_sha1(&two), "ddcbad2df48eb60feafd4035b51ef01204d0761a");
    assert!(a.handle_bytes(&two).unwrap().is_none());
    let three = a.take_output();
    assert_eq!(three.len(), 127);
    assert_eq!(hex_sha1(&three), "40f11c728d21c9c716b96f674d40569e8a8b1265");
    let mut b = b.handle_bytes(&three, &swarms()).map(|done| (done.unwrap(), b.take_output())).unwrap();
    assert_eq!(hex_sha1(&b.1), "bc10ca5c27422d9ff2f6cc152a49cafd8136a8cc");
    assert_eq!((b.0.info_hash, b.0.method, &b.0.payload[..]), (SWARM, Method::Rc4, &handshake()[..]));
    let mut a = a.handle_bytes(&b.1).unwrap().unwrap();
    assert_eq!((a.info_hash, a.method, a.payload.len()), (SWARM, Method::Rc4, 0));
    let (mut from_a, mut from_b) = (*b"from A", *b"from B");
    a.ciphers.encrypt(&mut from_a);
    b.0.ciphers.encrypt(&mut from_b);
    assert_eq!(from_a, [0xdc, 0x69, 0xa9, 0xde, 0x51, 0x01]);
    assert_eq!(from_b, [0xfd, 0x4b, 0xd6, 0xa2, 0x41, 0x45]);
    b.0.ciphers.decrypt(&mut from_a);
    a.ciphers.decrypt(&mut from_b);
    assert_eq!((&from_a, &from_b), (b"from A", b"from B"));
}

#[test]
fn a_held_connection_costs_little_more() {
    assert!(size_of::<Ciphers>() <= 528, "{}", size_of::<Ciphers>());
}

#[test]
fn rc4_is_selected_before_plaintext_and_nothing_that_was_not_offered() {
    let cases = [
        (Methods::RC4, Methods::ANY, Ok(Method::Rc4)),
        (Methods::ANY, Methods::ANY, Ok(Method::Rc4)),
        (Methods::PLAINTEXT, Methods::ANY, Ok(Method::Plaintext)),
        (Methods::ANY, Methods::PLAINTEXT, Ok(Method::Plaintext)),
        (Methods::PLAINTEXT, Methods::RC4, Err(Error::NoMethod(1))),
        (Methods(4), Methods::ANY, Err(Error::NoMethod(4))),
    ];
    for (offer, accepted, expected) in cases {
        let a = Initiator::new(secret(1, b"", 0), SWARM, offer, handshake());
        let b = Responder::new(secret(2, b"", 0), accepted);
        let met = meet(a, b, &swarms(), &[1000]);
        assert_eq!(met.as_ref().map(|(a, _)| a.method).map_err(|error| *error), expected);
        if let Ok((a, b)) = met {
            assert_eq!((a.method, &b.payload[..]), (b.method, &handshake()[..]));
        }
    }
}

#[test]
fn a_selection_of_two_methods_or_of_one_not_offered_is_refused() {
    assert_eq!(Methods::ANY.method(3), None);
    assert_eq!(Methods::RC4.method(1), None);
    assert_eq!(Methods::RC4.method(0), None);
    assert_eq!(Methods::ANY.method(0x8000_0001), None);
}

#[test]
fn another_swarm_is_told_apart_from_another_protocol() {
    let a = Initiator::new(secret(1, b"", 0), InfoHash([8; 20]), Methods::RC4, handshake());
    let met = meet(a, Responder::new(secret(2, b"", 0), Methods::ANY), &swarms(), &[50]);
    assert_eq!(met.map(|_| ()), Err(Error::UnknownSwarm));
    let mut b = Responder::new(secret(2, b"", 0), Methods::ANY);
    let web = b"GET / HTTP/1.1\r\nHost: example\r\n".repeat(30);
    assert_eq!(b.handle_bytes(&web, &swarms()).map(|_| ()), Err(Error::NoSync));
}

/// An initiator that knows how to hide what it says, and says something wrong.
fn responder_hears(change: impl Fn(&mut Vec<u8>)) -> Result<(), Error> {
    let (a, b) = (secret(1, b"", 0), secret(2, b"", 0));
    let shared = a.shared(&b.opening());
    let mut pair = cipher::Pair::new(&shared, &SWARM);
    let mut hidden = [&VC[..], &[0, 0, 0, 2], &[0, 0], &[0, 0]].concat();
    change(&mut hidden);
    pair.from_initiator.apply(&mut hidden);
    let named = key::xor(key::swarm_hash(&SWARM), shared.mask());
    let bytes = [&a.opening()[..], &shared.end_of_pad(), &named, &hidden].concat();
    Responder::new(b, Methods::ANY).handle_bytes(&bytes, &swarms()).map(|_| ())
}

#[test]
fn lies_under_the_encryption_are_named() {
    assert_eq!(responder_hears(|_| {}), Ok(()));
    assert_eq!(responder_hears(|bytes| bytes[3] = 1), Err(Error::Unverified));
    assert_eq!(responder_hears(|bytes| bytes[11] = 0), Err(Error::NoMethod(0)));
    assert_eq!(responder_hears(|bytes| bytes[12] = 2), Ok(()), "512 bytes of pad are waited for");
    assert_eq!(responder_hears(|bytes| bytes[12..14].copy_from_slice(&[2, 1])), Err(Error::PadTooLong(513)));
    assert_eq!(responder_hears(|bytes| bytes[14..16].fill(0xff)), Ok(()), "IA is not waited for");
}

#[test]
fn initial_payload_is_encrypted_even_where_plaintext_is_selected() {
    let (a, b) = (secret(1, b"", 0), secret(2, b"", 0));
    let shared = a.shared(&b.opening());
    let mut pair = cipher::Pair::new(&shared, &SWARM);
    let mut hidden = [&VC[..], &[0, 0, 0, 1], &[0, 0], &[0, 6], b"hidden"].concat();
    pair.from_initiator.apply(&mut hidden);
    let named = key::xor(key::swarm_hash(&SWARM), shared.mask());
    let bytes = [&a.opening()[..], &shared.end_of_pad(), &named, &hidden, b"plain"].concat();
    for cut in 1..bytes.len() {
        let mut b = Responder::new(b.clone(), Methods::ANY);
        let mut said = Vec::new();
        let mut done: Option<Established> = None;
        for chunk in bytes.chunks(cut) {
            if let Some(done) = &mut done {
                let mut chunk = chunk.to_vec();
                done.ciphers.decrypt(&mut chunk);
                said.extend(chunk);
            } else {
                done = b.handle_bytes(chunk, &swarms()).unwrap();
                said.extend(done.iter().flat_map(|done| done.payload.clone()));
            }
        }
        assert_eq!(said, b"hiddenplain", "in chunks of {cut}");
    }
}

#[test]
fn nothing_is_waited_for_beyond_the_longest_pad() {
    // A byte at a time, so that the moment of the error is known.
    let byte = |len: usize| [u8::try_from(len % 251).unwrap()];
    let mut a = Initiator::new(secret(1, b"", 0), SWARM, Methods::RC4, handshake());
    let heard = (1..10_000).find(|&len| a.handle_bytes(&byte(len)).is_err());
    assert_eq!(heard, Some(96 + 512 + 8));
    let mut b = Responder::new(secret(1, b"", 0), Methods::ANY);
    let heard = (1..10_000).find(|&len| b.handle_bytes(&byte(len), &swarms()).is_err());
    assert_eq!(heard, Some(96 + 512 + 20));
}

fn pad() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![Just(0), Just(1), Just(512), 0..=512_usize];
    len.prop_flat_map(|len| proptest::collection::vec(any::<u8>(), len))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_two_meet_however_the_bytes_are_split(
        keys: ([u8; 20], [u8; 20]),
        pads in (pad(), pad()),
        later in (0..=512_u16, 0..=512_u16),
        offer in 1..=3_u32,
        chunks in proptest::collection::vec(1..300_usize, 1..8),
        mut said: Vec<u8>,
    ) {
        let a = Initiator::new(Secret::new(keys.0, pads.0, later.0), SWARM, Methods(offer), handshake());
        let b = Responder::new(Secret::new(keys.1, pads.1, later.1), Methods::ANY);
        let (mut a, mut b) = meet(a, b, &swarms(), &chunks).unwrap();
        prop_assert_eq!((a.info_hash, b.info_hash, a.method), (SWARM, SWARM, b.method));
        prop_assert_eq!(&b.payload[..], &handshake()[..]);
        prop_assert!(a.payload.is_empty());
        let meant = said.clone();
        a.ciphers.encrypt(&mut said);
        prop_assert!(a.method == Method::Plaintext || said.is_empty() || said != meant || said.len() < 4);
        let step = chunks[0];
        said.chunks_mut(step).for_each(|chunk| b.ciphers.decrypt(chunk));
        prop_assert_eq!(&said, &meant);
        b.ciphers.encrypt(&mut said);
        said.chunks_mut(step).for_each(|chunk| a.ciphers.decrypt(chunk));
        prop_assert_eq!(said, meant);
    }

    #[test]
    fn strangers_are_refused_within_the_limits(bytes in proptest::collection::vec(any::<u8>(), 0..1200), step in 1..700_usize) {
        let mut a = Initiator::new(secret(1, b"", 0), SWARM, Methods::RC4, handshake());
        let mut b = Responder::new(secret(2, b"", 0), Methods::ANY);
        let heard = bytes.chunks(step).map(|chunk| a.handle_bytes(chunk)).find(Result::is_err);
        prop_assert_eq!(heard.is_some(), bytes.len() >= 96 + 512 + 8);
        let heard = bytes.chunks(step).map(|chunk| b.handle_bytes(chunk, &swarms())).find(Result::is_err);
        prop_assert_eq!(heard.is_some(), bytes.len() >= 96 + 512 + 20);
    }

    #[test]
    fn every_prefix_and_every_flipped_byte_is_survived(place in 0..1800_usize, flip in 1..=255_u8) {
        let mut a = Initiator::new(secret(1, &[5; 300], 100), SWARM, Methods::RC4, handshake());
        let mut b = Responder::new(secret(2, &[6; 200], 50), Methods::ANY);
        let mut bytes = a.take_output();
        prop_assert!(b.handle_bytes(&bytes, &swarms()).unwrap().is_none());
        a.handle_bytes(&b.take_output()).unwrap();
        bytes.extend(a.take_output());
        let place = place % bytes.len();
        let fresh = || Responder::new(secret(2, &[6; 200], 50), Methods::ANY);
        prop_assert!(fresh().handle_bytes(&bytes[..place], &swarms()).is_ok());
        bytes[place] ^= flip;
        let heard = fresh().handle_bytes(&bytes, &swarms());
        // The pads may be anything; what is told in them, and everything else, may not.
        let in_pad = (96..396).contains(&place);
        prop_assert!(!in_pad || heard.unwrap().is_some());
    }
}
