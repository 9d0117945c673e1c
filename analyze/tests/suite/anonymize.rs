//! Logs that hide addresses: whatever is counted stays, whether a capture hid them or `analyze anonymize` did.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use analyze::run::Report;
use schema::{
    conceal::{Addresses, Concealer, Key, key_file},
    place::Places,
    segment,
    table::{Event, Row, RunEvent, Source, Table},
};

use crate::common::{LogWriter, all_csv, columns, hash, report_of};

/// The log as a capture that hides addresses writes it.
pub fn concealed(log: &LogWriter, addresses: Addresses) -> LogWriter {
    let mut concealer = Concealer::new(addresses, Key::new([3; 32]), Places::default()).unwrap();
    let mut hidden = log.clone();
    hidden.events.clear();
    for event in &log.events {
        concealer.conceal(event.clone(), |event| hidden.events.push(event));
    }
    hidden
}

/// Every table without the columns that name an address, its rows in an order of their own.
pub fn but_for_addresses(report: &Report) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let tables = all_csv(report).into_iter().map(|(name, text)| {
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let row = |record: &::csv::StringRecord| -> Vec<String> {
            let cells = header.iter().zip(record).filter(|(column, _)| *column != "ip");
            cells.map(|(_, cell)| cell.to_owned()).collect()
        };
        let mut rows: Vec<_> = reader.records().map(|record| row(&record.unwrap())).collect();
        rows.sort();
        (name, rows)
    });
    tables.collect()
}

/// Peers of several countries, in both directions, behind each other's addresses, and ourselves among them.
fn log() -> LogWriter {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.run_event(0.0, RunEvent::Started).torrent(hash(1)).torrent(hash(2));
    for event in &mut log.events {
        if let Row::Run(run) = &mut event.row {
            r#"{"listen":[6881],"bind":["198.51.100.1"]}"#.clone_into(&mut run.config);
        }
    }
    for peer in 1..60_u8 {
        let second = f64::from(peer) * 10.0;
        let info_hash = hash(1 + peer % 2);
        let address = match peer % 3 {
            0 => format!("8.8.{}.8:6881", peer % 5),
            1 => format!("81.2.69.{peer}:{}", 6881 + u16::from(peer % 2)),
            _ => format!("[2001:480::{peer:x}]:6881"),
        };
        log.sighting(second, info_hash, Source::TrackerUdp, &address);
        log.out(second + 1.0, info_hash, &address)
            .id(peer)
            .bitfield(50)
            .have(second + 9.0, 70)
            .end(second + 20.0);
        log.incoming(second + 100.0, info_hash, &address.replace(":688", ":4688"))
            .id(peer)
            .bitfield(if peer % 4 == 0 { 90 } else { 99 })
            .end(second + 110.0);
    }
    log.sighting(3.0, hash(1), Source::Dht, "198.51.100.1:6881");
    log.out(4.0, hash(1), "198.51.100.1:6881").bitfield(10).end(10.0);
    log.run_event(5000.0, RunEvent::Stopped);
    log
}

#[test]
fn a_log_without_addresses_says_the_same() {
    let full = log().report();
    assert!(columns(&full, "confirmed_downloads", &["ip"]).len() > 20);
    for addresses in [Addresses::Prefix, Addresses::Pseudonym] {
        let hidden = concealed(&log(), addresses).report();
        let (expected, found) = (but_for_addresses(&full), but_for_addresses(&hidden));
        for (table, rows) in &expected {
            assert_eq!(Some(rows), found.get(table), "{addresses}: {table}");
        }
        let ips = columns(&hidden, "confirmed_downloads", &["ip"]);
        assert!(ips.iter().all(|ip| ip[0].starts_with("fd0")), "{ips:?}");
        assert!(hidden.facts.notes.iter().any(|note| note.starts_with("Addresses are hidden")));
    }
}

fn analyze(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_analyze")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Every row of a folder's tables but `addresses`, whose times say when a program first met an address.
fn rows(folder: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for &table in Table::ALL {
        for file in files_below(&folder.join(table.name())) {
            for (run, event) in segment::read(table, File::open(file).unwrap()).unwrap() {
                rows.push(match event {
                    Event { row: Row::Address(address), .. } => format!("{run} {address:?}"),
                    event => format!("{run} {event:?}"),
                });
            }
        }
    }
    rows.sort();
    rows
}

#[test]
fn anonymize_writes_what_a_capture_would_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    log().write(&path("full"), 3);
    let key_path = path("key");
    for addresses in ["prefix", "pseudonym"] {
        let out = path(addresses);
        let (data, out_text, key) = (path("full"), out.display().to_string(), key_path.display().to_string());
        let arguments = [
            "anonymize",
            data.to_str().unwrap(),
            "--out",
            &out_text,
            "--addresses",
            addresses,
            "--key",
            &key,
        ];
        let output = analyze(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));

        let key = key_file::load(&key_path).unwrap();
        let mut concealer = Concealer::new(addresses.parse().unwrap(), key, Places::default()).unwrap();
        let mut captured = LogWriter::new("20260102T000000Z-aaaaaaaa");
        for event in log().events {
            concealer.conceal(event, |event| captured.events.push(event));
        }
        captured.write(&path("captured"), 3);
        assert_eq!(rows(&out), rows(&path("captured")));
        fs::remove_dir_all(path("captured")).unwrap();
        assert_eq!(
            but_for_addresses(&report_of(&[&data], |_| ())),
            but_for_addresses(&report_of(&[&out], |_| ()))
        );
        for file in files_below(&out) {
            let bytes = fs::read(&file).unwrap();
            for address in ["8.8.1.8", "81.2.69.1", "2001:480::2", "198.51.100.1"] {
                let found = bytes.windows(address.len()).any(|window| window == address.as_bytes());
                assert!(!found, "{address} in {}", file.display());
            }
        }

        let again = analyze(&arguments);
        assert!(!again.status.success() && stderr(&again).contains("is not empty"), "{}", stderr(&again));
    }

    // What hides its networks no more can still be made to, and its pseudonyms stay.
    let (data, out) = (path("prefix"), path("less"));
    let output = analyze(&["anonymize", data.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(rows(&out).len(), rows(&data).len());
    assert!(rows(&out).iter().all(|row| !row.contains("prefix: Some")));
}

#[test]
fn a_log_whose_key_is_gone_still_reports() {
    let folder = tempfile::tempdir().unwrap();
    let (full, out) = (folder.path().join("full"), folder.path().join("hidden"));
    log().write(&full, 1);
    let output = analyze(&["anonymize", full.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::remove_file(out.join(key_file::DEFAULT_PLACE)).unwrap();
    assert_eq!(
        but_for_addresses(&report_of(&[&full], |_| ())),
        but_for_addresses(&report_of(&[&out], |_| ()))
    );
}
