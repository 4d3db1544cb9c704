-- name: indexes
-- Unique indexes of a table (@P1, quoted) that hold for all of its rows, a line a column.
SELECT CONVERT(nvarchar(128), i.name), CONVERT(nvarchar(128), c.name)
FROM sys.indexes AS i
INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 AND k.is_included_column = 0
  AND i.object_id = OBJECT_ID(@P1)
ORDER BY i.index_id, k.index_column_id;

-- name: with_existing
-- A staged row, and one that stands, does not come, and has the same unique values.
SELECT TOP (1) s.k, s.vm, s.vs, s.vr, [{ToId(}]v.k[{)ToId}], v.vm, v.vs, v.vr FROM #BlobDeltaStage AS s
INNER JOIN [{Target}] AS t ON [{AreEqual}]
INNER JOIN [{Standing}] AS v ON v.k = t.[{Key}]
WHERE @P1 <> N'' AND t.[{Key}] <> [{ToKey(}]s.k[{)ToKey}] AND NOT EXISTS (SELECT 1 FROM #BlobDeltaStage AS o WHERE o.k = [{ToId(}]t.[{Key}][{)ToId}])

-- name: among_staged
-- Two staged rows with the same unique values.
SELECT TOP (1) s.k, s.vm, s.vs, s.vr, o.k, o.vm, o.vs, o.vr FROM #BlobDeltaStage AS s
INNER JOIN #BlobDeltaStage AS o ON o.n < s.n AND [{AreEqual}]
WHERE @P1 <> N''

-- name: displace
-- Removes the row @P2 of the table @P1, which the row @P3 cannot stand beside because of the index
-- @P4, wherever it is: in the target, among the rows that come, or in both. It is buried at its
-- version, so that an older version of it that comes late does not rise again.
INSERT INTO dbo.BlobDeltaReplayDisplaced
    (TableName, stream_id, ModifiedOn, RunStartedAt, RunId, ByStreamId, IndexName, RootSha256, DisplacedAt)
SELECT @P1, @P2, v.vm, v.vs, v.vr, @P3, @P4, CONVERT(char(64), @P5), SYSUTCDATETIME()
FROM [{Loser}] AS v
WHERE v.k = [{LoserKey}];
DELETE FROM dbo.BlobDeltaTombstone
WHERE TableName = @P1 AND stream_id = @P2 AND Scope = N'';
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
SELECT @P1, @P2, N'', N'Deleted', v.vm, ISNULL(v.vs, '0001-01-01'), ISNULL(v.vr, '00000000-0000-0000-0000-000000000000')
FROM [{Loser}] AS v
WHERE v.k = [{LoserKey}];
DELETE FROM dbo.BlobDeltaReplayOther
WHERE TableName = @P1 AND stream_id = @P2;
DELETE FROM dbo.BlobDeltaReplayRow
WHERE TableName = @P1 AND stream_id = @P2;
DELETE FROM [{Target}]
WHERE [{Key}] = [{ToKey(}]@P2[{)ToKey}];
DELETE FROM #BlobDeltaStage
WHERE k = @P2;
