-- name: named_keys
-- Excluded keys of a table, and those that are asked for, of a scope or of all.
SELECT TOP ([{Limit}]) n.stream_id, n.IsExcluded, n.Reason, n.CreatedAt, n.Scope
FROM (
    SELECT k.stream_id, 1 AS IsExcluded, k.Reason, k.CreatedAt, CAST(N'' AS nvarchar(36)) AS Scope
    FROM dbo.BlobDeltaExcludedKey AS k
    WHERE k.TableName = [{Table}]
    UNION ALL
    SELECT k.stream_id, 0 AS IsExcluded, k.Reason, k.CreatedAt, k.Scope AS Scope
    FROM dbo.BlobDeltaPendingKey AS k
    WHERE k.TableName = [{Table}] AND k.Scope IN (N'', ISNULL([{Scope}], k.Scope))
) AS n
ORDER BY n.IsExcluded DESC, [{ToKey(}]n.stream_id[{)ToKey}], n.stream_id, n.Scope
OPTION (RECOMPILE)

-- name: unknown_names
-- What stands in the tables that people fill by hand under names of tables that are not configured: no run heeds it.
SELECT n.ListName, n.TableName, n.Entries
FROM (
    SELECT N'BlobDeltaDeletionLog' AS ListName, TableName, COUNT(*) AS Entries FROM dbo.BlobDeltaDeletionLog GROUP BY TableName
    UNION ALL
    SELECT N'BlobDeltaExcludedKey' AS ListName, TableName, COUNT(*) AS Entries FROM dbo.BlobDeltaExcludedKey GROUP BY TableName
    UNION ALL
    SELECT N'BlobDeltaPendingKey' AS ListName, TableName, COUNT(*) AS Entries FROM dbo.BlobDeltaPendingKey GROUP BY TableName
    UNION ALL
    SELECT N'BlobDeltaQueuePopulationScript' AS ListName, TableName, COUNT(*) AS Entries FROM dbo.BlobDeltaQueuePopulationScript GROUP BY TableName
    UNION ALL
    SELECT N'BlobDeltaStepScript' AS ListName, TableName, COUNT(*) AS Entries FROM dbo.BlobDeltaStepScript GROUP BY TableName
) AS n
WHERE n.TableName IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTableConfig AS c WHERE LOWER(c.TableName) = LOWER(n.TableName)
)
ORDER BY n.ListName, n.TableName
OPTION (RECOMPILE);
