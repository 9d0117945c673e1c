//! Extension messages: round trips, hostile bytes, and a real client's handshake.

use proptest::{option, prelude::*};

use super::*;

fn handshake() -> impl Strategy<Value = ExtendedHandshake> {
    (
        proptest::collection::btree_map("[a-z_]{0,12}", any::<u8>(), 0..5),
        option::of("\\PC{0,40}"),
        (option::of(any::<u16>()), option::of(any::<u32>()), option::of(any::<u32>())),
        option::of(any::<bool>()),
        (option::of(any::<IpAddr>()), option::of(any::<Ipv4Addr>()), option::of(any::<Ipv6Addr>())),
    )
        .prop_map(|(m, v, (p, reqq, metadata_size), upload_only, (yourip, ipv4, ipv6))| {
            ExtendedHandshake { m, v, p, reqq, metadata_size, upload_only, yourip, ipv4, ipv6 }
        })
}

fn metadata() -> impl Strategy<Value = UtMetadata> {
    prop_oneof![
        any::<u32>().prop_map(|piece| UtMetadata::Request { piece }),
        any::<u32>().prop_map(|piece| UtMetadata::Reject { piece }),
        (any::<u32>(), option::of(any::<u32>()), any::<Vec<u8>>())
            .prop_map(|(piece, total_size, bytes)| UtMetadata::Data { piece, total_size, bytes }),
        (3..i64::MAX).prop_map(|msg_type| UtMetadata::Unknown { msg_type }),
    ]
}

proptest! {
    #[test]
    fn handshakes_round_trip(handshake in handshake()) {
        let payload = handshake.encode();
        prop_assert_eq!(bencode::check(&payload), Ok(()));
        for length in 0..payload.len() {
            prop_assert!(ExtendedHandshake::decode(&payload[..length]).is_err());
        }
        prop_assert_eq!(ExtendedHandshake::decode(&payload), Ok(handshake));
    }

    #[test]
    fn metadata_messages_round_trip(message in metadata()) {
        prop_assert_eq!(UtMetadata::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn any_bytes_never_panic(bytes: Vec<u8>, message in metadata(), cut: prop::sample::Index) {
        assert!(ExtendedHandshake::decode(&bytes).map_or(true, |handshake| handshake.v.is_none_or(|v| v.len() <= 256)));
        let payload = message.encode();
        let cut = cut.index(payload.len());
        let changed = [&payload[..cut], &bytes].concat();
        if let Ok(message) = UtMetadata::decode(&changed) {
            prop_assert_eq!(UtMetadata::decode(&message.encode()), Ok(message));
        }
    }
}

#[test]
fn real_handshake_is_read() {
    let payload = b"d1:ei0e4:ipv44:\x7f\0\0\x0112:complete_agoi1e1:md11:lt_donthavei7e11:ut_metadatai2e6:ut_pexi1ee\
        13:metadata_sizei1024e1:pi51413e4:reqqi512e11:upload_onlyi1e1:v17:Transmission 3.006:yourip4:\x0a\0\0\x02e";
    let handshake = ExtendedHandshake::decode(payload).unwrap();
    assert_eq!(handshake.v.as_deref(), Some("Transmission 3.00"));
    assert_eq!(handshake.id_of(UT_METADATA), Some(2));
    assert_eq!(handshake.id_of("ut_holepunch"), None);
    assert_eq!((handshake.p, handshake.reqq, handshake.metadata_size), (Some(51413), Some(512), Some(1024)));
    assert_eq!(handshake.upload_only, Some(true));
    assert_eq!(handshake.yourip, Some("10.0.0.2".parse().unwrap()));
    assert_eq!(handshake.ipv4, Some("127.0.0.1".parse().unwrap()));
}

#[test]
fn fields_of_the_wrong_type_are_absent() {
    let payload = b"d1:mle13:metadata_sizei-1e1:pi65536e4:reqq3:abc11:upload_only3:yes1:vi5e6:yourip3:abce";
    assert_eq!(ExtendedHandshake::decode(payload), Ok(ExtendedHandshake::default()));
    let payload = b"d1:md1:a1:b1:ci300e2:\xff\xfei1e6:ut_pexi0eee";
    let handshake = ExtendedHandshake::decode(payload).unwrap();
    assert_eq!(handshake.m, BTreeMap::from([("ut_pex".to_owned(), 0)]));
    assert_eq!(handshake.id_of(UT_PEX), None, "0 turns an extension off");
}

#[test]
fn a_giant_name_is_cut() {
    let name = "ü".repeat(1000);
    let handshake = ExtendedHandshake { v: Some(name), ..ExtendedHandshake::default() };
    let decoded = ExtendedHandshake::decode(&handshake.encode()).unwrap();
    assert_eq!(decoded.v.map(|v| v.len()), Some(256));
}

#[test]
fn each_defect_has_its_error() {
    let error = |payload: &[u8]| UtMetadata::decode(payload).map_err(|e| e.to_string()).unwrap_err();
    assert_eq!(error(b"le"), "bencode: a ut_metadata message is no dictionary");
    assert_eq!(error(b"d5:piecei0ee"), "bencode: a ut_metadata message has no sound \"msg_type\"");
    assert_eq!(error(b"d8:msg_typei1ee"), "bencode: a ut_metadata message has no sound \"piece\"");
    assert_eq!(error(b"d8:msg_typei1e5:piecei-1ee"), "bencode: a ut_metadata message has no sound \"piece\"");
}
