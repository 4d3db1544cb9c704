"""What reads of Spark are made of: what was asked for, the shape of what comes, and tasks that read one part each."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import types as spark_types
from pyspark.sql.datasource import InputPartition

from . import plan
from ._chain import Chain, Member, Survey, chain
from ._latest import Latest, rows_of
from ._spark_columns import Pushed, filtered, spark_batch, spark_schema
from ._verify import verify
from .catalog import Catalog
from .container import open_container
from .errors import Finding, UsageError, Wrong
from .frame import Trust
from .manifest import Column
from .report import error_of
from .scan import BUNDLE, PartPlace, TableScan, VersionRole, chains_of_table, scan
from .scope import SignerScope
from .signature import AllowedSigners

SCOPE = "DeltaScope"
_MODES = ("rows", "latest", "tombstones", "changes")


@dataclass(frozen=True)
class Options:
    """What was asked for; see the module's text."""

    path: str
    table: str | None
    columns: tuple[str, ...] | None
    mode: str
    since: str | None
    is_deep: bool
    allow_gap: bool
    source: str | None
    signers: str | None
    signer_scope: str | None
    catalog: str | None
    most_bundles: int | None
    storage: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, options: Any) -> Options:
        """`UsageError` for a mode or value that is none."""
        given = {name.lower(): value for name, value in options.items()}
        mode = given.get("mode", "rows")
        if mode not in _MODES:
            raise UsageError(f"mode {mode}: name one of {', '.join(_MODES)}")
        if given.get("verify", "parts") not in ("parts", "deep"):
            raise UsageError(f"verify {given['verify']}: parts are always hashed before they are read; deep looks at rows too")
        if "path" not in given:
            raise UsageError("name the folder or URL that holds the bundles: .load(PATH)")
        columns = given.get("columns")
        return cls(
            path=given["path"],
            table=given.get("table"),
            columns=None if columns is None else tuple(name.strip() for name in columns.split(",")),
            mode=mode,
            since=given.get("since"),
            is_deep=given.get("verify") == "deep",
            allow_gap=given.get("allowgap", "false").lower() == "true",
            source=given.get("source"),
            signers=given.get("signers"),
            signer_scope=given.get("signerscope"),
            catalog=given.get("catalog"),
            most_bundles=_count(given.get("maxbundlespertrigger")),
            storage=tuple((name[3:], value) for name, value in options.items() if name.startswith("fs.")),
        )

    @property
    def trust(self) -> Trust:
        """What is asked of bundles."""
        return Trust(
            signers=None if self.signers is None else AllowedSigners.of_file(self.signers),
            scope=None if self.signer_scope is None else SignerScope.of_file(self.signer_scope),
        )

    def chains(self, heads: Catalog | None = None) -> list[Chain]:
        """The chains of the table, as they are now. `heads` is used if the options name no catalog."""
        catalog = heads if self.catalog is None else Catalog(self.catalog)
        survey: Survey = chain(self.path, trust=self.trust, storage_options=dict(self.storage), since=self.since, catalog=catalog)
        return chains_of_table(survey, self.table, allow_gap=self.allow_gap, source=self.source)

    def look_deep(self, members: Iterable[Member]) -> None:
        """Looks at every row of some bundles, if that was asked for; `BundleError` if one is wrong."""
        places = {member.bundle.place for member in members} if self.is_deep else ()
        for place in sorted(places):
            verify(place, "deep", trust=self.trust, storage_options=dict(self.storage)).require_good()


def _count(given: str | None) -> int | None:
    if given is not None and not (given.isascii() and given.isdigit() and int(given) > 0):
        raise UsageError(f"maxBundlesPerTrigger {given}: give a number from 1 on")
    return None if given is None else int(given)


