//! One tracker and how it is asked: the same two questions, whatever carries them.

use std::{net::SocketAddr, sync::Arc};

use schema::table::{Family, RequestOutcome, Source};
use tokio::sync::SemaphorePermit;
use url::Url;
use wire::{
    InfoHash,
    tracker::{
        AnnounceRequest, AnnounceResponse, ScrapeEntry,
        http::{announce_url, decode_announce, decode_scrape, scrape_url},
        udp::MAX_SCRAPE,
    },
};

use super::{Shared, host::TrackerHost, trouble::Trouble};

/// Swarms in one HTTP scrape: about 3 KB of URL.
const HTTP_SCRAPE_MAX: usize = 40;

/// A tracker of the list.
#[derive(Debug)]
pub struct Tracker {
    /// The announce URL as the list has it.
    pub url: Arc<str>,
    /// Its host.
    pub host: TrackerHost,
    protocol: Protocol,
}

#[derive(Debug)]
enum Protocol {
    Http,
    /// With the URL's path and query (BEP 41).
    Udp(Vec<u8>),
}

/// Why a URL of the list is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableUrl {
    /// No host, or no port and none known for the scheme.
    #[error("it names no host and port")]
    NoHost,
    /// No URL.
    #[error("it is no URL: {0}")]
    NoUrl(#[from] url::ParseError),
    /// Of a kind that is not spoken.
    #[error("{0} trackers are not supported")]
    Scheme(String),
}

impl Tracker {
    /// The tracker behind an announce URL.
    pub fn new(url: &str) -> Result<Self, UnusableUrl> {
        let parsed = Url::parse(url)?;
        let protocol = match parsed.scheme() {
            "http" | "https" => Protocol::Http,
            "udp" => Protocol::Udp(url_data(&parsed)),
            other => return Err(UnusableUrl::Scheme(other.to_owned())),
        };
        let host = TrackerHost::of(&parsed).ok_or(UnusableUrl::NoHost)?;
        Ok(Self { url: url.into(), host, protocol })
    }

    /// The source its answers are counted under.
    pub fn source(&self) -> Source {
        match self.protocol {
            Protocol::Http => Source::TrackerHttp,
            Protocol::Udp(_) => Source::TrackerUdp,
        }
    }

    /// Swarms one scrape may ask about; 0 where the tracker's URL allows none (BEP 48).
    pub fn scrape_max(&self) -> usize {
        match self.protocol {
            Protocol::Http if scrape_url(&self.url, &[]).is_none() => 0,
            Protocol::Http => HTTP_SCRAPE_MAX,
            Protocol::Udp(_) => MAX_SCRAPE,
        }
    }

    /// Waits for a place among the HTTP requests under way; UDP, with its one socket, needs none.
    pub async fn place<'a>(&self, shared: &'a Shared) -> Option<SemaphorePermit<'a>> {
        match self.protocol {
            // The semaphore is never closed.
            Protocol::Http => shared.http_places.acquire().await.ok(),
            Protocol::Udp(_) => None,
        }
    }

    /// Announces over `family`; `address` is the one of the host's that UDP is to use.
    pub async fn announce(
        &self,
        shared: &Shared,
        family: Family,
        address: SocketAddr,
        request: AnnounceRequest,
    ) -> Result<AnnounceResponse, Trouble> {
        match &self.protocol {
            Protocol::Http => {
                let url = announce_url(&self.url, &request).map_err(|error| no_url(error.to_string()))?;
                let body = shared.http.get(url, family).await?;
                Ok(decode_announce(&body)?)
            }
            Protocol::Udp(url_data) => shared.udp.announce(address, request, url_data.clone()).await,
        }
    }

    /// Scrapes over `family`; the answer may lack swarms.
    pub async fn scrape(
        &self,
        shared: &Shared,
        family: Family,
        address: SocketAddr,
        swarms: &[InfoHash],
    ) -> Result<Vec<ScrapeEntry>, Trouble> {
        match &self.protocol {
            Protocol::Http => {
                let url =
                    scrape_url(&self.url, swarms).ok_or_else(|| no_url("the tracker has no scrape URL"))?;
                let body = shared.http.get(url, family).await?;
                Ok(decode_scrape(&body)?)
            }
            Protocol::Udp(_) => shared.udp.scrape(address, swarms).await,
        }
    }
}

fn no_url(error: impl Into<String>) -> Trouble {
    Trouble::new(RequestOutcome::ConnectionFailed, error)
}

fn url_data(url: &Url) -> Vec<u8> {
    let path = url.path().trim_end_matches('/');
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{path}{query}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_are_known_by_their_scheme() {
        assert_eq!(Tracker::new("http://t.example/announce").unwrap().source(), Source::TrackerHttp);
        assert_eq!(Tracker::new("https://t.example/announce").unwrap().source(), Source::TrackerHttp);
        assert_eq!(Tracker::new("udp://t.example:1/announce").unwrap().source(), Source::TrackerUdp);
        assert_eq!(Tracker::new("wss://t.example").unwrap_err(), UnusableUrl::Scheme("wss".into()));
        assert_eq!(Tracker::new("udp://t.example").unwrap_err(), UnusableUrl::NoHost);
        assert!(matches!(Tracker::new("t.example"), Err(UnusableUrl::NoUrl(_))));
    }

    #[test]
    fn udp_keeps_the_passkey() {
        let data = |url: &str| String::from_utf8(url_data(&Url::parse(url).unwrap())).unwrap();
        assert_eq!(data("udp://t.example:1/announce?passkey=x"), "/announce?passkey=x");
        assert_eq!(data("udp://t.example:1/"), "");
        assert_eq!(data("udp://t.example:1"), "");
    }

    #[test]
    fn only_announce_urls_have_a_scrape() {
        assert_eq!(Tracker::new("http://t.example/x").unwrap().scrape_max(), 0);
        assert_eq!(Tracker::new("http://t.example/announce.php").unwrap().scrape_max(), HTTP_SCRAPE_MAX);
    }
}
