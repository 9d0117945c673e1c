//! The bencode guard: each defect by name, depth without recursion, raw slices, and any bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn kind(bytes: &[u8]) -> &'static str {
    match check(bytes) {
        Ok(()) => "ok",
        Err(Error::DuplicateKey { .. }) => "duplicate key",
        Err(Error::Integer { .. }) => "integer",
        Err(Error::Key { .. }) => "key",
        Err(Error::Length { .. }) => "length",
        Err(Error::TooDeep { .. }) => "too deep",
        Err(Error::Trailing { .. }) => "trailing",
        Err(Error::Truncated { .. }) => "truncated",
        Err(Error::Type(_)) => "type",
        Err(Error::Unexpected { .. }) => "unexpected",
    }
}

#[test]
fn each_defect_has_its_name() {
    let cases: &[(&str, &str)] = &[
        ("i0e", "ok"),
        ("i-1e", "ok"),
        ("i99999999999999999999999999e", "ok"),
        ("0:", "ok"),
        ("de", "ok"),
        ("le", "ok"),
        ("d1:bi1e1:ai2ee", "ok"),
        ("i+5e", "integer"),
        ("i-0e", "integer"),
        ("i03e", "integer"),
        ("i00e", "integer"),
        ("i-e", "integer"),
        ("ie", "integer"),
        ("i1 e", "integer"),
        ("i5", "truncated"),
        ("", "truncated"),
        ("d", "truncated"),
        ("l", "truncated"),
        ("3:ab", "truncated"),
        ("3", "truncated"),
        ("03:abc", "length"),
        ("3abc", "length"),
        ("99999999999999999999:a", "length"),
        ("18446744073709551615:a", "length"),
        ("9223372036854775807:a", "truncated"),
        ("-1:a", "unexpected"),
        ("e", "unexpected"),
        ("x", "unexpected"),
        ("i1ei2e", "trailing"),
        ("dee", "trailing"),
        ("di1ei2ee", "key"),
        ("dlei2ee", "key"),
        ("d1:ae", "key"),
        ("d1:ai1e1:ai2ee", "duplicate key"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(kind(bytes.as_bytes()), *expected, "{bytes}");
    }
}

#[test]
fn a_hundred_thousand_levels_are_an_error_and_no_overflow() {
    for opening in ["l", "d1:a"] {
        assert_eq!(kind(opening.repeat(100_000).as_bytes()), "too deep");
    }
    let nested = |depth| "l".repeat(depth) + &"e".repeat(depth);
    assert_eq!(kind(nested(MAX_DEPTH).as_bytes()), "ok");
    assert_eq!(kind(nested(MAX_DEPTH + 1).as_bytes()), "too deep");
}

#[test]
fn raw_values_are_the_bytes_as_they_stand() {
    let torrent = b"d4:infod1:zi1e1:ai2ee1:ai3ee";
    assert_eq!(raw_value(torrent, b"info"), Some(&b"d1:zi1e1:ai2ee"[..]));
    assert_eq!(raw_value(torrent, b"none"), None);
    assert_eq!(raw_value(b"le", b"info"), None);
}

#[test]
fn a_key_twice_with_another_between_is_found_at_lookup() {
    let dict = parse(b"d1:bi1e1:ai2e1:bi3ee").unwrap().as_dict().unwrap();
    assert!(matches!(dict.get(b"b"), Err(Error::DuplicateKey { .. })));
    assert_eq!(dict.get(b"a").unwrap().and_then(|value| value.as_i64()), Some(2));
}

#[test]
fn numbers_that_do_not_fit_are_absent() {
    let value = |text| parse(text).unwrap();
    assert_eq!(value(b"i-1e").as_u64(), None);
    assert_eq!(value(b"i-1e").as_i64(), Some(-1));
    assert_eq!(value(b"i18446744073709551615e").as_i64(), None);
    assert_eq!(value(b"i18446744073709551615e").as_u64(), Some(u64::MAX));
    assert_eq!(value(b"i18446744073709551616e").as_u64(), None);
    assert_eq!(value(b"1:5").as_u64(), None);
}

/// Sound bencode of moderate depth.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| format!("i{number}e").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| string(&bytes)),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let keyed = proptest::collection::btree_map(
            proptest::collection::vec(any::<u8>(), 0..6),
            inner.clone(),
            0..6,
        );
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|items| [
                b"l".to_vec(),
                items.concat(),
                b"e".to_vec()
            ]
            .concat()),
            keyed.prop_map(|entries| {
                let body = entries.into_iter().flat_map(|(key, value)| [string(&key), value]);
                [b"d".to_vec(), body.collect::<Vec<_>>().concat(), b"e".to_vec()].concat()
            }),
        ]
    })
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

/// Writes a view out again.
fn rewrite(value: Value<'_>) -> Vec<u8> {
    if let Some(bytes) = value.as_bytes() {
        return string(bytes);
    }
    if let Some(list) = value.as_list() {
        let items: Vec<_> = list.into_iter().map(rewrite).collect();
        return [b"l".to_vec(), items.concat(), b"e".to_vec()].concat();
    }
    if let Some(dict) = value.as_dict() {
        let entries: Vec<_> =
            dict.into_iter().flat_map(|(key, value)| [string(key), rewrite(value)]).collect();
        return [b"d".to_vec(), entries.concat(), b"e".to_vec()].concat();
    }
    value.raw().to_vec()
}

proptest! {
    #[test]
    fn views_reach_every_byte(bytes in sound()) {
        let value = parse(&bytes).unwrap();
        prop_assert_eq!(rewrite(value), bytes);
    }

    #[test]
    fn every_truncation_is_an_error(bytes in sound()) {
        for length in 0..bytes.len() {
            prop_assert_eq!(kind(&bytes[..length]), "truncated");
        }
    }

    #[test]
    fn bytes_after_the_value_are_kept_apart(bytes in sound(), after: Vec<u8>) {
        let both = [bytes.clone(), after.clone()].concat();
        let (value, rest) = parse_prefix(&both).unwrap();
        prop_assert_eq!((value.raw(), rest), (&bytes[..], &after[..]));
        prop_assert_eq!(check(&both).is_ok(), after.is_empty());
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(
        prop_oneof![3 => proptest::sample::select(b"dlie0123:-".to_vec()), 1 => any::<u8>()], 0..200)) {
        if let Ok(value) = parse(&bytes) {
            prop_assert_eq!(rewrite(value), bytes);
        }
    }

    #[test]
    fn typed_values_round_trip(
        map in proptest::collection::btree_map("\\PC{0,5}", proptest::collection::vec(any::<i64>(), 0..5), 0..5),
    ) {
        let bytes = to_bytes(&map).unwrap();
        prop_assert_eq!(from_bytes::<BTreeMap<String, Vec<i64>>>(&bytes), Ok(map));
    }
}
