"""The log opens in DuckDB, polars and pyarrow as it lies there, and they agree."""

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as dataset
import pytest

TABLES = ["contacts", "gauges", "progress", "requests", "runs", "sightings", "torrents"]
TEXT_COLUMNS = {
    "contacts": ["run", "info_hash", "ip", "outcome", "direction", "transport", "encryption"],
    "progress": ["run", "info_hash", "ip", "kind"],
    "requests": ["run", "info_hash", "source", "endpoint", "kind", "outcome"],
    "sightings": ["run", "info_hash", "source", "ip"],
    "torrents": ["run", "info_hash", "origin"],
}


def pattern(capture, table):
    return str(capture.log / table / "**" / "*.parquet")


def read_polars(capture, table):
    return polars.read_parquet(pattern(capture, table), hive_partitioning=True)


def read_arrow(capture, table):
    return dataset.dataset(capture.log / table, partitioning="hive").to_table()


@pytest.mark.parametrize("table", TABLES)
def test_engines_count_the_same_rows(capture, table):
    duckdb_rows, duckdb_days = duckdb.execute(
        "SELECT count(*), count(DISTINCT date) FROM read_parquet(?)", [pattern(capture, table)]
    ).fetchone()
    frame = read_polars(capture, table)
    assert duckdb_rows == frame.height == read_arrow(capture, table).num_rows > 0
    assert duckdb_days == frame["date"].n_unique()


@pytest.mark.parametrize("table", TABLES)
def test_time_is_utc_with_microseconds(capture, table):
    described = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern(capture, table)]).fetchall()
    assert {name: kind for name, kind, *_ in described}["time"] == "TIMESTAMP WITH TIME ZONE"
    assert read_polars(capture, table).schema["time"] == polars.Datetime("us", "UTC")
    assert read_arrow(capture, table).schema.field("time").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize("table", TEXT_COLUMNS)
def test_text_reads_as_text_everywhere(capture, table):
    described = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [pattern(capture, table)]).fetchall()
    types = {name: kind for name, kind, *_ in described}
    frame = read_polars(capture, table)
    for column in TEXT_COLUMNS[table]:
        assert types[column] == "VARCHAR", column
        assert frame[column].cast(polars.String).str.len_chars().min() > 0, column


def test_values_agree(capture):
    query = "SELECT outcome, count(*), sum(bytes_in), max(time) FROM read_parquet(?) GROUP BY outcome ORDER BY outcome"
    by_duckdb = duckdb.execute(query, [pattern(capture, "contacts")]).fetchall()
    by_polars = (
        read_polars(capture, "contacts")
        .group_by(polars.col("outcome").cast(polars.String))
        .agg(polars.len(), polars.col("bytes_in").sum(), polars.col("time").max())
        .sort("outcome")
        .rows()
    )
    assert [row[:3] for row in by_duckdb] == [row[:3] for row in by_polars]
    assert [row[3].timestamp() for row in by_duckdb] == [row[3].timestamp() for row in by_polars]


def test_tables_join_on_the_contact(capture):
    """Every progress row belongs to one contact of the same peer."""
    query = """
        SELECT count(*) FROM read_parquet(?) AS progress
        LEFT JOIN read_parquet(?) AS contacts USING (run, contact, info_hash, ip, port)
        WHERE contacts.contact IS NULL
    """
    paths = [pattern(capture, "progress"), pattern(capture, "contacts")]
    assert duckdb.execute(query, paths).fetchone() == (0,)
