//! Every figure: well-formed at any size, as it was, and telling the values it draws.

use std::collections::HashSet;

use super::fixture::{self, Value, frame, hash};
use super::*;
use crate::table::find;

/// Stems of the tables that have a figure, in the report's order.
const DRAWN: [&str; 24] = [
    "summary",
    "summary_compared",
    "confirmed_downloads",
    "confirmed_hourly",
    "thresholds",
    "flagged",
    "population",
    "seeders_hourly",
    "trackers",
    "speeds",
    "speeds_by_country",
    "speeds_by_country_map",
    "countries",
    "cities",
    "networks",
    "hostnames",
    "sources",
    "sources_hourly",
    "requests",
    "contacts",
    "clients",
    "visits",
    "sessions",
    "health",
];

fn figure(tables: &Tables, facts: &Facts, stem: &str) -> Figure {
    draw(tables, facts).unwrap().into_iter().find(|figure| figure.stem == stem).unwrap()
}

/// The figure of one table with these rows.
fn one(stem: &str, columns: &[Vec<Value>]) -> Figure {
    let mut tables = Tables::default();
    tables.insert(find(stem).unwrap(), frame(stem, columns));
    figure(&tables, &fixture::facts(1, 4), stem)
}

/// Every form of a figure.
fn markups(figure: &Figure) -> [String; 3] {
    [figure.file_markup(), figure.wide_markup(), figure.narrow_markup()]
}

fn assert_holds(figure: &Figure, expected: &[&str]) {
    for markup in markups(figure) {
        for text in expected {
            assert!(markup.contains(text), "{}: {text} is not in\n{markup}", figure.stem);
        }
    }
}

/// The classes that a style sheet defines.
fn defined(style: &str) -> HashSet<String> {
    let mut classes = HashSet::new();
    for selector in style.split('}').filter_map(|rule| rule.split('{').next()) {
        for part in selector.split(['.', ',', ' ', '\n']).skip(1) {
            classes.insert(part.split(':').next().unwrap_or_default().trim().to_owned());
        }
    }
    classes
}

#[test]
fn every_figure_is_well_formed_whatever_the_size() {
    let cases = [
        (fixture::empty(), fixture::empty_facts()),
        (fixture::many(1, 1), fixture::facts(1, 1)),
        (fixture::many(19, 34), fixture::facts(19, 34)),
        (fixture::many(2_000, 700), fixture::facts(2_000, 700)),
    ];
    for (tables, facts) in cases {
        let figures = draw(&tables, &facts).unwrap();
        assert_eq!(figures.iter().map(|figure| figure.stem).collect::<Vec<_>>(), DRAWN);
        for figure in figures {
            for markup in markups(&figure) {
                assert!(
                    figure.missing.is_some() || markup.contains("<title>"),
                    "{} tells no values",
                    figure.stem
                );
                let tree = png::parse(figure.stem, &markup).unwrap();
                assert!(tree.size().width() > 300.0 && tree.size().height() < 2_000.0, "{}", figure.stem);
                assert!(!markup.contains("NaN") && !markup.contains("inf\""), "{}", figure.stem);
                assert!(markup.len() < 400_000, "{} has {} bytes", figure.stem, markup.len());
            }
        }
    }
}

#[test]
fn tables_without_rows_have_a_figure_that_says_so() {
    for figure in draw(&fixture::empty(), &fixture::empty_facts()).unwrap() {
        assert_holds(&figure, &["No data"]);
        // What is empty by itself tells what to do; no doubts are good news.
        let told = figure.missing.unwrap();
        let has_advice = told.matches(". ").count() > 0 || told.contains("--no-rdns");
        assert!(has_advice || figure.stem == "flagged", "{}: {told}", figure.stem);
    }
}

#[test]
fn tables_that_were_not_computed_have_no_figure() {
    assert!(draw(&Tables::default(), &fixture::empty_facts()).unwrap().is_empty());
}

