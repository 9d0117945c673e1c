//! Hidden addresses: pseudonyms depend on address and key alone, prefixes, and texts that spell addresses.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{
    InfoHash, Timestamp,
    table::{Request, RequestKind, RequestOutcome, Run, RunEvent, Sighting, sample::any_event},
};

fn key() -> Key {
    Key::new([7; 32])
}

fn concealer(addresses: Addresses) -> Concealer {
    Concealer::new(addresses, key(), Places::default()).unwrap()
}

fn concealed(concealer: &mut Concealer, row: impl Into<Row>) -> Vec<Row> {
    let mut rows = Vec::new();
    concealer.conceal(Event { time: Timestamp(1), row: row.into() }, |event| rows.push(event.row));
    rows
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn sighting(source: Source, endpoint: Option<&str>, address: &str) -> Sighting {
    let endpoint = endpoint.map(str::to_owned);
    Sighting { info_hash: InfoHash([1; 20]), source, endpoint, ip: ip(address), port: 6881, flags: None }
}

#[test]
fn a_pseudonym_depends_on_the_address_and_the_key_alone() {
    let pseudonym = key().pseudonym(ip("192.0.2.1"));
    assert_eq!(key().pseudonym(ip("::ffff:192.0.2.1")), pseudonym);
    assert!(pseudonym.to_string().starts_with("fd04:"), "{pseudonym}");
    assert!(key().pseudonym(ip("2001:db8::1")).to_string().starts_with("fd06:"));
    assert_ne!(Key::new([8; 32]).pseudonym(ip("192.0.2.1")), pseudonym);
    assert_eq!(key().pseudonym(ip("::")), ip("::"), "nobody's address is no secret");
    // The formula is a promise: another version or program with the same key must find the same pseudonym.
    assert_eq!(pseudonym, ip("fd04:e593:e0e:be34:ff69:eb8a:1bef:d69a"));
}

#[test]
fn the_network_is_a_24_or_a_48() {
    assert_eq!(prefix(ip("192.0.2.255")), "192.0.2.0/24");
    assert_eq!(prefix(ip("::ffff:192.0.2.255")), "192.0.2.0/24");
    assert_eq!(prefix(ip("2001:db8:1:2::3")), "2001:db8:1::/48");
}

#[test]
fn an_address_is_told_of_once_and_before_its_first_row() {
    let mut prefixes = concealer(Addresses::Prefix);
    let row = sighting(Source::TrackerHttp, Some("http://192.0.2.9/announce"), "8.8.8.8");
    let rows = concealed(&mut prefixes, row.clone());
    let [Row::Address(address), Row::Sighting(seen)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(address.ip, seen.ip);
    assert_eq!((address.prefix.as_deref(), address.country.as_deref()), (Some("8.8.8.0/24"), Some("US")));
    assert_eq!(seen.endpoint, row.endpoint, "a tracker is no peer");
    assert_eq!(concealed(&mut prefixes, row.clone()).len(), 1);
    prefixes.begin();
    assert_eq!(concealed(&mut prefixes, row.clone()).len(), 2);

    let rows = concealed(&mut concealer(Addresses::Pseudonym), row);
    let [Row::Address(address), Row::Sighting(same)] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((address.prefix.as_deref(), address.country.as_deref()), (None, Some("US")));
    assert_eq!(same.ip, address.ip);
}

#[test]
fn whoever_named_or_answered_is_hidden_and_stays_the_same() {
    let mut concealer = concealer(Addresses::Pseudonym);
    let node = "192.0.2.7:6881";
    let rows = concealed(&mut concealer, sighting(Source::Dht, Some(node), "192.0.2.7"));
    let Some(Row::Sighting(seen)) = rows.last() else { panic!("{rows:?}") };
    let hidden = format!("[{}]:6881", key().pseudonym(ip("192.0.2.7")));
    assert_eq!(seen.endpoint.as_deref(), Some(hidden.as_str()));
    let request = Request {
        info_hash: InfoHash([1; 20]),
        source: Source::Dht,
        endpoint: node.to_owned(),
        family: None,
        kind: RequestKind::GetPeers,
        duration_us: 1,
        outcome: RequestOutcome::Failure,
        error: Some("no token for 192.0.2.8".to_owned()),
        peers: None,
        interval_s: None,
        seeders: None,
        leechers: None,
        downloaded: None,
    };
    let rows = concealed(&mut concealer, request);
    let Some(Row::Request(asked)) = rows.last() else { panic!("{rows:?}") };
    assert_eq!(asked.endpoint, hidden);
    let named = format!("no token for {}", key().pseudonym(ip("192.0.2.8")));
    assert_eq!(asked.error.as_deref(), Some(named.as_str()));
}

#[test]
fn a_run_s_own_addresses_are_pseudonyms_that_still_name_it() {
    let config = r#"{"bind":["192.0.2.1"],"listen":[6881,"192.0.2.1:7000","[::]:1"],"addresses":"prefix"}"#;
    let run = Run {
        event: RunEvent::Started,
        vantage: "ams-1".to_owned(),
        version: "0.1.0".to_owned(),
        config: config.to_owned(),
        reason: None,
    };
    let rows = concealed(&mut concealer(Addresses::Prefix), run);
    let [Row::Run(run)] = rows.as_slice() else { panic!("{rows:?}") };
    let own = key().pseudonym(ip("192.0.2.1"));
    let expected =
        format!(r#"{{"bind":["{own}"],"listen":[6881,"[{own}]:7000","[::]:1"],"addresses":"prefix"}}"#);
    assert_eq!(run.config, expected);
}

/// The address a row is about.
fn address_of(row: &Row) -> Option<IpAddr> {
    match row {
        Row::Contact(row) => Some(row.ip),
        Row::Hostname(row) => Some(row.ip),
        Row::Progress(row) => Some(row.ip),
        Row::Sighting(row) => Some(row.ip),
        _ => None,
    }
}

proptest! {
    #[test]
    fn no_row_shows_its_address_and_identities_stay(events in prop::collection::vec(any_event(), 1..40)) {
        let mut concealer = concealer(Addresses::Pseudonym);
        let mut known = HashMap::new();
        for mut event in events {
            let address = address_of(&event.row);
            let place = address.map(|ip| if ip.is_ipv4() { format!("{ip}:1") } else { format!("[{ip}]:1") });
            match &mut event.row {
                Row::Contact(row) => {
                    row.error = place.map(|place| format!("cannot connect to {place}"));
                    row.client = address.map(|ip| format!("client of {ip}"));
                }
                Row::Sighting(row) => (row.source, row.endpoint) = (Source::Pex, place),
                _ => {}
            }
            let mut shown = Vec::new();
            concealer.conceal(event, |event| shown.push(event));
            let Some(ip) = address else { continue };
            for event in &shown {
                let text = format!("{event:?}");
                prop_assert!(!text.contains(&ip.to_string()), "{text}");
            }
            if let Some(pseudonym) = shown.last().and_then(|event| address_of(&event.row)) {
                prop_assert_eq!(*known.entry(ip).or_insert(pseudonym), pseudonym);
            }
        }
        let distinct: HashSet<_> = known.values().collect();
        prop_assert_eq!(distinct.len(), known.len());
    }
}
