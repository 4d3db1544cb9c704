"""The columns of several bundles of a table together, and the rows of one of them in their shape."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from .errors import Wrong
from .manifest import Column
from .names import fold
from .plan import fields_of, with_companions
from .sqltype import SqlType
from .times import EPOCH_TICKS


def union(shapes: Sequence[Sequence[Column]]) -> list[Column]:
    """The columns that take the rows of all these shapes, oldest first: those of the last, then what only earlier ones have.

    A column that one of them lacks takes NULL. `Wrong` for a column of two types of which neither takes every value of the other.
    """
    names = [{fold(column.name) for column in shape} for shape in shapes]
    found: dict[str, Column] = {}
    for column in (column for shape in reversed(shapes) for column in shape):
        name = fold(column.name)
        there = found.get(name)
        if there is None:
            found[name] = replace(column, nullable=column.nullable or any(name not in shape for shape in names))
            continue
        found[name] = replace(
            there,
            sql_type=_wider(there, column),
            nullable=there.nullable or column.nullable,
            computed=there.computed or column.computed,
        )
    return with_companions(found.values())


def _wider(later: Column, earlier: Column) -> SqlType:
    for one, other in ((later.sql_type, earlier.sql_type), (earlier.sql_type, later.sql_type)):
        if one.promotes(other):
            return one
    what = f"the column {later.name} was a {earlier.sql_type} and is a {later.sql_type}"
    raise Wrong(f"{what}, and neither takes every value of the other")


def adapt(batch: pa.RecordBatch, there: Sequence[Column], wanted: Sequence[Column]) -> pa.RecordBatch:
    """A batch with the fields of the wanted columns. It has those of `there` that are wanted (others may be left out). A column
    that it lacks is NULL; a narrower type is widened."""
    by_name = {fold(column.name): column for column in there}
    arrays: list[pa.Array] = []
    fields: list[pa.Field] = []
    for column in wanted:
        due = fields_of(column)
        fields.extend(field.with_nullable(True) for field in due)
        own = by_name.get(fold(column.name))
        if own is None:
            arrays.extend(pa.nulls(batch.num_rows, field.type) for field in due)
        else:
            arrays.extend(_column(batch, own, column))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _column(batch: pa.RecordBatch, own: Column, column: Column) -> list[pa.Array]:
    """The value in the wider type, then what stands beside it."""
    values = batch.column(own.name)
    wide = _widened(values, own.sql_type, column.sql_type)
    beside: list[pa.Array] = [wide]
    if column.ticks is not None:
        beside.append(batch.column(own.ticks) if own.ticks else pc.add(pc.multiply(values.cast(pa.int64()), 10), EPOCH_TICKS))
    if column.offset is not None:
        beside.append(batch.column(own.offset))
    if column.content_sha256 is not None:
        beside.append(batch.column(own.content_sha256) if own.content_sha256 else _hashes(values))
    if column.blob_ref is not None:
        beside.append(batch.column(own.blob_ref) if own.blob_ref else pa.nulls(batch.num_rows, pa.string()))
    return beside


def _widened(values: pa.Array, own: SqlType, wide: SqlType) -> pa.Array:
    if values.type == wide.arrow:
        return values
    if wide.name == "decimal" and own.name in ("tinyint", "smallint", "int", "bigint"):
        return values.cast(pa.decimal128(38, 0)).cast(wide.arrow)
    return values.cast(wide.arrow)


def _hashes(values: pa.Array) -> pa.Array:
    found = [hashlib.sha256(value.as_buffer()).digest() if value.is_valid else None for value in values]
    return pa.array(found, pa.binary(32))
