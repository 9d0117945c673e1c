//! `analyze verify` and `analyze compact` as a user meets them, and what a report makes of damage they tell of.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use schema::{
    RunId,
    frame::{FrameBuilder, Header, Packer},
    layout::WalPath,
    table::{RunEvent, Source},
};

use crate::common::{LogWriter, all_csv, hash, options};

const RUN: &str = "20260102T000000Z-aaaaaaaa";

fn analyze(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_analyze")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

/// Two runs of some peers over two days, in many files.
fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, run) in [(0, RUN), (1, "20260102T120000Z-bbbbbbbb")] {
        let start = f64::from(number) * 43_200.0;
        let mut log = LogWriter::new(run);
        log.run_event(start, RunEvent::Started).torrent(hash(1)).torrent(hash(2));
        for peer in 0..40_u8 {
            let second = start + f64::from(peer) * 1_700.0;
            let info_hash = hash(1 + peer % 2);
            let address = format!("2.2.{number}.{peer}:6881");
            log.sighting(second, info_hash, Source::TrackerUdp, &address);
            log.sighting(second + 60.0, info_hash, Source::Dht, &address);
            log.scrape(second, info_hash, "udp://tracker.example:6969", u64::from(peer));
            log.out(second + 1.0, info_hash, &address)
                .bitfield(50)
                .have(second + 60.0, 80 + u32::from(peer % 20))
                .end(second + 70.0);
            log.out(second + 600.0, info_hash, &address).bitfield(99).end(second + 605.0);
        }
        if number == 0 {
            log.run_event(start + 80_000.0, RunEvent::Stopped);
        }
        log.write(folder.path(), 7);
    }
    folder
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn tables(folder: &Path) -> BTreeMap<&'static str, String> {
    all_csv(&analyze::run::compute(&options(&[folder])).unwrap())
}

#[test]
fn a_whole_log_is_told_to_be_whole() {
    let data = data();
    let output = analyze(&["verify", path(data.path())]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("whole: "), "{text}");
    assert!(text.contains("stopped in good order") && text.contains("killed, running"), "{text}");
    // Peers come every 28 minutes.
    assert!(
        text.contains("\nGaps\n")
            && !stdout(&analyze(&["verify", path(data.path()), "--gap", "13h"])).contains("Gaps")
    );
}

#[test]
fn a_compacted_log_gives_the_same_report_from_fewer_files() {
    let data = data();
    let (before, files) = (tables(data.path()), segments(data.path()).len());
    let output = analyze(&["compact", path(data.path())]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout(&output).contains("files became one"), "{}", stdout(&output));
    assert!(segments(data.path()).len() * 4 < files);
    assert_eq!(before, tables(data.path()));
    let verified = analyze(&["verify", path(data.path())]);
    assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
    assert!(!stdout(&verified).contains("no segment of number"), "{}", stdout(&verified));
    assert_eq!(stdout(&analyze(&["compact", path(data.path())])), "nothing to compact\n");
}

#[test]
fn what_a_compaction_stands_for_counts_once_beside_it() {
    let (data, copy) = (data(), data());
    let before = tables(data.path());
    let raw = segments(data.path());
    assert_eq!(analyze(&["compact", path(data.path())]).status.code(), Some(0));
    // As after a crash before the inputs were removed.
    for file in &raw {
        let of_copy = copy.path().join(file.strip_prefix(data.path()).unwrap());
        if !file.exists() {
            fs::copy(of_copy, file).unwrap();
        }
    }
    assert_eq!(before, tables(data.path()));
    let verified = stdout(&analyze(&["verify", path(data.path())]));
    assert!(verified.starts_with("whole: ") && verified.contains("merged into others already"), "{verified}");
    assert!(
        stdout(&analyze(&["compact", path(data.path())])).contains("an interrupted compaction had merged")
    );
    assert!(raw.iter().filter(|file| file.exists()).count() * 4 < raw.len());
    // A compacted folder and its raw copy are the same rows.
    let both = analyze::run::compute(&options(&[data.path(), copy.path()])).unwrap();
    assert_eq!(before, all_csv(&both));
}

