"""Keeps a Delta table in step with the bundles of one table: the latest version of each key, deletions among them.

    python spark_delta.py BUNDLES TABLE DELTA

BUNDLES is a folder or URL that holds bundles, TABLE one of their tables, DELTA the folder of the Delta table; the checkpoint of the
stream stands beside it. Each call applies what came since the last one, so call it every week. It needs `blobdelta[spark]` of this
project, and `deltalake`.

A batch may come twice, where a call died after it was merged. So only a version that wins against the one that is there replaces it
(manifests/FORMAT.md, section 5), and bundles may come in any order. A key has a row for each scope that it is in, and one for its
deletion, because a deletion wins in every scope; `current` gives the rows that are left.
"""

import sys

import pyarrow as pa
from blobdelta.spark import BlobdeltaSource, latest
from deltalake import DeltaTable, Schema, write_deltalake
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as f

WHOSE, RANK = "DeltaWhose", "DeltaRank"


def ranked(changes):
    """Rows and tombstones with whose they are, and a text that is the greater the later a version is."""
    stamp, run = f.coalesce("DeltaModifiedOn__ticks", f.lit(-1)) + 1, f.col("DeltaRunStartedAt__ticks")
    parts = [f.lpad(number.cast("string"), 20, "0") for number in (stamp, run)]
    rank = f.concat(*parts, f.col("DeltaRunId"), f.col("DeltaReason").isNotNull().cast("string"))
    whose = f.when(f.col("DeltaReason") == "Deleted", "deleted").otherwise(f.col("DeltaScope"))
    return changes.withColumn(WHOSE, whose).withColumn(RANK, rank)


def widen(delta, batch):
    """Writes the Delta table anew if the source widened a column: MERGE adds columns, but does not change types."""
    table = DeltaTable(delta)
    due = {field.name: field.type for field in Schema.from_arrow(batch.schema).fields}
    if all(due.get(field.name, field.type) == field.type for field in table.schema().fields):
        return
    there = table.to_pyarrow_dataset()
    schema = pa.schema([batch.schema.field(one.name) if one.name in due else one for one in there.schema])
    wider = pa.RecordBatchReader.from_batches(schema, (one.cast(schema) for one in there.to_batches()))
    write_deltalake(delta, wider, mode="overwrite", schema_mode="overwrite")


def merge(changes, delta, key):
    """One batch into the Delta table. It goes through this machine; where Spark has Delta's own jars, `DeltaTable.merge` of
    delta-spark takes the same conditions."""
    best = f.row_number().over(Window.partitionBy(key, WHOSE).orderBy(f.col(RANK).desc()))
    batch = ranked(changes).withColumn("place", best).where("place = 1").drop("place").toArrow()
    if not DeltaTable.is_deltatable(delta):
        write_deltalake(delta, batch)
        return
    widen(delta, batch)
    same = f"new.`{key}` = old.`{key}` AND new.{WHOSE} = old.{WHOSE}"
    merged = DeltaTable(delta).merge(batch, same, source_alias="new", target_alias="old", merge_schema=True)
    merged.when_matched_update_all(f"new.{RANK} > old.{RANK}").when_not_matched_insert_all().execute()


def follow(spark, bundles, table, delta, apply=merge, **options):
    """Applies the bundles that no call before has applied."""
    spark.dataSource.register(BlobdeltaSource)
    options = {"table": table, "mode": "changes", "maxBundlesPerTrigger": "16", **options}
    stream = spark.readStream.format("blobdelta").options(**options).load(bundles)
    key = stream.columns[0]
    query = stream.writeStream.foreachBatch(lambda changes, _: apply(changes, delta, key))
    query.option("checkpointLocation", f"{delta}.checkpoint").trigger(availableNow=True).start().awaitTermination()
    return key


def current(spark, delta, key):
    """The latest row of each key, without those that were deleted or left every scope."""
    changes = spark.createDataFrame(DeltaTable(delta).to_pyarrow_table())
    return latest(changes, key).drop(WHOSE, RANK)


if __name__ == "__main__":
    session = SparkSession.builder.appName("blobdelta").getOrCreate()
    print(current(session, sys.argv[3], follow(session, *sys.argv[1:])).count(), "rows")
