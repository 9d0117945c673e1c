//! `health`: how the capture itself fared: its queues, its workload, and the times it told nothing of.

use std::collections::BTreeMap;

use polars::prelude::{
    DataFrame, IntoColumn, IntoLazy, NamedFrom, PolarsResult, Series, SortMultipleOptions, col,
};
use schema::table::Table;

use super::{
    Input,
    definition::{Definition, Kind, column},
};

/// What `health` holds.
pub const DEFINITION: Definition = Definition {
    name: "health",
    title: "Health of the capture",
    about: "Queues, workload and gaps of each capture run in each hour, or bucket, from its gauges. In a gap no \
            gauge was written though one was due: the machine was stopped or overloaded.",
    key: 2,
    columns: &[
        column("hour", Kind::Time, super::HOUR_ABOUT),
        column("run", Kind::Text, "The run."),
        column("vantage", Kind::Text, "Where it ran; empty where its own row was lost."),
        column("gauges", Kind::Count, "Gauges of that hour."),
        column("peers_known", Kind::Count, "Peers known at its end."),
        column("peers_due_median", Kind::Count, "Peers due for a contact and waiting for a place: median."),
        column("peers_due_max", Kind::Count, "The same: highest."),
        column("peers_waiting_max", Kind::Count, "Peers whose next contact is scheduled: highest."),
        column("contacts_opening_max", Kind::Count, "Contacts without a handshake yet: highest."),
        column("contacts_open_max", Kind::Count, "Contacts after the handshake: highest."),
        column("contacts_started", Kind::Count, "Outgoing contacts begun."),
        column("contacts_per_s", Kind::PerSecond, "The same per second; empty for a single gauge."),
        column("incoming_contacts", Kind::Count, "Incoming connections accepted."),
        column("sightings", Kind::Count, "Addresses named by sources."),
        column("log_rows", Kind::Count, "Rows given to the log."),
        column("log_lag_max_us", Kind::Microseconds, "Age of the oldest row not yet durable: highest."),
        column(
            "log_paused",
            Kind::Count,
            "Gauges at which the disk took no rows, so that contacts waited; empty where none told.",
        ),
        column("memory_max_bytes", Kind::Bytes, "Resident memory: highest; empty where not told."),
        column("open_files_max", Kind::Count, "Open file descriptors: highest; empty where not told."),
        column("gaps", Kind::Count, "Gaps that ended in that hour."),
        column("gap_us", Kind::Microseconds, "Their length, all together."),
        column("longest_gap_us", Kind::Microseconds, "The longest of them; empty without one."),
        column(
            "down_before_us",
            Kind::Microseconds,
            "Time since the last gauge of the run before at the same vantage; empty but for a run's first hour.",
        ),
    ],
};

/// A gauge later than so many times the usual distance ends a gap.
const LATE: i64 = 3;

/// The gauges' figures that are read.
const FIGURES: [&str; 11] = [
    "peers_known",
    "peers_due",
    "peers_waiting",
    "contacts_opening",
    "contacts_open",
    "contacts_started",
    "incoming_contacts",
    "sightings",
    "log_rows",
    "log_lag_us",
    "memory_bytes",
];

/// One gauge.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    time: i64,
    figures: [Option<i64>; FIGURES.len()],
    open_files: Option<i64>,
    log_paused: Option<bool>,
}

impl Gauge {
    fn figure(&self, name: &str) -> Option<i64> {
        let place = FIGURES.iter().position(|figure| *figure == name)?;
        self.figures.get(place).copied().flatten()
    }
}

/// One row.
#[derive(Clone, Debug, Default)]
struct Hour {
    gauges: Vec<Gauge>,
    /// Rises of the counters, in the order of [`COUNTERS`].
    rises: [i64; COUNTERS.len()],
    /// Outgoing contacts begun between gauges of the run, and the time between these.
    paced: (i64, i64),
    gaps: Vec<i64>,
    down_before_us: Option<i64>,
}

