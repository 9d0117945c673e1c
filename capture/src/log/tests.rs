//! The log: durability, rotation, recovery, and disks that fail.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Condvar,
        atomic::{AtomicU32, Ordering},
    },
};

use proptest::prelude::*;
use schema::{
    InfoHash,
    disk::{DiskFile, Reader, simulated::SimulatedDisk},
    layout::{MICROS_PER_DAY, SegmentPath},
    segment,
    table::{Hostname, HostnameOutcome, Sighting, Source},
};

use super::*;

/// Rows are told apart by their time.
const FIRST_TIME: i64 = 1_767_225_600_000_000;
const ROWS: i64 = 24;
/// After so many rows a test waits until they are durable.
const BURST: i64 = 6;

fn options(run: &str) -> LogOptions {
    LogOptions {
        folder: PathBuf::from("/out"),
        run: RunId(run.to_owned()),
        rotate_every: Duration::from_hours(1),
        rotate_size: 1200,
        sync_every: Duration::ZERO,
    }
}

fn pace() -> Pace {
    let short = Duration::from_millis(1);
    Pace { gather: short, retry_write: short, retry_rotation: short, rows_at_once: 8 }
}

fn open(disk: &SimulatedDisk, run: &str) -> Result<Log, LogError> {
    Log::open_on(Arc::new(disk.clone()), options(run), Clock::start(), pace(), None)
}

/// A row of one of two tables, on one of two dates.
fn row(number: i64) -> (Timestamp, Row) {
    let ip = std::net::IpAddr::from([10, 0, 0, u8::try_from(number % 7).unwrap()]);
    let row = if number % 3 == 0 {
        Row::from(Hostname { ip, hostname: None, outcome: HostnameOutcome::NoName })
    } else {
        let endpoint = Some("http://tracker.example/announce".to_owned());
        let info_hash = InfoHash([1; 20]);
        Sighting { info_hash, source: Source::TrackerHttp, endpoint, ip, port: 1, flags: None }.into()
    };
    (Timestamp(FIRST_TIME + number + (number % 2) * MICROS_PER_DAY), row)
}

fn number_of(time: Timestamp) -> i64 {
    (time.0 - FIRST_TIME) % MICROS_PER_DAY
}

/// Appends the rows in bursts, each durable before the next, as far as the disk lives; tells how many were durable.
async fn append_all(log: &Log, disk: &SimulatedDisk) -> i64 {
    for burst in 0..ROWS / BURST {
        for number in burst * BURST..(burst + 1) * BURST {
            let (time, row) = row(number);
            log.append_at(time, row).await;
        }
        let stats = log.wait_until(|stats| stats.rows_not_durable == 0 || disk.is_dead()).await;
        if stats.rows_not_durable > 0 {
            return i64::try_from(stats.rows - stats.rows_not_durable).unwrap();
        }
    }
    ROWS
}

/// How often each row is in the segments; every file in a table's folder must be a whole segment in its place.
fn rows_in_segments(disk: &SimulatedDisk) -> BTreeMap<i64, u32> {
    let mut rows = BTreeMap::new();
    for (path, bytes) in disk.files() {
        let path = path.strip_prefix("/out").unwrap().to_str().unwrap().to_owned();
        if path.starts_with("wal/") {
            continue;
        }
        let path: SegmentPath = path.parse().unwrap();
        for (run, event) in segment::read(path.table, bytes::Bytes::from(bytes)).unwrap() {
            assert_eq!((run, event.row.table()), (path.wal.run.clone(), path.table));
            assert_eq!(schema::layout::Date::of(event.time), path.date);
            *rows.entry(number_of(event.time)).or_default() += 1;
        }
    }
    rows
}

/// What the next run makes of a disk: every durable row must be there once, and no row twice.
async fn check_recovered(disk: &SimulatedDisk, durable: i64, case: &str) {
    let log = open(disk, "20260102T000000Z-00000002").unwrap();
    assert_eq!(log.recovery().damaged, Vec::<PathBuf>::new(), "{case}");
    log.close().await.unwrap();
    let rows = rows_in_segments(disk);
    assert!(rows.values().all(|count| *count == 1), "{case}: a row twice in {rows:?}");
    assert!((0..durable).all(|number| rows.contains_key(&number)), "{case}: of {durable} rows only {rows:?}");
    let left = disk.files().into_iter().filter(|(path, _)| path.starts_with("/out/wal")).count();
    assert_eq!(left, 0, "{case}: write-ahead files are left");
}

