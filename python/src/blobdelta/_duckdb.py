"""`blobdelta.duckdb`: bundles as views of DuckDB."""

from __future__ import annotations

import contextlib
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from . import plan
from ._chain import Chain, chain
from .frame import Trust
from .held import Held
from .layout import known_reference
from .manifest import Column
from .names import fold, parse_table
from .parts import checked_opener, dataset
from .places import Places
from .scan import PartPlace, TableScan, chains_of_table, scan
from .times import EPOCH_TICKS

if TYPE_CHECKING:
    import duckdb as engine

_TYPES: dict[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.uint8(): "UTINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.binary(32): "BLOB",
    pa.uuid(): "UUID",
    pa.date32(): "DATE",
    pa.time64("ns"): "TIME_NS",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}
_CHAIN, _DELETED, _TOMBSTONE = "_delta_chain", "_delta_deleted", "_delta_tombstone"
_LATEST = """
CREATE OR REPLACE TEMP VIEW {name} AS
WITH versions AS (
    SELECT {columns}, {chain}, false AS {tombstone}, false AS {deleted} FROM {rows}
    UNION ALL BY NAME
    SELECT {tombstone_key} AS {key}, {ranks}, {chain}, true AS {tombstone}, false AS {deleted} FROM {tombstones}
    WHERE "DeltaReason" = 'LeftScope'
    UNION ALL BY NAME
    SELECT {tombstone_key} AS {key}, {ranks}, every.{chain}, true AS {tombstone}, true AS {deleted}
    FROM {tombstones} AS one, (SELECT unnest(range({chains})) AS {chain}) AS every WHERE "DeltaReason" = 'Deleted'
), of_chain AS (
    SELECT * FROM versions
    QUALIFY row_number() OVER (
        PARTITION BY {key}, {chain}
        ORDER BY {stamp} DESC NULLS LAST, {deleted} DESC, {started} DESC, {run} DESC, {tombstone} DESC
    ) = 1
)
SELECT {filled} FROM of_chain WHERE NOT {tombstone}
QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {stamp} DESC NULLS LAST, {started} DESC, {run} DESC) = 1
"""


def duckdb(
    connection: engine.DuckDBPyConnection,
    places: Places,
    *,
    blobs: bool = False,
    allow_gap: bool = False,
    trust: Trust | None = None,
    storage_options: dict[str, Any] | None = None,
) -> list[str]:
    """Registers three temporary views for each table, and gives their names: `<Table>_rows`, `<Table>_latest`,
    `<Table>_tombstones`, with the last part of the table's name (the whole name if two tables share that).

    Manifests are read now; a part is hashed and read when a query needs it, and only the columns that it needs. Values of large
    columns are in the views only with `blobs`, also those that bundles leave out.
    Errors are those of `blobdelta.latest`; a wrong part fails the query.
    """
    survey = chain(places, trust=trust, storage_options=storage_options)
    for _, error in survey.broken:
        raise error
    by_table: dict[str, list[Chain]] = defaultdict(list)
    for one in survey.chains:
        by_table[fold(one.table)].append(one)
    lasts = [fold(parse_table(chains[0].table)[2]) for chains in by_table.values()]
    views = []
    for chains in by_table.values():
        name = chains[0].table
        last = parse_table(name)[2]
        whole = chains_of_table(survey, name, allow_gap=allow_gap)
        views += _views(connection, last if lasts.count(fold(last)) == 1 else name, whole, blobs)
    return views


def _views(connection: engine.DuckDBPyConnection, name: str, chains: Sequence[Chain], blobs: bool) -> list[str]:
    rows, tombstones = scan(chains, "rows"), scan(chains, "tombstones")
    fields = rows.fields([field for column in rows.columns for field in column.fields] if blobs else None)
    all_rows, all_tombstones = f"_{name}_all_rows", f"_{name}_all_tombstones"
    _union(connection, all_rows, rows)
    _union(connection, all_tombstones, tombstones)
    views = [f"{name}_{kind}" for kind in ("rows", "latest", "tombstones")]
    columns = ", ".join(map(_quote, fields))
    ranks = [plan.MODIFIED_TICKS, plan.RUN_STARTED_TICKS, plan.RUN_ID]
    filled = _filled(connection, name, Held(chains, rows), fields)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {_quote(views[0])} AS SELECT {filled} FROM {_quote(all_rows)}")
    connection.execute(
        _LATEST.format(
            name=_quote(views[1]),
            rows=_quote(all_rows),
            tombstones=_quote(all_tombstones),
            columns=columns,
            filled=filled,
            key=_quote(_named(rows, rows.key_column)),
            tombstone_key=_quote(tombstones.columns[0].name),
            ranks=", ".join(map(_quote, ranks)),
            stamp=_quote(ranks[0]),
            started=_quote(ranks[1]),
            run=_quote(ranks[2]),
            chain=_CHAIN,
            tombstone=_TOMBSTONE,
            deleted=_DELETED,
            chains=len(chains),
        )
    )
    own = ", ".join(_quote(field) for field in tombstones.fields())
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {_quote(views[2])} AS SELECT {own} FROM {_quote(all_tombstones)}")
    return views


