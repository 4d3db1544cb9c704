"""[`Latest`]: the latest version of each key over many bundles (manifests/FORMAT.md, section 5), with deletions applied.

First the versions of all parts go into a temporary database of SQLite, which keeps the one that wins for each key and chain. Then
the rows that won are read from their parts. Memory does not grow with the number of rows; the temporary file has about 120 bytes
for each key.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from . import plan
from ._chain import Chain, chain
from .blobs import ValueStream
from .bundle import Key, LeftOut, Table, not_here, said
from .catalog import Catalog
from .errors import Finding, UsageError
from .frame import Trust
from .held import Held, holder_of
from .keys import plain, shown
from .places import Places
from .report import error_of
from .rows import check_version
from .scan import BUNDLE, MemberPart, PartPlace, TableScan, chains_of_table, scan, with_bundle

_VERSIONS = """
PRAGMA cache_size = -65536; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
CREATE TABLE version (
    key, chain, stamp, deleted, started, run, tombstone, part, row, PRIMARY KEY (key, chain)
) WITHOUT ROWID;
"""
#: The order of section 5; a NULL stamp is -1, which is less than any.
_UPSERT = """
INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key, chain) DO UPDATE SET stamp = excluded.stamp, deleted = excluded.deleted, started = excluded.started,
    run = excluded.run, tombstone = excluded.tombstone, part = excluded.part, row = excluded.row
WHERE (excluded.stamp, excluded.deleted, excluded.started, excluded.run, excluded.tombstone)
    > (version.stamp, version.deleted, version.started, version.run, version.tombstone)
