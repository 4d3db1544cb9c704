-- The bundles of one table (@P1) that were applied, or came in one that was.
SELECT SourceId, Scope, RootSha256, WindowStart, WindowEnd, Gap, WithinRootSha256, PreviousRootSha256, IsOtherSource,
    SourceTable, Columns
FROM dbo.BlobDeltaReplayBundle
WHERE TableName = @P1
ORDER BY WindowStart, RootSha256;
