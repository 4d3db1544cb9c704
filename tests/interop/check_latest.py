#!/usr/bin/env python3
"""The query of manifests/FORMAT.md, section 5, gives what its four rules say.

    check_latest.py BUNDLES

BUNDLES holds the *.bundle folders of one chain of the demo's ReferralAttachment, with deletions.
"""

import os
import pathlib
import sys

import duckdb
import pyarrow.parquet as pq

PAGE = pathlib.Path(__file__).parents[2] / "manifests" / "FORMAT.md"
COLUMNS = ["stream_id", "DeltaModifiedOn__ticks", "DeltaRunStartedAt__ticks", "DeltaRunId"]


def latest_by_the_rules():
    """{key: bundle} of the rows that win."""
    best = {}
    for kind, is_tombstone in [("part", False), ("deletes", True)]:
        for path in sorted(pathlib.Path().glob(f"*.bundle/data/t*-ReferralAttachment/{kind}-*.parquet")):
            for row in pq.read_table(path, columns=COLUMNS).to_pylist():
                key, modified, started, run = (row[name] for name in COLUMNS)
                rank = (modified is not None, modified or 0, is_tombstone, started, run.bytes)
                if key not in best or best[key][0] < rank:
                    best[key] = (rank, path.parts[0])
    return {key: bundle for key, (rank, bundle) in best.items() if not rank[2]}


def main():
    query = PAGE.read_text("utf-8").split("```sql\n")[1].split("```")[0]
    os.chdir(sys.argv[1])
    due = latest_by_the_rules()
    found = {key: pathlib.Path(path).parts[0] for key, path in duckdb.connect().execute(query).fetchall()}
    if not due or found != due:
        print(f"WRONG: the query gives {len(found)} rows, the rules {len(due)}", file=sys.stderr)
        return 1
    print(f"{len(found)} rows are the latest, by the query and by the rules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
