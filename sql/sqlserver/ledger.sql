-- name: ledger_move
-- Moves the ledger of one part from @P6 rows to @P4, and says whether it did; changes nothing if
-- it stands elsewhere.
DECLARE @moved int;
UPDATE dbo.BlobDeltaReplayLedger
SET [Rows] = @P4, Complete = @P5, AppliedAt = @P7
WHERE RootSha256 = CONVERT(char(64), @P1) AND TableName = @P2 AND Part = @P3 AND Complete = 0 AND [Rows] = @P6;
SET @moved = @@ROWCOUNT;
INSERT INTO dbo.BlobDeltaReplayLedger (RootSha256, TableName, Part, [Rows], Complete, AppliedAt)
SELECT CONVERT(char(64), @P1), @P2, @P3, @P4, @P5, @P7
WHERE @P6 = 0
  AND NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaReplayLedger AS l
    WHERE l.RootSha256 = CONVERT(char(64), @P1) AND l.TableName = @P2 AND l.Part = @P3
  );
SET @moved = @moved + @@ROWCOUNT;
SELECT @moved AS Moved;

-- name: ledger_read
-- What was applied of one bundle (@P1) to one table (@P2).
SELECT Part, [Rows], Complete, AppliedAt
FROM dbo.BlobDeltaReplayLedger
WHERE RootSha256 = CONVERT(char(64), @P1) AND TableName = @P2
ORDER BY Part;

-- name: schema
-- What a database that bundles are replayed into holds beside its tables. Run in that database;
-- can be run again. TableName is the table here, as [schema].[table], whatever bundles call the one that its rows are of.

-- How far each part of each bundle was applied; moves in the transaction that applies rows.
-- Not clustered: the key may be longer than the 900 bytes of a clustered one.
IF OBJECT_ID(N'dbo.BlobDeltaReplayLedger', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayLedger (
        RootSha256 char(64) NOT NULL,
        TableName  nvarchar(400) NOT NULL,
        Part       nvarchar(400) NOT NULL,
        [Rows]     bigint NOT NULL,
        Complete   bit NOT NULL,
        AppliedAt  datetime2(7) NOT NULL,
        CONSTRAINT PK_BlobDeltaReplayLedger PRIMARY KEY NONCLUSTERED (RootSha256, TableName, Part)
    );

-- Rule 15: the latest tombstone of each key, kept for good, so that a delete that came before
-- its row still wins. 'Deleted' (Scope '') outranks rows of every chain, 'LeftScope' those that the chain of
-- this scope wrote (rule 17).
IF OBJECT_ID(N'dbo.BlobDeltaTombstone', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaTombstone (
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        Scope        nvarchar(36) NOT NULL,
        Reason       nvarchar(20) NOT NULL,
        DeletedOn    datetime2(7) NULL,
        RunStartedAt datetime2(7) NOT NULL,
        RunId        uniqueidentifier NOT NULL,
        CONSTRAINT PK_BlobDeltaTombstone PRIMARY KEY (TableName, stream_id, Scope),
        CONSTRAINT CK_BlobDeltaTombstone_Reason CHECK (
            (Reason = N'Deleted' AND Scope = N'') OR (Reason = N'LeftScope' AND Scope <> N'')
        )
    );

-- Rule 17: the scope of each run whose rows came, and so that of each row.
IF OBJECT_ID(N'dbo.BlobDeltaReplayRun', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayRun (
        TableName nvarchar(400) NOT NULL,
        RunId     uniqueidentifier NOT NULL,
        Scope     nvarchar(36) NOT NULL,
        CONSTRAINT PK_BlobDeltaReplayRun PRIMARY KEY (TableName, RunId)
    );

-- Rule 17, where a table receives several chains: the latest version of a row that another chain than the
-- row's own has delivered. A row that leaves the scope of its chain stays as long as another has it, without its large
-- values where the other has it without them (IsPart).
IF OBJECT_ID(N'dbo.BlobDeltaReplayOther', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayOther (
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        Scope        nvarchar(36) NOT NULL,
        ModifiedOn   datetime2(7) NULL,
        RunStartedAt datetime2(7) NOT NULL,
        RunId        uniqueidentifier NOT NULL,
        IsPart       bit NOT NULL,
        CONSTRAINT PK_BlobDeltaReplayOther PRIMARY KEY (TableName, stream_id, Scope)
    );

-- The bundles that were applied whole (rule 16); those that came compacted into one of them, of which only the root
-- digest is known; and those that one of them was compacted without, where that was allowed: these have a Gap. Gap says what is missing before or in a bundle, where that
-- was allowed; it goes when what was missing has come. IsOtherSource says that a bundle was the first of another source,
-- or of another table, than what the table had, and that was allowed by name.
IF OBJECT_ID(N'dbo.BlobDeltaReplayBundle', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayBundle (
        TableName          nvarchar(400) NOT NULL,
        RootSha256         char(64) NOT NULL,
        SourceId           uniqueidentifier NOT NULL,
        SourceTable        nvarchar(400) NOT NULL,
        Scope              nvarchar(36) NOT NULL,
        PreviousRootSha256 char(64) NULL,
        WindowStart        datetime2(7) NULL,
        WindowEnd          datetime2(7) NULL,
        Gap                nvarchar(1000) NULL,
        IsOtherSource      bit NOT NULL CONSTRAINT DF_BlobDeltaReplayBundle_IsOtherSource DEFAULT 0,
        WithinRootSha256   char(64) NULL,
        NotedAt            datetime2(7) NOT NULL,
        Columns            nvarchar(max) NULL,
        CONSTRAINT PK_BlobDeltaReplayBundle PRIMARY KEY (TableName, RootSha256)
    );

-- Rule 14: the version of each row of a table that has no columns for it.
IF OBJECT_ID(N'dbo.BlobDeltaReplayRow', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayRow (
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        ModifiedOn   datetime2(7) NULL,
        RunStartedAt datetime2(7) NOT NULL,
        RunId        uniqueidentifier NOT NULL,
        CONSTRAINT PK_BlobDeltaReplayRow PRIMARY KEY (TableName, stream_id)
    );

-- Rows that were removed, or not written, because a unique constraint of the table kept them from
-- standing beside a later row.
IF OBJECT_ID(N'dbo.BlobDeltaReplayDisplaced', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayDisplaced (
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        ModifiedOn   datetime2(7) NULL,
        RunStartedAt datetime2(7) NULL,
        RunId        uniqueidentifier NULL,
        ByStreamId   uniqueidentifier NOT NULL,
        IndexName    nvarchar(128) NOT NULL,
        RootSha256   char(64) NOT NULL,
        DisplacedAt  datetime2(7) NOT NULL
    );