/// How many calls a run on a good disk makes.
async fn calls_of_a_good_run() -> u64 {
    let disk = SimulatedDisk::default();
    let log = open(&disk, "20260102T000000Z-00000001").unwrap();
    assert_eq!(append_all(&log, &disk).await, ROWS);
    log.close().await.unwrap();
    let rows = rows_in_segments(&disk);
    assert_eq!(rows.len(), usize::try_from(ROWS).unwrap());
    assert!(rows.values().all(|count| *count == 1));
    disk.calls()
}

#[tokio::test]
async fn killed_at_any_call_every_durable_row_is_there_once() {
    let calls = calls_of_a_good_run().await;
    for from in 0..calls {
        let disk = SimulatedDisk::dying(from);
        let Ok(log) = open(&disk, "20260102T000000Z-00000001") else {
            continue;
        };
        let durable = append_all(&log, &disk).await;
        // The process is dead already: what closing says is of no use to anyone.
        drop(log.close().await);
        check_recovered(&disk.after_kill(), durable, &format!("killed at call {from}")).await;
        let mut bits =
            (0_u64..).map(|n| (n.wrapping_add(from).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) & 1 == 1);
        let disk = disk.after_power_loss(|| bits.next().unwrap());
        check_recovered(&disk, durable, &format!("power lost at call {from}")).await;
    }
}

#[tokio::test]
async fn whatever_call_fails_for_a_while_no_row_is_lost() {
    let calls = calls_of_a_good_run().await;
    for (from, count) in (0..calls).map(|from| (from, 1 + from % 3)) {
        let disk = SimulatedDisk::failing(from, count);
        let Ok(log) = open(&disk, "20260102T000000Z-00000001") else {
            continue;
        };
        assert_eq!(append_all(&log, &disk).await, ROWS);
        log.close().await.unwrap();
        let case = format!("{count} failures from call {from}");
        check_recovered(&disk.after_power_loss(|| from % 2 == 0), ROWS, &case).await;
    }
}

#[tokio::test]
async fn a_rotation_that_waits_for_its_next_attempt_is_tried_at_the_close() {
    let calls = calls_of_a_good_run().await;
    for from in 0..calls {
        let disk = SimulatedDisk::failing(from, 1);
        let pace = Pace { retry_rotation: Duration::from_hours(1), ..pace() };
        let options = options("20260102T000000Z-00000001");
        let Ok(log) = Log::open_on(Arc::new(disk.clone()), options, Clock::start(), pace, None) else {
            continue;
        };
        assert_eq!(append_all(&log, &disk).await, ROWS);
        log.close().await.unwrap();
        assert_eq!(rows_in_segments(&disk).len(), usize::try_from(ROWS).unwrap(), "call {from} failed");
        let files = disk.files().into_iter().map(|(path, _)| path);
        let left: Vec<_> = files.filter(|path| path.starts_with("/out/wal")).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "call {from} failed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A sync fails, later the power: the fresh file and the one given up must not both count.
    #[test]
    fn any_failures_then_a_power_loss(from in 0_u64..90, count in 1_u64..4, second in 0_u64..90, seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let disk = SimulatedDisk::failing(from, count);
            let Ok(log) = open(&disk, "20260102T000000Z-00000001") else { return };
            disk.fail_then_die(from + count + second);
            let durable = append_all(&log, &disk).await;
            drop(log.close().await);
            let mut state = seed;
            let disk = disk.after_power_loss(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 63 == 1
            });
            check_recovered(&disk, durable, &format!("{count} failures from {from}, dead {second} later")).await;
        });
    }
}

#[tokio::test]
async fn a_disk_that_fails_pauses_the_log_and_says_so() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, "20260102T000000Z-00000001").unwrap();
    disk.fail_from_now_on();
    for number in 0..ROWS {
        let (time, row) = row(number);
        log.append_at(time, row).await;
    }
    log.wait_until(|stats| stats.state != LogState::Ok).await;
    assert!(log.stats().rows_not_durable > 0 && log.stats().oldest_not_durable.is_some());
    disk.heal();
    log.wait_until(|stats| stats.rows_not_durable == 0 && stats.state == LogState::Ok).await;
    assert_eq!((log.stats().state, log.stats().rows), (LogState::Ok, u64::try_from(ROWS).unwrap()));
    log.close().await.unwrap();
    assert_eq!(rows_in_segments(&disk).len(), usize::try_from(ROWS).unwrap());
}

