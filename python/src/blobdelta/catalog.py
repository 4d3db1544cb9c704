"""[`Catalog`]: heads of bundles that were checked before, so that a listing in which nothing changed costs nothing but itself.

A published bundle never changes. What is remembered of one at a URL is its root digest and manifest, under its place and the
version that the store gives of its marker (its ETag). If that is another one, the bundle is read again. The file is the user's own,
and is believed as such: keep it where nobody else writes.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterable

_TABLE = """
CREATE TABLE IF NOT EXISTS head (place PRIMARY KEY, version NOT NULL, root NOT NULL, manifest NOT NULL) WITHOUT ROWID
"""


class Catalog:
    """See the module's text. A file of SQLite; about 1 KB for each bundle. Several processes may use it at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = sqlite3.connect(os.fspath(path), isolation_level=None, timeout=60, check_same_thread=False)
        self._database.execute(_TABLE)

    def get(self, place: str, version: str) -> tuple[str, bytes] | None:
        """Root digest and manifest of a bundle, if it was checked in this version."""
        found = self._database.execute(
            "SELECT root, manifest FROM head WHERE place = ? AND version = ?", (place, version)
        ).fetchone()
        return None if found is None else (found[0], zlib.decompress(found[1]))

    def put_all(self, heads: Iterable[tuple[str, str, str, bytes]]) -> None:
        """Remembers bundles that were checked: place, version, root digest, manifest."""
        rows = ((place, version, root, zlib.compress(manifest)) for place, version, root, manifest in heads)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?)", rows)
        self._database.execute("COMMIT")

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
