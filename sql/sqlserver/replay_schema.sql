-- What a database that bundles are replayed into holds beside its tables. Run in that database;
-- can be run again.

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
-- its row still wins.
IF OBJECT_ID(N'dbo.BlobDeltaTombstone', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaTombstone (
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        DeletedOn    datetime2(7) NULL,
        RunStartedAt datetime2(7) NOT NULL,
        RunId        uniqueidentifier NOT NULL,
        CONSTRAINT PK_BlobDeltaTombstone PRIMARY KEY (TableName, stream_id)
    );

-- The last window applied of each chain (rule 16).
IF OBJECT_ID(N'dbo.BlobDeltaReplayChain', N'U') IS NULL
    CREATE TABLE dbo.BlobDeltaReplayChain (
        TableName  nvarchar(400) NOT NULL,
        SourceId   uniqueidentifier NOT NULL,
        Scope      nvarchar(36) NOT NULL,
        RootSha256 char(64) NOT NULL,
        WindowEnd  datetime2(7) NOT NULL,
        NotedAt    datetime2(7) NOT NULL,
        CONSTRAINT PK_BlobDeltaReplayChain PRIMARY KEY (TableName, SourceId, Scope)
    );
