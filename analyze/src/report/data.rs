//! What the page's script works with: rows of tables to be sorted and searched, and numbers of single torrents.
//!
//! Torrents are numbered by their confirmed downloads; −1 stands for all of them together. Times are microseconds.

use std::{
    collections::{BTreeMap, HashMap},
    thread,
};

use polars::prelude::{AnyValue, DataFrame, IntoLazy as _, PolarsResult};
use serde::Serialize;
use serde_json::{Value, value::to_value};

use super::{ReportError, cell, rows};
use crate::facts::Facts;
use crate::figure::frame::{self, counts, numbers, texts};
use crate::figure::{Names, text::visible, torrents::OfTorrents};
use crate::replay::workers;
use crate::table::{Column, Definition, Kind, Made, Tables};
use crate::table_file;

/// Everything the script is given.
#[derive(Debug, Serialize)]
pub struct Data {
    torrents: Vec<Torrent>,
    tables: BTreeMap<&'static str, Stored>,
    #[serde(flatten)]
    figures: OfTorrents,
}

#[derive(Debug, Serialize)]
struct Torrent {
    hash: String,
    name: String,
    confirmed: u64,
}

/// A table.
#[derive(Debug, Serialize)]
struct Stored {
    /// Names and kinds.
    columns: Vec<(&'static str, &'static str)>,
    /// Whether the torrents' names have a column of their own.
    named: bool,
    /// Values in the order of the columns.
    rows: Vec<Vec<Value>>,
    /// Rows of each torrent in the CSV.
    of: BTreeMap<usize, u64>,
}

impl Data {
    /// Gathers it from the tables.
    pub fn of(tables: &Tables, facts: &Facts, names: &Names) -> Result<Self, ReportError> {
        let in_table = |table| move |source| ReportError::Table { table, source };
        let mut rows_of = BTreeMap::new();
        for (definition, _) in tables.iter() {
            let rows = rows_of_torrents(definition, tables).map_err(in_table(definition.name))?;
            rows_of.insert(definition.name, rows);
        }
        let order = order(tables, &rows_of)?;
        let places: HashMap<&str, usize> =
            order.iter().enumerate().map(|(place, (hash, _))| (hash.as_str(), place)).collect();
        let store = |(definition, made): &(&'static Definition, &Made)| {
            let of = rows_of.get(definition.name).into_iter().flatten();
            let of = of.filter_map(|(hash, rows)| Some((*places.get(hash.as_str())?, *rows))).collect();
            let table = store(definition, made, &places, of).map_err(in_table(definition.name))?;
            Ok::<_, ReportError>((definition.name, table))
        };
        let in_figure = |source| ReportError::Table { table: "of single torrents", source };
        let (figures, stored) = thread::scope(|scope| {
            let figures = scope.spawn(|| OfTorrents::of(tables, facts, &places).map_err(in_figure));
            let stored = workers::each(&tables.iter().collect::<Vec<_>>(), store);
            (figures.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), stored)
        });
        let (figures, stored) = (figures?, stored?.into_iter().collect());
        let torrents = order.iter().map(|(hash, confirmed)| Torrent {
            hash: visible(hash),
            name: names.known(hash).unwrap_or_default(),
            confirmed: *confirmed,
        });
        Ok(Self { torrents: torrents.collect(), tables: stored, figures })
    }
}

impl Data {
    /// How many rows of a table are in it.
    pub fn held(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, |stored| stored.rows.len())
    }
}

/// The torrents of all tables with their confirmed downloads, most of these first.
fn order(
    tables: &Tables,
    rows_of: &BTreeMap<&str, BTreeMap<String, u64>>,
) -> Result<Vec<(String, u64)>, ReportError> {
    let of_tables = rows_of.values().flat_map(|torrents| torrents.keys());
    let mut torrents: HashMap<String, (u64, u64)> =
        of_tables.map(|hash| (hash.clone(), Default::default())).collect();
    if let Some(rows) = tables.get("summary") {
        let in_table = |source| ReportError::Table { table: "summary", source };
        let hashes = texts(rows, "info_hash").map_err(in_table)?;
        let count = |column: &str| counts(rows, column).map_err(in_table);
        let (confirmed, unique) = (count("confirmed_downloads")?, count("unique_peers")?);
        for ((hash, confirmed), unique) in hashes.into_iter().zip(confirmed).zip(unique) {
            let Some(hash) = hash.filter(|hash| hash != "all") else { continue };
            let found = torrents.entry(hash).or_default();
            *found = (found.0.max(whole(confirmed)), found.1.max(whole(unique)));
        }
    }
    let mut order: Vec<_> = torrents.into_iter().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(order.into_iter().map(|(hash, (confirmed, _))| (hash, confirmed)).collect())
}

