//! Compaction: the same rows, once each, whichever call fails or is the last.

use std::collections::{BTreeMap, BTreeSet};

use schema::{
    InfoHash, RunId,
    disk::simulated::SimulatedDisk,
    layout::{SegmentPath, WAL_FOLDER, WalPath},
    segment,
    table::{Event, Hostname, HostnameOutcome, Sighting, Source},
};

use super::*;

const OUT: &str = "/out";
/// 2026-01-02T00:00:00Z; rows are told apart by their time.
const FIRST_TIME: i64 = 1_767_312_000_000_000;

fn run() -> RunId {
    RunId("20260102T000000Z-0000000a".to_owned())
}

fn event(number: i64) -> Event {
    let ip = std::net::IpAddr::from([10, 0, 0, u8::try_from(number * 37 % 251).unwrap()]);
    let row = if number % 4 == 0 {
        Hostname { ip, hostname: None, outcome: HostnameOutcome::NoName }.into()
    } else {
        Sighting {
            info_hash: InfoHash([1; 20]),
            source: Source::Dht,
            endpoint: None,
            ip,
            port: 1,
            flags: None,
        }
        .into()
    };
    Event { time: Timestamp(FIRST_TIME + number), row }
}

fn put(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    let path = Path::new(OUT).join(path);
    disk.create_folder(path.parent().unwrap()).unwrap();
    let mut file = disk.create(&path).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(OUT)) {
        disk.sync_folder(folder).unwrap();
    }
}

fn segment_path(table: Table, seq: u32) -> SegmentPath {
    SegmentPath { table, date: Date::of(Timestamp(FIRST_TIME)), wal: WalPath { run: run(), seq } }
}

/// The rows of file `seq` of each table.
fn put_segments(disk: &dyn Disk, seqs: std::ops::Range<u32>, rows: i64) {
    for seq in seqs {
        let first = i64::from(seq) * rows;
        let events: Vec<_> = (first..first + rows).map(event).collect();
        for table in [Table::Hostnames, Table::Sightings] {
            let bytes = segment::write(table, &run(), &events, Vec::new()).unwrap();
            put(disk, &segment_path(table, seq).to_string(), &bytes);
        }
    }
}

/// How often each row is there for one who leaves out what another file stands for, and how many files there are.
fn rows(disk: &SimulatedDisk) -> (BTreeMap<i64, u32>, usize) {
    let mut files = BTreeMap::new();
    for (path, bytes) in disk.files() {
        let path = path.strip_prefix(OUT).unwrap().to_str().unwrap().to_owned();
        if !path.starts_with("compact/") && !path.starts_with("wal/") {
            files.insert(path, bytes);
        }
    }
    let reader = |bytes: &Vec<u8>| schema::disk::Reader::new(bytes.clone()).unwrap();
    let table = |path: &str| path.split('/').next().unwrap().parse::<Table>().unwrap();
    let mut replaced = BTreeSet::new();
    for (path, bytes) in &files {
        assert_eq!(
            segment::checksum::check(&mut reader(bytes)).unwrap(),
            segment::checksum::Checked::Whole,
            "{path}"
        );
        let folder = path.rsplit_once('/').unwrap().0;
        let metadata = segment::metadata(table(path), &reader(bytes)).unwrap();
        replaced.extend(metadata.replaces.iter().map(|name| format!("{folder}/{name}")));
    }
    let count = files.len();
    let mut rows = BTreeMap::new();
    for (path, bytes) in files.into_iter().filter(|(path, _)| !replaced.contains(path)) {
        for (_, event) in segment::read(table(&path), reader(&bytes)).unwrap() {
            *rows.entry(event.time.0 - FIRST_TIME).or_default() += 1;
        }
    }
    (rows, count)
}

fn assert_each_once(disk: &SimulatedDisk, expected: i64, case: &str) -> usize {
    let (rows, files) = rows(disk);
    assert!(rows.keys().copied().eq(0..expected), "{case}: rows are missing: {rows:?}");
    assert!(rows.values().all(|count| *count == 1), "{case}: a row twice: {rows:?}");
    files
}

fn disk_with(files: u32, rows: i64) -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    put_segments(&disk, 0..files, rows);
    disk
}

#[test]
fn small_segments_become_one_with_the_same_rows() {
    let disk = disk_with(5, 12);
    let done = compact(&disk, Path::new(OUT), None).unwrap();
    assert_eq!(done.days.len(), 2);
    assert!(done.days.iter().all(|(_, _, done)| done.files == 5 && done.rows.is_some()), "{done:?}");
    assert_eq!(assert_each_once(&disk, 60, "compacted"), 2);
    assert_eq!(compact(&disk, Path::new(OUT), None).unwrap(), Compaction::default());
    // Later rows of the same day: what is compacted is merged again.
    put_segments(&disk, 5..8, 12);
    compact(&disk, Path::new(OUT), None).unwrap();
    assert_eq!(assert_each_once(&disk, 96, "compacted again"), 2);
}

