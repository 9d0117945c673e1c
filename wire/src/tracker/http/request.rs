//! The queries of announces and scrapes: written into a tracker's URL, and read by the lab's trackers.
//!
//! Bytes are percent-encoded one by one (everything but `A-Z a-z 0-9 - . _ ~`), and a query that the
//! tracker's URL brings along, such as a passkey, stays in front exactly as it is.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use url::Url;

use crate::{
    InfoHash, PeerId,
    tracker::{AnnounceEvent, AnnounceRequest},
};

/// Everything but the characters RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An announce URL that cannot be asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL.
    #[error("the tracker's URL cannot be read: {0}")]
    Malformed(#[from] url::ParseError),
    /// A URL for something else, such as a UDP or WebSocket tracker.
    #[error("the tracker's URL has the scheme {0:?}, not http or https")]
    Scheme(String),
}

/// The URL to GET for an announce. Asks for compact peers; answers in either form are read.
pub fn announce_url(base: &str, request: &AnnounceRequest) -> Result<Url, UrlError> {
    let mut url = Url::parse(base.trim())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().to_owned()));
    }
    let mut query = query_start(&url);
    // Writing to a String cannot fail.
    _ = write!(
        query,
        "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&compact=1&key={:08X}",
        percent_encode(&request.info_hash.0, ENCODED),
        percent_encode(&request.peer_id.0, ENCODED),
        request.port,
        request.uploaded,
        request.downloaded,
        request.left,
        request.key,
    );
    if let Some(event) = event_name(request.event) {
        _ = write!(query, "&event={event}");
    }
    if let Some(num_want) = request.num_want {
        _ = write!(query, "&numwant={num_want}");
    }
    if let Some(id) = &request.tracker_id {
        _ = write!(query, "&trackerid={}", percent_encode(id, ENCODED));
    }
    url.set_query(Some(&query));
    url.set_fragment(None);
    Ok(url)
}

/// The URL to GET for the counts of these swarms; `None` where the tracker's URL has no scrape counterpart.
///
/// BEP 48: the text after the last slash must begin with `announce`, which becomes `scrape`. That slash must
/// stand in the path: one in the query rules scraping out.
pub fn scrape_url(base: &str, swarms: &[InfoHash]) -> Option<Url> {
    let mut url = Url::parse(base.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some_and(|query| query.contains('/')) {
        return None;
    }
    let (front, last) = url.path().rsplit_once('/')?;
    let path = format!("{front}/scrape{}", last.strip_prefix("announce")?);
    url.set_path(&path);
    url.set_fragment(None);
    let mut query = query_start(&url);
    let swarms: Vec<_> =
        swarms.iter().map(|hash| format!("info_hash={}", percent_encode(&hash.0, ENCODED))).collect();
    query.push_str(&swarms.join("&"));
    url.set_query(Some(&query));
    Some(url)
}

/// What the URL's own query leaves in front of ours.
fn query_start(url: &Url) -> String {
    match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&"),
        _ => String::new(),
    }
}

fn event_name(event: AnnounceEvent) -> Option<&'static str> {
    match event {
        AnnounceEvent::None => None,
        AnnounceEvent::Completed => Some("completed"),
        AnnounceEvent::Started => Some("started"),
        AnnounceEvent::Stopped => Some("stopped"),
    }
}

/// An announce as a tracker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnounceQuery {
    /// What was asked.
    pub request: AnnounceRequest,
    /// Whether peers are wanted packed (BEP 23).
    pub compact: bool,
}

/// A query that is no announce or scrape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter that must be there is not.
    #[error("the query has no {0}")]
    Missing(&'static str),
    /// A parameter has a value it cannot have.
    #[error("the query's {0} is not sound")]
    Value(&'static str),
}

/// Reads an announce's query, the text after `?`. Counts that are missing are 0.
pub fn decode_announce_query(query: &str) -> Result<AnnounceQuery, QueryError> {
    let number = |name| match last(query, name) {
        Some(value) => {
            str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).ok_or(QueryError::Value(name))
        }
        None => Ok(0),
    };
    let event = match last(query, "event").as_deref() {
        None | Some(b"" | b"empty") => AnnounceEvent::None,
        Some(b"completed") => AnnounceEvent::Completed,
        Some(b"started") => AnnounceEvent::Started,
        Some(b"stopped") => AnnounceEvent::Stopped,
        Some(_) => return Err(QueryError::Value("event")),
    };
    let port = last(query, "port").ok_or(QueryError::Missing("port"))?;
    let port =
        str::from_utf8(&port).ok().and_then(|text| text.parse().ok()).ok_or(QueryError::Value("port"))?;
    let num_want = last(query, "numwant").and_then(|value| str::from_utf8(&value).ok()?.parse().ok());
    let key = last(query, "key").and_then(|value| u32::from_str_radix(str::from_utf8(&value).ok()?, 16).ok());
    let request = AnnounceRequest {
        info_hash: InfoHash(twenty(query, "info_hash")?),
        peer_id: PeerId(twenty(query, "peer_id")?),
        port,
        uploaded: number("uploaded")?,
        downloaded: number("downloaded")?,
        left: number("left")?,
        event,
        num_want,
        key: key.unwrap_or(0),
        tracker_id: last(query, "trackerid"),
    };
    Ok(AnnounceQuery { request, compact: last(query, "compact").is_some_and(|value| value == b"1") })
}

/// Reads a scrape's query, the text after `?`: the swarms asked about, none of them meaning all.
pub fn decode_scrape_query(query: &str) -> Result<Vec<InfoHash>, QueryError> {
    let hashes = parameters(query)
        .filter(|(name, _)| *name == "info_hash")
        .map(|(_, value)| value.try_into().map(InfoHash).ok().ok_or(QueryError::Value("info_hash")));
    hashes.collect()
}

