-- name: run_after
-- The last run that went on from where this one ended.
SELECT r.RunId FROM BlobDeltaRunTable AS t
INNER JOIN BlobDeltaRunTable AS own ON own.TableName = t.TableName AND own.Scope = t.Scope
INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE own.RunId = ?1 AND own.TableName = ?2 AND t.PreviousRunId = ?1 AND t.Status = 'Completed'
ORDER BY r.RunStartedAt DESC LIMIT 1

-- name: moved
SELECT r.BusinessUnitId, t.WatermarkBefore, t.WatermarkAfter, t.PreviousRunId, t.NewBusinessUnits
FROM BlobDeltaRunTable AS t INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE t.RunId = ?1 AND t.TableName = ?2

-- name: move_watermark_back
UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = ?3, LastRunId = ?4,
    LastRunCompletedAt = (
        SELECT CompletedAt FROM BlobDeltaRunTable WHERE RunId = ?4 AND TableName = ?1
    ),
    IsInitialFullLoadDone = CASE WHEN ?3 IS NULL THEN 0 ELSE IsInitialFullLoadDone END
WHERE TableName = ?1 AND LastHighWaterModifiedOn = ?2

-- name: move_unit_watermark_back
UPDATE BlobDeltaBusinessUnitWatermark SET LastHighWaterModifiedOn = ?3, LastRunId = ?4,
    LastRunCompletedAt = (
        SELECT CompletedAt FROM BlobDeltaRunTable WHERE RunId = ?4 AND TableName = ?1
    )
WHERE TableName = ?1 AND LastHighWaterModifiedOn = ?2 AND BusinessUnitId = ?5

-- name: pend_again
-- Pending keys that the run took.
INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
SELECT q.TableName, ?5, q.stream_id, ?3, ?4, q.IsPending = 2 FROM BlobDeltaWindowQueue AS q
WHERE q.RunId = ?1 AND q.TableName = ?2 AND q.IsPending AND q.State = 'Copied'
UNION ALL
SELECT q.TableName, ?5, q.stream_id, ?3, ?4, q.IsPending = 2 FROM BlobDeltaMissingParentsQueue AS q
WHERE q.RunId = ?1 AND q.TableName = ?2 AND q.IsPending

-- name: reported_again
-- What it told to have left a unit. What was logged to have left all units is due again by the log.
INSERT OR IGNORE INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT t.TableName, t.Scope, t.stream_id, t.DeletedOn, ?4 FROM BlobDeltaReportedDeletion AS t
WHERE t.TableName = ?1 AND t.Scope = ?2 AND t.RunId = ?3 AND NOT t.IsDeletion AND (?4 OR NOT EXISTS (
    SELECT 1 FROM BlobDeltaDeletionLog AS l WHERE l.TableName = t.TableName AND l.stream_id = t.stream_id
        AND l.Reason = 'LeftScope' AND l.BusinessUnit IS NULL))

-- name: reported_in_slice_again
INSERT OR IGNORE INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT TableName, ?2, stream_id, DeletedOn, 1 FROM {Slice}.BlobDeltaDeletion
WHERE TableName = ?1 AND Reason = 'LeftScope'

-- name: unit_is_new_again
UPDATE BlobDeltaBusinessUnitWatermark SET IsKnownToAllRuns = 0
WHERE TableName = ?1 AND BusinessUnitId = ?2

-- name: whole_again
-- What it brought without its blob stands whole where it did.
UPDATE BlobDeltaShippedKey SET IsWhole = 1 WHERE TableName = ?1 AND Scope = ?2 AND stream_id IN (
    SELECT q.stream_id FROM BlobDeltaMissingParentsQueue AS q
    WHERE q.RunId = ?3 AND q.TableName = ?1 AND q.WasWhole)

-- name: unpass_deletions
UPDATE BlobDeltaReportedDeletion SET PassedByRunId = NULL
WHERE TableName = ?1 AND Scope = ?2 AND PassedByRunId = ?3

-- name: empty_marker
UPDATE {Schema}.BlobDeltaSlice SET RunId = NULL, RunStartedAt = NULL, WindowStart = NULL, WindowEnd = NULL,
    State = 'Empty' WHERE TargetTable = ?1 AND RunId = ?2

-- name: unknown_again
-- Content that it brought is known no more.
DELETE FROM BlobDeltaKnownContent WHERE TableName = ?1 AND Scope = ?2 AND RunId = ?3
