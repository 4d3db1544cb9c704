-- The value of the latest row of each key over a folder with the bundles of one chain, also where bundles leave out known content.
-- DuckDB, called in that folder:
--
--     duckdb < whole_duckdb.sql
--
-- A value that a row leaves out is in another row of the same key with the same hash. A value in a file of `blob/` is not read:
-- blob_file names the file. In a table with several blob columns, hash and reference have the name of their column behind them.
-- The rules are those of manifests/FORMAT.md, sections 4 and 5; tests/interop/check_lake.py runs this
-- file.
WITH parts AS (
    SELECT *, false AS tombstone, false AS deleted, filename.regexp_replace('[^/]*$', '') AS folder
    FROM read_parquet('*.bundle/data/t*-ReferralAttachment/part-*.parquet', filename = true, union_by_name = true)
), versions AS (
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, DeltaContentSha256, tombstone, deleted
    FROM parts
    UNION ALL BY NAME
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, true AS tombstone,
        DeltaReason = 'Deleted' AS deleted
    FROM read_parquet('*.bundle/data/t*-ReferralAttachment/deletes-*.parquet', union_by_name = true)
), latest AS (
    SELECT * FROM versions
    QUALIFY row_number() OVER (
        PARTITION BY stream_id
        ORDER BY DeltaModifiedOn__ticks DESC NULLS LAST, deleted DESC, DeltaRunStartedAt__ticks DESC, DeltaRunId DESC,
            tombstone DESC
    ) = 1
), held AS (
    SELECT stream_id, DeltaContentSha256, any_value(file_stream) AS file_stream,
        any_value(folder || DeltaBlobRef) FILTER (DeltaBlobRef LIKE 'blob/%') AS blob_file
    FROM parts
    WHERE DeltaBlobRef LIKE 'blob/%' OR from_hex(sha256(file_stream)) = DeltaContentSha256
    GROUP BY stream_id, DeltaContentSha256
)
SELECT stream_id, DeltaContentSha256, file_stream, blob_file
FROM latest LEFT JOIN held USING (stream_id, DeltaContentSha256) WHERE NOT tombstone;
