INSERT INTO {Schema}.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (TableName, stream_id, Scope) DO UPDATE
SET ModifiedOn = excluded.ModifiedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId;
