"""The T-SQL text that makes the table of a manifest. Somebody runs it with their own rights, so it may do nothing else."""

from __future__ import annotations

import re

from .errors import Wrong
from .manifest import Column, TableInfo
from .names import fold, parse_table
from .plan import DATETIME2, RUN_ID, RUN_STARTED_AT, UNIQUEIDENTIFIER, plain

_COLLATION = re.compile(r"[A-Za-z0-9_]+")
_COLLATED = frozenset(("char", "varchar", "nchar", "nvarchar", "text", "ntext"))
_RUN = (plain(RUN_STARTED_AT, DATETIME2), plain(RUN_ID, UNIQUEIDENTIFIER))


def makes(text: bytes, table: TableInfo) -> bool:
    """Whether a text is the statement that makes the table; the lines of the run's columns may be lacking.

    `Wrong` if a collation is no name of one.
    """
    due = create_table(table)
    without = due
    for column in _RUN:
        without = without.replace(f",\n{_line(column)}", "")
    return text in (due.encode(), without.encode())


def create_table(table: TableInfo) -> str:
    """The statement."""
    names = {fold(column.name) for column in table.columns}
    run = [column for column in _RUN if fold(column.name) not in names]
    lines = [_line(column) for column in (*table.columns, *run)]
    if any(column.name == table.key_column and not column.nullable for column in table.columns):
        lines.append(f"    PRIMARY KEY NONCLUSTERED ({_quote(table.key_column)})")
    _, schema, name = parse_table(table.target)
    body = ",\n".join(lines)
    return f"CREATE TABLE {_quote(schema)}.{_quote(name)} (\n{body}\n);\n"


def _line(column: Column) -> str:
    kind, collation = column.sql_type, ""
    if column.collation is not None:
        if not _COLLATION.fullmatch(column.collation):
            raise Wrong(f"{column.collation[:80]!r} is not the name of a collation, column {column.name}", "wrong_schema")
        if kind.name in _COLLATED:
            collation = f" COLLATE {column.collation}"
    declared = "binary(8)" if kind.name == "rowversion" else str(kind)
    return f"    {_quote(column.name)} {declared}{collation} {'NULL' if column.nullable else 'NOT NULL'}"


def _quote(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"
