"""Arrow's types as Spark's, and batches in them: UUIDs as text, times of day as microseconds with ticks beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import types as spark

from .keys import shown

_PLAIN: dict[pa.DataType, spark.DataType] = {
    pa.bool_(): spark.BooleanType(),
    # Spark has no unsigned types.
    pa.uint8(): spark.ShortType(),
    pa.int16(): spark.ShortType(),
    pa.int32(): spark.IntegerType(),
    pa.int64(): spark.LongType(),
    pa.float32(): spark.FloatType(),
    pa.float64(): spark.DoubleType(),
    pa.string(): spark.StringType(),
    pa.binary(): spark.BinaryType(),
    pa.binary(32): spark.BinaryType(),
    pa.uuid(): spark.StringType(),
    pa.date32(): spark.DateType(),
    pa.timestamp("us"): spark.TimestampNTZType(),
    pa.timestamp("us", tz="UTC"): spark.TimestampType(),
}


def spark_schema(schema: pa.Schema) -> spark.StructType:
    """The schema of the frame. A time of day is microseconds since midnight, and `<name>__ticks` units of 100 ns."""
    fields = []
    for field in schema:
        if pa.types.is_time64(field.type):
            fields += [spark.StructField(field.name, spark.LongType()), spark.StructField(f"{field.name}__ticks", spark.LongType())]
        elif pa.types.is_decimal128(field.type):
            fields.append(spark.StructField(field.name, spark.DecimalType(field.type.precision, field.type.scale)))
        else:
            fields.append(spark.StructField(field.name, _PLAIN[field.type]))
    return spark.StructType(fields)


def spark_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with the columns of `spark_schema`."""
    names: list[str] = []
    arrays: list[pa.Array] = []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        names.append(field.name)
        if pa.types.is_time64(field.type):
            nanos = array.cast(pa.int64())
            arrays += [pc.divide(nanos, 1000), pc.divide(nanos, 100)]
            names.append(f"{field.name}__ticks")
        elif field.type == pa.uuid():
            arrays.append(pa.array([None if key is None else shown(key) for key in array.storage.to_pylist()], pa.string()))
        elif field.type == pa.uint8():
            arrays.append(array.cast(pa.int16()))
        elif field.type == pa.binary(32):
            arrays.append(array.cast(pa.binary()))
        else:
            arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=names)


#: A filter that Spark handed down: a comparison of `pyarrow.compute`, a column, and a value (a list for `is_in`).
Pushed = tuple[str, str, Any]


def filtered(batch: pa.RecordBatch, pushed: Sequence[Pushed]) -> pa.RecordBatch:
    """The rows for which all of the filters hold."""
    for name, column, value in pushed:
        array = batch.column(column)
        if name == "is_in":
            mask = pc.is_in(array, value_set=pa.array(value, array.type))
        else:
            mask = getattr(pc, name)(array, pa.scalar(value, array.type))
        batch = batch.filter(pc.fill_null(mask, False))
    return batch
