-- name: named_keys
SELECT n.stream_id, n.IsExcluded, n.Reason, n.CreatedAt, n.Scope
FROM (
    SELECT stream_id, 1 AS IsExcluded, Reason, CreatedAt, '' AS Scope FROM BlobDeltaExcludedKey WHERE TableName = ?1
    UNION ALL
    SELECT stream_id, 0, Reason, CreatedAt, Scope FROM BlobDeltaPendingKey
    WHERE TableName = ?1 AND (?3 IS NULL OR Scope IN ('', ?3))
) AS n
ORDER BY n.IsExcluded DESC, {Key}, n.stream_id, n.Scope LIMIT ?2

-- name: unknown_names
-- What stands in the tables that people fill by hand under names of tables that are not configured: no run heeds it.
SELECT n.ListName, n.TableName, n.Entries
FROM (
    SELECT 'BlobDeltaDeletionLog' AS ListName, TableName, COUNT(*) AS Entries FROM BlobDeltaDeletionLog GROUP BY TableName
    UNION ALL
    SELECT 'BlobDeltaExcludedKey' AS ListName, TableName, COUNT(*) AS Entries FROM BlobDeltaExcludedKey GROUP BY TableName
    UNION ALL
    SELECT 'BlobDeltaPendingKey' AS ListName, TableName, COUNT(*) AS Entries FROM BlobDeltaPendingKey GROUP BY TableName
    UNION ALL
    SELECT 'BlobDeltaQueuePopulationScript' AS ListName, TableName, COUNT(*) AS Entries FROM BlobDeltaQueuePopulationScript GROUP BY TableName
    UNION ALL
    SELECT 'BlobDeltaStepScript' AS ListName, TableName, COUNT(*) AS Entries FROM BlobDeltaStepScript GROUP BY TableName
) AS n
WHERE n.TableName IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM BlobDeltaTableConfig AS c WHERE LOWER(c.TableName) = LOWER(n.TableName)
)
ORDER BY n.ListName, n.TableName;
