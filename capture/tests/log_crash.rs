//! The log on the machine's own disk: killed without warning at any moment and at every step, and locked against a
//! second capture.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
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
/// The number of the child's life, which its run and its rows are told apart by.
const LIFE: &str = "LOG_CRASH_LIFE";
/// The step at which the log kills its process.
const DIE_AT: &str = "SWARMTALLY_DIE_AT";
const FIRST_TIME: i64 = 1_767_225_600_000_000;
/// Numbers between the first rows of two lives.
const LIFE_ROWS: i64 = 10_000_000;
const SIGKILL: i32 = 9;

fn open(folder: &Path, run: &str) -> Result<Log, LogError> {
    let options = LogOptions {
        folder: folder.to_owned(),
        run: RunId(run.to_owned()),
        rotate_every: Duration::from_millis(6),
        rotate_size: 64 << 20,
        sync_every: Duration::from_millis(1),
    };
    Log::open(options, Clock::start())
}

fn sighting(number: i64) -> (Timestamp, Sighting) {
    let ip = std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into();
    let info_hash = InfoHash([7; 20]);
    let row = Sighting { info_hash, source: Source::Dht, endpoint: None, ip, port: 6881, flags: None };
    (Timestamp(FIRST_TIME + number), row)
}

/// Appends and says how many rows are durable, until it is killed.
#[tokio::test]
async fn child_appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let life: i64 = std::env::var(LIFE).unwrap().parse().unwrap();
    let log = open(Path::new(&folder), &format!("20260101T000000Z-{life:08x}")).unwrap();
    println!("open");
    for number in 0..LIFE_ROWS {
        let (time, row) = sighting(life * LIFE_ROWS + number);
        log.append_at(time, row).await;
        if number % 400 == 399 {
            let stats = log.wait_until(|stats| stats.rows_not_durable == 0).await;
            println!("durable {}", stats.rows);
        }
    }
}

/// A life of the child.
fn child(folder: &Path, life: i64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// What a life came to: how it ended, and how many of its rows were durable by its own word.
struct Life {
    ended: ExitStatus,
    opened: bool,
    durable: i64,
}

/// Runs a child until it dies by itself, or until it is killed after a time.
fn live(mut command: Command, kill_after: Option<Duration>) -> Life {
    let mut child = command.spawn().unwrap();
    if let Some(after) = kill_after {
        // The moment is to be any at all: nothing is waited for.
        std::thread::sleep(after);
        child.kill().unwrap();
    }
    let mut life = Life { ended: ExitStatus::from_raw(0), opened: false, durable: 0 };
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        life.opened |= line == "open";
        if let Some(durable) = line.strip_prefix("durable ") {
            life.durable = durable.parse().unwrap();
        }
    }
    life.ended = child.wait().unwrap();
    life
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let Ok(dates) = std::fs::read_dir(folder.join("sightings")) else { return Vec::new() };
    let files = dates.flat_map(|date| std::fs::read_dir(date.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

/// Recovers what the lives left: of each, the rows from the first to at least the last durable one, each once, in
/// whole files.
async fn check(folder: &Path, durable: &[i64], case: &str) {
    let log = open(folder, "20260102T000000Z-ffffffff").unwrap();
    assert_eq!(log.recovery().damaged, Vec::<PathBuf>::new(), "{case}");
    log.close().await.unwrap();
    let mut counts = BTreeMap::<i64, u32>::new();
    for path in segments(folder) {
        let mut file = File::open(&path).unwrap();
        let checked = segment::checksum::check(&mut file).unwrap();
        assert_eq!(checked, segment::checksum::Checked::Whole, "{case}: {}", path.display());
        for (_, event) in segment::read(Table::Sightings, file).unwrap() {
            *counts.entry(event.time.0 - FIRST_TIME).or_default() += 1;
        }
    }
    assert!(counts.values().all(|count| *count == 1), "{case}: a row is there twice");
    for (life, durable) in (0..).zip(durable) {
        let first = life * LIFE_ROWS;
        let rows: Vec<_> = counts.range(first..first + LIFE_ROWS).map(|(number, _)| number - first).collect();
        let there = i64::try_from(rows.len()).unwrap();
        assert!(rows.iter().copied().eq(0..there), "{case}: a row of life {life} is missing in between");
        assert!(there >= *durable, "{case}: {durable} rows of life {life} were durable, {there} are there");
    }
    let left: Vec<_> = std::fs::read_dir(folder.join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "lock")
        .collect();
    assert!(left.is_empty(), "{case}: {left:?} are left in wal/");
}

/// Numbers drawn one after the other.
fn draws(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Twelve folders with 25 lives each, every one of them killed: at its start, in its recovery, while it writes.
#[tokio::test]
async fn killed_at_three_hundred_moments_every_durable_row_is_there_once() {
    let mut draw = draws(1);
    let (mut opened, mut rows) = (0, 0);
    for folder_number in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let mut durable = Vec::new();
        for life in 0..25 {
            // Some die while they start and recover, others while they write; rows are gathered for 50 ms.
            let latest = if life % 2 == 0 { 50_000 } else { 160_000 };
            let after = Duration::from_micros(draw(latest));
            let life = live(child(folder.path(), life), Some(after));
            assert_eq!(life.ended.signal(), Some(SIGKILL));
            opened += u32::from(life.opened);
            rows += life.durable;
            durable.push(life.durable);
        }
        check(folder.path(), &durable, &format!("folder {folder_number}")).await;
    }
    assert!(opened >= 30 && rows > 1_000, "killed too early to tell anything: {opened} opened, {rows} rows");
}

/// Every step by which rows get to the disk and into segments.
const STEPS: [&str; 16] = [
    "create-wal",
    "write-wal",
    "sync-wal",
    "sync-wal-folder",
    "open-wal",
    "create-segment",
    "write-segment",
    "sync-segment",
    "make-date-folder",
    "sync-folder",
    "rename-segment",
    "sync-date-folder",
    "remove-wal",
    "make-wal-folder",
    "sync-wal-folder",
    "write-wal",
];

#[tokio::test]
async fn killed_at_every_step_every_durable_row_is_there_once() {
    for (number, step) in STEPS.iter().enumerate() {
        for when in ["before", "within", "after"] {
            let folder = tempfile::tempdir().unwrap();
            // Opening makes and syncs folders; the last steps of the list are to come later than that.
            let count = if step.contains("wal-folder") { 1 + number % 4 } else { 1 + number % 3 };
            let count = if *step == "make-wal-folder" { 1 } else { count };
            let at = format!("{when}:{step}:{count}");
            let mut first = child(folder.path(), 0);
            first.env(DIE_AT, &at);
            let first = live(first, None);
            assert_eq!(first.ended.signal(), Some(SIGKILL), "{at} never came");
            // The next life dies at the same step, in its recovery if it comes to that there.
            let mut second = child(folder.path(), 1);
            second.env(DIE_AT, format!("{when}:{step}:1"));
            let second = live(second, None);
            assert_eq!(second.ended.signal(), Some(SIGKILL), "{at} never came again");
            check(folder.path(), &[first.durable, second.durable], &at).await;
        }
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
            log.wait_until(|stats| stats.rows_not_durable == 0).await;
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
