-- What is left of the keys in #BlobDeltaStage: the source's row, and the latest deletion that was
-- logged. @P1 is the configured table.
SELECT
    k.n,
    CASE WHEN EXISTS (SELECT 1 FROM [{SourceTable}] AS s [{SourceHint}] WHERE s.[{KeyColumn}] = k.k) THEN 1 ELSE 0 END AS IsThere,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k
    ) AS DeletedOn
FROM #BlobDeltaStage AS k
ORDER BY k.n;
