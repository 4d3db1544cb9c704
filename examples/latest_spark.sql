-- The latest row of each key over a folder with the bundles of one chain, without the blobs. Spark SQL (4.3), called in that
-- folder. It is the way for more than one machine holds.
--
-- Spark has no UUID among its types. So columns are declared, and those that are not needed are left out: `uniqueidentifier`
-- as `BINARY`, `time` not at all. A table with several blob columns has a hash of each, DeltaContentSha256_<column>: declare them
-- all in both views, and DeltaContentSha256 too if there was only one before. A column that a file lacks is NULL, so this works
-- across changes of columns.
-- The rules are those of manifests/FORMAT.md, section 5, and tests/interop/check_lake.py runs this file.
CREATE OR REPLACE TEMPORARY VIEW parts (
    stream_id BINARY, DeltaModifiedOn__ticks BIGINT, DeltaRunStartedAt__ticks BIGINT, DeltaRunId BINARY, DeltaReason STRING,
    DeltaContentSha256 BINARY
) USING parquet OPTIONS (path '*.bundle/data/t*-ReferralAttachment/part-*.parquet');
CREATE OR REPLACE TEMPORARY VIEW deletes (
    stream_id BINARY, DeltaModifiedOn__ticks BIGINT, DeltaRunStartedAt__ticks BIGINT, DeltaRunId BINARY, DeltaReason STRING,
    DeltaContentSha256 BINARY
) USING parquet OPTIONS (path '*.bundle/data/t*-ReferralAttachment/deletes-*.parquet');
WITH versions AS (
    SELECT *, false AS tombstone, false AS deleted, input_file_name() AS filename FROM parts
    UNION ALL
    SELECT *, true AS tombstone, DeltaReason = 'Deleted' AS deleted, input_file_name() AS filename FROM deletes
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY stream_id
        ORDER BY DeltaModifiedOn__ticks DESC NULLS LAST, deleted DESC, DeltaRunStartedAt__ticks DESC, DeltaRunId DESC,
            tombstone DESC
    ) AS place
    FROM versions
)
SELECT * EXCEPT (DeltaRunStartedAt__ticks, DeltaReason, tombstone, deleted, place) FROM ranked WHERE place = 1 AND NOT tombstone;
