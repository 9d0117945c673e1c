//! Magnet links: a swarm's info-hash with hints on where to ask for it.
//!
//! BEP 9 (`xt`, `dn`, `tr`, `x.pe`), BEP 52 (`urn:btmh`). Other parameters, such as BEP 53's `so`, are ignored.

use std::{collections::HashSet, fmt, net::SocketAddr, str::FromStr};

use percent_encoding::percent_decode_str;

use crate::{InfoHash, InfoHashV2, info_hash};

/// The multihash code of SHA-256 and its length in bytes, as hex.
const SHA2_256: &str = "1220";
/// Characters of a host name (RFC 1035).
const HOST_NAME_MAX: usize = 253;

/// A magnet link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// Names the swarm: `urn:btih`, or else `urn:btmh` truncated.
    pub info_hash: InfoHash,
    /// `urn:btmh`.
    pub info_hash_v2: Option<InfoHashV2>,
    /// `dn`, percent-decoded, bytes that are not UTF-8 replaced.
    pub name: Option<String>,
    /// `tr` and `tr.N`, in order, repeats left out.
    pub trackers: Vec<String>,
    /// `x.pe`, in order, repeats left out.
    pub peers: Vec<PeerName>,
    /// `x.pe` that name nobody who can be connected to.
    pub peers_left_out: usize,
}

/// What an `x.pe` names: an address, or a host that is to be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerName {
    /// `192.0.2.1:6881` or `[2001:db8::1]:6881`.
    Address(SocketAddr),
    /// `peer.example.org:6881`.
    Host {
        /// The name, lower-case.
        name: String,
        /// The port, above 0.
        port: u16,
    },
}

/// A text that names no peer of the internet: no port, no sound host name, or a name of another network (I2P, Tor).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a peer is ADDRESS:PORT or HOST:PORT")]
pub struct NoPeer;

impl FromStr for PeerName {
    type Err = NoPeer;

    fn from_str(text: &str) -> Result<Self, NoPeer> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (name, port) = text.rsplit_once(':').ok_or(NoPeer)?;
        let port = port.parse().ok().filter(|&port| port > 0).ok_or(NoPeer)?;
        let name = name.to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let labels = name.strip_suffix('.').unwrap_or(&name).split('.');
        let of_another_network = [".i2p", ".onion"].iter().any(|ending| name.ends_with(ending));
        if name.len() > HOST_NAME_MAX || of_another_network || !labels.clone().all(is_label) {
            return Err(NoPeer);
        }
        Ok(Self::Host { name, port })
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl From<SocketAddr> for PeerName {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

/// A text that is no magnet link for a swarm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two info-hashes of one kind.
    #[error("the magnet link names two different {0} hashes; one link is for one torrent")]
    Ambiguous(&'static str),
    /// An info-hash that cannot be read.
    #[error("the magnet link's {urn} hash cannot be read: {source}")]
    InfoHash {
        /// `btih` or `btmh`.
        urn: &'static str,
        /// What is wrong with it.
        source: info_hash::Error,
    },
    /// A hash of another kind than SHA-256.
    #[error("the magnet link's btmh hash must begin with 1220, for SHA-256")]
    Multihash,
    /// No info-hash.
    #[error("the magnet link has no xt=urn:btih:… or xt=urn:btmh:…")]
    NoInfoHash,
    /// Another kind of text.
    #[error("a magnet link begins with magnet:?")]
    Scheme,
}

impl FromStr for Magnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (mut v1, mut v2) = (None, None);
        let (mut name, mut trackers) = (None, Vec::<String>::new());
        let (mut peers, mut peers_left_out) = (Vec::<PeerName>::new(), 0);
        for (key, value) in parameters(text)? {
            match key {
                "xt" => topic(&decode(value), &mut v1, &mut v2)?,
                // Links made by web forms write a space in a name as a plus.
                "dn" => name = name.or(Some(decode(&value.replace('+', " ")))),
                "tr" => trackers.push(decode(value).trim().to_owned()),
                "x.pe" => match decode(value).trim().parse() {
                    Ok(peer) => peers.push(peer),
                    Err(NoPeer) => peers_left_out += 1,
                },
                _ => {}
            }
        }
        let mut seen = HashSet::new();
        trackers.retain(|tracker| !tracker.is_empty() && seen.insert(tracker.clone()));
        let mut seen = HashSet::new();
        peers.retain(|peer| seen.insert(peer.clone()));
        let info_hash = v1.or(v2.map(|hash| hash.truncated())).ok_or(Error::NoInfoHash)?;
        let name = name.filter(|name| !name.is_empty());
        Ok(Self { info_hash, info_hash_v2: v2, name, trackers, peers, peers_left_out })
    }
}

