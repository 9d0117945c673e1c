//! Datagrams of UDP trackers survive the round trip, and malformed ones are refused.

use proptest::prelude::*;

use super::*;
use crate::{
    InfoHash, PeerId,
    tracker::{AnnounceEvent, AnnounceRequest, AnnounceResponse, Family, arbitrary},
};

fn request() -> impl Strategy<Value = Request> {
    let announce =
        (any::<u64>(), any::<u32>(), arbitrary::request(), proptest::collection::vec(any::<u8>(), 0..600));
    prop_oneof![
        any::<u32>().prop_map(|transaction_id| Request::Connect { transaction_id }),
        announce.prop_map(|(connection_id, transaction_id, request, url_data)| {
            let request = AnnounceRequest { tracker_id: None, ..request };
            Request::Announce(Box::new(Announce { connection_id, transaction_id, request, url_data }))
        }),
        (any::<u64>(), any::<u32>(), proptest::collection::vec(any::<[u8; 20]>(), 0..=MAX_SCRAPE)).prop_map(
            |(connection_id, transaction_id, hashes)| Request::Scrape {
                connection_id,
                transaction_id,
                info_hashes: hashes.into_iter().map(InfoHash).collect(),
            }
        ),
    ]
}

fn response(family: Family) -> impl Strategy<Value = Response> {
    let counts =
        any::<[u32; 3]>().prop_map(|[seeders, completed, leechers]| Counts { seeders, completed, leechers });
    prop_oneof![
        any::<(u32, u64)>()
            .prop_map(|(transaction_id, connection_id)| Response::Connect { transaction_id, connection_id }),
        (any::<[u32; 4]>(), arbitrary::response()).prop_map(
            move |([transaction_id, interval, seeders, leechers], mut response)| {
                response.peers.retain(|peer| peer.is_ipv4() == (family == Family::Ipv4));
                let response = AnnounceResponse {
                    peers: response.peers,
                    interval_s: Some(interval),
                    seeders: Some(seeders.into()),
                    leechers: Some(leechers.into()),
                    ..AnnounceResponse::default()
                };
                Response::Announce { transaction_id, response }
            }
        ),
        (any::<u32>(), proptest::collection::vec(counts, 0..5))
            .prop_map(|(transaction_id, counts)| Response::Scrape { transaction_id, counts }),
        (any::<u32>(), "[ -~]{0,30}")
            .prop_map(|(transaction_id, message)| Response::Error { transaction_id, message }),
    ]
}

fn family() -> impl Strategy<Value = Family> {
    any::<bool>().prop_map(|v4| if v4 { Family::Ipv4 } else { Family::Ipv6 })
}

