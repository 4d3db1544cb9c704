-- name: write_destination
UPDATE BlobDeltaRun SET OutFolder = ?2, ShipTo = ?3, SignedBy = ?4, EncryptedTo = ?5, BundleForm = ?6
WHERE RunId = ?1

-- name: select_run
SELECT RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, RunCompletedAt, Status,
    ErrorMessage, TableName, BusinessUnitId, BatchSize, MaxDOP, WindowFrom, Attempt, OutFolder, ShipTo, SignedBy,
    EncryptedTo, BundleForm, WindowUntil, ContinuesRunId FROM BlobDeltaRun

-- name: open_windows
SELECT t.TableName
FROM BlobDeltaRunTable AS t
INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
INNER JOIN BlobDeltaTableConfig AS c ON c.TableName = t.TableName
INNER JOIN BlobDeltaHighWatermark AS h ON h.TableName = t.TableName
LEFT JOIN BlobDeltaBusinessUnitWatermark AS u ON u.TableName = t.TableName AND u.BusinessUnitId = r.BusinessUnitId
WHERE t.RunId = ?1 AND t.Status = 'Completed' AND t.WindowEnd < t.WindowGoal
    AND CASE WHEN r.BusinessUnitId IS NULL THEN h.LastRunId ELSE u.LastRunId END = t.RunId
    AND (c.IsActive OR r.TableName IS NOT NULL)
ORDER BY t.TableName
