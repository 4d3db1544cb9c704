-- 03: the job database BlobDeltaJobs. Version 21.
--
-- Its tables; below them its clock, its errors, and what holds the configuration of a table against the catalog.
-- Can be run again at any time, by the program or by
-- sqlcmd -b -i: it makes what is missing and changes nothing that is there. SQL Server 2016 and
-- later. A job database of a newer version is refused; grants are kept.
--
-- A time in a column that ends in "At" is UTC by the server's clock; any other time is in the
-- clock of the table that it is about (ModifiedOnIsUtc). Nothing is rounded: datetime2(7).
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
-- Where it is made here, readers see the last committed row and wait for no writer: a batch holds the row of its
-- table's lease until it commits. A database that is there is left as it is, and doctor tells of it; the history of
-- backups is there on every server that has ALTER DATABASE.
IF DB_ID(N'BlobDeltaJobs') IS NULL
BEGIN
    CREATE DATABASE BlobDeltaJobs;
    IF OBJECT_ID(N'msdb.dbo.backupset') IS NOT NULL EXEC (N'ALTER DATABASE BlobDeltaJobs SET READ_COMMITTED_SNAPSHOT ON');
END;
GO
USE BlobDeltaJobs;
GO
IF OBJECT_ID(N'dbo.BlobDeltaSchemaVersion', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaSchemaVersion (
        Script    nvarchar(128) NOT NULL CONSTRAINT PK_BlobDeltaSchemaVersion PRIMARY KEY,
        Version   int NOT NULL,
        -- Of the text that was applied; empty where it was applied without the program.
        Sha256    nvarchar(64) NOT NULL CONSTRAINT DF_BlobDeltaSchemaVersion_Sha256 DEFAULT N'',
        AppliedAt datetime2(7) NOT NULL CONSTRAINT DF_BlobDeltaSchemaVersion_AppliedAt DEFAULT SYSUTCDATETIME()
    );
GO
-- Nothing was released before this version, so there is no way from one to it. NOEXEC keeps a client that goes on after an
-- error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version < 21)
BEGIN
    RAISERROR (N'This job database is from before the first release, and is not upgraded. Give it another name, and deploy anew.', 16, 1);
    SET NOEXEC ON;
