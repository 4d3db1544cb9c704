"""What the rows of a table say of each other: one row a key, every parent there or listed as absent, a parent above its child.

Keys are held in a temporary database of SQLite, so memory does not grow with the number of rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from .keys import plain, shown, sort_key
from .manifest import TableInfo
from .plan import ABSENT_PARENT_KEY, CHILD_KEY, DEPTH, PARENT_KEY
from .report import Report

_MOST = 200
_TABLES = """
CREATE TABLE row (key PRIMARY KEY, depth, parent, has_parent, file) WITHOUT ROWID;
CREATE TABLE twice (key, file);
CREATE TABLE absent (child, parent, file);
"""
_INDEXES = "CREATE INDEX by_child ON absent (child); CREATE INDEX by_parent ON absent (parent); ANALYZE;"
#: Kind, what is said of it, and a query of key, other key and file.
_QUESTIONS = (
    ("duplicate_key", "the key {0} comes twice", "SELECT key, NULL, file FROM twice"),
    (
        "wrong_absent_parent",
        "parent {0} is listed as absent, and is there",
        "SELECT key, NULL, row.file FROM row WHERE key IN (SELECT parent FROM absent)",
    ),
    (
        "missing_parent",
        "key {0} has a parent that is neither in the bundle nor listed as absent",
        "SELECT key, NULL, file FROM row WHERE parent IS NULL AND has_parent AND key NOT IN (SELECT child FROM absent)",
    ),
    (
        "missing_parent",
        "parent {1} of key {0} is neither in the bundle nor listed as absent",
        """SELECT min(child.key), child.parent, NULL FROM row child LEFT JOIN row parent ON parent.key = child.parent
        WHERE child.parent IS NOT NULL AND parent.key IS NULL
            AND NOT EXISTS (SELECT 1 FROM absent WHERE absent.parent = child.parent)
        GROUP BY child.parent""",
    ),
    (
        "wrong_depth",
        "key {0} is not deeper than its parent {1}",
        """SELECT child.key, parent.key, NULL FROM row child JOIN row parent ON parent.key = child.parent
        WHERE parent.depth >= child.depth""",
    ),
    (
        "wrong_absent_parent",
        "key {0} is listed as without parent, and is not there",
        "SELECT child, NULL, NULL FROM absent WHERE child NOT IN (SELECT key FROM row)",
    ),
)


class Closure:
    """See the module's text. First the absent parents, then the rows, then `finish`."""

    def __init__(self, table: TableInfo, report: Report) -> None:
        self._table, self._report = table, report
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript("PRAGMA cache_size = -16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        self._database.execute("BEGIN")
        self._last: Any = None
        self._sort_key = sort_key(table)

    def absent(self, batch: pa.RecordBatch, file: str) -> None:
        """Takes the next absent parents, in order."""
        children, parents = plain(batch.column(CHILD_KEY)), plain(batch.column(ABSENT_PARENT_KEY))
        for child in children:
            place = self._sort_key(child)
            if self._last is not None and self._last >= place:
                detail = f"the absent parent of key {shown(child, self._table.key.sql_type)} does not stand after the one before it"
                self._report.add("out_of_order", file, detail)
            self._last = place
        rows = ((child, parent, file) for child, parent in zip(children, parents, strict=True))
        self._database.executemany("INSERT INTO absent VALUES (?, ?, ?)", rows)

    def rows(self, batch: pa.RecordBatch, file: str) -> bool:
        """Takes the next rows. False if one of them has no key or depth."""
        keys, depths = plain(batch.column(self._table.key_column)), plain(batch.column(DEPTH))
        parents = plain(batch.column(PARENT_KEY))
        path = self._table.parent_path_column
        has_parent = batch.column(path).is_valid().to_pylist() if path else [False] * len(keys)
        if None in keys or None in depths or not all(map(self._is_key, parents + keys)):
            return False
        for row in zip(keys, depths, parents, has_parent, strict=True):
            if not self._database.execute("INSERT OR IGNORE INTO row VALUES (?, ?, ?, ?, ?)", (*row, file)).rowcount:
                self._database.execute("INSERT INTO twice VALUES (?, ?)", (row[0], file))
        return True

    def _is_key(self, key: Any) -> bool:
        kind = self._table.key.sql_type
        return kind.name != "binary" or key is None or len(key) == kind.length

    def finish(self) -> None:
        """Says what is wrong."""
        self._database.execute("COMMIT")
        self._database.executescript(_INDEXES)
        show = partial(shown, sql_type=self._table.key.sql_type)
        for kind, text, query in _QUESTIONS:
            for key, other, file in self._few(query):
                self._report.add(kind, file or self._table.data_path, text.format(show(key), show(other)))
        self._database.close()

    def _few(self, query: str) -> Iterable[tuple[Any, Any, str | None]]:
        found: Iterator[tuple[Any, Any, str | None]] = self._database.execute(f"{query} LIMIT {_MOST}")
        return found