const COUNTERS: [&str; 4] = ["contacts_started", "incoming_contacts", "sightings", "log_rows"];

/// Sums the gauges up by bucket and run.
pub fn build(input: &Input<'_>) -> PolarsResult<DataFrame> {
    let runs = gauges(input)?;
    let vantages = vantages(input)?;
    let mut hours: BTreeMap<(i64, &str), Hour> = BTreeMap::new();
    let mut ends: BTreeMap<&str, i64> = BTreeMap::new();
    let mut in_order: Vec<(&String, &Vec<Gauge>)> = runs.iter().collect();
    in_order.sort_by_key(|(run, gauges)| (gauges.first().map(|gauge| gauge.time), *run));
    for (run, gauges) in in_order {
        let usual = usual_distance(gauges);
        let mut before: Option<&Gauge> = None;
        for gauge in gauges {
            let hour = gauge.time - gauge.time.rem_euclid(input.rules.bucket_us);
            let row = hours.entry((hour, run)).or_default();
            row.gauges.push(*gauge);
            for (rise, counter) in row.rises.iter_mut().zip(COUNTERS) {
                // A run's first gauge has counted from its start.
                let counted_before = before.map_or(Some(0), |before| before.figure(counter));
                *rise +=
                    gauge.figure(counter).zip(counted_before).map_or(0, |(now, then)| (now - then).max(0));
            }
            if let Some(before) = before {
                let distance = gauge.time - before.time;
                let started = |gauge: &Gauge| gauge.figure("contacts_started").unwrap_or_default();
                row.paced.0 += (started(gauge) - started(before)).max(0);
                row.paced.1 += distance;
                if usual.is_some_and(|usual| distance > LATE * usual) {
                    row.gaps.push(distance - usual.unwrap_or_default());
                }
            } else if let Some(end) = vantages.get(run).and_then(|vantage| ends.get(vantage.as_str())) {
                row.down_before_us = Some((gauge.time - end).max(0));
            }
            before = Some(gauge);
        }
        if let (Some(vantage), Some(last)) = (vantages.get(run), gauges.last()) {
            let end = ends.entry(vantage).or_insert(last.time);
            *end = last.time.max(*end);
        }
    }
    DEFINITION.finish(frame(&hours, &vantages)?.lazy())
}

