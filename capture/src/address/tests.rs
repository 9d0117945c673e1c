//! Which addresses may be contacted.

use proptest::prelude::*;

use super::*;

fn check(policy: &AddressPolicy, ip: &str) -> Result<(), NotAllowed> {
    policy.check(ip.parse().unwrap())
}

/// First and last address of every special-purpose range, by the IANA registries of IPv4 and IPv6.
const SPECIAL: &[(&str, &str, Special)] = &[
    ("0.0.0.0", "0.255.255.255", Special::Unspecified),
    ("10.0.0.0", "10.255.255.255", Special::Private),
    ("100.64.0.0", "100.127.255.255", Special::Shared),
    ("127.0.0.0", "127.255.255.255", Special::Loopback),
    ("169.254.0.0", "169.254.255.255", Special::LinkLocal),
    ("172.16.0.0", "172.31.255.255", Special::Private),
    ("192.0.0.0", "192.0.0.255", Special::Reserved),
    ("192.0.2.0", "192.0.2.255", Special::Documentation),
    ("192.31.196.0", "192.31.196.255", Special::Reserved),
    ("192.52.193.0", "192.52.193.255", Special::Reserved),
    ("192.88.99.0", "192.88.99.255", Special::Reserved),
    ("192.168.0.0", "192.168.255.255", Special::Private),
    ("192.175.48.0", "192.175.48.255", Special::Reserved),
    ("198.18.0.0", "198.19.255.255", Special::Benchmarking),
    ("198.51.100.0", "198.51.100.255", Special::Documentation),
    ("203.0.113.0", "203.0.113.255", Special::Documentation),
    ("224.0.0.0", "239.255.255.255", Special::Multicast),
    ("240.0.0.0", "255.255.255.255", Special::Reserved),
    ("::", "::", Special::Unspecified),
    ("::1", "::1", Special::Loopback),
    ("::2", "::fffe:ffff:ffff", Special::Reserved),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("100::", "100:0:0:1:ffff:ffff:ffff:ffff", Special::Reserved),
    ("2001:1::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Special::Benchmarking),
    ("2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("2001:10::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("2001:100::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Special::Documentation),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Documentation),
    ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Private),
    ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Reserved),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::LinkLocal),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Private),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Special::Multicast),
];

#[test]
fn special_purpose_ranges_are_refused_from_first_to_last_address() {
    let policy = AddressPolicy::new(false, &[]);
    for &(first, last, special) in SPECIAL {
        assert_eq!(check(&policy, first), Err(NotAllowed::Special(special)), "{first}");
        assert_eq!(check(&policy, last), Err(NotAllowed::Special(special)), "{last}");
    }
}

#[test]
fn neighbours_of_the_ranges_are_allowed() {
    let policy = AddressPolicy::new(false, &[]);
    for ip in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "203.0.114.0",
        "223.255.255.255",
        "2000::",
        "2001:200::",
        "2001:db7::1",
        "2001:db9::1",
        "2620:4f:8001::1",
        "2a00::1",
        "3ffe::1",
        "3fff:1000::",
    ] {
        assert_eq!(check(&policy, ip), Ok(()), "{ip}");
    }
}

#[test]
fn allow_private_lifts_what_a_network_of_ones_own_can_hold() {
    let policy = AddressPolicy::new(true, &[]);
    for ip in
        ["10.1.2.3", "127.3.2.1", "169.254.1.1", "100.64.0.1", "192.0.2.1", "198.18.0.1", "::1", "fd00::1"]
    {
        assert_eq!(check(&policy, ip), Ok(()), "{ip}");
    }
    for ip in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "192.0.0.1", "100::1"] {
        assert!(check(&policy, ip).is_err(), "{ip}");
    }
}

