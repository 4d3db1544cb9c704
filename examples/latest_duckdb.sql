-- The latest row of each key over a folder with the bundles of one chain, without the blobs. DuckDB, called in that folder:
--
--     duckdb < latest_duckdb.sql
--
-- A table with several blob columns has a hash of each, DeltaContentSha256_<column>: COLUMNS takes them all.
-- The rules are those of manifests/FORMAT.md, section 5; tests/interop/check_lake.py runs this file.
WITH versions AS (
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, COLUMNS('^DeltaContentSha256'),
        false AS tombstone, false AS deleted, filename
    FROM read_parquet('*.bundle/data/t*-ReferralAttachment/part-*.parquet', filename = true, union_by_name = true)
    UNION ALL BY NAME
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, true AS tombstone,
        DeltaReason = 'Deleted' AS deleted, filename
    FROM read_parquet('*.bundle/data/t*-ReferralAttachment/deletes-*.parquet', filename = true, union_by_name = true)
), latest AS (
    SELECT * FROM versions
    QUALIFY row_number() OVER (
        PARTITION BY stream_id
        ORDER BY DeltaModifiedOn__ticks DESC NULLS LAST, deleted DESC, DeltaRunStartedAt__ticks DESC, DeltaRunId DESC,
            tombstone DESC
    ) = 1
)
SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunId, COLUMNS('^DeltaContentSha256'), filename FROM latest WHERE NOT tombstone;
