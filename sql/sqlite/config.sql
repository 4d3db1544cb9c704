-- name: select
SELECT TableName, SourceDb, SourceSchema, SourceTable, TargetDb, TargetSchema, TargetTable,
    MetadataDb, MetadataSchema, MetadataTable, MetadataIdColumn, MetadataModifiedOnCol, MetadataBusinessUnitCol,
    BusinessUnitDb, BusinessUnitSchema, BusinessUnitTable, BusinessUnitIdColumn, KeyColumn, PathColumn,
    ParentPathColumn, SafetyBufferMinutes, InitialBaseline, ModifiedOnIsUtc, ExcludedStreamId, IsActive,
    IncludeDeletions, RequireBundle, AcceptedAbsentPercent, AcceptedOrphanPercent, MetadataFilter,
    AcceptedLeftPercent, AcceptedStandingPercent, SchemaDrift, ExcludedColumns, MetadataColumns, KeyType,
    MetadataCreatedOnCol, OmitKnownContent, DeletedWhen, MaxWindow
FROM BlobDeltaTableConfig ORDER BY TableName

-- name: upsert
INSERT INTO BlobDeltaTableConfig (TableName, SourceDb, SourceSchema, SourceTable, TargetDb,
  TargetSchema, TargetTable, MetadataDb, MetadataSchema, MetadataTable, MetadataIdColumn, MetadataModifiedOnCol,
  MetadataBusinessUnitCol, BusinessUnitDb, BusinessUnitSchema, BusinessUnitTable, BusinessUnitIdColumn, KeyColumn,
  PathColumn, ParentPathColumn, SafetyBufferMinutes, InitialBaseline, ModifiedOnIsUtc, ExcludedStreamId, IsActive,
  IncludeDeletions, RequireBundle, AcceptedAbsentPercent, AcceptedOrphanPercent, MetadataFilter,
  AcceptedLeftPercent, AcceptedStandingPercent, SchemaDrift, ExcludedColumns, MetadataColumns, KeyType,
  MetadataCreatedOnCol, OmitKnownContent, DeletedWhen, MaxWindow)
VALUES (:name, :sd, :ss, :st, :td, :ts, :tt, :md, :ms, :mt, :id, :modified, :unit, :ud, :us, :ut, :uid, :key,
  :path, :parent, :buffer, :baseline, :utc, :excluded, :active, :deletions, :bundle, :absent, :orphan, :filter,
  :left, :standing, :drift, :without, :meta, :keys, :created, :omit, :flag, :most)
ON CONFLICT (TableName) DO UPDATE SET SourceDb = :sd, SourceSchema = :ss, SourceTable = :st, TargetDb = :td,
  TargetSchema = :ts, TargetTable = :tt, MetadataDb = :md, MetadataSchema = :ms, MetadataTable = :mt,
  MetadataIdColumn = :id, MetadataModifiedOnCol = :modified, MetadataBusinessUnitCol = :unit, BusinessUnitDb = :ud,
  BusinessUnitSchema = :us, BusinessUnitTable = :ut, BusinessUnitIdColumn = :uid, KeyColumn = :key,
  PathColumn = :path, ParentPathColumn = :parent, SafetyBufferMinutes = :buffer, InitialBaseline = :baseline,
  ModifiedOnIsUtc = :utc, ExcludedStreamId = :excluded, IsActive = :active, IncludeDeletions = :deletions,
  RequireBundle = :bundle, AcceptedAbsentPercent = :absent, AcceptedOrphanPercent = :orphan,
  MetadataFilter = :filter, AcceptedLeftPercent = :left, AcceptedStandingPercent = :standing,
  SchemaDrift = :drift, ExcludedColumns = :without, MetadataColumns = :meta, KeyType = :keys,
  MetadataCreatedOnCol = :created, OmitKnownContent = :omit, DeletedWhen = :flag, MaxWindow = :most

-- name: create_slice
CREATE TABLE {Schema}.{Name} (
    {Columns}
);
CREATE UNIQUE INDEX {Schema}.{Index} ON {Name} ({Key});

-- name: named_tables
SELECT SourceDb, SourceSchema, SourceTable FROM BlobDeltaTableConfig
UNION ALL SELECT TargetDb, TargetSchema, TargetTable FROM BlobDeltaTableConfig
UNION ALL SELECT MetadataDb, MetadataSchema, MetadataTable FROM BlobDeltaTableConfig
UNION ALL SELECT BusinessUnitDb, BusinessUnitSchema, BusinessUnitTable FROM BlobDeltaTableConfig
WHERE BusinessUnitTable IS NOT NULL
