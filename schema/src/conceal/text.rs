//! Addresses in free text: errors of the system, words of trackers and peers, options of a run.
//!
//! Any text → the same text with every IP address replaced, however it is written (RFC 4291, RFC 5952), also as the name
//! by which its host name is asked for (RFC 1035, RFC 3596).

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4},
};

/// The longest text of an address (an IPv4-mapped one), and with a port.
const LONGEST: usize = 45 + 6;
/// The shortest, `::`.
const SHORTEST: usize = 2;
/// What the names of reverse lookups end with.
const REVERSE_V4: &str = ".in-addr.arpa";
const REVERSE_V6: &str = ".ip6.arpa";
/// The length of the 32 digits in front of it.
const LABELS: usize = 2 * 32 - 1;

/// Replaces every address that `replace` has something for.
///
/// Behind an IPv4 address a port stays, so that `1.2.3.4:5` becomes `[…]:5` where `replace` gives an IPv6 address.
/// Reading stays linear in the text's length.
pub fn replace_addresses<T: Replacement>(text: &str, replace: impl Fn(IpAddr) -> Option<T>) -> Cow<'_, str> {
    let mut replaced = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let Some((end, found)) = address_at(text, at) else {
            at += 1;
            continue;
        };
        let instead = match found {
            Found::Ip(ip) => replace(ip).map(|ip| ip.to_string()),
            Found::Endpoint(endpoint) => {
                replace(IpAddr::V4(*endpoint.ip())).map(|instead| instead.with_port(endpoint.port()))
            }
        };
        if let Some(instead) = instead {
            replaced.push_str(text.get(copied..at).unwrap_or_default());
            replaced.push_str(&instead);
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    replaced.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(replaced)
}

/// What may stand for an address.
pub trait Replacement: ToString {
    /// Its text in front of a port.
    fn with_port(&self, port: u16) -> String;
}

impl Replacement for IpAddr {
    fn with_port(&self, port: u16) -> String {
        SocketAddr::new(*self, port).to_string()
    }
}

impl Replacement for &str {
    fn with_port(&self, port: u16) -> String {
        format!("{self}:{port}")
    }
}

enum Found {
    Ip(IpAddr),
    Endpoint(SocketAddrV4),
}

/// The longest address that begins here, and where it ends.
fn address_at(text: &str, at: usize) -> Option<(usize, Found)> {
    let bytes = text.as_bytes();
    let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
    let rest = bytes.get(at..)?;
    if !is_word(before)
        && let Some((length, ip)) = text.get(at..).and_then(reverse_name)
    {
        return Some((at + length, Found::Ip(ip)));
    }
    let length = rest.iter().take(LONGEST).take_while(|byte| is_part(**byte)).count();
    if length < SHORTEST {
        return None;
    }
    (SHORTEST..=length).rev().find_map(|length| {
        let end = at + length;
        let after = bytes.get(end).copied();
        let found = parse(text.get(at..end)?)?;
        let stands_alone = match found {
            Found::Ip(IpAddr::V6(_)) => !is_word(before) && !is_word(after),
            // `v1.2.3.4` may be an address, `11.2.3.4` and `1.2.3.4.5` read from within are not.
            Found::Ip(IpAddr::V4(_)) | Found::Endpoint(_) => {
                !is_number(before) && !after.is_some_and(|after| after.is_ascii_digit())
            }
        };
        stands_alone.then_some((end, found))
    })
}

/// The address of the name of a reverse lookup that a text begins with, and where the name ends.
fn reverse_name(text: &str) -> Option<(usize, IpAddr)> {
    let first = text.bytes().next()?;
    let ends_with = |end: &str, labels: usize| {
        let name = text.get(..labels + end.len())?;
        name.get(labels..)?.eq_ignore_ascii_case(end).then_some(name.len())
    };
    if first.is_ascii_digit() {
        let longest = text.bytes().take("255.255.255.255".len());
        let labels = longest.take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        // The dot in front of the ending may have been taken for one of the address.
        let found = [labels, labels.saturating_sub(1)].into_iter().find_map(|labels| {
            let ip: Ipv4Addr = text.get(..labels)?.parse().ok()?;
            Some((ends_with(REVERSE_V4, labels)?, ip))
        });
        if let Some((length, ip)) = found {
            let [d, c, b, a] = ip.octets();
            return Some((length, Ipv4Addr::new(a, b, c, d).into()));
        }
    }
    let labels = first.is_ascii_hexdigit().then(|| text.as_bytes().get(..LABELS))??;
    let mut bits = 0_u128;
    for (place, byte) in labels.iter().enumerate() {
        if place % 2 == 1 {
            if *byte != b'.' {
                return None;
            }
            continue;
        }
        bits |= u128::from(char::from(*byte).to_digit(16)?) << (place * 2);
    }
    Some((ends_with(REVERSE_V6, LABELS)?, Ipv6Addr::from_bits(bits).into()))
}

