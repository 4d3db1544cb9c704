-- The next @P1 keys of the metadata that are in scope, and what the source has of them. @P2 is the
-- configured table, @P3 the key that is never captured (zero for none), @P4 whose runs are meant; [{After}]
-- and [{InScope}] are conditions on m, [{Path}] an expression on s.
SELECT
    k.stream_id,
    k.ModifiedOn,
    CASE WHEN s.[{KeyColumn}] IS NULL THEN 0 ELSE 1 END AS IsThere,
    CASE WHEN EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
        WHERE p.TableName = @P2 AND p.Scope IN (N'', @P4) AND p.stream_id = k.stream_id
    ) THEN 1 ELSE 0 END AS IsPending,
    CASE WHEN k.stream_id = @P3 OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @P2 AND e.stream_id = k.stream_id
    ) THEN 1 ELSE 0 END AS IsExcluded,
    [{Path}] AS Path
FROM (
    SELECT TOP (@P1) m.[{MetadataIdColumn}] AS stream_id, CONVERT(datetime2(7), MAX(m.[{MetadataModifiedOnCol}])) AS ModifiedOn
    FROM [{MetadataTable}] AS m
    WHERE [{After}] AND [{InScope}]
    GROUP BY m.[{MetadataIdColumn}]
    ORDER BY m.[{MetadataIdColumn}]
) AS k
LEFT JOIN [{SourceTable}] AS s [{SourceHint}] ON s.[{KeyColumn}] = k.stream_id
ORDER BY k.stream_id;
