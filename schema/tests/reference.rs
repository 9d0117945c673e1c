//! `README.md` is generated from the tables' definitions, and the Arrow schemas are a promise: both must not drift.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fmt::Write as _, path::Path};

use schema::{
    SCHEMA_VERSION,
    frame::FORMAT_VERSION,
    segment::{
        COMPACTED_ROW_GROUP_ROWS, PROGRAM_KEY, REPLACES_KEY, ROW_GROUP_ROWS, RUN_KEY, TABLE_KEY, VERSION_KEY,
        checksum::{CHECKSUM_KEY, GROUPS_KEY},
    },
    table::{Column, Table},
};

/// Set to anything, the test writes the reference instead of checking it.
const UPDATE: &str = "UPDATE_REFERENCE";

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
        "schema/README.md is stale; run `{UPDATE}=1 cargo nextest run -p schema reference` and commit it"
    );
}

#[test]
fn arrow_schemas() {
    let mut text = String::new();
    for table in Table::ALL {
        writeln!(text, "{} sorted by {}", table.name(), table.sorted_by().join(", ")).unwrap();
        for field in table.arrow_schema().fields() {
            let null = if field.is_nullable() { ", null" } else { "" };
            writeln!(text, "  {}: {}{null}", field.name(), field.data_type()).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

fn reference() -> String {
    let mut text = format!(
        "<!-- Generated from schema/src/table/ by `{UPDATE}=1 cargo nextest run -p schema reference`; do not edit. -->\n\
        \n\
        # The log: reference of tables and columns\n\
        \n\
        Schema version {SCHEMA_VERSION}, write-ahead format {FORMAT_VERSION} (specified in `src/frame.rs`).\n\
        \n\
        A log is a folder or prefix of Parquet files:\n\
        \n\
        ```\n\
        <table>/date=YYYY-MM-DD/<run>-<seq>.parquet     closed segments, hive-partitioned by UTC date\n\
        <table>/date=YYYY-MM-DD/compacted-<id>.parquet  segments merged by `analyze compact`\n\
        wal/<run>-<seq>.wal                             rows that are no segment yet\n\
        wal/damaged/                                    write-ahead files with damage, kept aside\n\
        ```\n\
        \n\
        `SELECT * FROM read_parquet('data/contacts/**/*.parquet')` works in DuckDB as it stands; polars, pandas and\n\
        Spark read the same files. Columns are only ever added.\n\
        \n\
        - Absent is null, never 0, -1 or an empty text. A column that may be null says when.\n\
        - Info-hashes are lower-case hex. IP addresses are canonical text (RFC 5952), IPv4-mapped ones made IPv4.\n\
        - Integers are signed, so that differences neither wrap around nor fail; a number beyond the type's range is\n\
        \u{20} stored as its maximum.\n\
        - Durations are microseconds, sizes are bytes; the column's name says so.\n\
        - Text is dictionary-encoded, integers and times are delta-encoded, everything is compressed by zstd, in row\n\
        \u{20} groups of {ROW_GROUP_ROWS} rows, in compacted segments of {COMPACTED_ROW_GROUP_ROWS}.\n\
        - The files' metadata says `{VERSION_KEY}`, `{PROGRAM_KEY}`, `{TABLE_KEY}`, `{RUN_KEY}` (of a compacted segment\n\
        \u{20} all its runs), CRC-32C of every row group as `{GROUPS_KEY}` and of the whole file, its own digits as zeros,\n\
        \u{20} as `{CHECKSUM_KEY}`.\n\
        - A compacted segment names the files it stands for as `{REPLACES_KEY}`. Whoever reads a folder while it is\n\
        \u{20} compacted leaves those out; a plain glob may see their rows twice until they are removed, moments later.\n"
    );
    text.push_str("\n| table | one row per | sorted by |\n| --- | --- | --- |\n");
    for table in Table::ALL {
        let (name, sorted_by) = (table.name(), table.sorted_by().join(", "));
        let first = table.doc().lines().next().unwrap_or_default().trim().trim_end_matches('.');
        writeln!(text, "| [`{name}`](#{name}) | {first} | {sorted_by} |").unwrap();
    }
    for table in Table::ALL {
        write_table(&mut text, *table);
    }
    text
}

fn write_table(text: &mut String, table: Table) {
    let doc: Vec<_> = table.doc().lines().map(str::trim).collect();
    write!(text, "\n## {}\n\n{}\n\n", table.name(), doc.join("\n").trim()).unwrap();
    text.push_str("| column | type | null | meaning |\n| --- | --- | --- | --- |\n");
    let columns = table.columns();
    for column in &columns {
        let null = if column.nullable { "yes" } else { "no" };
        writeln!(text, "| `{}` | {} | {null} | {} |", column.name, kind(column), one_line(column.doc))
            .unwrap();
    }
    for column in columns.iter().filter(|column| !column.members.is_empty()) {
        write!(text, "\n`{}` is one of\n\n", column.name).unwrap();
        for member in &column.members {
            writeln!(text, "- `{}`: {}", member.text, one_line(member.doc)).unwrap();
        }
    }
}

fn kind(column: &Column) -> &'static str {
    if column.members.is_empty() { column.kind.name() } else { "text, closed set" }
}

fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
