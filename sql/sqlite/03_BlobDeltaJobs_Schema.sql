-- The job database of an embedded instance. Can be run again at any time.
-- Times are text of 27 characters, YYYY-MM-DDTHH:MM:SS.fffffff; a column that ends in "At" is
-- UTC by the server's clock, any other time is in the clock of the table (ModifiedOnIsUtc).

CREATE TABLE IF NOT EXISTS BlobDeltaSchemaVersion (
    Script    nvarchar(128) TEXT NOT NULL PRIMARY KEY,
    Version   int INTEGER NOT NULL,
    Sha256    char(64) TEXT NOT NULL,
    AppliedAt datetime2(7) TEXT NOT NULL
);

-- One row: the identity of this source, given once at deploy.
CREATE TABLE IF NOT EXISTS BlobDeltaSource (
    OnlyRow  int INTEGER NOT NULL PRIMARY KEY CHECK (OnlyRow = 1),
    SourceId uniqueidentifier BLOB NOT NULL CHECK (length(SourceId) = 16)
);

CREATE TABLE IF NOT EXISTS BlobDeltaTableConfig (
    TableName               nvarchar(400) TEXT NOT NULL PRIMARY KEY,
    SourceDb                sysname TEXT NOT NULL,
    SourceSchema            sysname TEXT NOT NULL DEFAULT 'dbo',
    SourceTable             sysname TEXT NOT NULL,
    TargetDb                sysname TEXT NOT NULL,
    TargetSchema            sysname TEXT NOT NULL DEFAULT 'dbo',
    TargetTable             sysname TEXT NOT NULL,
    MetadataDb              sysname TEXT NOT NULL,
    MetadataSchema          sysname TEXT NOT NULL DEFAULT 'dbo',
    MetadataTable           sysname TEXT NOT NULL,
    MetadataIdColumn        sysname TEXT NOT NULL DEFAULT 'stream_id',
    MetadataModifiedOnCol   sysname TEXT NOT NULL DEFAULT 'ModifiedOn',
    MetadataBusinessUnitCol sysname TEXT NULL,
    BusinessUnitDb          sysname TEXT NULL,
    BusinessUnitSchema      sysname TEXT NULL DEFAULT 'dbo',
    BusinessUnitTable       sysname TEXT NULL,
    BusinessUnitIdColumn    sysname TEXT NULL,
    KeyColumn               sysname TEXT NOT NULL DEFAULT 'stream_id',
    PathColumn              sysname TEXT NULL DEFAULT 'path_locator',
    ParentPathColumn        sysname TEXT NULL DEFAULT 'parent_path_locator',
    SafetyBufferMinutes     int INTEGER NOT NULL DEFAULT 240 CHECK (SafetyBufferMinutes BETWEEN 0 AND 525600),
    InitialBaseline         datetime2(7) TEXT NULL CHECK (length(InitialBaseline) = 27),
    ModifiedOnIsUtc         bit INTEGER NOT NULL DEFAULT 1,
    ExcludedStreamId        uniqueidentifier BLOB NULL CHECK (length(ExcludedStreamId) = 16),
    IsActive                bit INTEGER NOT NULL DEFAULT 1,
    IncludeDeletions        bit INTEGER NOT NULL DEFAULT 1,
    RequireBundle           bit INTEGER NOT NULL DEFAULT 0
);

-- The watermark of all business units, and the lease. A row that is missing is made by start_table.
CREATE TABLE IF NOT EXISTS BlobDeltaHighWatermark (
    TableName               nvarchar(400) TEXT NOT NULL PRIMARY KEY,
    LastHighWaterModifiedOn datetime2(7) TEXT NULL CHECK (length(LastHighWaterModifiedOn) = 27),
    LastRunId               uniqueidentifier BLOB NULL,
    LastRunStartedAt        datetime2(7) TEXT NULL,
    LastRunCompletedAt      datetime2(7) TEXT NULL,
    IsInitialFullLoadDone   bit INTEGER NOT NULL DEFAULT 0,
    IsRunning               bit INTEGER NOT NULL DEFAULT 0,
    RunLeaseExpiresAt       datetime2(7) TEXT NULL,
    LeaseRunId              uniqueidentifier BLOB NULL,
    LeaseEpoch              bigint INTEGER NOT NULL DEFAULT 0
);

-- The watermark of one business unit. A row without a watermark says that the unit was in
-- scope of a completed run over all units.
CREATE TABLE IF NOT EXISTS BlobDeltaBusinessUnitWatermark (
    TableName               nvarchar(400) TEXT NOT NULL,
    BusinessUnitId          uniqueidentifier BLOB NOT NULL,
    LastHighWaterModifiedOn datetime2(7) TEXT NULL CHECK (length(LastHighWaterModifiedOn) = 27),
    LastRunId               uniqueidentifier BLOB NULL,
    IsKnownToAllRuns        bit INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (TableName, BusinessUnitId)
);

