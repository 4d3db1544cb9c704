-- The value of the latest row of each key over a folder with the bundles of one chain, also where bundles leave out known content.
-- Spark SQL (4.3), called in that folder. A value that a row leaves out is in another row of the same key with the same hash. A value
-- in a file of `blob/` is not read: blob_file names the file. In a table with several blob columns, hash and reference have the name
-- of their column behind them.
--
-- Spark has no UUID among its types. So columns are declared, and those that are not needed are left out: `uniqueidentifier`
-- as `BINARY`, `time` not at all. The rules are those of manifests/FORMAT.md, sections 4 and 5.
-- tests/interop/check_lake.py runs this file.
CREATE OR REPLACE TEMPORARY VIEW parts (
    stream_id BINARY, DeltaModifiedOn__ticks BIGINT, DeltaRunStartedAt__ticks BIGINT, DeltaRunId BINARY,
    file_stream BINARY, DeltaContentSha256 BINARY, DeltaBlobRef STRING
) USING parquet OPTIONS (path '*.bundle/data/t*-ReferralAttachment/part-*.parquet');
CREATE OR REPLACE TEMPORARY VIEW deletes (
    stream_id BINARY, DeltaModifiedOn__ticks BIGINT, DeltaRunStartedAt__ticks BIGINT, DeltaRunId BINARY, DeltaReason STRING
) USING parquet OPTIONS (path '*.bundle/data/t*-ReferralAttachment/deletes-*.parquet');
WITH versions AS (
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, DeltaContentSha256,
        false AS tombstone, false AS deleted FROM parts
    UNION ALL
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, CAST(NULL AS BINARY),
        true AS tombstone, DeltaReason = 'Deleted' AS deleted FROM deletes
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY stream_id
        ORDER BY DeltaModifiedOn__ticks DESC NULLS LAST, deleted DESC, DeltaRunStartedAt__ticks DESC, DeltaRunId DESC,
            tombstone DESC
    ) AS place
    FROM versions
), latest AS (
    SELECT * FROM ranked WHERE place = 1 AND NOT tombstone
), held AS (
    SELECT stream_id, DeltaContentSha256, first(file_stream) AS file_stream, first(blob_file) AS blob_file
    FROM (
        SELECT stream_id, DeltaContentSha256, file_stream,
            CASE WHEN DeltaBlobRef LIKE 'blob/%'
                THEN concat(regexp_replace(input_file_name(), '[^/]*$', ''), DeltaBlobRef) END AS blob_file
        FROM parts
        WHERE DeltaBlobRef LIKE 'blob/%' OR unhex(sha2(file_stream, 256)) = DeltaContentSha256
    )
    GROUP BY stream_id, DeltaContentSha256
)
SELECT latest.stream_id, latest.DeltaContentSha256, held.file_stream, held.blob_file
FROM latest LEFT JOIN held
    ON held.stream_id = latest.stream_id AND held.DeltaContentSha256 = latest.DeltaContentSha256;
