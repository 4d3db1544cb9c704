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
