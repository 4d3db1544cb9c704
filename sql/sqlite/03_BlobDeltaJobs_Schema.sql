-- The job database of an embedded instance. Can be run again at any time.
-- Times are text of 27 characters, YYYY-MM-DDTHH:MM:SS.fffffff; a column that ends in "At" is
-- UTC by the server's clock, any other time is in the clock of the table (ModifiedOnIsUtc).
-- A table's name is the same in any case of its letters: NOCASE, as the program compares.

CREATE TABLE IF NOT EXISTS BlobDeltaSchemaVersion (
    Script    TEXT NOT NULL PRIMARY KEY,
    Version   INTEGER NOT NULL,
    Sha256    TEXT NOT NULL,
    AppliedAt TEXT NOT NULL
);

-- One row: the identity of this source, given once at deploy.
CREATE TABLE IF NOT EXISTS BlobDeltaSource (
    OnlyRow  INTEGER NOT NULL PRIMARY KEY CHECK (OnlyRow = 1),
    SourceId BLOB NOT NULL CHECK (length(SourceId) = 16)
);

-- Rule 28: the folders in which this job database may run: where it was deployed, and where it moved to.
CREATE TABLE IF NOT EXISTS BlobDeltaKnownServer (
    ServerIdentity TEXT NOT NULL PRIMARY KEY,
    FirstSeenAt    TEXT NOT NULL
);

-- RequireBundle is NULL until somebody says 0 or 1: then the first bundled run makes it 1. SchemaDrift (rule 24): what a run
-- does where the source's columns are not the slice's. ExcludedColumns: names of columns that no bundle has, with commas
-- between; in brackets where a name has a comma. MetadataColumns: names of columns of the metadata that come along as Meta_<name>.
CREATE TABLE IF NOT EXISTS BlobDeltaTableConfig (
    TableName               TEXT COLLATE NOCASE NOT NULL PRIMARY KEY,
    SourceDb                TEXT NOT NULL,
    SourceSchema            TEXT NOT NULL DEFAULT 'dbo',
    SourceTable             TEXT NOT NULL,
    TargetDb                TEXT NOT NULL,
    TargetSchema            TEXT NOT NULL DEFAULT 'dbo',
    TargetTable             TEXT NOT NULL,
    MetadataDb              TEXT NOT NULL,
    MetadataSchema          TEXT NOT NULL DEFAULT 'dbo',
    MetadataTable           TEXT NOT NULL,
    MetadataIdColumn        TEXT NOT NULL DEFAULT 'stream_id',
    MetadataModifiedOnCol   TEXT NOT NULL DEFAULT 'ModifiedOn',
    -- Counts where ModifiedOn is NULL.
    MetadataCreatedOnCol    TEXT NULL,
    MetadataBusinessUnitCol TEXT NULL,
    BusinessUnitDb          TEXT NULL,
    BusinessUnitSchema      TEXT NULL DEFAULT 'dbo',
    BusinessUnitTable       TEXT NULL,
    BusinessUnitIdColumn    TEXT NULL,
    KeyColumn               TEXT NOT NULL DEFAULT 'stream_id',
    PathColumn              TEXT NULL DEFAULT 'path_locator',
    ParentPathColumn        TEXT NULL DEFAULT 'parent_path_locator',
    SafetyBufferMinutes     INTEGER NOT NULL DEFAULT 240 CHECK (SafetyBufferMinutes BETWEEN 0 AND 525600),
    InitialBaseline         TEXT NULL CHECK (length(InitialBaseline) = 27),
    -- The most that one window takes: '30 days' or '1000000 rows'.
    MaxWindow               TEXT NULL,
    ModifiedOnIsUtc         INTEGER NOT NULL DEFAULT 1,
    ExcludedStreamId        BLOB NULL CHECK (length(ExcludedStreamId) = 16),
    IsActive                INTEGER NOT NULL DEFAULT 1,
    IncludeDeletions        INTEGER NOT NULL DEFAULT 1,
    RequireBundle           INTEGER NULL,
    AcceptedAbsentPercent   INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedAbsentPercent BETWEEN 0 AND 100),
    AcceptedOrphanPercent   INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedOrphanPercent BETWEEN 0 AND 100),
    MetadataFilter          TEXT NULL,
    -- Which rows of the metadata count as deleted, in the same form.
    DeletedWhen             TEXT NULL,
    AcceptedLeftPercent     INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedLeftPercent BETWEEN 0 AND 100),
    AcceptedStandingPercent INTEGER NOT NULL DEFAULT 50 CHECK (AcceptedStandingPercent BETWEEN 0 AND 100),
    SchemaDrift             TEXT NOT NULL DEFAULT 'Carry' CHECK (SchemaDrift IN ('Carry', 'Refuse')),
    ExcludedColumns         TEXT NULL,
    MetadataColumns         TEXT NULL,
    -- Whether bundles leave out content that the chain has shipped for the same key.
    OmitKnownContent        INTEGER NOT NULL DEFAULT 0,
    -- What the keys are, and so their ids in every column stream_id; looked up when the slice is made.
    KeyType                 TEXT NOT NULL DEFAULT 'uniqueidentifier'
                            CHECK (KeyType IN ('uniqueidentifier', 'integer') OR KeyType LIKE 'binary(%)')
);

