//! HTTP(S) requests to trackers: URL → body, over one address family, within bounds of time, size and redirects.
//!
//! BEP 3. Redirects are followed here rather than by the client, so that each hop's address is checked.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{Client, StatusCode, header::LOCATION, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use schema::table::{Family, RequestOutcome};
use tokio::time::timeout;
use url::{Host, Url};
use wire::tracker::http::{ResponseError, decode_announce};

use super::{
    host::{FamilyResolver, HostError, family_of},
    trouble::Trouble,
};
use crate::address::AddressPolicy;

const USER_AGENT: &str = concat!("swarmtally/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For the whole request, redirects and a dripping body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(45);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 5;
/// Of the body, unpacked: 200 peers in dictionaries are about 20 KiB, a scrape of 40 swarms about 4 KiB.
const BODY_BYTES_MAX: usize = 1 << 20;

/// HTTP clients for both families.
pub struct HttpTrackers {
    ipv4: Client,
    ipv6: Client,
    policy: Arc<AddressPolicy>,
    request_timeout: Duration,
}

impl HttpTrackers {
    /// Clients that connect from `bind`'s address of each family, where it has one.
    pub fn new(policy: Arc<AddressPolicy>, bind: &[IpAddr]) -> Result<Self, reqwest::Error> {
        // An error says that a provider is installed already, which is as good.
        ring::default_provider().install_default().ok();
        let client = |family: Family| {
            let local = bind.iter().copied().find(|ip| family_of(*ip) == family);
            client(family, &policy, local)
        };
        let (ipv4, ipv6) = (client(Family::Ipv4)?, client(Family::Ipv6)?);
        Ok(Self { ipv4, ipv6, policy, request_timeout: REQUEST_TIMEOUT })
    }

    /// Gets the body behind `url` over `family`.
    pub async fn get(&self, url: Url, family: Family) -> Result<Vec<u8>, Trouble> {
        match timeout(self.request_timeout, self.follow(url, family)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Trouble::timed_out(self.request_timeout)),
        }
    }

    async fn follow(&self, mut url: Url, family: Family) -> Result<Vec<u8>, Trouble> {
        let client = match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        };
        for _hop in 0..=REDIRECTS_MAX {
            check_literal(&url, family, &self.policy)?;
            let response = client.get(url.clone()).send().await?;
            if !response.status().is_redirection() {
                return body(response).await;
            }
            url = redirected(&url, &response)?;
        }
        Err(Trouble::new(RequestOutcome::HttpStatus, format!("more than {REDIRECTS_MAX} redirects")))
    }
}

fn client(
    family: Family,
    policy: &Arc<AddressPolicy>,
    local: Option<IpAddr>,
) -> Result<Client, reqwest::Error> {
    let builder = || {
        Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .dns_resolver(FamilyResolver { family, policy: Arc::clone(policy) })
            .local_address(local)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(2)
            .http1_only()
            .referer(false)
            .no_proxy()
    };
    builder().build().or_else(|error| {
        tracing::warn!("https trackers cannot be asked, their certificates cannot be checked: {error}");
        let roots = RootCertStore::empty();
        builder()
            .tls_backend_preconfigured(
                ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
            )
            .build()
    })
}

/// Checks a host that is written as an address; names are checked when they are resolved.
fn check_literal(url: &Url, family: Family, policy: &AddressPolicy) -> Result<(), Trouble> {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    if family_of(ip) != family {
        let words = format!("redirected to {ip} while asking over {family}");
        return Err(Trouble::new(RequestOutcome::ConnectionFailed, words));
    }
    policy.check(ip).map_err(|reason| HostError::NotAllowed { host: ip.to_string(), ip, reason }.into())
}

fn redirected(from: &Url, response: &reqwest::Response) -> Result<Url, Trouble> {
    let status = response.status();
    let trouble = |words: &str| Trouble::new(RequestOutcome::HttpStatus, format!("{status}, {words}"));
    let location = response.headers().get(LOCATION).ok_or_else(|| trouble("and it does not say where to"))?;
    let location = String::from_utf8_lossy(location.as_bytes());
    let url =
        from.join(&location).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| trouble("to what is no web address"))
}

async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, Trouble> {
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Trouble::new(RequestOutcome::Malformed, "the answer is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    if status == StatusCode::OK {
        return Ok(body);
    }
    // Some trackers give their reason beside a status of their own.
    let words = match decode_announce(&body) {
        Err(ResponseError::Failure(words)) => format!("{status}: {words}"),
        _ => status.to_string(),
    };
    Err(Trouble::new(RequestOutcome::HttpStatus, words))
}

#[cfg(test)]
mod tests;
