-- What no window and no scan of keys finds, of the whole table @P1; @P2 is now, in the table's clock.
SELECT
    (
        SELECT COUNT_BIG(*) FROM [{SourceTable}] AS s [{SourceHint}]
        WHERE NOT EXISTS (SELECT 1 FROM [{MetadataTable}] AS m WHERE m.[{MetadataIdColumn}] = s.[{KeyColumn}])
    ) AS WithoutMetadata,
    (SELECT COUNT_BIG(*) FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @P1 AND d.Reason = N'Deleted') AS LoggedDeletions,
    (SELECT COUNT_BIG(*) FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @P1 AND d.DeletedOn > @P2) AS FutureDeletions
OPTION (RECOMPILE);
