//! The program as a user meets it: exit codes, one-line errors, results to stdout, the same bytes twice.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::common::{LogWriter, hash};

fn data() -> tempfile::TempDir {
    let mut log = LogWriter::new("20260102T000000Z-aaaaaaaa");
    log.torrent(hash(1));
    log.out(10.0, hash(1), "2.2.2.2:6881").bitfield(50).have(60.0, 99).end(70.0);
    log.data()
}

fn analyze(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_analyze")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn a_report_is_written_and_its_page_s_path_printed() {
    let data = data();
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("made/on/the/way");
    let output = analyze(&["report", data.path().to_str().unwrap(), "--out", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = format!("{}\n", folder.join("report.html").display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), page);
    let confirmed = fs::read_to_string(folder.join("confirmed_downloads.csv")).unwrap();
    assert!(confirmed.lines().nth(1).unwrap().contains("2.2.2.2,6881"), "{confirmed}");
}

#[test]
fn a_second_replay_writes_the_same_bytes() {
    let data = data();
    let out = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let folder = out.path().join(name);
        let output = analyze(&["report", data.path().to_str().unwrap(), "--out", folder.to_str().unwrap()]);
        assert!(output.status.success(), "{}", stderr(&output));
        files(&folder)
    };
    let (first, second) = (write("first"), write("second"));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in first {
        assert_eq!(Some(&bytes), second.get(&name), "{name}");
    }
}

#[test]
fn wrong_data_is_one_line_and_exit_code_1() {
    let empty = tempfile::tempdir().unwrap();
    for folder in ["no/such/folder", empty.path().to_str().unwrap()] {
        let output = analyze(&["report", folder]);
        assert_eq!(output.status.code(), Some(1));
        let stderr = stderr(&output);
        assert!(stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
        assert!(stderr.contains(folder) && stderr.contains("capture --out"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn wrong_use_is_exit_code_2() {
    let wrong: [&[&str]; 6] = [
        &[],
        &["report"],
        &["report", "data", "--threshold", "98"],
        &["report", "data", "--only", "nothing"],
        &["report", "data", "--since", "yesterday"],
        &["report", "data", "--info-hash", "abc"],
    ];
    for arguments in wrong {
        let output = analyze(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
    let output = analyze(&["report", "data", "--only", "nothing"]);
    assert!(stderr(&output).contains("there are summary, confirmed_downloads"), "{}", stderr(&output));
}

#[test]
fn a_database_that_cannot_be_read_is_named() {
    let data = data();
    let output = analyze(&["report", data.path().to_str().unwrap(), "--geoip-city", "no/city.mmdb"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: cannot read the database no/city.mmdb"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn damage_is_told_and_the_rest_goes_on() {
    let data = data();
    let out = tempfile::tempdir().unwrap();
    fs::write(data.path().join("contacts/damaged.parquet"), b"noise").unwrap();
    let folder = out.path().to_str().unwrap();
    let output = analyze(&["report", data.path().to_str().unwrap(), "--out", folder, "--only", "summary"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).contains("damaged.parquet: left out"), "{}", stderr(&output));
}
