-- name: bundle_read
-- The bundles of one table (@P1) that were applied, or came in one that was.
SELECT SourceId, Scope, RootSha256, WindowStart, WindowEnd, Gap, WithinRootSha256, PreviousRootSha256, IsOtherSource,
    SourceTable, Columns
FROM dbo.BlobDeltaReplayBundle
WHERE TableName = @P1
ORDER BY WindowStart, RootSha256;

-- name: bundle_gap
-- Says of a bundle that was applied (@P2, of the target @P1) what is missing before it: @P3, or nothing any more
-- where that is empty.
UPDATE dbo.BlobDeltaReplayBundle
SET Gap = NULLIF(@P3, N'')
WHERE TableName = @P1 AND RootSha256 = CONVERT(char(64), @P2);

-- name: forget
-- Forgets all that stands of a table (@P1, as [schema].[table]) that was dropped, before it is made anew.
DELETE FROM dbo.BlobDeltaReplayLedger WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaTombstone WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayRun WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayOther WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayBundle WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayRow WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayDisplaced WHERE TableName = @P1;

-- name: bundle_note
-- What was noted before stays; a bundle that had come in another gets its own window, and one that another was compacted
-- without (its Gap says so) has come. @P5 to @P9
-- are empty where nothing is known.
UPDATE dbo.BlobDeltaReplayBundle
SET WindowStart = CONVERT(datetime2(7), NULLIF(@P5, N'')), WindowEnd = CONVERT(datetime2(7), NULLIF(@P6, N'')),
    Gap = NULLIF(@P7, N''), WithinRootSha256 = CONVERT(char(64), NULLIF(@P8, N'')), NotedAt = SYSUTCDATETIME(),
    PreviousRootSha256 = CONVERT(char(64), NULLIF(@P9, N'')), IsOtherSource = @P10, Columns = NULLIF(@P12, N'')
WHERE TableName = @P1 AND RootSha256 = CONVERT(char(64), @P2) AND WindowEnd IS NULL
    AND (@P6 <> N'' OR (Gap IS NOT NULL AND @P7 = N''));
INSERT INTO dbo.BlobDeltaReplayBundle
    (TableName, RootSha256, SourceId, Scope, WindowStart, WindowEnd, Gap, WithinRootSha256, NotedAt,
     PreviousRootSha256, IsOtherSource, SourceTable, Columns)
SELECT
    @P1, CONVERT(char(64), @P2), @P3, @P4, CONVERT(datetime2(7), NULLIF(@P5, N'')),
    CONVERT(datetime2(7), NULLIF(@P6, N'')), NULLIF(@P7, N''), CONVERT(char(64), NULLIF(@P8, N'')), SYSUTCDATETIME(),
    CONVERT(char(64), NULLIF(@P9, N'')), @P10, @P11, NULLIF(@P12, N'')
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaReplayBundle AS b
    WHERE b.TableName = @P1 AND b.RootSha256 = CONVERT(char(64), @P2)
);
