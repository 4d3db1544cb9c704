-- The two tables of the design documents, active only where they exist. Can be run again: what
-- an operator changed is left alone.
INSERT OR IGNORE INTO BlobDeltaTableConfig (
    TableName, SourceDb, SourceTable, TargetDb, TargetTable, MetadataDb, MetadataTable,
    MetadataIdColumn, MetadataBusinessUnitCol, BusinessUnitDb, BusinessUnitTable, BusinessUnitIdColumn,
    IsActive, RequireBundle
)
SELECT
    'Gwent_LA_FileTable.dbo.' || t.Name, 'Gwent_LA_FileTable', t.Name, 'Gwent_LA_FileTable_Delta', t.Name,
    'AdvancedRBS_MetaData', t.Name, 'AttachmentId', 'BusinessUnit', 'Gwent_LA_FileTable', 'LA_BU', 'BusinessUnitId',
    EXISTS (SELECT 1 FROM pragma_table_list AS l WHERE l.schema = 'Gwent_LA_FileTable' AND l.name = t.Name)
    AND EXISTS (SELECT 1 FROM pragma_table_list AS l WHERE l.schema = 'AdvancedRBS_MetaData' AND l.name = t.Name),
    0
FROM (SELECT 'ReferralAttachment' AS Name UNION ALL SELECT 'ClientAttachment') AS t;

INSERT OR IGNORE INTO BlobDeltaHighWatermark (TableName)
SELECT TableName FROM BlobDeltaTableConfig;
