//! Which addresses may be contacted: public unicast ones outside `--exclude`, others only with `--allow-private`.
//!
//! Follows the IANA special-purpose address registries (RFC 6890 and its updates). An IPv6 address that embeds an IPv4
//! one (mapped, NAT64, 6to4, Teredo) is judged by that one as well, so that it opens no way around.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use ipnet::IpNet;

/// Why an address is not contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Within a network of `--exclude`.
    #[error("the address is excluded")]
    Excluded,
    /// Port 0 names no service.
    #[error("port 0 cannot be contacted")]
    PortZero,
    /// Of a special-purpose range.
    #[error("the address is {}", .0.as_str())]
    Special(Special),
}

/// The special-purpose ranges, grouped by what contacting them would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// For benchmarks (RFC 2544, RFC 5180).
    Benchmarking,
    /// For examples in texts (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// Valid on one link only (RFC 3927, RFC 4291).
    LinkLocal,
    /// This machine (RFC 1122, RFC 4291).
    Loopback,
    /// Many machines at once (RFC 1112, RFC 4291).
    Multicast,
    /// Networks of their own (RFC 1918, unique local RFC 4193, site-local).
    Private,
    /// Assigned to no host, or to a protocol's own use.
    Reserved,
    /// A carrier's network address translation (RFC 6598).
    Shared,
    /// No address at all: `0.0.0.0/8` and `::`.
    Unspecified,
}

impl Special {
    /// The word used in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Benchmarking => "for benchmarking",
            Self::Documentation => "for documentation",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Multicast => "multicast",
            Self::Private => "private",
            Self::Reserved => "reserved",
            Self::Shared => "shared (carrier-grade NAT)",
            Self::Unspecified => "unspecified",
        }
    }

    /// Whether `--allow-private` lifts the ban: a host may stand there in a network of one's own.
    fn is_liftable(self) -> bool {
        !matches!(self, Self::Multicast | Self::Reserved | Self::Unspecified)
    }
}

/// A line of the `--exclude` file that is no network, or a file that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ExcludeError {
    /// The file could not be read.
    #[error("cannot read the networks to exclude from {path}: {source}")]
    Unreadable {
        /// The file as the user named it.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Some lines are no networks; all of them, one a line.
    #[error("{}", .0.join("\n"))]
    BadLines(Vec<String>),
}

/// Decides which addresses may be contacted.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allow_private: bool,
    excluded_v4: Ranges,
    excluded_v6: Ranges,
}

impl AddressPolicy {
    /// A policy; `exclude` is refused whatever `allow_private` says.
    pub fn new(allow_private: bool, exclude: &[IpNet]) -> Self {
        let v4 = exclude.iter().filter_map(|net| match net {
            IpNet::V4(net) => {
                Some((u128::from(net.network().to_bits()), u128::from(net.broadcast().to_bits())))
            }
            IpNet::V6(_) => None,
        });
        let v6 = exclude.iter().filter_map(|net| match net {
            IpNet::V4(_) => None,
            IpNet::V6(net) => Some((net.network().to_bits(), net.broadcast().to_bits())),
        });
        Self { allow_private, excluded_v4: Ranges::new(v4.collect()), excluded_v6: Ranges::new(v6.collect()) }
    }

