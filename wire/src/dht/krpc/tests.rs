//! KRPC: messages round trip; cut, changed or any bytes do no harm.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::dht::bloom;

fn node_id() -> impl Strategy<Value = NodeId> {
    any::<[u8; 20]>().prop_map(NodeId)
}

fn want() -> impl Strategy<Value = Option<Want>> {
    prop_oneof![
        Just(None),
        Just(Some(Want { ipv4: true, ipv6: false })),
        Just(Some(Want { ipv4: false, ipv6: true })),
        Just(Some(Want { ipv4: true, ipv6: true })),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let hash = || any::<[u8; 20]>().prop_map(InfoHash);
    prop_oneof![
        (hash(), any::<bool>(), any::<u16>(), any::<bool>(), vec(any::<u8>(), 0..TOKEN_MAX)).prop_map(
            |(info_hash, implied_port, port, seed, token)| Query::AnnouncePeer {
                info_hash,
                implied_port,
                port,
                seed,
                token
            }
        ),
        (node_id(), want()).prop_map(|(target, want)| Query::FindNode { target, want }),
        (hash(), any::<bool>(), want()).prop_map(|(info_hash, scrape, want)| Query::GetPeers {
            info_hash,
            scrape,
            want
        }),
        Just(Query::Ping),
        (node_id(), want()).prop_map(|(target, want)| Query::SampleInfohashes { target, want }),
        ("[a-z]{1,12}x", option::of(node_id()))
            .prop_map(|(method, target)| Query::Unknown { method: method.into_bytes(), target }),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let v4 = |(id, ip, port): (NodeId, [u8; 4], u16)| NodeInfo { id, address: (ip, port).into() };
    let v6 = |(id, ip, port): (NodeId, [u8; 16], u16)| NodeInfo { id, address: (ip, port).into() };
    let filter = || vec(any::<u8>(), bloom::LEN).prop_map(|bytes| Bloom::from_bytes(&bytes).unwrap());
    let samples = (vec(any::<[u8; 20]>(), 0..20), any::<Option<u64>>(), any::<Option<u64>>()).prop_map(
        |(hashes, num, interval_s)| Samples {
            info_hashes: hashes.into_iter().map(InfoHash).collect(),
            num,
            interval_s,
        },
    );
    (
        (node_id(), vec((node_id(), any::<[u8; 4]>(), any::<u16>()), 0..9)),
        vec((node_id(), any::<[u8; 16]>(), any::<u16>()), 0..9),
        vec((any::<std::net::IpAddr>(), any::<u16>()), 0..50),
        option::of(vec(any::<u8>(), 0..TOKEN_MAX)),
        option::of((filter(), filter())),
        option::of(samples),
    )
        .prop_map(move |((id, nodes4), nodes6, values, token, scrape, samples)| Response {
            id,
            nodes: nodes4.into_iter().map(v4).chain(nodes6.into_iter().map(v6)).collect(),
            values: values.into_iter().map(SocketAddr::from).collect(),
            token,
            scrape: scrape.map(|(seeds, peers)| Scrape { seeds, peers }),
            samples,
        })
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop_oneof![
        (any::<i64>(), "\\PC{0,40}").prop_map(|(code, text)| Body::Error { code, text }),
        (node_id(), any::<bool>(), query()).prop_map(|(id, read_only, query)| Body::Query {
            id,
            read_only,
            query
        }),
        (any::<Option<(std::net::IpAddr, u16)>>(), response()).prop_map(|(external, response)| {
            Body::Response { external: external.map(SocketAddr::from), response }
        }),
    ];
    (vec(any::<u8>(), 0..TRANSACTION_MAX), option::of(vec(any::<u8>(), 0..VERSION_MAX)), body)
        .prop_map(|(transaction, version, body)| Message { transaction, version, body })
}

proptest! {
    #[test]
    fn messages_round_trip(message in message()) {
        prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes: Vec<u8>) {
        prop_assert!(Message::decode(&bytes).is_err() || bytes.first() == Some(&b'd'));
    }

    #[test]
    fn a_message_cut_or_changed_does_no_harm(message in message(), at: prop::sample::Index, byte: u8) {
        let mut bytes = message.encode();
        prop_assert!(Message::decode(&bytes[..at.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
    }
}

const A: NodeId = NodeId(*b"abcdefghij0123456789");
const M: &[u8] = b"mnopqrstuvwxyz123456";

/// The examples of BEP 5, which are written with our key order.
#[test]
fn the_examples_of_bep_5() {
    let m = NodeId(M.try_into().unwrap());
    let query = |query| Body::Query { id: A, read_only: false, query };
    let response = |response| Body::Response { external: None, response };
    let examples = [
        ("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", query(Query::Ping)),
        ("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", response(Response::new(m))),
        (
            "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
            query(Query::FindNode { target: m, want: None }),
        ),
        (
            "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
            query(Query::GetPeers { info_hash: InfoHash(m.0), scrape: false, want: None }),
        ),
        (
            "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
            response(Response {
                token: Some(b"aoeusnth".to_vec()),
                values: vec![
                    "97.120.106.101:11893".parse().unwrap(),
                    "105.100.104.116:28269".parse().unwrap(),
                ],
                ..Response::new(A)
            }),
        ),
        (
            "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e\
             5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
            query(Query::AnnouncePeer {
                info_hash: InfoHash(m.0),
                implied_port: true,
                port: 6881,
                seed: false,
                token: b"aoeusnth".to_vec(),
            }),
        ),
        (
            "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
            Body::Error { code: 201, text: "A Generic Error Ocurred".to_owned() },
        ),
    ];
    for (text, body) in examples {
        let message = Message { transaction: b"aa".to_vec(), version: None, body };
        assert_eq!(Message::decode(text.as_bytes()).as_ref(), Ok(&message), "{text}");
        assert_eq!(message.encode(), text.as_bytes());
    }
}

#[test]
fn a_read_only_node_says_so_where_bep_43_wants_it() {
    let body = Body::Query { id: A, read_only: true, query: Query::Ping };
    let message = Message { transaction: b"aa".to_vec(), version: Some(b"ST01".to_vec()), body };
    let text = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:v4:ST011:y1:qe";
    assert_eq!(message.encode(), text.as_bytes());
}

/// Samples by defect: what is told of each.
#[test]
fn malformed_messages_are_told_apart() {
    let id = "2:id20:abcdefghij0123456789";
    let samples = [
        ("not_bencode", "hello".to_owned(), "bencode: the byte 0x68 at 0 begins no value"),
        ("a_list", "le".to_owned(), "KRPC: \"t\" is missing or is not as it should be"),
        (
            "no_transaction",
            format!("d1:ad{id}e1:q4:ping1:y1:qe"),
            "KRPC: \"t\" is missing or is not as it should be",
        ),
        ("no_kind", "d1:t2:aae".to_owned(), "KRPC: \"y\" is missing or is not as it should be"),
        ("kind_unknown", "d1:t2:aa1:y1:xe".to_owned(), "KRPC: \"y\" is missing or is not as it should be"),
        (
            "no_id",
            "d1:ade1:q4:ping1:t2:aa1:y1:qe".to_owned(),
            "KRPC: \"id\" is missing or is not as it should be",
        ),
        (
            "id_short",
            "d1:rd2:id3:abce1:t2:aa1:y1:re".to_owned(),
            "KRPC: \"id\" is missing or is not as it should be",
        ),
        (
            "response_no_dict",
            "d1:rle1:t2:aa1:y1:re".to_owned(),
            "KRPC: \"r\" is missing or is not as it should be",
        ),
        (
            "nodes_torn",
            format!("d1:rd{id}5:nodes3:abce1:t2:aa1:y1:re"),
            "KRPC: \"nodes\" is missing or is not as it should be",
        ),
        (
            "samples_torn",
            format!("d1:rd{id}7:samples3:abce1:t2:aa1:y1:re"),
            "KRPC: \"samples\" is missing or is not as it should be",
        ),
        (
            "error_no_list",
            "d1:e3:no!1:t2:aa1:y1:ee".to_owned(),
            "KRPC: \"e\" is missing or is not as it should be",
        ),
        (
            "key_twice",
            "d1:t2:aa1:rde1:t2:bb1:y1:re".to_owned(),
            "KRPC: \"t\" is missing or is not as it should be",
        ),
        ("nested_deep", "l".repeat(10_000), "bencode: nested deeper than 64 levels at byte 64"),
    ];
    for (defect, datagram, told) in samples {
        assert_eq!(Message::decode(datagram.as_bytes()).unwrap_err().to_string(), told, "{defect}");
    }
}

/// What clients get wrong without harm.
#[test]
fn odd_fields_count_as_absent() {
    let id = "2:id20:abcdefghij0123456789";
    let read = |values: &str| {
        let datagram = format!("d2:ip3:abc1:rd{values}e1:t2:aa1:y1:re");
        let Body::Response { external, response } = Message::decode(datagram.as_bytes()).unwrap().body else {
            panic!("{datagram} is no response")
        };
        assert_eq!(external, None);
        response
    };
    let plain = Response::new(A);
    assert_eq!(read(&format!("4:BFsd3:abc{id}5:tokeni7e")), plain);
    assert_eq!(read(&format!("{id}6:valuesi7e")), plain);
    // A peer of three bytes is no peer, the next one is.
    let peers = vec!["97.120.106.101:11893".parse().unwrap()];
    assert_eq!(read(&format!("{id}6:valuesl3:abci7e6:axje.ue")), Response { values: peers, ..plain });
}
