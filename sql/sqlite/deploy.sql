-- name: note_script
INSERT INTO BlobDeltaSchemaVersion (Script, Version, Sha256, AppliedAt) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (Script) DO UPDATE SET Version = ?2, Sha256 = ?3, AppliedAt = ?4

-- name: seed_step
INSERT OR IGNORE INTO BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
VALUES (NULL, ?1, ?2, ?3)

-- name: seed_queue
INSERT OR IGNORE INTO BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
VALUES (NULL, ?1, ?2)

-- name: add_marker
INSERT INTO {Schema}.BlobDeltaSlice (TargetTable, TableName, SourceId, State)
SELECT ?1, ?2, SourceId, 'Empty' FROM main.BlobDeltaSource

-- name: has_other_keys
-- Whether runs of a table were completed while its keys were of another type. Its name may have been removed since.
SELECT EXISTS (SELECT 1 FROM BlobDeltaKeyType WHERE TableName = ?1 AND KeyType <> ?2)
    AND EXISTS (SELECT 1 FROM BlobDeltaRunTable WHERE TableName = ?1 AND Status = 'Completed')

-- name: note_key_type
INSERT INTO BlobDeltaKeyType (TableName, KeyType) VALUES (?1, ?2) ON CONFLICT (TableName) DO UPDATE SET KeyType = ?2
