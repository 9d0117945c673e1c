//! `trackers`: what each tracker counted.

use polars::prelude::{DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series};

use super::{
    Input,
    definition::{Definition, Kind, column},
};
use crate::replay::scrape::Counted;

/// What `trackers` holds.
pub const DEFINITION: Definition = Definition {
    name: "trackers",
    title: "Downloads by tracker",
    about: "Downloads each tracker counted during the capture: how far its counter rose. A fall is a reset and counts \
            nothing. Trackers count the same downloads, so they are never added up.",
    key: 3,
    columns: &[
        column("info_hash", Kind::Text, "The torrent."),
        column("tracker", Kind::Text, "The announce URL."),
        column("family", Kind::Text, "`ipv4` or `ipv6`: a name may lead to a machine of each."),
        column("scrape_downloads", Kind::Count, "How far the counter rose."),
        column("answers", Kind::Count, "Answers with a counter."),
        column("first_downloaded", Kind::Count, "The counter at first."),
        column("last_downloaded", Kind::Count, "The counter at last."),
        column("resets", Kind::Count, "How often the counter fell."),
    ],
};

/// Reads the counters.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let counted = crate::replay::scrape::counted(input.log, &input.rules.selection)?;
    let count = |name: &str, read: fn(&Counted) -> u64| {
        Series::new(name.into(), counted.iter().map(read).collect::<Vec<_>>()).into_column()
    };
    let text = |name: &str, read: fn(&Counted) -> Option<&str>| {
        Series::new(name.into(), counted.iter().map(read).collect::<Vec<_>>()).into_column()
    };
    let rows = DataFrame::new_infer_height(vec![
        text("info_hash", |counted| Some(&counted.info_hash)),
        text("tracker", |counted| Some(&counted.endpoint)),
        text("family", |counted| counted.family.as_deref()),
        count("scrape_downloads", |counted| counted.downloads),
        count("answers", |counted| counted.answers),
        count("first_downloaded", |counted| counted.first),
        count("last_downloaded", |counted| counted.last),
        count("resets", |counted| counted.resets),
    ])?;
    DEFINITION.finish(rows.lazy())
}
