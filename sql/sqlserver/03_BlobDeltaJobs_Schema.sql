-- 03: the job database BlobDeltaJobs and its tables. Version 5.
--
-- Can be run again at any time, on any earlier state of itself, by the program or by
-- sqlcmd -b -i: it makes what is missing and changes nothing that is there. SQL Server 2016 and
-- later. A job database of a newer version is refused.
--
-- A time in a column that ends in "At" is UTC by the server's clock; any other time is in the
-- clock of the table that it is about (ModifiedOnIsUtc). Nothing is rounded: datetime2(7).
--
-- Not executed yet on Microsoft SQL Server: everything here ran on another server that speaks
-- T-SQL.
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
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version > 5)
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
        MetadataBusinessUnitCol nvarchar(128) NULL,
        BusinessUnitDb          nvarchar(128) NULL,
        BusinessUnitSchema      nvarchar(128) NULL
            CONSTRAINT DF_BlobDeltaTableConfig_BusinessUnitSchema DEFAULT N'dbo',
        BusinessUnitTable       nvarchar(128) NULL,
        BusinessUnitIdColumn    nvarchar(128) NULL,
        KeyColumn               nvarchar(128) NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_KeyColumn DEFAULT N'stream_id',
        PathColumn              nvarchar(128) NULL
            CONSTRAINT DF_BlobDeltaTableConfig_PathColumn DEFAULT N'path_locator',
        ParentPathColumn        nvarchar(128) NULL
            CONSTRAINT DF_BlobDeltaTableConfig_ParentPathColumn DEFAULT N'parent_path_locator',
        SafetyBufferMinutes     int NOT NULL
            CONSTRAINT DF_BlobDeltaTableConfig_SafetyBufferMinutes DEFAULT 240
            CONSTRAINT CK_BlobDeltaTableConfig_SafetyBufferMinutes CHECK (SafetyBufferMinutes BETWEEN 0 AND 525600),
        InitialBaseline         datetime2(7) NULL,
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
        -- Column=value[,value...]: which rows of the metadata count. NULL: all of them.
        MetadataFilter          nvarchar(2000) NULL,
        CONSTRAINT PK_BlobDeltaTableConfig PRIMARY KEY (TableName)
    );
GO
IF COL_LENGTH(N'dbo.BlobDeltaTableConfig', N'AcceptedAbsentPercent') IS NULL
    ALTER TABLE dbo.BlobDeltaTableConfig ADD AcceptedAbsentPercent int NOT NULL
        CONSTRAINT DF_BlobDeltaTableConfig_AcceptedAbsentPercent DEFAULT 50;
GO
IF COL_LENGTH(N'dbo.BlobDeltaTableConfig', N'AcceptedOrphanPercent') IS NULL
    ALTER TABLE dbo.BlobDeltaTableConfig ADD AcceptedOrphanPercent int NOT NULL
        CONSTRAINT DF_BlobDeltaTableConfig_AcceptedOrphanPercent DEFAULT 50;
GO
-- From version 3.
IF COL_LENGTH(N'dbo.BlobDeltaTableConfig', N'MetadataFilter') IS NULL
    ALTER TABLE dbo.BlobDeltaTableConfig ADD MetadataFilter nvarchar(2000) NULL;
GO
-- What a login does not see of a table and a DBA has accepted by name, with commas between: Db.schema.Table whose rows
-- are filtered, Db.schema.Table.Column that is masked.
IF COL_LENGTH(N'dbo.BlobDeltaTableConfig', N'AcceptedHidden') IS NULL
    ALTER TABLE dbo.BlobDeltaTableConfig ADD AcceptedHidden nvarchar(4000) NULL;
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
-- From version 1: a column more, and one less, which nothing ever wrote.
IF COL_LENGTH(N'dbo.BlobDeltaHighWatermark', N'LeaseOwner') IS NULL
    ALTER TABLE dbo.BlobDeltaHighWatermark ADD LeaseOwner uniqueidentifier NULL;
