SELECT DeletedOn, RunStartedAt, RunId
FROM {Schema}.BlobDeltaTombstone
WHERE TableName = ?1 AND stream_id = ?2;
