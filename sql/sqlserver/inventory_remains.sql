-- What is left of the keys in #BlobDeltaStage: the source's row, its greatest stamp in whatever scope, whether the runs of
-- the scope @P2 know that they handed it out, by [{IsHanded}], and the latest that is logged, and that the next run of the
-- scope tells: of its deletion, and of its leaving, which [{OfScope}] names as the log does; and the latest leaving that was told. A run of a business unit
-- tells deletions of what it handed out alone; all units are not asked. @P1 is the configured table, @P3 the latest
-- time that a run would tell.
SELECT
    k.n,
    CASE WHEN EXISTS (SELECT 1 FROM [{SourceTable}] AS s [{SourceHint}] WHERE s.[{KeyColumn}] = k.k) THEN 1 ELSE 0 END AS IsThere,
    (
        SELECT CONVERT(datetime2(7), MAX(m.[{MetadataModifiedOnCol}])) FROM [{MetadataTable}] AS m
        WHERE m.[{MetadataIdColumn}] = k.k
    ) AS ModifiedOn,
    CASE WHEN [{IsHanded}] THEN 1 ELSE 0 END AS IsHanded,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k AND d.Reason = N'Deleted' AND d.DeletedOn <= @P3 AND [{IsHanded}]
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaToldDeletion AS t
                WHERE t.TableName = @P1 AND t.Scope = @P2 AND t.stream_id = k.k AND t.IsDeletion = 1 AND t.DeletedOn >= d.DeletedOn
            )
    ) AS DeletedOn,
    (
        SELECT CONVERT(datetime2(7), MAX(d.DeletedOn)) FROM dbo.BlobDeltaDeletionLog AS d
        WHERE d.TableName = @P1 AND d.stream_id = k.k AND d.Reason = N'LeftScope' AND [{OfScope}] AND d.DeletedOn <= @P3
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaToldDeletion AS t
                WHERE t.TableName = @P1 AND t.Scope = @P2 AND t.stream_id = k.k AND t.IsDeletion = 0 AND t.DeletedOn >= d.DeletedOn
            )
    ) AS LeftOn,
    (
        SELECT CONVERT(datetime2(7), MAX(t.DeletedOn)) FROM dbo.BlobDeltaToldDeletion AS t
        WHERE t.TableName = @P1 AND t.Scope = @P2 AND t.stream_id = k.k AND t.IsDeletion = 0
    ) AS ToldOn
FROM #BlobDeltaStage AS k
ORDER BY k.n;
