-- The end of a chain never moves backwards.
UPDATE dbo.BlobDeltaReplayChain
SET RootSha256 = CONVERT(char(64), @P4), WindowEnd = @P5, NotedAt = SYSUTCDATETIME()
WHERE TableName = @P1 AND SourceId = @P2 AND Scope = @P3 AND WindowEnd < @P5;
INSERT INTO dbo.BlobDeltaReplayChain (TableName, SourceId, Scope, RootSha256, WindowEnd, NotedAt)
SELECT @P1, @P2, @P3, CONVERT(char(64), @P4), @P5, SYSUTCDATETIME()
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaReplayChain AS c
    WHERE c.TableName = @P1 AND c.SourceId = @P2 AND c.Scope = @P3
);
