-- The tombstones of a key: that of its deletion has no scope.
SELECT DeletedOn, RunStartedAt, RunId, nullif(Scope, '')
FROM {Schema}.BlobDeltaTombstone
WHERE TableName = ?1 AND stream_id = ?2;