    /// Whether `ip` may be contacted.
    pub fn check(&self, ip: IpAddr) -> Result<(), NotAllowed> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.check_v4(ip),
            IpAddr::V6(ip) => self.check_v6(ip),
        }
    }

    /// Whether `address` may be contacted: as [`Self::check`], and not port 0.
    pub fn check_endpoint(&self, address: SocketAddr) -> Result<(), NotAllowed> {
        if address.port() == 0 {
            return Err(NotAllowed::PortZero);
        }
        self.check(address.ip())
    }

    fn check_v4(&self, ip: Ipv4Addr) -> Result<(), NotAllowed> {
        if self.excluded_v4.contain(u128::from(ip.to_bits())) {
            return Err(NotAllowed::Excluded);
        }
        self.judge(special_v4(ip))
    }

    fn check_v6(&self, ip: Ipv6Addr) -> Result<(), NotAllowed> {
        if self.excluded_v6.contain(ip.to_bits()) {
            return Err(NotAllowed::Excluded);
        }
        self.judge(special_v6(ip))?;
        embedded_v4(ip).into_iter().flatten().try_for_each(|ip| self.check_v4(ip))
    }

    fn judge(&self, special: Option<Special>) -> Result<(), NotAllowed> {
        match special {
            Some(special) if !(self.allow_private && special.is_liftable()) => {
                Err(NotAllowed::Special(special))
            }
            _ => Ok(()),
        }
    }
}

/// Reads the `--exclude` file: an address or a CIDR a line, `#` begins a comment.
pub fn read_exclude(path: &Path) -> Result<Vec<IpNet>, ExcludeError> {
    let shown = path.display().to_string();
    let bytes = fs::read(path).map_err(|source| ExcludeError::Unreadable { path: shown.clone(), source })?;
    parse_exclude(&shown, &String::from_utf8_lossy(&bytes))
}

fn parse_exclude(shown: &str, text: &str) -> Result<Vec<IpNet>, ExcludeError> {
    let mut networks = Vec::new();
    let mut bad = Vec::new();
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        match parse_network(entry) {
            Some(network) => networks.push(network),
            None => bad.push(format!(
                "{shown}:{number}: {entry:?} is no network; write an address or a CIDR such as 203.0.113.0/24"
            )),
        }
    }
    if bad.is_empty() { Ok(networks) } else { Err(ExcludeError::BadLines(bad)) }
}

fn parse_network(entry: &str) -> Option<IpNet> {
    entry.parse().ok().or_else(|| entry.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Disjoint closed ranges in ascending order.
#[derive(Clone, Debug, Default)]
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn new(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }

    fn contain(&self, value: u128) -> bool {
        let after = self.0.partition_point(|&(start, _)| start <= value);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|&(_, end)| value <= end)
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<Special> {
    let [a, b, c, _] = ip.octets();
    Some(match (a, b, c) {
        (0, ..) => Special::Unspecified,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Special::Private,
        (100, 64..=127, _) => Special::Shared,
        (127, ..) => Special::Loopback,
        (169, 254, _) => Special::LinkLocal,
        // IETF protocol assignments, AS112, AMT, 6to4 relays, future use: no peer lives there.
        (192, 0, 0) | (192, 31, 196) | (192, 52, 193) | (192, 88, 99) | (192, 175, 48) | (240.., ..) => {
            Special::Reserved
        }
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Special::Documentation,
        (198, 18..=19, _) => Special::Benchmarking,
        (224..=239, ..) => Special::Multicast,
        _ => return None,
    })
}

fn special_v6(ip: Ipv6Addr) -> Option<Special> {
    Some(match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Special::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Special::Loopback,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Special::Private,
        [0xfe80..=0xfebf, ..] => Special::LinkLocal,
        [0xff00..=0xffff, ..] => Special::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Special::Documentation,
        [0x2001, 2, 0, ..] => Special::Benchmarking,
        // 2001::/23 is for protocols; of it, Teredo (2001::/32) is judged by the addresses it embeds, as is NAT64.
        [0x2001, 1..=0x01ff, ..] | [0x2620, 0x004f, 0x8000, ..] => Special::Reserved,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2000..=0x3fff, ..] => return None,
        _ => Special::Reserved,
    })
}

/// The IPv4 addresses that packets to `ip` would end at, for NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380).
fn embedded_v4(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let join = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => [join(high, low), None],
        [0x2001, 0, server_high, server_low, _, _, client_high, client_low] => {
            [join(server_high, server_low), join(!client_high, !client_low)]
        }
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests;
