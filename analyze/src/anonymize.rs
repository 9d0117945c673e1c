//! `analyze anonymize`: a log → the same log without addresses, as a capture with `--addresses` would have written it.
//!
//! File by file, a bounded number of rows at once; the rules are [`schema::conceal`]'s. A run that hides its addresses
//! already is copied, with its networks left out where the copy keeps none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use schema::{
    RunId,
    conceal::{Addresses, Concealer, key_file},
    layout::TEMPORARY_SUFFIX,
    place::Places,
    segment,
    table::{Event, Row, Table},
};

use crate::{
    cli::AnonymizeOptions,
    facts::Damaged,
    log::Log,
    number::number_of,
    remote::{Data, refuse_staging},
};

/// Rows of a file written; a longer one becomes several.
const FILE_ROWS: usize = 500_000;

/// Writes the log again without addresses, prints what it wrote to stdout, and tells whether it could read everything.
///
/// # Errors
/// One line for the user: a file cannot be read or written, or the options do not fit.
pub fn run(options: &AnonymizeOptions) -> anyhow::Result<bool> {
    refuse_staging(&options.data, "copy the log itself")?;
    refuse_staging(&options.out, "give another folder with --out")?;
    let brought = Data::bring(std::slice::from_ref(&options.data))?;
    let Some(data) = brought.folders.first() else { return Ok(true) };
    let log = Log::open(&brought.folders)?;
    let files = input_files(&log, data);
    check_output(&options.out)?;
    let places = Places::open(options.geoip_city.as_deref(), options.geoip_asn.as_deref())?;
    let key_path = options.key.clone().unwrap_or_else(|| options.out.join(key_file::DEFAULT_PLACE));
    let (key, made) = key_file::load_or_make(&key_path)?;
    if made {
        tracing::info!(
            "a key for pseudonyms was made: {}; destroy it to make them final",
            key_path.display()
        );
    }
    let Some(concealer) = Concealer::new(options.addresses, key, places) else {
        bail!("--addresses full would write the same log again; give prefix or pseudonym");
    };
    let hidden = hidden_runs(&files, data);
    let mut copy = Copy {
        out: &options.out,
        addresses: options.addresses,
        concealer,
        hidden,
        origin: PathBuf::new(),
        told: BTreeMap::new(),
        rows: 0,
        files: 0,
    };
    let mut damaged = log.damaged;
    for source in &files {
        copy.enter(source)?;
        if let Err(error) = copy.file(data, source) {
            let problem = match error.downcast_ref::<segment::ReadError>() {
                Some(damage) => damage.to_string(),
                None => return Err(error),
            };
            damaged.push(Damaged { file: data.join(&source.path).display().to_string(), problem });
        }
    }
    copy.leave()?;
    for note in &log.notes {
        tracing::warn!("{note}");
    }
    for damaged in &damaged {
        tracing::warn!("{}: left out, {}", brought.name(&damaged.file), damaged.problem);
    }
    let (rows, files) = (number_of(copy.rows, "row"), number_of(copy.files, "file"));
    writeln!(std::io::stdout(), "{rows} in {files} in {}", options.out.display())?;
    Ok(damaged.is_empty())
}

/// A segment to copy.
#[derive(Debug)]
struct Source {
    table: Table,
    /// Below the data folder: table, date, name.
    path: PathBuf,
    /// Date and name: the same for all tables of one write-ahead file.
    origin: PathBuf,
}

/// The segments that can be read, all tables of one write-ahead file together.
fn input_files(log: &Log, data: &Path) -> Vec<Source> {
    let source = |(table, path): (Table, &Path)| {
        let path = path.strip_prefix(data).unwrap_or(path).to_path_buf();
        let origin = path.components().skip(1).collect();
        Source { table, path, origin }
    };
    let mut files: Vec<Source> = log.files().map(source).collect();
    files.sort_by(|a, b| a.origin.cmp(&b.origin).then(a.table.cmp(&b.table)));
    files
}

fn check_output(out: &Path) -> anyhow::Result<()> {
    let is_taken = fs::read_dir(out).is_ok_and(|entries| {
        // A key may be there before the log.
        entries.flatten().any(|entry| entry.file_name() != "state")
    });
    if is_taken {
        bail!("{} is not empty; give a new folder with --out", out.display());
    }
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))
}

