-- name: displaced
INSERT INTO {Schema}.BlobDeltaReplayDisplaced
    (TableName, stream_id, ModifiedOn, RunStartedAt, RunId, ByStreamId, IndexName, RootSha256, DisplacedAt)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);
