"""`spark.readStream.format("blobdelta")`: each bundle of a table once, also one that fills a gap late.

A position (Spark: offset) is the set of the bundles that were read, by their root digests, because the order in which bundles come
to a place is not that of their names. Spark writes it into the query's checkpoint before it asks for a batch, so nothing else has
to be kept: a batch is the bundles of its end that are not in its start, before a restart and after it. Of each root digest a
position has 12 bytes: 16 characters a bundle, 3 KB for three years of weekly bundles.

A bundle that was compacted from bundles that were all read has nothing new, and is passed over.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import types as spark_types
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from ._chain import Chain, Member
from ._spark_plan import Options, PartTask, Shape
from .catalog import Catalog
from .errors import UsageError
from .names import fold

try:
    from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxFiles, SupportsTriggerAvailableNow
except ImportError:  # before Spark 4.2, which asks for all that is there at once
    SupportsTriggerAvailableNow = object  # type: ignore[misc, assignment]

_DIGEST_BYTES = 12
Position = dict[str, str]


class BlobdeltaStream(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """See the module's text."""

    def __init__(self, options: Options, schema: spark_types.StructType) -> None:
        if options.mode == "latest":
            raise UsageError(
                "a stream has no latest rows: read mode=changes, and keep the latest of each key (examples/spark_delta.py)"
            )
        self.options, self.schema = options, schema
        self._heads: Catalog | None = None
        self._chains: list[Chain] = []
        self._looked_at: set[bytes] = set()
        # At which bundles a query ends that reads what is there and no more.
        self._until: set[bytes] | None = None

    def initialOffset(self) -> Position:
        return self._position(self._survey(), set())

    def getDefaultReadLimit(self) -> ReadLimit:
        most = self.options.most_bundles
        return ReadAllAvailable() if most is None else ReadMaxFiles(most)

    def prepareForTriggerAvailableNow(self) -> None:
        self._until = {_digest(member) for member in _members(self._survey())}

    def latestOffset(self, start: Position | None = None, limit: ReadLimit | None = None) -> Position:
        chains = self._survey()
        applied = self._applied(chains, start) if start else set()
        fresh = [one for one in _members(chains) if _digest(one) not in applied]
        if self._until is not None:
            fresh = [one for one in fresh if _digest(one) in self._until]
        fresh = fresh[: getattr(limit, "max_files", None)]
        new = [one for one in fresh if _digest(one) not in self._looked_at]
        self.options.look_deep(new)
        self._looked_at.update(map(_digest, new))
        return self._position(chains, applied.union(map(_digest, fresh)))

    def partitions(self, start: Position, end: Position) -> Sequence[InputPartition]:
        chains = self._chains or self._survey()
        applied = self._applied(chains, start)
        wanted = self._applied(chains, end) - applied
        found = {_digest(one): one for one in _members(chains)}
        batch = [self._holder(digest, found) for digest in sorted(wanted)]
        batch = [one for one in batch if not _is_covered(one, applied)]
        return Shape(self.options, chains).tasks(batch) if batch else []

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        assert isinstance(partition, PartTask)
        return partition.batches(())

    def _survey(self) -> list[Chain]:
        """The chains as they are now. `UsageError` if their columns are not those of the query any more."""
        if self._heads is None:
            self._heads = Catalog(":memory:")
        self._chains = chains = self.options.chains(self._heads)
        found, due = ({field.name: field.dataType for field in one} for one in (Shape(self.options, chains).schema, self.schema))
        if found != due:
            changed = ", ".join(sorted(name for name in {*found, *due} if found.get(name) != due.get(name)))
            what = f"the columns of {chains[0].table} are not those that this query began with ({changed}), and nothing was read"
            raise UsageError(f"{what}: start the query again with the same checkpoint, and it reads the columns as they are now")
        return chains

    def _position(self, chains: Sequence[Chain], digests: Iterable[bytes]) -> Position:
        roots = base64.b64encode(b"".join(sorted(digests))).decode()
        first = chains[0]
        return {"source": first.source_id, "table": fold(first.table), "mode": self.options.mode, "bundles": roots}

    def _applied(self, chains: Sequence[Chain], position: Position) -> set[bytes]:
        """The bundles of a position; `UsageError` if it is that of another stream."""
        due = self._position(chains, ())
        for name in ("source", "table", "mode"):
            if position.get(name) != due[name]:
                what = f"this checkpoint is of a stream of the {name} {position.get(name)}, and this stream is of {due[name]}"
                raise UsageError(f"{what}: name another checkpoint")
        roots = base64.b64decode(position["bundles"])
        return {roots[at : at + _DIGEST_BYTES] for at in range(0, len(roots), _DIGEST_BYTES)}

    def _holder(self, digest: bytes, found: dict[bytes, Member]) -> Member:
        """The bundle of a root digest, or the one that it was compacted into before its batch was done."""
        if digest in found:
            return found[digest]
        for member in found.values():
            if digest in map(_short, member.link.inputs):
                return member
        what = f"a bundle of a batch that was not done is not there any more: its root digest begins with {digest.hex()}"
        raise UsageError(f"{self.options.path}: {what}: put it back, or begin anew with another checkpoint")


def _members(chains: Iterable[Chain]) -> Iterator[Member]:
    return (member for one in chains for member in one.members)


def _short(root: str) -> bytes:
    return bytes.fromhex(root)[:_DIGEST_BYTES]


def _digest(member: Member) -> bytes:
    return _short(member.link.root)


def _is_covered(member: Member, applied: set[bytes]) -> bool:
    """Whether all that it was compacted from was read before."""
    inputs = member.link.inputs
    return bool(inputs) and applied.issuperset(map(_short, inputs))
