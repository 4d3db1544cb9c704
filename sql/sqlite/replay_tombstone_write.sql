INSERT INTO {Schema}.BlobDeltaTombstone (TableName, stream_id, DeletedOn, RunStartedAt, RunId)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (TableName, stream_id) DO UPDATE
SET DeletedOn = excluded.DeletedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId;
