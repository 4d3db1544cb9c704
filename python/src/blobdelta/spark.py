"""`spark.read.format("blobdelta")`: bundles as a data source of Spark (pyspark 4).

    from blobdelta.spark import BlobdeltaSource
    spark.dataSource.register(BlobdeltaSource)
    rows = spark.read.format("blobdelta").option("table", "ReferralAttachment").option("mode", "latest").load("s3://deltas/weekly")

Options: `table`; `columns`, with commas between (large values only if their column is named); `mode`: `rows`, `latest`,
`tombstones` or `changes` (rows and tombstones together, a tombstone with `DeltaReason`); `since`, the least name of a bundle, such
as `20261122`; `verify=deep`, which looks at every row of all bundles while the read is planned; `allowGap=true`; `source`, a source
id; `signers` and `signerScope`, files as `blobdelta verify` takes them; `catalog`, a file of the driver that remembers heads of
bundles. Options that begin with `fs.` go to fsspec.

A task reads one part, and hashes it before it reads a row. The package has to be installed where tasks run.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as f
from pyspark.sql import types as spark_types
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from . import plan
from ._chain import Chain, Survey, chain
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
_COMPARED = {
    "EqualTo": "equal",
    "GreaterThan": "greater",
    "GreaterThanOrEqual": "greater_equal",
    "LessThan": "less",
    "LessThanOrEqual": "less_equal",
    "In": "is_in",
}


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
            storage=tuple((name[3:], value) for name, value in options.items() if name.startswith("fs.")),
        )

    @property
    def trust(self) -> Trust:
        """What is asked of bundles."""
        return Trust(
            signers=None if self.signers is None else AllowedSigners.of_file(self.signers),
            scope=None if self.signer_scope is None else SignerScope.of_file(self.signer_scope),
        )

    def chains(self) -> list[Chain]:
        """The chains of the table, as they are now."""
        trust, storage = self.trust, dict(self.storage)
        heads = None if self.catalog is None else Catalog(self.catalog)
        survey: Survey = chain(self.path, trust=trust, storage_options=storage, since=self.since, catalog=heads)
        allow_gap = self.allow_gap or self.mode == "changes"
        chains = chains_of_table(survey, self.table, allow_gap=allow_gap, source=self.source)
        places = {member.bundle.place for one in chains for member in one.members}
        for place in sorted(places) if self.is_deep else ():
            verify(place, "deep", trust=trust, storage_options=storage).require_good()
        return chains


class _Shape:
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

    def tasks(self) -> list[PartTask]:
        """One task a part."""
        if self.options.mode == "latest":
            with Latest(self.chains) as found:
                return [self._task(self.scans[0], part, zlib.compress(rows.tobytes())) for part, rows in found.winners()]
        return [self._task(one, part, None) for one in self.scans for part in one.parts]

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


class BlobdeltaSource(DataSource):
    """See the module's text."""

    @classmethod
    def name(cls) -> str:
        return "blobdelta"

    def schema(self) -> spark_types.StructType:
        options = Options.of(self.options)
        return _Shape(options, options.chains()).schema

    def reader(self, schema: spark_types.StructType) -> BlobdeltaReader:
        return BlobdeltaReader(Options.of(self.options))


class BlobdeltaReader(DataSourceReader):
    """A read that ends."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.pushed: list[Pushed] = []

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:
        """Takes comparisons of the key and of `DeltaModifiedOn`. Spark looks at them again."""
        shape = _Shape(self.options, self.options.chains())
        ours = {shape.scans[0].key_column, plan.MODIFIED_ON, plan.MODIFIED_TICKS}
        for one in filters:
            comparison = _COMPARED.get(type(one).__name__)
            if comparison and len(one.attribute) == 1 and one.attribute[0] in ours & set(shape.arrow.names):
                value = list(one.value) if comparison == "is_in" else one.value
                self.pushed.append((comparison, one.attribute[0], value))
        return filters

    def partitions(self) -> Sequence[InputPartition]:
        return _Shape(self.options, self.options.chains()).tasks()

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, PartTask)
        return partition.batches(self.pushed)


def latest(changes: DataFrame, key: str) -> DataFrame:
    """The latest row of each key of a frame of mode `changes`, by a shuffle: for more keys than one machine can order.

    The rules are those of section 5 of manifests/FORMAT.md, also for several chains (`DeltaScope`).
    """
    scopes = [row[0] for row in changes.select(SCOPE).distinct().collect()]
    is_deleted = f.col(plan.REASON) == "Deleted"
    every = f.array(*[f.lit(scope) for scope in scopes]) if scopes else f.array().cast("array<string>")
    own = f.when(is_deleted, every).otherwise(f.array(f.col(SCOPE)))
    spread = changes.withColumn("_delta_chain", f.explode(own))
    stamp: SparkColumn = f.col(plan.MODIFIED_TICKS).desc_nulls_last()
    run = [f.col(plan.RUN_STARTED_TICKS).desc(), f.col(plan.RUN_ID).desc()]
    deletes = f.coalesce(is_deleted, f.lit(False)).desc()
    of_chain = Window.partitionBy(key, "_delta_chain").orderBy(stamp, deletes, *run, f.col(plan.REASON).isNotNull().desc())
    of_key = Window.partitionBy(key).orderBy(stamp, *run)
    best = spread.withColumn("_delta_place", f.row_number().over(of_chain)).where("_delta_place = 1")
    rows = best.where(f.col(plan.REASON).isNull()).withColumn("_delta_place", f.row_number().over(of_key))
    return rows.where("_delta_place = 1").drop("_delta_place", "_delta_chain", plan.REASON)
