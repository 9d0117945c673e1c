//! `analyze sql`: the derivations of `schema/sql` with paths and rules filled in, ready to be fed to an engine.

use std::{fmt::Write as _, io::Write as _, path::Path};

use schema::{cell::ColumnKind, sql, table::Table};

use crate::{
    cli::{Engine, SqlOptions},
    log::segments,
};

/// Prints the preamble and the views to stdout.
///
/// # Errors
/// A data folder cannot be listed, or stdout is closed.
pub fn print(options: &SqlOptions) -> anyhow::Result<()> {
    let text = text(options)?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The whole text for an engine.
///
/// # Errors
/// A data folder cannot be listed.
pub fn text(options: &SqlOptions) -> anyhow::Result<String> {
    let preamble = match options.engine {
        Engine::Duckdb => sql::PREAMBLE_DUCKDB,
        Engine::Spark => sql::PREAMBLE_SPARK,
    };
    let mut text = format!("{preamble}\n{}", sql::VIEWS);
    for table in [Table::Contacts, Table::Progress, Table::Runs, Table::Sightings, Table::Torrents] {
        text = text.replace(&format!("{{{{{}}}}}", table.name()), &source(table, options)?);
    }
    let rules = [
        ("threshold_billionths", options.threshold.billionths().to_string()),
        ("max_plausible_speed", options.max_plausible_speed.to_string()),
        ("bucket_us", options.bucket.to_string()),
    ];
    for (name, value) in rules {
        text = text.replace(&format!("{{{{{name}}}}}"), &value);
    }
    Ok(text)
}

/// What a raw table is read from; a table without a file is one without rows.
fn source(table: Table, options: &SqlOptions) -> anyhow::Result<String> {
    let mut folders = Vec::new();
    for data in &options.data {
        let folder = data.join(table.name());
        if !segments(&folder)?.is_empty() {
            folders.push(folder);
        }
    }
    if folders.is_empty() {
        return Ok(without_rows(table));
    }
    let paths = folders.iter().map(|folder| path(folder, options.engine));
    Ok(match options.engine {
        Engine::Duckdb => {
            let globs: Vec<String> = paths.map(|path| format!("'{path}/**/*.parquet'")).collect();
            format!("read_parquet([{}], union_by_name = true, hive_partitioning = false)", globs.join(", "))
        }
        Engine::Spark => {
            let names: Vec<&str> = table.columns().into_iter().map(|column| column.name).collect();
            let selects = paths.map(|path| format!("SELECT {} FROM parquet.`{path}`", names.join(", ")));
            format!("({})", selects.collect::<Vec<_>>().join(" UNION ALL "))
        }
    })
}

/// The path with what would end its quotes doubled.
fn path(folder: &Path, engine: Engine) -> String {
    let path = folder.display().to_string();
    match engine {
        Engine::Duckdb => path.replace('\'', "''"),
        Engine::Spark => path.replace('`', "``"),
    }
}

fn without_rows(table: Table) -> String {
    let columns = table.columns().into_iter().fold(String::new(), |mut columns, column| {
        let kind = match column.kind {
            ColumnKind::Binary => "BINARY",
            ColumnKind::Boolean => "BOOLEAN",
            ColumnKind::Int32 => "INTEGER",
            ColumnKind::Int64 => "BIGINT",
            ColumnKind::Text | ColumnKind::TextList => "STRING",
            ColumnKind::Time => "TIMESTAMP",
        };
        let comma = if columns.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        write!(columns, "{comma}CAST(NULL AS {kind}) AS {}", column.name).unwrap_or_default();
        columns
    });
    format!("(SELECT {columns} WHERE 1 = 0)")
}
