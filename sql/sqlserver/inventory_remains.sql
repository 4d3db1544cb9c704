-- What is left of the keys in #BlobDeltaStage: the source's row, its greatest stamp in whatever scope, and the latest
-- that was logged of its deletion, and of its leaving a scope: of the unit that [{OfScope}] names, or of all. @P1 is
-- the configured table.
SELECT
    k.n,
    CASE WHEN EXISTS (SELECT 1 FROM [{SourceTable}] AS s [{SourceHint}] WHERE s.[{KeyColumn}] = k.k) THEN 1 ELSE 0 END AS IsThere,
    (
        SELECT CONVERT(datetime2(7), MAX(m.[{MetadataModifiedOnCol}])) FROM [{MetadataTable}] AS m
        WHERE m.[{MetadataIdColumn}] = k.k
    ) AS ModifiedOn,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k AND d.Reason = N'Deleted'
    ) AS DeletedOn,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k AND d.Reason = N'LeftScope' AND [{OfScope}]
    ) AS LeftOn
FROM #BlobDeltaStage AS k
ORDER BY k.n;