#[test]
fn hostile_text_stays_text() {
    let tables = fixture::many(19, 34);
    for figure in draw(&tables, &fixture::facts(19, 34)).unwrap() {
        for markup in markups(&figure) {
            assert!(!markup.contains("<script"), "{}", figure.stem);
            assert!(!markup.contains("<img"), "{}", figure.stem);
            let harmful = |character: char| {
                (character.is_control() && character != '\n')
                    || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!markup.contains(harmful), "{}", figure.stem);
        }
    }
}

#[test]
fn every_class_has_a_colour_in_the_file_and_on_the_page() {
    let file = defined(include_str!("../../assets/page/figure.css"));
    let page = defined(include_str!("../../assets/page/style/figure.css"));
    for tables in [fixture::many(19, 34), fixture::empty()] {
        for figure in draw(&tables, &fixture::facts(19, 34)).unwrap() {
            let markup = figure.file_markup();
            for classes in markup.split("class=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                for class in classes.split(' ').filter(|class| *class != "figure") {
                    assert!(file.contains(class), "figure.css lacks {class}");
                    let only_in_files = matches!(class, "paper" | "title" | "subtitle");
                    assert!(only_in_files || page.contains(class), "report.css lacks {class}");
                }
            }
        }
    }
}

#[test]
fn a_figure_is_the_same_each_time() {
    let draw_clients = || figure(&fixture::many(19, 34), &fixture::facts(19, 34), "clients").file_markup();
    let (first, second) = (draw_clients(), draw_clients());
    assert_eq!(first, second);
    assert_eq!(png::render("clients", &first).unwrap(), png::render("clients", &second).unwrap());
}

#[test]
fn one_of_something_is_not_told_as_several() {
    let tables = fixture::ones();
    for figure in draw(&tables, &fixture::facts(1, 1)).unwrap() {
        let texts = [figure.subtitle.clone(), figure.wide_markup(), figure.narrow_markup()];
        for text in &texts {
            let words: Vec<&str> = text.split([' ', '>', '<', '"']).collect();
            for pair in words.windows(3) {
                let [number, word, next] = pair else { continue };
                let is_word = |word: &str| word.chars().all(char::is_alphabetic);
                let ends = |word: &str| {
                    let word = word.trim_end_matches(['.', ',', ';', ':', ')']);
                    word.len() > 2 && word.ends_with('s') && is_word(word)
                };
                let is_plural = ends(word) || (ends(next) && is_word(word) && *word != "of");
                assert!(*number != "1" || !is_plural, "{}: {number} {word} {next} in {text}", figure.stem);
            }
        }
    }
}

#[test]
fn files_are_written_in_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let mut tables = Tables::default();
    for stem in ["visits", "thresholds"] {
        tables.insert(find(stem).unwrap(), find(stem).unwrap().empty().unwrap());
    }
    let figures = draw_all(&tables, &fixture::empty_facts(), folder.path()).unwrap();
    assert_eq!(figures.len(), 2);
    for figure in figures {
        let path = folder.path().join(figure.stem);
        assert_eq!(std::fs::read_to_string(path.with_extension("svg")).unwrap(), figure.file_markup());
        let image = std::fs::read(path.with_extension("png")).unwrap();
        assert_eq!(&image[..8], b"\x89PNG\r\n\x1a\n");
        let width = u32::from_be_bytes(image[16..20].try_into().unwrap());
        assert_eq!(width, 1_800, "twice the width, margins included");
    }
    let missing = folder.path().join("missing");
    let error = draw_all(&tables, &fixture::empty_facts(), &missing).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
}

#[test]
fn a_table_without_its_columns_is_an_error_that_names_it() {
    let mut tables = Tables::default();
    tables.insert(find("visits").unwrap(), DataFrame::empty());
    let error = draw(&tables, &fixture::empty_facts()).unwrap_err();
    assert_eq!(error.to_string(), "the table visits cannot be drawn");
}

