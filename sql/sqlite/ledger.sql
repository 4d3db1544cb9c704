-- name: ledger_move
-- Moves the ledger of one part from ?6 rows to ?4; changes nothing if it stands elsewhere.
INSERT INTO {Schema}.BlobDeltaReplayLedger (RootSha256, TableName, Part, Rows, Complete, AppliedAt)
SELECT ?1, ?2, ?3, ?4, ?5, ?7
WHERE ?6 = coalesce(
    (SELECT iif(l.Complete, -1, l.Rows) FROM {Schema}.BlobDeltaReplayLedger AS l
     WHERE l.RootSha256 = ?1 AND l.TableName = ?2 AND l.Part = ?3),
    0
)
ON CONFLICT (RootSha256, TableName, Part) DO UPDATE
SET Rows = excluded.Rows, Complete = excluded.Complete, AppliedAt = excluded.AppliedAt;

-- name: schema
-- What a database that bundles are replayed into holds beside its tables. {Schema} is the
-- attached database. TableName is the table here, as [schema].[table], whatever bundles call the one that its rows are of.

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
-- its row still wins. 'Deleted' (Scope '') outranks rows of every chain, 'LeftScope' those that the chain of
-- this scope wrote (rule 17).
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaTombstone (
    TableName    "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    Scope        "nvarchar(36) TEXT" NOT NULL,
    Reason       "nvarchar(20) TEXT" NOT NULL,
    DeletedOn    "datetime2(7) TEXT" NULL,
    RunStartedAt "datetime2(7) TEXT" NOT NULL,
    RunId        uniqueidentifier BLOB NOT NULL,
    PRIMARY KEY (TableName, stream_id, Scope),
    CHECK (Reason = iif(Scope = '', 'Deleted', 'LeftScope'))
) WITHOUT ROWID;

-- Rule 17: the scope of each run whose rows came, and so that of each row.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayRun (
    TableName "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    RunId     uniqueidentifier BLOB NOT NULL,
    Scope     "nvarchar(36) TEXT" NOT NULL,
    PRIMARY KEY (TableName, RunId)
) WITHOUT ROWID;

-- Rule 17, where a table receives several chains: the latest version of a row that another chain than the
-- row's own has delivered. A row that leaves the scope of its chain stays as long as another has it, without its large
-- values where the other has it without them (IsPart).
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayOther (
    TableName    "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    stream_id    uniqueidentifier BLOB NOT NULL CHECK (length(stream_id) = 16),
    Scope        "nvarchar(36) TEXT" NOT NULL,
    ModifiedOn   "datetime2(7) TEXT" NULL,
    RunStartedAt "datetime2(7) TEXT" NOT NULL,
    RunId        uniqueidentifier BLOB NOT NULL,
    IsPart       bit INTEGER NOT NULL,
    PRIMARY KEY (TableName, stream_id, Scope)
) WITHOUT ROWID;

-- The bundles that were applied whole (rule 16); those that came compacted into one of them, of which only the root
-- digest is known; and those that one of them was compacted without, where that was allowed: these have a Gap. Gap says what is missing before or in a bundle, where that
-- was allowed; it goes when what was missing has come. IsOtherSource says that a bundle was the first of another source,
-- or of another table, than what the table had, and that was allowed by name.
CREATE TABLE IF NOT EXISTS {Schema}.BlobDeltaReplayBundle (
    TableName        "nvarchar(400) TEXT" COLLATE NOCASE NOT NULL,
    RootSha256       "char(64) TEXT" NOT NULL,
    SourceId         uniqueidentifier BLOB NOT NULL,
    SourceTable      "nvarchar(400) TEXT" NOT NULL,
    Scope            "nvarchar(36) TEXT" NOT NULL,
    PreviousRootSha256 "char(64) TEXT" NULL,
    WindowStart      "datetime2(7) TEXT" NULL,
    WindowEnd        "datetime2(7) TEXT" NULL,
    Gap              "nvarchar(1000) TEXT" NULL,
    IsOtherSource    bit INTEGER NOT NULL DEFAULT 0,
    WithinRootSha256 "char(64) TEXT" NULL,
    NotedAt          "datetime2(7) TEXT" NOT NULL,
    Columns          "nvarchar(max) TEXT" NULL,
    PRIMARY KEY (TableName, RootSha256)
) WITHOUT ROWID;

-- Rule 14: the version of each row of a table that has no columns for it.
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
