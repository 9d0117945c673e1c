//! A result table as a CSV file: RFC 4180 with `\n`, absent values empty, every number in one fixed format.

use std::{fs::File, io::BufWriter, path::Path};

use polars::prelude::{AnyValue, DataFrame, PolarsError};

use crate::{
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
    write_to(definition, rows, BufWriter::new(File::create(path)?))
}

/// Writes a table to any writer.
pub fn write_to(definition: &Definition, rows: &DataFrame, out: impl std::io::Write) -> Result<(), CsvError> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(definition.columns.iter().map(|column| column.name))?;
    let columns = definition.columns.iter().map(|column| Ok((rows.column(column.name)?, column.kind)));
    let columns = columns.collect::<Result<Vec<_>, PolarsError>>()?;
    for row in 0..rows.height() {
        for (column, kind) in &columns {
            csv.write_field(text(&column.get(row)?, *kind))?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()?;
    Ok(())
}

/// A value as it stands in a CSV.
pub fn text(value: &AnyValue<'_>, kind: Kind) -> String {
    let decimals = |decimals: usize| {
        value.extract::<f64>().map(|value| format!("{value:.decimals$}")).unwrap_or_default()
    };
    match (value, kind) {
        (AnyValue::Null, _) => String::new(),
        (_, Kind::BytesPerSecond) => decimals(1),
        (_, Kind::Degrees) => decimals(4),
        (_, Kind::PerSecond) => decimals(3),
        (_, Kind::Share) => decimals(6),
        (AnyValue::Datetime(time_us, ..) | AnyValue::DatetimeOwned(time_us, ..), Kind::Time) => {
            time::rfc3339(*time_us)
        }
        (AnyValue::String(text), _) => (*text).to_owned(),
        (AnyValue::StringOwned(text), _) => text.to_string(),
        (AnyValue::Boolean(truth), _) => truth.to_string(),
        (value, _) => value.extract::<u64>().map(|value| value.to_string()).unwrap_or_default(),
    }
}