CREATE TABLE IF NOT EXISTS BlobDeltaRun (
    RunId             uniqueidentifier BLOB NOT NULL PRIMARY KEY CHECK (length(RunId) = 16),
    RunType           nvarchar(20) TEXT NOT NULL,
    RequestedBy       nvarchar(256) TEXT NOT NULL,
    RunStartedAt      datetime2(7) TEXT NOT NULL,
    RunStartedAtLocal datetime2(7) TEXT NOT NULL,
    RunCompletedAt    datetime2(7) TEXT NULL,
    Status            nvarchar(20) TEXT NOT NULL,
    ErrorMessage      nvarchar(max) TEXT NULL,
    TableName         nvarchar(400) TEXT NULL,
    BusinessUnitId    uniqueidentifier BLOB NULL,
    BatchSize         int INTEGER NOT NULL,
    MaxDOP            int INTEGER NOT NULL,
    WindowFrom        datetime2(7) TEXT NULL
);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaRun_StartedAt ON BlobDeltaRun (RunStartedAt);

-- The part of a run for one table.
CREATE TABLE IF NOT EXISTS BlobDeltaRunTable (
    RunId           uniqueidentifier BLOB NOT NULL REFERENCES BlobDeltaRun (RunId),
    TableName       nvarchar(400) TEXT NOT NULL,
    Scope           nvarchar(36) TEXT NOT NULL,
    Status          nvarchar(20) TEXT NOT NULL,
    WindowStart     datetime2(7) TEXT NULL,
    WindowEnd       datetime2(7) TEXT NULL,
    BufferMinutes   int INTEGER NULL,
    DeletionsFrom   datetime2(7) TEXT NULL,
    PreviousRunId   uniqueidentifier BLOB NULL,
    WatermarkBefore datetime2(7) TEXT NULL,
    WatermarkAfter  datetime2(7) TEXT NULL,
    QueuedKeys      bigint INTEGER NULL,
    RootsSeq        bigint INTEGER NOT NULL DEFAULT 0,
    ChildrenSeq     bigint INTEGER NOT NULL DEFAULT 0,
    Counts          nvarchar(max) TEXT NULL,
    NewBusinessUnits nvarchar(max) TEXT NULL,
    PackNumber      int INTEGER NULL,
    CompletedAt     datetime2(7) TEXT NULL,
    LastError       nvarchar(max) TEXT NULL,
    PRIMARY KEY (RunId, TableName)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS IX_BlobDeltaRunTable_Chain ON BlobDeltaRunTable (TableName, Scope, Status);

CREATE TABLE IF NOT EXISTS BlobDeltaRunStep (
    RunId              uniqueidentifier BLOB NOT NULL REFERENCES BlobDeltaRun (RunId),
    TableName          nvarchar(400) TEXT NOT NULL,
    StepNumber         int INTEGER NOT NULL,
    BatchNumber        int INTEGER NOT NULL,
    RowsProcessed      bigint INTEGER NOT NULL,
    TotalRowsProcessed bigint INTEGER NOT NULL,
    WindowStart        datetime2(7) TEXT NULL,
    WindowEnd          datetime2(7) TEXT NULL,
    BatchStartedAt     datetime2(7) TEXT NOT NULL,
    BatchCompletedAt   datetime2(7) TEXT NULL,
    Status             nvarchar(20) TEXT NOT NULL,
    ErrorMessage       nvarchar(max) TEXT NULL,
    PRIMARY KEY (RunId, TableName, StepNumber, BatchNumber)
) WITHOUT ROWID;

-- Rule 3: the keys of a window, each once. State is NULL until the key ends.
CREATE TABLE IF NOT EXISTS BlobDeltaWindowQueue (
    RunId        uniqueidentifier BLOB NOT NULL,
    TableName    nvarchar(400) TEXT NOT NULL,
    Step         int INTEGER NOT NULL CHECK (Step IN (1, 3)),
    Seq          bigint INTEGER NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    ModifiedOn   datetime2(7) TEXT NULL,
    WasHeldBack  bit INTEGER NOT NULL DEFAULT 0,
    IsPending    bit INTEGER NOT NULL DEFAULT 0,
    State        nvarchar(10) TEXT NULL CHECK (State IN ('Copied', 'Gone', 'HeldBack')),
    PRIMARY KEY (RunId, TableName, Step, Seq),
    UNIQUE (RunId, TableName, stream_id)
) WITHOUT ROWID;

-- Rule 4: the keys that a run saw between its window's end and its start.
CREATE TABLE IF NOT EXISTS BlobDeltaHeldBackKey (
    RunId     uniqueidentifier BLOB NOT NULL,
    TableName nvarchar(400) TEXT NOT NULL,
    stream_id uniqueidentifier BLOB NOT NULL,
    PRIMARY KEY (RunId, TableName, stream_id)
) WITHOUT ROWID;

-- Rule 5: keys that are asked for by name until they are copied or dropped by name.
CREATE TABLE IF NOT EXISTS BlobDeltaPendingKey (
    TableName nvarchar(400) TEXT NOT NULL,
    stream_id uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    Reason    nvarchar(400) TEXT NOT NULL,
    CreatedAt datetime2(7) TEXT NOT NULL,
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;

-- Rule 6: keys that are never captured, each with a reason.
CREATE TABLE IF NOT EXISTS BlobDeltaExcludedKey (
    TableName nvarchar(400) TEXT NOT NULL,
    stream_id uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    Reason    nvarchar(400) TEXT NOT NULL,
    CreatedAt datetime2(7) TEXT NOT NULL,
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS BlobDeltaMissingParentsQueue (
    RunId        uniqueidentifier BLOB NOT NULL,
    TableName    nvarchar(400) TEXT NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL,
    BusinessUnit uniqueidentifier BLOB NULL,
    Processed    bit INTEGER NOT NULL DEFAULT 0,
    CreatedAt    datetime2(7) TEXT NOT NULL,
    PRIMARY KEY (RunId, TableName, stream_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS IX_BlobDeltaMissingParentsQueue_Open
    ON BlobDeltaMissingParentsQueue (RunId, TableName, stream_id) WHERE Processed = 0;

-- The templates of the three steps. A row with a TableName overrides the shared one.
CREATE TABLE IF NOT EXISTS BlobDeltaStepScript (
    ScriptId   integer INTEGER PRIMARY KEY,
    TableName  nvarchar(400) TEXT NULL,
    StepNumber int INTEGER NOT NULL CHECK (StepNumber IN (1, 2, 3)),
    ScriptName nvarchar(40) TEXT NOT NULL,
    ScriptText nvarchar(max) TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS UX_BlobDeltaStepScript
    ON BlobDeltaStepScript (coalesce(TableName, ''), StepNumber);

-- The templates that fill the queues: WindowQueue and MissingParents.
CREATE TABLE IF NOT EXISTS BlobDeltaQueuePopulationScript (
    ScriptId   integer INTEGER PRIMARY KEY,
    TableName  nvarchar(400) TEXT NULL,
    QueueName  nvarchar(40) TEXT NOT NULL CHECK (QueueName IN ('WindowQueue', 'MissingParents')),
    ScriptText nvarchar(max) TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS UX_BlobDeltaQueuePopulationScript
    ON BlobDeltaQueuePopulationScript (coalesce(TableName, ''), QueueName);

-- Rule 15. LoggedAt is set by whoever logs, from the server's clock, UTC.
CREATE TABLE IF NOT EXISTS BlobDeltaDeletionLog (
    DeletionId   integer INTEGER PRIMARY KEY,
    TableName    nvarchar(400) TEXT NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    DeletedOn    datetime2(7) TEXT NOT NULL CHECK (length(DeletedOn) = 27),
    BusinessUnit uniqueidentifier BLOB NULL,
    LoggedAt     datetime2(7) TEXT NOT NULL CHECK (length(LoggedAt) = 27)
);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaDeletionLog_LoggedAt ON BlobDeltaDeletionLog (TableName, LoggedAt);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaDeletionLog_Key ON BlobDeltaDeletionLog (TableName, stream_id);

-- One row a table and published bundle.
CREATE TABLE IF NOT EXISTS BlobDeltaBundle (
    BundleId           integer INTEGER PRIMARY KEY AUTOINCREMENT,
    RunId              uniqueidentifier BLOB NOT NULL,
    TableName          nvarchar(400) TEXT NOT NULL,
    PackNumber         int INTEGER NOT NULL,
    Scope              nvarchar(36) TEXT NOT NULL,
    RootSha256         char(64) TEXT NOT NULL,
    PreviousRootSha256 char(64) TEXT NULL,
    Name               nvarchar(128) TEXT NOT NULL,
    Folder             nvarchar(4000) TEXT NOT NULL,
    PublishedAt        datetime2(7) TEXT NOT NULL,
    UNIQUE (RunId, TableName)
);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaBundle_Chain ON BlobDeltaBundle (TableName, Scope, BundleId);
