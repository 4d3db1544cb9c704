-- name: take_lease
UPDATE BlobDeltaHighWatermark
SET IsRunning = 1, LeaseRunId = ?2, LeaseEpoch = LeaseEpoch + 1, RunLeaseExpiresAt = ?3
WHERE TableName = ?1

-- name: fence_until
SELECT RunLeaseExpiresAt FROM BlobDeltaHighWatermark
WHERE TableName = ?1 AND LeaseRunId = ?2 AND LeaseEpoch = ?3 AND IsRunning

-- name: holder
SELECT LeaseRunId, RunLeaseExpiresAt FROM BlobDeltaHighWatermark
WHERE TableName = ?1 AND IsRunning AND RunLeaseExpiresAt IS NOT NULL AND LeaseRunId IS NOT NULL

-- name: log_takeover
INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
    BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
SELECT ?1, ?2, 0, coalesce(max(BatchNumber), 0) + 1, 0, 0, ?3, ?3, 'TookOver', ?4
FROM BlobDeltaRunStep WHERE RunId = ?1 AND TableName = ?2 AND StepNumber = 0

-- name: supersede
UPDATE BlobDeltaRunTable SET Status = 'Superseded', LastError = ?3
WHERE RunId = ?1 AND RunId <> ?4 AND TableName = ?2 AND Status <> 'Completed'

-- name: fail_dead_run
-- A run that did not end, unless it holds another table's lease.
UPDATE BlobDeltaRun SET Status = 'Failed', ErrorMessage = ?2, RunCompletedAt = ?3
WHERE RunId = ?1 AND Status = 'Running' AND (?4 OR NOT EXISTS (
    SELECT 1 FROM BlobDeltaHighWatermark AS h
    WHERE h.LeaseRunId = ?1 AND h.IsRunning AND h.RunLeaseExpiresAt > ?3))

-- name: release
UPDATE BlobDeltaHighWatermark SET IsRunning = 0, RunLeaseExpiresAt = NULL
WHERE TableName = ?1 AND LeaseRunId = ?2 AND LeaseEpoch = ?3

-- name: renew
UPDATE BlobDeltaHighWatermark SET RunLeaseExpiresAt = ?4
WHERE TableName = ?1 AND LeaseRunId = ?2 AND LeaseEpoch = ?3 AND IsRunning
