//! Rows per second of a report's replay, against DuckDB on the same files and a bare scan of the same columns.
//!
//! A generated log as a capture leaves it, and the same log compacted → for each, `analyze report`, DuckDB and the scan,
//! each in its own process or alone, one after the other. Rows are those of `progress`, which the replay is about; all
//! rows that must be read beside them (`contacts`) are in the time.

mod child;
mod duckdb;
mod rows;
mod scan;

use std::{
    fmt::{self, Write as _},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use schema::table::Table;

use self::child::Measured;
use crate::{
    clock::Clock,
    log::{self, LogOptions},
};

/// The tables that hold what the views `confirmed_downloads` and `speeds` of `schema/sql` do.
const TABLES: &str = "confirmed_downloads,speeds";

/// What is measured.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Rows of `progress`, about.
    pub rows: u64,
    /// Time the log covers; a twenty-millionth of the rows is a day otherwise.
    pub length: Option<Duration>,
    /// Swarms.
    pub swarms: u32,
    /// Folder of the logs; what is there is taken as it is.
    pub data: PathBuf,
    /// The analyze program.
    pub analyze: Option<PathBuf>,
    /// A Python with the package `duckdb`; without one, DuckDB is left out.
    pub python: Option<PathBuf>,
    /// Also run all of `schema/sql/views.sql`, which takes DuckDB long.
    pub views: bool,
    /// Another seed is another log.
    pub seed: u64,
}

/// What was measured of one log.
#[derive(Clone, Debug)]
pub struct OfLog {
    /// Its name.
    pub name: &'static str,
    /// Rows of `progress`.
    pub rows: u64,
    /// Files of all tables.
    pub files: usize,
    /// Bytes of `progress` and `contacts`.
    pub bytes: u64,
    /// Rows of `contacts`.
    pub contacts: u64,
    /// The replay.
    pub analyze: Measured,
    /// Confirmed downloads in its report.
    pub confirmed: u64,
    /// DuckDB on a query that looks at one row before the other and no further, with its count.
    pub plain: Option<(Measured, u64)>,
    /// DuckDB on the leanest query known that writes the rows of the report's tables, with its count.
    pub same_tables: Option<(Measured, u64)>,
    /// DuckDB on the views, with their count.
    pub views: Option<(Measured, u64)>,
    /// The scan.
    pub scan: Duration,
}

impl OfLog {
    /// How many times as fast as DuckDB the replay was where both write the same rows; `None` without DuckDB.
    pub fn ratio(&self) -> Option<f64> {
        let (same_tables, _) = self.same_tables.as_ref()?;
        Some(same_tables.took.as_secs_f64() / self.analyze.took.as_secs_f64())
    }
}

impl fmt::Display for OfLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rows, files, bytes, contacts, .. } = self;
        writeln!(
            f,
            "{name}: {rows} rows of progress beside {contacts} contacts, {files} files, {:.0} MiB",
            *bytes as f64 / f64::from(1 << 20)
        )?;
        let replayed = self.analyze.took.as_secs_f64();
        let line = |what: &str, took: Duration, peak: Option<u64>, count: Option<u64>| {
            let seconds = took.as_secs_f64();
            let mut line = format!("  {what:<30} {seconds:>8.2} s {:>12.0} rows/s", *rows as f64 / seconds);
            match peak {
                Some(bytes) => write!(line, " {:>7.0} MiB", bytes as f64 / f64::from(1 << 20))?,
                None => write!(line, " {:>11}", "")?,
            }
            write!(line, "   replay {:>5.2} times as fast", seconds / replayed)?;
            if let Some(count) = count {
                write!(line, "   {count} confirmed")?;
            }
            Ok::<_, fmt::Error>(line)
        };
        let replay = line(
            "analyze report --only …",
            self.analyze.took,
            Some(self.analyze.peak_bytes),
            Some(self.confirmed),
        )?;
        writeln!(f, "{replay}")?;
        let queries = [
            ("DuckDB, plain query: less", &self.plain),
            ("DuckDB, the same rows", &self.same_tables),
            ("DuckDB, schema/sql/views.sql", &self.views),
        ];
        for (what, found) in queries {
            if let Some((measured, count)) = found {
                writeln!(f, "{}", line(what, measured.took, Some(measured.peak_bytes), Some(*count))?)?;
            }
        }
        writeln!(f, "{}", line("bare scan of the columns", self.scan, None, None)?)
    }
}