/// The runs whose options say that they hide addresses. One whose start is lost is taken for one that does not: a
/// pseudonym of a pseudonym hides as well.
fn hidden_runs(files: &[Source], data: &Path) -> BTreeSet<RunId> {
    let mut hidden = BTreeSet::new();
    for source in files.iter().filter(|source| source.table == Table::Runs) {
        let rows =
            File::open(data.join(&source.path)).ok().and_then(|file| segment::read(Table::Runs, file).ok());
        for (run, event) in rows.into_iter().flatten() {
            let Row::Run(row) = event.row else { continue };
            let options: serde_json::Value = serde_json::from_str(&row.config).unwrap_or_default();
            let addresses =
                options.get("addresses").and_then(|addresses| addresses.as_str()?.parse::<Addresses>().ok());
            if addresses.is_some_and(|addresses| addresses != Addresses::Full) {
                hidden.insert(run);
            }
        }
    }
    hidden
}

/// The copy being written.
struct Copy<'a> {
    out: &'a Path,
    addresses: Addresses,
    concealer: Concealer,
    hidden: BTreeSet<RunId>,
    /// Where the tables being copied come from.
    origin: PathBuf,
    /// Rows about addresses first seen there, by run.
    told: BTreeMap<RunId, Vec<Event>>,
    rows: u64,
    files: u64,
}

impl Copy<'_> {
    /// Begins with another write-ahead file's segments where it is another.
    fn enter(&mut self, source: &Source) -> anyhow::Result<()> {
        if self.origin != source.origin {
            self.leave()?;
            self.origin.clone_from(&source.origin);
        }
        Ok(())
    }

    /// Writes the rows about addresses that the segments of one write-ahead file made.
    fn leave(&mut self) -> anyhow::Result<()> {
        let told = std::mem::take(&mut self.told);
        let origin = Path::new(Table::Addresses.name()).join(&self.origin);
        let mut parts = Parts { path: self.out.join(origin), number: 0 };
        self.write(Table::Addresses, told, &mut parts)
    }

    fn file(&mut self, data: &Path, source: &Source) -> anyhow::Result<()> {
        let path = data.join(&source.path);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut parts = Parts { path: self.out.join(&source.path), number: 0 };
        let mut rows: BTreeMap<RunId, Vec<Event>> = BTreeMap::new();
        let mut waiting = 0;
        for batch in segment::batches(source.table, file)? {
            for (run, event) in batch? {
                self.conceal(run, event, &mut rows);
                waiting += 1;
            }
            if waiting >= FILE_ROWS {
                self.write(source.table, std::mem::take(&mut rows), &mut parts)?;
                waiting = 0;
            }
        }
        self.write(source.table, rows, &mut parts)
    }

    fn conceal(&mut self, run: RunId, mut event: Event, rows: &mut BTreeMap<RunId, Vec<Event>>) {
        if self.hidden.contains(&run) {
            match &mut event.row {
                Row::Address(address) if self.addresses == Addresses::Pseudonym => address.prefix = None,
                Row::Run(row) if self.addresses == Addresses::Pseudonym => {
                    row.config = row.config.replace(r#""addresses":"prefix""#, r#""addresses":"pseudonym""#);
                }
                _ => {}
            }
            rows.entry(run).or_default().push(event);
            return;
        }
        let told = &mut self.told;
        self.concealer.conceal(event, |event| {
            let home = if matches!(event.row, Row::Address(_)) { &mut *told } else { &mut *rows };
            home.entry(run.clone()).or_default().push(event);
        });
    }

    /// Writes a file for each run: one, unless compaction has put several into a segment.
    fn write(
        &mut self,
        table: Table,
        rows: BTreeMap<RunId, Vec<Event>>,
        parts: &mut Parts,
    ) -> anyhow::Result<()> {
        for (run, events) in rows.into_iter().filter(|(_, events)| !events.is_empty()) {
            let path = parts.next();
            let failed = || format!("cannot write {}", path.display());
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).with_context(failed)?;
            }
            let temporary = path.with_extension(TEMPORARY_SUFFIX.trim_start_matches('.'));
            let file = BufWriter::new(File::create(&temporary).with_context(failed)?);
            let file = segment::write(table, &run, &events, file).with_context(failed)?;
            let file = file.into_inner().map_err(std::io::IntoInnerError::into_error).with_context(failed)?;
            file.sync_all().with_context(failed)?;
            fs::rename(&temporary, &path).with_context(failed)?;
            self.rows += events.len() as u64;
            self.files += 1;
        }
        Ok(())
    }
}

/// The names of the files that one segment becomes: its own, then `….2.parquet` and so on.
struct Parts {
    path: PathBuf,
    number: u32,
}

impl Parts {
    fn next(&mut self) -> PathBuf {
        loop {
            self.number += 1;
            let path = match self.number {
                1 => self.path.clone(),
                number => self.path.with_extension(format!("{number}.parquet")),
            };
            // A folder that mixes runs of several modes has rows about addresses from both sides.
            if !path.exists() {
                return path;
            }
        }
    }
}
