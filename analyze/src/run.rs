//! `analyze report`: data folders → replay → tables → files; what is damaged is left out, told, and the rest goes on.

use std::{
    io::{IsTerminal, Write as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use polars::prelude::{DataType, PolarsResult, SortMultipleOptions, UnionArgs, col, concat, lit};
use schema::table::{RunEvent, Table};

use crate::{
    bucket,
    cli::ReportOptions,
    facts::{Facts, Run},
    figure,
    geo::Geo,
    log::{Log, Selection},
    number::duration_us,
    raw,
    remote::Data,
    replay::{self, Needs, Rules},
    report,
    table::{self, Input, Kept, Made, Tables},
    table_file,
    time::{SECOND_US, rfc3339},
};

/// How often the log is read again because a compaction that runs meanwhile has removed files.
const REOPENED: u32 = 5;

/// What a report is made of.
#[derive(Debug)]
pub struct Report {
    /// The computed tables.
    pub tables: Tables,
    /// What the report says about itself.
    pub facts: Facts,
}

/// Makes the report and writes it to the folder the options name; prints the path of its page to stdout.
///
/// # Errors
/// One line for the user: the data or the databases cannot be read, or the folder cannot be written.
pub fn report(options: &ReportOptions) -> anyhow::Result<()> {
    let report = compute(options)?;
    for damaged in &report.facts.damaged {
        tracing::warn!("{}: left out, {}", damaged.file, damaged.problem);
    }
    for note in &report.facts.notes {
        tracing::info!("{note}");
    }
    let out = &options.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let page = std::thread::scope(|scope| {
        let files = scope.spawn(|| write_tables(&report.tables, options));
        let figures = figure::draw_all(&report.tables, &report.facts, out)?;
        let page = report::write(&report.tables, &report.facts, &figures, out)?;
        files.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        anyhow::Ok(page)
    })?;
    writeln!(std::io::stdout(), "{}", page.display())?;
    Ok(())
}

/// Writes every table in every format asked for.
fn write_tables(tables: &Tables, options: &ReportOptions) -> anyhow::Result<()> {
    for (definition, made) in tables.iter() {
        for format in &options.format {
            let path = options.out.join(definition.name).with_extension(format.extension());
            let written = match made {
                Made::Whole(rows) => table_file::write(*format, definition, rows, &path),
                Made::Streamed(table) => table_file::write_parts(*format, table, &path),
            };
            written.with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Replays the log and computes the tables, without writing anything.
///
/// # Errors
/// The data or the databases cannot be read.
pub fn compute(options: &ReportOptions) -> anyhow::Result<Report> {
    if let (Some(since), Some(until)) = (options.since, options.until)
        && since >= until
    {
        bail!("--since {} is not before --until {}: no row can match", rfc3339(since), rfc3339(until));
    }
    let geo = Geo::open(options.geoip_city.as_deref(), options.geoip_asn.as_deref())?;
    let rules = rules(options);
    let data = Data::bring(&options.data)?;
    let mut log = Log::open(&data.folders)?;
    let mut computed = compute_from(&log, &rules, options, &geo);
    for _ in 0..REOPENED {
        if computed.is_ok() || log.is_there() {
            break;
        }
        tracing::info!("a compaction has replaced files of the log; reading it again");
        log = Log::open(&data.folders)?;
        computed = compute_from(&log, &rules, options, &geo);
    }
    let mut report = match computed {
        Ok(report) => report,
        // A footer may be whole and a page behind it not: find such files and go on without them.
        Err(error) if log.leave_out_damaged() => {
            tracing::debug!("replaying without the damaged files, after: {error}");
            compute_from(&log, &rules, options, &geo).context("cannot replay the log")?
        }
        Err(error) => return Err(error).context("cannot replay the log"),
    };
    for damaged in &mut report.facts.damaged {
        damaged.file = data.name(&damaged.file);
    }
    Ok(report)
}

fn rules(options: &ReportOptions) -> Rules {
    Rules {
        selection: Selection {
            since: options.since,
            until: options.until,
            info_hashes: options.info_hash.clone(),
        },
        threshold: options.threshold,
        max_plausible_speed: options.max_plausible_speed,
        bucket_us: options.bucket.unwrap_or(bucket::HOUR_US),
        identity: options.identity,
    }
}

fn compute_from(log: &Log, rules: &Rules, options: &ReportOptions, geo: &Geo) -> PolarsResult<Report> {
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let span = time_span(log, &rules.selection)?;
    let bucket_us = options.bucket.unwrap_or_else(|| bucket::fitting(span));
    let rules = &Rules { bucket_us, ..rules.clone() };
    let bar = progress_bar();
    let keep = || Kept::of(wanted);
    let (replay, kept) = match table::needs(&wanted) {
        Some(needs) => {
            let has_names = log.rows(Table::Hostnames) > 0;
            let needs = Needs { addresses: needs.addresses && has_names, ..needs };
            replay::replay(log, rules, needs, geo, &keep, &|rows, all| show(&bar, rows, all))?
        }
        None => (replay::Replay::empty(replay::torrents(log, rules)?)?, keep()),
    };
    bar.finish_and_clear();
    let input = Input::new(log, rules, &replay, kept.peers.as_ref(), geo)?;
    let tables = table::build(&input, kept.rows, &|definition| wanted(definition.name))?;
    let torrents = replay.torrents.height() as u64;
    let mut facts = facts(log, rules, options, geo, torrents, span)?;
    if bucket_us != options.bucket.unwrap_or(bucket::HOUR_US) && TABLES_OVER_TIME.into_iter().any(wanted) {
        facts.notes.insert(0, short_buckets(span, bucket_us));
    }
    Ok(Report { tables, facts })
}

/// Tables that depend on the length of the buckets.
const TABLES_OVER_TIME: [&str; 5] =
    ["confirmed_hourly", "health", "population", "seeders_hourly", "sources_hourly"];

/// Says that the tables over time are not by the hour.
fn short_buckets(span: Option<(i64, i64)>, bucket_us: i64) -> String {
    let length = span.map_or(0, |(first, last)| last.saturating_sub(first));
    format!(
        "The log covers {}, so that tables over time have a bucket every {} instead of every hour (--bucket 1h).",
        duration_us(length as f64),
        duration_us(bucket_us as f64)
    )
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message("looking through the log");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Shows how many raw rows are replayed, of how many, and the time left.
fn show(bar: &ProgressBar, rows: u64, all: u64) {
    if bar.length().is_none() {
        let template = "{spinner} replayed {human_pos} of {human_len} rows {wide_bar} {eta} left";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_length(all);
        bar.reset_eta();
    }
    bar.set_position(rows);
}

fn facts(
    log: &Log,
    rules: &Rules,
    options: &ReportOptions,
    geo: &Geo,
    torrents: u64,
    span: Option<(i64, i64)>,
) -> PolarsResult<Facts> {
    let mut notes = log.notes.clone();
    if span.is_none() {
        notes.push("No row is left: loosen --since, --until or --info-hash.".to_owned());
    }
    if !geo.has_cities() {
        notes.push(
            "Countries come from registry data and there are no cities: give a database with --geoip-city, \
             for example DB-IP City Lite (free, CC BY 4.0, https://db-ip.com)."
                .to_owned(),
        );
    }
    if log.rows(Table::Addresses) > 0 {
        notes.push(
            "Addresses are hidden: what stands for one is a pseudonym, and its place is what the capture looked up."
                .to_owned(),
        );
    }
    Ok(Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extension: options.format.first().map_or("csv", |format| format.extension()),
        data: options.data.iter().map(|folder| folder.display().to_string()).collect(),
        first_at: span.map(|(first, _)| rfc3339(first)),
        last_at: span.map(|(_, last)| rfc3339(last)),
        runs: runs(log)?,
        torrents,
        rows: raw::TABLES
            .iter()
            .map(|table| (table.name().to_owned(), log.rows(*table)))
            .filter(|(name, rows)| *rows > 0 || name != Table::Addresses.name())
            .collect(),
        segments: log.segments(),
        threshold: rules.threshold.to_string(),
        max_plausible_speed_bytes_per_s: rules.max_plausible_speed,
        identity: rules.identity.as_str().to_owned(),
        since: rules.selection.since.map(rfc3339),
        until: rules.selection.until.map(rfc3339),
        info_hashes: rules.selection.info_hashes.clone(),
        bucket_s: u64::try_from(rules.bucket_us / SECOND_US).unwrap_or_default(),
        geolocation: geo.sources(),
        damaged: log.damaged.clone(),
        notes,
    })
}

/// The first and the last selected row of any table, µs.
fn time_span(log: &Log, selection: &Selection) -> PolarsResult<Option<(i64, i64)>> {
    if let Some(span) = log.span().filter(|_| *selection == Selection::default()) {
        return Ok(span);
    }
    let mut times = Vec::new();
    for table in raw::TABLES {
        let time = log
            .select(table, selection)?
            .select([col("time").min().alias("first"), col("time").max().alias("last")]);
        times.push(time);
    }
    let spans = concat(times, UnionArgs::default())?.collect()?;
    let first = spans.column("first")?.i64()?.iter().flatten().min();
    Ok(first.zip(spans.column("last")?.i64()?.iter().flatten().max()))
}

/// The runs of the capture, by start; a run whose rows were lost is known by its other rows only.
fn runs(log: &Log) -> PolarsResult<Vec<Run>> {
    let is = |event: RunEvent| col("event").eq(lit(event.as_str()));
    let runs = log
        .scan(Table::Runs)?
        .sort(["time", "run"], SortMultipleOptions::default())
        .group_by_stable([col("run")])
        .agg([
            col("vantage").last(),
            col("version").last(),
            col("time").filter(is(RunEvent::Started)).min().alias("started_at"),
            col("time").filter(is(RunEvent::Stopped)).max().alias("stopped_at"),
            col("reason").drop_nulls().last(),
        ])
        .with_column(col("started_at").cast(DataType::Int64))
        .sort(["started_at", "run"], SortMultipleOptions::default())
        .collect()?;
    let text = |name: &str| -> PolarsResult<Vec<Option<String>>> {
        Ok(runs.column(name)?.str()?.iter().map(|text| text.map(str::to_owned)).collect())
    };
    let at = |name: &str| -> PolarsResult<Vec<Option<String>>> {
        Ok(runs.column(name)?.i64()?.iter().map(|time| time.map(rfc3339)).collect())
    };
    let names = text("run")?.into_iter().zip(text("vantage")?).zip(text("version")?);
    let times = at("started_at")?.into_iter().zip(at("stopped_at")?).zip(text("reason")?);
    Ok(names
        .zip(times)
        .map(|(((run, vantage), version), ((started_at, stopped_at), reason))| Run {
            run: run.unwrap_or_default(),
            vantage,
            version,
            started_at,
            stopped_at,
            reason,
        })
        .collect())
}
