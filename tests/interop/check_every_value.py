#!/usr/bin/env python3
"""pyarrow, DuckDB and Polars read the same value in every cell of every part.

    check_every_value.py BUNDLES…

Each BUNDLES is a folder that holds *.bundle folders. UUIDs are compared by their bytes (DuckDB
and Polars give them in other forms), times of day by their nanoseconds (Python's have fewer
digits); everything else as the Python values that each library gives.
"""

import datetime
import json
import pathlib
import sys
import uuid

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq


def plain(value):
    """A value in the one form in which all three can give it."""
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, datetime.datetime) and value.tzinfo:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value


def columns_of_pyarrow(path):
    table = pq.read_table(path)
    for name in table.column_names:
        column = table.column(name)
        is_time = pa.types.is_time64(column.type)
        yield name, [plain(value) for value in (column.cast(pa.int64()) if is_time else column).to_pylist()]


def columns_of_polars(path):
    frame = pl.read_parquet(path)
    for name in frame.columns:
        series = frame[name]
        yield name, [plain(value) for value in (series.to_physical() if series.dtype == pl.Time else series).to_list()]


def columns_of_duckdb(path, uuids):
    """Keys and run ids are UUIDs there; which columns those are is known from pyarrow."""
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)})
        table = relation.to_arrow_table()
    for name in table.column_names:
        column = table.column(name)
        is_time = pa.types.is_time64(column.type)
        values = (column.cast(pa.int64()) if is_time else column).to_pylist()
        if is_time and column.type.unit == "us":
            values = [None if value is None else value * 1000 for value in values]
        if name in uuids:
            values = [None if value is None else uuid.UUID(value) for value in values]
        yield name, [plain(value) for value in values]


def check(path):
    """What differs in one part, and how many cells were compared."""
    due = dict(columns_of_pyarrow(path))
    schema = pq.read_schema(path)
    uuids = {field.name for field in schema if isinstance(field.type, pa.UuidType)}
    wrong = []
    for library, columns in [("Polars", columns_of_polars(path)), ("DuckDB", columns_of_duckdb(path, uuids))]:
        found = dict(columns)
        if list(found) != list(due):
            wrong.append(f"{path}: {library} reads the columns {list(found)}, pyarrow {list(due)}")
        for name in due.keys() & found.keys():
            pairs = zip(due[name], found[name], strict=True)
            differ = [(nth, a, b) for nth, (a, b) in enumerate(pairs) if a != b]
            wrong += [f"{path}: {name}, row {nth}: pyarrow {a!r:.80}, {library} {b!r:.80}" for nth, a, b in differ[:3]]
    return wrong, sum(len(values) for values in due.values())


def main():
    bundles = [path for folder in sys.argv[1:] for path in sorted(pathlib.Path(folder).glob("*.bundle"))]
    wrong, types = ([], set()) if bundles else ([f"there is no bundle under {sys.argv[1:]}"], set())
    for bundle in bundles:
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        types |= {column["sql_type"].split("(")[0] for table in manifest["tables"] for column in table["columns"]}
        cells = 0
        for path in sorted(bundle.glob("data/*/*.parquet")):
            differ, compared = check(path)
            wrong += differ
            cells += compared
        print(f"{bundle.name}: {cells} cells, the same by pyarrow, DuckDB and Polars")
    print(f"{len(types)} types: {', '.join(sorted(types))}")
    for message in wrong:
        print(f"WRONG: {message}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
