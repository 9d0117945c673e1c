//! Disks that are full, read-only or gone, as a mount namespace of the test's own has them; and two captures on one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use capture::{
    clock::Clock,
    log::{Log, LogOptions, LogState, LogStats},
};
use rustix::fs::{CWD, RenameFlags};
use schema::{
    InfoHash, RunId, Timestamp, segment,
    table::{Sighting, Source, Table},
};

/// The folder of a child's file system; without it, the children's tests do nothing.
const MOUNTED: &str = "DISK_TEST_MOUNTED";
const FIRST_TIME: i64 = 1_767_225_600_000_000;

fn open(folder: &Path) -> Log {
    let options = LogOptions {
        folder: folder.to_owned(),
        run: RunId("20260101T000000Z-0000000a".to_owned()),
        rotate_every: Duration::from_millis(40),
        rotate_size: 1 << 20,
        sync_every: Duration::from_millis(1),
    };
    Log::open(options, Clock::start()).unwrap()
}

/// How fast rows come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Some at a time, each time until they are durable.
    Durable,
    /// As fast as the log takes them.
    Fast,
}

/// Appends rows, at some pace, until it is in some state; gives their number and the state.
async fn append_until(
    log: &Log,
    first: i64,
    pace: Pace,
    is_so: impl Fn(&LogStats) -> bool,
) -> (i64, LogStats) {
    let mut number = first;
    loop {
        let stats = log.stats();
        if is_so(&stats) {
            return (number, stats);
        }
        let ip = std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into();
        let endpoint = Some(format!("10.0.0.1:{number}"));
        let row = Sighting {
            info_hash: InfoHash([7; 20]),
            source: Source::Dht,
            endpoint,
            ip,
            port: 1,
            flags: None,
        };
        log.append_at(Timestamp(FIRST_TIME + number), row).await;
        number += 1;
        if pace == Pace::Durable && number % 100 == 0 {
            log.wait_until(|stats| stats.rows_not_durable == 0 || stats.state != LogState::Ok).await;
        }
    }
}

fn cause(stats: &LogStats) -> &str {
    match &stats.state {
        LogState::Paused { cause } => cause,
        LogState::Ok => "",
    }
}

/// Every row there once.
fn assert_rows(folder: &Path, expected: i64) {
    let mut counts = BTreeMap::<i64, u32>::new();
    for date in fs::read_dir(folder.join("sightings")).unwrap() {
        for file in fs::read_dir(date.unwrap().path()).unwrap() {
            for (_, event) in
                segment::read(Table::Sightings, File::open(file.unwrap().path()).unwrap()).unwrap()
            {
                *counts.entry(event.time.0 - FIRST_TIME).or_default() += 1;
            }
        }
    }
    assert!(counts.keys().copied().eq(0..expected), "{} rows of {expected}", counts.len());
    assert!(counts.values().all(|count| *count == 1));
}

