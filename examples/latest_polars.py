# The latest row of each key over a folder with the bundles of one chain, without the blobs. Polars, called in that folder.
# The rules are those of manifests/FORMAT.md, section 5; tests/interop/check_lake.py runs this file.

import polars as pl

rank = ["DeltaModifiedOn__ticks", "deleted", "DeltaRunStartedAt__ticks", "DeltaRunId", "tombstone"]
ranked = ["stream_id", "DeltaModifiedOn__ticks", "DeltaRunStartedAt__ticks", "DeltaRunId"]
folder = "*.bundle/data/t*-ReferralAttachment/"
rows = pl.scan_parquet(folder + "part-*.parquet", include_file_paths="filename")
deletes = pl.scan_parquet(folder + "deletes-*.parquet", include_file_paths="filename")
versions = pl.concat(
    [
        rows.select(*ranked, "DeltaContentSha256", "filename", tombstone=pl.lit(False), deleted=pl.lit(False)),
        deletes.select(
            *ranked, "filename", tombstone=pl.lit(True), deleted=pl.col("DeltaReason") == "Deleted"
        ),
    ],
    how="diagonal",
)
latest = (
    versions.sort(rank, descending=True, nulls_last=True)
    .unique("stream_id", keep="first", maintain_order=True)
    .filter(~pl.col("tombstone"))
    .select("stream_id", "DeltaModifiedOn__ticks", "DeltaRunId", "DeltaContentSha256", "filename")
    .collect()
)