fn parse(text: &str) -> Option<Found> {
    let first = text.bytes().next()?;
    if first.is_ascii_digit() {
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Some(Found::Ip(ip.into()));
        }
        if let Ok(endpoint) = text.parse::<SocketAddrV4>() {
            return Some(Found::Endpoint(endpoint));
        }
    }
    if !text.contains(':') {
        return None;
    }
    text.parse().ok().map(|ip| Found::Ip(IpAddr::V6(ip)))
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b':' || byte == b'.'
}

fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_number(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hidden(text: &str) -> String {
        replace_addresses(text, |ip| (!ip.is_unspecified()).then_some(IpAddr::V4(Ipv4Addr::BROADCAST)))
            .into_owned()
    }

    #[test]
    fn addresses_are_found_however_they_are_written() {
        for (text, expected) in [
            ("1.2.3.4", "255.255.255.255"),
            ("cannot reach 1.2.3.4:6881.", "cannot reach 255.255.255.255:6881."),
            ("[2001:db8::1]:80", "[255.255.255.255]:80"),
            ("peer:2001:DB8:0:0:0:0:0:1, gone", "peer:255.255.255.255, gone"),
            ("::ffff:1.2.3.4", "255.255.255.255"),
            ("(fe80::1%eth0)", "(255.255.255.255%eth0)"),
            ("ä1.2.3.4ö", "ä255.255.255.255ö"),
            (r#"["9.8.7.6:1","[::1]:2"]"#, r#"["255.255.255.255:1","[255.255.255.255]:2"]"#),
            ("v1.2.3.4, from 1.2.3.4.", "v255.255.255.255, from 255.255.255.255."),
            ("face:1.2.3.4", "face:255.255.255.255"),
            ("no name at 4.3.2.1.in-addr.arpa.", "no name at 255.255.255.255."),
            ("100.3.200.251.IN-ADDR.ARPA", "255.255.255.255"),
            ("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa?", "255.255.255.255?"),
        ] {
            assert_eq!(hidden(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in [
            "",
            "0.0.0.0:6881",
            "[::]:6881",
            "2026-11-24T21:39:47.123456Z",
            "std::io::Error",
            "version 0.1.0",
            "uTorrent 3.5.5.46090",
            "0123456789abcdef0123456789abcdef01234567",
            "1.2.3",
            "dead:beef",
        ] {
            assert_eq!(hidden(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_address_survives_between_any_words(
            before in "[ -/:-@g-z\\[\\]ä]{0,9}",
            after in "[ !-,/;-@g-z\\[\\]ä]{0,9}",
            v4 in any::<[u8; 4]>(),
            v6 in any::<[u16; 8]>(),
            is_v4 in any::<bool>(),
        ) {
            let ip = if is_v4 { IpAddr::from(v4) } else { IpAddr::from(v6) };
            prop_assume!(!ip.is_unspecified() && !is_word(before.bytes().last()) && !is_word(after.bytes().next()));
            prop_assume!(is_v4 || !before.ends_with(':'));
            let text = format!("{before}{ip}{after}");
            prop_assert!(!hidden(&text).contains(&ip.to_string()), "{text} → {}", hidden(&text));
        }

        #[test]
        fn names_of_reverse_lookups_are_addresses(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>()) {
            let [a, b, c, d] = v4;
            let name = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
            let found = std::cell::Cell::new(None);
            let find = |ip| { found.set(Some(ip)); Some("x") };
            prop_assert_eq!(replace_addresses(&name, find), "x");
            prop_assert_eq!(found.get(), Some(IpAddr::from(v4)));
            let nibbles = v6.iter().rev().map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            let name = format!("{}ip6.arpa", nibbles.collect::<String>());
            prop_assert_eq!(replace_addresses(&name, find), "x");
            prop_assert_eq!(found.get(), Some(IpAddr::from(v6)));
        }

        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            hidden(&text);
        }
    }
}