-- The watermark of all business units, and the lease. A row that is missing is made by start_table.
CREATE TABLE IF NOT EXISTS BlobDeltaHighWatermark (
    TableName               TEXT COLLATE NOCASE NOT NULL PRIMARY KEY,
    LastHighWaterModifiedOn TEXT NULL CHECK (length(LastHighWaterModifiedOn) = 27),
    LastRunId               BLOB NULL,
    LastRunCompletedAt      TEXT NULL,
    IsInitialFullLoadDone   INTEGER NOT NULL DEFAULT 0,
    IsRunning               INTEGER NOT NULL DEFAULT 0,
    RunLeaseExpiresAt       TEXT NULL,
    LeaseRunId              BLOB NULL,
    LeaseEpoch              INTEGER NOT NULL DEFAULT 0
);

-- The watermark of one business unit. A row without a watermark says that the unit was in
-- scope of a completed run over all units.
CREATE TABLE IF NOT EXISTS BlobDeltaBusinessUnitWatermark (
    TableName               TEXT COLLATE NOCASE NOT NULL,
    BusinessUnitId          BLOB NOT NULL,
    LastHighWaterModifiedOn TEXT NULL CHECK (length(LastHighWaterModifiedOn) = 27),
    LastRunId               BLOB NULL,
    LastRunCompletedAt      TEXT NULL,
    IsKnownToAllRuns        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (TableName, BusinessUnitId)
);

-- WindowFrom and WindowUntil: --from and --until. ContinuesRunId: the run whose windows MaxWindow had cut, and that this one
-- goes on from. Who resumes a run is its next attempt, and the one before it writes nothing more (rule 8).
-- OutFolder to BundleForm: what the run was told of its bundle (rule 18), all NULL where it was told nothing;
-- SignedBy is the fingerprint of a key, EncryptedTo the recipients of age, in order. Never a secret.
CREATE TABLE IF NOT EXISTS BlobDeltaRun (
    RunId             BLOB NOT NULL PRIMARY KEY CHECK (length(RunId) = 16),
    RunType           TEXT NOT NULL,
    RequestedBy       TEXT NOT NULL,
    RunStartedAt      TEXT NOT NULL,
    RunStartedAtLocal TEXT NOT NULL,
    RunCompletedAt    TEXT NULL,
    Status            TEXT NOT NULL,
    ErrorMessage      TEXT NULL,
    TableName         TEXT COLLATE NOCASE NULL,
    BusinessUnitId    BLOB NULL,
    BatchSize         INTEGER NOT NULL,
    MaxDOP            INTEGER NOT NULL,
    WindowFrom        TEXT NULL,
    WindowUntil       TEXT NULL,
    ContinuesRunId    BLOB NULL,
    Attempt           INTEGER NOT NULL DEFAULT 1,
    OutFolder         TEXT NULL,
    ShipTo            TEXT NULL,
    SignedBy          TEXT NULL,
    EncryptedTo       TEXT NULL,
    BundleForm        TEXT NULL CHECK (BundleForm IN ('Folder', 'Archive'))
);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaRun_StartedAt ON BlobDeltaRun (RunStartedAt);

