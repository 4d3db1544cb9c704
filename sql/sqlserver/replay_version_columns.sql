-- Rule 14: keeps the versions of the rows that were written from #BlobDeltaStage, for a table (@P1)
-- that has no columns for them.
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1;
INSERT INTO dbo.BlobDeltaReplayRow (TableName, stream_id, ModifiedOn, RunStartedAt, RunId)
SELECT @P1, s.k, s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s;
