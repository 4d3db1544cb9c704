INSERT INTO {Schema}.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId, IsPart)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (TableName, stream_id, Scope) DO UPDATE
SET ModifiedOn = excluded.ModifiedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId,
    IsPart = excluded.IsPart;
