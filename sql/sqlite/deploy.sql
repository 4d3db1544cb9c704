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
