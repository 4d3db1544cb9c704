-- name: last_that_binds
SELECT r.RunId, r.RunStartedAt FROM BlobDeltaRun AS r
WHERE r.RunId = ?1
   OR EXISTS (SELECT 1 FROM BlobDeltaRunTable AS t WHERE t.RunId = r.RunId AND t.Status = 'Completed')
   OR EXISTS (SELECT 1 FROM BlobDeltaBundle AS b WHERE b.RunId = r.RunId)
ORDER BY r.RunStartedAt DESC LIMIT 1

-- name: held_back
-- Rule 4: the keys that are stamped between the end of what the run may take and the run's start, deleted by DeletedWhen or not.
INSERT OR IGNORE INTO BlobDeltaHeldBackKey (RunId, TableName, stream_id)
SELECT @RunId, @TableName, {ToId(}m.{MetadataIdColumn}{)ToId}
FROM {MetadataTable} AS m
WHERE {InBuffer} AND {InScopeOrDeleted}
    AND {ToId(}m.{MetadataIdColumn}{)ToId} IS NOT @ExcludedStreamId
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
    );

-- name: begin_slice
UPDATE {Schema}.BlobDeltaSlice SET TableName = ?2, RunId = ?3, RunStartedAt = ?4, WindowStart = ?5,
    WindowEnd = ?6, Scope = ?7, State = 'Filling',
    SourceId = (SELECT SourceId FROM main.BlobDeltaSource) WHERE TargetTable = ?1

-- name: begin_table
UPDATE BlobDeltaRunTable SET Status = 'Running', WindowStart = ?3, WindowEnd = ?4, BufferMinutes = ?5,
    DeletionsFrom = ?6, PreviousRunId = ?7, WatermarkBefore = ?8, WindowGoal = ?9, OneStampRows = ?10, RootsSeq = 0, ChildrenSeq = 0,
    QueuedKeys = NULL WHERE RunId = ?1 AND TableName = ?2

-- name: next_in_queue
SELECT * FROM (SELECT RunId, TableName FROM BlobDeltaWindowQueue
    WHERE RunId = ?1 AND TableName > ?2 ORDER BY RunId, TableName LIMIT 1)
UNION ALL SELECT * FROM (SELECT RunId, TableName FROM BlobDeltaWindowQueue
    WHERE RunId > ?1 ORDER BY RunId, TableName LIMIT 1) LIMIT 1

-- name: drop_held_back
DELETE FROM BlobDeltaHeldBackKey WHERE TableName = ?1 AND RunId IS NOT ?2 AND RunId IN (
    SELECT RunId FROM BlobDeltaRunTable WHERE TableName = ?1 AND Scope = ?3)

-- name: left_again
-- Rules 15 and 17: a run that goes back tells again what left its scope by runs that started since. What has come back is
-- taken out again when the slice completes.
INSERT OR IGNORE INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
SELECT @TableName, t.stream_id, max(t.DeletedOn), @BusinessUnitId, max(r.RunStartedAt), 'LeftScope'
FROM BlobDeltaReportedDeletion AS t
INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE t.TableName = @TableName AND t.Scope = @Scope AND NOT t.IsDeletion AND r.RunStartedAt >= @DeletionsFrom
GROUP BY t.stream_id;

-- name: queued
UPDATE BlobDeltaRunTable SET QueuedKeys = ?3, Counts = ?4, NewBusinessUnits = ?5
WHERE RunId = ?1 AND TableName = ?2

-- name: new_units
-- Rule 12: units in scope now that no completed run over all units has seen.
SELECT u.{BusinessUnitIdColumn}
FROM {BusinessUnitTable} AS u
WHERE NOT EXISTS (
    SELECT 1 FROM BlobDeltaBusinessUnitWatermark AS k
    WHERE k.TableName = @TableName AND k.BusinessUnitId = u.{BusinessUnitIdColumn} AND k.IsKnownToAllRuns
)
ORDER BY u.{BusinessUnitIdColumn};
