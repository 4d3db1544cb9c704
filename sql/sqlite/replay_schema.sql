-- What a database that bundles are replayed into holds beside its tables. {Schema} is the
-- attached database.

-- How far each part of each bundle was applied; moves in the transaction that applies rows.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayLedger (
    RootSha256 "char(64) TEXT" NOT NULL,
    TableName  "nvarchar(400) TEXT" NOT NULL,
    Part       "nvarchar(400) TEXT" NOT NULL,
    Rows       bigint INTEGER NOT NULL,
    Complete   bit INTEGER NOT NULL,
    AppliedAt  "datetime2(7) TEXT" NOT NULL,
    PRIMARY KEY (RootSha256, TableName, Part)
) WITHOUT ROWID;

-- Rule 15: the latest tombstone of each key, kept for good, so that a delete that came before
-- its row still wins.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaTombstone (
    TableName    "nvarchar(400) TEXT" NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    DeletedOn    "datetime2(7) TEXT" NULL,
    RunStartedAt "datetime2(7) TEXT" NOT NULL,
    RunId        uniqueidentifier BLOB NOT NULL,
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;

-- The last window applied of each chain (rule 16).
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayChain (
    TableName  "nvarchar(400) TEXT" NOT NULL,
    SourceId   uniqueidentifier BLOB NOT NULL,
    Scope      "nvarchar(36) TEXT" NOT NULL,
    RootSha256 "char(64) TEXT" NOT NULL,
    WindowEnd  "datetime2(7) TEXT" NOT NULL,
    NotedAt    "datetime2(7) TEXT" NOT NULL,
    PRIMARY KEY (TableName, SourceId, Scope)
) WITHOUT ROWID;
