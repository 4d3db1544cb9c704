-- Rule 17: keys in #BlobDeltaStage left the scope @P2. Keeps the tombstones that are later than those kept before,
-- and removes the rows that they beat and the chain of this scope wrote, unless another chain has them too: such a row
-- stays with that chain's version, and without its large values where that chain has it without them. Says how many rows were removed. @P1 is the target, as [schema].[table].
DECLARE @removed bigint;
DELETE d
FROM dbo.BlobDeltaTombstone AS d
INNER JOIN #BlobDeltaStage AS s ON d.stream_id = s.k
WHERE d.TableName = @P1 AND d.Scope = @P2
  AND EXISTS (
    SELECT 1 FROM (SELECT d.DeletedOn AS vm, d.RunStartedAt AS vs, d.RunId AS vr) AS n WHERE [{StagedOutranksNoted}]
  );
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
SELECT @P1, s.k, @P2, N'LeftScope', s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope = @P2
);
DELETE o
FROM dbo.BlobDeltaReplayOther AS o
INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
WHERE o.TableName = @P1 AND o.Scope = @P2
  AND NOT EXISTS (
    SELECT 1 FROM (SELECT o.ModifiedOn AS vm, o.RunStartedAt AS vs, o.RunId AS vr) AS n WHERE [{NotedOutranksStaged}]
  );
-- What stays staged are the keys of rows that lose.
DELETE s
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1
    FROM [{Standing}] AS v
    INNER JOIN dbo.BlobDeltaReplayRun AS r ON r.TableName = @P1 AND r.RunId = v.vr AND r.Scope = @P2
    WHERE v.k = s.k AND NOT [{StandingOutranksStaged}]
);
DELETE t
FROM [{Target}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = s.k
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayOther AS o WHERE o.TableName = @P1 AND o.stream_id = s.k);
SET @removed = @@ROWCOUNT;
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1 AND NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = s.k);
[{Strip}]
UPDATE t
SET [{Modified}] = a.vm, [{Started}] = a.vs, [{Run}] = a.vr
FROM [{Marks}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{MarkKey}] = s.k
INNER JOIN [{Others}] AS a ON a.k = s.k
WHERE [{IsOfTable}] AND NOT EXISTS (SELECT 1 FROM [{Others}] AS b WHERE b.k = a.k AND [{OtherOutranksOther}]);
-- The chain whose the row is now is no other one.
DELETE o
FROM dbo.BlobDeltaReplayOther AS o
INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
WHERE o.TableName = @P1 AND EXISTS (SELECT 1 FROM [{Standing}] AS v WHERE v.k = s.k AND v.vr = o.RunId);
SELECT @removed AS Removed;
