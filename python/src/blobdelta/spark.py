"""`spark.read.format("blobdelta")` and `spark.readStream.format("blobdelta")`: bundles as a data source of Spark (pyspark 4).

    from blobdelta.spark import BlobdeltaSource
    spark.dataSource.register(BlobdeltaSource)
    rows = spark.read.format("blobdelta").option("table", "ReferralAttachment").option("mode", "latest").load("s3://deltas/weekly")

Options: `table`; `columns`, with commas between (large values only if their column is named); `mode`: `rows`, `latest`,
`tombstones` or `changes` (rows and tombstones together, a tombstone with `DeltaReason`); `since`, the least name of a bundle, such
as `20261122`; `verify=deep`, which looks at every row of the bundles while the read is planned; `allowGap=true`; `source`, a source
id; `signers` and `signerScope`, files as `blobdelta verify` takes them; `catalog`, a file of the driver that remembers heads of
bundles; `maxBundlesPerTrigger`, of a stream. Options that begin with `fs.` go to fsspec.

A task reads one part, and hashes it before it reads a row. The package has to be installed where tasks run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as f
from pyspark.sql import types as spark_types
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from . import plan
from ._spark_columns import Pushed
from ._spark_plan import SCOPE, Options, PartTask, Shape
from ._spark_stream import BlobdeltaStream

_COMPARED = {
    "EqualTo": "equal",
    "GreaterThan": "greater",
    "GreaterThanOrEqual": "greater_equal",
    "LessThan": "less",
    "LessThanOrEqual": "less_equal",
    "In": "is_in",
}


class BlobdeltaSource(DataSource):
    """See the module's text."""

    @classmethod
    def name(cls) -> str:
        return "blobdelta"

    def schema(self) -> spark_types.StructType:
        options = Options.of(self.options)
        return Shape(options, options.chains()).schema

    def reader(self, schema: spark_types.StructType) -> BlobdeltaReader:
        return BlobdeltaReader(Options.of(self.options))

    def streamReader(self, schema: spark_types.StructType) -> BlobdeltaStream:
        return BlobdeltaStream(Options.of(self.options), schema)


class BlobdeltaReader(DataSourceReader):
    """A read that ends."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.pushed: list[Pushed] = []

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:
        """Takes comparisons of the key and of `DeltaModifiedOn`. Spark looks at them again."""
        shape = Shape(self.options, self.options.chains())
        ours = {shape.scans[0].key_column, plan.MODIFIED_ON, plan.MODIFIED_TICKS}
        for one in filters:
            comparison = _COMPARED.get(type(one).__name__)
            if comparison and len(one.attribute) == 1 and one.attribute[0] in ours & set(shape.arrow.names):
                value = list(one.value) if comparison == "is_in" else one.value
                self.pushed.append((comparison, one.attribute[0], value))
        return filters

    def partitions(self) -> Sequence[InputPartition]:
        chains = self.options.chains()
        self.options.look_deep(member for one in chains for member in one.members)
        return Shape(self.options, chains).tasks()

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, PartTask)
        return partition.batches(self.pushed)


def latest(changes: DataFrame, key: str) -> DataFrame:
    """The latest row of each key of a frame of mode `changes`, by a shuffle: for more keys than one machine can order.

    The rules are those of section 5 of manifests/FORMAT.md, also for several chains (`DeltaScope`).
    """
    scopes = [row[0] for row in changes.select(SCOPE).distinct().collect()]
    is_deleted = f.col(plan.REASON) == "Deleted"
    every = f.array(*[f.lit(scope) for scope in scopes]) if scopes else f.array().cast("array<string>")
    own = f.when(is_deleted, every).otherwise(f.array(f.col(SCOPE)))
    spread = changes.withColumn("_delta_chain", f.explode(own))
    stamp: SparkColumn = f.col(plan.MODIFIED_TICKS).desc_nulls_last()
    run = [f.col(plan.RUN_STARTED_TICKS).desc(), f.col(plan.RUN_ID).desc()]
    deletes = f.coalesce(is_deleted, f.lit(False)).desc()
    of_chain = Window.partitionBy(key, "_delta_chain").orderBy(stamp, deletes, *run, f.col(plan.REASON).isNotNull().desc())
    of_key = Window.partitionBy(key).orderBy(stamp, *run)
    best = spread.withColumn("_delta_place", f.row_number().over(of_chain)).where("_delta_place = 1")
    rows = best.where(f.col(plan.REASON).isNull()).withColumn("_delta_place", f.row_number().over(of_key))
    return rows.where("_delta_place = 1").drop("_delta_place", "_delta_chain", plan.REASON)