fn mounted() -> Option<PathBuf> {
    std::env::var_os(MOUNTED).map(PathBuf::from)
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Lays a read-only view of a folder over it.
///
/// It is made elsewhere and moved there: a mount through which a file is being written cannot be made read-only.
fn make_read_only(folder: &Path, elsewhere: &Path) {
    fs::create_dir(elsewhere).unwrap();
    let [folder, elsewhere] = [folder, elsewhere].map(|path| path.to_str().unwrap());
    run("mount", &["--bind", folder, elsewhere]);
    run("mount", &["-o", "remount,bind,ro", elsewhere]);
    run("mount", &["--move", elsewhere, folder]);
}

/// Takes the view away, though a file may be read through it at the moment.
fn make_writable(folder: &Path) {
    run("umount", &["--lazy", folder.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_on_a_disk_that_is_full_for_a_while() {
    let Some(disk) = mounted() else { return };
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let log = open(&disk.join("out"));
    let (rows, paused) = append_until(&log, 0, Pace::Fast, |stats| stats.state != LogState::Ok).await;
    assert!(cause(&paused).contains("No space left on device"), "{paused:?}");
    let durable = paused.rows - paused.rows_not_durable;
    fs::remove_file(&ballast).unwrap();
    let healed = log.wait_until(|stats| stats.state == LogState::Ok && stats.rows_not_durable == 0).await;
    assert!(durable > 0 && healed.rows_refused == 0, "{healed:?}");
    let (rows, _) = append_until(&log, rows, Pace::Fast, |stats| stats.rows > healed.rows + 1_000).await;
    log.close().await.unwrap();
    assert_rows(&disk.join("out"), rows);
    println!("child done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_on_a_folder_that_becomes_read_only_for_a_while() {
    let Some(disk) = mounted() else { return };
    let out = disk.join("out");
    let log = open(&out);
    let (rows, _) = append_until(&log, 0, Pace::Durable, |stats| stats.segments > 2).await;
    make_read_only(&out, &disk.join("view"));
    let (rows, paused) = append_until(&log, rows, Pace::Durable, |stats| stats.state != LogState::Ok).await;
    assert!(cause(&paused).contains("Read-only file system"), "{paused:?}");
    make_writable(&out);
    log.wait_until(|stats| stats.state == LogState::Ok && stats.rows_not_durable == 0).await;
    log.close().await.unwrap();
    assert_rows(&out, rows);
    println!("child done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_whose_folder_makes_way_for_a_file_for_a_while() {
    let Some(disk) = mounted() else { return };
    let (out, elsewhere) = (disk.join("out"), disk.join("elsewhere"));
    let log = open(&out);
    let (before, _) = append_until(&log, 0, Pace::Durable, |stats| stats.segments > 2).await;
    log.wait_until(|stats| stats.rows_not_durable == 0 && stats.wals_waiting == 0).await;
    fs::write(&elsewhere, b"in the way").unwrap();
    // At once: the log would make a folder again that is missing for a moment.
    rustix::fs::renameat_with(CWD, &out, CWD, &elsewhere, RenameFlags::EXCHANGE).unwrap();
    let (rows, _) = append_until(&log, before, Pace::Durable, |stats| stats.state != LogState::Ok).await;
    fs::remove_file(&out).unwrap();
    log.wait_until(|stats| stats.state == LogState::Ok && stats.rows_not_durable == 0).await;
    log.close().await.unwrap();
    // Rows that were durable lie where the folder was taken; the others where it was made again.
    let mut there = BTreeMap::<i64, u32>::new();
    for folder in [&out, &elsewhere] {
        let log = open_again(folder).await;
        for number in log {
            *there.entry(number).or_default() += 1;
        }
    }
    assert!(there.keys().copied().eq(0..rows), "{} rows of {rows}", there.len());
    println!("child done");
}

/// Recovers a folder and gives the numbers of its rows.
async fn open_again(folder: &Path) -> Vec<i64> {
    let options = LogOptions {
        folder: folder.to_owned(),
        run: RunId("20260101T000000Z-0000000b".to_owned()),
        rotate_every: Duration::from_secs(1),
        rotate_size: 1 << 20,
        sync_every: Duration::from_millis(1),
    };
    Log::open(options, Clock::start()).unwrap().close().await.unwrap();
    let mut numbers = Vec::new();
    for date in fs::read_dir(folder.join("sightings")).unwrap() {
        for file in fs::read_dir(date.unwrap().path()).unwrap() {
            let rows = segment::read(Table::Sightings, File::open(file.unwrap().path()).unwrap()).unwrap();
            numbers.extend(rows.into_iter().map(|(_, event)| event.time.0 - FIRST_TIME));
        }
    }
    numbers
}

/// Whether a mount namespace can be made; where everything must run, it fails if not.
fn can_mount() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let has_tools =
        ["unshare", "mount"].iter().all(|tool| Command::new(tool).arg("--version").output().is_ok());
    if is_root && has_tools {
        return true;
    }
    let why = "a mount namespace needs root, and unshare and mount of util-linux";
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "cannot run: {why}");
    eprintln!("skipped: {why}");
    false
}

/// Runs a child test on a file system of some size in a mount namespace of its own.
fn in_namespace(child: &str, mebibytes: u32) {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script =
        format!("mount -t tmpfs -o size={mebibytes}m swarmtally \"${MOUNTED}\" && exec \"$0\" \"$@\"");
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture"])
        .env(MOUNTED, folder.path())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && told.contains("child done"), "{told}");
}

#[test]
fn a_full_disk_pauses_the_log_and_room_resumes_it() {
    in_namespace("child_on_a_disk_that_is_full_for_a_while", 6);
}

#[test]
fn a_read_only_folder_pauses_the_log_until_it_can_be_written() {
    in_namespace("child_on_a_folder_that_becomes_read_only_for_a_while", 64);
}

#[test]
fn a_folder_removed_pauses_the_log_until_it_can_be_made() {
    in_namespace("child_whose_folder_makes_way_for_a_file_for_a_while", 64);
}

fn capture(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_capture"));
    command.current_dir(folder).args(["--torrents", "list.txt", "--no-listen", "--no-dht", "--no-trackers"]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn a_second_capture_on_a_folder_ends_with_the_first_ones_pid() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list.txt"), "0123456789abcdef0123456789abcdef01234567\n").unwrap();
    let first = open(&folder.path().join("data"));
    let second = capture(folder.path()).output().unwrap();
    first.close().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8(second.stderr).unwrap();
    let line = told.lines().last().unwrap();
    assert!(
        line.contains(&format!("in use by the capture with process id {}", std::process::id())),
        "{told}"
    );
}

#[test]
fn a_read_only_folder_at_the_start_is_told_in_one_line() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list.txt"), "0123456789abcdef0123456789abcdef01234567\n").unwrap();
    let script = "mkdir data && mount -t tmpfs -o ro swarmtally data && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, env!("CARGO_BIN_EXE_capture")])
        .args(["--torrents", "list.txt", "--no-listen", "--no-dht", "--no-trackers"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let last = told.lines().last().unwrap();
    assert!(last.starts_with("capture: cannot ") && last.contains("Read-only file system"), "{told}");
}
