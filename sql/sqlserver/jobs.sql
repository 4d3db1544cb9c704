-- name: now
IF OBJECT_ID(N'dbo.ufn_BlobDelta_UtcNow') IS NULL SELECT SYSUTCDATETIME() AS Utc, SYSDATETIME() AS Local;
ELSE EXEC (N'SELECT dbo.ufn_BlobDelta_UtcNow() AS Utc, dbo.ufn_BlobDelta_LocalNow() AS Local');

-- name: run_steps
SELECT
    TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed, WindowStart, WindowEnd, BatchStartedAt,
    BatchCompletedAt, Status, ErrorMessage
FROM dbo.BlobDeltaRunStep
WHERE RunId = @P1
ORDER BY TableName, StepNumber, BatchNumber

-- name: watermarks
SELECT
    TableName, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt, IsInitialFullLoadDone, IsRunning,
    RunLeaseExpiresAt, LeaseRunId, LeaseEpoch
FROM dbo.BlobDeltaHighWatermark
WHERE TableName IS NOT NULL
ORDER BY TableName

-- name: unit_watermarks
SELECT TableName, BusinessUnitId, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt
FROM dbo.BlobDeltaBusinessUnitWatermark
WHERE LastHighWaterModifiedOn IS NOT NULL
ORDER BY TableName, BusinessUnitId

-- name: pending
SELECT TableName, Scope, COUNT_BIG(*), MIN(CreatedAt)
FROM dbo.BlobDeltaPendingKey
GROUP BY TableName, Scope
ORDER BY TableName, Scope

-- name: missing_parents
SELECT TableName, stream_id, BusinessUnit, Processed, CreatedAt
FROM dbo.BlobDeltaMissingParentsQueue
WHERE RunId = @P1
ORDER BY TableName, CreatedAt, stream_id

-- name: bundles
SELECT
    RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder, PublishedAt, ShipTo, ShippedAt
FROM dbo.BlobDeltaBundle
WHERE RunId = @P1
ORDER BY PackNumber, TableName

-- name: unshipped
SELECT RunId, PackNumber, RootSha256, Name, Folder, ShipTo
FROM dbo.BlobDeltaBundle
WHERE ShipTo IS NOT NULL AND ShippedAt IS NULL
GROUP BY RunId, PackNumber, RootSha256, Name, Folder, ShipTo
ORDER BY MIN(BundleId)

-- name: pend_anew
UPDATE dbo.BlobDeltaPendingKey
SET Reason = @P4, WithoutMetadata = CASE WHEN WithoutMetadata = 1 THEN 1 ELSE @P5 END
WHERE TableName = @P1 AND Scope = @P2 AND stream_id = @P3

-- name: pend
INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, WithoutMetadata, CreatedAt)
VALUES (@P1, @P2, @P3, @P4, @P5, dbo.ufn_BlobDelta_UtcNow())

-- name: exclude_anew
UPDATE dbo.BlobDeltaExcludedKey SET Reason = @P3 WHERE TableName = @P1 AND stream_id = @P2

-- name: exclude
INSERT INTO dbo.BlobDeltaExcludedKey (TableName, stream_id, Reason, CreatedAt)
VALUES (@P1, @P2, @P3, dbo.ufn_BlobDelta_UtcNow())

-- name: log_deletion
INSERT INTO dbo.BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, BusinessUnit, Reason, LoggedAt)
VALUES ([{Table}], [{Key}], [{DeletedOn}], [{BusinessUnit}], [{Reason}], dbo.ufn_BlobDelta_UtcNow())
