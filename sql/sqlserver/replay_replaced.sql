-- Rule 17: before the rows in #BlobDeltaStage are written over what stands: the version of a row of another chain
-- stays with that chain. @P1 is the target, as [schema].[table], @P2 the scope of the rows that come.
INSERT INTO dbo.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId, IsPart)
SELECT @P1, s.k, r.Scope, t.vm, t.vs, t.vr, t.vp
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS t ON t.k = s.k
INNER JOIN dbo.BlobDeltaReplayRun AS r ON r.TableName = @P1 AND r.RunId = t.vr AND r.Scope <> @P2;
