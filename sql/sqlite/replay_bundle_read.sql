SELECT SourceId, Scope, RootSha256, WindowStart, WindowEnd, Gap, WithinRootSha256, PreviousRootSha256, IsOtherSource,
    SourceTable, Columns
FROM {Schema}.BlobDeltaReplayBundle
WHERE TableName = ?1
ORDER BY WindowStart, RootSha256;
