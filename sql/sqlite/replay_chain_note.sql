-- The end of a chain never moves backwards.
INSERT INTO {Schema}.BlobDeltaReplayChain (TableName, SourceId, Scope, RootSha256, WindowEnd, NotedAt)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (TableName, SourceId, Scope) DO UPDATE
SET RootSha256 = excluded.RootSha256, WindowEnd = excluded.WindowEnd, NotedAt = excluded.NotedAt
WHERE excluded.WindowEnd > WindowEnd;