#[test]
fn an_embedded_ipv4_address_is_judged_too() {
    let policy = AddressPolicy::new(false, &[]);
    for ip in [
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "2002:0a00:0001::1",
        "2002:7f00:0001::",
        // Teredo: server 10.0.0.1, then client 192.168.1.1 (inverted).
        "2001:0:0a00:0001::f7f7:f7f7",
        "2001:0:0808:0808:0:0:3f57:fefe",
    ] {
        assert!(check(&policy, ip).is_err(), "{ip}");
    }
    for ip in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:0808:0808::1", "2001:0:0808:0808:0:0:f7f7:f7f7"] {
        assert_eq!(check(&policy, ip), Ok(()), "{ip}");
    }
    let excluding = AddressPolicy::new(true, &["8.8.8.0/24".parse().unwrap()]);
    for ip in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:0808:0808::1", "2001:0:0808:0808:0:0:fefe:fefe"] {
        assert_eq!(check(&excluding, ip), Err(NotAllowed::Excluded), "{ip}");
    }
}

#[test]
fn exclusion_wins_over_allow_private() {
    let nets: Vec<IpNet> =
        ["10.0.0.0/8", "10.1.0.0/16", "2a00:1450::/32", "9.9.9.9/32"].map(|net| net.parse().unwrap()).into();
    let policy = AddressPolicy::new(true, &nets);
    for ip in ["10.0.0.0", "10.1.2.3", "10.255.255.255", "2a00:1450::1", "9.9.9.9"] {
        assert_eq!(check(&policy, ip), Err(NotAllowed::Excluded), "{ip}");
    }
    for ip in ["11.0.0.0", "9.9.9.8", "9.9.9.10", "2a00:1451::", "127.0.0.1"] {
        assert_eq!(check(&policy, ip), Ok(()), "{ip}");
    }
}

#[test]
fn port_zero_is_refused() {
    let policy = AddressPolicy::new(true, &[]);
    assert_eq!(policy.check_endpoint("8.8.8.8:0".parse().unwrap()), Err(NotAllowed::PortZero));
    assert_eq!(policy.check_endpoint("8.8.8.8:1".parse().unwrap()), Ok(()));
}

#[test]
fn exclude_file_takes_addresses_networks_comments_and_windows_line_ends() {
    let text = "\u{feff}# ours\r\n192.0.2.1\r\n\r\n2001:db8::/32 # documentation\r\n10.1.2.3/8\n";
    let nets = parse_exclude("ours.txt", text).unwrap();
    assert_eq!(nets.len(), 3);
    let policy = AddressPolicy::new(true, &nets);
    assert_eq!(check(&policy, "10.200.0.1"), Err(NotAllowed::Excluded));
}

#[test]
fn exclude_file_names_every_bad_line() {
    let error = parse_exclude("ours.txt", "10.0.0.0/33\n8.8.8.8\nexample.org\n").unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"
    ours.txt:1: "10.0.0.0/33" is no network; write an address or a CIDR such as 203.0.113.0/24
    ours.txt:3: "example.org" is no network; write an address or a CIDR such as 203.0.113.0/24
    "#);
}

#[test]
fn a_missing_exclude_file_is_named() {
    let error = read_exclude(Path::new("no/such/file")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the networks to exclude from no/such/file: "), "{error}");
}

proptest! {
    #[test]
    fn ranges_agree_with_the_networks(nets in prop::collection::vec((any::<u32>(), 0u8..=32), 0..20), ip: u32) {
        let nets: Vec<IpNet> = nets
            .into_iter()
            .map(|(ip, prefix)| IpNet::new(IpAddr::V4(Ipv4Addr::from_bits(ip)), prefix).unwrap())
            .collect();
        let ip = IpAddr::V4(Ipv4Addr::from_bits(ip));
        let policy = AddressPolicy::new(true, &nets);
        let excluded = nets.iter().any(|net| net.contains(&ip));
        prop_assert_eq!(policy.check(ip) == Err(NotAllowed::Excluded), excluded);
    }

    #[test]
    fn every_address_has_a_verdict(ip: u128) {
        let policy = AddressPolicy::new(false, &[]);
        let lenient = AddressPolicy::new(true, &[]);
        let ip = IpAddr::V6(Ipv6Addr::from_bits(ip));
        prop_assert!(policy.check(ip).is_err() || lenient.check(ip).is_ok());
    }
}