#[test]
fn a_hundred_and_forty_files_are_merged_in_rounds() {
    let disk = disk_with(140, 4);
    compact(&disk, Path::new(OUT), None).unwrap();
    assert_eq!(assert_each_once(&disk, 560, "compacted"), 2);
    assert!(
        disk.files().iter().all(|(path, _)| !path.starts_with("/out/compact")),
        "temporary files are left"
    );
}

#[test]
fn a_day_that_is_not_over_waits() {
    let disk = disk_with(3, 12);
    let today = Date::of(Timestamp(FIRST_TIME));
    assert_eq!(compact(&disk, Path::new(OUT), Some(today)).unwrap(), Compaction::default());
}

/// Calls of a compaction that nothing disturbs.
fn calls_of_a_good_run() -> std::ops::Range<u64> {
    let disk = disk_with(4, 8);
    let before = disk.calls();
    compact(&disk, Path::new(OUT), None).unwrap();
    before..disk.calls()
}

#[test]
fn killed_at_any_call_each_row_is_there_once() {
    for call in calls_of_a_good_run() {
        let disk = disk_with(4, 8);
        disk.fail_then_die(call);
        compact(&disk, Path::new(OUT), None).unwrap_err();
        let mut bits =
            (0_u64..).map(|n| (n.wrapping_add(call).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) & 1 == 1);
        let lost_power = disk.after_power_loss(|| bits.next().unwrap());
        for (disk, how) in [(disk.after_kill(), "killed"), (lost_power, "power lost")] {
            let case = format!("{how} at call {call}");
            assert_each_once(&disk, 32, &case);
            compact(&disk, Path::new(OUT), None).unwrap();
            assert_eq!(assert_each_once(&disk, 32, &format!("{case}, compacted again")), 2);
        }
    }
}

#[test]
fn whatever_call_fails_each_row_is_there_once() {
    for call in calls_of_a_good_run() {
        let disk = disk_with(4, 8);
        disk.fail_once(call);
        // A file that could not be read is left and named; any other failure ends the compaction.
        if let Ok(done) = compact(&disk, Path::new(OUT), None) {
            assert_eq!(done.left().count(), 1, "call {call}");
        }
        assert_each_once(&disk, 32, &format!("call {call} failed"));
        compact(&disk, Path::new(OUT), None).unwrap();
        assert_eq!(assert_each_once(&disk, 32, &format!("call {call} failed, compacted again")), 2);
    }
}

#[test]
fn a_segment_that_a_recovery_may_write_again_is_left() {
    let disk = disk_with(3, 12);
    let wal = format!("{WAL_FOLDER}/{}", WalPath { run: run(), seq: 1 }.file_name());
    put(&disk, &wal, b"frames");
    compact(&disk, Path::new(OUT), None).unwrap();
    assert_eq!(assert_each_once(&disk, 36, "compacted"), 4);
    assert!(disk.exists(&Path::new(OUT).join(segment_path(Table::Sightings, 1).to_string())).unwrap());
    disk.remove(&Path::new(OUT).join(wal)).unwrap();
    compact(&disk, Path::new(OUT), None).unwrap();
    assert_eq!(assert_each_once(&disk, 36, "compacted again"), 2);
}

#[test]
fn a_damaged_segment_is_left_and_named() {
    let disk = disk_with(3, 12);
    let damaged = Path::new(OUT).join(segment_path(Table::Sightings, 1).to_string());
    disk.tamper(&damaged, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let done = compact(&disk, Path::new(OUT), None).unwrap();
    let left: Vec<_> = done.left().map(|(path, _)| path.clone()).collect();
    assert_eq!(left, std::slice::from_ref(&damaged));
    assert!(disk.exists(&damaged).unwrap());
}

#[test]
fn foreign_files_are_left() {
    let disk = disk_with(2, 12);
    let bytes = segment::write(Table::Sightings, &run(), &[event(1)], Vec::new()).unwrap();
    put(&disk, "sightings/date=2026-01-02/mine.parquet", &bytes);
    compact(&disk, Path::new(OUT), None).unwrap();
    assert!(disk.exists(Path::new("/out/sightings/date=2026-01-02/mine.parquet")).unwrap());
}

#[test]
fn a_day_with_a_damaged_compacted_file_is_left_alone() {
    let disk = disk_with(3, 12);
    compact(&disk, Path::new(OUT), None).unwrap();
    let compacted =
        disk.files().into_iter().map(|(path, _)| path).find(|path| path.starts_with("/out/sightings"));
    let compacted = compacted.unwrap();
    disk.tamper(&compacted, |bytes| bytes[40] ^= 1);
    // Its inputs are back, as after a crash: what it holds and what they hold must not both be merged.
    put_segments(&disk, 0..5, 12);
    let done = compact(&disk, Path::new(OUT), None).unwrap();
    assert_eq!(done.left().map(|(path, _)| path.clone()).collect::<Vec<_>>(), [compacted]);
    assert!(disk.exists(&Path::new(OUT).join(segment_path(Table::Sightings, 4).to_string())).unwrap());
}
