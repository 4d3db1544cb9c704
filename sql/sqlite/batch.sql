-- name: too_deep
-- A row of the batch whose parent stands too deep, and that parent.
SELECT b.stream_id, p.ParentKey FROM temp."#Parents" AS p CROSS JOIN temp."#Batch" AS b
    ON b.ParentPath = p.ParentPath WHERE p.Depth >= ?1 LIMIT 1

-- name: place_below_parents
-- Parent and depth of each row of the batch.
UPDATE temp."#Batch" AS b SET (ParentKey, Depth) = (
    SELECT p.ParentKey, p.Depth FROM temp."#Parents" AS p WHERE p.ParentPath = b.ParentPath)
WHERE ParentPath IS NOT NULL

-- name: log_batch
-- A batch in the log of its run, with the rows of its step so far.
INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
    WindowStart, WindowEnd, BatchStartedAt, BatchCompletedAt, Status)
SELECT ?1, ?2, ?3, coalesce(max(BatchNumber), 0) + 1, ?4,
    ?4 + coalesce((SELECT TotalRowsProcessed FROM BlobDeltaRunStep
        WHERE RunId = ?1 AND TableName = ?2 AND StepNumber = ?3 ORDER BY BatchNumber DESC LIMIT 1), 0),
    ?5, ?6, ?7, ?8, 'Completed'
FROM BlobDeltaRunStep WHERE RunId = ?1 AND TableName = ?2 AND StepNumber = ?3

-- name: refresh_parents
UPDATE {TargetTable} AS t SET DeltaParentKey = (
    SELECT min(s.{KeyColumn}) FROM {SourceTable} AS s WHERE s.{PathColumn} = t.{ParentPathColumn})
WHERE t.DeltaParentKey IS NULL AND t.{ParentPathColumn} IS NOT NULL
    AND EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{PathColumn} = t.{ParentPathColumn})

-- name: has_orphans
SELECT EXISTS (SELECT 1 FROM {TargetTable} AS t
    WHERE t.DeltaParentKey IS NULL AND t.{ParentPathColumn} IS NOT NULL)

-- name: rows_above
-- The ids of a row and of 512 rows above it, in that order: in a cycle, some of them more than once.
WITH RECURSIVE Up (Turn, AtKey) AS (
    SELECT 0, @At
    UNION ALL
    SELECT u.Turn + 1, {ToId(}(
        SELECT min(p.{KeyColumn}) FROM {SourceTable} AS s CROSS JOIN {SourceTable} AS p
        ON p.{PathColumn} = s.{ParentPathColumn} WHERE s.{KeyColumn} = {ToKey(}u.AtKey{)ToKey}
    ){)ToId}
    FROM Up AS u
    WHERE u.Turn < 512 AND u.AtKey IS NOT NULL
)
SELECT u.AtKey FROM Up AS u WHERE u.AtKey IS NOT NULL ORDER BY u.Turn;
