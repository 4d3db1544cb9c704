-- name: runs
SELECT [{Top}]
    RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, RunCompletedAt, Status, ErrorMessage, TableName,
    BusinessUnitId, BatchSize, MaxDOP, WindowFrom, Attempt, OutFolder, ShipTo, SignedBy, EncryptedTo, BundleForm,
    WindowUntil, ContinuesRunId
FROM dbo.BlobDeltaRun
[{Rest}]