GO
IF COL_LENGTH(N'dbo.BlobDeltaHighWatermark', N'LastRunStartedAt') IS NOT NULL
    ALTER TABLE dbo.BlobDeltaHighWatermark DROP COLUMN LastRunStartedAt;
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
-- From version 3.
IF COL_LENGTH(N'dbo.BlobDeltaBusinessUnitWatermark', N'LastRunCompletedAt') IS NULL
    ALTER TABLE dbo.BlobDeltaBusinessUnitWatermark ADD LastRunCompletedAt datetime2(7) NULL;
GO
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
-- What a run was told of its bundle (rule 18), all NULL where it was told nothing: SignedBy is the fingerprint of a
-- key, EncryptedTo the recipients of age, in order. Never a secret. From version 3.
IF COL_LENGTH(N'dbo.BlobDeltaRun', N'OutFolder') IS NULL
    ALTER TABLE dbo.BlobDeltaRun ADD OutFolder nvarchar(2000) NULL;
GO
IF COL_LENGTH(N'dbo.BlobDeltaRun', N'ShipTo') IS NULL
    ALTER TABLE dbo.BlobDeltaRun ADD ShipTo nvarchar(2000) NULL;
GO
IF COL_LENGTH(N'dbo.BlobDeltaRun', N'SignedBy') IS NULL
    ALTER TABLE dbo.BlobDeltaRun ADD SignedBy nvarchar(200) NULL;
GO
IF COL_LENGTH(N'dbo.BlobDeltaRun', N'EncryptedTo') IS NULL
    ALTER TABLE dbo.BlobDeltaRun ADD EncryptedTo nvarchar(max) NULL;
GO
IF COL_LENGTH(N'dbo.BlobDeltaRun', N'BundleForm') IS NULL
    ALTER TABLE dbo.BlobDeltaRun ADD BundleForm nvarchar(20) NULL;
GO
-- From version 3: who resumes a run is its next attempt, and the one before it writes nothing more (rule 8).
IF COL_LENGTH(N'dbo.BlobDeltaRun', N'Attempt') IS NULL
    ALTER TABLE dbo.BlobDeltaRun ADD Attempt int NOT NULL CONSTRAINT DF_BlobDeltaRun_Attempt DEFAULT 1;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaIndexMade WHERE IndexName = N'IX_BlobDeltaRun_StartedAt')
BEGIN
    CREATE INDEX IX_BlobDeltaRun_StartedAt ON dbo.BlobDeltaRun (RunStartedAt);
    INSERT INTO dbo.BlobDeltaIndexMade (IndexName) VALUES (N'IX_BlobDeltaRun_StartedAt');
