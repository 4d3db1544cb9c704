-- What other chains than the row's have of a key.
SELECT ModifiedOn, RunStartedAt, RunId, Scope, IsPart
FROM {Schema}.BlobDeltaReplayOther
WHERE TableName = ?1 AND stream_id = ?2;
