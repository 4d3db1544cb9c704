-- name: known
-- What the chain has under the keys in #BlobDeltaStage in one column; nothing of a key that the slice has a deletion of.
SELECT s.n, k.Sha256, k.RootSha256, k.ModifiedOn, k.RunStartedAt, k.RunId
FROM #BlobDeltaStage AS s
INNER JOIN dbo.BlobDeltaKnownContent AS k ON k.stream_id = s.k
WHERE k.TableName = @P1 AND k.Scope = @P2 AND k.ColumnName = @P3 AND k.Sha256 IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM [{Db}].dbo.BlobDeltaDeletion AS d WHERE d.TableName = @P1 AND d.stream_id = s.k)
ORDER BY s.n

-- name: put_aside
-- Of a key that comes twice, as a row and as a deletion, no content is known.
UPDATE a SET Sha256 = NULL, RootSha256 = NULL, ModifiedOn = CASE WHEN s.vm > a.ModifiedOn THEN s.vm ELSE a.ModifiedOn END
FROM dbo.BlobDeltaContentAside AS a
INNER JOIN #BlobDeltaStage AS s ON s.k = a.stream_id
WHERE a.TableName = @P1 AND a.ColumnName = @P2;
INSERT INTO dbo.BlobDeltaContentAside (TableName, ColumnName, stream_id, Sha256, RootSha256, ModifiedOn)
SELECT @P1, @P2, s.k, s.c0, s.c1, s.vm
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaContentAside AS a WHERE a.TableName = @P1 AND a.ColumnName = @P2 AND a.stream_id = s.k
)