fn parameters(query: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    query.split('&').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        Some((name, percent_decode_str(value).collect()))
    })
}

/// The last parameter of this name: a passkey URL's own parameters come first.
fn last(query: &str, name: &str) -> Option<Vec<u8>> {
    parameters(query).filter(|(other, _)| *other == name).last().map(|(_, value)| value)
}

fn twenty(query: &str, name: &'static str) -> Result<[u8; 20], QueryError> {
    let value = last(query, name).ok_or(QueryError::Missing(name))?;
    value.try_into().ok().ok_or(QueryError::Value(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tracker::arbitrary;

    fn request() -> AnnounceRequest {
        AnnounceRequest {
            info_hash: InfoHash(
                *b"\x12\x34\x56\x78\x9a\xbc\xde\xf1\x23\x45\x67\x89\xab\xcd\xef\x12\x34\x56\x78\x9a",
            ),
            peer_id: PeerId(*b"-SW0100-~._ %&=+?#/\0"),
            port: 6881,
            uploaded: 0,
            downloaded: 0,
            left: 5,
            event: AnnounceEvent::Started,
            num_want: Some(200),
            key: 0xbeef,
            tracker_id: None,
        }
    }

    #[test]
    fn bytes_are_encoded_one_by_one_and_a_query_stays() {
        let url = announce_url("http://t.example/announce?passkey=a%2Fb", &request()).unwrap();
        assert_eq!(
            url.as_str(),
            "http://t.example/announce?passkey=a%2Fb&info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A\
             &peer_id=-SW0100-~._%20%25%26%3D%2B%3F%23%2F%00&port=6881&uploaded=0&downloaded=0&left=5&compact=1\
             &key=0000BEEF&event=started&numwant=200"
        );
    }

    #[test]
    fn urls_that_cannot_be_asked_say_why() {
        let error = |base| announce_url(base, &request()).map_err(|e| e.to_string()).unwrap_err();
        assert_eq!(
            error("udp://t.example:80"),
            "the tracker's URL has the scheme \"udp\", not http or https"
        );
        assert_eq!(error("announce"), "the tracker's URL cannot be read: relative URL without a base");
    }

    #[test]
    fn scrape_urls_follow_the_convention() {
        let scrape = |base| scrape_url(base, &[]).map(|url| url.to_string().trim_end_matches('?').to_owned());
        let some = |url: &str| Some(url.to_owned());
        assert_eq!(scrape("http://example.com/announce"), some("http://example.com/scrape"));
        assert_eq!(scrape("http://example.com/x/announce"), some("http://example.com/x/scrape"));
        assert_eq!(scrape("http://example.com/announce.php"), some("http://example.com/scrape.php"));
        assert_eq!(scrape("http://example.com/a"), None);
        assert_eq!(scrape("http://example.com/announce?x2%0644"), some("http://example.com/scrape?x2%0644&"));
        assert_eq!(scrape("http://example.com/announce?x=2/4"), None);
        assert_eq!(scrape("http://example.com/announce?x=2/announce"), None);
        assert_eq!(scrape("http://announce.example.com"), None, "a host is no path");
        assert_eq!(scrape("http:///announce"), None);
        assert_eq!(scrape("http://example.com/x%064announce"), None);
        assert_eq!(scrape("udp://example.com/announce"), None);
        assert_eq!(scrape("announce"), None);
    }

    proptest! {
        #[test]
        fn announces_round_trip(request in arbitrary::request(), passkey: bool) {
            let base = if passkey { "https://t.example/announce?info_hash=x&port=y" } else { "http://t.example/a" };
            let url = announce_url(base, &request).unwrap();
            let query = decode_announce_query(url.query().unwrap());
            prop_assert_eq!(query, Ok(AnnounceQuery { request, compact: true }));
        }

        #[test]
        fn scrapes_round_trip(hashes: Vec<[u8; 20]>) {
            let hashes: Vec<_> = hashes.into_iter().map(InfoHash).collect();
            let url = scrape_url("http://t.example/announce?k=v", &hashes).unwrap();
            prop_assert_eq!(decode_scrape_query(url.query().unwrap()), Ok(hashes));
        }

        #[test]
        fn any_text_never_panics(text in "\\PC{0,80}", base in "(http://)?[a-z%&/?#:@=]{0,40}") {
            if let Ok(query) = decode_announce_query(&text) {
                prop_assert!(announce_url("http://t.example/", &query.request).is_ok());
            }
            if let Ok(hashes) = decode_scrape_query(&text) {
                prop_assert!(hashes.len() <= text.len());
            }
            let hash = InfoHash([0xff; 20]);
            if let Some(url) = scrape_url(&base, &[hash]) {
                prop_assert!(url.as_str().contains("info_hash=%FF"));
            }
            if let Ok(url) = announce_url(&base, &request()) {
                prop_assert!(decode_announce_query(url.query().unwrap_or_default()).is_ok());
            }
        }
    }

    #[test]
    fn each_defect_of_a_query_has_its_error() {
        let whole = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1";
        let error = |query: &str| decode_announce_query(query).map_err(|e| e.to_string()).unwrap_err();
        assert!(decode_announce_query(whole).is_ok_and(|query| !query.compact && query.request.left == 0));
        assert_eq!(error(""), "the query has no port");
        assert_eq!(error("port=1"), "the query has no info_hash");
        assert_eq!(error(&format!("{whole}&port=65536")), "the query's port is not sound");
        assert_eq!(error(&format!("{whole}&left=-1")), "the query's left is not sound");
        assert_eq!(error(&format!("{whole}&event=paused")), "the query's event is not sound");
        assert_eq!(error(&format!("{whole}&peer_id=short")), "the query's peer_id is not sound");
    }
}
