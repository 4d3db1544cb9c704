-- What the target has under the keys in #BlobDeltaStage: a row's rank, and a tombstone's.
SELECT s.n, v.k, v.vm, v.vs, v.vr, d.stream_id, d.DeletedOn, d.RunStartedAt, d.RunId
FROM #BlobDeltaStage AS s
LEFT JOIN [{Standing}] AS v ON v.k = s.k
LEFT JOIN [{Tombstones}] AS d ON d.TableName = @P1 AND d.stream_id = s.k
ORDER BY s.n;
