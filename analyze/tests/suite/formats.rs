//! `--format`: the same rows, columns and types as CSV, Parquet and JSON lines.

use std::{fs, path::Path, process::Command};

use crate::common::{LogWriter, hash};
use analyze::table::{Kind, TABLES, find};
use polars::prelude::{ParquetReader, SerReader};
use schema::table::Source;

fn log() -> LogWriter {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.torrent(hash(1));
    log.sighting(1.0, hash(1), Source::Dht, "2.2.2.2:6881");
    log.out(10.0, hash(1), "2.2.2.2:6881").bitfield(50).have(60.0, 99).end(70.0);
    log.out(100.0, hash(1), "[2001:480::9]:7000").id(b'b').bitfield(97).have(200.0, 98).end(300.0);
    log
}

fn report(arguments: &[&str]) -> tempfile::TempDir {
    let (data, out) = (log().data(), tempfile::tempdir().unwrap());
    let status = Command::new(env!("CARGO_BIN_EXE_analyze"))
        .args(["report", data.path().to_str().unwrap(), "--out", out.path().to_str().unwrap()])
        .args(arguments)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    out
}

fn csv_rows(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    (header, rows)
}

#[test]
fn every_format_holds_the_same_rows() {
    let out = report(&["--format", "csv,parquet,json"]);
    let mut compared = 0;
    for definition in TABLES {
        let path = |extension: &str| out.path().join(definition.name).with_extension(extension);
        if !path("csv").exists() {
            continue;
        }
        let (header, rows) = csv_rows(&path("csv"));
        let parquet = ParquetReader::new(fs::File::open(path("parquet")).unwrap()).finish().unwrap();
        let names: Vec<&str> = parquet.get_column_names().iter().map(|name| name.as_str()).collect();
        assert_eq!(names, header, "{}", definition.name);
        assert_eq!(parquet.height(), rows.len(), "{}", definition.name);
        for column in definition.columns {
            assert_eq!(parquet.column(column.name).unwrap().dtype(), &column.kind.dtype(), "{}", column.name);
        }
        let json = fs::read_to_string(path("jsonl")).unwrap();
        assert_eq!(json.lines().count(), rows.len(), "{}", definition.name);
        for (line, row) in json.lines().zip(&rows) {
            let keys: Vec<usize> =
                header.iter().map(|name| line.find(&format!("\"{name}\":")).expect("a key")).collect();
            assert!(keys.is_sorted(), "columns stand in the CSV's order: {line}");
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            for (column, text) in definition.columns.iter().zip(row) {
                let value = &object[column.name];
                let same = match column.kind {
                    _ if value.is_null() => text.is_empty(),
                    Kind::Text | Kind::Time => value.as_str() == Some(text),
                    Kind::Truth => value.as_bool().map(|truth| truth.to_string()).as_ref() == Some(text),
                    _ => value.as_f64() == text.parse().ok(),
                };
                assert!(same, "{}.{}: {value} and {text:?}", definition.name, column.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn only_the_formats_and_tables_asked_for_are_written() {
    let out = report(&["--format", "parquet", "--only", "confirmed_downloads,speeds"]);
    let mut tables: Vec<String> = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| ["csv", "json", "parquet"].iter().any(|format| name.contains(format)))
        .collect();
    tables.sort();
    assert_eq!(tables, ["confirmed_downloads.parquet", "speeds.parquet"]);
}

#[test]
fn a_table_alone_is_the_same_as_among_all() {
    let whole = log().report();
    for (definition, _) in whole.tables.iter() {
        let alone = log().report_with(|options| options.only = vec![definition.name.to_owned()]);
        assert_eq!(
            crate::common::csv(&alone, definition.name),
            crate::common::csv(&whole, definition.name),
            "{}",
            definition.name
        );
        assert_eq!(alone.tables.iter().count(), 1);
    }
}

#[test]
fn options_change_what_they_name_through_the_command_line() {
    let confirmed = |arguments: &[&str]| {
        let out = report(&[&["--only", "confirmed_downloads"], arguments].concat());
        csv_rows(&out.path().join("confirmed_downloads.csv")).1.len()
    };
    assert_eq!(confirmed(&[]), 2);
    assert_eq!(confirmed(&["--threshold", "0.99"]), 1);
    assert_eq!(confirmed(&["--threshold", "0.4"]), 0);
    assert_eq!(confirmed(&["--until", "2026-01-02T00:02:00Z"]), 1);
    assert_eq!(confirmed(&["--since", "2026-01-02T00:01:30Z"]), 1);
    assert_eq!(confirmed(&["--info-hash", &hash(2).to_string()]), 0);
    assert_eq!(confirmed(&["--info-hash", &hash(1).to_string().to_uppercase()]), 2);
    assert_eq!(confirmed(&["--max-plausible-speed", "900"]), 1);
    assert_eq!(confirmed(&["--identity", "ip"]), 2);
    assert_eq!(confirmed(&["--identity", "peer_id"]), 2);
    let out = report(&["--only", "confirmed_hourly", "--bucket", "1m"]);
    let hours = csv_rows(&out.path().join("confirmed_hourly.csv")).1;
    assert_eq!(
        hours.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(),
        ["2026-01-02T00:01:00.000000Z", "2026-01-02T00:03:00.000000Z"]
    );
    assert!(find("confirmed_hourly").is_some());
}
