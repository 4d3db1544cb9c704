-- Rule 14: drops the staged rows that lose against what the target has, @P1 being the target, as [schema].[table], and @P2 the
-- scope of the chain that they are of. What stays in #BlobDeltaStage is written.
-- Rule 17: a tombstone of a scope concerns rows of its own chain alone; a tombstone wins a tie, whatever the runs.
DELETE s
FROM #BlobDeltaStage AS s
WHERE EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d
    WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope IN (N'', @P2) AND (s.vm IS NULL OR d.DeletedOn >= s.vm)
);
INSERT INTO dbo.BlobDeltaReplayRun (TableName, RunId, Scope)
SELECT DISTINCT @P1, s.vr, @P2
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun AS r WHERE r.TableName = @P1 AND r.RunId = s.vr);
-- Rule 17, where the table receives several chains: what loses against a row of another one, or against one that came
-- by another way, is noted beside it, and what wins leaves the version that it replaces to the chain that wrote it.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun WHERE TableName = @P1 AND Scope <> @P2)
BEGIN
    DELETE o
    FROM dbo.BlobDeltaReplayOther AS o
    INNER JOIN #BlobDeltaStage AS s ON s.k = o.stream_id
    WHERE o.TableName = @P1 AND o.Scope = @P2
      AND EXISTS (
        SELECT 1 FROM (SELECT o.ModifiedOn AS vm, o.RunStartedAt AS vs, o.RunId AS vr) AS n WHERE [{StagedOutranksNoted}]
      );
    INSERT INTO dbo.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId)
    SELECT @P1, s.k, @P2, s.vm, s.vs, s.vr
    FROM #BlobDeltaStage AS s
    INNER JOIN [{Standing}] AS t ON t.k = s.k
    WHERE NOT [{StagedOutranksStanding}]
      AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun AS r WHERE r.TableName = @P1 AND r.RunId = t.vr AND r.Scope = @P2)
      AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaReplayOther AS o WHERE o.TableName = @P1 AND o.stream_id = s.k AND o.Scope = @P2
      );
END;
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = s.k
WHERE NOT [{StagedOutranksStanding}];
