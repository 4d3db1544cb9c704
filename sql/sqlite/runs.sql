-- name: write_destination
UPDATE BlobDeltaRun SET OutFolder = ?2, ShipTo = ?3, SignedBy = ?4, EncryptedTo = ?5, BundleForm = ?6
WHERE RunId = ?1

-- name: select_run
SELECT RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, RunCompletedAt, Status,
    ErrorMessage, TableName, BusinessUnitId, BatchSize, MaxDOP, WindowFrom, Attempt, OutFolder, ShipTo, SignedBy,
    EncryptedTo, BundleForm FROM BlobDeltaRun
