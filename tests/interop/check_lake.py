#!/usr/bin/env python3
"""The queries in examples/ give what the four rules of manifests/FORMAT.md, section 5, say, and what a compaction gives; and
the values of these rows, also where bundles leave them out.

    check_lake.py BUNDLES COMPACTED [--leaves-out] [--engine duckdb] [--engine polars] [--engine spark]

BUNDLES holds the *.bundle folders of one chain of the demo's ReferralAttachment, with deletions; COMPACTED the one that
`blobdelta compact` made of them. Columns may change between them, and there may be several with blobs. The engines are
DuckDB and Polars unless named; Spark needs pyspark and Java.
"""

import argparse
import hashlib
import os
import pathlib
import sys

import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).parents[2]
ENGINES = {"duckdb": "sql", "polars": "py", "spark": "sql"}
QUERIES = {(what, engine): ROOT / "examples" / f"{what}_{engine}.{kind}"
           for what in ("latest", "whole") for engine, kind in ENGINES.items()}
RANK = ["stream_id", "DeltaModifiedOn__ticks", "DeltaRunStartedAt__ticks", "DeltaRunId"]


def raw(value):
    """A GUID or hash as every engine can give it."""
    return value if value is None else bytes(getattr(value, "bytes", value))


HASH = "DeltaContentSha256"


def rows_of(path):
    names = pq.read_schema(path).names
    wanted = [name for name in names if name in (*RANK, "DeltaReason") or name.startswith(HASH)]
    return pq.read_table(path, columns=wanted).to_pylist()


def hashes_of(row):
    """The hashes of a row's values. A column's has another name once there are several columns with blobs."""
    return tuple(sorted(raw(value) for name, value in row.items() if name.startswith(HASH) and value is not None))


def by_the_rules(folder):
    """{key: (stamp, run, content hashes)} of the rows that win, and how many tombstones there were."""
    best, tombstones = {}, 0
    for kind, is_tombstone in [("part", False), ("deletes", True)]:
        for path in sorted(folder.glob(f"*.bundle/data/t*-ReferralAttachment/{kind}-*.parquet")):
            for row in rows_of(path):
                key, modified, started, run = (row[name] for name in RANK)
                tombstones += is_tombstone
                is_deleted = row.get("DeltaReason") == "Deleted"
                rank = (modified is not None, modified or 0, is_deleted, started, raw(run), is_tombstone)
                if raw(key) not in best or best[raw(key)][0] < rank:
                    best[raw(key)] = (rank, (modified, raw(run), hashes_of(row)))
    return {key: found for key, (rank, found) in best.items() if not rank[-1]}, tombstones


def answer(row):
    return row["DeltaModifiedOn__ticks"], raw(row["DeltaRunId"]), hashes_of(row)


def unrun():
    """Files that print a query over parts, beside those that are run here."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "examples").iterdir()]
    pages += [page for folder in ("docs", "sql", "manifests") for page in (ROOT / folder).glob("**/*.md")]
    calls = ("read_parquet", "scan_parquet", "QUALIFY", "USING parquet")
    printed = [page for page in pages if page.is_file() and any(call in page.read_text("utf-8") for call in calls)]
    return [page for page in printed if page not in QUERIES.values()]


def query(what, engine):
    return QUERIES[what, engine].read_text("utf-8")


def duckdb(what):
    import duckdb as engine

    found = engine.connect().execute(query(what, "duckdb"))
    names = [about[0] for about in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def polars(what):
    names = {}
    exec(query(what, "polars"), names)
    return names[what].to_dicts()


def spark(what):
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    # As the file says: the hashes of all columns with blobs are declared.
    declared = ", ".join(f"{name} BINARY" for name in sorted(beside(HASH)))
    for statement in filter(str.strip, query(what, "spark").replace(f"{HASH} BINARY", declared).split(";")):
        found = session.sql(statement.replace("path '", f"path '{os.getcwd()}/"))
    return [row.asDict() for row in found.collect()]


def parts():
    return pathlib.Path().glob("*.bundle/data/t*-ReferralAttachment/part-*.parquet")


def beside(prefix):
    """The names of the fields that begin so."""
    return {name for path in parts() for name in pq.read_schema(path).names if name.startswith(prefix)}


def left_out():
    """How many values the rows leave out."""
    names = [(path, [name for name in pq.read_schema(path).names if name.startswith("DeltaBlobRef")]) for path in parts()]
    rows = [row for path, columns in names for row in pq.read_table(path, columns=columns).to_pylist()]
    return sum((reference or "").startswith("known/") for row in rows for reference in row.values())


def wrong_values(engine, rows, due):
    """Every row that is due has its value: here, or in a file that is there."""
    found = {raw(row["stream_id"]): row for row in rows}
    wrong = [] if found.keys() == due.keys() else [f"{engine}: other rows are whole than are the latest"]
    for key, row in found.items():
        (value, file), hashes = (row["file_stream"], row["blob_file"]), hashes_of(row)
        if file is not None:
            is_right = pathlib.Path(file.removeprefix("file://")).is_file() and value is None
        else:
            is_right = hashes == (() if value is None else (hashlib.sha256(value).digest(),))
        if not is_right or hashes != due.get(key, (None, None, None))[2]:
            wrong.append(f"{engine}: the value of {key.hex()}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundles", type=pathlib.Path)
    parser.add_argument("compacted", type=pathlib.Path)
    parser.add_argument("--leaves-out", action="store_true", help="some values have to be left out")
    parser.add_argument("--engine", action="append", choices=list(ENGINES))
    args = parser.parse_args()
    if printed := unrun():
        print(f"WRONG: queries that are not run here: {printed}", file=sys.stderr)
        return 1
    due, tombstones = by_the_rules(args.bundles)
    compacted = {}
    for path in args.compacted.glob("*.bundle/data/t*-ReferralAttachment/part-*.parquet"):
        for row in rows_of(path):
            compacted[raw(row["stream_id"])] = answer(row)
    os.chdir(args.bundles)
    answers, wrong = {"compact": compacted}, []
    for engine in args.engine or ["duckdb", "polars"]:
        answers[engine] = {raw(row["stream_id"]): answer(row) for row in globals()[engine]("latest")}
        # Of one column with blobs, as the files say.
        if beside(HASH) == {HASH}:
            wrong += wrong_values(engine, globals()[engine]("whole"), due)
    wrong += [name for name, found in answers.items() if found != due]
    if args.leaves_out and not left_out():
        wrong.append("nothing is left out")
    if wrong or not due or not tombstones:
        print(f"WRONG: {wrong}; {len(due)} rows and {tombstones} tombstones by the rules", file=sys.stderr)
        return 1
    print(f"{len(due)} rows are the latest, by the rules and by {', '.join(answers)}; {left_out()} values are left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
