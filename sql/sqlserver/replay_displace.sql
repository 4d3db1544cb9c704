-- Removes the row @P2 of the table @P1, which the row @P3 cannot stand beside because of the index
-- @P4, wherever it is: in the target, among the rows that come, or in both. It is buried at its
-- version, so that an older version of it that comes late does not rise again.
INSERT INTO dbo.BlobDeltaReplayDisplaced
    (TableName, stream_id, ModifiedOn, RunStartedAt, RunId, ByStreamId, IndexName, RootSha256, DisplacedAt)
SELECT @P1, v.k, v.vm, v.vs, v.vr, @P3, @P4, CONVERT(char(64), @P5), SYSUTCDATETIME()
FROM [{Loser}] AS v
WHERE v.k = @P2;
DELETE FROM dbo.BlobDeltaTombstone
WHERE TableName = @P1 AND stream_id = @P2 AND Scope = N'';
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
SELECT @P1, v.k, N'', N'Deleted', v.vm, ISNULL(v.vs, '0001-01-01'), ISNULL(v.vr, '00000000-0000-0000-0000-000000000000')
FROM [{Loser}] AS v
WHERE v.k = @P2;
DELETE FROM dbo.BlobDeltaReplayOther
WHERE TableName = @P1 AND stream_id = @P2;
DELETE FROM dbo.BlobDeltaReplayRow
WHERE TableName = @P1 AND stream_id = @P2;
DELETE FROM [{Target}]
WHERE [{Key}] = @P2;
DELETE FROM #BlobDeltaStage
WHERE k = @P2;
