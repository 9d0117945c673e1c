//! `README.md` is generated from the tables' definitions, and their columns are a promise to those who read the files.

use std::{fmt::Write as _, path::Path};

use analyze::table::{Definition, Kind, TABLES, find};

/// Set to anything, the test writes the reference instead of checking it.
const UPDATE: &str = "UPDATE_REFERENCE";

/// What each table must have at least; its key comes first.
const PROMISED: &[(&str, &str)] = &[
    (
        "summary",
        "info_hash name size_bytes piece_count unique_peers contacted_peers confirmed_downloads already_complete flagged \
         scrape_downloads estimated_downloads estimated_downloads_low estimated_downloads_high median_speed_bytes_per_s",
    ),
    (
        "confirmed_downloads",
        "info_hash ip port peer_id client below_at below_pieces confirmed_at confirmed_pieces piece_count evidence \
         mean_speed_bytes_per_s max_speed_bytes_per_s country asn",
    ),
    ("confirmed_hourly", "hour info_hash confirmed_downloads"),
    ("speeds", "info_hash ip port mean_speed_bytes_per_s max_speed_bytes_per_s country"),
    ("speeds_by_country", "country q1_speed_bytes_per_s median_speed_bytes_per_s q3_speed_bytes_per_s"),
    ("countries", "country peers confirmed_downloads median_speed_bytes_per_s max_speed_bytes_per_s"),
    (
        "cities",
        "country city latitude longitude peers confirmed_downloads median_speed_bytes_per_s max_speed_bytes_per_s",
    ),
    ("networks", "asn organization peers confirmed_downloads median_speed_bytes_per_s max_speed_bytes_per_s"),
    ("hostnames", "registrable_domain top_level_domain kind peers"),
    ("sources_hourly", "hour source received new duplicate"),
    ("sources", "source received new duplicate unique_peers only_here"),
    ("requests", "source endpoint family kind outcome requests share median_duration_us"),
    ("contacts", "direction transport encryption attempt outcome success contacts median_connect_us"),
    ("clients", "software peer_id_prefix client peers share"),
    ("visits", "contacts peers_tried peers_reached"),
    (
        "sessions",
        "time_online_us at_risk ended censored longer_share longer_share_low longer_share_high method bias",
    ),
    ("population", "info_hash method of counts peers peers_low peers_high interval bias"),
    ("thresholds", "threshold confirmed_downloads already_complete"),
    ("health", "hour run peers_due_max contacts_started contacts_per_s gaps gap_us"),
];

#[test]
fn every_promised_column_is_there_in_order() {
    for (table, columns) in PROMISED {
        let definition = find(table).unwrap_or_else(|| panic!("no table {table}"));
        let mut found = definition.columns.iter().map(|column| column.name);
        for promised in columns.split_whitespace() {
            assert!(found.any(|column| column == promised), "{table}.{promised}, or not in its place");
        }
    }
}

#[test]
fn every_estimate_has_an_interval_a_method_and_a_bias() {
    for definition in TABLES {
        let has = |name: &str| definition.columns.iter().any(|column| column.name == name);
        for column in definition.columns {
            let Some(of) = column.name.strip_suffix("_low") else { continue };
            assert!(has(of) && has(&format!("{of}_high")), "{}.{of}", definition.name);
            for told in ["method", "bias"] {
                let told_of = format!("{of}_{told}");
                assert!(has(told) || has(&told_of), "{}.{of} has no {told}", definition.name);
            }
        }
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let expected = reference();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "analyze/README.md is stale; run `{UPDATE}=1 cargo nextest run -p analyze reference` and commit it"
    );
}

fn reference() -> String {
    let mut text = format!(
        "<!-- Generated from analyze/src/table/ by `{UPDATE}=1 cargo nextest run -p analyze reference`; do not edit. -->\n\
        \n\
        # The report: reference of tables and columns\n\
        \n\
        `analyze report` writes each table as `<table>.csv`, and with `--format` as `<table>.parquet` and `<table>.jsonl`\n\
        (a JSON object a line), all with the same rows in the same order.\n\
        \n\
        - Absent is empty in CSV, null in Parquet and JSON, never 0.\n\
        - Times are UTC, RFC 3339 with microseconds; durations are microseconds, speeds bytes per second.\n\
        - The first columns are the key: rows are unique by it and sorted by it, the absent last.\n\
        - Every estimate has an interval, its method and its direction of bias beside it.\n\
        \n\
        | table | what it tells |\n\
        | --- | --- |\n"
    );
    for definition in TABLES {
        writeln!(text, "| [`{0}`](#{0}) | {1} |", definition.name, definition.title).unwrap();
    }
    for definition in TABLES {
        write_table(&mut text, definition);
    }
    text
}

fn write_table(text: &mut String, definition: &Definition) {
    write!(text, "\n## {}\n\n{}\n\n", definition.name, definition.about).unwrap();
    text.push_str("| column | type | meaning |\n| --- | --- | --- |\n");
    for (place, column) in definition.columns.iter().enumerate() {
        let key = if place < definition.key { ", key" } else { "" };
        let about = column.about.replace('|', "\\|");
        writeln!(text, "| `{}` | {}{key} | {about} |", column.name, kind(column.kind)).unwrap();
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Bytes => "bytes, integer",
        Kind::BytesPerSecond => "bytes/s, float",
        Kind::Count => "count, integer",
        Kind::Degrees => "degrees, float",
        Kind::Microseconds => "µs, integer",
        Kind::Number => "number, integer",
        Kind::PerSecond => "per second, float",
        Kind::Share => "share 0 to 1, float",
        Kind::Text => "text",
        Kind::Time => "time",
        Kind::Truth => "truth",
    }
}
