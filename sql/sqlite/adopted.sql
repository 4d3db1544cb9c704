-- name: read_chain
SELECT b.RunId, r.RunStartedAt, b.RootSha256, b.PreviousRootSha256, b.Name
FROM BlobDeltaBundle AS b INNER JOIN BlobDeltaRun AS r ON r.RunId = b.RunId
WHERE b.TableName = ?1 AND b.Scope = ?2 ORDER BY b.BundleId DESC

-- name: adopt_run
INSERT OR IGNORE INTO BlobDeltaRun (RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, RunCompletedAt,
    Status, TableName, BusinessUnitId, BatchSize, MaxDOP)
VALUES (?1, ?2, ?3, ?4, ?4, ?4, 'Completed', iif(?2 = 'SingleTable', ?5, NULL), ?6, 1, 0)

-- name: adopt_bundle
INSERT INTO BlobDeltaBundle (RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder,
    PublishedAt, Columns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

-- name: keep
-- Rule 17: a row of a bundle that is taken over, as the run that shipped it kept it: nothing is lowered.
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET
    ModifiedOn = CASE
        WHEN excluded.ModifiedOn > coalesce(ModifiedOn, '') THEN excluded.ModifiedOn ELSE ModifiedOn
    END,
    IsWhole = max(IsWhole, excluded.IsWhole);
