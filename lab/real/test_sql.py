"""The portable SQL views in DuckDB against the report's CSVs, row for row."""

import csv
import shutil
import subprocess

import duckdb
import polars
import pyarrow.dataset as dataset
import pytest
from conftest import ROOT, TARGET
from odd_log import OddLog

TABLES = "confirmed_downloads,confirmed_hourly,speeds,sources_hourly,flagged,summary"
SAMPLE = ROOT / "data" / "sample"


def time(column):
    return f"strftime(make_timestamp({column}), '%Y-%m-%dT%H:%M:%S.%fZ')"


def truth(column):
    return f"CASE WHEN {column} = 1 THEN 'true' ELSE 'false' END"


WHO = "info_hash, ip, port, peer_id"
SPEEDS = "mean_speed_bytes_per_s, max_speed_bytes_per_s"
FLAGS = ", ".join(truth(flag) for flag in ["crossed", "backwards", "have_only", "implausible_speed"])
# What the views leave to the report: places, and programs by peer ID.
NOT_IN_SQL = {"client", "country", "asn"}
QUERIES = {
    "confirmed_downloads": f"""
        SELECT {WHO}, {time("below_at")}, below_pieces, {time("confirmed_at")}, confirmed_pieces, piece_count, evidence,
            {SPEEDS}
        FROM confirmed_downloads""",
    "confirmed_hourly": f"SELECT {time('hour_us')}, info_hash, confirmed_downloads FROM confirmed_hourly",
    "speeds": f"SELECT {WHO}, {SPEEDS} FROM speeds",
    "sources_hourly": f"SELECT {time('hour_us')}, source, received, new_peers, duplicate FROM sources_hourly",
    "flagged": f"SELECT {WHO}, {time('first_at')}, {FLAGS}, max_speed_bytes_per_s FROM peers WHERE flagged = 1",
}


def text(value):
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def sql_rows(connection, query):
    return sorted(tuple(map(text, row)) for row in connection.execute(query).fetchall())


def csv_rows(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(tuple(value for name, value in row.items() if name not in NOT_IN_SQL) for row in rows)


def compare(programs, data, out, options=()):
    """Demands equal rows and returns how many each table has."""
    # A report of a short log would choose shorter buckets than the views have.
    options = options if "--bucket" in options else (*options, "--bucket", "1h")
    analyze = programs.analyze
    report = [analyze, "report", data, "--out", out, "--only", TABLES, *options]
    subprocess.run(report, check=True, capture_output=True)
    views = subprocess.run([analyze, "sql", data, *options], check=True, capture_output=True, text=True).stdout
    with duckdb.connect() as connection:
        connection.execute(views)
        counts = {}
        for table, query in QUERIES.items():
            rows = csv_rows(out / f"{table}.csv")
            assert sql_rows(connection, query) == rows, table
            counts[table] = len(rows)
        ((already,),) = connection.execute("SELECT coalesce(sum(already_complete), 0) FROM peers").fetchall()
        # Peers by (info-hash, IP): what was only named by a source is not among the views' peers.
        ((contacted,),) = connection.execute("SELECT count(*) FROM peers").fetchall()
    with (out / "summary.csv").open(newline="") as file:
        (total,) = [row for row in csv.DictReader(file) if row["info_hash"] == "all"]
    assert (int(total["already_complete"]), int(total["contacted_peers"])) == (already, contacted)
    return counts


def test_sample(programs, tmp_path):
    counts = compare(programs, SAMPLE, tmp_path)
    assert all(counts.values()), counts


@pytest.mark.parametrize("options", [(), ("--threshold", "0.9", "--bucket", "1m", "--max-plausible-speed", "5000")])
@pytest.mark.parametrize("seed", range(4))
def test_odd_logs(programs, tmp_path, seed, options):
    OddLog(seed, contacts=500).write(tmp_path / "log", SAMPLE)
    counts = compare(programs, tmp_path / "log", tmp_path / "report", options)
    assert all(counts.values()), counts


def test_tables_without_files(programs, tmp_path):
    """A log that was just begun has no sightings and no progress."""
    OddLog(1, contacts=0).write(tmp_path / "log", SAMPLE)
    for table in ["sightings", "progress", "contacts"]:
        for file in (tmp_path / "log" / table).glob("**/*.parquet"):
            file.unlink()
    assert not any(compare(programs, tmp_path / "log", tmp_path / "report").values())


def test_a_compacted_log_has_the_same_rows_in_every_engine(programs, tmp_path):
    raw, compacted = tmp_path / "raw", tmp_path / "compacted"
    lab = [TARGET / "debug" / "lab", "log", "--rows", "30000", "--swarms", "20", "--length", "60h", "--out", raw]
    subprocess.run(lab, check=True, capture_output=True)
    shutil.copytree(raw, compacted)
    subprocess.run([programs.analyze, "compact", compacted], check=True, capture_output=True)
    tables = sorted(folder.name for folder in raw.iterdir() if any(folder.glob("**/*.parquet")))
    assert {"contacts", "progress", "requests", "runs", "sightings", "torrents"} <= set(tables)
    for table in tables:
        files, merged = (sorted((log / table).glob("**/*.parquet")) for log in (raw, compacted))
        # One a day; a table may have had no more.
        assert len(merged) == len({file.parent for file in merged}), table
        assert len(merged) < len(files) or table in ("runs", "torrents")
        globs = [str(log / table / "**" / "*.parquet") for log in (raw, compacted)]
        rows = "SELECT * FROM read_parquet(?, hive_partitioning = true)"
        for here, there in (globs, reversed(globs)):
            only_here = f"SELECT count(*) FROM ({rows} EXCEPT ALL {rows})"
            assert duckdb.execute(only_here, [here, there]).fetchone() == (0,), table
        (count,) = duckdb.execute(f"SELECT count(*) FROM ({rows})", [globs[1]]).fetchone()
        assert count == polars.read_parquet(globs[1], hive_partitioning=True).height > 0
        assert count == dataset.dataset(compacted / table, partitioning="hive").count_rows()
    counts = compare(programs, compacted, tmp_path / "report")
    assert counts == compare(programs, raw, tmp_path / "report-of-raw")
    assert counts["confirmed_downloads"] > 0