/// Makes the logs that are not there and measures both.
pub fn run(options: &ReplayOptions, mut each: impl FnMut(&OfLog) -> Result<()>) -> Result<()> {
    let analyze = options.analyze.clone().map_or_else(beside, Ok)?;
    ensure!(analyze.exists(), "{}: no such program; build it, or name it with --analyze", analyze.display());
    let (raw, compacted) = (options.data.join("raw"), options.data.join("compacted"));
    make_raw(options, &raw)?;
    make_compacted(&analyze, &raw, &compacted)?;
    for (name, folder) in [("raw", raw), ("compacted", compacted)] {
        each(&measure(options, &analyze, name, &folder)?)?;
    }
    Ok(())
}

fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    Ok(own.with_file_name("analyze"))
}

fn make_raw(options: &ReplayOptions, folder: &Path) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let length = options.length.unwrap_or_else(|| {
        Duration::from_hours(24).mul_f64((options.rows as f64 / 20e6).max(0.25)).max(Duration::from_hours(6))
    });
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    let clock = Clock::start();
    let started = clock.instant();
    let rows = log::generate(&LogOptions {
        rows: options.rows,
        of: Some(Table::Progress),
        out: unfinished.clone(),
        swarms: options.swarms,
        length,
        ipv6: 0.15,
        seed: options.seed,
    })?;
    tracing::info!("wrote {rows} rows of all tables in {:.0} s", started.elapsed().as_secs_f64());
    fs::rename(&unfinished, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Links the raw log's files to a folder of its own and has them compacted there.
fn make_compacted(analyze: &Path, raw: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let unfinished = folder.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove {}", unfinished.display()))?;
    }
    link_all(raw, &unfinished)?;
    let measured = child::run(
        std::process::Command::new(analyze)
            .arg("compact")
            .arg(&unfinished)
            .stdout(std::process::Stdio::null()),
    )?;
    tracing::info!("compacted it in {:.0} s", measured.took.as_secs_f64());
    fs::rename(&unfinished, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn link_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            link_all(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), &target)
                .with_context(|| format!("cannot link {}", target.display()))?;
        }
    }
    Ok(())
}

fn measure(options: &ReplayOptions, analyze: &Path, name: &'static str, folder: &Path) -> Result<OfLog> {
    // Whoever comes first would read the files from the disk.
    let files = scan::Files::of(folder)?;
    files.touch()?;
    let out = options.data.join("report");
    let measured = child::run(
        std::process::Command::new(analyze)
            .arg("report")
            .arg(folder)
            .args(["--only", TABLES, "--out"])
            .arg(&out)
            .env("RUST_LOG", "warn")
            .stdout(std::process::Stdio::null()),
    )?;
    let confirmed = rows::count(&out.join("confirmed_downloads.csv"))?;
    let mut found = OfLog {
        name,
        rows: files.rows(Table::Progress)?,
        files: files.len(),
        bytes: files.bytes(),
        contacts: files.rows(Table::Contacts)?,
        analyze: measured,
        confirmed,
        plain: None,
        same_tables: None,
        views: None,
        scan: files.scan()?,
    };
    if let Some(python) = &options.python {
        found.plain = Some(duckdb::plain(python, folder, &options.data)?);
        let of_duckdb = options.data.join("duckdb");
        found.same_tables = Some(duckdb::same_tables(python, folder, &options.data, &of_duckdb)?);
        for table in TABLES.split(',') {
            rows::compare(table, &out, &of_duckdb)?;
        }
        if options.views {
            found.views = Some(duckdb::views(python, analyze, folder, &options.data)?);
        }
    }
    if let Some((_, count)) = &found.views {
        ensure!(
            *count == found.confirmed,
            "the views find {count} confirmed downloads in DuckDB, the report has {}",
            found.confirmed
        );
    }
    Ok(found)
}