#[tokio::test]
async fn a_disk_that_never_heals_ends_with_the_count_of_rows_lost() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, "20260102T000000Z-00000001").unwrap();
    disk.fail_from_now_on();
    let (time, row) = row(0);
    log.append_at(time, row).await;
    assert!(matches!(log.close().await, Err(LogError::Lost { rows: 1, .. })));
}

/// A disk that makes two write-ahead files, and no other file before its gate is opened.
struct Gated {
    disk: SimulatedDisk,
    wals: AtomicU32,
    is_open: Arc<(Mutex<bool>, Condvar)>,
}

impl Disk for Gated {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let is_wal = path.extension().is_some_and(|extension| extension == "wal");
        if !is_wal || self.wals.fetch_add(1, Ordering::Relaxed) >= 2 {
            let (is_open, changed) = &*self.is_open;
            drop(changed.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        }
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Reader> {
        self.disk.open(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list_folders(folder)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.disk.exists(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_folder(path)
    }
}

#[tokio::test]
async fn rows_become_durable_while_a_rotation_cannot_make_a_single_file() {
    let disk = SimulatedDisk::default();
    let gated = Gated { disk: disk.clone(), wals: AtomicU32::new(0), is_open: Arc::default() };
    let gate = gated.is_open.clone();
    let options = options("20260102T000000Z-00000001");
    let log = Log::open_on(Arc::new(gated), options, Clock::start(), pace(), None).unwrap();
    let mut rows = 0;
    while log.stats().wals_waiting == 0 {
        let (time, row) = row(rows);
        log.append_at(time, row).await;
        rows += 1;
        log.wait_until(|stats| stats.rows_not_durable == 0).await;
    }
    // The first file waits for its segments, and the one after the second cannot be made in advance.
    let (time, row) = row(rows);
    log.append_at(time, row).await;
    let stuck = log.wait_until(|stats| stats.rows_not_durable == 0).await;
    assert_eq!((stuck.wals_waiting, stuck.segments, &stuck.state), (1, 0, &LogState::Ok));
    let (is_open, changed) = &*gate;
    *is_open.lock().unwrap() = true;
    changed.notify_all();
    log.close().await.unwrap();
    assert_eq!(rows_in_segments(&disk).len(), usize::try_from(rows + 1).unwrap());
}

#[tokio::test]
async fn damage_in_the_middle_costs_its_frame_is_reported_and_kept() {
    let disk = SimulatedDisk::default();
    let log = Log::open_on(
        Arc::new(disk.clone()),
        LogOptions { rotate_size: u64::MAX, ..options("20260102T000000Z-00000001") },
        Clock::start(),
        pace(),
        None,
    )
    .unwrap();
    append_all(&log, &disk).await;
    let disk = disk.after_kill();
    let wal = Path::new("/out/wal/20260102T000000Z-00000001-000000.wal");
    disk.tamper(wal, |bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    });

    let next = open(&disk, "20260102T000000Z-00000002").unwrap();
    let kept = PathBuf::from("/out/wal/damaged/20260102T000000Z-00000001-000000.wal");
    assert_eq!(next.recovery().damaged, [kept]);
    assert!(next.recovery().damaged_bytes > 0);
    next.close().await.unwrap();
    let rows = rows_in_segments(&disk);
    let lost = usize::try_from(ROWS).unwrap() - rows.len();
    assert!(lost > 0 && lost <= usize::try_from(BURST).unwrap(), "{lost} rows lost");
}

#[tokio::test]
async fn a_wal_of_another_version_is_left_alone() {
    let disk = SimulatedDisk::default();
    disk.create_folder(Path::new("/out/wal")).unwrap();
    let run = RunId("20260102T000000Z-00000001".to_owned());
    let header = schema::frame::Header { schema_version: 99, run: run.clone(), seq: 0, cuts: Vec::new() };
    let path = wal::wal_path(Path::new("/out"), &schema::layout::WalPath { run, seq: 0 });
    disk.create(&path).unwrap().write_at(0, &header.encode().unwrap()).unwrap();
    let error = open(&disk, "20260102T000000Z-00000002").err().unwrap();
    assert!(matches!(error, LogError::OtherVersion { .. }), "{error}");
    assert!(disk.exists(&path).unwrap());
}

#[tokio::test]
async fn rows_after_the_close_are_counted() {
    let disk = SimulatedDisk::default();
    let log = open(&disk, "20260102T000000Z-00000001").unwrap();
    let other = log.clone();
    log.close().await.unwrap();
    let (time, row) = row(0);
    other.append_at(time, row).await;
    assert_eq!((other.stats().rows, other.stats().rows_refused), (0, 1));
}
