-- name: complete_table
-- The watermark never goes backwards.
UPDATE BlobDeltaRunTable SET Status = 'Completed', Counts = ?3, CompletedAt = ?4,
    WatermarkAfter = max(WindowEnd, coalesce(WatermarkBefore, WindowEnd))
WHERE RunId = ?1 AND TableName = ?2

-- name: odd_depth
-- A row of the slice that does not stand one below its parent.
SELECT {ToId(}c.{KeyColumn}{)ToId} FROM {TargetTable} AS c INNER JOIN {TargetTable} AS p
    ON p.{KeyColumn} = c.DeltaParentKey
WHERE c.DeltaDepth <> p.DeltaDepth + 1 LIMIT 1

-- name: mend_depths
UPDATE {TargetTable} AS c SET DeltaDepth = p.DeltaDepth + 1 FROM {TargetTable} AS p
WHERE p.{KeyColumn} = c.DeltaParentKey AND c.DeltaDepth <> p.DeltaDepth + 1

-- name: sum_up
SELECT coalesce(sum(State IS NULL), 0), coalesce(sum(State = 'Copied'), 0), coalesce(sum(State = 'Gone'), 0)
FROM BlobDeltaWindowQueue WHERE RunId = ?1 AND TableName = ?2

-- name: slice_counts
-- What the slice holds. Late are rows of steps 1 and 3 before the window: pending keys, and
-- stamps that went back.
SELECT
    coalesce(sum(t.DeltaStep = 1), 0),
    coalesce(sum(t.DeltaStep = 2), 0),
    coalesce(sum(t.DeltaStep = 3), 0),
    coalesce(sum(t.DeltaEarly), 0),
    coalesce(sum(t.DeltaStep <> 2 AND (t.DeltaModifiedOn IS NULL OR t.DeltaModifiedOn < @WindowStart)), 0),
    -- Rule 14: a tombstone wins a tie, and no stamp is least.
    (
        SELECT count(*) FROM {SliceSchema}.BlobDeltaDeletion AS d
        INNER JOIN {TargetTable} AS o ON o.{KeyColumn} = {ToKey(}d.stream_id{)ToKey}
        WHERE d.TableName = @TableName AND (o.DeltaModifiedOn IS NULL OR o.DeltaModifiedOn <= d.DeletedOn)
    )
FROM {TargetTable} AS t;

-- name: move_watermark
-- The first load is done where no part of it is left.
UPDATE BlobDeltaHighWatermark SET LastRunId = ?2, LastRunCompletedAt = ?3,
    IsInitialFullLoadDone = max(IsInitialFullLoadDone, EXISTS (
        SELECT 1 FROM BlobDeltaRunTable AS t INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
        WHERE t.RunId = ?2 AND t.TableName = ?1 AND t.WindowEnd >= t.WindowGoal AND r.WindowUntil IS NULL)),
    LastHighWaterModifiedOn = max(?4, coalesce(LastHighWaterModifiedOn, ?4)) WHERE TableName = ?1

-- name: away_units
UPDATE BlobDeltaBusinessUnitWatermark SET IsKnownToAllRuns = 0 WHERE TableName = ?1
    AND BusinessUnitId NOT IN (
        SELECT u.{BusinessUnitIdColumn} FROM {BusinessUnitTable} AS u WHERE u.{BusinessUnitIdColumn} IS NOT NULL)

-- name: known_units
INSERT INTO BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, IsKnownToAllRuns)
SELECT ?1, u.{BusinessUnitIdColumn}, 1 FROM {BusinessUnitTable} AS u WHERE true
ON CONFLICT (TableName, BusinessUnitId) DO UPDATE SET IsKnownToAllRuns = 1

-- name: move_unit_watermark
INSERT INTO BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, LastHighWaterModifiedOn, LastRunId,
    LastRunCompletedAt)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (TableName, BusinessUnitId) DO UPDATE SET LastRunId = ?4,
    LastRunCompletedAt = ?5, LastHighWaterModifiedOn = max(?3, coalesce(LastHighWaterModifiedOn, ?3))

-- name: log_failure
UPDATE BlobDeltaRunTable SET
    LastError = CASE WHEN Status = 'Completed' THEN coalesce(LastError, ?4) ELSE ?4 END,
    Status = CASE WHEN Status IN ('Completed', 'GivenUp') THEN Status ELSE ?3 END
WHERE RunId = ?1 AND TableName = ?2

-- name: log_failed_step
INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
    WindowStart, WindowEnd, BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
SELECT ?1, ?2, 0, coalesce(max(s.BatchNumber), 0) + 1, 0, 0, t.WindowStart, t.WindowEnd, ?3, ?3, ?4, ?5
FROM BlobDeltaRunTable AS t
LEFT JOIN BlobDeltaRunStep AS s ON s.RunId = ?1 AND s.TableName = ?2 AND s.StepNumber = 0
WHERE t.RunId = ?1 AND t.TableName = ?2
