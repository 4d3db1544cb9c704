"""Which Arrow fields the columns of a table are: the schema that a part has to have (manifests/FORMAT.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pyarrow as pa

from .errors import Wrong
from .layout import Role
from .manifest import Column, TableInfo
from .sqltype import SqlType

SQL_TYPE_KEY = b"blobdelta.sql_type"
MODIFIED_ON = "DeltaModifiedOn"
MODIFIED_TICKS = "DeltaModifiedOn__ticks"
RUN_STARTED_AT = "DeltaRunStartedAt"
RUN_STARTED_TICKS = "DeltaRunStartedAt__ticks"
RUN_ID = "DeltaRunId"
REASON = "DeltaReason"
BUSINESS_UNIT = "DeltaBusinessUnit"
STEP = "DeltaStep"
DEPTH = "DeltaDepth"
EARLY = "DeltaEarly"
PARENT_KEY = "DeltaParentKey"
CHILD_KEY = "ChildKey"
ABSENT_PARENT_KEY = "ParentKey"

DATETIME2 = SqlType("datetime2", scale=7)
UNIQUEIDENTIFIER = SqlType("uniqueidentifier")


def plain(name: str, sql_type: SqlType, nullable: bool = True) -> Column:
    """A column that the manifest does not list."""
    return Column(name, sql_type, nullable, computed=False, collation=None)


def with_companions(columns: Iterable[Column]) -> list[Column]:
    """The columns with the names of the fields that their types have beside them."""
    columns = list(columns)
    blobs = sum(column.sql_type.is_blob for column in columns)
    large = sum(column.sql_type.is_large for column in columns)
    found = []
    for column in columns:
        sql_type, name = column.sql_type, column.name
        is_exact = sql_type.name in ("datetime2", "datetimeoffset") and sql_type.scale == 7
        sha = "DeltaContentSha256" if blobs == 1 else f"DeltaContentSha256_{name}"
        reference = "DeltaBlobRef" if large == 1 else f"DeltaBlobRef_{name}"
        found.append(
            replace(
                column,
                ticks=f"{name}__ticks" if is_exact else None,
                offset=f"{name}__offset" if sql_type.name == "datetimeoffset" else None,
                content_sha256=sha if sql_type.is_blob else None,
                blob_ref=reference if sql_type.is_large else None,
            )
        )
    return found


def columns_of(table: TableInfo, role: Role) -> list[Column]:
    """The columns of a table's parts of a role, in order, the run's included."""
    key = table.key
    run = [plain(RUN_STARTED_AT, DATETIME2, False), plain(RUN_ID, UNIQUEIDENTIFIER, False)]
    if role == "rows":
        columns = [*table.columns, *run]
    elif role == "tombstones":
        own = [
            plain(MODIFIED_ON, DATETIME2, False),
            plain(BUSINESS_UNIT, UNIQUEIDENTIFIER),
            plain(REASON, SqlType("nvarchar", length=20), False),
        ]
        columns = [plain(key.name, key.sql_type, False), *own, *run]
    else:
        columns = [plain(CHILD_KEY, key.sql_type, False), plain(ABSENT_PARENT_KEY, key.sql_type)]
    names = (key.name, PARENT_KEY) if role == "rows" else (key.name,) if role == "tombstones" else (CHILD_KEY, ABSENT_PARENT_KEY)
    return with_companions(replace(column, is_key=column.name in names) for column in columns)


def fields_of(column: Column) -> list[pa.Field]:
    """The fields of a column: its value, then what stands beside it."""
    sql_type = column.sql_type
    nullable = column.nullable or sql_type.is_large
    metadata = {SQL_TYPE_KEY: str(sql_type).encode()}
    found = [pa.field(column.name, sql_type.arrow, nullable, metadata)]
    beside = (
        (column.ticks, pa.int64(), nullable),
        (column.offset, pa.int16(), nullable),
        (column.content_sha256, pa.binary(32), nullable),
        (column.blob_ref, pa.string(), True),
    )
    found.extend(pa.field(name, kind, null) for name, kind, null in beside if name is not None)
    return found


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The schema of these columns; `Wrong` if two fields have one name, in any case."""
    fields = [field for column in columns for field in fields_of(column)]
    seen = set()
    for field in fields:
        if field.name.lower() in seen:
            raise Wrong(f"two fields have the name {field.name}", "bad_manifest")
        seen.add(field.name.lower())
    return pa.schema(fields)


def check_schema(found: pa.Schema, due: pa.Schema) -> None:
    """`Wrong` unless a part's schema is the one that the manifest says: names, types and order; T-SQL types if it says any."""
    if len(found) != len(due):
        raise Wrong(f"the file has {len(found)} columns where the manifest's columns make {len(due)}")
    if found.metadata:
        raise Wrong(f"the file says {min(found.metadata)[:100]!r} of itself, which no part does")
    for one, wanted in zip(found, due, strict=True):
        said = {name: value for name, value in (one.metadata or {}).items() if name != b"PARQUET:field_id"}
        if one.name != wanted.name or one.type != wanted.type or (said and said != (wanted.metadata or {})):
            what = f"the file has {one.name[:128]} {one.type} where the manifest says {wanted.name} {wanted.type}"
            raise Wrong(f"{what}, column {wanted.name}")
