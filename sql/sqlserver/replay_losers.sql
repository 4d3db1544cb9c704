-- Rule 14: drops the staged rows that lose against what the target has, @P1 being the target, as [schema].[table], and @P2 the
-- scope of the chain that they are of. With @P3 = 1 a row that stands is written again by the run that it is of. What stays in #BlobDeltaStage is written.
-- A deletion wins a tie, whatever the runs. Rule 17: a tombstone of a scope concerns rows of its own chain alone, and
-- wins a tie against earlier runs.
DELETE s
FROM #BlobDeltaStage AS s
WHERE EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d
    WHERE d.TableName = @P1 AND d.stream_id = s.k AND d.Scope = N'' AND (s.vm IS NULL OR d.DeletedOn >= s.vm)
);
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN (
    SELECT d.stream_id AS k, d.DeletedOn AS vm, d.RunStartedAt AS vs, d.RunId AS vr
    FROM dbo.BlobDeltaTombstone AS d
    WHERE d.TableName = @P1 AND d.Scope = @P2
) AS n ON n.k = s.k
WHERE NOT [{StagedOutranksNoted}];
INSERT INTO dbo.BlobDeltaReplayRun (TableName, RunId, Scope)
SELECT DISTINCT @P1, s.vr, @P2
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun AS r WHERE r.TableName = @P1 AND r.RunId = s.vr);
-- First within the chain,
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = s.k
WHERE NOT [{StagedOutranksStanding}] AND [{IsOfChain}] AND (@P3 = 0 OR t.vr IS NULL OR t.vr <> s.vr);
-- then, where the table receives several, between them.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun WHERE TableName = @P1 AND Scope <> @P2)
BEGIN
    DELETE s
    FROM #BlobDeltaStage AS s
    INNER JOIN [{Others}] AS o ON o.k = s.k
    WHERE o.Scope = @P2 AND NOT [{StagedOutranksOwn}];
    DELETE o
    FROM dbo.BlobDeltaReplayOther AS o
    INNER JOIN #BlobDeltaStage AS s ON s.k = o.stream_id
    WHERE o.TableName = @P1 AND o.Scope = @P2;
    -- What comes without its large values leaves the row to a chain that has the whole one by the same time,
    UPDATE t
    SET [{Modified}] = a.vm, [{Started}] = a.vs, [{Run}] = a.vr
    FROM [{Marks}] AS t
    INNER JOIN #BlobDeltaStage AS s ON t.[{MarkKey}] = s.k
    INNER JOIN [{Others}] AS a ON a.k = s.k
    WHERE [{IsOfTable}] AND [{OtherOutranksStaged}]
      AND EXISTS (SELECT 1 FROM [{Standing}] AS t WHERE t.k = s.k AND [{IsOfChain}])
      AND NOT EXISTS (SELECT 1 FROM [{Others}] AS b WHERE b.k = a.k AND [{OtherOutranksOther}]);
    DELETE o
    FROM dbo.BlobDeltaReplayOther AS o
    INNER JOIN #BlobDeltaStage AS s ON o.stream_id = s.k
    WHERE o.TableName = @P1 AND EXISTS (SELECT 1 FROM [{Standing}] AS t WHERE t.k = s.k AND t.vr = o.RunId);
    -- and what loses against the row of another chain, or against one that came by another way, is noted beside it.
    INSERT INTO dbo.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId, IsPart)
    SELECT @P1, s.k, @P2, s.vm, s.vs, s.vr, [{StagedIsPart}]
    FROM #BlobDeltaStage AS s
    INNER JOIN [{Standing}] AS t ON t.k = s.k
    WHERE NOT [{StagedOutranksOtherChain}] AND NOT [{IsOfChain}];
END;
DELETE s
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = s.k
WHERE NOT [{StagedOutranksOtherChain}] AND NOT [{IsOfChain}];
