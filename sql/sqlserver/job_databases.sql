-- name: whose
-- Whose server this is, and every table that its job database names: a row a table, or one row of the identity alone.
SELECT s.SourceId, t.Db, t.[Schema], t.[Table]
FROM [BlobDeltaJobs].dbo.BlobDeltaSource AS s
LEFT JOIN (
    SELECT SourceDb AS Db, SourceSchema AS [Schema], SourceTable AS [Table] FROM [BlobDeltaJobs].dbo.BlobDeltaTableConfig
    UNION ALL
    SELECT TargetDb, TargetSchema, TargetTable FROM [BlobDeltaJobs].dbo.BlobDeltaTableConfig
    UNION ALL
    SELECT MetadataDb, MetadataSchema, MetadataTable FROM [BlobDeltaJobs].dbo.BlobDeltaTableConfig
    UNION ALL
    SELECT BusinessUnitDb, BusinessUnitSchema, BusinessUnitTable FROM [BlobDeltaJobs].dbo.BlobDeltaTableConfig
    WHERE BusinessUnitTable IS NOT NULL
) AS t ON 1 = 1;
