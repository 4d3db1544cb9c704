#!/usr/bin/env python3
"""The queries in examples/ give what the four rules of manifests/FORMAT.md, section 5, say, and what a compaction gives.

    check_lake.py BUNDLES COMPACTED [--engine duckdb] [--engine polars] [--engine spark]

BUNDLES holds the *.bundle folders of one chain of the demo's ReferralAttachment, with deletions; COMPACTED the one that
`blobdelta compact` made of them. Columns may change between them, and there may be several with blobs. The engines are DuckDB and Polars unless named; Spark needs pyspark and Java.
"""

import argparse
import os
import pathlib
import sys

import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).parents[2]
QUERIES = {engine: ROOT / "examples" / name for engine, name in [
    ("duckdb", "latest_duckdb.sql"), ("polars", "latest_polars.py"), ("spark", "latest_spark.sql"),
]}
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


def query(engine):
    return QUERIES[engine].read_text("utf-8")


def duckdb():
    import duckdb as engine

    found = engine.connect().execute(query("duckdb"))
    names = [about[0] for about in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def polars():
    names = {}
    exec(query("polars"), names)
    return names["latest"].to_dicts()


def spark():
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    # As the file says: the hashes of all columns with blobs are declared.
    names = {name for path in pathlib.Path().glob("*.bundle/data/t*-ReferralAttachment/part-*") for name in pq.read_schema(path).names}
    declared = ", ".join(f"{name} BINARY" for name in sorted(names) if name.startswith(HASH))
    for statement in filter(str.strip, query("spark").replace(f"{HASH} BINARY", declared).split(";")):
        found = session.sql(statement.replace("path '", f"path '{os.getcwd()}/"))
    return [row.asDict() for row in found.collect()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bundles", type=pathlib.Path)
    parser.add_argument("compacted", type=pathlib.Path)
    parser.add_argument("--engine", action="append", choices=["duckdb", "polars", "spark"])
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
    answers = {"compact": compacted}
    for engine in args.engine or ["duckdb", "polars"]:
        answers[engine] = {raw(row["stream_id"]): answer(row) for row in globals()[engine]()}
    wrong = [name for name, found in answers.items() if found != due]
    if wrong or not due or not tombstones:
        print(f"WRONG: {wrong}; {len(due)} rows and {tombstones} tombstones by the rules", file=sys.stderr)
        return 1
    print(f"{len(due)} rows are the latest, by the rules and by {', '.join(answers)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
