#!/usr/bin/env python3
"""Checks bundles with tools that know nothing of blobdelta.

    check_bundles.py BUNDLES [--files FOLDER]

BUNDLES is a folder that holds *.bundle folders. Each is validated by bagit.py and by sha256sum,
and every part is read by pyarrow and by DuckDB: rows, keys, times, and every blob against the hash
that stands beside it. With --files, the blobs of a full load (a table without a watermark before
its run) must be files of that folder, equal in name and content.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import uuid

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

TICKS_FROM_YEAR_1_TO_1970 = 719_162 * 86_400 * 10_000_000


class Wrong(Exception):
    """What was found to be wrong."""


def require(condition, message):
    if not condition:
        raise Wrong(message)


def sha256_hex(data):
    return hashlib.sha256(data).hexdigest()


def run_tool(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    require(done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def check_files(bundle):
    """The bag, by the two tools that a receiver has anyway."""
    bagit = pathlib.Path(sys.executable).parent / "bagit.py"
    run_tool([bagit, "--validate", "--quiet", bundle.resolve()], bundle.parent)
    for manifest in ["manifest-sha256.txt", "tagmanifest-sha256.txt"]:
        run_tool(["sha256sum", "--strict", "--quiet", "-c", manifest], bundle)


def stored_blob(bundle, table, reference):
    """A value that lies beside the parts, under the hash of its content."""
    path = bundle / "data" / table["folder"] / reference
    with pa.input_stream(str(path), compression="zstd") as stream:
        return stream.read()


def check_times(rows, table, path):
    """A timestamp and the ticks beside it say the same moment."""
    for column in table["columns"]:
        ticks_name = column["companions"]["ticks"]
        if ticks_name is None:
            continue
        value = rows.column(column["name"]).combine_chunks()
        require(pa.types.is_timestamp(value.type), f"{path}: {column['name']} is {value.type}, no timestamp")
        micros = value.cast(pa.int64()).to_pylist()
        for micro, ticks in zip(micros, rows.column(ticks_name).to_pylist()):
            agree = micro is None if ticks is None else micro == (ticks - TICKS_FROM_YEAR_1_TO_1970) // 10
            require(agree, f"{path}: {column['name']}: {micro} and {ticks} ticks differ")


def blob_columns(table):
    return [column for column in table["columns"] if column["companions"]["content_sha256"]]


def check_with_pyarrow(bundle, table, path):
    """Every value hashed; gives {key: {column: hash}} and the names that go with the hashes."""
    rows = pq.read_table(bundle / path)
    check_times(rows, table, path)
    keys = [key if isinstance(key, uuid.UUID) else uuid.UUID(bytes=key)
            for key in rows.column(table["key_column"]).to_pylist()]
    names = rows.column("name").to_pylist() if "name" in rows.column_names else [None] * len(keys)
    found, blobs = {key: {} for key in keys}, []
    for column in blob_columns(table):
        companions = column["companions"]
        values = rows.column(column["name"]).to_pylist()
        hashes = rows.column(companions["content_sha256"]).to_pylist()
        references = rows.column(companions["blob_ref"]).to_pylist()
        for key, name, value, claimed, reference in zip(keys, names, values, hashes, references):
            if reference is not None:
                require(value is None, f"{path}: {key}: a value stands both in the part and in blob/")
                value = stored_blob(bundle, table, reference)
            actual = None if value is None else sha256_hex(value)
            require(actual == (claimed.hex() if claimed else None), f"{path}: {key}: the content hash is wrong")
            found[key][column["name"]] = None if reference else actual
            if actual:
                blobs.append((name, actual))
    return found, blobs


def check_with_duckdb(bundle, table, path, expected):
    """DuckDB reads the same keys, as UUIDs, and computes the same hashes."""
    connection = duckdb.connect()
    quoted = ['"' + column["name"].replace('"', '""') + '"' for column in blob_columns(table)]
    key = '"' + table["key_column"].replace('"', '""') + '"'
    hashes = "".join(f", sha256({name})" for name in quoted)
    rows = connection.execute(f"SELECT {key}{hashes} FROM read_parquet(?)", [str(bundle / path)]).fetchall()
    require(len(rows) == len(expected), f"{path}: DuckDB reads {len(rows)} rows, pyarrow {len(expected)}")
    for row in rows:
        require(isinstance(row[0], uuid.UUID), f"{path}: DuckDB reads the key as {type(row[0])}")
        require(tuple(expected[row[0]].values()) == row[1:], f"{path}: {row[0]}: DuckDB computes another hash")


def check_tombstones(bundle, table, file):
    rows = pq.read_table(bundle / file["path"])
    require(rows.num_rows == file["rows"], f"{file['path']}: {rows.num_rows} rows, {file['rows']} are claimed")
    require(rows.column("DeltaModifiedOn").null_count == 0, f"{file['path']}: a tombstone without a time")
    reasons = set(rows.column("DeltaReason").to_pylist())
    require(reasons <= {"Deleted", "LeftScope"}, f"{file['path']}: a tombstone for another reason: {reasons}")


def check_table(bundle, table):
    """All parts of one table; gives rows, and the blobs as (name, hash)."""
    total, blobs = 0, []
    for file in table["files"]:
        path = file["path"]
        require((bundle / path).stat().st_size == file["bytes"], f"{path}: not of the size in manifest.json")
        if file["role"] == "tombstones":
            check_tombstones(bundle, table, file)
        if file["role"] != "rows":
            continue
        found, found_blobs = check_with_pyarrow(bundle, table, path)
        require(len(found) == file["rows"], f"{path}: {len(found)} keys, {file['rows']} rows are claimed")
        check_with_duckdb(bundle, table, path, found)
        total += len(found)
        blobs += found_blobs
    counts = table["counts"]
    claimed = counts["roots"] + counts["missing_parents"] + counts["children"]
    require(total == claimed, f"{table['name']}: {total} rows, the counts of manifest.json say {claimed}")
    return total, blobs


def check_against_files(blobs, folder):
    """Every blob of a full load is a file of the folder, and most files are blobs."""
    planted = {(path.name, sha256_hex(path.read_bytes())) for path in folder.rglob("*") if path.is_file()}
    strangers = [blob for blob in blobs if blob not in planted]
    require(not strangers, f"{len(strangers)} blobs are no file of {folder}: {strangers[:3]}")
    require(2 * len(set(blobs)) > len(planted), f"only {len(set(blobs))} of {len(planted)} files came")
    return len(set(blobs)), len(planted)


def check_bundle(bundle, is_demo):
    check_files(bundle)
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    require(not (is_demo and manifest["failed_tables"]), f"tables failed: {manifest['failed_tables']}")
    full = []
    for table in manifest["tables"]:
        rows, blobs = check_table(bundle, table)
        print(f"  {table['name']}: {rows} rows, {len(blobs)} blobs equal by pyarrow and DuckDB")
        if table["window"]["watermark_before"] is None:
            full += blobs
    return full


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=pathlib.Path)
    parser.add_argument("--files", type=pathlib.Path)
    args = parser.parse_args()
    bundles = sorted(path for path in args.bundles.iterdir() if path.suffix == ".bundle")
    try:
        require(bundles, f"there is no bundle in {args.bundles}")
        full = []
        for bundle in bundles:
            print(f"{bundle.name}: bagit.py and sha256sum agree", flush=True)
            full += check_bundle(bundle, is_demo=args.files is not None)
        if args.files:
            require(full, "there is no full load among the bundles")
            came, planted = check_against_files(full, args.files)
            print(f"full load: {came} of {planted} files of {args.files} came, each equal in name and content")
    except Wrong as wrong:
        print(f"WRONG: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
