-- name: slice_deletions
SELECT stream_id, DeletedOn, BusinessUnit, Reason FROM {SliceSchema}.BlobDeltaDeletion
WHERE TableName = ?1 AND {ToKey(}stream_id{)ToKey} > coalesce({ToKey(}?2{)ToKey}, {LeastKey}) ORDER BY {ToKey(}stream_id{)ToKey} LIMIT ?3

-- name: table_report
SELECT t.WindowStart, t.WindowEnd, t.BufferMinutes, t.WatermarkBefore, t.WatermarkAfter, t.Counts,
    t.NewBusinessUnits, r.BusinessUnitId, t.CompletedAt, coalesce(t.WindowGoal, t.WindowEnd)
FROM BlobDeltaRunTable AS t INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE t.RunId = ?1 AND t.TableName = ?2 AND t.Status = 'Completed'

-- name: table_errors
SELECT TableName, LastError FROM BlobDeltaRunTable WHERE RunId = ?1 AND LastError IS NOT NULL ORDER BY TableName

-- name: absent_parents
-- Rule 7: rows whose parent is not in the slice, because the source has no such row or because
-- it is excluded.
SELECT {ToId(}c.{KeyColumn}{)ToId}, {ToId(}c.DeltaParentKey{)ToId}
FROM {TargetTable} AS c
WHERE c.{ParentPathColumn} IS NOT NULL AND c.{KeyColumn} > coalesce({ToKey(}@After{)ToKey}, {LeastKey})
    AND (
        c.DeltaParentKey IS NULL
        OR NOT EXISTS (SELECT 1 FROM {TargetTable} AS p WHERE p.{KeyColumn} = c.DeltaParentKey)
    )
ORDER BY c.{KeyColumn}
LIMIT @Limit;

-- name: previous_bundle
SELECT k.Root, p.Columns
FROM (SELECT 0 AS Nr, BundleId, PreviousRootSha256 AS Root FROM BlobDeltaBundle WHERE RunId = ?1 AND TableName = ?2
      UNION ALL
      SELECT 1, BundleId, RootSha256 FROM BlobDeltaBundle WHERE TableName = ?2 AND Scope = ?3) AS k
    LEFT JOIN BlobDeltaBundle AS p ON p.TableName = ?2 AND p.Scope = ?3 AND p.RootSha256 = k.Root
ORDER BY k.Nr, k.BundleId DESC LIMIT 1

-- name: insert_bundle
INSERT INTO BlobDeltaBundle (RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder,
    PublishedAt, ShipTo, Columns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
