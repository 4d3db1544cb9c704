INSERT INTO {Schema}.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
VALUES (?1, ?2, coalesce(?3, ''), iif(?3 IS NULL, 'Deleted', 'LeftScope'), ?4, ?5, ?6)
ON CONFLICT (TableName, stream_id, Scope) DO UPDATE
SET DeletedOn = excluded.DeletedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId;
