//! The page and the files beside it, on small reports.

use std::path::PathBuf;

use resvg::usvg::roxmltree;

use super::*;
use crate::figure::{self, fixture};

fn page(tables: &Tables, facts: &Facts) -> String {
    render(tables, facts, &figure::draw(tables, facts).unwrap()).unwrap()
}

fn usual_page() -> String {
    page(&fixture::many(19, 34), &fixture::facts(19, 34))
}

/// The page without what stands in these elements, whose text is not markup.
fn without_raw_text(page: &str) -> String {
    let mut page = page.to_owned();
    for element in ["style", "script"] {
        let start = page.find(&format!("<{element}>")).unwrap();
        let end = page.find(&format!("</{element}>")).unwrap();
        page.replace_range(start..end, &format!("<{element}>"));
    }
    page
}

/// Parses the page strictly: every element closed, every attribute quoted, every text escaped.
fn parse(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let page = without_raw_text(page);
    let page = page.trim_start_matches("<!DOCTYPE html>");
    // HTML's void elements are not closed; the only ones here are metas.
    let mut closed = String::new();
    for (index, part) in page.split("<meta ").enumerate() {
        if index == 0 {
            closed.push_str(part);
            continue;
        }
        closed.push_str("<meta ");
        closed.push_str(&part.replacen('>', "/>", 1));
    }
    let document = roxmltree::Document::parse(&closed).unwrap();
    document
        .descendants()
        .filter(roxmltree::Node::is_element)
        .map(|node| {
            let attributes = node.attributes();
            let attributes =
                attributes.map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()));
            (node.tag_name().name().to_owned(), attributes.collect())
        })
        .collect()
}

#[test]
fn the_page_is_well_formed_and_loads_nothing() {
    for page in [
        usual_page(),
        page(&fixture::empty(), &fixture::empty_facts()),
        page(&Tables::default(), &fixture::empty_facts()),
        page(&fixture::many(1, 1), &fixture::facts(1, 1)),
    ] {
        for (element, attributes) in parse(&page) {
            let loads =
                ["link", "iframe", "img", "image", "object", "embed", "base", "form", "audio", "video"];
            assert!(!loads.contains(&element.as_str()), "<{element}>");
            for (name, value) in attributes {
                assert!(!name.starts_with("on"), "{element} {name}={value}");
                assert!(
                    !["src", "srcset", "action", "data", "style"].contains(&name.as_str()),
                    "{element} {name}={value}"
                );
                if name == "href" {
                    let is_link = element == "a" && value.starts_with("https://");
                    assert!(value.starts_with('#') || is_link, "{element} {value}");
                }
            }
        }
        for loading in ["@import", "url(", "fetch(", "XMLHttpRequest", "import("] {
            assert!(!page.contains(loading), "{loading}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn every_anchor_has_its_place() {
    let page = usual_page();
    let elements = parse(&page);
    let values = |wanted: &str| -> Vec<String> {
        let all = elements.iter().flat_map(|(_, attributes)| attributes);
        all.filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    let ids = values("id");
    for href in values("href").iter().filter_map(|href| href.strip_prefix('#')) {
        assert_eq!(ids.iter().filter(|id| id.as_str() == href).count(), 1, "{href}");
    }
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "ids are unique");
}

#[test]
fn foreign_text_stays_text() {
    let page = usual_page();
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert!(page.contains("&lt;script&gt;alert(&#x27;name&#x27;)"), "the name is shown as it is");
    assert!(page.contains("&lt;b&gt;x&lt;"), "the damaged file's name is shown as it is");
    let harmful = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!page.contains(harmful));
}

#[test]
fn the_page_is_the_same_each_time() {
    assert_eq!(usual_page(), usual_page());
}

#[test]
fn key_numbers_facts_and_remarks_come_first() {
    let page = usual_page();
    let header = page.split("</header>").next().unwrap();
    for text in [
        "19 torrents watched from frankfurt, 2026-11-20 00:00:00 to 2026-11-21 10:00:00 UTC (34\u{a0}h).",
        "<strong>1,606</strong><span class=\"what\" data-one=\"confirmed download\">confirmed downloads</span>",
        "one per hour",
        "At least 1,606 downloads: 1,606 peers seen below 98\u{a0}% of the pieces and later at or above. Trackers \
         themselves counted",
        "A file of the log could not be read",
        "it was killed &lt;or&gt; still runs.",
        "give a database with --geoip-city",
        "0.98 of a torrent&#x27;s pieces",
        "no end in the log",
        "125 MB&#x2f;s",
        "2,466,023 in 40 files",
    ] {
        assert!(header.contains(text), "{text}\n{header}");
    }
    assert!(page.contains("IP geolocation by DB-IP (<a href="), "the attribution stands in the page");
    assert!(page.contains("Map shapes: Natural Earth"), "so does that of its maps");
}

#[test]
fn large_tables_are_cut_and_name_their_csv() {
    let page = page(&fixture::many(2_000, 700), &fixture::facts(2_000, 700));
    assert!(page.contains("2,001 rows, also in <code>summary.csv</code>."));
    assert!(page.contains(
        "2,000 of 28,000 rows, those with the latest hour; <code>confirmed_hourly.csv</code> has all of them."
    ));
    assert!(page.len() < 2_500_000, "{} bytes", page.len());
    assert!(page.matches("<tr").count() < 600);
}

#[test]
fn times_say_that_they_are_utc_and_buckets_that_they_are_no_hours() {
    let tables = fixture::many(3, 2);
    let head = |facts: &Facts| {
        let page = page(&tables, facts);
        let table = page.split("data-table=\"confirmed_hourly\"").nth(1).unwrap();
        table.split("</thead>").next().unwrap().to_owned()
    };
    assert!(head(&fixture::facts(3, 2)).contains(">hour (UTC)</th>"));
    let seconds = Facts { bucket_s: 5, ..fixture::facts(3, 2) };
    assert!(head(&seconds).contains(">bucket (UTC)</th>"));
    assert!(page(&tables, &seconds).contains(">confirmed at (UTC)</th>"));
}

#[test]
fn every_column_is_explained() {
    let page = usual_page();
    for definition in crate::table::TABLES {
        if !matches!(definition.name, "cities" | "networks") {
            for column in definition.columns {
                assert!(page.contains(&format!("<dt><code>{}</code></dt>", column.name)), "{}", column.name);
            }
        }
    }
}

#[test]
fn an_empty_log_makes_a_page() {
    let page = page(&fixture::empty(), &fixture::empty_facts());
    assert!(page.contains("The log holds no rows"));
    assert!(!page.contains("Map shapes"), "no map, no credit");
    assert!(page.contains("No rows. <code>visits.csv</code> has the column names only."));
}

/// Writes reports for people to look at: `GALLERY=<folder> cargo test -p analyze gallery -- --ignored`.
#[test]
#[ignore = "writes pictures for people to look at"]
fn gallery() {
    let out = PathBuf::from(std::env::var_os("GALLERY").expect("GALLERY names a folder"));
    let cases = [
        ("none", fixture::empty(), fixture::empty_facts()),
        ("one", fixture::many(1, 1), fixture::facts(1, 1)),
        ("some", fixture::many(19, 34), fixture::facts(19, 34)),
        ("thousands", fixture::many(2_000, 700), fixture::facts(2_000, 700)),
    ];
    for (name, tables, facts) in cases {
        let folder = out.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let figures = figure::draw_all(&tables, &facts, &folder).unwrap();
        write(&tables, &facts, &figures, &folder).unwrap();
    }
}
