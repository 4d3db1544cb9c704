"""Whether the cells of a batch are values that their columns can have; a column at a time."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from .errors import Wrong
from .manifest import Column
from .plan import REASON
from .sqltype import SqlType, parse_type
from .times import EPOCH_TICKS, MAX_TICKS

_DAY_NANOS = 86_400_000_000_000
_MAX_OFFSET_MINUTES = 14 * 60
_LEAST_MICROS, _MOST_MICROS = -EPOCH_TICKS // 10, (MAX_TICKS - EPOCH_TICKS) // 10
_DAYS_OF = datetime.date(1970, 1, 1).toordinal()
_LEAST_DAY, _MOST_DAY = 1 - _DAYS_OF, datetime.date.max.toordinal() - _DAYS_OF
#: Base types that a sql_variant cannot have.
_NO_BASES = frozenset(["text", "ntext", "xml", "image", "rowversion", "hierarchyid", "geography", "geometry", "sql_variant"])


def bad_rows(columns: list[Column], batch: pa.RecordBatch) -> dict[int, str]:
    """The rows with a cell that their column cannot have, and why, of all columns whose fields the batch has."""
    found: dict[int, str] = {}
    for column in columns:
        for mask, why in _masks(column, batch):
            if pc.any(mask).as_py():
                for row in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist():
                    found.setdefault(row, f"a value does not fit its column: {why}, column {column.name}")
    return found


def _masks(column: Column, batch: pa.RecordBatch) -> Iterator[tuple[pa.Array, str]]:
    """Arrays that are true where a cell is wrong; null is not wrong."""
    values = batch.column(column.name)
    is_null = pc.is_null(values)
    if column.blob_ref is not None:
        is_null = pc.and_(is_null, pc.is_null(batch.column(column.blob_ref)))
    if not column.nullable:
        yield is_null, "NULL in a column that does not take it"
    kind = column.sql_type
    no_value = f"it is no value of {kind}"
    try:
        values.validate(full=True)
    except pa.ArrowInvalid as error:
        yield pa.array([True] + [False] * (len(values) - 1)), str(error)[:200]
        return
    for mask in _of_kind(kind, values):
        yield mask, no_value
    if column.is_key and kind.name == "binary":
        yield pc.not_equal(pc.binary_length(values), kind.length), f"it is no {kind}, as keys are"
    is_there = pc.is_valid(values)
    if column.ticks is not None:
        ticks = batch.column(column.ticks)
        yield pc.and_(is_there, pc.is_null(ticks)), no_value
        # Rounded down: 10 micros <= ticks since 1970 < 10 micros + 10.
        since = pc.subtract(ticks, EPOCH_TICKS)
        least = pc.multiply(values.cast(pa.int64()), 10)
        yield pc.and_(is_there, pc.or_(pc.less(since, least), pc.greater_equal(since, pc.add(least, 10)))), no_value
        yield pc.and_(is_there, _outside(ticks, 0, MAX_TICKS)), no_value
    if column.offset is not None:
        offset = batch.column(column.offset)
        yield pc.and_(is_there, pc.is_null(offset)), no_value
        yield pc.and_(is_there, _outside(offset, -_MAX_OFFSET_MINUTES, _MAX_OFFSET_MINUTES)), no_value
    if column.name == REASON:
        known = pc.is_in(values, value_set=pa.array(["Deleted", "LeftScope"]))
        yield pc.and_(is_there, pc.invert(known)), "neither Deleted nor LeftScope"


def _of_kind(kind: SqlType, values: pa.Array) -> Iterator[pa.Array]:
    name = kind.name
    if name in ("money", "smallmoney"):
        bits = 63 if name == "money" else 31
        yield _outside(values.cast(pa.decimal128(38, 4)), Decimal(-(1 << bits)) / 10_000, Decimal((1 << bits) - 1) / 10_000)
    elif kind.is_text:
        yield from _texts(kind, values)
    elif kind.is_binary:
        length = pc.binary_length(values)
        if name in ("binary", "varbinary") and kind.length is not None:
            yield pc.greater(length, kind.length)
        elif name == "rowversion":
            yield pc.not_equal(length, 8)
        elif name == "hierarchyid":
            yield pc.greater(length, 892)
    elif name == "date":
        yield _outside(values.cast(pa.int32()), _LEAST_DAY, _MOST_DAY)
    elif name == "time":
        nanos = values.cast(pa.int64())
        yield _outside(nanos, 0, _DAY_NANOS - 1)
        yield _has_more_than(nanos, 100 * 10 ** (7 - (kind.scale or 0)))
    elif name in ("datetime2", "datetime", "smalldatetime", "datetimeoffset"):
        micros = values.cast(pa.int64())
        yield _outside(micros, _LEAST_MICROS, _MOST_MICROS)
        if kind.scale is not None and kind.scale < 6:
            yield _has_more_than(micros, 10 ** (6 - kind.scale))


def _texts(kind: SqlType, values: pa.Array) -> Iterator[pa.Array]:
    if kind.name == "sql_variant":
        yield _mask_of(values, lambda text: not _is_variant(text))
    elif kind.length is not None:
        most = kind.length
        yield pc.greater(pc.utf8_length(values), most)
        if kind.name in ("nchar", "nvarchar"):
            # Only a text that is longer than half of it can have more UTF-16 units than characters fit.
            suspects = pc.greater(pc.binary_length(values), most)
            if pc.any(suspects).as_py():
                yield _mask_of(values, lambda text: len(text.encode("utf-16-le")) // 2 > most)


def _mask_of(values: pa.Array, is_wrong: Callable[[str], bool]) -> pa.Array:
    return pa.array([text is not None and is_wrong(text) for text in values.to_pylist()], pa.bool_())


def _is_variant(text: str) -> bool:
    """Whether there is a base type, and for a text maybe a collation, before the colon. The value behind it is not looked at."""
    head, colon, _ = text.partition(":")
    declaration, _, collation = head.partition(" collate ")
    try:
        base = parse_type(declaration)
    except Wrong:
        return False
    is_name = collation.replace("_", "a").isalnum() and collation.isascii() and base.is_text if collation else True
    return bool(colon) and base.name not in _NO_BASES and not base.is_large and is_name


def _outside(values: pa.Array, least: object, most: object) -> pa.Array:
    kind = values.type
    return pc.or_(pc.less(values, pa.scalar(least, kind)), pc.greater(values, pa.scalar(most, kind)))


def _has_more_than(values: pa.Array, unit: int) -> pa.Array:
    """Whether a number is no multiple of a unit."""
    return pc.not_equal(values, pc.multiply(pc.divide(values, unit), unit))
