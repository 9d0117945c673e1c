//! Local service discovery (BEP 14): an announcement of swarms to everybody on the network, by UDP multicast.
//!
//! ```text
//! BT-SEARCH * HTTP/1.1\r\n
//! Host: 239.192.152.143:6771\r\n        the group it is sent to
//! Port: 6881\r\n                        where the sender listens for peers
//! Infohash: 40 hex digits\r\n           once or more
//! cookie: opaque\r\n                    by which a sender knows its own
//! \r\n\r\n
//! ```
//! Deviations that are taken: names in any case, spaces around values, a missing `Host`, `cookie` or empty line, line ends
//! without `\r`. A datagram holds 1,400 bytes at most.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use crate::InfoHash;

/// The group of IPv4.
pub const GROUP_V4: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 192, 152, 143), PORT);
/// The group of IPv6.
pub const GROUP_V6: SocketAddrV6 =
    SocketAddrV6::new(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f), PORT, 0, 0);
/// The port of both.
const PORT: u16 = 6771;

/// Bytes of an announcement (BEP 14).
pub const BYTES_MAX: usize = 1400;
/// Swarms of an announcement that fit into [`BYTES_MAX`] beside the longest of the other lines.
pub const SWARMS_MAX: usize = 22;
/// Bytes of a cookie that are taken.
const COOKIE_MAX: usize = 64;

/// An announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Where the sender listens for peers; above 0.
    pub port: u16,
    /// The swarms it is in, at least one.
    pub info_hashes: Vec<InfoHash>,
    /// What the sender wrote to know its own announcements by.
    pub cookie: Option<String>,
}

/// A datagram that is no announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No swarm is named.
    #[error("no line is a sound Infohash")]
    NoInfoHash,
    /// No port is named, or one nobody can listen on.
    #[error("no line is a sound Port")]
    NoPort,
    /// It begins with something else, or is no text.
    #[error("it does not begin with BT-SEARCH")]
    NotBtSearch,
    /// It is longer than an announcement may be.
    #[error("it is longer than {BYTES_MAX} bytes")]
    TooLong,
}

impl Announcement {
    /// Reads a datagram. Lines that cannot be read are passed over; the first of several ports or cookies counts.
    pub fn decode(datagram: &[u8]) -> Result<Self, Error> {
        if datagram.len() > BYTES_MAX {
            return Err(Error::TooLong);
        }
        let text = str::from_utf8(datagram).map_err(|_not_text| Error::NotBtSearch)?;
        let mut lines = text.split('\n').map(str::trim);
        let method = lines.next().and_then(|line| line.split(' ').next()).unwrap_or_default();
        if !method.eq_ignore_ascii_case("BT-SEARCH") {
            return Err(Error::NotBtSearch);
        }
        let (mut port, mut info_hashes, mut cookie) = (None, Vec::new(), None);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("port") {
                port = port.or_else(|| value.parse().ok().filter(|&port| port > 0));
            } else if name.eq_ignore_ascii_case("infohash") && value.len() == 40 {
                info_hashes.extend(value.parse::<InfoHash>().ok());
            } else if name.eq_ignore_ascii_case("cookie") && value.len() <= COOKIE_MAX {
                cookie = cookie.or_else(|| Some(value.to_owned()));
            }
        }
        if info_hashes.is_empty() {
            return Err(Error::NoInfoHash);
        }
        Ok(Self { port: port.ok_or(Error::NoPort)?, info_hashes, cookie })
    }

    /// The datagram for a group.
    pub fn encode(&self, group: SocketAddr) -> Vec<u8> {
        let mut text = format!("BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: {}\r\n", self.port);
        // Writing to a string cannot fail.
        for info_hash in &self.info_hashes {
            write!(text, "Infohash: {info_hash}\r\n").ok();
        }
        if let Some(cookie) = &self.cookie {
            write!(text, "cookie: {cookie}\r\n").ok();
        }
        text.push_str("\r\n\r\n");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn announcement() -> impl Strategy<Value = Announcement> {
        let info_hashes = vec(any::<[u8; 20]>().prop_map(InfoHash), 1..=SWARMS_MAX);
        (1..=u16::MAX, info_hashes, option::of("[!-~]{1,64}"))
            .prop_map(|(port, info_hashes, cookie)| Announcement { port, info_hashes, cookie })
    }

    proptest! {
        #[test]
        fn announcements_round_trip_within_their_length(announcement in announcement()) {
            for group in [SocketAddr::V4(GROUP_V4), SocketAddr::V6(GROUP_V6)] {
                let datagram = announcement.encode(group);
                prop_assert!(datagram.len() <= BYTES_MAX);
                prop_assert_eq!(Announcement::decode(&datagram), Ok(announcement.clone()));
            }
        }

        #[test]
        fn any_bytes_never_panic(bytes: Vec<u8>, announcement in announcement(), cut: prop::sample::Index) {
            Announcement::decode(&bytes).ok();
            let datagram = announcement.encode(SocketAddr::V4(GROUP_V4));
            Announcement::decode(&[&datagram[..cut.index(datagram.len())], &bytes].concat()).ok();
        }
    }

    #[test]
    fn the_announcements_of_real_clients_are_read() {
        let hash = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
        // libtorrent
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: {hash}\r\ncookie: 1a2b3c\r\n\r\n\r\n"
        );
        let read = Announcement::decode(text.as_bytes()).unwrap();
        assert_eq!((read.port, read.cookie.as_deref()), (6881, Some("1a2b3c")));
        assert_eq!(read.info_hashes, [hash.parse().unwrap()]);
        assert_eq!(read.encode(SocketAddr::V4(GROUP_V4)), text.as_bytes());
        // Transmission writes upper-case digits and no cookie.
        let text =
            format!("BT-SEARCH * HTTP/1.1\nPORT:51413\nInfoHash:  {}\nInfohash: zz\n", hash.to_uppercase());
        let read = Announcement::decode(text.as_bytes()).unwrap();
        assert_eq!(
            read,
            Announcement { port: 51413, info_hashes: vec![hash.parse().unwrap()], cookie: None }
        );
    }

    #[test]
    fn each_defect_has_its_error() {
        let error = |datagram: &[u8]| Announcement::decode(datagram).unwrap_err();
        assert_eq!(error(b""), Error::NotBtSearch);
        assert_eq!(error(b"M-SEARCH * HTTP/1.1\r\n"), Error::NotBtSearch);
        assert_eq!(error(b"BT-SEARCH\xff"), Error::NotBtSearch);
        assert_eq!(error(b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\n\r\n"), Error::NoInfoHash);
        let hash = format!("Infohash: {}", "ab".repeat(20));
        assert_eq!(error(format!("BT-SEARCH\n{hash}\nPort: 0\nPort: 65536\n").as_bytes()), Error::NoPort);
        assert_eq!(error(&[b'a'; BYTES_MAX + 1]), Error::TooLong);
    }
}