END;
GO
-- A newer version is refused.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version > 21)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 03_BlobDeltaJobs_Schema.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
-- Which indexes of this script were made. A DBA may drop one, or make a better one, and it stays so.
IF OBJECT_ID(N'dbo.BlobDeltaIndexMade', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaIndexMade (
        IndexName nvarchar(128) NOT NULL CONSTRAINT PK_BlobDeltaIndexMade PRIMARY KEY
    );
GO
-- One row: the identity of this source, given once.
IF OBJECT_ID(N'dbo.BlobDeltaSource', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaSource (
        OnlyRow  int NOT NULL
            CONSTRAINT DF_BlobDeltaSource_OnlyRow DEFAULT 1
            CONSTRAINT CK_BlobDeltaSource_OnlyRow CHECK (OnlyRow = 1),
        SourceId uniqueidentifier NOT NULL
            CONSTRAINT DF_BlobDeltaSource_SourceId DEFAULT NEWID(),
        CONSTRAINT PK_BlobDeltaSource PRIMARY KEY (OnlyRow)
    );
GO
INSERT INTO dbo.BlobDeltaSource (OnlyRow) SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSource);
GO
-- Rule 28: the servers on which this job database may run: where it was deployed, and where it was said to
-- have moved. DatabaseGuid is that of sys.database_recovery_status, which RESTORE makes anew for a database that
-- was not there; empty where the login might not see it.
IF OBJECT_ID(N'dbo.BlobDeltaKnownServer', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaKnownServer (
        ServerIdentity nvarchar(256) NOT NULL,
        DatabaseGuid   nvarchar(36) NOT NULL
            CONSTRAINT DF_BlobDeltaKnownServer_DatabaseGuid DEFAULT N'',
        FirstSeenAt    datetime2(7) NOT NULL
            CONSTRAINT DF_BlobDeltaKnownServer_FirstSeenAt DEFAULT SYSUTCDATETIME(),
        CONSTRAINT PK_BlobDeltaKnownServer PRIMARY KEY (ServerIdentity, DatabaseGuid)
    );
GO
-- One row a table, Db.schema.table. A plain INSERT that names source, target and metadata is enough.
IF OBJECT_ID(N'dbo.BlobDeltaTableConfig', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaTableConfig (
        TableName               nvarchar(400) NOT NULL,
        SourceDb                nvarchar(128) NOT NULL,
        SourceSchema            nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_SourceSchema DEFAULT N'dbo',
        SourceTable             nvarchar(128) NOT NULL,
        TargetDb                nvarchar(128) NOT NULL,
        TargetSchema            nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_TargetSchema DEFAULT N'dbo',
        TargetTable             nvarchar(128) NOT NULL,
        MetadataDb              nvarchar(128) NOT NULL,
        MetadataSchema          nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_MetadataSchema DEFAULT N'dbo',
        MetadataTable           nvarchar(128) NOT NULL,
        MetadataIdColumn        nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_MetadataIdColumn DEFAULT N'stream_id',
        MetadataModifiedOnCol   nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_MetadataModifiedOnCol DEFAULT N'ModifiedOn',
        -- Counts where ModifiedOn is NULL.
        MetadataCreatedOnCol    nvarchar(128) NULL,
        MetadataBusinessUnitCol nvarchar(128) NULL,
        BusinessUnitDb          nvarchar(128) NULL,
        BusinessUnitSchema      nvarchar(128) NULL
            CONSTRAINT DF_BlobDeltaTableConfig_BusinessUnitSchema DEFAULT N'dbo',
        BusinessUnitTable       nvarchar(128) NULL,
        BusinessUnitIdColumn    nvarchar(128) NULL,
        KeyColumn               nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_KeyColumn DEFAULT N'stream_id',
        -- What the keys are, as ufn_BlobDelta_KeyId has it; usp_BlobDelta_MakeSlice looks it up.
        KeyType                 nvarchar(20) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_KeyType DEFAULT N'uniqueidentifier'
            CONSTRAINT CK_BlobDeltaTableConfig_KeyType CHECK (KeyType IN (N'uniqueidentifier', N'integer') OR KeyType LIKE N'binary(%)'),
        PathColumn              nvarchar(128) NULL
            CONSTRAINT DF_BlobDeltaTableConfig_PathColumn DEFAULT N'path_locator',
        ParentPathColumn        nvarchar(128) NULL
            CONSTRAINT DF_BlobDeltaTableConfig_ParentPathColumn DEFAULT N'parent_path_locator',
        SafetyBufferMinutes     int NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_SafetyBufferMinutes DEFAULT 240
            CONSTRAINT CK_BlobDeltaTableConfig_SafetyBufferMinutes CHECK (SafetyBufferMinutes BETWEEN 0 AND 525600),
        InitialBaseline         datetime2(7) NULL,
        -- The most that one window takes: N'30 days' or N'1000000 rows'.
        MaxWindow               nvarchar(40) NULL,
        ModifiedOnIsUtc         bit NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_ModifiedOnIsUtc DEFAULT 1,
        ExcludedStreamId        uniqueidentifier NULL,
        IsActive                bit NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_IsActive DEFAULT 1,
        IncludeDeletions        bit NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_IncludeDeletions DEFAULT 1,
        -- NULL until somebody says 0 or 1: then the first bundled run makes it 1.
        RequireBundle           bit NULL,
        AcceptedAbsentPercent   int NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_AcceptedAbsentPercent DEFAULT 50
            CONSTRAINT CK_BlobDeltaTableConfig_AcceptedAbsentPercent CHECK (AcceptedAbsentPercent BETWEEN 0 AND 100),
        AcceptedOrphanPercent   int NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_AcceptedOrphanPercent DEFAULT 50
            CONSTRAINT CK_BlobDeltaTableConfig_AcceptedOrphanPercent CHECK (AcceptedOrphanPercent BETWEEN 0 AND 100),
        -- Column=value[,value...], or Column IS NOT NULL: which rows of the metadata count. NULL: all of them.
        MetadataFilter          nvarchar(2000) NULL,
        -- Which of them count as deleted, in the same form. NULL: none.
        DeletedWhen             nvarchar(2000) NULL,
        AcceptedLeftPercent     int NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_AcceptedLeftPercent DEFAULT 50
            CONSTRAINT CK_BlobDeltaTableConfig_AcceptedLeftPercent CHECK (AcceptedLeftPercent BETWEEN 0 AND 100),
        AcceptedStandingPercent int NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_AcceptedStandingPercent DEFAULT 50
            CONSTRAINT CK_BlobDeltaTableConfig_AcceptedStandingPercent CHECK (AcceptedStandingPercent BETWEEN 0 AND 100),
        -- What a login does not see of the table and a DBA has accepted by name, with commas between: Db.schema.Table
        -- whose rows are filtered, Db.schema.Table.Column that is masked.
        AcceptedHidden          nvarchar(4000) NULL,
        -- Rule 24: what a run does where the source's columns are not the slice's.
        SchemaDrift             nvarchar(10) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_SchemaDrift DEFAULT N'Carry'
            CONSTRAINT CK_BlobDeltaTableConfig_SchemaDrift CHECK (SchemaDrift IN (N'Carry', N'Refuse')),
        -- Names of the source's columns that no bundle has, with commas between; in brackets where a name has a comma.
        ExcludedColumns         nvarchar(max) NULL,
        -- Names of columns of the metadata that come along as Meta_<name>, in the same way.
        MetadataColumns         nvarchar(max) NULL,
        -- Whether bundles leave out content that the chain has shipped for the same key.
        OmitKnownContent        bit NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_OmitKnownContent DEFAULT 0,
        CONSTRAINT PK_BlobDeltaTableConfig PRIMARY KEY (TableName)
    );
GO
-- The watermark of all business units, and the lease (rule 8). A row that is missing is made by
-- usp_BlobDelta_TakeLease. LeaseEpoch is one more at every take. LeaseOwner is the caller's own token:
-- who lost the answer to his take may take again.
IF OBJECT_ID(N'dbo.BlobDeltaHighWatermark', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaHighWatermark (
        TableName               nvarchar(400) NOT NULL,
        LastHighWaterModifiedOn datetime2(7) NULL,
        LastRunId               uniqueidentifier NULL,
        LastRunCompletedAt      datetime2(7) NULL,
        IsInitialFullLoadDone   bit NOT NULL
            CONSTRAINT DF_BlobDeltaHighWatermark_IsInitialFullLoadDone DEFAULT 0,
        IsRunning               bit NOT NULL
            CONSTRAINT DF_BlobDeltaHighWatermark_IsRunning DEFAULT 0,
        RunLeaseExpiresAt       datetime2(7) NULL,
        LeaseRunId              uniqueidentifier NULL,
        LeaseEpoch              bigint NOT NULL
            CONSTRAINT DF_BlobDeltaHighWatermark_LeaseEpoch DEFAULT 0,
        LeaseSeconds            int NOT NULL
            CONSTRAINT DF_BlobDeltaHighWatermark_LeaseSeconds DEFAULT 600,
        LeaseOwner              uniqueidentifier NULL,
        CONSTRAINT PK_BlobDeltaHighWatermark PRIMARY KEY (TableName)
    );
GO
-- The watermark of one business unit (rule 12). A row without a watermark says that the unit was in
-- scope of a completed run over all units.
IF OBJECT_ID(N'dbo.BlobDeltaBusinessUnitWatermark', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaBusinessUnitWatermark (
        TableName               nvarchar(400) NOT NULL,
        BusinessUnitId          uniqueidentifier NOT NULL,
        LastHighWaterModifiedOn datetime2(7) NULL,
        LastRunId               uniqueidentifier NULL,
        LastRunCompletedAt      datetime2(7) NULL,
        IsKnownToAllRuns        bit NOT NULL
            CONSTRAINT DF_BlobDeltaBusinessUnitWatermark_IsKnownToAllRuns DEFAULT 0,
        CONSTRAINT PK_BlobDeltaBusinessUnitWatermark PRIMARY KEY (TableName, BusinessUnitId)
    );
GO
-- WindowFrom, WindowUntil: --from and --until. ContinuesRunId: the run whose windows MaxWindow had cut, and that this one goes on
-- from. OutFolder to BundleForm: what a run was told of its bundle (rule 18), all NULL where it was told nothing: SignedBy is the
-- fingerprint of a key, EncryptedTo the recipients of age, in order. Never a secret. Who resumes a run is its next attempt,
-- and the one before it writes nothing more (rule 8).
IF OBJECT_ID(N'dbo.BlobDeltaRun', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaRun (
        RunId             uniqueidentifier NOT NULL,
        RunType           nvarchar(20) NOT NULL,
        RequestedBy       nvarchar(256) NOT NULL,
        RunStartedAt      datetime2(7) NOT NULL,
        RunStartedAtLocal datetime2(7) NOT NULL,
        RunCompletedAt    datetime2(7) NULL,
        Status            nvarchar(20) NOT NULL,
        ErrorMessage      nvarchar(4000) NULL,
        TableName         nvarchar(400) NULL,
        BusinessUnitId    uniqueidentifier NULL,
        BatchSize         int NOT NULL,
        MaxDOP            int NOT NULL,
        WindowFrom        datetime2(7) NULL,
        WindowUntil       datetime2(7) NULL,
        ContinuesRunId    uniqueidentifier NULL,
        OutFolder         nvarchar(2000) NULL,
        ShipTo            nvarchar(2000) NULL,
        SignedBy          nvarchar(200) NULL,
        EncryptedTo       nvarchar(max) NULL,
        BundleForm        nvarchar(20) NULL,
        Attempt           int NOT NULL
            CONSTRAINT DF_BlobDeltaRun_Attempt DEFAULT 1,
        CONSTRAINT PK_BlobDeltaRun PRIMARY KEY (RunId)
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaRun_StartedAt')
BEGIN
    CREATE INDEX IX_BlobDeltaRun_StartedAt ON dbo.BlobDeltaRun (RunStartedAt);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaRun_StartedAt');
END;
GO
-- The part of a run for one table. Counts is a JSON object, NewBusinessUnits a JSON array.
-- LagOnly says that nobody could look for open transactions (rule 2). WindowGoal: where the window would have ended that
-- MaxWindow cut; the window's end, if it cut none. OneStampRows: how many rows the one stamp has that makes the window larger
-- than MaxWindow.
-- Of which type the keys of a table are. What its runs recorded goes by their ids, so this stays when the table is removed.
IF OBJECT_ID(N'dbo.BlobDeltaKeyType', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaKeyType (
        TableName nvarchar(400) NOT NULL CONSTRAINT PK_BlobDeltaKeyType PRIMARY KEY,
        KeyType   nvarchar(20) NOT NULL
    );
GO
IF OBJECT_ID(N'dbo.BlobDeltaRunTable', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaRunTable (
        RunId                  uniqueidentifier NOT NULL,
        TableName              nvarchar(400) NOT NULL,
        Scope                  nvarchar(36) NOT NULL,
        Status                 nvarchar(20) NOT NULL,
        WindowStart            datetime2(7) NULL,
        WindowEnd              datetime2(7) NULL,
        WindowGoal             datetime2(7) NULL,
        OneStampRows           bigint NULL,
        BufferMinutes          int NULL,
        DeletionsFrom          datetime2(7) NULL,
        PreviousRunId          uniqueidentifier NULL,
        WatermarkBefore        datetime2(7) NULL,
        WatermarkAfter         datetime2(7) NULL,
        ActiveTransactionFloor datetime2(7) NULL,
        LagOnly                bit NOT NULL
            CONSTRAINT DF_BlobDeltaRunTable_LagOnly DEFAULT 1,
        QueuedKeys             bigint NULL,
        RootsSeq               bigint NOT NULL
            CONSTRAINT DF_BlobDeltaRunTable_RootsSeq DEFAULT 0,
        ChildrenSeq            bigint NOT NULL
            CONSTRAINT DF_BlobDeltaRunTable_ChildrenSeq DEFAULT 0,
        Counts                 nvarchar(4000) NULL,
        NewBusinessUnits       nvarchar(max) NULL,
        PackNumber             int NULL,
        CompletedAt            datetime2(7) NULL,
        LastError              nvarchar(4000) NULL,
        -- The greatest stamp that the run saw, and by which the next one sees whether the source went back.
        NewestModifiedOn       datetime2(7) NULL,
        CONSTRAINT PK_BlobDeltaRunTable PRIMARY KEY (RunId, TableName)
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaRunTable_Chain')
BEGIN
    CREATE INDEX IX_BlobDeltaRunTable_Chain ON dbo.BlobDeltaRunTable (TableName, Scope, Status);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaRunTable_Chain');
END;
GO
-- What a run executes for a table: the templates as they were filled when the table started, each
-- word of it.
IF OBJECT_ID(N'dbo.BlobDeltaRunScript', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaRunScript (
        RunId      uniqueidentifier NOT NULL,
        TableName  nvarchar(400) NOT NULL,
        -- 40 characters, because a clustered key may have 900 bytes.
        ScriptName nvarchar(40) NOT NULL,
        SqlText    nvarchar(max) NOT NULL,
        CONSTRAINT PK_BlobDeltaRunScript PRIMARY KEY (RunId, TableName, ScriptName)
    );
GO
-- One row a batch. Step 0 is the table as a whole: its failures.
IF OBJECT_ID(N'dbo.BlobDeltaRunStep', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaRunStep (
        RunId              uniqueidentifier NOT NULL,
        TableName          nvarchar(400) NOT NULL,
        StepNumber         int NOT NULL,
        BatchNumber        int NOT NULL,
        RowsProcessed      bigint NOT NULL,
        TotalRowsProcessed bigint NOT NULL,
        WindowStart        datetime2(7) NULL,
        WindowEnd          datetime2(7) NULL,
        BatchStartedAt     datetime2(7) NOT NULL,
        BatchCompletedAt   datetime2(7) NULL,
        Status             nvarchar(20) NOT NULL,
        ErrorMessage       nvarchar(4000) NULL,
        CONSTRAINT PK_BlobDeltaRunStep PRIMARY KEY (RunId, TableName, StepNumber, BatchNumber)
    );
GO
-- Rule 3: the keys of a window, each once. State is NULL until the key ends. IsPending: asked for by name; 2, once the slice is
-- complete, where that was so even without metadata.
IF OBJECT_ID(N'dbo.BlobDeltaWindowQueue', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaWindowQueue (
        RunId       uniqueidentifier NOT NULL,
        TableName   nvarchar(400) NOT NULL,
        Step        int NOT NULL,
        Seq         bigint NOT NULL,
        stream_id   uniqueidentifier NOT NULL,
        ModifiedOn  datetime2(7) NULL,
        WasHeldBack int NOT NULL
            CONSTRAINT DF_BlobDeltaWindowQueue_WasHeldBack DEFAULT 0,
        IsPending   int NOT NULL
            CONSTRAINT DF_BlobDeltaWindowQueue_IsPending DEFAULT 0,
        State       nvarchar(10) NULL,
        CONSTRAINT PK_BlobDeltaWindowQueue PRIMARY KEY (RunId, TableName, Step, Seq),
        -- What tells rows apart stands first: they are compared a few million times while a queue is filled.
        CONSTRAINT UX_BlobDeltaWindowQueue_Key UNIQUE (stream_id, RunId, TableName),
        CONSTRAINT CK_BlobDeltaWindowQueue_Step CHECK (Step IN (1, 3)),
        CONSTRAINT CK_BlobDeltaWindowQueue_State CHECK (State IN (N'Copied', N'Gone', N'HeldBack'))
    );
GO
-- Rule 4: the keys that a run saw between its window's end and its start.
IF OBJECT_ID(N'dbo.BlobDeltaHeldBackKey', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaHeldBackKey (
        RunId     uniqueidentifier NOT NULL,
        TableName nvarchar(400) NOT NULL,
        stream_id uniqueidentifier NOT NULL,
        CONSTRAINT PK_BlobDeltaHeldBackKey PRIMARY KEY (RunId, TableName, stream_id)
    );
GO
-- Rules 5 and 17: keys that are asked for by name until they are copied or dropped by name, by the runs of one
-- scope: 'all', or a business unit as text. '' asks for everybody: the next run of the table makes of it one row
-- for each scope that has a watermark. WithoutMetadata: a run over all units takes it even if no metadata names it.
IF OBJECT_ID(N'dbo.BlobDeltaPendingKey', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaPendingKey (
        TableName nvarchar(400) NOT NULL,
        Scope     nvarchar(36) NOT NULL
            CONSTRAINT DF_BlobDeltaPendingKey_Scope DEFAULT N'',
        stream_id uniqueidentifier NOT NULL,
        Reason    nvarchar(1000) NOT NULL,
        CreatedAt datetime2(7) NOT NULL
            CONSTRAINT DF_BlobDeltaPendingKey_CreatedAt DEFAULT SYSUTCDATETIME(),
        WithoutMetadata bit NOT NULL
            CONSTRAINT DF_BlobDeltaPendingKey_WithoutMetadata DEFAULT 0,
        CONSTRAINT PK_BlobDeltaPendingKey PRIMARY KEY (TableName, Scope, stream_id)
    );
GO
-- Rules 7 and 17: what the runs of a scope have handed out: of a business unit all, so that its receivers can be told what
-- left the unit, and of no deletion but of what they have; of 'all' ancestors out of scope alone. ModifiedOn is the greatest
-- stamp that was handed out. IsWhole is 0 for ancestors out of scope: they come without their blobs.
IF OBJECT_ID(N'dbo.BlobDeltaShippedKey', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaShippedKey (
        TableName  nvarchar(400) NOT NULL,
        Scope      nvarchar(36) NOT NULL,
        stream_id  uniqueidentifier NOT NULL,
        ModifiedOn datetime2(7) NULL,
        IsWhole    bit NOT NULL,
        CONSTRAINT PK_BlobDeltaShippedKey PRIMARY KEY (TableName, Scope, stream_id)
    );
GO
-- Known content: what whoever has applied all bundles of a chain has, by key and column. Sha256 is that of the value, NULL where
-- there is none to be left out; RootSha256 the bundle that holds it. ModifiedOn, RunStartedAt and RunId are the version of the
-- row (rule 14). What a pack finds is in BlobDeltaContentAside until its bundle is recorded.
IF OBJECT_ID(N'dbo.BlobDeltaKnownContent', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaKnownContent (
        TableName    nvarchar(400) NOT NULL,
        Scope        nvarchar(36) NOT NULL,
        ColumnName   nvarchar(128) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        Sha256       varbinary(32) NULL,
        RootSha256   varbinary(32) NULL,
        ModifiedOn   datetime2(7) NOT NULL,
        RunStartedAt datetime2(7) NOT NULL,
        RunId        uniqueidentifier NOT NULL,
        CONSTRAINT PK_BlobDeltaKnownContent PRIMARY KEY NONCLUSTERED (TableName, Scope, ColumnName, stream_id)
    );
GO
IF OBJECT_ID(N'dbo.BlobDeltaContentAside', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaContentAside (
        TableName  nvarchar(400) NOT NULL,
        ColumnName nvarchar(128) NOT NULL,
        stream_id  uniqueidentifier NOT NULL,
        Sha256     varbinary(32) NULL,
        RootSha256 varbinary(32) NULL,
        ModifiedOn datetime2(7) NOT NULL,
        CONSTRAINT PK_BlobDeltaContentAside PRIMARY KEY NONCLUSTERED (TableName, ColumnName, stream_id)
    );
GO
-- Rule 7: rows that the runs of a scope handed out while the source lacked their parent, or it was excluded. Once it is
-- there a run brings it, and those again that came without its key (ParentKey); RunId says which one did, until the scope's
-- next run begins.
IF OBJECT_ID(N'dbo.BlobDeltaAbsentParent', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaAbsentParent (
        TableName nvarchar(400) NOT NULL,
        Scope     nvarchar(36) NOT NULL,
        stream_id uniqueidentifier NOT NULL,
        ParentKey uniqueidentifier NULL,
        RunId     uniqueidentifier NULL,
        CONSTRAINT PK_BlobDeltaAbsentParent PRIMARY KEY (TableName, Scope, stream_id)
    );
GO
-- Rule 6: keys that are never captured, each with a reason.
IF OBJECT_ID(N'dbo.BlobDeltaExcludedKey', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaExcludedKey (
        TableName nvarchar(400) NOT NULL,
        stream_id uniqueidentifier NOT NULL,
        Reason    nvarchar(1000) NOT NULL,
        CreatedAt datetime2(7) NOT NULL
            CONSTRAINT DF_BlobDeltaExcludedKey_CreatedAt DEFAULT SYSUTCDATETIME(),
        CONSTRAINT PK_BlobDeltaExcludedKey PRIMARY KEY (TableName, stream_id)
    );
GO
-- Rule 7: ancestors that a slice lacks.
-- IsPending: asked for by name, as above. WasWhole: receivers have it with its blob.
IF OBJECT_ID(N'dbo.BlobDeltaMissingParentsQueue', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaMissingParentsQueue (
        RunId        uniqueidentifier NOT NULL,
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        BusinessUnit uniqueidentifier NULL,
        Processed    bit NOT NULL
            CONSTRAINT DF_BlobDeltaMissingParentsQueue_Processed DEFAULT 0,
        CreatedAt    datetime2(7) NOT NULL
            CONSTRAINT DF_BlobDeltaMissingParentsQueue_CreatedAt DEFAULT SYSUTCDATETIME(),
        IsPending    int NOT NULL
            CONSTRAINT DF_BlobDeltaMissingParentsQueue_IsPending DEFAULT 0,
        WasWhole     int NOT NULL
            CONSTRAINT DF_BlobDeltaMissingParentsQueue_WasWhole DEFAULT 0,
        CONSTRAINT PK_BlobDeltaMissingParentsQueue PRIMARY KEY (RunId, TableName, stream_id)
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaMissingParentsQueue_Open')
BEGIN
    CREATE INDEX IX_BlobDeltaMissingParentsQueue_Open ON dbo.BlobDeltaMissingParentsQueue (RunId, TableName, Processed, stream_id);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaMissingParentsQueue_Open');
END;
GO
-- The templates of the three steps. A row with a TableName overrides the shared one.
IF OBJECT_ID(N'dbo.BlobDeltaStepScript', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaStepScript (
        ScriptId   int IDENTITY(1, 1) NOT NULL,
        TableName  nvarchar(400) NULL,
        StepNumber int NOT NULL,
        ScriptName nvarchar(64) NOT NULL,
        ScriptText nvarchar(max) NOT NULL,
        CONSTRAINT PK_BlobDeltaStepScript PRIMARY KEY (ScriptId),
        CONSTRAINT CK_BlobDeltaStepScript_StepNumber CHECK (StepNumber IN (1, 2, 3))
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'UX_BlobDeltaStepScript')
BEGIN
    CREATE UNIQUE INDEX UX_BlobDeltaStepScript ON dbo.BlobDeltaStepScript (TableName, StepNumber);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'UX_BlobDeltaStepScript');
END;
GO
-- The templates that fill the queues: WindowQueue and MissingParents.
IF OBJECT_ID(N'dbo.BlobDeltaQueuePopulationScript', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaQueuePopulationScript (
        ScriptId   int IDENTITY(1, 1) NOT NULL,
        TableName  nvarchar(400) NULL,
        QueueName  nvarchar(64) NOT NULL,
        ScriptText nvarchar(max) NOT NULL,
        CONSTRAINT PK_BlobDeltaQueuePopulationScript PRIMARY KEY (ScriptId),
        CONSTRAINT CK_BlobDeltaQueuePopulationScript_QueueName CHECK (QueueName IN (N'WindowQueue', N'MissingParents'))
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'UX_BlobDeltaQueuePopulationScript')
BEGIN
    CREATE UNIQUE INDEX UX_BlobDeltaQueuePopulationScript ON dbo.BlobDeltaQueuePopulationScript (TableName, QueueName);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'UX_BlobDeltaQueuePopulationScript');
END;
GO
-- Rule 15. LoggedAt is the server's clock at logging, UTC: @WindowFrom takes again what was logged since then, and
-- pruning keeps what is younger than the oldest run. DeletedOn is in the table's clock. Of a key that LeftScope (rule 17)
-- BusinessUnit is the unit that it left, NULL where it left the scope of all units.
IF OBJECT_ID(N'dbo.BlobDeltaDeletionLog', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaDeletionLog (
        DeletionId   bigint IDENTITY(1, 1) NOT NULL,
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        DeletedOn    datetime2(7) NOT NULL,
        BusinessUnit uniqueidentifier NULL,
        LoggedAt     datetime2(7) NOT NULL
            CONSTRAINT DF_BlobDeltaDeletionLog_LoggedAt DEFAULT SYSUTCDATETIME(),
        Reason       nvarchar(20) NOT NULL
            CONSTRAINT DF_BlobDeltaDeletionLog_Reason DEFAULT N'Deleted'
            CONSTRAINT CK_BlobDeltaDeletionLog_Reason CHECK (Reason IN (N'Deleted', N'LeftScope')),
        CONSTRAINT PK_BlobDeltaDeletionLog PRIMARY KEY (DeletionId)
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaDeletionLog_LoggedAt')
BEGIN
    CREATE INDEX IX_BlobDeltaDeletionLog_LoggedAt ON dbo.BlobDeltaDeletionLog (TableName, LoggedAt);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaDeletionLog_LoggedAt');
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaDeletionLog_Key')
BEGIN
    CREATE INDEX IX_BlobDeltaDeletionLog_Key ON dbo.BlobDeltaDeletionLog (TableName, stream_id);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaDeletionLog_Key');
END;
GO
-- Rule 15: which deletions (and which leavings, IsDeletion = 0) the completed runs of a scope have reported, and which run did.
-- An entry of the log is due for a scope until one of its key and kind, as late or later, stands here. Not by DeletionId:
-- a log that was emptied or restored gives the same numbers again, and an entry that is corrected keeps its own.
-- PassedByRunId: which run brought the row as an ancestor after it was reported as deleted.
IF OBJECT_ID(N'dbo.BlobDeltaReportedDeletion', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReportedDeletion (
        TableName     nvarchar(400) NOT NULL,
        Scope         nvarchar(36) NOT NULL,
        stream_id     uniqueidentifier NOT NULL,
        IsDeletion    bit NOT NULL,
        DeletedOn     datetime2(7) NOT NULL,
        RunId         uniqueidentifier NOT NULL,
        PassedByRunId uniqueidentifier NULL,
        CONSTRAINT PK_BlobDeltaReportedDeletion PRIMARY KEY (TableName, Scope, stream_id, IsDeletion, DeletedOn)
    );
GO
-- One row a table and published bundle. ShipTo is the destination as it was given (never a secret),
-- NULL where the bundle is not to be shipped; ShippedAt is NULL until it was.
IF OBJECT_ID(N'dbo.BlobDeltaBundle', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaBundle (
        BundleId           bigint IDENTITY(1, 1) NOT NULL,
        RunId              uniqueidentifier NOT NULL,
        TableName          nvarchar(400) NOT NULL,
        PackNumber         int NOT NULL,
        Scope              nvarchar(36) NOT NULL,
        RootSha256         nvarchar(64) NOT NULL,
        PreviousRootSha256 nvarchar(64) NULL,
        Name               nvarchar(256) NOT NULL,
        Folder             nvarchar(2000) NOT NULL,
        PublishedAt        datetime2(7) NOT NULL,
        ShipTo             nvarchar(2000) NULL,
        ShippedAt          datetime2(7) NULL,
        -- The columns of its rows as its manifest has them, a JSON array; the next bundle of the chain says what changed.
        Columns            nvarchar(max) NULL,
        CONSTRAINT PK_BlobDeltaBundle PRIMARY KEY (BundleId),
        CONSTRAINT UX_BlobDeltaBundle_Run UNIQUE (RunId, TableName)
    );
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaBundle_Chain')
BEGIN
    CREATE INDEX IX_BlobDeltaBundle_Chain ON dbo.BlobDeltaBundle (TableName, Scope, BundleId);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaBundle_Chain');
END;
GO
-- Rule 18: places that are others', and that rows of this scope ('all', or a business unit as text) may come to all
-- the same, because somebody said so by name.
IF OBJECT_ID(N'dbo.BlobDeltaSharedPlace', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaSharedPlace (
        SharedId  bigint IDENTITY(1, 1) NOT NULL,
        Place     nvarchar(2000) NOT NULL,
        Scope     nvarchar(36) NOT NULL,
        AllowedAt datetime2(7) NOT NULL CONSTRAINT DF_BlobDeltaSharedPlace_AllowedAt DEFAULT SYSUTCDATETIME(),
        CONSTRAINT PK_BlobDeltaSharedPlace PRIMARY KEY (SharedId)
    );
GO
-- What a run's bundles were to be shipped to, and are not any more, because somebody took it back by name.
IF OBJECT_ID(N'dbo.BlobDeltaWaivedShipment', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaWaivedShipment (
        WaivedId   bigint IDENTITY(1, 1) NOT NULL,
        RunId      uniqueidentifier NOT NULL,
        PackNumber int NOT NULL,
        ShipTo     nvarchar(2000) NOT NULL,
        WaivedAt   datetime2(7) NOT NULL,
        CONSTRAINT PK_BlobDeltaWaivedShipment PRIMARY KEY (WaivedId)
    );
GO
-- These two are the one place where the engine reads the server's clock, so that a test can move it.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_UtcNow', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_UtcNow() RETURNS datetime2(7) AS BEGIN RETURN SYSUTCDATETIME(); END');
GO
-- The offset is of whole minutes; rounding takes out the moment between the two readings.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_LocalNow', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_LocalNow() RETURNS datetime2(7) AS
BEGIN
    RETURN DATEADD(minute, CONVERT(int, ROUND(DATEDIFF(second, SYSUTCDATETIME(), SYSDATETIME()) / 60.0, 0)), dbo.ufn_BlobDelta_UtcNow());
END');
GO
-- The most bytes that a value of a slice can have; a file of a FileTable may have more.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_LargestValue', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_LargestValue() RETURNS bigint AS BEGIN RETURN 2147483647; END');
GO
-- Whether an error says that a lock was waited for too long.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_IsLocked', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_IsLocked(@Number int) RETURNS bit AS BEGIN RETURN CASE WHEN @Number = 1222 THEN 1 ELSE 0 END; END');
GO
-- Rule 30: a table's name is the same in any case of its letters, under every collation. The door of each procedure that is
-- called with one: from there on the name is as it is configured. One that is not configured is left as it is.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_TableName', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_TableName(@TableName nvarchar(400)) RETURNS nvarchar(400) AS
BEGIN
    RETURN COALESCE(
        (SELECT MAX(TableName) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        (SELECT MAX(TableName) FROM dbo.BlobDeltaTableConfig WHERE LOWER(TableName) = LOWER(@TableName)),
        @TableName
    );
END');
GO
-- What a key goes by in every column stream_id of this database: 16 bytes. A uniqueidentifier is its own id. An integer, of
-- whatever size, is the last eight bytes, highest first and in two's complement, behind eight zeros: 42 is
-- 00000000-0000-0000-0000-00000000002A, and -2 is 00000000-0000-0000-FFFF-FFFFFFFFFFFE. A binary, written as 0x and two digits a
-- byte, is what CONVERT makes of it behind which zeros stand up to 16 bytes: of binary(4), 0x01020304 is
-- 04030201-0000-0000-0000-000000000000. NULL for what is no key of this type.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_KeyId', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_KeyId(@KeyType nvarchar(20), @Key nvarchar(64)) RETURNS uniqueidentifier AS
BEGIN
    DECLARE @Hex nvarchar(64) = LEFT(SUBSTRING(@Key, 3, 62) + REPLICATE(N''0'', 32), 32);
    RETURN CASE
        WHEN @KeyType = N''uniqueidentifier'' THEN TRY_CONVERT(uniqueidentifier, @Key)
        WHEN @KeyType = N''integer'' THEN CONVERT(uniqueidentifier, CONVERT(binary(16), TRY_CONVERT(bigint, @Key)))
        WHEN @KeyType LIKE N''binary(%)'' AND LEFT(@Key, 2) = N''0x''
            AND LEN(@Key) = 2 + 2 * CONVERT(int, REPLACE(SUBSTRING(@KeyType, 8, 10), N'')'', N''''))
            THEN TRY_CONVERT(uniqueidentifier, CONCAT(SUBSTRING(@Hex, 7, 2), SUBSTRING(@Hex, 5, 2), SUBSTRING(@Hex, 3, 2), SUBSTRING(@Hex, 1, 2), N''-'',
                SUBSTRING(@Hex, 11, 2), SUBSTRING(@Hex, 9, 2), N''-'', SUBSTRING(@Hex, 15, 2), SUBSTRING(@Hex, 13, 2), N''-'',
                SUBSTRING(@Hex, 17, 4), N''-'', SUBSTRING(@Hex, 21, 12)))
    END;
END');
GO
-- A key as its source has it, by its id. NULL for an id that no key of this type has.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_KeyText', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_KeyText(@KeyType nvarchar(20), @Id uniqueidentifier) RETURNS nvarchar(64) AS
BEGIN
    DECLARE @Text nvarchar(36) = LOWER(CONVERT(nvarchar(36), @Id)), @Hex nvarchar(64), @Digits int;
    IF @KeyType LIKE N''binary(%)''
        SELECT @Digits = 2 * CONVERT(int, REPLACE(SUBSTRING(@KeyType, 8, 10), N'')'', N'''')),
            @Hex = CONCAT(SUBSTRING(@Text, 7, 2), SUBSTRING(@Text, 5, 2), SUBSTRING(@Text, 3, 2), SUBSTRING(@Text, 1, 2),
                SUBSTRING(@Text, 12, 2), SUBSTRING(@Text, 10, 2), SUBSTRING(@Text, 17, 2), SUBSTRING(@Text, 15, 2),
                SUBSTRING(@Text, 20, 4), SUBSTRING(@Text, 25, 12));
    RETURN CASE
        WHEN @KeyType = N''uniqueidentifier'' THEN @Text
        WHEN @KeyType = N''integer'' AND LEFT(@Text, 18) = N''00000000-0000-0000''
            THEN CONVERT(nvarchar(20), CONVERT(bigint, SUBSTRING(CONVERT(binary(16), @Id), 9, 8)))
        WHEN @KeyType LIKE N''binary(%)'' AND SUBSTRING(@Hex, @Digits + 1, 32) = REPLICATE(N''0'', 32 - @Digits)
            THEN N''0x'' + LEFT(@Hex, @Digits)
    END;
END');
GO
-- What keys in a column of this type are, as BlobDeltaTableConfig.KeyType has it. NULL where none can be.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_KeyTypeOf', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_KeyTypeOf(@TypeName nvarchar(128), @Bytes int) RETURNS nvarchar(20) AS
BEGIN
    RETURN CASE
        WHEN @TypeName = N''uniqueidentifier'' THEN N''uniqueidentifier''
        WHEN @TypeName IN (N''bigint'', N''int'', N''smallint'', N''tinyint'') THEN N''integer''
        WHEN @TypeName = N''binary'' AND @Bytes BETWEEN 1 AND 16 THEN CONCAT(N''binary('', @Bytes, N'')'')
    END;
END');
GO
-- What scripts have in the place of {ToKey(} and {)ToKey}, around an id whose key is meant, and of {ToId(} and {)ToId}, around a key
-- whose id is, for keys of this type. An integer is held against a smaller type as a bigint, so that one which a column cannot hold is
-- nobody's key, and no error; an index over the column serves that as well. SUBSTRING leaves a binary as it is: there are servers
-- where CONVERT does not lengthen one that comes from a column.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_KeySql', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_KeySql(@KeyType nvarchar(20), @Name nvarchar(10)) RETURNS nvarchar(100) AS
BEGIN
    RETURN CASE
        WHEN @KeyType = N''uniqueidentifier'' THEN N''''
        WHEN @KeyType = N''integer'' THEN CASE @Name
            WHEN N''ToKey('' THEN N''CONVERT(bigint, SUBSTRING(CONVERT(binary(16), ''
            WHEN N'')ToKey'' THEN N''), 9, 8))''
            WHEN N''ToId('' THEN N''CONVERT(uniqueidentifier, CONVERT(binary(16), CONVERT(bigint, ''
            WHEN N'')ToId'' THEN N'')))''
        END
        WHEN @KeyType LIKE N''binary(%)'' THEN CASE @Name
            WHEN N''ToKey('' THEN N''CONVERT('' + @KeyType + N'', CONVERT(binary(16), ''
            WHEN N'')ToKey'' THEN N''))''
            WHEN N''ToId('' THEN N''CONVERT(uniqueidentifier, CONVERT(binary(16), SUBSTRING(''
            WHEN N'')ToId'' THEN N'', 1, 16)))''
        END
    END;
END');
GO
-- SQL for the stamp in a column as a datetime2 in the clock of the table, or for a condition on it: @How is value, since or
-- before, @Time a parameter; or order, by which the rows of one key are ordered: the value with no regard to today. A datetimeoffset is the instant that it is, a date the last microsecond of its day; one of today is
-- the last before the run's start, for its row may still be deleted today. Conditions leave the column as it is, so that an index
-- over it serves them.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_StampSql', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_StampSql(@Column nvarchar(300), @Type nvarchar(128), @How nvarchar(10), @Time nvarchar(20)) RETURNS nvarchar(1000) AS
BEGIN
    RETURN CASE
        WHEN @How IN (N''value'', N''order'') AND @Type = N''datetimeoffset'' THEN N''CONVERT(datetime2(7), SWITCHOFFSET('' + @Column + N'', ''''+00:00''''))''
        WHEN @How = N''value'' AND @Type = N''date'' THEN N''CASE WHEN '' + @Column + N'' = CONVERT(date, @RunStart) THEN DATEADD(microsecond, -1, @RunStart) ELSE DATEADD(microsecond, 999999, DATEADD(second, 86399, CONVERT(datetime2(7), '' + @Column + N''))) END''
        WHEN @How = N''order'' AND @Type = N''date'' THEN N''DATEADD(microsecond, 999999, DATEADD(second, 86399, CONVERT(datetime2(7), '' + @Column + N'')))''
        WHEN @How IN (N''value'', N''order'') THEN @Column
        WHEN @Type = N''datetimeoffset'' THEN @Column + CASE @How WHEN N''since'' THEN N'' >= '' ELSE N'' < '' END + N''TODATETIMEOFFSET('' + @Time + N'', ''''+00:00'''')''
        WHEN @Type = N''date'' AND @Time = N''@RunStart'' THEN @Column + CASE @How WHEN N''since'' THEN N'' > '' ELSE N'' <= '' END + N''CONVERT(date, @RunStart)''
        WHEN @Type = N''date'' THEN @Column + CASE @How WHEN N''since'' THEN N'' >= '' ELSE N'' < '' END + N''CONVERT(date, '' + @Time + N'')''
        ELSE @Column + CASE @How WHEN N''since'' THEN N'' >= '' ELSE N'' < '' END + @Time
    END;
END');
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RespellKeys', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RespellKeys AS RETURN 0');
GO
-- Rule 30, within a transaction: what others have written of a table under another spelling of its name counts. A job database
-- whose collation goes by case would not find it, so it is spelled as configured there.
ALTER PROCEDURE dbo.usp_BlobDelta_RespellKeys
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF N'a' COLLATE DATABASE_DEFAULT = N'A' COLLATE DATABASE_DEFAULT RETURN 0;
    UPDATE dbo.BlobDeltaDeletionLog SET TableName = @TableName
    WHERE LOWER(TableName) = LOWER(@TableName) AND TableName <> @TableName;
    UPDATE dbo.BlobDeltaPendingKey SET TableName = @TableName
    WHERE LOWER(TableName) = LOWER(@TableName) AND TableName <> @TableName AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS o
        WHERE o.TableName = @TableName AND o.Scope = dbo.BlobDeltaPendingKey.Scope AND o.stream_id = dbo.BlobDeltaPendingKey.stream_id
    )
    OPTION (RECOMPILE);
    UPDATE dbo.BlobDeltaExcludedKey SET TableName = @TableName
    WHERE LOWER(TableName) = LOWER(@TableName) AND TableName <> @TableName AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS o WHERE o.TableName = @TableName AND o.stream_id = dbo.BlobDeltaExcludedKey.stream_id
    )
    OPTION (RECOMPILE);
END;
GO
-- These two are the one place that says on which server the job database stands, so that a test can move it. A
-- failover cluster instance has one name on all its nodes; replicas of an availability group have each its own.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_ServerIdentity', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_ServerIdentity() RETURNS nvarchar(256) AS
BEGIN
    RETURN COALESCE(CONVERT(nvarchar(256), SERVERPROPERTY(''ServerName'')), @@SERVERNAME, N''a server without a name'');
END');
GO
-- Only one database should ever have this guid, and RESTORE makes a new one for a database that was not there, so a
-- copy on the same server is noticed too. Empty where the server has no such view, or does not show the row.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_DatabaseGuid', N'FN') IS NULL AND OBJECT_ID(N'sys.database_recovery_status') IS NOT NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_DatabaseGuid() RETURNS nvarchar(36) AS
BEGIN
    RETURN COALESCE((SELECT LOWER(CONVERT(nvarchar(36), database_guid)) FROM sys.database_recovery_status
        WHERE database_id = DB_ID()), N'''');
END');
GO
IF OBJECT_ID(N'dbo.ufn_BlobDelta_DatabaseGuid', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_DatabaseGuid() RETURNS nvarchar(36) AS BEGIN RETURN N''''; END');
GO
-- The first deployment notes its server. Another one is noted by usp_BlobDelta_AddServer alone.
INSERT INTO dbo.BlobDeltaKnownServer (ServerIdentity, DatabaseGuid)
SELECT dbo.ufn_BlobDelta_ServerIdentity(), dbo.ufn_BlobDelta_DatabaseGuid()
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaKnownServer);
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CheckServer', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CheckServer AS RETURN 0');
GO
-- Rule 28: that the job database knows the server on which it stands. A copy has the same SourceId, and would go on
-- with the original's chains.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckServer
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Here nvarchar(256) = dbo.ufn_BlobDelta_ServerIdentity(), @Guid nvarchar(36) = dbo.ufn_BlobDelta_DatabaseGuid();
    IF EXISTS (
        SELECT 1 FROM dbo.BlobDeltaKnownServer
        WHERE ServerIdentity = @Here AND (DatabaseGuid = @Guid OR DatabaseGuid = N'' OR @Guid = N'')
    )
        RETURN 0;
    SET @Message = CONCAT(N'this job database was deployed on ',
        COALESCE((SELECT MAX(RTRIM(ServerIdentity + N' ' + DatabaseGuid)) FROM dbo.BlobDeltaKnownServer
            WHERE FirstSeenAt = (SELECT MAX(FirstSeenAt) FROM dbo.BlobDeltaKnownServer)), N'a server that it forgot'),
        N', and stands on ', RTRIM(@Here + N' ' + @Guid), N' now; nothing was changed. If the original moved here, or this is its failover partner, ',
        N'EXEC dbo.usp_BlobDelta_AddServer (or blobdelta deploy --moved); if this is a copy, EXEC dbo.usp_BlobDelta_BecomeOwnSource ',
        N'(or blobdelta deploy --copied), which makes it a source of its own');
    SET @Message = REPLACE(@Message, N'%', N'%%');
    EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Throw', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Throw AS RETURN 0');
GO
-- An error of ours whose text holds names: THROW takes a % in it for the beginning of a format.
ALTER PROCEDURE dbo.usp_BlobDelta_Throw
    @Number int,
    @Message nvarchar(2000)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET @Message = REPLACE(@Message, N'%', N'%%');
    THROW @Number, @Message, 1;
END;
GO
-- The columns of #Column, which usp_BlobDelta_ReadColumns fills: its callers make it from here, SELECT * INTO #Column.
-- Texts have the collation of the job database, and not tempdb's.
IF OBJECT_ID(N'dbo.BlobDeltaColumnShape', N'V') IS NULL
    EXEC (N'CREATE VIEW dbo.BlobDeltaColumnShape AS
SELECT
    CAST(NULL AS nvarchar(20)) COLLATE DATABASE_DEFAULT AS Role, CAST(NULL AS int) AS Ordinal,
    CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS DbName, CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS SchemaName,
    CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS TableName, CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS Name,
    CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS TypeName, CAST(NULL AS int) AS MaxLength, CAST(NULL AS int) AS NumberPrecision,
    CAST(NULL AS int) AS NumberScale, CAST(NULL AS bit) AS IsNullable, CAST(NULL AS bit) AS IsComputed,
    CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS CollationName,
    CAST(NULL AS nvarchar(300)) COLLATE DATABASE_DEFAULT AS Declared,
    CAST(NULL AS nvarchar(128)) COLLATE DATABASE_DEFAULT AS MetadataName');
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadCatalog', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadCatalog AS RETURN 0');
GO
-- Reads the columns of all that the tables of #Chosen are configured with into #BlobDeltaCatalog, both of the caller, so
-- that usp_BlobDelta_ReadColumns finds them there: one query a database, because a server takes as long to say it of
-- one table as of many. What cannot be read here is told by whoever needs it.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadCatalog
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Db nvarchar(128), @Object int, @Objects nvarchar(max), @Sql nvarchar(max);
    CREATE TABLE #Object (DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, ObjectId int NULL);
    INSERT INTO #Object (DbName, ObjectId)
    SELECT d.name, OBJECT_ID(QUOTENAME(d.name) + N'.' + QUOTENAME(p.SchemaName) + N'.' + QUOTENAME(p.TableName))
    FROM (
        SELECT c.SourceDb AS DbName, c.SourceSchema AS SchemaName, c.SourceTable AS TableName
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        UNION
        SELECT c.MetadataDb, c.MetadataSchema, c.MetadataTable
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        UNION
        SELECT c.TargetDb, c.TargetSchema, c.TargetTable
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        UNION
        SELECT c.BusinessUnitDb, COALESCE(c.BusinessUnitSchema, N'dbo'), c.BusinessUnitTable
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        WHERE c.BusinessUnitDb IS NOT NULL AND c.BusinessUnitTable IS NOT NULL
    ) AS p
    INNER JOIN sys.databases AS d ON d.database_id = DB_ID(p.DbName);
    SET @Db = (SELECT MIN(DbName) FROM #Object WHERE ObjectId IS NOT NULL);
    WHILE @Db IS NOT NULL
    BEGIN
        SET @Object = (SELECT MIN(ObjectId) FROM #Object WHERE DbName = @Db);
        SET @Objects = CONVERT(nvarchar(20), @Object);
        WHILE @Object IS NOT NULL
        BEGIN
            SET @Object = (SELECT MIN(ObjectId) FROM #Object WHERE DbName = @Db AND ObjectId > @Object);
            IF @Object IS NOT NULL SET @Objects = @Objects + N', ' + CONVERT(nvarchar(20), @Object);
        END;
        SET @Sql = REPLACE(N'
            INSERT INTO #BlobDeltaCatalog (DbName, ObjectId, Ordinal, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
                NumberScale, IsNullable, IsComputed, CollationName)
            SELECT @Db, c.object_id, c.column_id, s.name, o.name, c.name, y.name, c.max_length, c.precision,
                c.scale, c.is_nullable, c.is_computed, c.collation_name
            FROM {Db}.sys.columns AS c
            INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
            INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
            INNER JOIN {Db}.sys.types AS y
                ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
            WHERE o.type IN (''U'', ''V'') AND o.object_id IN (', N'{Db}', QUOTENAME(@Db)) + @Objects + N')';
        BEGIN TRY
            EXEC sp_executesql @Sql, N'@Db nvarchar(128)', @Db = @Db;
        END TRY
        BEGIN CATCH
            DELETE FROM #BlobDeltaCatalog WHERE DbName = @Db;
        END CATCH;
        SET @Db = (SELECT MIN(DbName) FROM #Object WHERE ObjectId IS NOT NULL AND DbName > @Db);
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadColumns', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadColumns AS RETURN 0');
GO
-- Reads the columns of a table or view into #Column of the caller, which has none of this role yet, from a #BlobDeltaCatalog if there is one and it is in
-- it, else from the server's. None: there is no such table.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadColumns
    @Role nvarchar(20),
    @Db nvarchar(128),
    @Schema nvarchar(128),
    @Table nvarchar(128)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Sql nvarchar(max), @Name nvarchar(128), @ObjectId int;
    SET @Name = (SELECT d.name FROM sys.databases AS d WHERE d.database_id = DB_ID(@Db));
    IF @Name IS NULL
    BEGIN
        SET @Message = CONCAT(N'there is no database ', @Db, N', or this login may not see it',
            CASE WHEN @Role = N'Target' THEN N'; slices are made by blobdelta deploy, or by usp_BlobDelta_MakeSlice for each table' ELSE N'' END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF OBJECT_ID(N'tempdb..#BlobDeltaCatalog') IS NOT NULL
    BEGIN
        SET @ObjectId = OBJECT_ID(QUOTENAME(@Name) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table));
        INSERT INTO #Column (Role, Ordinal, DbName, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
            NumberScale, IsNullable, IsComputed, CollationName)
        SELECT @Role, Ordinal, DbName, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
            NumberScale, IsNullable, IsComputed, CollationName
        FROM #BlobDeltaCatalog WHERE DbName = @Name AND ObjectId = @ObjectId;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Column WHERE Role = @Role)
    BEGIN
        SET @Sql = REPLACE(N'
            INSERT INTO #Column (Role, Ordinal, DbName, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
                NumberScale, IsNullable, IsComputed, CollationName)
            SELECT @Role, c.column_id, @Name, s.name, o.name, c.name, y.name, c.max_length, c.precision,
                c.scale, c.is_nullable, c.is_computed, c.collation_name
            FROM {Db}.sys.columns AS c
            INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
            INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
            INNER JOIN {Db}.sys.types AS y
                ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
            WHERE s.name = @Schema AND o.name = @Table AND o.type IN (''U'', ''V'')', N'{Db}', QUOTENAME(@Name));
        EXEC sp_executesql @Sql,
            N'@Role nvarchar(20), @Name nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128)',
            @Role = @Role, @Name = @Name, @Schema = @Schema, @Table = @Table;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Column WHERE Role = @Role)
    BEGIN
        SET @Message = CONCAT(N'there is no table ', @Db, N'.', @Schema, N'.', @Table, N', or this login may not see it',
            CASE WHEN @Role = N'Target' THEN N'; a slice table that was dropped is made again by blobdelta deploy, or usp_BlobDelta_MakeSlice' ELSE N'' END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    -- How a slice declares such a column, without whether it takes NULL. None: it cannot be carried.
    UPDATE #Column SET Declared = CASE
            WHEN TypeName IN (N'timestamp', N'rowversion') THEN N'binary(8)'
            WHEN TypeName IN (N'varbinary', N'varchar', N'nvarchar') AND MaxLength = -1 THEN TypeName + N'(max)'
            WHEN TypeName IN (N'varbinary', N'binary', N'varchar', N'char') THEN TypeName + N'(' + CONVERT(nvarchar(10), MaxLength) + N')'
            WHEN TypeName IN (N'nvarchar', N'nchar') THEN TypeName + N'(' + CONVERT(nvarchar(10), MaxLength / 2) + N')'
            WHEN TypeName IN (N'decimal', N'numeric')
                THEN TypeName + N'(' + CONVERT(nvarchar(10), NumberPrecision) + N', ' + CONVERT(nvarchar(10), NumberScale) + N')'
            WHEN TypeName IN (N'datetime2', N'datetimeoffset', N'time') THEN TypeName + N'(' + CONVERT(nvarchar(10), NumberScale) + N')'
            WHEN TypeName = N'float' AND NumberPrecision > 0 THEN N'float(' + CONVERT(nvarchar(10), NumberPrecision) + N')'
            WHEN TypeName IN (N'uniqueidentifier', N'hierarchyid', N'bit', N'tinyint', N'smallint', N'int', N'bigint', N'real',
                N'float', N'money', N'smallmoney', N'date', N'datetime', N'smalldatetime', N'text', N'ntext', N'image', N'xml',
                N'sql_variant', N'geography', N'geometry') THEN TypeName
        END + CASE WHEN CollationName IS NULL THEN N'' ELSE N' COLLATE ' + CollationName END
    WHERE Role = @Role;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_DropExcluded', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_DropExcluded AS RETURN 0');
GO
-- Takes out of #Column of the caller what ExcludedColumns of the table names of its source.
ALTER PROCEDURE dbo.usp_BlobDelta_DropExcluded
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Excluded nvarchar(max), @Message nvarchar(2000);
    SET @Excluded = (SELECT N',' + REPLACE(ExcludedColumns, N', ', N',') + N',' FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
    IF @Excluded IS NULL OR @Excluded = N',,' RETURN 0;
    SELECT Name INTO #Excluded FROM #Column
    WHERE Role = N'Source' AND (
        CHARINDEX(N',' + QUOTENAME(Name) + N',', @Excluded) > 0
        OR (CHARINDEX(N',', Name) = 0 AND CHARINDEX(N',' + Name + N',', @Excluded) > 0)
    );
    SET @Message = (
        SELECT MAX(CONCAT(@TableName, N': ExcludedColumns names ', e.Name, N', without which no row has a key and a place'))
        FROM #Excluded AS e
        INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = @TableName AND e.Name IN (c.KeyColumn, c.PathColumn, c.ParentPathColumn)
    );
    IF @Message IS NOT NULL EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    DELETE FROM #Column WHERE Role = N'Source' AND Name IN (SELECT e.Name FROM #Excluded AS e);
    DROP TABLE #Excluded;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_AddMetadataColumns', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_AddMetadataColumns AS RETURN 0');
GO
-- Adds to the source's columns in #Column of the caller those of the metadata that MetadataColumns names, as Meta_<name>, in its
-- order. They take NULL: not every row has metadata. MetadataName is the name that such a column has there.
ALTER PROCEDURE dbo.usp_BlobDelta_AddMetadataColumns
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Named nvarchar(max), @Excluded nvarchar(max), @Rest nvarchar(max), @Db nvarchar(128),
        @Schema nvarchar(128), @Table nvarchar(128), @Source int, @Name nvarchar(128), @IsRead bit = 0;
    SELECT @Named = N',' + LOWER(REPLACE(MetadataColumns, N', ', N',')) + N',', @Db = MetadataDb, @Schema = MetadataSchema, @Table = MetadataTable,
        @Excluded = N',' + LOWER(REPLACE(ExcludedColumns, N', ', N',')) + N',',
        @Source = CASE WHEN DB_ID(SourceDb) = DB_ID(MetadataDb)
            THEN OBJECT_ID(QUOTENAME(SourceDb) + N'.' + QUOTENAME(SourceSchema) + N'.' + QUOTENAME(SourceTable)) END
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    IF @Named IS NULL OR @Named = N',,' RETURN 0;
    IF @Source = OBJECT_ID(QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table))
    BEGIN
        SET @Message = CONCAT(@TableName, N': MetadataColumns: the source is the metadata table, so that its columns come along by themselves');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Column WHERE Role = N'Metadata')
    BEGIN
        EXEC dbo.usp_BlobDelta_ReadColumns N'Metadata', @Db, @Schema, @Table;
        SET @IsRead = 1;
    END;
    SELECT Name, Place INTO #Named
    FROM (
        SELECT Name, CASE
                WHEN CHARINDEX(N',' + LOWER(QUOTENAME(Name)) + N',', @Named) > 0 THEN CHARINDEX(N',' + LOWER(QUOTENAME(Name)) + N',', @Named)
                WHEN CHARINDEX(N',', Name) = 0 THEN CHARINDEX(N',' + LOWER(Name) + N',', @Named)
                ELSE 0
            END AS Place
        FROM #Column WHERE Role = N'Metadata'
    ) AS n
    WHERE n.Place > 0;
    -- What is left of the list when each is taken out is no column.
    SET @Rest = @Named;
    SET @Name = (SELECT MIN(Name) FROM #Named);
    WHILE @Name IS NOT NULL
    BEGIN
        SET @Rest = REPLACE(@Rest, N',' + LOWER(QUOTENAME(@Name)) + N',', N',');
        IF CHARINDEX(N',', @Name) = 0 SET @Rest = REPLACE(@Rest, N',' + LOWER(@Name) + N',', N',');
        SET @Name = (SELECT MIN(Name) FROM #Named WHERE Name > @Name);
    END;
    IF @Rest <> N','
    BEGIN
        SET @Message = CONCAT(@TableName, N': MetadataColumns names ', LEFT(SUBSTRING(@Rest, 2, LEN(@Rest) - 2), 500),
            N', which the metadata table does not have, or names it twice; correct the name, or take it out');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SELECT @Message = MAX(CASE
        WHEN LEN(n.Name) > 123 THEN CONCAT(N'the name Meta_', n.Name, N' of a column of the slice is longer than 128 characters')
        WHEN EXISTS (SELECT 1 FROM #Column AS s WHERE s.Role = N'Source' AND LOWER(s.Name) = LOWER(N'Meta_' + n.Name))
            THEN CONCAT(N'the source has a column Meta_', n.Name, N', which is what a slice calls the column ', n.Name,
                N' of the metadata; rename the column of the source, or take ', n.Name, N' out of MetadataColumns')
        WHEN CHARINDEX(N',' + LOWER(QUOTENAME(N'Meta_' + n.Name)) + N',', @Excluded) > 0 OR CHARINDEX(N',' + LOWER(N'Meta_' + n.Name) + N',', @Excluded) > 0
            THEN CONCAT(N'ExcludedColumns leaves out Meta_', n.Name, N', and MetadataColumns names ', n.Name, N': take it out of one')
    END)
    FROM #Named AS n;
    IF @Message IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': ', @Message);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    INSERT INTO #Column (Role, Ordinal, Name, TypeName, MaxLength, NumberPrecision, NumberScale, IsNullable, IsComputed, CollationName,
        Declared, MetadataName)
    SELECT N'Source', 100000 + n.Place, N'Meta_' + c.Name, c.TypeName, c.MaxLength, c.NumberPrecision, c.NumberScale, 1, 0, c.CollationName,
        c.Declared, c.Name
    FROM #Named AS n INNER JOIN #Column AS c ON c.Role = N'Metadata' AND c.Name = n.Name;
    DROP TABLE #Named;
    IF @IsRead = 1 DELETE FROM #Column WHERE Role = N'Metadata';
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListMetadataColumns', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListMetadataColumns AS RETURN 0');
GO
-- What stands for each column of the metadata that comes along with a row s: a value of the metadata row whose stamp counts, in
-- scope, and of the unit that f says. A row of another unit has none in scope, and gets nothing (rule 7). Of several rows of this
-- stamp the greatest counts, in the order of the columns, texts by their code points. Into MetadataValue of #Value of the caller.
ALTER PROCEDURE dbo.usp_BlobDelta_ListMetadataColumns
    @From nvarchar(max),
    @OrderBy nvarchar(2000)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Ordinal int, @Name nvarchar(128), @Type nvarchar(128), @Quoted nvarchar(300), @Order nvarchar(max) = @OrderBy;
    SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Role = N'Source' AND MetadataName IS NOT NULL);
    WHILE @Ordinal IS NOT NULL
    BEGIN
        SELECT @Name = Name, @Type = TypeName, @Quoted = N'm.' + QUOTENAME(MetadataName) FROM #Column WHERE Role = N'Source' AND Ordinal = @Ordinal;
        -- Some types no subquery gives, and some have no order.
        SET @Quoted = CASE @Type
            WHEN N'text' THEN N'CONVERT(varchar(max), ' + @Quoted + N')'
            WHEN N'ntext' THEN N'CONVERT(nvarchar(max), ' + @Quoted + N')'
            WHEN N'image' THEN N'CONVERT(varbinary(max), ' + @Quoted + N')'
            ELSE @Quoted
        END;
        INSERT INTO #Value (Name, MetadataValue) VALUES (@Name, @Quoted);
        SET @Order = @Order + N', ' + CASE
            WHEN @Type IN (N'text', N'ntext', N'char', N'varchar', N'nchar', N'nvarchar') THEN @Quoted + N' COLLATE Latin1_General_BIN2'
            WHEN @Type = N'xml' THEN N'CONVERT(nvarchar(max), ' + @Quoted + N') COLLATE Latin1_General_BIN2'
            WHEN @Type IN (N'geography', N'geometry') THEN N'CONVERT(varbinary(max), ' + @Quoted + N')'
            ELSE @Quoted
        END + N' DESC';
        SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Role = N'Source' AND MetadataName IS NOT NULL AND Ordinal > @Ordinal);
    END;
    UPDATE #Value SET MetadataValue = N'(SELECT TOP (1) ' + MetadataValue + N' FROM ' + @From + N' ORDER BY ' + @Order + N')';
END;
GO
-- The column that a condition on rows of the metadata names.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_ConditionColumn', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_ConditionColumn(@Text nvarchar(2000)) RETURNS nvarchar(2000) AS
BEGIN
    RETURN LTRIM(RTRIM(CASE
        WHEN CHARINDEX(N''='', @Text) > 0 THEN LEFT(@Text, CHARINDEX(N''='', @Text) - 1)
        WHEN LOWER(RTRIM(@Text)) LIKE N''% is not null'' THEN LEFT(@Text, LEN(@Text) - 12)
        ELSE @Text
    END));
END');
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadFilter', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadFilter AS RETURN 0');
GO
-- What @Setting, a MetadataFilter or DeletedWhen, says of a row of the metadata table, AS @Alias, as a condition:
-- Column=value[,value...], or Column IS NOT NULL. A value with a comma, a quote or blanks at its ends stands in single quotes,
-- and a single quote in it is doubled. The column is spelled as in the catalog (#Column of the caller), and a value is a
-- literal of its type. No SQL.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadFilter
    @Setting nvarchar(20),
    @FilterText nvarchar(2000),
    @Alias nvarchar(1),
    @Condition nvarchar(4000) OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Rest nvarchar(2000), @At int, @Asked nvarchar(2000), @Column nvarchar(128), @TypeName nvarchar(128),
        @MaxLength int, @Length int, @Type nvarchar(200), @IsText bit, @Value nvarchar(2000), @IsQuoted bit, @More bit = 1, @Fits bit,
        @Sql nvarchar(max), @Values nvarchar(max) = N'', @IsAny bit,
        @Advice nvarchar(200) = N'write Column=value[,value...], values with commas or quotes in single quotes, or Column IS NOT NULL';
    SET @Condition = N'(1 = 1)';
    IF @FilterText IS NULL RETURN 0;
    SET @At = CHARINDEX(N'=', @FilterText);
    SET @Asked = dbo.ufn_BlobDelta_ConditionColumn(@FilterText);
    SET @IsAny = CASE WHEN @At = 0 AND LEN(@Asked) < LEN(LTRIM(@FilterText)) AND LOWER(RTRIM(@FilterText)) LIKE N'% is not null' THEN 1 ELSE 0 END;
    IF @At = 0 AND @IsAny = 0
        SET @Message = N'has no equals sign';
    ELSE
    BEGIN
        SELECT @Column = MAX(Name), @TypeName = MAX(TypeName), @MaxLength = MAX(MaxLength)
        FROM #Column WHERE Role = N'Metadata' AND LOWER(Name) = LOWER(@Asked);
        IF @Column IS NULL
            SELECT @Message = CONCAT(N'names the column ', @Asked, N', which the metadata table does not have'),
                @Advice = CONCAT(N'correct ', @Setting, N', or leave it empty (blobdelta table set)');
        ELSE IF @IsAny = 1
        BEGIN
            SET @Condition = CONCAT(N'(', @Alias, N'.', QUOTENAME(@Column), N' IS NOT NULL)');
            RETURN 0;
        END;
        ELSE IF @MaxLength = -1 OR @TypeName NOT IN (N'bit', N'tinyint', N'smallint', N'int', N'bigint', N'uniqueidentifier',
            N'char', N'varchar', N'nchar', N'nvarchar')
            SET @Message = CONCAT(N'is of the column ', @Column, N', ', @TypeName,
                N'; values can be of whole numbers, bit, texts with a length and uniqueidentifier');
    END;
    SET @IsText = CASE WHEN @TypeName IN (N'char', N'varchar', N'nchar', N'nvarchar') THEN 1 ELSE 0 END;
    SET @Length = CASE WHEN @TypeName IN (N'nchar', N'nvarchar') THEN @MaxLength / 2 ELSE @MaxLength END;
    SET @Type = @TypeName + CASE WHEN @IsText = 1 THEN CONCAT(N'(', @Length, N')') ELSE N'' END;
    SET @Rest = SUBSTRING(@FilterText, @At + 1, 2000);
    WHILE @More = 1 AND @Message IS NULL
    BEGIN
        SELECT @Rest = LTRIM(@Rest), @Value = N'', @IsQuoted = CASE WHEN LEFT(LTRIM(@Rest), 1) = N'''' THEN 1 ELSE 0 END;
        IF @IsQuoted = 0
        BEGIN
            SET @At = CHARINDEX(N',', @Rest);
            SET @More = CASE WHEN @At > 0 THEN 1 ELSE 0 END;
            SET @Value = RTRIM(CASE WHEN @At > 0 THEN SUBSTRING(@Rest, 1, @At - 1) ELSE @Rest END);
            SET @Rest = CASE WHEN @At > 0 THEN SUBSTRING(@Rest, @At + 1, 2000) ELSE N'' END;
            IF @Value = N'' SET @Message = N'has an empty value, which has to be written in quotes';
            IF CHARINDEX(N'''', @Value) > 0 SET @Message = N'has a single quote in a value without quotes around it';
        END;
        WHILE @IsQuoted = 1 AND @Message IS NULL
        BEGIN
            -- From the opening quote, or from a doubled one, to the next.
            SET @Rest = SUBSTRING(@Rest, 2, 2000);
            SET @At = CHARINDEX(N'''', @Rest);
            IF @At = 0
                SET @Message = N'has a single quote that is never closed';
            ELSE
            BEGIN
                SET @Value = CONCAT(@Value, SUBSTRING(@Rest, 1, @At - 1));
                SET @Rest = SUBSTRING(@Rest, @At + 1, 2000);
                IF LEFT(@Rest, 1) = N''''
                    SET @Value = CONCAT(@Value, N'''');
                ELSE
                BEGIN
                    SET @IsQuoted = 0;
                    SET @Rest = LTRIM(@Rest);
                    SET @More = CASE WHEN LEFT(@Rest, 1) = N',' THEN 1 ELSE 0 END;
                    IF @More = 0 AND @Rest <> N'' SET @Message = N'has something between a closing quote and the next comma';
                    SET @Rest = SUBSTRING(@Rest, 2, 2000);
                END;
            END;
        END;
        IF @Message IS NULL
        BEGIN
            SET @Fits = 1;
            IF @IsText = 1
                SET @Fits = CASE WHEN LEN(CONCAT(@Value, N'.')) - 1 > @Length THEN 0 ELSE 1 END;
            ELSE IF @TypeName = N'bit'
                SET @Fits = CASE WHEN LOWER(@Value) IN (N'0', N'1', N'true', N'false') THEN 1 ELSE 0 END;
            ELSE IF @Value = N''
                SET @Fits = 0;
            ELSE
            BEGIN
                SET @Sql = CONCAT(N'SET @Fits = CASE WHEN TRY_CONVERT(', @Type, N', @Value) IS NULL THEN 0 ELSE 1 END');
                EXEC sp_executesql @Sql, N'@Value nvarchar(2000), @Fits bit OUTPUT', @Value = @Value, @Fits = @Fits OUTPUT;
            END;
            IF @Fits = 0
                SET @Message = CONCAT(N'has the value ', @Value, N', which the column ', @Column, N', ', @Type, N', cannot have');
            SET @Values = CONCAT(@Values, CASE WHEN @Values = N'' THEN N'' ELSE N', ' END,
                N'CONVERT(', @Type, N', N''', REPLACE(@Value, N'''', N''''''), N''')');
        END;
    END;
    IF LEN(@Values) > 3800 SET @Message = N'has too many values';
    IF @Message IS NOT NULL
    BEGIN
        SET @Message = CONCAT(N'the ', @Setting, N' ', REPLACE(@Message, N'%', N'%%'), N'; ', @Advice);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Condition = CONCAT(N'(', @Alias, N'.', QUOTENAME(@Column), N' IN (', @Values, N'))');
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListHidden', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListHidden AS RETURN 0');
GO
-- Rule 25: what this login does not see of a table or view as it is, into #Hidden of the caller: columns that are masked
-- for it, columns under Always Encrypted, and tables whose rows a security policy filters. A view shows what lies below it,
-- if the login may look that up. Policies that a login may not see are not told; doctor says where that is so.
ALTER PROCEDURE dbo.usp_BlobDelta_ListHidden
    @Role nvarchar(20),
    @Db nvarchar(128),
    @Schema nvarchar(128),
    @Table nvarchar(128)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Sql nvarchar(max), @Object int, @Found int = 1, @IsView int;
    SET @Object = OBJECT_ID(QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table));
    CREATE TABLE #Below (ObjectId int NOT NULL PRIMARY KEY);
    INSERT INTO #Below (ObjectId) SELECT @Object WHERE @Object IS NOT NULL;
    SET @IsView = CASE WHEN OBJECT_ID(QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table), N'V') IS NULL THEN 0 ELSE 1 END;
    IF @IsView = 1 AND HAS_PERMS_BY_NAME(QUOTENAME(@Db) + N'.sys.sql_expression_dependencies', N'OBJECT', N'SELECT') = 1
    BEGIN
        SET @Sql = REPLACE(N'INSERT INTO #Below (ObjectId)
            SELECT DISTINCT d.referenced_id FROM {Db}.sys.sql_expression_dependencies AS d
            INNER JOIN #Below AS b ON b.ObjectId = d.referencing_id
            WHERE d.referenced_id IS NOT NULL AND d.referenced_database_name IS NULL
                AND NOT EXISTS (SELECT 1 FROM #Below AS k WHERE k.ObjectId = d.referenced_id);
            SET @Found = @@ROWCOUNT;', N'{Db}', QUOTENAME(@Db));
        WHILE @Found > 0 EXEC sp_executesql @Sql, N'@Found int OUTPUT', @Found = @Found OUTPUT;
    END;
    -- The right to see a masked column is one of the database; since SQL Server 2022 also of a schema, a table or a column.
    SET @Sql = REPLACE(N'INSERT INTO #Hidden (Role, Name, ColumnName, Kind)
        SELECT @Role, CONCAT(@Db, N''.'', s.name, N''.'', o.name, N''.'', c.name), c.name,
            CASE WHEN c.encryption_type IS NOT NULL THEN N''encrypted'' ELSE N''masked'' END
        FROM {Db}.sys.columns AS c
        INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        INNER JOIN #Below AS b ON b.ObjectId = c.object_id
        WHERE c.encryption_type IS NOT NULL OR (
            c.is_masked = 1 AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(@Db), N''DATABASE'', N''UNMASK''), 0) = 0
            AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(@Db) + N''.'' + QUOTENAME(s.name) + N''.'' + QUOTENAME(o.name), N''OBJECT'', N''UNMASK'', c.name, N''COLUMN''), 0) = 0
        )', N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@Role nvarchar(20), @Db nvarchar(128)', @Role = @Role, @Db = @Db;
    IF NOT EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'security_predicates') RETURN 0;
    -- A filter holds for everybody, sysadmin too.
    SET @Sql = REPLACE(N'INSERT INTO #Hidden (Role, Name, ColumnName, Kind)
        SELECT DISTINCT @Role, CONCAT(@Db, N''.'', s.name, N''.'', o.name), NULL, N''filtered''
        FROM {Db}.sys.security_predicates AS p
        INNER JOIN {Db}.sys.security_policies AS y ON y.object_id = p.object_id
        INNER JOIN {Db}.sys.objects AS o ON o.object_id = p.target_object_id
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        INNER JOIN #Below AS b ON b.ObjectId = p.target_object_id
        WHERE y.is_enabled = 1 AND p.predicate_type = 0', N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@Role nvarchar(20), @Db nvarchar(128)', @Role = @Role, @Db = @Db;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CheckHidden', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CheckHidden AS RETURN 0');
GO
-- Rule 25: refuses a table of which this login does not see all, unless AcceptedHidden names what it does not see. The
-- columns by which keys, stamps, units and places are known cannot be accepted: a mask makes them one and the same.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckHidden
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Role nvarchar(20), @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @Nth int = 1,
        @Name nvarchar(700), @Kind nvarchar(20), @Names nvarchar(1000), @Accepted nvarchar(4000), @Along nvarchar(max), @Filter nvarchar(2000), @Deleted nvarchar(2000);
    CREATE TABLE #Hidden (
        Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(700) COLLATE DATABASE_DEFAULT NOT NULL,
        ColumnName nvarchar(128) COLLATE DATABASE_DEFAULT NULL, Kind nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL
    );
    WHILE @Nth <= 3
    BEGIN
        SELECT
            @Role = CASE @Nth WHEN 1 THEN N'Source' WHEN 2 THEN N'Metadata' ELSE N'Unit' END,
            @Db = CASE @Nth WHEN 1 THEN SourceDb WHEN 2 THEN MetadataDb ELSE BusinessUnitDb END,
            @Schema = CASE @Nth WHEN 1 THEN SourceSchema WHEN 2 THEN MetadataSchema ELSE COALESCE(BusinessUnitSchema, N'dbo') END,
            @Table = CASE @Nth WHEN 1 THEN SourceTable WHEN 2 THEN MetadataTable ELSE BusinessUnitTable END,
            @Accepted = CONCAT(N',', REPLACE(AcceptedHidden, N', ', N','), N',')
        FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
        IF @Db IS NOT NULL AND @Table IS NOT NULL EXEC dbo.usp_BlobDelta_ListHidden @Role, @Db, @Schema, @Table;
        SET @Nth = @Nth + 1;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Hidden) RETURN 0;
    -- Of metadata and units a few columns are read, of the source all. What comes along of the metadata may be accepted as what is the source's own.
    SELECT @Along = CONCAT(N',', LOWER(REPLACE(MetadataColumns, N', ', N',')), N','),
        @Filter = LOWER(COALESCE(dbo.ufn_BlobDelta_ConditionColumn(MetadataFilter), N'')), @Deleted = LOWER(COALESCE(dbo.ufn_BlobDelta_ConditionColumn(DeletedWhen), N''))
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    UPDATE #Hidden SET Role = N'Along'
    WHERE Role = N'Metadata' AND (CHARINDEX(N',' + LOWER(QUOTENAME(ColumnName)) + N',', @Along) > 0 OR CHARINDEX(N',' + LOWER(ColumnName) + N',', @Along) > 0)
        AND LOWER(ColumnName) NOT IN (@Filter, @Deleted);
    DELETE h FROM #Hidden AS h INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = @TableName
    WHERE h.ColumnName IS NOT NULL AND (
        (h.Role = N'Metadata' AND h.ColumnName NOT IN (c.MetadataIdColumn, c.MetadataModifiedOnCol, COALESCE(c.MetadataCreatedOnCol, N''), COALESCE(c.MetadataBusinessUnitCol, N''))
            AND LOWER(h.ColumnName) NOT IN (@Filter, @Deleted))
        OR (h.Role = N'Unit' AND h.ColumnName <> COALESCE(c.BusinessUnitIdColumn, N''))
    );
    SET @Name = (
        SELECT MIN(h.Name) FROM #Hidden AS h INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = @TableName
        WHERE h.ColumnName IS NOT NULL AND (
            h.Kind = N'encrypted' OR h.Role NOT IN (N'Source', N'Along')
            OR (h.Role = N'Along' AND h.ColumnName IN (c.MetadataIdColumn, c.MetadataModifiedOnCol, COALESCE(c.MetadataCreatedOnCol, N''), COALESCE(c.MetadataBusinessUnitCol, N'')))
            OR (h.Role = N'Source' AND h.ColumnName IN (c.KeyColumn, COALESCE(c.PathColumn, N''), COALESCE(c.ParentPathColumn, N'')))
        )
    );
    IF @Name IS NOT NULL
    BEGIN
        SET @Kind = (SELECT MIN(Kind) FROM #Hidden WHERE Name = @Name);
        SET @Message = CONCAT(@TableName, N': ', @Name, N' is ', @Kind, N' for this login, and the column is needed as it is; ', CASE @Kind
            WHEN N'encrypted' THEN N'values under Always Encrypted cannot be copied on the server: let SourceTable or MetadataTable name a view without the column'
            ELSE N'let this login see it: GRANT UNMASK TO ' + QUOTENAME(SUSER_SNAME())
        END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Names = N'';
    SET @Name = (SELECT MIN(Name) FROM #Hidden WHERE CHARINDEX(CONCAT(N',', Name, N','), @Accepted) = 0);
    WHILE @Name IS NOT NULL
    BEGIN
        SET @Kind = (SELECT MIN(Kind) FROM #Hidden WHERE Name = @Name);
        IF LEN(@Names) < 800 SET @Names = CONCAT(@Names, CASE WHEN @Names = N'' THEN N'' ELSE N',' END, @Name);
        SET @Message = CONCAT(@Message, CASE WHEN @Message IS NULL THEN N'' ELSE N'; ' END, @Name, CASE @Kind WHEN N'filtered' THEN N' has its rows filtered' ELSE N' is masked' END);
        SET @Name = (SELECT MIN(Name) FROM #Hidden WHERE CHARINDEX(CONCAT(N',', Name, N','), @Accepted) = 0 AND Name > @Name);
    END;
    IF @Names = N'' RETURN 0;
    SET @Message = CONCAT(@TableName, N': this login does not see all of it: ', LEFT(@Message, 700), N'. Let it see (GRANT UNMASK; a predicate that lets it by), or accept it by name: blobdelta table set "',
        @TableName, N'" "AcceptedHidden=', @Names, N'", and every manifest says so');
    EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListPlaceholders', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListPlaceholders AS RETURN 0');
GO
-- Holds the configuration of a table against the catalog, and lists in #Placeholder what the braces of a script
-- stand for, names quoted as they go into it. #Placeholder, #Column and #BlobDeltaCatalog are the caller's. Whatever does
-- not fit is error 51000.
ALTER PROCEDURE dbo.usp_BlobDelta_ListPlaceholders
    @TableName nvarchar(400),
    @WithTarget bit = 1,
    @MaxDOP int = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @SourceDb nvarchar(128), @SourceSchema nvarchar(128), @SourceName nvarchar(128),
        @TargetDb nvarchar(128), @TargetSchema nvarchar(128), @TargetName nvarchar(128),
        @MetadataDb nvarchar(128), @MetadataSchema nvarchar(128), @MetadataName nvarchar(128),
        @UnitDb nvarchar(128), @UnitSchema nvarchar(128), @UnitName nvarchar(128), @IsUtc bit, @SafetyBufferMinutes int,
        @KeyColumn nvarchar(128), @PathColumn nvarchar(128), @ParentPathColumn nvarchar(128), @MetadataIdColumn nvarchar(128),
        @MetadataModifiedOnCol nvarchar(128), @MetadataBusinessUnitCol nvarchar(128), @BusinessUnitIdColumn nvarchar(128),
        @KeyType nvarchar(128), @PathType nvarchar(128), @ParentPathType nvarchar(128), @IdType nvarchar(128), @IdKind nvarchar(20),
        @MetadataCreatedOnCol nvarchar(128), @CreatedOnType nvarchar(128), @Modified nvarchar(300), @Created nvarchar(300), @Stamp nvarchar(2000), @Or nvarchar(400), @End nvarchar(2) = N')',
        @ModifiedOnType nvarchar(128), @OfUnitType nvarchar(128), @UnitIdType nvarchar(128), @Own nvarchar(128), @BadPath nvarchar(128),
        @IsFileTable int, @SourceTable nvarchar(800), @TargetTable nvarchar(800), @MetadataTable nvarchar(800),
        @UnitTable nvarchar(800), @SliceSchema nvarchar(800), @Name nvarchar(128), @DeltaColumns int, @Lacks int,
        @TargetColumns nvarchar(max), @SourceColumns nvarchar(max), @AncestorColumns nvarchar(max), @RowBytes nvarchar(max) = N'0', @Ordinal int,
        @Quoted nvarchar(300), @IsLarge bit, @Sql nvarchar(max), @FilterText nvarchar(2000), @Filter nvarchar(4000),
        @Kind nvarchar(20), @HadKind nvarchar(20), @InUnits nvarchar(max), @InScope nvarchar(max), @From nvarchar(max), @OrderBy nvarchar(2000),
        @InScopeOrDeleted nvarchar(max), @IsDeleted nvarchar(max), @DeletedText nvarchar(2000), @Deleted nvarchar(4000), @OfW nvarchar(max), @WithDeletions bit,
        @Value nvarchar(max);
    DELETE FROM #Column;
    DELETE FROM #Placeholder;
    SELECT
        @SourceDb = SourceDb, @SourceSchema = SourceSchema, @SourceName = SourceTable,
        @TargetDb = TargetDb, @TargetSchema = TargetSchema, @TargetName = TargetTable,
        @MetadataDb = MetadataDb, @MetadataSchema = MetadataSchema, @MetadataName = MetadataTable,
        @UnitDb = BusinessUnitDb, @UnitSchema = COALESCE(BusinessUnitSchema, N'dbo'), @UnitName = BusinessUnitTable,
        @KeyColumn = KeyColumn, @PathColumn = PathColumn, @ParentPathColumn = ParentPathColumn,
        @MetadataIdColumn = MetadataIdColumn, @MetadataModifiedOnCol = MetadataModifiedOnCol, @MetadataCreatedOnCol = MetadataCreatedOnCol,
        @MetadataBusinessUnitCol = MetadataBusinessUnitCol, @BusinessUnitIdColumn = BusinessUnitIdColumn,
        @SafetyBufferMinutes = SafetyBufferMinutes, @IsUtc = ModifiedOnIsUtc, @FilterText = MetadataFilter, @HadKind = KeyType,
        @DeletedText = DeletedWhen, @WithDeletions = IncludeDeletions
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    IF @SourceName IS NULL
    BEGIN
        SET @Message = CONCAT(N'the table ', @TableName, N' is not configured in BlobDeltaTableConfig');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF @IsUtc = 0 AND @SafetyBufferMinutes < 120
    BEGIN
        SET @Message = CONCAT(@TableName, N': a table in local time needs SafetyBufferMinutes of 120 at least, because one hour of a year comes twice');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF LOWER(@MetadataCreatedOnCol) = LOWER(@MetadataModifiedOnCol)
    BEGIN
        SET @Message = CONCAT(@TableName, N': MetadataCreatedOnCol is ', @MetadataCreatedOnCol, N', which is MetadataModifiedOnCol; name the column that counts where the other one is NULL, or leave it empty (blobdelta table set)');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF @DeletedText IS NOT NULL AND @WithDeletions = 0
    BEGIN
        SET @Message = CONCAT(@TableName, N': DeletedWhen says which rows are deleted, and IncludeDeletions=0 that no deletion is shipped; set IncludeDeletions=1, or leave DeletedWhen empty (blobdelta table set)');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF (@PathColumn IS NULL AND @ParentPathColumn IS NOT NULL)
    BEGIN
        SET @Message = CONCAT(@TableName, N': ParentPathColumn needs PathColumn');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF @MetadataBusinessUnitCol IS NOT NULL AND (@UnitDb IS NULL OR @UnitName IS NULL OR @BusinessUnitIdColumn IS NULL)
    BEGIN
        SET @Message = CONCAT(@TableName, N': MetadataBusinessUnitCol needs BusinessUnitDb, BusinessUnitTable and BusinessUnitIdColumn');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Source', @SourceDb, @SourceSchema, @SourceName;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Metadata', @MetadataDb, @MetadataSchema, @MetadataName;
    IF @UnitName IS NOT NULL AND @UnitDb IS NOT NULL
        EXEC dbo.usp_BlobDelta_ReadColumns N'Unit', @UnitDb, @UnitSchema, @UnitName;
    SELECT
        @PathType = MAX(CASE WHEN Role = N'Source' AND Name = @PathColumn THEN TypeName END),
        @ParentPathType = MAX(CASE WHEN Role = N'Source' AND Name = @ParentPathColumn THEN TypeName END),
        @ModifiedOnType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataModifiedOnCol THEN TypeName END),
        @CreatedOnType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataCreatedOnCol THEN TypeName END),
        @OfUnitType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataBusinessUnitCol THEN TypeName END),
        @UnitIdType = MAX(CASE WHEN Role = N'Unit' AND Name = @BusinessUnitIdColumn THEN TypeName END),
        @Own = MAX(CASE
            WHEN Role = N'Source' AND Name IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly') THEN Name
        END),
        @BadPath = MAX(CASE
            WHEN Role = N'Source' AND Name IN (@PathColumn, @ParentPathColumn)
                AND TypeName NOT IN (N'hierarchyid', N'uniqueidentifier', N'binary', N'varbinary', N'bigint', N'int', N'smallint', N'tinyint') THEN Name
        END),
        @SourceDb = MAX(CASE WHEN Role = N'Source' THEN DbName END),
        @SourceTable = MAX(CASE WHEN Role = N'Source' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END),
        @MetadataTable = MAX(CASE WHEN Role = N'Metadata' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END),
        @UnitTable = MAX(CASE WHEN Role = N'Unit' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END)
    FROM #Column;
    SELECT
        @Kind = MAX(CASE WHEN Role = N'Source' AND Name = @KeyColumn THEN dbo.ufn_BlobDelta_KeyTypeOf(TypeName, MaxLength) END),
        @IdKind = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataIdColumn THEN dbo.ufn_BlobDelta_KeyTypeOf(TypeName, MaxLength) END),
        @KeyType = MAX(CASE WHEN Role = N'Source' AND Name = @KeyColumn THEN CASE TypeName WHEN N'binary' THEN Declared ELSE TypeName END END),
        @IdType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataIdColumn THEN CASE TypeName WHEN N'binary' THEN Declared ELSE TypeName END END)
    FROM #Column;
    SET @Message = CASE
        WHEN @KeyColumn IS NOT NULL AND @KeyType IS NULL THEN CONCAT(N'KeyColumn names the column ', @KeyColumn, N', which is not there')
        WHEN @PathColumn IS NOT NULL AND @PathType IS NULL THEN CONCAT(N'PathColumn names the column ', @PathColumn, N', which is not there')
        WHEN @ParentPathColumn IS NOT NULL AND @ParentPathType IS NULL
            THEN CONCAT(N'ParentPathColumn names the column ', @ParentPathColumn, N', which is not there')
        WHEN @MetadataIdColumn IS NOT NULL AND @IdType IS NULL
            THEN CONCAT(N'MetadataIdColumn names the column ', @MetadataIdColumn, N', which is not there')
        WHEN @MetadataModifiedOnCol IS NOT NULL AND @ModifiedOnType IS NULL
            THEN CONCAT(N'MetadataModifiedOnCol names the column ', @MetadataModifiedOnCol, N', which is not there')
        WHEN @MetadataCreatedOnCol IS NOT NULL AND @CreatedOnType IS NULL
            THEN CONCAT(N'MetadataCreatedOnCol names the column ', @MetadataCreatedOnCol, N', which is not there')
        WHEN @MetadataBusinessUnitCol IS NOT NULL AND @OfUnitType IS NULL
            THEN CONCAT(N'MetadataBusinessUnitCol names the column ', @MetadataBusinessUnitCol, N', which is not there')
        WHEN @UnitName IS NOT NULL AND @UnitIdType IS NULL
            THEN CONCAT(N'BusinessUnitIdColumn names the column ', @BusinessUnitIdColumn, N', which is not there')
        WHEN @Kind IS NULL
            THEN CONCAT(N'the key column ', @KeyColumn, N' is ', @KeyType, N', and has to be uniqueidentifier, bigint, int, smallint, tinyint or binary of 1 to 16 bytes')
        WHEN @ModifiedOnType NOT IN (N'datetime2', N'datetime', N'smalldatetime', N'datetimeoffset', N'date')
            THEN CONCAT(N'MetadataModifiedOnCol ', @MetadataModifiedOnCol, N' is ', @ModifiedOnType, N', and has to be datetime2, datetime, smalldatetime, datetimeoffset or date')
        WHEN @CreatedOnType NOT IN (N'datetime2', N'datetime', N'smalldatetime', N'datetimeoffset', N'date')
            THEN CONCAT(N'MetadataCreatedOnCol ', @MetadataCreatedOnCol, N' is ', @CreatedOnType, N', and has to be datetime2, datetime, smalldatetime, datetimeoffset or date')
        WHEN @IsUtc = 0 AND (@ModifiedOnType = N'datetimeoffset' OR @CreatedOnType = N'datetimeoffset')
            THEN CONCAT(CASE @ModifiedOnType WHEN N'datetimeoffset' THEN @MetadataModifiedOnCol ELSE @MetadataCreatedOnCol END, N' is a datetimeoffset, which counts in UTC, and ModifiedOnIsUtc is 0; set ModifiedOnIsUtc=1')
        WHEN @SafetyBufferMinutes < 1440 AND (@ModifiedOnType = N'date' OR @CreatedOnType = N'date')
            THEN CONCAT(CASE @ModifiedOnType WHEN N'date' THEN @MetadataModifiedOnCol ELSE @MetadataCreatedOnCol END, N' is a date, and a row that is stamped today may change until midnight, so the table needs SafetyBufferMinutes of 1440 at least; it has ', @SafetyBufferMinutes)
        WHEN COALESCE(@IdKind, N'') <> @Kind
            THEN CONCAT(N'MetadataIdColumn ', @MetadataIdColumn, N' is ', @IdType, N', and has to be ', CASE @Kind WHEN N'integer' THEN N'an integer' ELSE @Kind END,
                N' as the key is', CASE @Kind WHEN N'uniqueidentifier' THEN N', or no index on it can be used and a text that is none ends a run late' ELSE N'' END)
        WHEN @OfUnitType <> N'uniqueidentifier'
            THEN CONCAT(N'MetadataBusinessUnitCol ', @MetadataBusinessUnitCol, N' is ', @OfUnitType, N', and has to be uniqueidentifier')
        WHEN @UnitIdType <> N'uniqueidentifier'
            THEN CONCAT(N'BusinessUnitIdColumn ', @BusinessUnitIdColumn, N' is ', @UnitIdType, N', and has to be uniqueidentifier')
        WHEN @Own IS NOT NULL THEN CONCAT(N'the source has a column ', @Own, N', a name that the slice needs for itself')
        WHEN @BadPath IS NOT NULL
            THEN CONCAT(N'the path column ', @BadPath, N' has to be hierarchyid, a binary type, uniqueidentifier or an integer')
    END;
    IF @Message IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': ', @Message);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF @Kind <> @HadKind AND @WithTarget = 1
    BEGIN
        SET @Message = CONCAT(@TableName, N': the key column ', @KeyColumn, N' is ', @KeyType, N', and keys of the type ', @HadKind,
            N' are noted for this table; if none was captured yet, blobdelta deploy (usp_BlobDelta_MakeSlice) notes the new type, else remove it and add it under another name, with Source= and its settings, whose chain begins anew');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    EXEC dbo.usp_BlobDelta_AddMetadataColumns @TableName;
    EXEC dbo.usp_BlobDelta_DropExcluded @TableName;
    EXEC dbo.usp_BlobDelta_ReadFilter N'MetadataFilter', @FilterText, N'w', @OfW OUTPUT;
    EXEC dbo.usp_BlobDelta_ReadFilter N'MetadataFilter', @FilterText, N'm', @Filter OUTPUT;
    EXEC dbo.usp_BlobDelta_ReadFilter N'DeletedWhen', @DeletedText, N'w', @Deleted OUTPUT;
    EXEC dbo.usp_BlobDelta_CheckHidden @TableName;
    SET @Quoted = QUOTENAME(@MetadataBusinessUnitCol);
    SET @InUnits = N'(EXISTS (SELECT 1 FROM ' + @UnitTable + N' AS u WHERE u.' + QUOTENAME(@BusinessUnitIdColumn) + N' = ';
    SET @OfW = COALESCE(@InUnits + N'w.' + @Quoted + N') AND (@BusinessUnitId IS NULL OR w.' + @Quoted + N' = @BusinessUnitId))', N'(@BusinessUnitId IS NULL)') + N' AND ' + @OfW;
    SET @InUnits = COALESCE(@InUnits + N'm.' + @Quoted + N') AND (@BusinessUnitId IS NULL OR m.' + @Quoted + N' = @BusinessUnitId))', N'(@BusinessUnitId IS NULL)');
    SET @InScopeOrDeleted = N'(' + @InUnits + N' AND ' + @Filter + N')';
    -- By the row of a key, in scope, whose stamp counts; of several with this stamp by one that is deleted, as a tombstone wins a tie.
    SELECT @Modified = N'w.' + QUOTENAME(@MetadataModifiedOnCol), @Created = N'w.' + QUOTENAME(@MetadataCreatedOnCol), @Quoted = QUOTENAME(@MetadataIdColumn);
    SET @Stamp = dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'order', NULL);
    SET @Stamp = COALESCE(N'COALESCE(' + @Stamp + N', ' + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'order', NULL) + N')', @Stamp);
    IF @DeletedText IS NOT NULL
        SET @IsDeleted = N'(COALESCE((SELECT TOP (1) CASE WHEN ' + @Deleted + N' THEN 1 ELSE 0 END AS IsDeleted FROM ' + @MetadataTable + N' AS w WHERE w.' + @Quoted
            + N' = m.' + @Quoted + N' AND ' + @OfW + N' ORDER BY ' + @Stamp + N' DESC, IsDeleted DESC), 0) = 1)';
    SET @InScope = COALESCE(N'(' + @InScopeOrDeleted + N' AND NOT ' + @IsDeleted + N')', @InScopeOrDeleted);
    CREATE TABLE #Value (Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, MetadataValue nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    SET @From = @MetadataTable + N' AS m WHERE m.' + QUOTENAME(@MetadataIdColumn) + N' = s.' + QUOTENAME(@KeyColumn) + N' AND ' + @InScope
        + COALESCE(N' AND m.' + QUOTENAME(@MetadataBusinessUnitCol) + N' = f.BusinessUnit', N'');
    SELECT @Modified = N'm.' + QUOTENAME(@MetadataModifiedOnCol), @Created = N'm.' + QUOTENAME(@MetadataCreatedOnCol);
    SET @Stamp = dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'value', NULL);
    SET @Stamp = COALESCE(N'COALESCE(' + @Stamp + N', ' + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'value', NULL) + N')', @Stamp);
    SET @OrderBy = @Stamp + N' DESC';
    EXEC dbo.usp_BlobDelta_ListMetadataColumns @From, @OrderBy;
    IF @WithTarget = 1
    BEGIN
        EXEC dbo.usp_BlobDelta_ReadColumns N'Target', @TargetDb, @TargetSchema, @TargetName;
        SELECT
            @DeltaColumns = SUM(CASE
                WHEN Role = N'Target' AND Name IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly') THEN 1 ELSE 0
            END),
            @TargetTable = MAX(CASE WHEN Role = N'Target' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END),
            @SliceSchema = MAX(CASE WHEN Role = N'Target' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(N'dbo') END)
        FROM #Column;
        IF @DeltaColumns < 6
        BEGIN
            SET @Message = CASE
                WHEN COALESCE(@DeltaColumns, 0) = 0
                    THEN CONCAT(@TableName, N': ', @TargetTable, N' is no slice of ours, it has none of its columns; give the slice another TargetTable (blobdelta table set), or rename that table')
                ELSE CONCAT(@TableName, N': the slice table ', @TargetTable, N' lacks a Delta column; when what it holds is packed, drop it, and blobdelta deploy (usp_BlobDelta_MakeSlice) makes it again')
            END;
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        SET @Lacks = (
            SELECT COUNT(*) FROM #Column AS s WHERE s.Role = N'Source' AND s.Name IN (@KeyColumn, @PathColumn, @ParentPathColumn)
                AND NOT EXISTS (SELECT 1 FROM #Column AS t WHERE t.Role = N'Target' AND t.Name = s.Name)
        );
        IF @Lacks > 0
        BEGIN
            SET @Message = CONCAT(@TableName, N': the slice table lacks the key, path or parent path column; blobdelta table refresh (usp_BlobDelta_RefreshSlice) has it follow the source');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        -- Columns, in the order of the slice: those that the source has too. Where the two differ otherwise the slice follows
        -- before it is filled (usp_BlobDelta_FitSlice). A loop, because it gives the same list on every server.
        DELETE FROM #Column
        WHERE Role = N'Target' AND Name NOT IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly')
            AND Name NOT IN (SELECT s.Name FROM #Column AS s WHERE s.Role = N'Source');
        SELECT @TargetColumns = N'', @SourceColumns = N'', @AncestorColumns = N'';
        SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Role = N'Target');
        WHILE @Ordinal IS NOT NULL
        BEGIN
            SELECT @Name = Name, @IsLarge = CASE WHEN MaxLength = -1 OR TypeName IN (N'text', N'ntext', N'image') THEN 1 ELSE 0 END
            FROM #Column WHERE Role = N'Target' AND Ordinal = @Ordinal;
            SET @Quoted = QUOTENAME(@Name);
            IF @Name NOT IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly')
            BEGIN
                SET @Value = (SELECT MetadataValue FROM #Value WHERE Name = @Name);
                IF @Value IS NOT NULL SET @IsLarge = 0;
                SET @Value = COALESCE(@Value, N's.' + @Quoted);
                SET @AncestorColumns = @AncestorColumns + CASE WHEN @TargetColumns = N'' THEN N'' ELSE N', ' END
                    + CASE WHEN @IsLarge = 1 THEN N'CASE WHEN f.IsForeign = 0 THEN ' + @Value + N' END' ELSE @Value END;
                IF @IsLarge = 1 SET @RowBytes = @RowBytes + N' + COALESCE(CONVERT(bigint, DATALENGTH(' + @Value + N')), 0)';
                SET @SourceColumns = @SourceColumns + CASE WHEN @TargetColumns = N'' THEN N'' ELSE N', ' END + @Value;
                SET @TargetColumns = @TargetColumns + CASE WHEN @TargetColumns = N'' THEN N'' ELSE N', ' END + @Quoted;
            END;
            SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Role = N'Target' AND Ordinal > @Ordinal);
        END;
    END;
    -- A view hands its hints on to whatever lies below it, which this login may not be allowed to look up.
    SET @Sql = REPLACE(N'SELECT @IsFileTable = MAX(CASE WHEN o.type = ''V'' THEN 1 ELSE CAST(t.is_filetable AS int) END)
        FROM {Db}.sys.objects AS o
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        LEFT JOIN {Db}.sys.tables AS t ON t.object_id = o.object_id
        WHERE o.name = @Table AND s.name = @Schema AND o.type IN (''U'', ''V'')',
        N'{Db}', QUOTENAME(@SourceDb));
    EXEC sp_executesql @Sql, N'@Table nvarchar(128), @Schema nvarchar(128), @IsFileTable int OUTPUT',
        @Table = @SourceName, @Schema = @SourceSchema, @IsFileTable = @IsFileTable OUTPUT;
    -- What a FileTable keeps in the row is known without its file.
    IF @IsFileTable = 1 AND EXISTS (SELECT 1 FROM #Column WHERE Role = N'Source' AND Name = N'cached_file_size' AND IsComputed = 1)
        SET @RowBytes = N'COALESCE(s.[cached_file_size], 0)';
    -- Where ModifiedOn is NULL the other column counts: a seek in each.
    SET @Or = N' OR (' + @Modified + N' IS NULL AND ' + CASE WHEN @Created IS NOT NULL THEN N'' END;
    INSERT INTO #Placeholder (Name, Value) VALUES
        (N'StampInDays', CASE WHEN N'date' IN (@ModifiedOnType, @CreatedOnType) THEN N'1' ELSE N'0' END),
        (N'ModifiedOn', @Stamp),
        (N'InWindow', N'(' + dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'since', N'@WindowStart') + N' AND ' + dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'before', N'@WindowEnd')
            + COALESCE(@Or + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'since', N'@WindowStart') + N' AND ' + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'before', N'@WindowEnd') + @End, N'') + N')'),
        (N'InBuffer', N'(' + dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'since', N'@WindowEnd') + N' AND ' + dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'before', N'@RunStart')
            + COALESCE(@Or + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'since', N'@WindowEnd') + N' AND ' + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'before', N'@RunStart') + @End, N'') + N')'),
        (N'FromRunStart', N'(' + dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'since', N'@RunStart') + COALESCE(@Or + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'since', N'@RunStart') + @End, N'') + N')'),
        (N'BeforeRunStart', N'(' + dbo.ufn_BlobDelta_StampSql(@Modified, @ModifiedOnType, N'before', N'@RunStart') + COALESCE(@Or + dbo.ufn_BlobDelta_StampSql(@Created, @CreatedOnType, N'before', N'@RunStart') + @End, N'') + N')'),
        (N'WithoutStamp', N'(' + @Modified + N' IS NULL' + COALESCE(N' AND ' + @Created + N' IS NULL', N'') + N')');
    INSERT INTO #Placeholder (Name, Value) VALUES
        (N'SourceTable', @SourceTable), (N'TargetTable', @TargetTable), (N'MetadataTable', @MetadataTable),
        (N'BusinessUnitTable', @UnitTable), (N'SliceSchema', @SliceSchema),
        (N'SourceHint', CASE WHEN @IsFileTable = 1 THEN N'WITH (READCOMMITTEDLOCK)' ELSE N'' END),
        (N'KeyType', @Kind), (N'KeyColumn', QUOTENAME(@KeyColumn)),
        (N'ToKey(', dbo.ufn_BlobDelta_KeySql(@Kind, N'ToKey(')), (N')ToKey', dbo.ufn_BlobDelta_KeySql(@Kind, N')ToKey')),
        (N'ToId(', dbo.ufn_BlobDelta_KeySql(@Kind, N'ToId(')), (N')ToId', dbo.ufn_BlobDelta_KeySql(@Kind, N')ToId')),
        (N'PathColumn', QUOTENAME(@PathColumn)),
        (N'ParentPathColumn', QUOTENAME(@ParentPathColumn)),
        (N'ParentPath', COALESCE(N's.' + QUOTENAME(@ParentPathColumn), N'CAST(NULL AS varbinary(1))')),
        (N'MetadataIdColumn', QUOTENAME(@MetadataIdColumn)), 
        -- Where a stamp is more than this column, scripts have to say ModifiedOn.
        (N'MetadataModifiedOnCol', CASE WHEN @CreatedOnType IS NULL AND @ModifiedOnType <> N'datetimeoffset' AND @ModifiedOnType <> N'date' THEN QUOTENAME(@MetadataModifiedOnCol) END),
        (N'MetadataBusinessUnitCol', QUOTENAME(@MetadataBusinessUnitCol)),
        (N'BusinessUnitIdColumn', QUOTENAME(@BusinessUnitIdColumn)),
        (N'BusinessUnit', COALESCE(N'm.' + QUOTENAME(@MetadataBusinessUnitCol), N'CAST(NULL AS uniqueidentifier)')),
        (N'InScope', @InScope), (N'InUnits', @InUnits), (N'InScopeOrDeleted', @InScopeOrDeleted), (N'IsDeleted', COALESCE(@IsDeleted, N'(0 = 1)')),
        (N'MetadataFilter', @Filter),
        (N'TargetColumns', @TargetColumns), (N'SourceColumns', @SourceColumns), (N'AncestorColumns', @AncestorColumns),
        (N'RowBytes', @RowBytes), (N'MaxDOP', CONVERT(nvarchar(10), @MaxDOP));
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_IsStampedInDays', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_IsStampedInDays AS RETURN 0');
GO
-- Whether a column of a table's stamp is a date: its windows then begin and end at midnight.
ALTER PROCEDURE dbo.usp_BlobDelta_IsStampedInDays
    @TableName nvarchar(400),
    @InDays bit OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @ModifiedOn nvarchar(128), @CreatedOn nvarchar(128);
    SELECT @Db = MetadataDb, @Schema = MetadataSchema, @Table = MetadataTable, @ModifiedOn = MetadataModifiedOnCol, @CreatedOn = MetadataCreatedOnCol
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Metadata', @Db, @Schema, @Table;
    SET @InDays = CASE WHEN EXISTS (
        SELECT 1 FROM #Column WHERE Role = N'Metadata' AND Name IN (@ModifiedOn, @CreatedOn) AND TypeName = N'date'
    ) THEN 1 ELSE 0 END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ResolveTableConfig', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ResolveTableConfig AS RETURN 0');
GO
-- Resolves the configuration of a table in the catalog: full names and column names, quoted as they
-- go into a script, and the buffer. Whatever does not fit is error 51000.
ALTER PROCEDURE dbo.usp_BlobDelta_ResolveTableConfig
    @TableName nvarchar(400),
    @SourceTable nvarchar(800) = NULL OUTPUT,
    @TargetTable nvarchar(800) = NULL OUTPUT,
    @MetadataTable nvarchar(800) = NULL OUTPUT,
    @BusinessUnitTable nvarchar(800) = NULL OUTPUT,
    @SliceSchema nvarchar(800) = NULL OUTPUT,
    @KeyColumn nvarchar(800) = NULL OUTPUT,
    @PathColumn nvarchar(800) = NULL OUTPUT,
    @ParentPathColumn nvarchar(800) = NULL OUTPUT,
    @MetadataIdColumn nvarchar(800) = NULL OUTPUT,
    @MetadataModifiedOnCol nvarchar(800) = NULL OUTPUT,
    @MetadataBusinessUnitCol nvarchar(800) = NULL OUTPUT,
    @BusinessUnitIdColumn nvarchar(800) = NULL OUTPUT,
    @SafetyBufferMinutes int = NULL OUTPUT,
    @KeyType nvarchar(20) = NULL OUTPUT,
    @SourceHint nvarchar(60) = NULL OUTPUT,
    @WithTarget bit = 1
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    CREATE TABLE #Placeholder (Name nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, Value nvarchar(max) COLLATE DATABASE_DEFAULT NULL);
    EXEC dbo.usp_BlobDelta_ListPlaceholders @TableName, @WithTarget;
    SELECT
        @SourceTable = MAX(CASE WHEN Name = N'SourceTable' THEN Value END),
        @TargetTable = MAX(CASE WHEN Name = N'TargetTable' THEN Value END),
        @MetadataTable = MAX(CASE WHEN Name = N'MetadataTable' THEN Value END),
        @BusinessUnitTable = MAX(CASE WHEN Name = N'BusinessUnitTable' THEN Value END),
        @SliceSchema = MAX(CASE WHEN Name = N'SliceSchema' THEN Value END),
        @KeyColumn = MAX(CASE WHEN Name = N'KeyColumn' THEN Value END),
        @PathColumn = MAX(CASE WHEN Name = N'PathColumn' THEN Value END),
        @ParentPathColumn = MAX(CASE WHEN Name = N'ParentPathColumn' THEN Value END),
        @MetadataIdColumn = MAX(CASE WHEN Name = N'MetadataIdColumn' THEN Value END),
        @MetadataModifiedOnCol = MAX(CASE WHEN Name = N'MetadataModifiedOnCol' THEN Value END),
        @MetadataBusinessUnitCol = MAX(CASE WHEN Name = N'MetadataBusinessUnitCol' THEN Value END),
        @BusinessUnitIdColumn = MAX(CASE WHEN Name = N'BusinessUnitIdColumn' THEN Value END),
        @SourceHint = MAX(CASE WHEN Name = N'SourceHint' THEN Value END),
        @KeyType = MAX(CASE WHEN Name = N'KeyType' THEN Value END)
    FROM #Placeholder;
    SET @SafetyBufferMinutes = (SELECT SafetyBufferMinutes FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
END;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 21, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version <= 21;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'03_BlobDeltaJobs_Schema.sql', 21
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql');
GO
SET NOEXEC OFF;
GO
