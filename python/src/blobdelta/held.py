"""Values that bundles leave out, from the bundles that hold them (manifests/FORMAT.md, section 4, "Known content")."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from ._chain import Chain, Member
from .bundle import not_here
from .errors import Finding
from .keys import plain, shown
from .layout import KnownReference, known_reference, reference_sha256
from .manifest import Column
from .report import error_of
from .scan import MemberPart, TableScan

#: What the values that are filled into a batch may have together, if it is more than one.
_FILLED_BYTES = 64 << 20


class Held:
    """Fills left-out values into rows of a scan. A holder is read once for each batch that needs it."""

    def __init__(self, chains: Sequence[Chain], rows: TableScan) -> None:
        self.chains, self.rows = chains, rows
        #: Large columns of which values may be left out.
        self.columns = [column for column in rows.columns if column.sql_type.is_large and column.content_sha256]

    def fields(self, part: MemberPart, fields: Sequence[str]) -> list[str]:
        """The fields that have to be read of a part, so that these can be filled."""
        asked = self._asked(part, fields)
        beside = [name for column in asked for name in (column.content_sha256, column.blob_ref) if name]
        return list(dict.fromkeys([*fields, *beside, *self.rows.fields([self.rows.key_column])])) if asked else list(fields)

    def _asked(self, part: MemberPart, fields: Sequence[str]) -> list[Column]:
        return [column for column in self.columns if column.name in fields] if part.table.known_content else []

    def filled(self, part: MemberPart, batch: pa.RecordBatch, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A batch of a part with the fields of `fields`, filled, as batches of these names; see `values`."""
        asked = self._asked(part, names)
        for piece in _pieces(batch, asked):
            arrays = {name: piece.column(name) for name in names}
            keys = plain(piece.column(self.rows.fields([self.rows.key_column])[0])) if asked else []
            for column in asked:
                sha256, references = (piece.column(name).to_pylist() for name in (column.content_sha256, column.blob_ref))
                wanted = {row: known for row, text in enumerate(references) if (known := known_reference(text or ""))}
                if wanted:
                    cells = {row: (keys[row], sha256[row], known) for row, known in wanted.items()}
                    found = self.values(part.chain, column, cells, part.member)
                    arrays[column.name] = _with(arrays[column.name], found)
            yield pa.RecordBatch.from_arrays([arrays[name] for name in names], names=list(names))

    def values(
        self, chain: int, column: Column, cells: dict[int, tuple[Any, bytes, KnownReference]], member: Member | None = None
    ) -> dict[int, bytes | None]:
        """The values of cells (key, hash, reference) by their places; None for one that its holder has in `blob/`.

        `UsageError` if the holder is not among the bundles, `BundleError` if it holds another value.
        """
        by_holder: dict[str, dict[Any, list[int]]] = {}
        for place, (key, _, known) in cells.items():
            by_holder.setdefault(known.root_sha256, {}).setdefault(key, []).append(place)
        found: dict[int, bytes | None] = {}
        for root, places in by_holder.items():
            holder = holder_of(self.chains[chain], root)
            if holder is None:
                raise not_here(self.chains[chain].table, column.name, root, member.bundle.place if member else None)
            for key, value, reference in self._read(holder, chain, column, places):
                for place in places.pop(key):
                    _, sha256, known = cells[place]
                    if not _is_it(value, reference, sha256, known):
                        raise self._wrong(holder, key, column, "the value is not the one that a later bundle leaves out")
                    found[place] = value
            for key in places:
                raise self._wrong(holder, key, column, "a later bundle leaves out the value of this row, which is not here")
        return found

    def _read(self, holder: Member, chain: int, column: Column, wanted: dict[Any, list[int]]) -> Iterator[tuple[Any, Any, Any]]:
        """The cells of these keys; stops when all were taken out of `wanted`."""
        names = self.rows.fields([self.rows.key_column, column.name, *filter(None, [column.blob_ref])])
        for part in self.rows.parts:
            if part.member is not holder or part.chain != chain:
                continue
            for batch in self.rows.batches(part, names):
                keys, value, reference = plain(batch.column(0)), batch.column(1), batch.column(2)
                for row, key in enumerate(keys):
                    if key in wanted:
                        yield key, value[row].as_py(), reference[row].as_py()
                if not wanted:
                    return

    def _wrong(self, holder: Member, key: Any, column: Column, what: str) -> Exception:
        detail = f"key {shown(key, holder.table.key.sql_type)}, column {column.name}: {what}"
        return error_of(holder.bundle.place, Finding("bad_known_content", None, detail))


def holder_of(chain: Chain, root: str) -> Member | None:
    """The bundle of a root digest, else one that it was compacted into."""
    named = [member for member in chain.members if member.link.root == root]
    return next(iter(named or [member for member in chain.members if root in member.link.inputs]), None)


def _is_it(value: bytes | None, reference: str | None, sha256: bytes | None, known: KnownReference) -> bool:
    if value is None:
        return sha256 is not None and reference_sha256(reference or "") == sha256.hex()
    return len(value) == known.bytes and hashlib.sha256(value).digest() == sha256


def _with(values: pa.Array, found: dict[int, bytes | None]) -> pa.Array:
    cells = values.to_pylist()
    for row, value in found.items():
        cells[row] = value
    return pa.array(cells, values.type)


def _pieces(batch: pa.RecordBatch, asked: Sequence[Column]) -> Iterator[pa.RecordBatch]:
    """The batch in pieces whose filled values are within the bound."""
    if not asked:
        yield batch
        return
    start = size = 0
    references = [batch.column(column.blob_ref).to_pylist() for column in asked]
    for row, texts in enumerate(zip(*references, strict=True)):
        more = sum(known.bytes for text in texts if (known := known_reference(text or "")))
        if size and size + more > _FILLED_BYTES:
            yield batch.slice(start, row - start)
            start, size = row, 0
        size += more
    yield batch.slice(start)