/// Keys without their number (`tr.1` is `tr`), and values still encoded.
fn parameters(text: &str) -> Result<impl Iterator<Item = (&str, &str)>, Error> {
    let (scheme, query) = text.trim().split_once(":?").ok_or(Error::Scheme)?;
    if !scheme.eq_ignore_ascii_case("magnet") {
        return Err(Error::Scheme);
    }
    Ok(query.split('&').filter_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        // Links copied out of HTML source have `&amp;` between their parameters.
        let key = key.strip_prefix("amp;").unwrap_or(key);
        let numbered = key.split_once('.').filter(|(_, number)| number.bytes().all(|b| b.is_ascii_digit()));
        Some((numbered.map_or(key, |(key, _)| key), value))
    }))
}

/// Reads an `xt`; one for another network is ignored.
fn topic(urn: &str, v1: &mut Option<InfoHash>, v2: &mut Option<InfoHashV2>) -> Result<(), Error> {
    let mut parts = urn.splitn(3, ':');
    let (Some(scheme), Some(kind), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(());
    };
    if !scheme.eq_ignore_ascii_case("urn") {
        return Ok(());
    }
    if kind.eq_ignore_ascii_case("btih") {
        let hash = hash.parse().map_err(|source| Error::InfoHash { urn: "btih", source })?;
        return settle(v1, hash, "btih");
    }
    if kind.eq_ignore_ascii_case("btmh") {
        let digest = hash.strip_prefix(SHA2_256).ok_or(Error::Multihash)?;
        let hash = digest.parse().map_err(|source| Error::InfoHash { urn: "btmh", source })?;
        return settle(v2, hash, "btmh");
    }
    Ok(())
}

fn settle<T: Copy + PartialEq>(slot: &mut Option<T>, hash: T, urn: &'static str) -> Result<(), Error> {
    if *slot.get_or_insert(hash) == hash { Ok(()) } else { Err(Error::Ambiguous(urn)) }
}