#[test]
fn one_flipped_bit_is_found_and_the_report_says_so() {
    let data = data();
    let file =
        segments(data.path()).into_iter().find(|path| path.to_str().unwrap().contains("/progress/")).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes[40] ^= 4;
    fs::write(&file, bytes).unwrap();

    let output = analyze(&["verify", path(data.path())]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("DAMAGED: 1 file; ") && text.contains(path(&file)), "{text}");
    assert!(text.contains("of 0 the bytes are known"), "{text}");

    let output = analyze(&["verify", path(data.path()), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["whole"], false);
    assert_eq!(json["damaged"][0]["file"], path(&file));

    let out = tempfile::tempdir().unwrap();
    let output = analyze(&["report", path(data.path()), "--out", path(out.path())]);
    assert_eq!(output.status.code(), Some(0));
    let page = fs::read_to_string(out.path().join("report.html")).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(page.contains(name) && page.contains("its checksum is wrong"), "the page does not name {name}");

    let output = analyze(&["compact", path(data.path())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(file.exists(), "a damaged file is left for whoever can save more of it");
}

#[test]
fn write_ahead_files_are_read_too() {
    let data = data();
    let mut log = LogWriter::new(RUN);
    log.torrent(hash(3)).torrent(hash(4));
    let header = Header {
        schema_version: schema::SCHEMA_VERSION,
        run: RunId(RUN.to_owned()),
        seq: 7,
        cuts: Vec::new(),
    };
    let mut bytes = header.encode().unwrap();
    for event in &log.events {
        let mut frame = FrameBuilder::default();
        frame.push(event).unwrap();
        bytes.extend_from_slice(Packer::default().pack(&frame).seal(bytes.len() as u64));
    }
    let wal = data.path().join("wal");
    fs::create_dir_all(wal.join("damaged")).unwrap();
    let name = WalPath { run: RunId(RUN.to_owned()), seq: 7 }.file_name();
    fs::write(wal.join(&name), &bytes).unwrap();
    let output = analyze(&["verify", path(data.path())]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("2 rows that the next start"), "{}", stdout(&output));

    let first_row = bytes.len() - 20;
    bytes.truncate(first_row);
    fs::write(wal.join(&name), &bytes).unwrap();
    let output = analyze(&["verify", path(data.path())]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(stdout(&output).contains("torn at its end"), "{}", stdout(&output));

    fs::rename(wal.join(&name), wal.join("damaged").join(&name)).unwrap();
    let output = analyze(&["verify", path(data.path())]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("delete the file once"), "{}", stdout(&output));
}

#[test]
fn a_number_without_a_segment_and_a_folder_without_a_log_are_told() {
    let data = data();
    for file in segments(data.path())
        .iter()
        .filter(|path| path.to_str().unwrap().ends_with("aaaaaaaa-000003.parquet"))
    {
        fs::remove_file(file).unwrap();
    }
    let text = stdout(&analyze(&["verify", path(data.path())]));
    assert!(text.contains("no segment of number 3"), "{text}");
    let empty = tempfile::tempdir().unwrap();
    for command in ["verify", "compact"] {
        let output = analyze(&[command, "no/such/folder"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no such folder"));
    }
    assert_eq!(analyze(&["verify", path(empty.path())]).status.code(), Some(1));
}

#[test]
fn a_log_of_many_files_is_read_with_few_of_them_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = LogWriter::new(RUN);
    log.run_event(0.0, RunEvent::Started).torrent(hash(1));
    for peer in 0..150_u8 {
        let (second, address) = (f64::from(peer) * 100.0, format!("2.2.2.{peer}:6881"));
        log.sighting(second, hash(1), Source::Dht, &address);
        log.out(second + 1.0, hash(1), &address).bitfield(50).have(second + 60.0, 100).end(second + 70.0);
    }
    log.write(folder.path(), 97);
    assert!(segments(folder.path()).len() > 250);
    let expected = tables(folder.path());
    let out = tempfile::tempdir().unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 120 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_analyze")])
        .args(["report", path(folder.path()), "--out", path(out.path())])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let found = fs::read_to_string(out.path().join("confirmed_downloads.csv")).unwrap();
    assert_eq!(found.lines().count(), 151);
    assert_eq!(Some(&found), expected.get("confirmed_downloads"));
}
