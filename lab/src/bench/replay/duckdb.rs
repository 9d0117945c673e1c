//! DuckDB on the files of a log: a plain query, one that finds the rows of the report's tables, and the views of
//! `schema/sql`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::child::{self, Measured};

/// Runs a file of SQL, with the database's own defaults, and writes the one number that the last statement gives.
const RUN: &str = "\
import sys, duckdb
with duckdb.connect() as connection:
    connection.execute(\"SET temp_directory = '\" + sys.argv[3] + \"'\")
    connection.execute(\"SET enable_progress_bar = false\")
    (count,) = connection.execute(open(sys.argv[1]).read()).fetchone()
open(sys.argv[2], 'w').write(str(count))
";

/// How many of its peers crossed the threshold.
const CONFIRMED: &str = "\nSELECT count(*) FROM peers WHERE confirmed = 1;\n";

/// How many rows the first of the two tables has.
const WRITTEN: &str = "\nSELECT count(*) FROM believed WHERE crossed = 1;\n";

/// What the views are asked for: the peers once, and of them the confirmed downloads and the speeds.
const OF_VIEWS: &str = "
CREATE TEMP TABLE found AS SELECT * FROM peers;
CREATE TEMP TABLE measured AS SELECT * FROM found WHERE flagged = 0 AND mean_speed_bytes_per_s IS NOT NULL;
SELECT count(*) FROM found WHERE confirmed = 1;
";

/// The plain query; gives how many downloads it confirms.
pub fn plain(python: &Path, data: &Path, scratch: &Path) -> Result<(Measured, u64)> {
    run(python, &filled(&(include_str!("plain.sql").to_owned() + CONFIRMED), data, scratch), scratch)
}

/// The query that writes both tables into `out`, which is made; gives how many downloads it confirms.
pub fn same_tables(python: &Path, data: &Path, scratch: &Path, out: &Path) -> Result<(Measured, u64)> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    run(python, &filled(&(include_str!("same_tables.sql").to_owned() + WRITTEN), data, out), scratch)
}

/// Fills in the paths.
fn filled(sql: &str, data: &Path, out: &Path) -> String {
    let quoted = |path: &Path| path.display().to_string().replace('\'', "''");
    let sql = sql.replace("{{data}}", &quoted(data)).replace("{{out}}", &quoted(out));
    format!("SET TimeZone = 'UTC';\n{sql}")
}

/// The views, as `analyze sql` prints them.
pub fn views(python: &Path, analyze: &Path, data: &Path, scratch: &Path) -> Result<(Measured, u64)> {
    let printed = Command::new(analyze)
        .args(["sql", "--engine", "duckdb"])
        .arg(data)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run analyze sql")?;
    ensure!(printed.status.success(), "analyze sql: {}", printed.status);
    let views = String::from_utf8(printed.stdout).context("analyze sql prints no text")?;
    run(python, &(views + OF_VIEWS), scratch)
}

fn run(python: &Path, sql: &str, scratch: &Path) -> Result<(Measured, u64)> {
    let (query, result, spilled): (PathBuf, PathBuf, PathBuf) =
        (scratch.join("query.sql"), scratch.join("result.txt"), scratch.join("spilled"));
    fs::write(&query, sql).with_context(|| format!("cannot write {}", query.display()))?;
    let mut command = Command::new(python);
    let measured = child::run(command.args(["-c", RUN]).args([&query, &result, &spilled]))?;
    let count = fs::read_to_string(&result).with_context(|| format!("cannot read {}", result.display()))?;
    Ok((measured, count.trim().parse().context("DuckDB tells no count")?))
}