"""
#: Of what is left of each chain, the greatest stamp wins.
_WINNERS = """
SELECT part, row FROM (
    SELECT part, row, row_number() OVER (PARTITION BY key ORDER BY stamp DESC, started DESC, run DESC) AS place
    FROM version WHERE NOT tombstone
) WHERE place = 1 ORDER BY part, row
"""
_WINNER_OF = """
SELECT part FROM version WHERE key = ? AND NOT tombstone ORDER BY stamp DESC, started DESC, run DESC LIMIT 1
"""


class Latest:
    """See the module's text. Make one with `blobdelta.latest`; close it, or use it in a `with`."""

    def __init__(self, chains: Sequence[Chain]) -> None:
        self.chains = list(chains)
        self._rows, self._tombstones = scan(chains, "rows"), scan(chains, "tombstones")
        self._held = Held(self.chains, self._rows)
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(_VERSIONS)
        self._database.execute("BEGIN")
        for nth, part in enumerate(self._rows.parts):
            self._take(self._rows, part, nth)
        for part in self._tombstones.parts:
            self._take(self._tombstones, part, -1)
        self._database.execute("COMMIT")

    def _take(self, versions: TableScan, part: MemberPart, nth: int) -> None:
        is_tombstone = versions.role == "tombstones"
        names = [versions.key_column, plan.MODIFIED_TICKS, plan.RUN_STARTED_TICKS, plan.RUN_ID]
        fields = versions.fields([*names, plan.REASON] if is_tombstone else names)
        row = 0
        manifest = part.member.bundle.manifest

        def say(kind: str, detail: str) -> None:
            raise error_of(part.bundle.place, Finding(kind, part.file.path, detail))

        for batch in versions.batches(part, fields):
            columns = [plain(column) for column in batch.columns]
            found: list[tuple[Any, ...]] = []
            for key, stamp, started, run, *reason in zip(*columns, strict=True):
                if key is None or started is None or run is None:
                    say("bad_row", "a row has no key or no run")
                check_version(manifest, part.table, (stamp, started, run), say)
                is_deleted = reason == ["Deleted"]
                if is_tombstone and not is_deleted and reason != ["LeftScope"]:
                    say("bad_row", f"the tombstone of key {shown(key, part.table.key.sql_type)} has no reason")
                version = (-1 if stamp is None else stamp, is_deleted, started, run, is_tombstone, nth, row)
                # A deletion competes in all chains; leaving a scope in its own.
                competes = range(len(self.chains)) if is_deleted else (part.chain,)
                found.extend((key, chain_nth, *version) for chain_nth in competes)
                row += 1
            self._database.executemany(_UPSERT, found)

    @property
    def fields(self) -> list[str]:
        """The fields that come if no columns are named: all but large values, and `DeltaBundle`."""
        return self._rows.fields()

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """The schema of `batches`."""
        return self._rows.schema(self._rows.fields(columns)).append(pa.field("DeltaBundle", pa.string()))

    def winners(self) -> Iterator[tuple[MemberPart, array[int]]]:
        """For each part that has any, the numbers of the rows that won, ascending, from 0."""
        rows, current = array("q"), -1
        for part, row in self._database.execute(_WINNERS):
            if part != current and rows:
                yield self._rows.parts[current], rows
                rows = array("q")
            current = part
            rows.append(row)
        if rows:
            yield self._rows.parts[current], rows

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The latest rows, in batches of about 4 MiB at most. Large values only if their column is named.

        A value over the inline limit is not in its column: see `blob`. A value that its bundle leaves out is filled in from the
        bundle that holds it; `UsageError` if that is not among the places. `DeltaBundle` says which bundle a row is from.
        """
        fields = self._rows.fields(columns)
        for part, rows in self.winners():
            for batch in rows_of(self._rows, part, rows, self._held.fields(part, fields)):
                yield from self._held.filled(part, batch, [*fields, BUNDLE])

    def reader(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """The same as a reader of Arrow."""
        return pa.RecordBatchReader.from_batches(self.schema(columns), self.batches(columns))

    def to_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The same as a table, all in memory."""
        return self.reader(columns).read_all()

    def blob(self, key: Key, column: str | None = None) -> ValueStream | None:
        """The large value of the latest row of a key; see `Table.blob`. `UsageError` if the key is not there, or deleted.

        A value that its bundle leaves out is taken from the bundle that holds it (manifests/FORMAT.md, section 4, "Known
        content"); `UsageError` if that is not among the places.
        """
        part = self._rows.parts[0]
        scalar = Table(part.member.bundle, part.table).key_scalar(key)
        winner = self._database.execute(_WINNER_OF, (plain(pa.array([scalar.as_py()], scalar.type))[0],)).fetchone()
        if winner is None:
            raise UsageError(f"there is no row with the key {said(key)}, or it was deleted")
        part = self._rows.parts[winner[0]]
        try:
            return Table(part.member.bundle, part.table).blob(key, column)
        except LeftOut as left_out:
            return self._left_out(self.chains[part.chain], key, left_out)

    def _left_out(self, chain: Chain, key: Key, left_out: LeftOut) -> ValueStream:
        """A value that was left out: from the bundle that holds it, or from one that this was compacted into."""
        root, size = left_out.known
        holder = holder_of(chain, root)
        if holder is None:
            raise not_here(chain.table, left_out.column, root, left_out.place)
        value = Table(holder.bundle, holder.table).blob(key, left_out.column)
        if value is None or (value.size, value.sha256) != (size, left_out.sha256):
            detail = f"key {said(key)}: the value of {left_out.column} is not the one that a later bundle leaves out"
            raise error_of(holder.bundle.place, Finding("bad_known_content", None, detail))
        return value

    def close(self) -> None:
        """Removes the temporary database."""
        self._database.close()

    def __enter__(self) -> Latest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rows_of(versions: TableScan, part: PartPlace, rows: Sequence[int], fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Some rows of a part, by their numbers, which ascend."""
    start, at = 0, 0
    for batch in versions.batches(part, fields):
        end = start + batch.num_rows
        first = at
        while at < len(rows) and rows[at] < end:
            at += 1
        if at > first:
            yield with_bundle(batch.take(pa.array([rows[nth] - start for nth in range(first, at)])), part)
        start = end


def latest(
    places: Places,
    table: str | None = None,
    *,
    allow_gap: bool = False,
    source: str | None = None,
    trust: Trust | None = None,
    storage_options: dict[str, Any] | None = None,
    catalog: Catalog | None = None,
) -> Latest:
    """The latest row of each key of a table over all bundles of `places`, across changes of its columns.

    `ChainError` if a bundle is missing between others or before the first, unless `allow_gap`;
    `BundleError` if one is wrong; `UsageError` for no
    table or several, or several sources.
    """
    survey = chain(places, trust=trust, storage_options=storage_options, catalog=catalog)
    return Latest(chains_of_table(survey, table, allow_gap=allow_gap, source=source))
