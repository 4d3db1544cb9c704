-- name: run_steps
SELECT TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed, WindowStart, WindowEnd,
    BatchStartedAt, BatchCompletedAt, Status, ErrorMessage
FROM BlobDeltaRunStep WHERE RunId = ?1 ORDER BY TableName, StepNumber, BatchNumber

-- name: watermarks
SELECT TableName, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt, IsInitialFullLoadDone, IsRunning,
    RunLeaseExpiresAt, LeaseRunId, LeaseEpoch FROM BlobDeltaHighWatermark ORDER BY TableName

-- name: unit_watermarks
SELECT TableName, BusinessUnitId, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt
FROM BlobDeltaBusinessUnitWatermark WHERE LastHighWaterModifiedOn IS NOT NULL
ORDER BY TableName, BusinessUnitId

-- name: pending
SELECT TableName, Scope, count(*), min(CreatedAt) FROM BlobDeltaPendingKey
GROUP BY TableName, Scope ORDER BY TableName, Scope

-- name: missing_parents
SELECT TableName, stream_id, BusinessUnit, Processed, CreatedAt FROM BlobDeltaMissingParentsQueue
WHERE RunId = ?1 ORDER BY TableName, CreatedAt, stream_id

-- name: bundles
SELECT RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder, PublishedAt,
    ShipTo, ShippedAt
FROM BlobDeltaBundle WHERE RunId = ?1 ORDER BY PackNumber, TableName

-- name: unshipped
SELECT RunId, PackNumber, RootSha256, Name, Folder, ShipTo FROM BlobDeltaBundle
WHERE ShipTo IS NOT NULL AND ShippedAt IS NULL
GROUP BY RunId, PackNumber, RootSha256, Name, Folder, ShipTo ORDER BY MIN(BundleId)

-- name: record_shipped
UPDATE BlobDeltaBundle SET ShippedAt = ?5
WHERE RunId = ?1 AND PackNumber = ?2 AND ShipTo = ?3 AND RootSha256 = ?4

-- name: pend
INSERT INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
VALUES (?1, ?5, ?2, ?3, ?4, ?6) ON CONFLICT (TableName, Scope, stream_id)
DO UPDATE SET Reason = ?3, WithoutMetadata = max(WithoutMetadata, ?6)

-- name: exclude
INSERT INTO BlobDeltaExcludedKey (TableName, stream_id, Reason, CreatedAt) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (TableName, stream_id) DO UPDATE SET Reason = ?3

-- name: log_deletion
INSERT INTO BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
