"""What holds of each row and tombstone of a table: values and their hashes, run, unit, window, order, counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from . import plan
from .cells import bad_rows
from .keys import path_key, plain, shown, sort_key
from .layout import known_reference, reference_sha256
from .manifest import Column, Manifest, TableInfo
from .report import Report
from .times import show_ticks

_EMPTY = hashlib.sha256(b"").digest()
_MISSING_PARENT = 2


@dataclass
class _Tally:
    steps: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    early: int = 0
    late: int = 0
    #: Values that are left out, and their bytes, by the bundle that holds them.
    known: dict[str, tuple[int, int]] = field(default_factory=dict)


class RowChecks:
    """Looks at the rows of a table, batch by batch, in order. `blobs` are the references of its values in `blob/`."""

    def __init__(self, manifest: Manifest, table: TableInfo, report: Report, blobs: set[str]) -> None:
        self.manifest, self.table, self.report = manifest, table, report
        self.unused, self.blobs = set(blobs), blobs
        self.columns = plan.columns_of(table, "rows")
        self._large = [column for column in self.columns if column.blob_ref is not None]
        self._hashed = [column for column in self.columns if column.content_sha256 is not None]
        self._sort_key, self._path_key = sort_key(table), path_key(table)
        self._last: tuple[Any, ...] | None = None
        self._tally = _Tally()
        self._known = {known.root_sha256 for known in table.known_content}

    def batch(self, batch: pa.RecordBatch, file: str) -> None:
        """Looks at the next rows."""
        self._references(batch, file)
        wrong = bad_rows(self.columns, batch)
        hashes = {column.name: _hashes(batch, column) for column in self._hashed}
        get = _Columns(batch)
        names = (self.table.key_column, plan.STEP, plan.DEPTH, plan.EARLY, plan.MODIFIED_TICKS, plan.BUSINESS_UNIT)
        keys, steps, depths, earlies, stamps, units = (get(name) for name in names)
        started, runs = get(plan.RUN_STARTED_TICKS), get(plan.RUN_ID)
        paths = get(self.table.path_column) if self.table.path_column else [None] * len(keys)
        for row, key in enumerate(keys):
            if row not in wrong and None in (steps[row], depths[row]):
                wrong[row] = "a Delta column is NULL"
            if row in wrong:
                shown_key = f", key {shown(key, self.table.key.sql_type)}" if key is not None else ""
                self.report.add("bad_row", file, f"{wrong[row]}{shown_key}")
                continue
            say = _Say(self.report, file, shown(key, self.table.key.sql_type))
            contents = {name: said[row] for name, (said, _) in hashes.items()}
            for name, (said, found) in hashes.items():
                if said[row] != found[row]:
                    one, other = (value.hex() if value else "none" for value in (said[row], found[row]))
                    say(
                        "wrong_content_hash",
                        f"column {name}: the hash that is said is {one}, that of the value {other}",
                    )
            self._left_out(batch, row, contents, say)
            self._unit(units[row], steps[row], contents, say)
            check_version(self.manifest, self.table, (stamps[row], started[row], runs[row]), say)
            self._window(steps[row], bool(earlies[row]), stamps[row], say)
            place = (depths[row], self._path_key(paths[row]), self._sort_key(key))
            if self._last is not None and self._last >= place:
                say("out_of_order", "the row does not stand after the row before it")
            self._last = place
        self.report.rows += batch.num_rows

    def _references(self, batch: pa.RecordBatch, file: str) -> None:
        for column in self._large:
            for reference in batch.column(column.blob_ref).to_pylist():
                if reference is None or (column.content_sha256 is not None and known_reference(reference)):
                    continue
                if reference in self.blobs:
                    self.unused.discard(reference)
                else:
                    self.report.add("bad_blob", file, f"a row names {reference[:80]!r}, which is not in the bundle")

    def _left_out(self, batch: pa.RecordBatch, row: int, contents: dict[str, bytes | None], say: _Say) -> None:
        """A value that is left out has a hash, and a bundle that the manifest names."""
        for column in self._hashed:
            reference = batch.column(column.blob_ref)[row].as_py()
            known = None if reference is None else known_reference(reference)
            if known is None:
                continue
            content = contents[column.name]
            wrong = ["is there"] if batch.column(column.name)[row].is_valid else []
            if content is None:
                wrong.append("its hash is not said")
            elif content == _EMPTY:
                wrong.append("its hash is that of an empty value")
            if known.root_sha256 not in self._known:
                wrong.append(f"the bundle {known.root_sha256} that holds it is not in the manifest")
            else:
                values, size = self._tally.known.get(known.root_sha256, (0, 0))
                self._tally.known[known.root_sha256] = (values + 1, size + known.bytes)
            for what in wrong:
                say("bad_known_content", f"column {column.name}: the value is left out, and {what}")

    def _unit(self, unit: bytes | None, step: int, contents: dict[str, bytes | None], say: _Say) -> None:
        scope = self.table.scope
        if scope == "all" or (unit is not None and shown(unit) == scope):
            return
        has_content = any(content not in (None, _EMPTY) for content in contents.values())
        if step != _MISSING_PARENT or has_content:
            whose = f"business unit {shown(unit)}" if unit else "no business unit"
            say("wrong_unit", f"it is of {whose}, in a bundle of business unit {scope}")

    def _window(self, step: int, is_early: bool, stamp: int | None, say: _Say) -> None:
        self._tally.steps[step if 1 <= step <= 3 else 0] += 1
        self._tally.early += is_early
        window, is_of_window = self.table.window, step != _MISSING_PARENT
        if is_early:
            is_right = stamp is not None and is_of_window and (self.manifest.is_compacted or stamp >= window.end)
        elif not is_of_window:
            is_right = True
        elif stamp is not None and stamp >= window.start:
            is_right = stamp < window.end
        else:
            # Before the window, or without a stamp: as many as came by name.
            self._tally.late += 1
            is_right = True
        if not is_right:
            at = "NULL" if stamp is None else show_ticks(stamp)
            say("outside_window", f"{at} is not where the window allows it")

    def finish(self) -> None:
        """Says where rows are not as many as the manifest counts, and which values no row names."""
        counts, tally, place = self.table.counts, self._tally, self.table.data_path
        due = (
            ("wrong_count", "rows of no step", tally.steps[0], 0),
            ("wrong_count", "rows of step 1", tally.steps[1], counts["roots"]),
            ("wrong_count", "rows of step 2", tally.steps[2], counts["missing_parents"]),
            ("wrong_count", "rows of step 3", tally.steps[3], counts["children"]),
            ("wrong_count", "early rows", tally.early, counts["early"]),
            ("outside_window", "rows before the window", tally.late, counts["late"]),
        )
        for kind, what, found, said in due:
            if found != said:
                self.report.add(kind, place, f"{found} {what}, where the manifest says {said}")
        for known in self.table.known_content:
            values, size = tally.known.get(known.root_sha256, (0, 0))
            if (values, size) != (known.values, known.bytes):
                text = f"{values} values of {size} bytes are left out because the bundle {known.root_sha256} holds them"
                self.report.add("wrong_count", place, f"{text}, where the manifest says {known.values} of {known.bytes} bytes")
        for unused in sorted(self.unused):
            self.report.add("unused_blob", f"{place}/{unused}", "no row names this value")


class TombstoneChecks:
    """Looks at the tombstones of one part, in order."""

    def __init__(self, manifest: Manifest, table: TableInfo, report: Report) -> None:
        self.manifest, self.table, self.report = manifest, table, report
        self.columns = plan.columns_of(table, "tombstones")
        self._sort_key = sort_key(table)
        self._last: Any = None

    def batch(self, batch: pa.RecordBatch, file: str) -> None:
        """Looks at the next tombstones."""
        wrong = bad_rows(self.columns, batch)
        get = _Columns(batch)
        keys, stamps = get(self.table.key_column), get(plan.MODIFIED_TICKS)
        started, runs = get(plan.RUN_STARTED_TICKS), get(plan.RUN_ID)
        for row, key in enumerate(keys):
            if row in wrong:
                self.report.add("bad_row", file, wrong[row])
                continue
            say = _Say(self.report, file, shown(key, self.table.key.sql_type))
            place = self._sort_key(key)
            if self._last is not None and self._last >= place:
                say("duplicate_key" if self._last == place else "out_of_order", "the tombstone is not in its place")
            self._last = place
            check_version(self.manifest, self.table, (stamps[row], started[row], runs[row]), say)
        self.report.rows += batch.num_rows


class _Columns:
    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __call__(self, name: str) -> list[Any]:
        return plain(self._batch.column(name))


class _Say:
    """Adds findings about one key."""

    def __init__(self, report: Report, file: str, key: str) -> None:
        self._report, self._file, self._key = report, file, key

    def __call__(self, kind: str, detail: str) -> None:
        self._report.add(kind, self._file, f"key {self._key}: {detail}")


def check_version(
    manifest: Manifest, table: TableInfo, version: tuple[int | None, int, bytes], say: Callable[[str, str], None]
) -> None:
    """A row or tombstone is of a run that the bundle may have rows of, and of no later time than a day after it began.

    `version` is stamp and start of the run in ticks, and RunId."""
    stamp, started, run = version
    if manifest.is_compacted:
        is_right = started <= manifest.started_at
    else:
        is_right = (shown(run), started) == (manifest.run_id, manifest.started_at)
    if not is_right:
        say("wrong_run", f"it says run {shown(run)} of {show_ticks(started)}")
    latest = table.window.latest_of(min(started, manifest.started_at))
    if stamp is not None and stamp > latest:
        say("in_the_future", f"{show_ticks(stamp)} is later than its run's start and a day")


def _hashes(batch: pa.RecordBatch, column: Column) -> tuple[list[bytes | None], list[bytes | None]]:
    """The hashes that rows say of their values, and those of the values: of one in `blob/` the one that it is named by, of one that
    is left out the one that is said."""
    said = batch.column(column.content_sha256).to_pylist()
    references = batch.column(column.blob_ref).to_pylist()
    found: list[bytes | None] = []
    for value, reference, hashed in zip(batch.column(column.name), references, said, strict=True):
        if reference is not None and known_reference(reference):
            found.append(hashed)
        elif value.is_valid:
            found.append(hashlib.sha256(value.as_buffer()).digest())
        else:
            named = None if reference is None else reference_sha256(reference)
            found.append(bytes.fromhex(named) if named else None)
    return said, found
