//! HTTP trackers: the query of a GET, and a bencoded dictionary back. No HTTP itself is spoken here.
//!
//! BEP 3 (announce), BEP 23 (compact peers), BEP 7 (`peers6`), BEP 48 (scrape).
//! [`request`] writes and reads queries, [`response`] reads and writes answers; the lab's trackers use the
//! other half of each.

pub mod request;
pub mod response;

pub use request::{
    AnnounceQuery, QueryError, UrlError, announce_url, decode_announce_query, decode_scrape_query, scrape_url,
};
pub use response::{
    ResponseError, decode_announce, decode_scrape, encode_announce, encode_failure, encode_scrape,
};