def _filled(connection: engine.DuckDBPyConnection, name: str, held: Held, fields: Sequence[str]) -> str:
    """The fields, those values that bundles leave out by a function that takes them from their holders."""
    may_lack = any(member.table.known_content for chain in held.chains for member in chain.members)
    key = next(column for column in held.rows.columns if column.name == _named(held.rows, held.rows.key_column))
    is_binary = key.sql_type.name == "binary"
    as_text = f"hex({_quote(key.name)})" if is_binary else f"CAST({_quote(key.name)} AS VARCHAR)"
    found = {field: _quote(field) for field in fields}
    for column in held.columns if may_lack else ():
        if column.name not in found or not column.content_sha256 or not column.blob_ref:
            continue
        function, value, reference = f"_{name}_held_{column.name}", _quote(column.name), _quote(column.blob_ref)
        with contextlib.suppress(Exception):  # of a call before this one; there may be none
            connection.remove_function(function)
        types: list[Any] = ["BIGINT", "VARCHAR", "BLOB", "VARCHAR"]
        create: Any = connection.create_function
        create(function, _taker(held, column, key), types, "BLOB", type="arrow", null_handling="special")
        taken = f"{_quote(function)}({_CHAIN}::BIGINT, {as_text}, {_quote(column.content_sha256)}, {reference})"
        found[column.name] = f"CASE WHEN {reference} LIKE 'known/%' THEN {taken} ELSE {value} END AS {value}"
    return ", ".join(found.values())


def _taker(held: Held, column: Column, key: Column) -> Callable[[pa.Array, pa.Array, pa.Array, pa.Array], pa.Array]:
    kind = key.sql_type.name
    parse: Callable[[str], Any] = {"uniqueidentifier": lambda text: uuid.UUID(text).bytes, "binary": bytes.fromhex}.get(kind, int)

    def take(chains: pa.Array, keys: pa.Array, sha256: pa.Array, references: pa.Array) -> pa.Array:
        found: dict[int, bytes | None] = {}
        by_chain: dict[int, dict[int, Any]] = defaultdict(dict)
        cells = zip(*(each.to_pylist() for each in (chains, keys, sha256, references)), strict=True)
        for row, (chain_nth, text, digest, reference) in enumerate(cells):
            if (known := known_reference(reference or "")) is not None:
                by_chain[chain_nth][row] = (parse(text), digest, known)
        for chain_nth, wanted in by_chain.items():
            found |= held.values(chain_nth, column, wanted)
        return pa.array([found.get(row) for row in range(len(keys))], pa.binary())

    return take


def _named(versions: TableScan, name: str) -> str:
    return versions.fields([name])[0]


def _union(connection: engine.DuckDBPyConnection, name: str, versions: TableScan) -> None:
    """A view of all parts: one dataset for each shape that parts of a chain have, each in the shape of all."""
    shapes: dict[tuple[int, str], list[PartPlace]] = defaultdict(list)
    for part in versions.parts:
        own = plan.schema_of(plan.columns_of(part.table, versions.role))
        shapes[part.chain, own.to_string(show_field_metadata=False)].append(part)
    selects = []
    for nth, ((chain_nth, _), parts) in enumerate(shapes.items()):
        columns = plan.columns_of(parts[0].table, versions.role)
        openers = {
            f"{at}/{part.file.path}": (part.file, checked_opener(part.bundle.place, part.table, part.bundle.open))
            for at, part in enumerate(parts)
        }
        registered = f"_{name}_{nth}"
        connection.register(registered, dataset(plan.schema_of(columns), openers))
        shaped = ", ".join(_expressions(columns, versions.columns))
        selects.append(f"SELECT {shaped}, {chain_nth} AS {_CHAIN} FROM {_quote(registered)}")
    if not selects:
        empty = (f"CAST(NULL AS {_type(field.type)}) AS {_quote(field.name)}" for field in _fields(versions.columns))
        selects.append(f"SELECT {', '.join(empty)}, 0 AS {_CHAIN} WHERE false")
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {_quote(name)} AS {' UNION ALL '.join(selects)}")


def _fields(columns: Sequence[Column]) -> list[pa.Field]:
    return [field for column in columns for field in plan.fields_of(column)]


def _expressions(own: Sequence[Column], wanted: Sequence[Column]) -> list[str]:
    by_name = {fold(column.name): column for column in own}
    found = []
    for column in wanted:
        there = by_name.get(fold(column.name))
        texts = _of_column(there, column)
        found += [f"{text} AS {_quote(field.name)}" for text, field in zip(texts, plan.fields_of(column), strict=True)]
    return found


def _of_column(own: Column | None, column: Column) -> list[str]:
    kinds = [_type(field.type) for field in plan.fields_of(column)]
    if own is None:
        return [f"CAST(NULL AS {kind})" for kind in kinds]
    value = _quote(own.name)
    is_same = own.sql_type.arrow == column.sql_type.arrow
    found = [value if is_same else f"CAST({value} AS {kinds[0]})"]
    if column.ticks:
        found.append(_quote(own.ticks) if own.ticks else f"epoch_us({value}) * 10 + {EPOCH_TICKS}")
    if column.offset and own.offset:
        found.append(_quote(own.offset))
    if column.content_sha256:
        found.append(_quote(own.content_sha256) if own.content_sha256 else f"unhex(sha256({value}))")
    if column.blob_ref:
        found.append(_quote(own.blob_ref) if own.blob_ref else "CAST(NULL AS VARCHAR)")
    return found


def _type(kind: pa.DataType) -> str:
    return f"DECIMAL({kind.precision},{kind.scale})" if pa.types.is_decimal128(kind) else _TYPES[kind]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
