//! Rows per second: a realistic log through the capture's own log, against a plain write of as many bytes.
//!
//! Prepared rows → appenders → durable, while files rotate → segments → one file per table and date, as
//! `analyze compact` writes it. A plain write is `write` and, as often as the log does it, `fdatasync`.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use capture::log::{Log, LogOptions};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use schema::{
    RunId, Timestamp,
    disk::Reader,
    layout::{Date, SegmentPath},
    segment::{self, COMPACTED_ROW_GROUP_ROWS, Origin},
    table::{Event, Table},
};

use crate::{
    clock::Clock,
    log::{
        population::{Population, PopulationOptions},
        rows::Writer,
    },
};

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_767_225_600_000_000);
/// Peers whose rows are counted to tell how many peers so many rows need.
const SAMPLE: u32 = 500;
/// Bytes that a plain write writes at once, and makes durable at once: as the log does.
const WRITE_BYTES: usize = 1 << 20;
const SYNC_BYTES: u64 = 16 << 20;
/// An append that takes longer has waited: for a core, a lock or room.
const SLOW: Duration = Duration::from_millis(2);

/// What is measured.
#[derive(Clone, Debug)]
pub struct LogBenchOptions {
    /// Rows, about.
    pub rows: u64,
    /// Tasks that append at once.
    pub appenders: usize,
    /// A write-ahead file becomes segments when it has so many bytes.
    pub rotate_size: u64,
    /// Folder of the log; made, and must be empty.
    pub out: PathBuf,
    /// Another seed is another log.
    pub seed: u64,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct LogBench {
    /// Rows appended.
    pub rows: u64,
    /// From the first append until all were durable.
    pub durable: Duration,
    /// Until all were in segments.
    pub segments: Duration,
    /// Bytes written ahead.
    pub wal_bytes: u64,
    /// A plain write of as many.
    pub plain: Duration,
    /// What appending took, while files rotated.
    pub appends: Appends,
    /// The same rows into one file that does not rotate.
    pub unrotated: Appends,
    /// Files rotated while rows were appended.
    pub rotations: u64,
    /// Bytes of all segments.
    pub fresh_bytes: u64,
    /// Bytes of the merged segments.
    pub compacted_bytes: u64,
    /// What merging took.
    pub compaction: Duration,
}

/// What appending took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Appends {
    /// The longest time that one append took.
    pub longest: Duration,
    /// Appends that took longer than `SLOW`.
    pub slow: u64,
    /// Appends that found no room, and waited until the log took rows.
    pub waits: u64,
}

impl LogBench {
    /// Rows made durable per second.
    pub fn rows_per_s(&self) -> f64 {
        self.rows as f64 / self.durable.as_secs_f64()
    }

    /// Bytes a row takes in fresh segments.
    pub fn fresh_bytes_per_row(&self) -> f64 {
        self.fresh_bytes as f64 / self.rows as f64
    }

    /// Bytes a row takes in merged ones.
    pub fn compacted_bytes_per_row(&self) -> f64 {
        self.compacted_bytes as f64 / self.rows as f64
    }

    /// The log's speed as a share of a plain write's.
    pub fn ratio(&self) -> f64 {
        self.plain.as_secs_f64() / self.durable.as_secs_f64()
    }
}

impl fmt::Display for LogBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, wal_bytes, rotations, .. } = self;
        let mib = *wal_bytes as f64 / f64::from(1 << 20);
        writeln!(f, "{rows} rows, {mib:.0} MiB written ahead, {rotations} files rotated meanwhile")?;
        writeln!(f, "durable         {:>10.0} rows/s", self.rows_per_s())?;
        writeln!(
            f,
            "plain write     {:>10.0} rows/s of the same bytes, ratio {:.2}",
            *rows as f64 / self.plain.as_secs_f64(),
            self.ratio()
        )?;
        for (name, appends) in [("while rotating", self.appends), ("not rotating", self.unrotated)] {
            let Appends { longest, slow, waits } = appends;
            writeln!(
                f,
                "longest append  {:>10.1} ms {name}; {slow} over {} ms, {waits} waited for room",
                longest.as_secs_f64() * 1e3,
                SLOW.as_millis()
            )?;
        }
        writeln!(
            f,
            "segments        {:>10.0} rows/s until all are sorted and written",
            *rows as f64 / self.segments.as_secs_f64()
        )?;
        writeln!(f, "compaction      {:>10.0} rows/s", *rows as f64 / self.compaction.as_secs_f64())?;
        writeln!(f, "fresh           {:>10.1} bytes/row", self.fresh_bytes_per_row())?;
        writeln!(f, "compacted       {:>10.1} bytes/row", self.compacted_bytes_per_row())
    }
}

/// Measures.
pub async fn run(options: &LogBenchOptions) -> Result<LogBench> {
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let is_empty = fs::read_dir(&options.out)?.next().is_none();
    ensure!(is_empty, "{} is not empty", options.out.display());
    let clock = Clock::start();
    let unrotated = append_unrotated(options, clock).await?;
    let events = prepare(options);
    let rows = events.len() as u64;
    let log = open(&options.out.join("data"), options.rotate_size)?;
    let started = clock.instant();
    let mut appends = append(&log, events, options.appenders, clock).await?;
    let stats = log.wait_until(|stats| stats.rows_not_durable == 0).await;
    appends.waits = stats.waits;
    let durable = started.elapsed();
    let wal_bytes = stats.wal_bytes;
    log.close().await?;
    let segments = started.elapsed();
    let plain = plain_write(&options.out.join("plain"), wal_bytes, clock)?;
    let files = segment_files(&options.out.join("data"))?;
    let merging = clock.instant();
    let (fresh_bytes, compacted_bytes) = compact(&files, &options.out.join("compacted"))?;
    Ok(LogBench {
        rows,
        durable,
        segments,
        wal_bytes,
        plain,
        appends,
        unrotated,
        rotations: wal_bytes / options.rotate_size,
        fresh_bytes,
        compacted_bytes,
        compaction: merging.elapsed(),
    })
}

