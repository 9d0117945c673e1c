//! `analyze sql`: the derivations of `schema/sql` with paths and rules filled in, ready to be fed to an engine.

mod access;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use schema::{cell::ColumnKind, sql, table::Table};

use crate::{
    cli::{Engine, SqlOptions},
    log::segments,
    remote::{self, Remote},
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
/// A data folder or an object store cannot be listed.
pub fn text(options: &SqlOptions) -> anyhow::Result<String> {
    let preamble = match options.engine {
        Engine::Duckdb => sql::PREAMBLE_DUCKDB,
        Engine::Spark => sql::PREAMBLE_SPARK,
    };
    let places = options.data.iter().map(|data| Place::of(data)).collect::<anyhow::Result<Vec<_>>>()?;
    let access = match options.engine {
        Engine::Duckdb => access::duckdb(places.iter().filter_map(Place::url), access::variable),
        Engine::Spark => String::new(),
    };
    // The preamble reads the log already.
    let mut text = format!("{access}{preamble}\n{}", sql::VIEWS);
    for table in [Table::Contacts, Table::Progress, Table::Runs, Table::Sightings, Table::Torrents] {
        text = text.replace(&format!("{{{{{}}}}}", table.name()), &source(table, &places, options.engine)?);
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

/// Where a log is.
enum Place {
    Folder(PathBuf),
    Store { url: String, tables: BTreeSet<Table> },
}

impl Place {
    /// A store is asked which tables it has.
    fn of(data: &Path) -> anyhow::Result<Self> {
        let Some(url) = remote::url(data) else { return Ok(Self::Folder(data.to_path_buf())) };
        let remote = Remote::open(url)?;
        Ok(Self::Store { url: remote.url(), tables: remote.tables()? })
    }

    fn url(&self) -> Option<&str> {
        match self {
            Self::Folder(_) => None,
            Self::Store { url, .. } => Some(url),
        }
    }

    /// Where a table's segments are, as the engine names it; `None` where there is none.
    fn table(&self, table: Table, engine: Engine) -> anyhow::Result<Option<String>> {
        let (is_there, home) = match self {
            Self::Folder(folder) => {
                let home = folder.join(table.name());
                (!segments(&home)?.is_empty(), home.display().to_string())
            }
            Self::Store { url, tables } => {
                let url = match engine {
                    Engine::Duckdb => url.clone(),
                    Engine::Spark => access::spark_url(url, access::variable)?,
                };
                (tables.contains(&table), format!("{url}/{}", table.name()))
            }
        };
        // What would end its quotes is doubled.
        let quoted = match engine {
            Engine::Duckdb => home.replace('\'', "''"),
            Engine::Spark => home.replace('`', "``"),
        };
        Ok(is_there.then_some(quoted))
    }
}

/// What a raw table is read from; a table without a file is one without rows.
fn source(table: Table, places: &[Place], engine: Engine) -> anyhow::Result<String> {
    let homes = places.iter().map(|place| place.table(table, engine));
    let homes: Vec<String> = homes.filter_map(Result::transpose).collect::<anyhow::Result<_>>()?;
    if homes.is_empty() {
        return Ok(without_rows(table));
    }
    Ok(match engine {
        Engine::Duckdb => {
            let globs: Vec<String> = homes.iter().map(|home| format!("'{home}/**/*.parquet'")).collect();
            format!("read_parquet([{}], union_by_name = true, hive_partitioning = false)", globs.join(", "))
        }
        Engine::Spark => {
            let names: Vec<&str> = table.columns().into_iter().map(|column| column.name).collect();
            let selects =
                homes.iter().map(|home| format!("SELECT {} FROM parquet.`{home}`", names.join(", ")));
            format!("({})", selects.collect::<Vec<_>>().join(" UNION ALL "))
        }
    })
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
