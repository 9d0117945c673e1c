//! Messages survive the round trip, and malformed ones are refused.

use proptest::prelude::*;

use super::*;

fn block() -> impl Strategy<Value = Block> {
    (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(piece, begin, length)| Block {
        piece,
        begin,
        length,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![
        proptest::sample::select(vec![
            Message::KeepAlive,
            Message::Choke,
            Message::Unchoke,
            Message::Interested,
            Message::NotInterested,
            Message::HaveAll,
            Message::HaveNone,
        ]),
        any::<u32>().prop_map(Message::Have),
        any::<u32>().prop_map(Message::SuggestPiece),
        any::<u32>().prop_map(Message::AllowedFast),
        any::<u16>().prop_map(Message::Port),
        bytes().prop_map(Message::Bitfield),
        block().prop_map(Message::Request),
        block().prop_map(Message::Cancel),
        block().prop_map(Message::RejectRequest),
        (block(), 0..300_u32).prop_map(|(block, length)| Message::Piece(Block { length, ..block })),
        (any::<u8>(), bytes()).prop_map(|(id, payload)| Message::Extended { id, payload }),
        (21..=u8::MAX, 0..300_u32).prop_map(|(id, length)| Message::Unknown { id, length }),
    ]
}

/// Everything a stream decodes to when it arrives in pieces of these lengths, over and over.
fn decode(stream: &[u8], splits: &[usize]) -> (Vec<Message>, Option<Error>) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    let mut rest = stream;
    for length in splits.iter().cycle() {
        let (mut input, after) = rest.split_at((*length).min(rest.len()));
        rest = after;
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(input.is_empty());
        if rest.is_empty() {
            break;
        }
    }
    (messages, None)
}

fn encoded(messages: &[Message]) -> Vec<u8> {
    let mut stream = Vec::new();
    for message in messages {
        encode(message, &mut stream);
    }
    stream
}

proptest! {
    #[test]
    fn messages_round_trip_over_any_split(
        messages in proptest::collection::vec(message(), 0..20),
        splits in proptest::collection::vec(1..40_usize, 1..10),
    ) {
        let stream = encoded(&messages);
        prop_assert_eq!(decode(&stream, &splits), (messages, None));
    }

    #[test]
    fn any_bytes_decode_alike_over_any_split(
        stream in proptest::collection::vec(prop_oneof![2 => Just(0), 1 => 0..25_u8, 1 => any::<u8>()], 0..400),
        splits in proptest::collection::vec(1..40_usize, 1..10),
    ) {
        prop_assert_eq!(decode(&stream, &splits), decode(&stream, &[usize::MAX]));
    }

    #[test]
    fn every_truncation_waits_for_more(messages in proptest::collection::vec(message(), 1..4)) {
        let stream = encoded(&messages);
        for length in 0..stream.len() {
            let (decoded, error) = decode(&stream[..length], &[usize::MAX]);
            prop_assert!(error.is_none() && decoded.len() < messages.len());
            prop_assert_eq!(&decoded[..], &messages[..decoded.len()]);
        }
    }
}

fn error(stream: &[u8]) -> Option<Error> {
    decode(stream, &[1]).1
}

#[test]
fn each_defect_has_its_error() {
    assert_eq!(
        error(b"\0\0\0\x02\0\0"),
        Some(Error::WrongLength { id: 0, length: 2 }),
        "choke with a payload"
    );
    assert_eq!(
        error(b"\0\0\0\x01\x04"),
        Some(Error::WrongLength { id: 4, length: 1 }),
        "have without a piece"
    );
    assert_eq!(error(b"\0\0\0\x06\x04"), Some(Error::WrongLength { id: 4, length: 6 }), "have too long");
    assert_eq!(
        error(b"\0\0\0\x01\x14"),
        Some(Error::WrongLength { id: 20, length: 1 }),
        "extended without id"
    );
    assert_eq!(
        error(b"\0\0\0\x08\x07"),
        Some(Error::WrongLength { id: 7, length: 8 }),
        "piece without offsets"
    );
    let oversize = |id, limit| Some(Error::Oversize { id, length: u32::MAX, limit });
    assert_eq!(error(b"\xff\xff\xff\xff\x05"), oversize(5, 1024 * 1024 + 1), "bitfield of 4 GiB");
    assert_eq!(error(b"\xff\xff\xff\xff\x14"), oversize(20, 128 * 1024 + 1), "extended of 4 GiB");
    assert_eq!(error(b"\xff\xff\xff\xff\x07"), oversize(7, MAX_LEN), "piece of 4 GiB");
    assert_eq!(error(b"\xff\xff\xff\xff\xee"), oversize(0xee, MAX_LEN), "unknown message of 4 GiB");
}

#[test]
fn a_failed_decoder_stays_failed() {
    let mut decoder = Decoder::default();
    let failure = Err(Error::WrongLength { id: 0, length: 2 });
    assert_eq!(decoder.next(&mut &b"\0\0\0\x02\0\0"[..]), failure);
    assert_eq!(decoder.next(&mut &b"\0\0\0\x01\x0e"[..]), failure);
}

#[test]
fn memory_grows_with_the_bytes_that_arrive_and_is_freed() {
    let mut decoder = Decoder::default();
    let mut input = &b"\0\x0f\xff\xff\x05\xff\xff"[..];
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert!(decoder.held_bytes() < 100, "{}", decoder.held_bytes());

    let mut decoder = Decoder::default();
    assert_eq!(decoder.next(&mut &b"\0\x0f\xff\xff\x07abcdefgh"[..]), Ok(None));
    assert_eq!(decoder.next(&mut &vec![7; 500_000][..]), Ok(None));
    assert_eq!(decoder.held_bytes(), 0, "content is not kept");

    let mut decoder = Decoder::default();
    let mut input = &b"\0\0\0\x03\x05\xf0\xf0"[..];
    assert_eq!(decoder.next(&mut input), Ok(Some(Message::Bitfield(vec![0xf0, 0xf0]))));
    assert_eq!(decoder.held_bytes(), 0);
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
}

#[test]
fn limits_follow_the_torrent() {
    let mut decoder = Decoder::default();
    decoder.set_limits(Limits { bitfield_bytes: 2, ..Limits::default() });
    let oversize = Error::Oversize { id: 5, length: 4, limit: 3 };
    assert_eq!(decoder.next(&mut &b"\0\0\0\x04\x05\xff\xff\xff"[..]), Err(oversize));
}

#[test]
fn bytes_stand_where_the_bep_puts_them() {
    let cases: &[(Message, &[u8])] = &[
        (Message::KeepAlive, b"\0\0\0\0"),
        (Message::Have(258), b"\0\0\0\x05\x04\0\0\x01\x02"),
        (Message::Port(6881), b"\0\0\0\x03\x09\x1a\xe1"),
        (Message::HaveAll, b"\0\0\0\x01\x0e"),
        (Message::HaveNone, b"\0\0\0\x01\x0f"),
        (
            Message::Request(Block { piece: 1, begin: 2, length: 3 }),
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\0\x02\0\0\0\x03",
        ),
        (Message::Piece(Block { piece: 1, begin: 2, length: 2 }), b"\0\0\0\x0b\x07\0\0\0\x01\0\0\0\x02\0\0"),
        (Message::Extended { id: 3, payload: b"de".to_vec() }, b"\0\0\0\x04\x14\x03de"),
    ];
    for (message, bytes) in cases {
        assert_eq!(encoded(std::slice::from_ref(message)), *bytes);
    }
}
