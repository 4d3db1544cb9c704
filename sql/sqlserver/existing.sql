-- name: nothing
-- Nothing beside the rows, where there are no tables for it.
(
    SELECT
        CONVERT(nvarchar(400), NULL) AS TableName, CONVERT(uniqueidentifier, NULL) AS stream_id, CONVERT(nvarchar(36), NULL) AS Scope,
        CONVERT(datetime2(7), NULL) AS DeletedOn, CONVERT(datetime2(7), NULL) AS ModifiedOn,
        CONVERT(datetime2(7), NULL) AS RunStartedAt, CONVERT(uniqueidentifier, NULL) AS RunId, CONVERT(bit, 0) AS IsPart
    WHERE 1 = 0
)

-- name: existing
-- What the target has under the keys in #BlobDeltaStage, an entry a line: the row (Kind 0) with the scope of its chain,
-- the tombstones (1; that of its deletion has no scope), and what other chains have of the key (3); and whether it has no large value. @P1 is the
-- target, as [schema].[table].
SELECT s.n, 0 AS Kind, (SELECT r.Scope FROM [{Runs}] AS r WHERE r.TableName = @P1 AND r.RunId = v.vr) AS Scope, v.vm, v.vs, v.vr, v.vp AS IsPart
FROM #BlobDeltaStage AS s
INNER JOIN [{Standing}] AS v ON v.k = [{ToKey(}]s.k[{)ToKey}]
UNION ALL
SELECT s.n, 1, d.Scope, d.DeletedOn, d.RunStartedAt, d.RunId, 0
FROM #BlobDeltaStage AS s
INNER JOIN [{Tombstones}] AS d ON d.TableName = @P1 AND d.stream_id = s.k
UNION ALL
SELECT s.n, 3, o.Scope, o.ModifiedOn, o.RunStartedAt, o.RunId, CONVERT(int, o.IsPart)
FROM #BlobDeltaStage AS s
INNER JOIN [{Others}] AS o ON o.TableName = @P1 AND o.stream_id = s.k
ORDER BY 1;

-- name: content
-- The versions of what the target (@P1) has under the keys in #BlobDeltaStage, and hashes of some of its columns.
SELECT s.n, v.vm, v.vs, v.vr [{Hashes}] FROM #BlobDeltaStage AS s
INNER JOIN [{Target}] AS t ON t.[{Key}] = [{ToKey(}]s.k[{)ToKey}]
INNER JOIN [{Standing}] AS v ON v.k = [{ToKey(}]s.k[{)ToKey}]
WHERE @P1 <> N''
ORDER BY s.n
