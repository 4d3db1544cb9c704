INSERT INTO {Schema}.BlobDeltaReplayRow (TableName, stream_id, ModifiedOn, RunStartedAt, RunId)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (TableName, stream_id) DO UPDATE
SET ModifiedOn = excluded.ModifiedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId;
