"""Reads bundles with pyarrow: every row, and every value against its content hash.

    python read_pyarrow.py BUNDLE…

BUNDLE is a folder. Check its lists of hashes before (`sha256sum --strict -c`): this reader trusts its files.
"""

import hashlib
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def value(row, column, folder):
    """A row's value: in its column, or, over the inline limit, in a file of its own that the row names."""
    reference = row[column["companions"]["blob_ref"]]
    if reference is None:
        return row[column["name"]]
    with pa.input_stream(folder / reference, compression="zstd") as stream:
        return stream.read()


def read(bundle):
    for table in json.loads((bundle / "manifest.json").read_bytes())["tables"]:
        folder = bundle / "data" / table["folder"]
        hashed = [column for column in table["columns"] if column["companions"]["content_sha256"]]
        names = [table["key_column"]]
        for column in hashed:
            names += [column["name"], column["companions"]["content_sha256"], column["companions"]["blob_ref"]]
        rows, checked = 0, 0
        for part in sorted(folder.glob("part-*.parquet")):
            for row in pq.read_table(part, columns=names).to_pylist():
                rows += 1
                for column in hashed:
                    content = value(row, column, folder)
                    if content is None:
                        continue
                    checked += 1
                    if hashlib.sha256(content).digest() != row[column["companions"]["content_sha256"]]:
                        sys.exit(f"{part}: {row[table['key_column']]}: {column['name']} is not what its hash says")
        print(f"{bundle.name}  {table['name']}: {rows} rows, {checked} values that are what their hashes say")


for path in sys.argv[1:]:
    read(pathlib.Path(path))