-- Of which type the keys of a table are. What its runs recorded goes by their ids, so this stays when the table is removed.
CREATE TABLE IF NOT EXISTS BlobDeltaKeyType (
    TableName TEXT COLLATE NOCASE NOT NULL PRIMARY KEY,
    KeyType   TEXT NOT NULL
) WITHOUT ROWID;

-- The part of a run for one table. WindowGoal: where the window would have ended that MaxWindow cut; the window's end, if it
-- cut none. OneStampRows: how many rows the one stamp has that makes the window larger than MaxWindow.
CREATE TABLE IF NOT EXISTS BlobDeltaRunTable (
    RunId           BLOB NOT NULL REFERENCES BlobDeltaRun (RunId),
    TableName       TEXT COLLATE NOCASE NOT NULL,
    Scope           TEXT NOT NULL,
    Status          TEXT NOT NULL,
    WindowStart     TEXT NULL,
    WindowEnd       TEXT NULL,
    WindowGoal      TEXT NULL,
    OneStampRows    INTEGER NULL,
    BufferMinutes   INTEGER NULL,
    DeletionsFrom   TEXT NULL,
    PreviousRunId   BLOB NULL,
    WatermarkBefore TEXT NULL,
    WatermarkAfter  TEXT NULL,
    QueuedKeys      INTEGER NULL,
    RootsSeq        INTEGER NOT NULL DEFAULT 0,
    ChildrenSeq     INTEGER NOT NULL DEFAULT 0,
    Counts          TEXT NULL,
    NewBusinessUnits TEXT NULL,
    PackNumber      INTEGER NULL,
    CompletedAt     TEXT NULL,
    LastError       TEXT NULL,
    -- The greatest stamp that the run saw, and by which the next one sees whether the source went back.
    NewestModifiedOn TEXT NULL,
    PRIMARY KEY (RunId, TableName)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS IX_BlobDeltaRunTable_Chain ON BlobDeltaRunTable (TableName, Scope, Status);

CREATE TABLE IF NOT EXISTS BlobDeltaRunStep (
    RunId              BLOB NOT NULL REFERENCES BlobDeltaRun (RunId),
    TableName          TEXT COLLATE NOCASE NOT NULL,
    StepNumber         INTEGER NOT NULL,
    BatchNumber        INTEGER NOT NULL,
    RowsProcessed      INTEGER NOT NULL,
    TotalRowsProcessed INTEGER NOT NULL,
    WindowStart        TEXT NULL,
    WindowEnd          TEXT NULL,
    BatchStartedAt     TEXT NOT NULL,
    BatchCompletedAt   TEXT NULL,
    Status             TEXT NOT NULL,
    ErrorMessage       TEXT NULL,
    PRIMARY KEY (RunId, TableName, StepNumber, BatchNumber)
) WITHOUT ROWID;

-- Rule 3: the keys of a window, each once. State is NULL until the key ends. Place is where the key's row
-- was found when it was queued; it spares a search, and is never taken for the row's without the key being
-- looked at there. An index over keys, which are random, would take a good part of the time of queueing;
-- the templates as they are shipped queue each key once and look none up, and for others there is one.
CREATE TABLE IF NOT EXISTS BlobDeltaWindowQueue (
    RunId        BLOB NOT NULL,
    TableName    TEXT COLLATE NOCASE NOT NULL,
    Step         INTEGER NOT NULL CHECK (Step IN (1, 3)),
    Seq          INTEGER NOT NULL,
    stream_id    BLOB NOT NULL CHECK (length(stream_id) = 16),
    ModifiedOn   TEXT NULL,
    WasHeldBack  INTEGER NOT NULL DEFAULT 0,
    IsPending    INTEGER NOT NULL DEFAULT 0,
    State        TEXT NULL CHECK (State IN ('Copied', 'Gone', 'HeldBack')),
    Place        NULL,
    PRIMARY KEY (RunId, TableName, Step, Seq)
) WITHOUT ROWID;

-- Rule 4: the keys that a run saw between its window's end and its start.
CREATE TABLE IF NOT EXISTS BlobDeltaHeldBackKey (
    RunId     BLOB NOT NULL,
    TableName TEXT COLLATE NOCASE NOT NULL,
    stream_id BLOB NOT NULL,
    PRIMARY KEY (RunId, TableName, stream_id)
) WITHOUT ROWID;

-- Rules 5 and 17: keys that are asked for by name until they are copied or dropped by name, by the runs of
-- one scope: 'all', or a business unit as text. '' asks for everybody: the next run of the table makes of it
-- one row for each scope that has a watermark. WithoutMetadata: a run over all units takes it even if no metadata names it.
CREATE TABLE IF NOT EXISTS BlobDeltaPendingKey (
    TableName       TEXT COLLATE NOCASE NOT NULL,
    Scope           TEXT NOT NULL DEFAULT '' CHECK (Scope IN ('', 'all') OR (length(Scope) = 36 AND Scope = lower(Scope))),
    stream_id       BLOB NOT NULL CHECK (length(stream_id) = 16),
    Reason          TEXT NOT NULL,
    CreatedAt       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f0000')),
    WithoutMetadata INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (TableName, Scope, stream_id)
) WITHOUT ROWID;

-- Rules 7 and 17: what the runs of a scope have handed out: of a business unit all, so that its receivers can be told what
-- left the unit, and of no deletion but of what they have; of 'all' ancestors out of scope alone. ModifiedOn is the greatest
-- stamp that was handed out. IsWhole is 0 for ancestors out of scope: they come without their blobs.
CREATE TABLE IF NOT EXISTS BlobDeltaShippedKey (
    TableName  TEXT COLLATE NOCASE NOT NULL,
    Scope      TEXT NOT NULL,
    stream_id  BLOB NOT NULL,
    ModifiedOn TEXT NULL,
    IsWhole    INTEGER NOT NULL,
    PRIMARY KEY (TableName, Scope, stream_id)
) WITHOUT ROWID;

-- Rule 7: rows that the runs of a scope handed out while the source lacked their parent, or it was excluded. Once it is
-- there a run brings it, and those again that came without its key (ParentKey); RunId says which one did, until the scope's
-- next run begins.
CREATE TABLE IF NOT EXISTS BlobDeltaAbsentParent (
    TableName TEXT COLLATE NOCASE NOT NULL,
    Scope     TEXT NOT NULL,
    stream_id BLOB NOT NULL,
    ParentKey BLOB NULL,
    RunId     BLOB NULL,
    PRIMARY KEY (TableName, Scope, stream_id)
) WITHOUT ROWID;

-- Rule 6: keys that are never captured, each with a reason.
CREATE TABLE IF NOT EXISTS BlobDeltaExcludedKey (
    TableName TEXT COLLATE NOCASE NOT NULL,
    stream_id BLOB NOT NULL CHECK (length(stream_id) = 16),
    Reason    TEXT NOT NULL,
    CreatedAt TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f0000')),
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;

-- Rule 7: ancestors that a slice lacks. IsPending: asked for by name. WasWhole: receivers have it with its blob.
CREATE TABLE IF NOT EXISTS BlobDeltaMissingParentsQueue (
    RunId        BLOB NOT NULL,
    TableName    TEXT COLLATE NOCASE NOT NULL,
    stream_id    BLOB NOT NULL,
    BusinessUnit BLOB NULL,
    Processed    INTEGER NOT NULL DEFAULT 0,
    CreatedAt    TEXT NOT NULL,
    IsPending    INTEGER NOT NULL DEFAULT 0,
    WasWhole     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (RunId, TableName, stream_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS IX_BlobDeltaMissingParentsQueue_Open
    ON BlobDeltaMissingParentsQueue (RunId, TableName, stream_id) WHERE Processed = 0;

-- The templates of the three steps. A row with a TableName overrides the shared one.
CREATE TABLE IF NOT EXISTS BlobDeltaStepScript (
    ScriptId   INTEGER PRIMARY KEY,
    TableName  TEXT COLLATE NOCASE NULL,
    StepNumber INTEGER NOT NULL CHECK (StepNumber IN (1, 2, 3)),
    ScriptName TEXT NOT NULL,
    ScriptText TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS UX_BlobDeltaStepScript
    ON BlobDeltaStepScript (coalesce(TableName, '') COLLATE NOCASE, StepNumber);

-- The templates that fill the queues: WindowQueue and MissingParents.
CREATE TABLE IF NOT EXISTS BlobDeltaQueuePopulationScript (
    ScriptId   INTEGER PRIMARY KEY,
    TableName  TEXT COLLATE NOCASE NULL,
    QueueName  TEXT NOT NULL CHECK (QueueName IN ('WindowQueue', 'MissingParents')),
    ScriptText TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS UX_BlobDeltaQueuePopulationScript
    ON BlobDeltaQueuePopulationScript (coalesce(TableName, '') COLLATE NOCASE, QueueName);

-- Rule 15. LoggedAt is when it is logged, by the server's clock, UTC: run --from takes again what was logged since
-- then, and pruning keeps what is younger than the oldest run. Of a key that LeftScope (rule 17) BusinessUnit is the
-- unit that it left, NULL where it left the scope of all units.
CREATE TABLE IF NOT EXISTS BlobDeltaDeletionLog (
    DeletionId   INTEGER PRIMARY KEY,
    TableName    TEXT COLLATE NOCASE NOT NULL,
    stream_id    BLOB NOT NULL CHECK (length(stream_id) = 16),
    DeletedOn    TEXT NOT NULL CHECK (length(DeletedOn) = 27),
    BusinessUnit BLOB NULL,
    LoggedAt     TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f0000')) CHECK (length(LoggedAt) = 27),
    Reason       TEXT NOT NULL DEFAULT 'Deleted' CHECK (Reason IN ('Deleted', 'LeftScope'))
);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaDeletionLog_LoggedAt ON BlobDeltaDeletionLog (TableName, LoggedAt);
-- All that says of an entry whether its scopes have been told of it: no row is read for those that have. In place of one
-- over the keys alone.
DROP INDEX IF EXISTS IX_BlobDeltaDeletionLog_Key;
CREATE INDEX IF NOT EXISTS IX_BlobDeltaDeletionLog_Due ON BlobDeltaDeletionLog (TableName, stream_id, Reason, DeletedOn);

-- Rule 15: which deletions (and which leavings, IsDeletion = 0) the completed runs of a scope have reported, and which run did.
-- An entry of the log is due for a scope until one of its key and kind, as late or later, stands here. Not by DeletionId:
-- a log that was emptied or restored gives the same numbers again, and an entry that is corrected keeps its own.
-- PassedByRunId: which run brought the row as an ancestor after it was reported as deleted.
CREATE TABLE IF NOT EXISTS BlobDeltaReportedDeletion (
    TableName     TEXT COLLATE NOCASE NOT NULL,
    Scope         TEXT NOT NULL,
    stream_id     BLOB NOT NULL,
    IsDeletion    INTEGER NOT NULL,
    DeletedOn     TEXT NOT NULL,
    RunId         BLOB NOT NULL,
    PassedByRunId BLOB NULL,
    PRIMARY KEY (TableName, Scope, stream_id, IsDeletion, DeletedOn)
) WITHOUT ROWID;

-- One row a table and published bundle. ShipTo is the destination as it was given (never a secret),
-- NULL where the bundle is not to be shipped; ShippedAt is NULL until it was. Columns are those of its rows as its manifest
-- has them, a JSON array; the next bundle of the chain says what changed.
CREATE TABLE IF NOT EXISTS BlobDeltaBundle (
    BundleId           INTEGER PRIMARY KEY AUTOINCREMENT,
    RunId              BLOB NOT NULL,
    TableName          TEXT COLLATE NOCASE NOT NULL,
    PackNumber         INTEGER NOT NULL,
    Scope              TEXT NOT NULL,
    RootSha256         TEXT NOT NULL,
    PreviousRootSha256 TEXT NULL,
    Name               TEXT NOT NULL,
    Folder             TEXT NOT NULL,
    PublishedAt        TEXT NOT NULL,
    ShipTo             TEXT NULL,
    ShippedAt          TEXT NULL,
    Columns            TEXT NULL,
    UNIQUE (RunId, TableName)
);
CREATE INDEX IF NOT EXISTS IX_BlobDeltaBundle_Chain ON BlobDeltaBundle (TableName, Scope, BundleId);

-- Known content: what whoever has applied all bundles of a chain has, by key and column. Sha256 is that of the value, NULL where
-- there is none to be left out; RootSha256 the bundle that holds it. ModifiedOn, RunStartedAt and RunId are the version of the
-- row (rule 14). What a pack finds is in BlobDeltaContentAside until its bundle is recorded.
CREATE TABLE IF NOT EXISTS BlobDeltaKnownContent (
    TableName    TEXT COLLATE NOCASE NOT NULL,
    Scope        TEXT NOT NULL,
    ColumnName   TEXT NOT NULL,
    stream_id    BLOB NOT NULL,
    Sha256       BLOB NULL CHECK (length(Sha256) = 32),
    RootSha256   BLOB NULL CHECK (length(RootSha256) = 32),
    ModifiedOn   TEXT NOT NULL,
    RunStartedAt TEXT NOT NULL,
    RunId        BLOB NOT NULL,
    PRIMARY KEY (TableName, Scope, ColumnName, stream_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS BlobDeltaContentAside (
    TableName  TEXT COLLATE NOCASE NOT NULL,
    ColumnName TEXT NOT NULL,
    stream_id  BLOB NOT NULL,
    Sha256     BLOB NULL,
    RootSha256 BLOB NULL,
    ModifiedOn TEXT NOT NULL,
    PRIMARY KEY (TableName, ColumnName, stream_id)
) WITHOUT ROWID;

-- Rule 18: places that are others', and that rows of this scope ('all', or a business unit as text) may come to all
-- the same, because somebody said so by name.
CREATE TABLE IF NOT EXISTS BlobDeltaSharedPlace (
    Place     TEXT NOT NULL,
    Scope     TEXT NOT NULL,
    AllowedAt TEXT NOT NULL,
    PRIMARY KEY (Place, Scope)
) WITHOUT ROWID;

-- What a run's bundles were to be shipped to, and are not any more, because somebody took it back by name.
CREATE TABLE IF NOT EXISTS BlobDeltaWaivedShipment (
    WaivedId   INTEGER PRIMARY KEY,
    RunId      BLOB NOT NULL,
    PackNumber INTEGER NOT NULL,
    ShipTo     TEXT NOT NULL,
    WaivedAt   TEXT NOT NULL
);
