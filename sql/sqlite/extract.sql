-- name: insert_run
INSERT INTO BlobDeltaRun (RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, Status, TableName,
    BusinessUnitId, BatchSize, MaxDOP, WindowFrom, WindowUntil, ContinuesRunId)
VALUES (?1, ?2, ?3, ?4, ?5, 'Running', ?6, ?7, ?8, ?9, ?10, ?11, ?12)

-- name: resume_run
UPDATE BlobDeltaRun SET Status = 'Running', RunCompletedAt = NULL, ErrorMessage = NULL,
    Attempt = Attempt + 1 WHERE RunId = ?1

-- name: leave_out_without_units
INSERT INTO BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
    BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
SELECT ?1, TableName, 0, 1, 0, 0, ?2, ?2, 'LeftOut', 'this table has no business units'
FROM BlobDeltaTableConfig WHERE IsActive AND MetadataBusinessUnitCol IS NULL

-- name: started_table
SELECT WindowStart, WindowEnd, QueuedKeys, WindowGoal, OneStampRows FROM BlobDeltaRunTable
WHERE RunId = ?1 AND TableName = ?2
