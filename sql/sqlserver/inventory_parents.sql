-- The parents of the rows in #BlobDeltaStage, as far as the source has them: whether each is in scope, its greatest stamp in
-- whatever scope, whether the next run of the scope @P3 brings it (it was asked for, was absent, or was told to be deleted), and
-- whether it is never captured. @P1 is the configured table, @P2 the key that is never captured (zero for none); [{InScope}] is a
-- condition on m, [{Path}] an expression on p.
SELECT
    k.n,
    p.[{KeyColumn}],
    CASE WHEN EXISTS (
        SELECT 1 FROM [{MetadataTable}] AS m WHERE m.[{MetadataIdColumn}] = p.[{KeyColumn}] AND [{InScope}]
    ) THEN 1 ELSE 0 END AS IsInScope,
    (
        SELECT CONVERT(datetime2(7), MAX(m.[{MetadataModifiedOnCol}])) FROM [{MetadataTable}] AS m
        WHERE m.[{MetadataIdColumn}] = p.[{KeyColumn}]
    ) AS ModifiedOn,
    CASE
        WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey AS a
            WHERE a.TableName = @P1 AND a.Scope IN (N'', @P3) AND a.stream_id = p.[{KeyColumn}]
        ) THEN 1
        WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaAbsentParent AS a
            WHERE a.TableName = @P1 AND a.Scope = @P3 AND a.stream_id = k.k AND a.RunId IS NULL
        ) THEN 1
        WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaToldDeletion AS d
            WHERE d.TableName = @P1 AND d.Scope = @P3 AND d.stream_id = p.[{KeyColumn}] AND d.IsDeletion = 1
                AND d.PassedByRunId IS NULL
        ) THEN 1
        ELSE 0
    END AS IsComing,
    CASE WHEN p.[{KeyColumn}] = @P2 OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @P1 AND e.stream_id = p.[{KeyColumn}]
    ) THEN 1 ELSE 0 END AS IsExcluded,
    [{Path}] AS Path
FROM #BlobDeltaStage AS k
INNER JOIN [{SourceTable}] AS c [{SourceHint}] ON c.[{KeyColumn}] = k.k
INNER JOIN [{SourceTable}] AS p [{SourceHint}] ON p.[{PathColumn}] = c.[{ParentPathColumn}]
ORDER BY k.n;