fn decode(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    const V1: &str = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a";
    const V2: &str = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";

    fn error(text: &str) -> String {
        text.parse::<Magnet>().unwrap_err().to_string()
    }

    #[test]
    fn every_known_parameter_is_read() {
        let link = format!(
            "magnet:?xt=urn:btih:{V1}&dn=a+b%20%E2%82%AC%2B&tr=http%3A%2F%2Ft.example%2Fa%3Fk%3D1%2B2&tr.1=udp://u.example:80\
             &tr=udp%3A%2F%2Fu.example%3A80&x.pe=127.0.0.1:6881&x.pe=%5B::1%5D:1&x.pe=Host.example:5&x.pe=abc.b32.i2p:1&x.pe=host:0&x.pe=x&x.pe=host.example:5&so=1-2&unknown&xl=5"
        );
        let magnet: Magnet = link.parse().unwrap();
        assert_eq!(magnet.info_hash.to_string(), V1);
        assert_eq!(magnet.info_hash_v2, None);
        assert_eq!(magnet.name.as_deref(), Some("a b €+"));
        assert_eq!(magnet.trackers, ["http://t.example/a?k=1+2", "udp://u.example:80"]);
        let host = PeerName::Host { name: "host.example".to_owned(), port: 5 };
        let address = |text: &str| PeerName::Address(text.parse().unwrap());
        assert_eq!(magnet.peers, [address("127.0.0.1:6881"), address("[::1]:1"), host]);
        assert_eq!(magnet.peers_left_out, 3);
    }

    #[test]
    fn a_v2_link_is_watched_by_its_truncated_hash_and_a_hybrid_one_by_v1() {
        let v2: Magnet = format!("magnet:?xt=urn:btmh:1220{V2}").parse().unwrap();
        assert_eq!(Some(v2.info_hash.to_string().as_str()), V2.get(..40));
        assert_eq!(v2.info_hash_v2.map(|hash| hash.to_string()).as_deref(), Some(V2));
        let hybrid: Magnet =
            format!("MAGNET:?xt.1=urn:btmh:1220{V2}&amp;xt.2=URN:BTIH:{V1}&xt=urn:sha1:x").parse().unwrap();
        assert_eq!(hybrid.info_hash.to_string(), V1);
        assert_eq!(hybrid.info_hash_v2, v2.info_hash_v2);
    }

    #[test]
    fn each_defect_has_its_error() {
        assert_eq!(error("http://example.com"), "a magnet link begins with magnet:?");
        assert_eq!(error("magnet:xt=urn:btih:a"), "a magnet link begins with magnet:?");
        assert_eq!(error("magnet:?dn=x"), "the magnet link has no xt=urn:btih:… or xt=urn:btmh:…");
        assert_eq!(error("magnet:?xt=urn:sha1:x"), "the magnet link has no xt=urn:btih:… or xt=urn:btmh:…");
        assert_eq!(
            error("magnet:?xt=urn:btih:abc"),
            "the magnet link's btih hash cannot be read: an info-hash has 40 (hex) or 32 (base32) characters, not 3"
        );
        assert_eq!(
            error(&format!("magnet:?xt=urn:btmh:1114{V1}")),
            "the magnet link's btmh hash must begin with 1220, for SHA-256"
        );
        assert_eq!(
            error("magnet:?xt=urn:btmh:122000"),
            "the magnet link's btmh hash cannot be read: an info-hash has 64 (hex) characters, not 2"
        );
        assert_eq!(
            error(&format!("magnet:?xt=urn:btih:{V1}&xt=urn:btih:{}", V1.replace('a', "b"))),
            "the magnet link names two different btih hashes; one link is for one torrent"
        );
    }

    proptest! {
        #[test]
        fn a_peer_is_named_as_it_is_read(text in "[a-zA-Z0-9.:\\[\\]_-]{0,40}") {
            if let Ok(peer) = text.parse::<PeerName>() {
                prop_assert_eq!(peer.to_string().parse(), Ok(peer));
            }
        }

        #[test]
        fn links_round_trip(
            v1: [u8; 20], v2 in proptest::option::of(any::<[u8; 32]>()), name in "[^+]{1,20}",
            trackers in proptest::collection::btree_set("[!-~]{1,20}", 0..4), peers: Vec<(IpAddr, u16)>,
        ) {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let trackers: Vec<String> = trackers.into_iter().collect();
            let mut seen = HashSet::new();
            let peers: Vec<PeerName> = peers.into_iter().map(|peer| SocketAddr::from(peer).into()).collect();
            let peers: Vec<_> = peers.into_iter().filter(|peer| seen.insert(peer.clone())).collect();
            let mut parameters = vec![format!("xt=urn:btih:{}", InfoHash(v1)), format!("dn={}", encode(&name))];
            parameters.extend(v2.map(|v2| format!("xt=urn:btmh:1220{}", InfoHashV2(v2))));
            parameters.extend(trackers.iter().map(|tracker| format!("tr={}", encode(tracker))));
            parameters.extend(peers.iter().map(|peer| format!("x.pe={peer}")));
            let link = format!("magnet:?{}", parameters.join("&"));
            let info_hash_v2 = v2.map(InfoHashV2);
            let magnet = Magnet {
                info_hash: InfoHash(v1), info_hash_v2, name: Some(name), trackers, peers, peers_left_out: 0,
            };
            prop_assert_eq!(link.parse(), Ok(magnet));
        }

        #[test]
        fn any_text_never_panics(text in "(magnet:\\?)?([a-z.]{0,3}=[a-z0-9:%&+]{0,20}&?|\\PC{0,9}){0,4}") {
            if let Ok(magnet) = text.parse::<Magnet>() {
                prop_assert!(text.contains("xt"), "{:?}", magnet);
            }
        }
    }
}
