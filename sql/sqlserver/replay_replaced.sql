-- Rule 17: before the rows in #BlobDeltaStage are written over what stands: the version of a row of another chain
-- stays with that chain. @P1 is the target, as [schema].[table], @P2 the scope of the rows that come.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayRun WHERE TableName = @P1 AND Scope <> @P2)
BEGIN
    DELETE o
    FROM dbo.BlobDeltaReplayOther AS o
    INNER JOIN #BlobDeltaStage AS s ON s.k = o.stream_id
    WHERE o.TableName = @P1 AND o.Scope = @P2;
    INSERT INTO dbo.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId)
    SELECT @P1, s.k, r.Scope, t.vm, t.vs, t.vr
    FROM #BlobDeltaStage AS s
    INNER JOIN [{Standing}] AS t ON t.k = s.k
    INNER JOIN dbo.BlobDeltaReplayRun AS r ON r.TableName = @P1 AND r.RunId = t.vr AND r.Scope <> @P2;
END;
