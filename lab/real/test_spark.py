"""The SQL views on Apache Spark, a standalone master and two workers on loopback, against the report's CSVs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyspark
import pytest
from clients import wait_until
from conftest import ROOT
from odd_log import OddLog
from test_sql import QUERIES, SAMPLE, TABLES, csv_rows, sql_rows

SPARK = Path(pyspark.__file__).parent
START_TIMEOUT_S = 90
JOB_TIMEOUT_S = 400


class Cluster:
    """Master and workers as Spark's own classes run them, each on a port of its own choice."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.environment = dict(
            os.environ,
            SPARK_HOME=str(SPARK),
            SPARK_LOCAL_IP="127.0.0.1",
            PYSPARK_PYTHON=sys.executable,
            SPARK_DAEMON_MEMORY="512m",
        )

    def start(self, name, *arguments):
        log = self.folder / f"{name}.log"
        command = [SPARK / "bin" / "spark-class", *arguments]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self.folder, env=self.environment)
        self.processes.append(process)
        return log

    def __enter__(self):
        here = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        log = self.start("master", "org.apache.spark.deploy.master.Master", *here)
        wait_until(lambda: re.search(r"spark://127\.0\.0\.1:\d+", log.read_text()), "Spark's master", START_TIMEOUT_S)
        self.url = re.search(r"spark://127\.0\.0\.1:\d+", log.read_text())[0]
        for number in range(2):
            work = ["--cores", "1", "--memory", "1g", "--work-dir", self.folder / f"work-{number}"]
            self.start(f"worker-{number}", "org.apache.spark.deploy.worker.Worker", *here, *work, self.url)
        wait_until(lambda: log.read_text().count("Registering worker") == 2, "two workers", START_TIMEOUT_S)
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(30)

    def submit(self, *arguments):
        settings = {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "4",
            "spark.executor.memory": "900m",
        }
        options = [option for name, value in settings.items() for option in ("--conf", f"{name}={value}")]
        command = [SPARK / "bin" / "spark-submit", "--master", self.url, *options, *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=JOB_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("spark")) as cluster:
        yield cluster


@pytest.mark.timeout(600)
def test_a_compacted_log_has_the_same_rows_on_a_cluster(programs, cluster, tmp_path):
    analyze, data = programs.analyze, tmp_path / "log"
    shutil.copytree(SAMPLE, data)
    OddLog(5, contacts=300).write(tmp_path / "odd", SAMPLE)
    shutil.copytree(tmp_path / "odd", data, dirs_exist_ok=True)
    subprocess.run([analyze, "compact", "--open-days", data], check=True, capture_output=True)
    report = [analyze, "report", data, "--out", tmp_path / "report", "--only", TABLES, "--bucket", "1h"]
    subprocess.run(report, check=True, capture_output=True)
    views = subprocess.run([analyze, "sql", "--engine", "spark", data], check=True, capture_output=True).stdout
    (tmp_path / "views.sql").write_bytes(views)

    cluster.submit(ROOT / "schema" / "sql" / "run_on_spark.py", tmp_path / "views.sql", "--out", tmp_path / "results")

    with duckdb.connect() as connection:
        for result in ["peers", *(table for table in QUERIES if table != "flagged")]:
            files = f"{tmp_path}/results/{result}/*.parquet"
            connection.execute(f"CREATE VIEW {result} AS SELECT * FROM read_parquet('{files}')")
        for table, query in QUERIES.items():
            rows = csv_rows(tmp_path / "report" / f"{table}.csv")
            assert rows, table
            assert sql_rows(connection, query) == rows, table
