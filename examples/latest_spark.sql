-- The latest row of each key over a folder with the bundles of one chain, without the blobs. Spark SQL (4.3), called in that
-- folder. It is the way for more than one machine holds.
--
-- Spark has no UUID among its types. So columns are declared, and those that are not needed are left out: `uniqueidentifier`
-- as `BINARY`, `time` not at all. The rules are those of manifests/FORMAT.md, section 5.
-- tests/interop/check_lake.py runs this file.
CREATE OR REPLACE TEMPORARY VIEW parts (
    stream_id BINARY, DeltaModifiedOn__ticks BIGINT, DeltaRunStartedAt__ticks BIGINT, DeltaRunId BINARY,
    DeltaContentSha256 BINARY
) USING parquet OPTIONS (path '*.bundle/data/t*-ReferralAttachment/part-*.parquet');
CREATE OR REPLACE TEMPORARY VIEW deletes (
    stream_id BINARY, DeltaModifiedOn__ticks BIGINT, DeltaRunStartedAt__ticks BIGINT, DeltaRunId BINARY, DeltaReason STRING
) USING parquet OPTIONS (path '*.bundle/data/t*-ReferralAttachment/deletes-*.parquet');
WITH versions AS (
    SELECT *, false AS tombstone, false AS deleted, input_file_name() AS filename FROM parts
    UNION ALL
    SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunStartedAt__ticks, DeltaRunId, CAST(NULL AS BINARY),
        true AS tombstone, DeltaReason = 'Deleted' AS deleted, input_file_name() AS filename FROM deletes
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY stream_id
        ORDER BY DeltaModifiedOn__ticks DESC NULLS LAST, deleted DESC, DeltaRunStartedAt__ticks DESC, DeltaRunId DESC,
            tombstone DESC
    ) AS place
    FROM versions
)
SELECT stream_id, DeltaModifiedOn__ticks, DeltaRunId, DeltaContentSha256, filename
FROM ranked WHERE place = 1 AND NOT tombstone;
