-- Rule 6: keys with a metadata row in the window that no run of this scope takes. A key that has
-- another row in scope is taken, and not counted as out of scope or without business unit.
WITH InWindow AS MATERIALIZED (
    SELECT
        m.{MetadataIdColumn} AS stream_id,
        max({InScope}) AS IsInScope,
        max({BusinessUnit} IS NOT NULL) AS HasBusinessUnit
    FROM {MetadataTable} AS m
    WHERE m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd
    GROUP BY m.{MetadataIdColumn}
)
SELECT
    coalesce(sum(NOT IsInScope AND HasBusinessUnit AND @BusinessUnitId IS NULL), 0) AS OutOfScope,
    coalesce(sum(NOT IsInScope AND NOT HasBusinessUnit AND @BusinessUnitId IS NULL), 0) AS WithoutBusinessUnit,
    coalesce(sum(IsInScope AND (
        stream_id = @ExcludedStreamId
        OR EXISTS (SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = w.stream_id)
    )), 0) AS Excluded,
    -- From those that lie in the future, which are few, and not by the last stamp of every key.
    coalesce(sum(IsInScope AND stream_id IN (
        SELECT m.{MetadataIdColumn} FROM {MetadataTable} AS m
        WHERE m.{MetadataModifiedOnCol} >= @RunStart AND {InScope}
    )), 0) AS Future
FROM InWindow AS w;