#[test]
fn text_is_drawn_with_the_vendored_fonts() {
    let markup = figure(&fixture::many(3, 3), &fixture::facts(3, 3), "thresholds").file_markup();
    let with_text = png::render("thresholds", &markup).unwrap();
    let without_text =
        png::render("thresholds", &markup.replace("<text", "<desc").replace("</text", "</desc"));
    assert!(with_text.len() > without_text.unwrap().len() + 5_000, "the fonts were not found");
}

#[test]
fn clients_are_summed_over_versions_and_the_rest_is_one_bar() {
    let mut columns = vec![Vec::new(); 6];
    for index in 0..20_usize {
        let software = if index < 2 { "qBittorrent".to_owned() } else { format!("client{index}") };
        let row: [Value; 6] =
            [software.into(), Value::Null, Value::Null, 100_usize.into(), 0.05.into(), 10_usize.into()];
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let figure = one("clients", &columns);
    assert_holds(
        &figure,
        &["qBittorrent: 20 confirmed downloads", "200 (10 %)", "4 other programs", "400 (20 %)"],
    );
    assert!(figure.subtitle.starts_with("2,000 contacted peers"), "{}", figure.subtitle);
}

#[test]
fn confirmed_downloads_are_stacked_by_torrent() {
    let figure = one(
        "confirmed_hourly",
        &[
            vec![hour(0), hour(0), hour(2)],
            vec![hash(0).into(), hash(1).into(), hash(0).into()],
            vec![7_usize.into(), 2_usize.into(), 1_usize.into()],
        ],
    );
    let short = short_hash(&hash(0));
    assert_holds(
        &figure,
        &[&format!("2026-11-20 00:00 UTC, {short}: 7"), &format!("2026-11-20 02:00 UTC, {short}: 1")],
    );
    assert_holds(&figure, &["confirmed downloads per hour"]);
    assert!(figure.subtitle.starts_with("10 confirmed downloads of 2 torrents"), "{}", figure.subtitle);
}

#[test]
fn contacts_tell_first_from_later_and_success_from_failure() {
    let figure = figure(&fixture::many(1, 1), &fixture::facts(1, 1), "contacts");
    assert_holds(
        &figure,
        &["left): 8,100 first contacts", "refused (nobody listens there): 7,333 later contacts"],
    );
    assert!(figure.subtitle.contains("135,579 contacts, 14,764 of them with a handshake (11 %)"));
}

#[test]
fn small_countries_are_marked_and_unknown_ones_told() {
    let figure = one(
        "countries",
        &[
            vec!["DE".into(), "SG".into(), "FR".into(), Value::Null],
            [9_000_usize, 800, 70, 6].map(Value::from).to_vec(),
            [0_usize; 4].map(Value::from).to_vec(),
            [400_usize, 30, 0, 2].map(Value::from).to_vec(),
            vec![Value::Null; 4],
            vec![Value::Null; 4],
        ],
    );
    assert_holds(
        &figure,
        &[
            "Germany: 400 confirmed downloads (93 %), 9,000 peers",
            "<circle class=\"q4\"",
            "France: 0 confirmed downloads (0 %), 70 peers",
        ],
    );
    assert_eq!(
        figure.subtitle,
        "432 confirmed downloads in 2 of 3 countries with peers. Not on the map: 2 of unknown country."
    );
}

#[test]
fn a_map_of_unknown_countries_is_not_drawn() {
    let known = vec![Value::Null];
    let number = |value: usize| vec![Value::from(value)];
    let figure = one("countries", &[known.clone(), number(9), number(9), number(3), known.clone(), known]);
    assert_holds(&figure, &["The country of no peer is known."]);
}

#[test]
fn sources_have_a_panel_each() {
    let figure = figure(&fixture::many(1, 4), &fixture::facts(1, 4), "sources_hourly");
    assert_holds(&figure, &["Incoming connections", "HTTP trackers", "UDP trackers", "UDP trackers new: "]);
}

#[test]
fn speeds_show_their_median() {
    let speeds: Vec<Value> = [1_000_000.0, 2_000_000.0, 4_000_000.0].map(Value::from).to_vec();
    let nulls = vec![Value::Null; 3];
    let figure = one(
        "speeds",
        &[nulls.clone(), nulls.clone(), nulls.clone(), nulls.clone(), speeds, nulls.clone(), nulls],
    );
    assert_holds(&figure, &["median 2 MB/s"]);
    assert!(figure.subtitle.starts_with("Mean speed of 3 peers"), "{}", figure.subtitle);
}

#[test]
fn speeds_by_country_are_boxes() {
    let figure = one(
        "speeds_by_country",
        &[
            vec!["DE".into()],
            vec![12_usize.into()],
            vec![1e4.into()],
            vec![1e5.into()],
            vec![5e5.into()],
            vec![1e6.into()],
            vec![2e7.into()],
        ],
    );
    assert_holds(
        &figure,
        &[
            "Germany (n = 12)",
            "Germany: median 500 kB/s, middle half 100 kB/s to 1 MB/s, all 10 kB/s to 20 MB/s",
        ],
    );
}

#[test]
fn the_summary_names_torrents_and_leaves_out_all_of_them_together() {
    let figure = figure(&fixture::many(2_000, 1), &fixture::facts(2_000, 1), "summary");
    assert!(figure.subtitle.contains("1,980 more are in the table"), "{}", figure.subtitle);
    for markup in markups(&figure) {
        assert_eq!(markup.matches("unique peers</title>").count(), 20);
        assert!(!markup.contains(">all"), "the row of all torrents is no torrent");
    }
}

#[test]
fn thresholds_mark_the_one_in_force() {
    let figure = figure(&fixture::many(1, 1), &fixture::facts(1, 1), "thresholds");
    assert_holds(
        &figure,
        &["this report: 0.98", "0.90: 1,240 confirmed downloads", "1.00: 940 confirmed downloads"],
    );
}

#[test]
fn visits_beyond_twenty_are_one_group() {
    let figure = figure(&fixture::many(1, 1), &fixture::facts(1, 1), "visits");
    assert_holds(
        &figure,
        &["&gt; 20", "1 contact: 30,000 peers tried", "of the peers: 20 contacts or fewer"],
    );
}

/// The figure of a table with these rows; absent values at the end of a row are left out.
fn of_rows(stem: &str, rows: &[&[Value]]) -> Figure {
    one(stem, &columns_of(stem, rows))
}

fn columns_of(stem: &str, rows: &[&[Value]]) -> Vec<Vec<Value>> {
    let width = find(stem).unwrap().columns.len();
    let mut columns = vec![Vec::new(); width];
    for row in rows {
        for (place, column) in columns.iter_mut().enumerate() {
            column.push(row.get(place).cloned().unwrap_or(Value::Null));
        }
    }
    columns
}

fn hour(hours: i64) -> Value {
    Value::Time(1_795_132_800_000_000 + hours * 3_600_000_000)
}

#[test]
fn figures_look_as_they_did() {
    let figures = draw(&fixture::many(2, 3), &fixture::facts(2, 3)).unwrap();
    for figure in figures {
        // Outlines of countries are the atlas's, and tested there.
        let markup = figure.wide_markup();
        let lines = markup.lines().filter(|line| !line.starts_with("<path class=\"land\"")).map(|line| {
            let data = line.split_once(" d=\"").filter(|(_, rest)| rest.contains("data-c"));
            data.and_then(|(before, rest)| Some(format!("{before}{}", rest.split_once('"')?.1)))
                .unwrap_or_else(|| line.to_owned())
        });
        let looks = lines.collect::<Vec<_>>().join("\n");
        let told = format!("{}\n{}", figure.title, figure.subtitle);
        insta::assert_snapshot!(figure.stem, format!("{told}\n{looks}"));
    }
}

#[test]
fn populations_stand_beside_each_other_with_their_intervals() {
    let row = |hash: &str, method: &str, of: &str, counts: &str, peers: [usize; 3]| -> Vec<Value> {
        let mut row: Vec<Value> = [hash, method, of, counts].map(Value::from).to_vec();
        row.extend(peers.map(Value::from));
        row.extend(["range", "low: a lower bound"].map(Value::from));
        row
    };
    let mut seen = row("all", "seen", "", "ever", [90, 0, 0]);
    seen[5] = Value::Null;
    seen[6] = Value::Null;
    let figure = of_rows(
        "population",
        &[
            &seen,
            &row("all", "chapman", "dht pex", "ever", [120, 100, 140]),
            &row(&hash(0), "scrape", "udp://a", "at_once", [40, 30, 50]),
            &row(&hash(0), "scrape", "udp://b", "at_once", [45, 20, 60]),
            &row(&hash(1), "scrape", "udp://a", "at_once", [5, 4, 7]),
        ],
    );
    assert_holds(
        &figure,
        &[
            "seen: 90 peers; errs low: a lower bound",
            "Chapman: DHT and PEX: 120 (100 to 140) peers",
            "told by the fullest trackers: 50 (24 to 67) peers",
        ],
    );
}

#[test]
fn downloads_are_dated_by_intervals() {
    let row = |seconds: i64, evidence: &str| -> Vec<Value> {
        let mut row = vec![Value::Null; 5];
        let start = 1_795_132_800_000_000;
        row.extend([Value::Time(start), 1_usize.into(), Value::Time(start + seconds * 1_000_000)]);
        row.extend([2_usize.into(), 2_usize.into(), evidence.into()]);
        row
    };
    let figure = of_rows(
        "confirmed_downloads",
        &[&row(2, "live"), &row(4, "live"), &row(0, "live"), &row(600, "revisit")],
    );
    assert_holds(
        &figure,
        &[
            "watched live (n = 3)",
            "watched live: 100 % dated to within 4 s",
            "between two visits: 50 % dated to within 10 min",
        ],
    );
    assert!(figure.subtitle.contains("half of these intervals are shorter than 4 s"), "{}", figure.subtitle);
}

#[test]
fn flags_tell_what_they_cost() {
    let row = |crossed: bool, flags: [bool; 3]| -> Vec<Value> {
        let mut row = vec![Value::Null; 5];
        row.push(crossed.into());
        row.extend(flags.map(Value::from));
        row
    };
    let figure = of_rows(
        "flagged",
        &[
            &row(true, [true, false, true]),
            &row(false, [true, false, false]),
            &row(true, [false, true, false]),
        ],
    );
    assert_holds(
        &figure,
        &[
            "counts went backwards: 1 peer that would be confirmed",
            "2 (67 %)",
            "faster than plausible: 1 peer that would be",
        ],
    );
    assert!(
        figure.subtitle.starts_with("3 peers, some for more than one reason. 2 confirmed downloads would"),
        "{}",
        figure.subtitle
    );
}

#[test]
fn sessions_tell_when_half_are_gone() {
    let at = |seconds: usize, at_risk: usize, ended: usize, share: f64| -> Vec<Value> {
        let mut row: Vec<Value> = [seconds * 1_000_000, at_risk, ended, 3, 7].map(Value::from).to_vec();
        row.extend([share, share * 0.9, (share * 1.1).min(1.0)].map(Value::from));
        row
    };
    let figure = of_rows("sessions", &[&at(0, 40, 0, 1.0), &at(10, 30, 8, 0.75), &at(60, 12, 25, 0.4)]);
    assert_holds(
        &figure,
        &[
            "half are gone by 60 s",
            "75 % last longer than 10 s (68 % to 82 %); 30 sessions watched for so long",
        ],
    );
    assert!(
        figure.subtitle.starts_with("Kaplan–Meier curve of 40 sessions that began during the capture, 25")
    );
    let none = of_rows("sessions", &[&at(0, 0, 0, 1.0)]);
    assert_holds(&none, &["No session began while the capture watched"]);
}

#[test]
fn of_a_torrent_s_trackers_the_fullest_tells_its_seeders() {
    let told = |hash: String, of: &str, seeders: usize, leechers: usize| -> Vec<Value> {
        vec![hour(0), hash.into(), of.into(), seeders.into(), leechers.into()]
    };
    let figure = of_rows(
        "seeders_hourly",
        &[
            &told(hash(0), "seen", 3, 1),
            &told(hash(1), "seen", 2, 4),
            &told(hash(0), "udp://a", 8, 1),
            &told(hash(0), "udp://b", 1, 1),
            &told(hash(1), "dht", 5, 5),
        ],
    );
    assert_holds(
        &figure,
        &[
            "00:00 UTC: seeders seen 5, leechers seen 5, seeders told by trackers 13, leechers told by trackers 6",
        ],
    );
    assert_holds(&figure, &["share of seeders 50 % (24 % to 76 %)"]);
}

#[test]
fn trackers_are_summed_over_torrents_and_not_over_families() {
    let row = |hash: String, family: &str, downloads: usize, resets: usize| -> Vec<Value> {
        let mut row = vec![hash.into(), "udp://a/announce".into(), family.into()];
        row.extend([downloads, 9, 0, downloads, resets].map(Value::from));
        row
    };
    let figure = of_rows(
        "trackers",
        &[&row(hash(0), "ipv4", 30, 1), &row(hash(0), "ipv6", 28, 0), &row(hash(1), "ipv4", 5, 1)],
    );
    assert_holds(&figure, &["udp://a/announce: 35 downloads of 2 torrents; its counters were reset 2 times"]);
}

#[test]
fn requests_tell_answers_and_causes_of_failure() {
    let row = |outcome: &str, requests: usize| -> Vec<Value> {
        let mut row: Vec<Value> =
            ["tracker_udp", "udp://a", "ipv4", "announce", outcome].map(Value::from).to_vec();
        row.push(requests.into());
        row
    };
    let figure = of_rows("requests", &[&row("ok", 30), &row("timed_out", 8), &row("refused", 2)]);
    assert_holds(
        &figure,
        &["announce: udp://a: 30 answered", "announce: udp://a: 2 refused, 8 timed out", "40 (75 % ok)"],
    );
}

#[test]
fn gaps_of_a_capture_are_shaded() {
    let figure = figure(&fixture::many(1, 8), &fixture::facts(1, 8), "health");
    assert!(figure.subtitle.contains("Shaded: 25 min without a word"), "{}", figure.subtitle);
    assert_holds(&figure, &["tokyo: no gauge for 25 min up to the interval of 2026-11-20 04:00 UTC"]);
    assert_eq!(figure.wide_markup().matches("class=\"gap\"").count(), 6, "one a panel");
}

#[test]
fn medians_of_few_peers_are_not_on_the_map() {
    let row = |country: &str, peers: usize, median: f64| -> Vec<Value> {
        vec![country.into(), peers.into(), 1.0.into(), 1.0.into(), median.into(), 1e9.into(), 1e9.into()]
    };
    let columns =
        columns_of("speeds_by_country", &[&row("DE", 5, 2e6), &row("FR", 4, 9e9), &row("BR", 80, 1e5)]);
    let mut tables = Tables::default();
    tables.insert(find("speeds_by_country").unwrap(), frame("speeds_by_country", &columns));
    let map = figure(&tables, &fixture::facts(1, 1), "speeds_by_country_map");
    assert!(map.subtitle.contains("in 2 countries with at least 5"), "{}", map.subtitle);
    for markup in markups(&map) {
        let france = markup.lines().find(|line| line.contains("data-c=\"FR\"")).unwrap();
        assert!(france.starts_with("<path class=\"q0\""), "{france}");
    }
}

#[test]
fn torrents_are_points_against_other_counts() {
    let figure = figure(&fixture::many(400, 1), &fixture::facts(400, 1), "summary_compared");
    assert!(figure.subtitle.contains("The 300 with most of 400 are drawn."), "{}", figure.subtitle);
    let mark = torrent_mark(&hash(399));
    for markup in markups(&figure) {
        assert_eq!(markup.matches("<circle").count(), 600, "two panels");
        assert!(markup.matches(&format!("data-t=\"{mark}\"")).count() <= 2);
    }
}
