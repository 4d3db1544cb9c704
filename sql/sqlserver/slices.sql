-- name: slice_deletions
SELECT TOP ([{Limit}]) stream_id, DeletedOn, BusinessUnit, Reason
FROM [{Db}].dbo.BlobDeltaDeletion
WHERE TableName = @P1 AND [{After}]
ORDER BY [{ToKey(}]stream_id[{)ToKey}]

-- name: table_errors
SELECT TableName, LastError
FROM dbo.BlobDeltaRunTable
WHERE LastError IS NOT NULL AND RunId = @P1
ORDER BY TableName

-- name: previous_bundle
SELECT TOP (1) k.Root, p.Columns
FROM (
    SELECT 0 AS Nr, BundleId, PreviousRootSha256 AS Root FROM dbo.BlobDeltaBundle WHERE RunId = @P1 AND TableName = @P2
    UNION ALL
    SELECT 1, BundleId, RootSha256 FROM dbo.BlobDeltaBundle WHERE TableName = @P2 AND Scope = @P3
) AS k
LEFT JOIN dbo.BlobDeltaBundle AS p ON p.RootSha256 = k.Root AND p.TableName = @P2 AND p.Scope = @P3
ORDER BY k.Nr, k.BundleId DESC

-- name: table_report
SELECT t.WindowStart, t.WindowEnd, t.BufferMinutes, t.WatermarkBefore, t.WatermarkAfter, t.Counts,
    t.NewBusinessUnits, r.BusinessUnitId, t.CompletedAt, t.LagOnly, t.ActiveTransactionFloor,
    r.RunStartedAt, r.RunStartedAtLocal, COALESCE(t.WindowGoal, t.WindowEnd) AS WindowGoal
FROM dbo.BlobDeltaRunTable AS t INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE t.Status = N'Completed' AND t.RunId = @P1 AND t.TableName = @P2
