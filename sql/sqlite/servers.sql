-- name: forget_watermarks
UPDATE BlobDeltaHighWatermark SET LastHighWaterModifiedOn = NULL, LastRunId = NULL, LastRunCompletedAt = NULL,
    IsInitialFullLoadDone = 0, IsRunning = 0, RunLeaseExpiresAt = NULL, LeaseRunId = NULL,
    LeaseEpoch = LeaseEpoch + 1

-- name: take_marker
UPDATE {Markers} SET SourceId = ?3, RunId = NULL, RunStartedAt = NULL, WindowStart = NULL,
    WindowEnd = NULL, Scope = 'all', State = 'Empty' WHERE TargetTable = ?1 AND SourceId = ?2
