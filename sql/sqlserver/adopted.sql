-- name: read_chain
SELECT b.RunId, r.RunStartedAt, b.RootSha256, b.PreviousRootSha256, b.Name, b.Scope
FROM dbo.BlobDeltaBundle AS b INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = b.RunId
WHERE b.TableName = @P1
ORDER BY b.BundleId DESC