proptest! {
    #[test]
    fn requests_round_trip(request in request()) {
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn responses_round_trip((family, response) in family().prop_flat_map(|family| (Just(family), response(family)))) {
        let datagram = response.encode(family);
        prop_assert_eq!(Response::decode(&datagram, family), Ok(response));
    }

    #[test]
    fn truncations_never_panic_nor_read_as_the_whole(
        request in request(),
        (family, response) in family().prop_flat_map(|family| (Just(family), response(family))),
    ) {
        let datagram = request.encode();
        for length in 0..datagram.len() {
            prop_assert_ne!(Request::decode(&datagram[..length]), Ok(request.clone()));
        }
        let datagram = response.encode(family);
        for length in 0..datagram.len() {
            prop_assert_ne!(Response::decode(&datagram[..length], family), Ok(response.clone()));
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes: Vec<u8>, action in 0..5_u32, family in family()) {
        let mut datagram = PROTOCOL_ID.to_be_bytes().to_vec();
        datagram.extend(action.to_be_bytes());
        datagram.extend_from_slice(&bytes);
        for datagram in [&datagram[..], &datagram[8..], &bytes] {
            if let Ok(request) = Request::decode(datagram) {
                prop_assert!(Request::decode(&request.encode()).is_ok());
            }
            if let Ok(response) = Response::decode(datagram, family) {
                prop_assert_eq!(Response::decode(&response.encode(family), family), Ok(response));
            }
        }
    }
}

#[test]
fn bytes_stand_where_the_bep_puts_them() {
    let connect = Request::Connect { transaction_id: 0x0102_0304 };
    assert_eq!(connect.encode(), b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\x01\x02\x03\x04");

    let announce = Announce {
        connection_id: 0x1112_1314_1516_1718,
        transaction_id: 0x2122_2324,
        request: AnnounceRequest {
            info_hash: InfoHash([0xaa; 20]),
            peer_id: PeerId([0xbb; 20]),
            port: 6881,
            uploaded: 3,
            downloaded: 1,
            left: 2,
            event: AnnounceEvent::Started,
            num_want: None,
            key: 0x3132_3334,
            tracker_id: None,
        },
        url_data: b"/a?b".to_vec(),
    };
    let bytes = Request::Announce(Box::new(announce)).encode();
    assert_eq!(bytes[..16], *b"\x11\x12\x13\x14\x15\x16\x17\x18\0\0\0\x01\x21\x22\x23\x24");
    assert_eq!(bytes[16..56], [[0xaa; 20], [0xbb; 20]].concat());
    assert_eq!(bytes[56..80], *b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03");
    assert_eq!(bytes[80..98], *b"\0\0\0\x02\0\0\0\0\x31\x32\x33\x34\xff\xff\xff\xff\x1a\xe1");
    assert_eq!(bytes[98..], *b"\x02\x04/a?b");

    let scrape = Response::decode(b"\0\0\0\x02\0\0\0\x05\0\0\0\x01\0\0\0\x02\0\0\0\x03", Family::Ipv4);
    let counts = vec![Counts { seeders: 1, completed: 2, leechers: 3 }];
    assert_eq!(scrape, Ok(Response::Scrape { transaction_id: 5, counts }));
}

#[test]
fn url_data_is_put_together_from_its_parts() {
    let mut datagram = [0; 98];
    datagram[11] = 1;
    let url_data = |options: &[u8]| match Request::decode(&[&datagram[..], options].concat()) {
        Ok(Request::Announce(announce)) => Ok(announce.url_data),
        Ok(_) => unreachable!("action 1 is an announce"),
        Err(error) => Err(error),
    };
    assert_eq!(url_data(b"").unwrap(), b"");
    assert_eq!(url_data(b"\x02\x01/\x01\x02\x02ab\0\x02\x09ignored").unwrap(), b"/ab");
    assert_eq!(url_data(b"\x07\x02xx\x02\x01/").unwrap(), b"/", "an option of another kind is passed over");
    assert_eq!(url_data(b"\x02\x05ab"), Err(RequestError::Short { length: 102 }));
    assert_eq!(url_data(b"\x02"), Err(RequestError::Short { length: 99 }));
}

#[test]
fn each_defect_has_its_error() {
    let error = |datagram: &[u8]| Response::decode(datagram, Family::Ipv6).unwrap_err();
    assert_eq!(error(b""), ResponseError::Short { length: 0 });
    assert_eq!(error(b"\0\0\0\0\0\0\0\x01short"), ResponseError::Short { length: 13 });
    assert_eq!(error(b"\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0"), ResponseError::Short { length: 19 });
    assert_eq!(error(b"\0\0\0\x02\0\0\0\x01\0\0\0\0"), ResponseError::Short { length: 12 });
    assert_eq!(error(b"\0\0\0\x04\0\0\0\x01"), ResponseError::Action { action: 4 });
    let v4_peer_over_v6 = b"\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\x7f\0\0\x01\x1a\xe1";
    assert_eq!(error(v4_peer_over_v6), ResponseError::Peers(compact_error(6, 18)));

    let error = |datagram: &[u8]| Request::decode(datagram).unwrap_err();
    assert_eq!(error(&[0; 16]), RequestError::Protocol { id: 0 });
    assert_eq!(error(b"\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0"), RequestError::Action { action: 9 });
    let mut announce = [0; 98];
    announce[11] = 1;
    announce[83] = 4;
    assert_eq!(error(&announce), RequestError::Event { event: 4 });
    assert_eq!(error(&announce[..97]), RequestError::Short { length: 97 });
}

fn compact_error(length: usize, entry: usize) -> crate::compact::Error {
    crate::compact::Error { length, entry }
}