class Shape:
    """What a read gives: the scans that it is made of, and the fields of each."""

    def __init__(self, options: Options, chains: Sequence[Chain]) -> None:
        roles: dict[str, tuple[VersionRole, ...]] = {"tombstones": ("tombstones",), "changes": ("rows", "tombstones")}
        self.options, self.chains = options, list(chains)
        self.scans = [scan(chains, role) for role in roles.get(options.mode, ("rows",))]
        first = self.scans[0]
        names = list(first.fields(options.columns))
        if options.mode == "changes":
            ranks = (first.key_column, plan.MODIFIED_TICKS, plan.RUN_STARTED_TICKS, plan.RUN_ID)
            names = list(dict.fromkeys([*first.fields(ranks), *names]))
        self.arrow = first.schema(names)
        if options.mode == "changes":
            self.arrow = self.arrow.append(pa.field(plan.REASON, pa.string()))
        for name in (SCOPE, BUNDLE):
            self.arrow = self.arrow.append(pa.field(name, pa.string()))

    @property
    def schema(self) -> spark_types.StructType:
        return spark_schema(self.arrow)

    def tasks(self, members: Iterable[Member] | None = None) -> list[PartTask]:
        """One task a part: of all bundles, or of some."""
        if self.options.mode == "latest":
            with Latest(self.chains) as found:
                return [self._task(self.scans[0], part, zlib.compress(rows.tobytes())) for part, rows in found.winners()]
        roots = None if members is None else {member.link.root for member in members}
        parts = ((one, part) for one in self.scans for part in one.parts)
        return [self._task(one, part, None) for one, part in parts if roots is None or part.member.link.root in roots]

    def _task(self, one: TableScan, part: PartPlace, rows: bytes | None) -> PartTask:
        columns = one.columns
        names = {field.name for column in columns for field in plan.fields_of(column)}
        return PartTask(
            place=part.bundle.place,
            storage=dict(self.options.storage),
            # What is not needed there would be sent with every task.
            table=replace(part.table, files=(), tree={}, counts={}),
            file=part.file,
            role=one.role,
            columns=columns,
            fields=[field.name for field in self.arrow if field.name in names],
            rows=rows,
            schema=self.arrow,
            scope=part.table.scope,
        )


class PartTask(InputPartition):
    """A part of a bundle, and what of it is read: all that a task needs, and nothing that is open."""

    def __init__(self, **about: Any) -> None:
        super().__init__(about["file"].path)
        self.about = about

    def batches(self, pushed: Sequence[Pushed]) -> Iterator[pa.RecordBatch]:
        """The rows, in Spark's types. The part is hashed first; `BundleError` names bundle, part and digest if it is wrong."""
        about = self.about
        place, file, fields = about["place"], about["file"], about["fields"]
        try:
            container = open_container(place, about["storage"])
        except Wrong as wrong:
            raise error_of(place, Finding(wrong.kind or "bad_archive", None, str(wrong))) from None
        part = PartPlace(container, about["table"], file, 0)
        versions = _OnePart(about["columns"], about["role"])
        rows = None
        if about["rows"] is not None:
            rows = array("q")
            rows.frombytes(zlib.decompress(about["rows"]))
        found = versions.batches(part, fields) if rows is None else rows_of(versions, part, rows, fields)
        for batch in found:
            yield filtered(spark_batch(self._shaped(batch)), pushed)

    def _shaped(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        about, count = self.about, batch.num_rows
        own = {SCOPE: about["scope"], BUNDLE: about["place"]}
        arrays = []
        for field in about["schema"]:
            if field.name in own:
                arrays.append(pa.repeat(pa.scalar(own[field.name], pa.string()), count))
            elif field.name in batch.schema.names:
                arrays.append(batch.column(field.name).cast(field.type))
            else:
                arrays.append(pa.nulls(count, field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=about["schema"])


class _OnePart(TableScan):
    """The scan of a part whose columns are known."""

    def __init__(self, columns: list[Column], role: VersionRole) -> None:
        self.columns, self.role, self.parts = columns, role, []
