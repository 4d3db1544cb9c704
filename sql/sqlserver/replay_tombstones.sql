-- Rules 14 and 15: removes the rows that staged deletions beat, of whatever chain, says how many, and keeps the
-- tombstones that are later than those kept before. @P1 is the target, as [schema].[table].
DECLARE @removed bigint;
DELETE t
FROM [{Target}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = s.k
WHERE EXISTS (SELECT 1 FROM [{Standing}] AS v WHERE v.k = s.k AND (v.vm IS NULL OR s.vm >= v.vm));
SET @removed = @@ROWCOUNT;
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1 AND NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = s.k);
DELETE o
FROM dbo.BlobDeltaReplayOther AS o
INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
WHERE o.TableName = @P1 AND (o.ModifiedOn IS NULL OR s.vm >= o.ModifiedOn);
DELETE d
FROM dbo.BlobDeltaTombstone AS d
INNER JOIN #BlobDeltaStage AS s ON d.stream_id = s.k
WHERE d.TableName = @P1 AND d.Scope = N''
  AND EXISTS (
    SELECT 1 FROM (SELECT d.DeletedOn AS vm, d.RunStartedAt AS vs, d.RunId AS vr) AS n WHERE [{StagedOutranksNoted}]
  );
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
SELECT @P1, s.k, N'', N'Deleted', s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope = N''
);
SELECT @removed AS Removed;
