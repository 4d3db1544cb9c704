# The latest row of each key over a folder with the bundles of one chain, without the blobs. Polars, called in that folder.
#
# Columns of the table may change from bundle to bundle: "diagonal_relaxed" has those of all, and the wider of two types. A table
# with several blob columns has a hash of each, DeltaContentSha256_<column>: the pattern takes them all.
# The rules are those of manifests/FORMAT.md, section 5; tests/interop/check_lake.py runs this file.

from glob import glob

import polars as pl

rank = ["DeltaModifiedOn__ticks", "deleted", "DeltaRunStartedAt__ticks", "DeltaRunId", "tombstone"]
ranked = ["stream_id", "DeltaModifiedOn__ticks", "DeltaRunStartedAt__ticks", "DeltaRunId"]
hashes = pl.col("^DeltaContentSha256.*$")


def scan(names):
    files = sorted(glob(f"*.bundle/data/t*-ReferralAttachment/{names}"))
    return pl.concat([pl.scan_parquet(file, include_file_paths="filename") for file in files], how="diagonal_relaxed")


rows = scan("part-*.parquet").select(*ranked, hashes, "filename", tombstone=pl.lit(False), deleted=pl.lit(False))
deletes = scan("deletes-*.parquet").select(
    *ranked, "filename", tombstone=pl.lit(True), deleted=pl.col("DeltaReason") == "Deleted"
)
latest = (
    pl.concat([rows, deletes], how="diagonal")
    .sort(rank, descending=True, nulls_last=True)
    .unique("stream_id", keep="first", maintain_order=True)
    .filter(~pl.col("tombstone"))
    .select("stream_id", "DeltaModifiedOn__ticks", "DeltaRunId", hashes, "filename")
    .collect()
)
