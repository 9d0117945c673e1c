//! Answers of HTTP trackers: what is read, and what is refused.

use proptest::{option, prelude::*};

use super::*;
use crate::tracker::arbitrary;

fn entry() -> impl Strategy<Value = ScrapeEntry> {
    (any::<[u8; 20]>(), proptest::array::uniform3(option::of(0..i64::MAX as u64))).prop_map(
        |(hash, [seeders, leechers, downloaded])| ScrapeEntry {
            info_hash: InfoHash(hash),
            seeders,
            leechers,
            downloaded,
        },
    )
}

proptest! {
    #[test]
    fn announces_round_trip_in_both_forms(response in arbitrary::response(), compact: bool) {
        let body = encode_announce(&response, compact);
        prop_assert_eq!(bencode::check(&body), Ok(()));
        prop_assert_eq!(decode_announce(&body), Ok(response));
    }

    #[test]
    fn scrapes_round_trip(mut entries in proptest::collection::vec(entry(), 0..5)) {
        entries.sort_by_key(|entry| entry.info_hash);
        entries.dedup_by_key(|entry| entry.info_hash);
        prop_assert_eq!(decode_scrape(&encode_scrape(&entries)), Ok(entries));
    }

    #[test]
    fn any_bytes_never_panic(
        bytes: Vec<u8>,
        key in proptest::sample::select(vec!["peers", "peers6", "interval", "files", "failure reason"]),
        value in "(i-?[0-9]{1,25}e|[0-9]:[a-z]{0,9}|l(d2:ip9:127.0.0.14:porti[0-9]{1,6}ee)*e|de|le)",
    ) {
        let body = format!("d{}:{key}{value}e", key.len());
        for body in [&bytes[..], body.as_bytes()] {
            if let Ok(response) = decode_announce(body) {
                // What was left out cannot be said again.
                let response = AnnounceResponse { left_out: 0, ..response };
                prop_assert_eq!(decode_announce(&encode_announce(&response, false)), Ok(response));
            }
            assert!(decode_scrape(body).map_or(true, |entries| entries.len() <= body.len()));
        }
    }
}

proptest! {
    // Each case reads its answer once for every byte of it.
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_truncation_is_an_error(response in arbitrary::response(), compact: bool) {
        let body = encode_announce(&response, compact);
        for length in 0..body.len() {
            prop_assert!(decode_announce(&body[..length]).is_err());
        }
    }
}

#[test]
fn packed_peers_of_both_families() {
    let body = b"d8:completei5e10:incompletei7e8:intervali1800e12:min intervali900e\
        5:peers6:\x7f\0\0\x01\x1a\xe16:peers618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\
        10:tracker id3:\xffid15:warning message5:sl\xffw!e";
    let response = decode_announce(body).unwrap();
    assert_eq!(response.peers, ["127.0.0.1:6881".parse().unwrap(), "[::1]:0".parse().unwrap()]);
    assert_eq!((response.interval_s, response.min_interval_s), (Some(1800), Some(900)));
    assert_eq!((response.seeders, response.leechers, response.downloaded), (Some(5), Some(7), None));
    assert_eq!(response.tracker_id.as_deref(), Some(&b"\xffid"[..]));
    assert_eq!(response.warning.as_deref(), Some("sl\u{fffd}w!"));
}

#[test]
fn peers_as_dictionaries_without_those_that_are_no_address() {
    let body = b"d8:intervali60e5:peersl\
        d2:ip9:127.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee\
        d2:ip3:::14:porti1ee\
        d2:ip12:example.test4:porti2ee\
        d2:ip11:abc.b32.i2p4:porti0ee\
        d2:ip9:127.0.0.14:porti-1ee\
        d4:porti5ee\
        i1eee";
    let response = decode_announce(body).unwrap();
    assert_eq!(response.peers, ["127.0.0.1:6881".parse().unwrap(), "[::1]:1".parse().unwrap()]);
    assert_eq!(response.left_out, 5, "a bad one costs no more than itself");
}

#[test]
fn numbers_that_cannot_be_are_absent() {
    let body = b"d8:completei-5e10:incompletei99999999999999999999e8:intervali-1e12:min intervali4294967296e5:peers0:e";
    assert_eq!(decode_announce(body), Ok(AnnounceResponse::default()));
}

#[test]
fn unsorted_keys_and_a_line_end_are_taken() {
    let response = decode_announce(b"d5:peers0:8:intervali9ee\r\n").unwrap();
    assert_eq!(response.interval_s, Some(9));
}

#[test]
fn each_defect_has_its_error() {
    let error = |body: &[u8]| decode_announce(body).map_err(|e| e.to_string()).unwrap_err();
    assert_eq!(error(b"d14:failure reason10:not \xffound!e"), "the tracker refuses: not \u{fffd}ound!");
    assert_eq!(
        error(b"<html>404</html>"),
        "the answer is not bencoded: bencode: the byte 0x3c at 0 begins no value"
    );
    assert_eq!(error(b""), "the answer is not bencoded: bencode: the value is cut off after 0 bytes");
    assert_eq!(error(b"le"), "the answer is malformed: it is no dictionary");
    assert_eq!(error(b"d5:peersi1ee"), "the answer is malformed: \"peers\" is neither a string nor a list");
    assert_eq!(
        error(b"d5:peers7:abcdefge"),
        "the answer is malformed: 7 bytes of compact peers are not a whole number of 6-byte entries"
    );
    let error = |body: &[u8]| decode_scrape(body).map_err(|e| e.to_string()).unwrap_err();
    assert_eq!(error(b"de"), "the answer is malformed: it has no \"files\"");
    assert_eq!(
        error(b"d5:filesle1:xe"),
        "the answer is not bencoded: bencode: the dictionary entry at byte 13 is not a string and its value"
    );
    assert_eq!(error(b"d5:fileslee"), "the answer is malformed: \"files\" is no dictionary");
    assert_eq!(error(&encode_failure("no scrape")), "the tracker refuses: no scrape");
}
