"""`blobdelta.polars`: bundles as a lazy frame of Polars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from ._chain import chain
from ._latest import Latest
from .frame import Trust
from .held import Held
from .places import Places
from .scan import BUNDLE, chains_of_table, scan, with_bundle

if TYPE_CHECKING:
    import polars as pl

Mode = Literal["latest", "rows", "tombstones"]


def polars(
    places: Places,
    table: str | None = None,
    mode: Mode = "latest",
    *,
    blobs: bool = False,
    allow_gap: bool = False,
    trust: Trust | None = None,
    storage_options: dict[str, Any] | None = None,
) -> pl.LazyFrame:
    """The latest rows of a table, all versions of its rows, or its tombstones, as a lazy frame.

    Manifests are read now; parts are hashed and read when the frame is collected, and of them only the columns that the query
    needs. Values of large columns are among them only with `blobs`, also those that bundles leave out.
    UUIDs are `Binary`, because Polars has no such type.
    Errors are those of `blobdelta.latest`.
    """
    import polars as pl  # noqa: PLC0415 (an extra)
    from polars.io.plugins import register_io_source  # noqa: PLC0415

    survey = chain(places, trust=trust, storage_options=storage_options)
    chains = chains_of_table(survey, table, allow_gap=allow_gap)
    every = scan(chains, "tombstones" if mode == "tombstones" else "rows")
    held = Held(chains, every)
    fields = every.fields([name for column in every.columns for name in column.fields] if blobs else None)
    schema = storage(pa.Table.from_batches([], every.schema(fields).append(pa.field(BUNDLE, pa.string()))))

    def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if mode == "latest":
            with Latest(chains) as found:
                yield from found.batches(names)
            return
        for part in every.parts:
            for batch in every.batches(part, held.fields(part, names)):
                yield from held.filled(part, with_bundle(batch, part), [*names, BUNDLE])

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = with_columns if with_columns is not None else [*fields, BUNDLE]
        # What the filter needs is among the columns.
        for batch in batches([name for name in wanted if name != BUNDLE] or fields[:1]):
            frame: Any = pl.from_arrow(storage(pa.Table.from_batches([batch])).select(wanted))
            if n_rows is not None:
                frame, n_rows = frame.head(n_rows), n_rows - len(frame)
            yield frame if predicate is None else frame.filter(predicate)
            if n_rows is not None and n_rows <= 0:
                return

    first: Any = pl.from_arrow(schema)
    return register_io_source(source, schema=first.schema, is_pure=True)


def storage(table: pa.Table) -> pa.Table:
    """The table without extension types: UUIDs as bytes."""
    columns: Iterable[pa.ChunkedArray] = table.columns
    plain = [
        pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
        if isinstance(column.type, pa.BaseExtensionType)
        else column
        for column in columns
    ]
    return pa.table(plain, names=table.column_names)
