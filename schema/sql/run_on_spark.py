"""Runs the views that `analyze sql --engine spark DATA` prints on Apache Spark, and writes the results as Parquet.

    analyze sql --engine spark /shared/log > views.sql
    spark-submit --master spark://HOST:7077 schema/sql/run_on_spark.py views.sql --out /shared/results

Every worker must see the log under the path that `views.sql` names: a shared file system, or s3a:// with the
hadoop-aws package. See docs/cluster.md.
"""

import argparse
import sys
from pathlib import Path

from pyspark.sql import SparkSession

RESULTS = ["peers", "confirmed_downloads", "confirmed_hourly", "speeds", "sources_hourly"]


def statements(text):
    """The statements of a file of SQL in which every one ends with a semicolon at the end of a line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement for statement in "\n".join(lines).split(";\n") if statement.strip(" \n;")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("views", help="what `analyze sql --engine spark` printed")
    parser.add_argument("--out", required=True, help="folder or URL that gets a Parquet folder per result")
    parser.add_argument("--only", nargs="+", choices=RESULTS, default=RESULTS, metavar="RESULT", help="these results")
    options = parser.parse_args()

    spark = SparkSession.builder.appName("Swarmtally views").getOrCreate()
    for statement in statements(Path(options.views).read_text()):
        spark.sql(statement.rstrip(" \n;"))
    # All results but one are made of the peers.
    spark.catalog.cacheTable("peers")
    for name in options.only:
        spark.table(name).write.mode("overwrite").parquet(f"{options.out.rstrip('/')}/{name}")
        print(f"{name}: written", file=sys.stderr)
    spark.stop()


if __name__ == "__main__":
    main()