fn whole(value: f64) -> u64 {
    crate::number::whole(value).unsigned_abs()
}

/// How many rows each torrent has; none in a table that does not tell torrents apart.
fn rows_of_torrents(definition: &Definition, tables: &Tables) -> PolarsResult<BTreeMap<String, u64>> {
    let mut torrents: BTreeMap<String, u64> = BTreeMap::new();
    if !definition.columns.iter().any(|column| column.name == "info_hash") {
        return Ok(torrents);
    }
    let count = |rows: &DataFrame| {
        let torrents = frame::runs(rows.column("info_hash")?.str()?).into_iter();
        let counted = torrents.filter_map(|(hash, run)| Some((hash?.to_owned(), run.len() as u64)));
        Ok(counted.filter(|(hash, _)| hash != "all").collect::<Vec<_>>())
    };
    tables.read(definition.name, &["info_hash"], count, |runs| {
        for (hash, rows) in runs {
            *torrents.entry(hash).or_default() += rows;
        }
    })?;
    Ok(torrents)
}

/// The rows that the page holds, in the page's order.
fn held(definition: &Definition, made: &Made, torrents: usize) -> PolarsResult<DataFrame> {
    let hold = |rows: DataFrame| {
        let ordered = rows::in_order(definition, &rows)?;
        let held = rows::held(definition, &rows, ordered, torrents)?;
        frame::take(&rows, held)
    };
    let shrink = |rows: DataFrame| hold(definition.finish(rows.lazy())?);
    let rows = frame::folded(&made.parts()?, |part| hold(part.clone().collect()?), shrink)?;
    rows.map_or_else(|| definition.empty(), Ok)
}

fn store(
    definition: &Definition,
    made: &Made,
    places: &HashMap<&str, usize>,
    of: BTreeMap<usize, u64>,
) -> PolarsResult<Stored> {
    let taken = held(definition, made, places.len())?;
    let mut lines: Vec<Vec<Value>> = vec![Vec::with_capacity(definition.columns.len()); taken.height()];
    for column in definition.columns {
        let values = values(column, &taken, places)?;
        for (line, value) in lines.iter_mut().zip(values) {
            line.push(value);
        }
    }
    Ok(Stored {
        columns: definition.columns.iter().map(|column| (column.name, kind(column))).collect(),
        named: definition.columns.iter().any(|column| column.name == "name"),
        rows: lines,
        of,
    })
}

/// A column's kind as the script calls it.
fn kind(column: &Column) -> &'static str {
    match column.kind {
        Kind::Bytes => "bytes",
        Kind::BytesPerSecond => "bytes_per_second",
        Kind::Count => "count",
        Kind::Degrees => "degrees",
        Kind::Microseconds => "microseconds",
        Kind::Number => "number",
        Kind::PerSecond => "per_second",
        Kind::Share => "share",
        Kind::Text if column.name == "info_hash" => "torrent",
        Kind::Text => "text",
        Kind::Time => "time",
        Kind::Truth => "truth",
    }
}

/// A column's values: text as the page shows it, torrents by number, everything else as in the CSV.
fn values(column: &Column, rows: &DataFrame, places: &HashMap<&str, usize>) -> PolarsResult<Vec<Value>> {
    let json = |value: Option<i64>| value.map_or(Value::Null, Value::from);
    match column.kind {
        Kind::Text if column.name == "info_hash" => {
            let place = |hash: String| places.get(hash.as_str()).and_then(|place| i64::try_from(*place).ok());
            Ok(texts(rows, column.name)?
                .into_iter()
                .map(|hash| json(hash.map(|hash| place(hash).unwrap_or(-1))))
                .collect())
        }
        Kind::Text => Ok(texts(rows, column.name)?
            .into_iter()
            .map(|text| text.filter(|text| !text.is_empty()))
            .map(|text| text.map_or(Value::Null, |text| Value::from(cell::shown(column, &text))))
            .collect()),
        Kind::Time => Ok(crate::figure::frame::times(rows, column.name)?.into_iter().map(json).collect()),
        Kind::BytesPerSecond | Kind::Degrees | Kind::PerSecond | Kind::Share | Kind::Truth => {
            let values = rows.column(column.name)?;
            (0..rows.height())
                .map(|row| {
                    let value: AnyValue<'_> = values.get(row)?;
                    Ok(table_file::json(&value, column.kind).unwrap_or(Value::Null))
                })
                .collect()
        }
        Kind::Bytes | Kind::Count | Kind::Microseconds | Kind::Number => Ok(numbers(rows, column.name)?
            .into_iter()
            .map(|value| value.map_or(Value::Null, |value| to_value(whole(value)).unwrap_or(Value::Null)))
            .collect()),
    }
}