fn open(folder: &Path, rotate_size: u64) -> Result<Log> {
    let options = LogOptions {
        folder: folder.to_owned(),
        run: RunId("20260101T000000Z-00000001".to_owned()),
        rotate_every: Duration::from_hours(1),
        rotate_size,
        sync_every: Duration::from_secs(1),
    };
    Ok(Log::open(options, capture::clock::Clock::start())?)
}

/// Appends the rows to a log whose one file does not rotate before the last is durable.
async fn append_unrotated(options: &LogBenchOptions, clock: Clock) -> Result<Appends> {
    let folder = options.out.join("unrotated");
    let log = open(&folder, u64::MAX)?;
    let mut appends = append(&log, prepare(options), options.appenders, clock).await?;
    appends.waits = log.wait_until(|stats| stats.rows_not_durable == 0).await.waits;
    log.close().await?;
    fs::remove_dir_all(&folder)?;
    Ok(appends)
}

/// A day's rows, in the order of their time.
fn prepare(options: &LogBenchOptions) -> Vec<Event> {
    let length = Duration::from_hours(24);
    let population = |peers| {
        Population::draw(&PopulationOptions { peers, swarms: 200, length, ipv6: 0.15, seed: options.seed })
    };
    let rows_of = |peers| Writer::new(&population(peers), START).window(Duration::ZERO, length).len() as u64;
    let without = rows_of(0);
    let of_sample = rows_of(SAMPLE).saturating_sub(without).max(1);
    let peers = options.rows.saturating_sub(without).saturating_mul(u64::from(SAMPLE)) / of_sample;
    let population = population(u32::try_from(peers).unwrap_or(u32::MAX));
    let mut events = Writer::new(&population, START).window(Duration::ZERO, length);
    events.sort_by_key(|event| event.time);
    events
}

/// Appends all rows by turns and tells what that took.
async fn append(log: &Log, events: Vec<Event>, appenders: usize, clock: Clock) -> Result<Appends> {
    let mut shares: Vec<Vec<Event>> =
        (0..appenders).map(|_| Vec::with_capacity(events.len() / appenders)).collect();
    for (event, share) in events.into_iter().zip((0..appenders).cycle()) {
        if let Some(share) = shares.get_mut(share) {
            share.push(event);
        }
    }
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut appends = Appends::default();
                let mut before = clock.instant();
                for event in share {
                    log.append_at(event.time, event.row).await;
                    let after = clock.instant();
                    appends.longest = appends.longest.max(after - before);
                    appends.slow += u64::from(after - before > SLOW);
                    before = after;
                }
                appends
            })
        })
        .collect();
    let mut appends = Appends::default();
    for task in tasks {
        let Appends { longest, slow, .. } = task.await?;
        appends.longest = appends.longest.max(longest);
        appends.slow += slow;
    }
    Ok(appends)
}

fn plain_write(path: &Path, bytes: u64, clock: Clock) -> Result<Duration> {
    let mut noise = vec![0; WRITE_BYTES];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut noise);
    let started = clock.instant();
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let (mut left, mut unsynced) = (bytes, 0);
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(WRITE_BYTES).min(WRITE_BYTES);
        file.write_all(noise.get(..piece).unwrap_or(&noise))?;
        left -= piece as u64;
        unsynced += piece as u64;
        if unsynced >= SYNC_BYTES {
            file.sync_data()?;
            unsynced = 0;
        }
    }
    file.sync_data()?;
    let took = started.elapsed();
    fs::remove_file(path)?;
    Ok(took)
}

type Days = BTreeMap<(Table, Date), Vec<PathBuf>>;

/// The segments of each table and date, by their names.
fn segment_files(folder: &Path) -> Result<Days> {
    let mut days = Days::new();
    for &table in Table::ALL {
        let Ok(dates) = fs::read_dir(folder.join(table.name())) else { continue };
        for date in dates {
            for file in fs::read_dir(date?.path())? {
                let path = file?.path();
                let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
                let segment: SegmentPath = name.parse()?;
                days.entry((segment.table, segment.date)).or_default().push(path);
            }
        }
    }
    for files in days.values_mut() {
        files.sort();
    }
    Ok(days)
}

/// Merges each day's files; gives the bytes before and after.
fn compact(days: &Days, folder: &Path) -> Result<(u64, u64)> {
    fs::create_dir_all(folder)?;
    let (mut before, mut after) = (0, 0);
    for ((table, date), files) in days {
        let inputs =
            files.iter().map(|path| Reader::new(File::open(path)?)).collect::<std::io::Result<Vec<_>>>()?;
        before += inputs.iter().map(Reader::length).sum::<u64>();
        let path = folder.join(format!("{}-{date}.parquet", table.name()));
        let output = BufWriter::new(File::create(&path)?);
        let (mut output, _) =
            segment::merge(*table, inputs, &Origin::default(), COMPACTED_ROW_GROUP_ROWS, output)?;
        output.flush()?;
        after += fs::metadata(&path)?.len();
    }
    Ok((before, after))
}
