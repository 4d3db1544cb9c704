-- name: is_own_slice
SELECT COUNT(*)
FROM dbo.BlobDeltaHighWatermark AS h, [{Db}].dbo.BlobDeltaSlice AS s
WHERE h.IsRunning = 1 AND s.State IN (N'Complete', N'Packed') AND s.RunId = @P1 AND s.TargetTable = @P2
    AND h.LeaseRunId = @P1 AND h.TableName = @P3 AND h.LeaseEpoch = @P4

-- name: marker
SELECT RunId, WindowStart, WindowEnd, Scope, State
FROM [{Markers}]
WHERE TargetTable = @P1 AND OBJECT_ID(@P2) IS NOT NULL
