# The value of the latest row of each key over a folder with the bundles of one chain, also where bundles leave out known content.
# Polars, called in that folder. A value that a row leaves out is in another row of the same key with the same hash. A value in a
# file of `blob/` is not read: blob_file names the file. In a table with several blob columns, hash and reference have the name of
# their column behind them.
# The rules are those of manifests/FORMAT.md, sections 4 and 5; tests/interop/check_lake.py runs this file.

import hashlib
from glob import glob

import polars as pl

rank = ["DeltaModifiedOn__ticks", "deleted", "DeltaRunStartedAt__ticks", "DeltaRunId", "tombstone"]
ranked = ["stream_id", "DeltaModifiedOn__ticks", "DeltaRunStartedAt__ticks", "DeltaRunId"]


def scan(names):
    files = sorted(glob(f"*.bundle/data/t*-ReferralAttachment/{names}"))
    return pl.concat([pl.scan_parquet(file, include_file_paths="filename") for file in files], how="diagonal_relaxed")


rows = scan("part-*.parquet")
deletes = scan("deletes-*.parquet")
versions = pl.concat(
    [
        rows.select(*ranked, "DeltaContentSha256", tombstone=pl.lit(False), deleted=pl.lit(False)),
        deletes.select(*ranked, tombstone=pl.lit(True), deleted=pl.col("DeltaReason") == "Deleted"),
    ],
    how="diagonal",
)
latest = (
    versions.sort(rank, descending=True, nulls_last=True)
    .unique("stream_id", keep="first", maintain_order=True)
    .filter(~pl.col("tombstone"))
)
is_in_blob = pl.col("DeltaBlobRef").str.starts_with("blob/").fill_null(False)
sha256 = pl.col("file_stream").map_elements(lambda value: hashlib.sha256(value).digest(), return_dtype=pl.Binary)
held = (
    rows.filter(is_in_blob | (sha256 == pl.col("DeltaContentSha256")))
    .select(
        "stream_id",
        "DeltaContentSha256",
        "file_stream",
        blob_file=pl.when(is_in_blob).then(pl.col("filename").str.replace("[^/]*$", "") + pl.col("DeltaBlobRef")),
    )
    .unique(["stream_id", "DeltaContentSha256"], keep="any")
)
whole = (
    latest.join(held, on=["stream_id", "DeltaContentSha256"], how="left")
    .select("stream_id", "DeltaContentSha256", "file_stream", "blob_file")
    .collect()
)
