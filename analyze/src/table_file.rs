//! A result table as a file: CSV, Parquet or JSON lines, with the same columns, types and order of rows in each.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use polars::prelude::{AnyValue, DataFrame, ParquetCompression, ParquetWriter, PolarsError, PolarsResult};
use serde::Serializer as _;
use serde_json::Value;

use crate::{
    csv_file,
    replay::workers,
    table::{Definition, Kind, Streamed},
};

/// How tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Comma-separated values: TABLE.csv
    Csv,
    /// A JSON object a row and line: TABLE.jsonl
    Json,
    /// Apache Parquet: TABLE.parquet
    Parquet,
}

impl Format {
    /// What files of it are called after the table's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// A table that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// As CSV.
    #[error(transparent)]
    Csv(#[from] csv_file::CsvError),
    /// A value cannot be put into JSON.
    #[error("cannot write the JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The table lacks a column of its definition, or cannot be encoded.
    #[error("cannot write the table: {0}")]
    Table(#[from] PolarsError),
    /// The file could not be written.
    #[error("cannot write the table: {0}")]
    Write(#[from] std::io::Error),
}

/// Writes a table; the same rows give the same bytes.
pub fn write(
    format: Format,
    definition: &Definition,
    rows: &DataFrame,
    path: &Path,
) -> Result<(), FileError> {
    match format {
        Format::Csv => Ok(csv_file::write(definition, rows, path)?),
        Format::Json => {
            let mut out = BufWriter::new(File::create(path)?);
            out.write_all(&json_lines(definition, rows)?)?;
            Ok(out.flush()?)
        }
        Format::Parquet => {
            let names = definition.columns.iter().map(|column| column.name);
            let mut rows = rows.select(names)?;
            ParquetWriter::new(File::create(path)?)
                .with_compression(ParquetCompression::Zstd(None))
                .finish(&mut rows)?;
            Ok(())
        }
    }
}

/// Writes a table that is made part by part, on all cores.
pub fn write_parts(format: Format, streamed: &Streamed, path: &Path) -> Result<(), FileError> {
    let definition = streamed.definition;
    let parts = streamed.parts()?;
    let file = File::create(path)?;
    if format == Format::Parquet {
        let schema = definition.empty()?.schema().clone();
        let mut out =
            ParquetWriter::new(file).with_compression(ParquetCompression::Zstd(None)).batched(&schema)?;
        for part in parts {
            out.write_batch(&part.collect()?)?;
        }
        out.finish()?;
        return Ok(());
    }
    let mut out = BufWriter::new(file);
    if format == Format::Csv {
        out.write_all(&csv_file::header(definition)?)?;
    }
    workers::in_order(
        &parts,
        |part| {
            let rows = part.clone().collect()?;
            match format {
                Format::Json => json_lines(definition, &rows),
                _ => Ok(csv_file::part(definition, &rows)?),
            }
        },
        |lines| Ok(out.write_all(&lines)?),
    )?;
    Ok(out.flush()?)
}

/// An object a line; numbers have the digits they have in the CSV, times are RFC 3339, absent values null.
fn json_lines(definition: &Definition, rows: &DataFrame) -> Result<Vec<u8>, FileError> {
    let mut out = Vec::new();
    let columns = definition.columns.iter().map(|column| Ok((column, rows.column(column.name)?)));
    let columns = columns.collect::<PolarsResult<Vec<_>>>()?;
    for row in 0..rows.height() {
        let mut fields = Vec::with_capacity(columns.len());
        for (column, values) in &columns {
            fields.push((column.name, json(&values.get(row)?, column.kind)?));
        }
        serde_json::Serializer::new(&mut out).collect_map(fields)?;
        out.push(b'\n');
    }
    Ok(out)
}

/// A value as JSON, with the digits it has in the CSV.
pub fn json(value: &AnyValue<'_>, kind: Kind) -> serde_json::Result<Value> {
    if matches!(value, AnyValue::Null) {
        return Ok(Value::Null);
    }
    let text = csv_file::text(value, kind);
    match kind {
        Kind::Text | Kind::Time => Ok(Value::String(text)),
        // The text of a number or a truth is its JSON.
        _ => serde_json::from_str(&text),
    }
}
