-- What a database that bundles are replayed into holds beside its tables. {Schema} is the
-- attached database.

-- How far each part of each bundle was applied; moves in the transaction that applies rows.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayLedger (
    RootSha256 "char(64) TEXT" NOT NULL,
    TableName  "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    Part       "nvarchar(400) TEXT" NOT NULL,
    Rows       bigint INTEGER NOT NULL,
    Complete   bit INTEGER NOT NULL,
    AppliedAt  "datetime2(7) TEXT" NOT NULL,
    PRIMARY KEY (RootSha256, TableName, Part)
) WITHOUT ROWID;

-- Rule 15: the latest tombstone of each key, kept for good, so that a delete that came before
-- its row still wins.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaTombstone (
    TableName    "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    DeletedOn    "datetime2(7) TEXT" NULL,
    RunStartedAt "datetime2(7) TEXT" NOT NULL,
    RunId        uniqueidentifier BLOB NOT NULL,
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;

-- The bundles that were applied whole (rule 16), and those that came compacted into one of them,
-- of which only the root digest is known. Gap says what is missing before a bundle, where that
-- was allowed; it goes when what was missing has come.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayBundle (
    TableName        "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    RootSha256       "char(64) TEXT" NOT NULL,
    SourceId         uniqueidentifier BLOB NOT NULL,
    Scope            "nvarchar(36) TEXT" NOT NULL,
    PreviousRootSha256 "char(64) TEXT" NULL,
    WindowStart      "datetime2(7) TEXT" NULL,
    WindowEnd        "datetime2(7) TEXT" NULL,
    Gap              "nvarchar(1000) TEXT" NULL,
    IsOtherSource    bit INTEGER NOT NULL DEFAULT 0,
    WithinRootSha256 "char(64) TEXT" NULL,
    NotedAt          "datetime2(7) TEXT" NOT NULL,
    PRIMARY KEY (TableName, RootSha256)
) WITHOUT ROWID;

-- Rule 14: the rank of each row of a table that has no columns for it.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayRow (
    TableName    "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    ModifiedOn   "datetime2(7) TEXT" NULL,
    RunStartedAt "datetime2(7) TEXT" NOT NULL,
    RunId        uniqueidentifier BLOB NOT NULL,
    PRIMARY KEY (TableName, stream_id)
) WITHOUT ROWID;

-- Rows that were removed, or not written, because a unique constraint of the table kept them from
-- standing beside a later row.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayDisplaced (
    TableName    "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    ModifiedOn   "datetime2(7) TEXT" NULL,
    RunStartedAt "datetime2(7) TEXT" NOT NULL,
    RunId        uniqueidentifier BLOB NOT NULL,
    ByStreamId   uniqueidentifier BLOB NOT NULL,
    IndexName    "nvarchar(128) TEXT" NOT NULL,
    RootSha256   "char(64) TEXT" NOT NULL,
    DisplacedAt  "datetime2(7) TEXT" NOT NULL
);
