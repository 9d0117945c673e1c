//! A tracker's host: its name → addresses of both families that may be contacted.
//!
//! The policy is asked for every address a name resolves to, each time, so that no name leads to a private network.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use schema::table::Family;
use tokio::{
    net::lookup_host,
    sync::Mutex,
    time::{Instant, timeout},
};
use url::{Host, Url};

use crate::{
    address::{AddressPolicy, NotAllowed},
    clock::Clock,
};

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
const ADDRESSES_VALID: Duration = Duration::from_mins(10);
const ERROR_VALID: Duration = Duration::from_secs(30);

/// Why a host cannot be contacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// It has addresses of the family, and none may be contacted.
    #[error("{host} is {ip}: {reason}")]
    NotAllowed {
        /// The host of the URL.
        host: String,
        /// One of its addresses.
        ip: IpAddr,
        /// Why that one may not be contacted.
        reason: NotAllowed,
    },
    /// It has no address.
    #[error("{host} does not resolve: {reason}")]
    Unresolved {
        /// The host of the URL.
        host: String,
        /// The resolver's words.
        reason: String,
    },
}

/// What a lookup gave.
type Found = Result<Arc<[SocketAddr]>, HostError>;

/// The host of a tracker, looked up when it is needed and kept for a while.
#[derive(Debug)]
pub struct TrackerHost {
    host: String,
    port: u16,
    kept: Mutex<Option<(Instant, Found)>>,
}

impl TrackerHost {
    /// The host of `url`; none if the URL names no host or port.
    pub fn of(url: &Url) -> Option<Self> {
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        Some(Self { host, port: url.port_or_known_default()?, kept: Mutex::new(None) })
    }

    /// The addresses of `family` that may be contacted; none at all where the host lives in the other family alone.
    pub async fn addresses(
        &self,
        family: Family,
        policy: &AddressPolicy,
        clock: &Clock,
    ) -> Result<Vec<SocketAddr>, HostError> {
        let all = self.lookup(clock).await?;
        let of_family: Vec<SocketAddr> =
            all.iter().copied().filter(|a| family_of(a.ip()) == family).collect();
        allowed(&self.host, of_family, policy)
    }

    /// Forgets the addresses, so that the next use looks them up again.
    pub async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    async fn lookup(&self, clock: &Clock) -> Found {
        let mut kept = self.kept.lock().await;
        if let Some((until, found)) = &*kept
            && clock.instant() < *until
        {
            return found.clone();
        }
        let found = lookup(&self.host, self.port).await.map(Arc::from);
        let valid = if found.is_ok() { ADDRESSES_VALID } else { ERROR_VALID };
        *kept = Some((clock.instant() + valid, found.clone()));
        found
    }
}

/// The family of an address; an IPv4-mapped one is IPv4.
pub fn family_of(ip: IpAddr) -> Family {
    if ip.to_canonical().is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

/// Those of `addresses` that may be contacted; an error if there are some and none may.
fn allowed(
    host: &str,
    addresses: Vec<SocketAddr>,
    policy: &AddressPolicy,
) -> Result<Vec<SocketAddr>, HostError> {
    let mut refused = None;
    let mut allowed = Vec::with_capacity(addresses.len());
    for address in addresses {
        match policy.check(address.ip()) {
            Ok(()) => allowed.push(address),
            Err(reason) => refused = Some((address.ip(), reason)),
        }
    }
    match refused {
        Some((ip, reason)) if allowed.is_empty() => {
            Err(HostError::NotAllowed { host: host.to_owned(), ip, reason })
        }
        _ => Ok(allowed),
    }
}

/// Whether a name is the machine's own, of which no resolver needs to be asked (RFC 6761, section 6.3).
fn is_localhost(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Every address of a host, each once.
pub(crate) async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, HostError> {
    if is_localhost(host) {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let unresolved = |reason: String| HostError::Unresolved { host: host.to_owned(), reason };
    let found = match timeout(LOOKUP_TIMEOUT, lookup_host((host, port))).await {
        Ok(found) => found.map_err(|error: io::Error| unresolved(error.to_string()))?,
        Err(_elapsed) => return Err(unresolved("no answer within 10 s".to_owned())),
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port())) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(addresses) }
}

/// What an HTTP client of one family resolves names with: a redirect gets nowhere that the policy forbids.
pub struct FamilyResolver {
    /// The only family it gives addresses of.
    pub family: Family,
    /// What it lets through.
    pub policy: Arc<AddressPolicy>,
}

impl Resolve for FamilyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (family, policy) = (self.family, Arc::clone(&self.policy));
        Box::pin(async move {
            let host = name.as_str();
            let mut addresses = lookup(host, 0).await?;
            addresses.retain(|address| family_of(address.ip()) == family);
            let allowed = allowed(host, addresses, &policy)?;
            if allowed.is_empty() {
                let reason = format!("it has no {family} address");
                return Err(HostError::Unresolved { host: host.to_owned(), reason }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(url: &str) -> TrackerHost {
        TrackerHost::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn a_url_must_name_host_and_port() {
        assert_eq!(host("http://tracker.example/announce").port, 80);
        assert_eq!(host("https://tracker.example/announce").port, 443);
        assert_eq!(host("udp://[::1]:6969/announce").host, "::1");
        assert!(TrackerHost::of(&Url::parse("udp://tracker.example/announce").unwrap()).is_none());
        assert!(TrackerHost::of(&Url::parse("file:///announce").unwrap()).is_none());
    }

    #[tokio::test]
    async fn private_addresses_are_refused_by_name_and_by_number() {
        let (clock, strict, lenient) =
            (Clock::start(), AddressPolicy::default(), AddressPolicy::new(true, &[]));
        // The numbers are spellings of 127.0.0.1 that the system's resolver understands.
        for url in ["http://localhost/announce", "udp://127.0.0.1:1", "udp://127.1:1", "http://2130706433/"] {
            let refused = host(url).addresses(Family::Ipv4, &strict, &clock).await;
            assert!(matches!(refused, Err(HostError::NotAllowed { .. })), "{url}: {refused:?}");
            assert!(!host(url).addresses(Family::Ipv4, &lenient, &clock).await.unwrap().is_empty(), "{url}");
        }
    }

    #[tokio::test]
    async fn the_machine_itself_has_both_families_whatever_its_resolver_says() {
        for name in ["localhost", "LOCALHOST.", "tracker.localhost"] {
            let found = lookup(name, 7).await.unwrap();
            assert_eq!(found, ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse().unwrap()], "{name}");
        }
        assert!(!is_localhost("notlocalhost") && !is_localhost("localhost.example"));
    }

    #[tokio::test]
    async fn a_host_of_one_family_has_nothing_in_the_other() {
        let (clock, policy) = (Clock::start(), AddressPolicy::new(true, &[]));
        assert_eq!(host("udp://127.0.0.1:1").addresses(Family::Ipv6, &policy, &clock).await, Ok(vec![]));
        assert_eq!(
            host("udp://[::1]:1").addresses(Family::Ipv6, &policy, &clock).await,
            Ok(vec!["[::1]:1".parse().unwrap()])
        );
    }
}