END;
GO
-- The part of a run for one table. Counts is a JSON object, NewBusinessUnits a JSON array.
-- LagOnly says that nobody could look for open transactions (rule 2).
IF OBJECT_ID(N'dbo.BlobDeltaRunTable', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaRunTable (
        RunId                  uniqueidentifier NOT NULL,
        TableName              nvarchar(400) NOT NULL,
        Scope                  nvarchar(36) NOT NULL,
        Status                 nvarchar(20) NOT NULL,
        WindowStart            datetime2(7) NULL,
        WindowEnd              datetime2(7) NULL,
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
IF COL_LENGTH(N'dbo.BlobDeltaRunTable', N'NewestModifiedOn') IS NULL
    ALTER TABLE dbo.BlobDeltaRunTable ADD NewestModifiedOn datetime2(7) NULL;
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
-- Rule 3: the keys of a window, each once. State is NULL until the key ends.
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
-- for each scope that has a watermark.
IF OBJECT_ID(N'dbo.BlobDeltaPendingKey', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaPendingKey (
        TableName nvarchar(400) NOT NULL,
        Scope     nvarchar(36) NOT NULL
            CONSTRAINT DF_BlobDeltaPendingKey_Scope DEFAULT N'',
        stream_id uniqueidentifier NOT NULL,
        Reason    nvarchar(1000) NOT NULL,
        CreatedAt datetime2(7) NOT NULL
            CONSTRAINT DF_BlobDeltaPendingKey_CreatedAt DEFAULT SYSUTCDATETIME(),
        CONSTRAINT PK_BlobDeltaPendingKey PRIMARY KEY (TableName, Scope, stream_id)
    );
GO
-- From version 3: what waits already is asked for by everybody.
IF COL_LENGTH(N'dbo.BlobDeltaPendingKey', N'Scope') IS NULL
BEGIN
    ALTER TABLE dbo.BlobDeltaPendingKey ADD Scope nvarchar(36) NOT NULL CONSTRAINT DF_BlobDeltaPendingKey_Scope DEFAULT N'';
    ALTER TABLE dbo.BlobDeltaPendingKey DROP CONSTRAINT PK_BlobDeltaPendingKey;
    EXEC (N'ALTER TABLE dbo.BlobDeltaPendingKey ADD CONSTRAINT PK_BlobDeltaPendingKey PRIMARY KEY (TableName, Scope, stream_id)');
END;
GO
-- Rule 17: what the runs for one business unit have handed out, so that its receivers can be told what left the
-- unit, and of no deletion but of what they have. IsWhole is 0 for ancestors that came without their blobs.
IF OBJECT_ID(N'dbo.BlobDeltaShippedKey', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaShippedKey (
        TableName      nvarchar(400) NOT NULL,
        BusinessUnitId uniqueidentifier NOT NULL,
        stream_id      uniqueidentifier NOT NULL,
        ModifiedOn     datetime2(7) NULL,
        IsWhole        bit NOT NULL,
        CONSTRAINT PK_BlobDeltaShippedKey PRIMARY KEY (TableName, BusinessUnitId, stream_id)
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
IF COL_LENGTH(N'dbo.BlobDeltaDeletionLog', N'Reason') IS NULL
    ALTER TABLE dbo.BlobDeltaDeletionLog ADD Reason nvarchar(20) NOT NULL
        CONSTRAINT DF_BlobDeltaDeletionLog_Reason DEFAULT N'Deleted'
        CONSTRAINT CK_BlobDeltaDeletionLog_Reason CHECK (Reason IN (N'Deleted', N'LeftScope'));
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
-- Rule 15: which deletions (and which leavings, IsDeletion = 0) the completed runs of a scope have told, and which run did.
-- An entry of the log is due for a scope until one of its key and kind, as late or later, stands here. Not by DeletionId:
-- a log that was emptied or restored gives the same numbers again, and an entry that is corrected keeps its own.
IF OBJECT_ID(N'dbo.BlobDeltaToldDeletion', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaToldDeletion (
        TableName  nvarchar(400) NOT NULL,
        Scope      nvarchar(36) NOT NULL,
        stream_id  uniqueidentifier NOT NULL,
        IsDeletion bit NOT NULL,
        DeletedOn  datetime2(7) NOT NULL,
        RunId      uniqueidentifier NOT NULL,
        CONSTRAINT PK_BlobDeltaToldDeletion PRIMARY KEY (TableName, Scope, stream_id, IsDeletion, DeletedOn)
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
        CONSTRAINT PK_BlobDeltaBundle PRIMARY KEY (BundleId),
        CONSTRAINT UX_BlobDeltaBundle_Run UNIQUE (RunId, TableName)
    );
GO
-- From version 2; one column at a time, because not every server adds several at once.
IF COL_LENGTH(N'dbo.BlobDeltaBundle', N'ShipTo') IS NULL
    ALTER TABLE dbo.BlobDeltaBundle ADD ShipTo nvarchar(2000) NULL;
GO
IF COL_LENGTH(N'dbo.BlobDeltaBundle', N'ShippedAt') IS NULL
    ALTER TABLE dbo.BlobDeltaBundle ADD ShippedAt datetime2(7) NULL;
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
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 5, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version <= 5;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'03_BlobDeltaJobs_Schema.sql', 5
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql');
GO
SET NOEXEC OFF;
GO
