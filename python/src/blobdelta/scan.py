"""The rows or tombstones of one table over many bundles, in one shape: what the readers for engines are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pyarrow as pa

from . import plan
from ._chain import Chain, Member, Survey
from .errors import ChainError, Finding, UsageError, Wrong
from .manifest import Column, FileInfo, TableInfo
from .names import fold, table_id
from .parts import checked_opener
from .report import error_of
from .source import Source
from .union import adapt, union

VersionRole = Literal["rows", "tombstones"]
#: The column that says which bundle a row is from: its path or URL.
BUNDLE = "DeltaBundle"


class Opener(Protocol):
    """A bundle as far as reading its parts goes: a `Bundle` or a `Container`."""

    @property
    def place(self) -> str:
        """Its path or URL."""

    def open(self, path: str) -> Source:
        """A file of it, unchecked."""


@dataclass(frozen=True)
class PartPlace:
    """A part of a bundle: everything that it takes to read it, and nothing that is open."""

    bundle: Opener
    table: TableInfo
    file: FileInfo
    chain: int


@dataclass(frozen=True)
class MemberPart(PartPlace):
    """A part of a bundle that is open."""

    member: Member


class TableScan:
    """See the module's text. `columns` are those of all bundles together (`union.union`)."""

    def __init__(self, members: Sequence[tuple[int, Member]], role: VersionRole) -> None:
        self.role = role
        self.parts: list[MemberPart] = [
            MemberPart(member.bundle, member.table, file, chain, member)
            for chain, member in members
            for file in member.table.files_of(role)
        ]
        shapes = [plan.columns_of(member.table, role) for _, member in members]
        try:
            self.columns = union(shapes)
        except Wrong as wrong:
            hint = "read the bundles from before and after the change apart (`since`, or name them)"
            raise UsageError(f"{members[0][1].table.name}: {wrong}: {hint}") from None
        self.key_column = members[-1][1].table.key_column

    def fields(self, columns: Sequence[str] | None = None) -> list[str]:
        """The names of the fields for a choice of columns.

        None: all but the values of large columns. A name stands for that field alone, in any case; `UsageError` for one that is
        not there.
        """
        large = {column.name for column in self.columns if column.sql_type.is_large}
        every = [name for column in self.columns for name in column.fields]
        if columns is None:
            return [name for name in every if name not in large]
        by_name = {fold(name): name for name in every}
        unknown = [name for name in columns if fold(name) not in by_name]
        if unknown:
            raise UsageError(f"there is no column {', '.join(unknown)}: there are {', '.join(every)}")
        return [by_name[fold(name)] for name in columns]

    def schema(self, fields: Sequence[str]) -> pa.Schema:
        """The schema of batches with these fields. Every field takes NULL."""
        every = {field.name: field for column in self.columns for field in plan.fields_of(column)}
        return pa.schema([every[name].with_nullable(True) for name in fields])

    def batches(self, part: PartPlace, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a part, in the shape of all. The part is hashed first. `BundleError` if it is wrong."""
        asked = set(fields)
        wanted = [column for column in self.columns if asked.intersection(column.fields)]
        own = [
            column for column in plan.columns_of(part.table, self.role) if fold(column.name) in {fold(one.name) for one in wanted}
        ]
        # Of a column of which only the fields beside it are asked for, the value is not read.
        slim = [_only(column, wanted, asked) for column in own]
        names = [name for column, skips in slim for name in column.fields if not (skips and name == column.name)]
        opened = checked_opener(part.bundle.place, part.table, part.bundle.open)(part.file)
        schema = self.schema(fields)
        with opened:
            try:
                for batch in opened.batches(names or [part.table.key_column]):
                    yield _shaped(batch, slim, wanted, schema)
            except Wrong as wrong:
                kind = wrong.kind or "bad_part"
                raise error_of(part.bundle.place, Finding(kind, part.file.path, str(wrong))) from None
            except OSError as error:
                raise error_of(part.bundle.place, Finding("unreadable", part.file.path, str(error))) from error


def _only(own: Column, wanted: Sequence[Column], asked: set[str]) -> tuple[Column, bool]:
    """The column, and whether its value is not needed: only what stands beside it was asked for, and is there."""
    column = next(one for one in wanted if fold(one.name) == fold(own.name))
    beside = [
        (column.ticks, own.ticks),
        (column.offset, own.offset),
        (column.content_sha256, own.content_sha256),
    ]
    needs = column.name in asked or any(name in asked and there is None for name, there in beside if name)
    return own, not needs


def _shaped(
    batch: pa.RecordBatch, own: Sequence[tuple[Column, bool]], wanted: Sequence[Column], schema: pa.Schema
) -> pa.RecordBatch:
    for column, skips in own:
        if skips:
            batch = batch.append_column(column.name, pa.nulls(batch.num_rows, column.sql_type.arrow))
    shaped = adapt(batch, [column for column, _ in own], wanted)
    return pa.RecordBatch.from_arrays([shaped.column(field.name) for field in schema], schema=schema)


def chains_of_table(survey: Survey, table: str | None, *, allow_gap: bool = False, source: str | None = None) -> list[Chain]:
    """The chains of a table (of all of its scopes), if nothing is missing in them.

    The table may be left out if there is only one. `ChainError` for a gap, unless it is allowed; the error of a bundle that is
    broken; `UsageError` for no table or several, or for several sources unless one is named: keys of two have nothing in common.
    """
    for _, error in survey.broken:
        raise error
    names = sorted({chain.table for chain in survey.chains})
    found = [chain for chain in survey.chains if table is None or _is_called(chain, table)]
    if len({table_id(chain.table) for chain in found}) != 1:
        raise UsageError(f"name one table of {', '.join(names)}")
    found = [chain for chain in found if source in (None, chain.source_id)]
    sources = sorted({chain.source_id for chain in found})
    if len(sources) != 1:
        raise UsageError(f"the bundles are of several sources, or none: name one of {', '.join(sources) or 'what is there'}")
    problems = [text for chain in found for text in chain.missing]
    if problems and not allow_gap:
        raise ChainError(problems)
    return found


def _is_called(chain: Chain, table: str) -> bool:
    try:
        return table_id(chain.table) == table_id(table)
    except Wrong:
        return table_id(chain.table)[2] == fold(table)


def scan(chains: Sequence[Chain], role: VersionRole) -> TableScan:
    """The scan of all bundles of these chains, the oldest first."""
    members = [(nth, member) for nth, chain in enumerate(chains) for member in chain.members]
    members.sort(key=lambda one: one[1].link.run_order)
    return TableScan(members, role)


def with_bundle(batch: pa.RecordBatch, part: PartPlace) -> pa.RecordBatch:
    """The batch with the column that says which bundle it is from."""
    place = pa.repeat(pa.scalar(part.bundle.place, pa.string()), batch.num_rows)
    return batch.append_column(BUNDLE, place)
