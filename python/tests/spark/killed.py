"""Follows bundles as examples/spark_delta.py does, notes each batch, and may die after one was merged, before Spark knows it.

python killed.py EXAMPLE BUNDLES TABLE DELTA NOTES [BATCH]
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

example, bundles, table, delta, notes, *dies = sys.argv[1:]
about = importlib.util.spec_from_file_location("spark_delta", example)
assert about is not None and about.loader is not None
spark_delta: Any = importlib.util.module_from_spec(about)
about.loader.exec_module(spark_delta)


def noted(changes: Any, folder: str, key: str) -> None:
    changes.persist()
    found = sorted(Path(row[0]).name for row in changes.select("DeltaBundle").distinct().collect())
    spark_delta.merge(changes, folder, key)
    changes.unpersist()
    with open(notes, "a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")
    if dies and len(Path(notes).read_text("utf-8").splitlines()) == int(dies[0]):
        os.kill(os.getpid(), signal.SIGKILL)


builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
spark = builder.config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "2").getOrCreate()
options = {"maxBundlesPerTrigger": "3", "allowGap": "true"}
key = spark_delta.follow(spark, bundles, table, delta, noted, **options)
rows = spark_delta.current(spark, delta, key)
rows.write.mode("overwrite").parquet(f"{delta}.current")
