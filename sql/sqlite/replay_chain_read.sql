SELECT WindowEnd
FROM {Schema}.BlobDeltaReplayChain
WHERE TableName = ?1 AND SourceId = ?2 AND Scope = ?3;
