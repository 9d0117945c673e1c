//! DuckDB on the files of a log: a plain query, one that knows who is who, and the views of `schema/sql`.

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

/// Each endpoint's observations: no contacts, so neither who connected to us nor who is behind two ports nor what is ours.
const PLAIN: &str = "\
CREATE TEMP VIEW observations AS
SELECT info_hash, ip, port, time, pieces, piece_count
FROM read_parquet('{{data}}/progress/**/*.parquet', hive_partitioning = false);
";

/// Each peer's observations: contacts tell whose they are, by peer ID and address, and which are with ourselves.
const NAMED: &str = "\
CREATE TEMP VIEW named AS
SELECT
    run, contact,
    coalesce(
        min(CASE WHEN direction = 'out' THEN port END) OVER same_id, min(listen_port) OVER same_id,
        CASE WHEN direction = 'out' THEN port ELSE listen_port END, -1
    ) AS peer_port
FROM read_parquet('{{data}}/contacts/**/*.parquet', hive_partitioning = false, union_by_name = true)
WHERE outcome IN (
        'closed_by_remote', 'idle_timed_out', 'our_limit', 'protocol_error', 'reset', 'shutdown', 'visit_done'
    ) AND NOT (peer_id >= '-SW'::BLOB AND peer_id < '-SX'::BLOB)
WINDOW same_id AS (PARTITION BY info_hash, ip, peer_id);
CREATE TEMP VIEW observations AS
SELECT p.info_hash, p.ip, n.peer_port AS port, p.time, p.pieces, p.piece_count
FROM read_parquet('{{data}}/progress/**/*.parquet', hive_partitioning = false) p
JOIN named n ON n.run = p.run AND n.contact = p.contact;
";

/// The observations in order, the one before beside each: who crossed the threshold, and the highest speed over at least
/// five seconds. No generations, no flags, no settle times: less than the report says.
const CONFIRMED: &str = "
CREATE TEMP TABLE peers AS
SELECT
    info_hash, ip, port, max(peer_confirmed) AS confirmed, max(confirmed_at) AS confirmed_at,
    max(gained * 1000000.0 / took_us) AS max_pieces_per_s
FROM (
    SELECT
        info_hash, ip, port,
        CASE WHEN before < needed AND pieces >= needed THEN 1 ELSE 0 END AS peer_confirmed,
        CASE WHEN before < needed AND pieces >= needed THEN time_us END AS confirmed_at,
        CASE WHEN time_us - before_us >= 5000000 AND pieces >= before THEN pieces - before END AS gained,
        time_us - before_us AS took_us
    FROM (
        SELECT
            info_hash, ip, port, epoch_us(time) AS time_us, pieces, ceil(piece_count * 98 / 100) AS needed,
            lag(pieces) OVER peer AS before, lag(epoch_us(time)) OVER peer AS before_us
        FROM observations
        WINDOW peer AS (PARTITION BY info_hash, ip, port ORDER BY time, pieces)
    ) ordered
) compared
GROUP BY info_hash, ip, port;
SELECT count(*) FROM peers WHERE confirmed = 1;
";

/// What the views are asked for: the peers once, and of them the confirmed downloads and the speeds.
const OF_VIEWS: &str = "
CREATE TEMP TABLE found AS SELECT * FROM peers;
CREATE TEMP TABLE measured AS SELECT * FROM found WHERE flagged = 0 AND mean_speed_bytes_per_s IS NOT NULL;
SELECT count(*) FROM found WHERE confirmed = 1;
";

/// The plain query over endpoints; gives how many downloads it confirms.
pub fn plain(python: &Path, data: &Path, scratch: &Path) -> Result<(Measured, u64)> {
    confirmed(python, PLAIN, data, scratch)
}

/// The same query over peers; gives how many downloads it confirms.
pub fn named(python: &Path, data: &Path, scratch: &Path) -> Result<(Measured, u64)> {
    confirmed(python, NAMED, data, scratch)
}

fn confirmed(python: &Path, observations: &str, data: &Path, scratch: &Path) -> Result<(Measured, u64)> {
    let data = data.display().to_string().replace('\'', "''");
    run(
        python,
        &(format!("SET TimeZone = 'UTC';\n{observations}{CONFIRMED}").replace("{{data}}", &data)),
        scratch,
    )
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
