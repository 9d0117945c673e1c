//! A result table as a CSV file: RFC 4180 with `\n`, absent values empty, every number in one fixed format.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use polars::prelude::{
    AnyValue, DataFrame, Float64Chunked, Int64Chunked, PolarsError, Series, StringChunked, UInt64Chunked,
};

use crate::{
    digits,
    replay::workers,
    table::{Definition, Kind},
    time,
};

/// A table that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file could not be written.
    #[error("cannot write the CSV: {0}")]
    Write(#[from] csv::Error),
    /// The table lacks a column of its definition.
    #[error("cannot write the table: {0}")]
    Table(#[from] PolarsError),
    /// The end of the file could not be written.
    #[error("cannot write the CSV: {0}")]
    Flush(#[from] std::io::Error),
}

/// Writes a table; the same rows give the same bytes.
pub fn write(definition: &Definition, rows: &DataFrame, path: &Path) -> Result<(), CsvError> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&header(definition)?)?;
    // Texts of many numbers take long: each core makes a part of them.
    let starts: Vec<usize> = (0..rows.height()).step_by(PART_ROWS).collect();
    workers::in_order(
        &starts,
        |start| part(definition, &rows.slice(i64::try_from(*start).unwrap_or(0), PART_ROWS)),
        |lines| Ok(out.write_all(&lines)?),
    )?;
    Ok(out.flush()?)
}

/// Bytes of a line, about.
const LINE_BYTES: usize = 160;

/// Rows whose lines are made at once.
const PART_ROWS: usize = 16_384;

/// Writes a table to any writer.
pub fn write_to(definition: &Definition, rows: &DataFrame, mut out: impl Write) -> Result<(), CsvError> {
    out.write_all(&header(definition)?)?;
    out.write_all(&part(definition, rows)?)?;
    Ok(out.flush()?)
}

/// The line of the columns' names.
pub fn header(definition: &Definition) -> Result<Vec<u8>, CsvError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(definition.columns.iter().map(|column| column.name))?;
    into_lines(csv)
}

/// The lines of some rows.
pub fn part(definition: &Definition, rows: &DataFrame) -> Result<Vec<u8>, CsvError> {
    // Room for most lines at once: to grow copies them again and again.
    let mut csv = csv::Writer::from_writer(Vec::with_capacity(rows.height() * LINE_BYTES));
    let columns = definition.columns.iter().map(|column| {
        let values = rows.column(column.name)?.as_materialized_series().rechunk();
        Ok((Cells::of(&values, column.kind), column.kind))
    });
    let columns = columns.collect::<Result<Vec<_>, PolarsError>>()?;
    let mut room = String::new();
    for row in 0..rows.height() {
        for (cells, kind) in &columns {
            csv.write_field(cells.text(row, *kind, &mut room)?)?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    into_lines(csv)
}

fn into_lines(csv: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, CsvError> {
    csv.into_inner().map_err(|error| CsvError::Flush(error.into_error()))
}

/// A column's values: those of the types that have many rows without a detour.
enum Cells {
    /// Written with so many decimals.
    Floats(Float64Chunked, usize),
    Numbers(UInt64Chunked),
    Others(Series),
    Texts(StringChunked),
    Times(Int64Chunked),
}

impl Cells {
    fn of(values: &Series, kind: Kind) -> Self {
        if let (Ok(floats), Some(decimals)) = (values.f64(), decimals(kind)) {
            Self::Floats(floats.clone(), decimals)
        } else if let (Ok(numbers), None) = (values.u64(), decimals(kind)) {
            Self::Numbers(numbers.clone())
        } else if let Ok(texts) = values.str() {
            Self::Texts(texts.clone())
        } else if let (Ok(times), Kind::Time) = (values.datetime(), kind) {
            Self::Times(times.physical().clone())
        } else {
            Self::Others(values.clone())
        }
    }

    /// A row's text, for which `room` may be used.
    fn text<'a>(&'a self, row: usize, kind: Kind, room: &'a mut String) -> Result<&'a str, PolarsError> {
        room.clear();
        match self {
            Self::Texts(texts) => return Ok(texts.get(row).unwrap_or_default()),
            Self::Floats(floats, decimals) => {
                if let Some(value) = floats.get(row) {
                    digits::push_fixed(value, *decimals, room);
                }
            }
            Self::Numbers(numbers) => {
                if let Some(value) = numbers.get(row) {
                    digits::push(value, 1, room);
                }
            }
            Self::Times(times) => {
                if let Some(value) = times.get(row) {
                    time::push_rfc3339(value, room);
                }
            }
            Self::Others(values) => room.push_str(&text(&values.get(row)?, kind)),
        }
        Ok(room)
    }
}

/// Decimals that numbers of a kind are written with; `None` for whole numbers.
fn decimals(kind: Kind) -> Option<usize> {
    match kind {
        Kind::BytesPerSecond => Some(1),
        Kind::Degrees => Some(4),
        Kind::PerSecond => Some(3),
        Kind::Share => Some(6),
        _ => None,
    }
}

/// A value as it stands in a CSV.
pub fn text(value: &AnyValue<'_>, kind: Kind) -> String {
    if let Some(decimals) = decimals(kind) {
        return value.extract::<f64>().map(|value| format!("{value:.decimals$}")).unwrap_or_default();
    }
    match (value, kind) {
        (AnyValue::Null, _) => String::new(),
        (AnyValue::Datetime(time_us, ..) | AnyValue::DatetimeOwned(time_us, ..), Kind::Time) => {
            time::rfc3339(*time_us)
        }
        (AnyValue::String(text), _) => (*text).to_owned(),
        (AnyValue::StringOwned(text), _) => text.to_string(),
        (AnyValue::Boolean(truth), _) => truth.to_string(),
        (value, _) => value.extract::<u64>().map(|value| value.to_string()).unwrap_or_default(),
    }
}