/// The median distance between gauges.
fn usual_distance(gauges: &[Gauge]) -> Option<i64> {
    let pairs = gauges.iter().zip(gauges.iter().skip(1));
    median(pairs.map(|(before, gauge)| gauge.time - before.time).collect())
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// The selected gauges by run, in order of time.
fn gauges(input: &Input<'_>) -> PolarsResult<BTreeMap<String, Vec<Gauge>>> {
    let rows = input
        .log
        .select(Table::Gauges, &input.rules.selection)?
        .select(
            [["run", "time", "open_files", "log_paused"].map(col).to_vec(), FIGURES.map(col).to_vec()]
                .concat(),
        )
        .sort(["run", "time", "log_rows"], SortMultipleOptions::default())
        .collect()?;
    let numbers =
        |name: &str| -> PolarsResult<Vec<Option<i64>>> { Ok(rows.column(name)?.i64()?.iter().collect()) };
    let (times, open_files) = (numbers("time")?, numbers("open_files")?);
    let columns = FIGURES.iter().map(|name| numbers(name)).collect::<PolarsResult<Vec<_>>>()?;
    let paused: Vec<Option<bool>> = rows.column("log_paused")?.bool()?.iter().collect();
    let mut runs: BTreeMap<String, Vec<Gauge>> = BTreeMap::new();
    for (row, run) in rows.column("run")?.str()?.iter().enumerate() {
        let (Some(run), Some(Some(time))) = (run, times.get(row)) else { continue };
        let mut figures = [None; FIGURES.len()];
        for (figure, column) in figures.iter_mut().zip(&columns) {
            *figure = column.get(row).copied().flatten();
        }
        let open_files = open_files.get(row).copied().flatten();
        let log_paused = paused.get(row).copied().flatten();
        runs.entry(run.to_owned()).or_default().push(Gauge { time: *time, figures, open_files, log_paused });
    }
    Ok(runs)
}

/// Where each run ran.
fn vantages(input: &Input<'_>) -> PolarsResult<BTreeMap<String, String>> {
    let rows = input
        .log
        .scan(Table::Runs)?
        .filter(col("vantage").is_not_null())
        .sort(["run", "time"], SortMultipleOptions::default())
        .select(["run", "vantage"].map(col))
        .collect()?;
    let pairs = rows.column("run")?.str()?.iter().zip(rows.column("vantage")?.str()?.iter());
    Ok(pairs.filter_map(|(run, vantage)| Some((run?.to_owned(), vantage?.to_owned()))).collect())
}

fn frame(
    hours: &BTreeMap<(i64, &str), Hour>,
    vantages: &BTreeMap<String, String>,
) -> PolarsResult<DataFrame> {
    let number = |name: &str, read: &dyn Fn(&Hour) -> Option<i64>| {
        let values = hours.values().map(|hour| read(hour).filter(|value| *value >= 0)).collect::<Vec<_>>();
        Series::new(name.into(), values).into_column()
    };
    let highest = |figure: &'static str| {
        move |hour: &Hour| hour.gauges.iter().filter_map(|gauge| gauge.figure(figure)).max()
    };
    let rise = |place: usize| move |hour: &Hour| hour.rises.get(place).copied();
    let per_second = hours.values().map(|hour| {
        let (started, time_us) = hour.paced;
        (time_us > 0).then(|| started as f64 * 1e6 / time_us as f64)
    });
    DataFrame::new_infer_height(vec![
        Series::new("hour".into(), hours.keys().map(|(hour, _)| *hour).collect::<Vec<_>>()).into_column(),
        Series::new("run".into(), hours.keys().map(|(_, run)| *run).collect::<Vec<_>>()).into_column(),
        Series::new(
            "vantage".into(),
            hours.keys().map(|(_, run)| vantages.get(*run).map(String::as_str)).collect::<Vec<_>>(),
        )
        .into_column(),
        number("gauges", &|hour| i64::try_from(hour.gauges.len()).ok()),
        number("peers_known", &|hour| hour.gauges.last()?.figure("peers_known")),
        number("peers_due_median", &|hour| {
            median(hour.gauges.iter().filter_map(|gauge| gauge.figure("peers_due")).collect())
        }),
        number("peers_due_max", &highest("peers_due")),
        number("peers_waiting_max", &highest("peers_waiting")),
        number("contacts_opening_max", &highest("contacts_opening")),
        number("contacts_open_max", &highest("contacts_open")),
        number("contacts_started", &rise(0)),
        Series::new("contacts_per_s".into(), per_second.collect::<Vec<_>>()).into_column(),
        number("incoming_contacts", &rise(1)),
        number("sightings", &rise(2)),
        number("log_rows", &rise(3)),
        number("log_lag_max_us", &highest("log_lag_us")),
        number("log_paused", &|hour| {
            let mut told = hour.gauges.iter().filter_map(|gauge| gauge.log_paused).peekable();
            told.peek()?;
            i64::try_from(told.filter(|paused| *paused).count()).ok()
        }),
        number("memory_max_bytes", &highest("memory_bytes")),
        number("open_files_max", &|hour| hour.gauges.iter().filter_map(|gauge| gauge.open_files).max()),
        number("gaps", &|hour| i64::try_from(hour.gaps.len()).ok()),
        number("gap_us", &|hour| Some(hour.gaps.iter().sum())),
        number("longest_gap_us", &|hour| hour.gaps.iter().max().copied()),
        number("down_before_us", &|hour| hour.down_before_us),
    ])
}
