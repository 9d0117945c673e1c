//! The log on the machine's own disk: killed without warning, and locked against a second capture.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use capture::{
    clock::Clock,
    log::{Log, LogError, LogOptions},
};
use schema::{
    InfoHash, RunId, Timestamp, segment,
    table::{Sighting, Source, Table},
};

/// The folder for the child process; without it, its test does nothing.
const FOLDER: &str = "LOG_CRASH_FOLDER";
const FIRST_TIME: i64 = 1_767_225_600_000_000;

fn open(folder: &Path, run: &str) -> Result<Log, LogError> {
    let options = LogOptions {
        folder: folder.to_owned(),
        run: RunId(run.to_owned()),
        rotate_every: Duration::from_millis(70),
        rotate_size: 64 << 20,
        sync_every: Duration::from_millis(20),
    };
    Log::open(options, Clock::start())
}

fn sighting(number: i64) -> (Timestamp, Sighting) {
    let ip = std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into();
    let info_hash = InfoHash([7; 20]);
    let row = Sighting { info_hash, source: Source::Dht, endpoint: None, ip, port: 6881, flags: None };
    (Timestamp(FIRST_TIME + number), row)
}

/// Appends for ever and says how many rows are durable, until it is killed.
#[tokio::test]
async fn child_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log = open(Path::new(&folder), "20260101T000000Z-0000000c").unwrap();
    for number in 0.. {
        let (time, row) = sighting(number);
        log.append_at(time, row).await;
        if number % 40 == 0 {
            let stats = log.stats();
            println!("durable {}", stats.rows - stats.rows_not_durable);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Runs the child in `folder`, kills it once it has said `lines` times what is durable; tells what it said last.
fn run_and_kill(folder: &Path, lines: usize) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let durable = |line: &String| line.strip_prefix("durable ")?.parse().ok();
    let mut last = said.by_ref().filter_map(|line| durable(&line)).nth(lines).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    for durable in said.filter_map(|line| durable(&line)) {
        last = durable;
    }
    last
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let Ok(dates) = std::fs::read_dir(folder.join("sightings")) else { return Vec::new() };
    let files = dates.flat_map(|date| std::fs::read_dir(date.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn killed_at_any_moment_every_durable_row_is_there_once() {
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let durable: i64 = run_and_kill(folder.path(), 5 + round * 23);
        let log = open(folder.path(), "20260102T000000Z-0000000d").unwrap();
        assert!(log.recovery().damaged.is_empty());
        log.close().await.unwrap();

        let mut counts = BTreeMap::<i64, u32>::new();
        for path in segments(folder.path()) {
            for (_, event) in segment::read(Table::Sightings, File::open(path).unwrap()).unwrap() {
                *counts.entry(event.time.0 - FIRST_TIME).or_default() += 1;
            }
        }
        assert!(counts.values().all(|count| *count == 1), "round {round}: a row is there twice");
        let rows = i64::try_from(counts.len()).unwrap();
        assert!(counts.keys().copied().eq(0..rows), "round {round}: a row is missing in between");
        assert!(rows >= durable, "round {round}: {durable} rows were durable, {rows} are there");
    }
}

#[tokio::test]
async fn a_second_capture_is_refused_with_the_first_ones_pid() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), "20260101T000000Z-0000000a").unwrap();
    let error = open(folder.path(), "20260101T000000Z-0000000b").err().unwrap();
    assert!(error.to_string().contains(&format!("process id {}", std::process::id())), "{error}");
    log.close().await.unwrap();
    open(folder.path(), "20260101T000000Z-0000000b").unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_folder_taken_away_under_way_is_made_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("out");
    let log = open(&folder, "20260101T000000Z-0000000a").unwrap();
    for number in 0..3 {
        let (time, row) = sighting(number);
        log.append_at(time, row).await;
        if number == 0 {
            while log.stats().rows_not_durable > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::fs::rename(&folder, home.path().join("elsewhere")).unwrap();
        }
    }
    log.close().await.unwrap();
    let read = |path| segment::read(Table::Sightings, File::open(path).unwrap()).unwrap();
    let mut times: Vec<_> =
        segments(&folder).into_iter().flat_map(read).map(|(_, event)| event.time).collect();
    times.sort();
    assert!(times.ends_with(&[Timestamp(FIRST_TIME + 1), Timestamp(FIRST_TIME + 2)]), "{times:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(&file.path().join("out"), "20260101T000000Z-0000000a").err().unwrap();
    assert!(error.to_string().starts_with("cannot make "), "{error}");
}
