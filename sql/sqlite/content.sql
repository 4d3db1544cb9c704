-- name: known
-- What the chain has of one key in one column, unless the slice has a deletion of the key.
SELECT k.Sha256, k.RootSha256, k.ModifiedOn, k.RunStartedAt, k.RunId FROM BlobDeltaKnownContent AS k
WHERE k.TableName = ?1 AND k.Scope = ?2 AND k.ColumnName = ?3 AND k.stream_id = ?4 AND k.Sha256 IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = ?1 AND d.stream_id = ?4)

-- name: put_aside
-- Of a key that comes twice, as a row and as a deletion, no content is known.
INSERT INTO BlobDeltaContentAside (TableName, ColumnName, stream_id, Sha256, RootSha256, ModifiedOn)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (TableName, ColumnName, stream_id) DO UPDATE SET
    Sha256 = NULL, RootSha256 = NULL, ModifiedOn = max(ModifiedOn, excluded.ModifiedOn)

-- name: remember
-- What was put aside is known from now on, each value where its version wins (rule 14).
INSERT INTO BlobDeltaKnownContent (TableName, Scope, ColumnName, stream_id, Sha256, RootSha256, ModifiedOn, RunStartedAt, RunId)
SELECT a.TableName, ?2, a.ColumnName, a.stream_id, a.Sha256, iif(a.Sha256 IS NULL, NULL, coalesce(a.RootSha256, ?3)),
    a.ModifiedOn, r.RunStartedAt, r.RunId
FROM BlobDeltaContentAside AS a INNER JOIN BlobDeltaRun AS r ON r.RunId = ?4
WHERE a.TableName = ?1
    AND (
        a.Sha256 IS NOT NULL
        OR EXISTS (
            SELECT 1 FROM BlobDeltaKnownContent AS k
            WHERE k.TableName = ?1 AND k.Scope = ?2 AND k.ColumnName = a.ColumnName AND k.stream_id = a.stream_id
        )
    )
ON CONFLICT (TableName, Scope, ColumnName, stream_id) DO UPDATE SET
    Sha256 = excluded.Sha256, RootSha256 = excluded.RootSha256, ModifiedOn = excluded.ModifiedOn,
    RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId
WHERE excluded.ModifiedOn > BlobDeltaKnownContent.ModifiedOn
    OR (excluded.ModifiedOn = BlobDeltaKnownContent.ModifiedOn AND excluded.RunStartedAt >= BlobDeltaKnownContent.RunStartedAt)
