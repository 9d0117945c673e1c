//! `requests`: how the sources answered.

use super::definition::{Definition, Kind, column};

/// What `requests` holds.
pub const DEFINITION: Definition = Definition {
    name: "requests",
    title: "Requests",
    about: "Requests to sources by tracker, kind and outcome; `ok` is success, every other outcome a cause of \
            failure.",
    key: 5,
    columns: &[
        column("source", Kind::Text, "What kind of source was asked."),
        column("endpoint", Kind::Text, "The tracker's announce URL; empty for other sources."),
        column("family", Kind::Text, "`ipv4` or `ipv6`; empty where no connection was tried."),
        column("kind", Kind::Text, "What was asked, e.g. `announce`."),
        column("outcome", Kind::Text, "How it ended, e.g. `ok` or `timed_out`."),
        column("requests", Kind::Count, "Requests that ended so."),
        column("share", Kind::Share, "Their part of all requests of this source, endpoint, family and kind."),
        column("peers", Kind::Count, "Addresses in the answers, repeats included; empty where none can be."),
        column("median_duration_us", Kind::Microseconds, "Median time to the end of the request."),
        column("p95_duration_us", Kind::Microseconds, "95th percentile of the same."),
    ],
};
