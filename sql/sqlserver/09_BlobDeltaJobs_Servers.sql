-- 09: moves and copies of a job database. Version 7.
--
-- Rule 28: a job database knows the servers on which it may run, and every run on another one is refused
-- (usp_BlobDelta_CheckServer in script 03). usp_BlobDelta_AddServer says that it moved;
-- usp_BlobDelta_BecomeOwnSource says that it is a copy. Can be run again at any time; grants are kept.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'09_BlobDeltaJobs_Servers.sql' AND Version > 7)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 09_BlobDeltaJobs_Servers.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_AddServer', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_AddServer AS RETURN 0');
GO
-- The job database moved here, or may fail over to here: once on each partner. Those that it knew it still knows.
ALTER PROCEDURE dbo.usp_BlobDelta_AddServer
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Here nvarchar(256) = dbo.ufn_BlobDelta_ServerIdentity(), @Guid nvarchar(36) = dbo.ufn_BlobDelta_DatabaseGuid();
    INSERT INTO dbo.BlobDeltaKnownServer (ServerIdentity, DatabaseGuid, FirstSeenAt)
    SELECT @Here, @Guid, dbo.ufn_BlobDelta_UtcNow()
    WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaKnownServer WHERE ServerIdentity = @Here AND DatabaseGuid = @Guid);
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_BecomeOwnSource', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_BecomeOwnSource AS RETURN 0');
GO
-- The job database is a copy: it gets a SourceId of its own, knows this server alone, and forgets runs, watermarks,
-- leases, bundles and what was owed to destinations; its slices are marked as empty. So nothing of the original's
-- chains is continued: they begin anew, each with a full load. Configuration, scripts, exclusions, keys that
-- were asked for and logged deletions stay. One row a configured table says what became of its slice.
ALTER PROCEDURE dbo.usp_BlobDelta_BecomeOwnSource
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Old uniqueidentifier, @Own uniqueidentifier = NEWID(), @TableName nvarchar(400), @Db nvarchar(128),
        @Table nvarchar(128), @Slice nvarchar(400), @Marked int, @Nr int = 0, @JobTable nvarchar(128), @Sql nvarchar(max);
    CREATE TABLE #Slice (TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, Slice nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, Outcome nvarchar(200) COLLATE DATABASE_DEFAULT NOT NULL, NeedsAttention bit NOT NULL);
    CREATE TABLE #Forgotten (Nr int NOT NULL PRIMARY KEY, JobTable nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL);
    INSERT INTO #Forgotten (Nr, JobTable) VALUES
        (1, N'BlobDeltaBundle'), (2, N'BlobDeltaBusinessUnitWatermark'), (3, N'BlobDeltaHeldBackKey'), (4, N'BlobDeltaMissingParentsQueue'),
        (5, N'BlobDeltaRunStep'), (6, N'BlobDeltaRunScript'), (7, N'BlobDeltaRunTable'), (8, N'BlobDeltaRun'), (9, N'BlobDeltaShippedKey'),
        (10, N'BlobDeltaWindowQueue'), (11, N'BlobDeltaKnownServer'), (12, N'BlobDeltaReportedDeletion'), (13, N'BlobDeltaSharedPlace'),
        (14, N'BlobDeltaWaivedShipment'), (15, N'BlobDeltaAbsentParent'), (16, N'BlobDeltaKnownContent'), (17, N'BlobDeltaContentAside');
    SET @Old = (SELECT SourceId FROM dbo.BlobDeltaSource);
    BEGIN TRY
        BEGIN TRANSACTION;
        SET @TableName = (SELECT MIN(TableName) FROM dbo.BlobDeltaTableConfig);
        WHILE @TableName IS NOT NULL
        BEGIN
            SELECT @Table = TargetTable, @Slice = CONCAT(TargetDb, N'.', TargetSchema, N'.', TargetTable)
            FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
            SET @Db = (SELECT d.name FROM dbo.BlobDeltaTableConfig AS c INNER JOIN sys.databases AS d ON d.database_id = DB_ID(c.TargetDb)
                WHERE c.TableName = @TableName);
            SET @Marked = NULL;
            IF OBJECT_ID(QUOTENAME(@Db) + N'.[dbo].[BlobDeltaSlice]') IS NOT NULL
            BEGIN
                SET @Sql = REPLACE(N'UPDATE {Db}.[dbo].[BlobDeltaSlice] SET SourceId = @Own, RunId = NULL, RunStartedAt = NULL, WindowStart = NULL,
                    WindowEnd = NULL, Scope = N''all'', State = N''Empty'' WHERE TargetTable = @Table AND SourceId = @Old; SET @Marked = @@ROWCOUNT;',
                    N'{Db}', QUOTENAME(@Db));
                EXEC sp_executesql @Sql, N'@Own uniqueidentifier, @Old uniqueidentifier, @Table nvarchar(128), @Marked int OUTPUT',
                    @Own = @Own, @Old = @Old, @Table = @Table, @Marked = @Marked OUTPUT;
            END;
            INSERT INTO #Slice (TableName, Slice, Outcome, NeedsAttention)
            SELECT @TableName, @Slice,
                CASE
                    WHEN @Marked IS NULL THEN N'not there: it is made by deploy, and must not be a copy of the original''s'
                    WHEN @Marked = 0 THEN N'left alone: no marker row says that it was the original''s'
                    ELSE N'marked as empty: its rows were the original''s'
                END,
                CASE WHEN @Marked > 0 THEN 0 ELSE IsActive END
            FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
            SET @TableName = (SELECT MIN(TableName) FROM dbo.BlobDeltaTableConfig WHERE TableName > @TableName);
        END;
        WHILE @Nr < 17
        BEGIN
            SET @Nr = @Nr + 1;
            SET @JobTable = (SELECT JobTable FROM #Forgotten WHERE Nr = @Nr);
            SET @Sql = CONCAT(N'DELETE FROM dbo.', QUOTENAME(@JobTable));
            IF OBJECT_ID(CONCAT(N'dbo.', QUOTENAME(@JobTable)), N'U') IS NOT NULL EXEC (@Sql);
        END;
        -- The epoch goes on, so that whoever still works on the copy is fenced.
        UPDATE dbo.BlobDeltaHighWatermark SET LastHighWaterModifiedOn = NULL, LastRunId = NULL, LastRunCompletedAt = NULL, IsInitialFullLoadDone = 0,
            IsRunning = 0, RunLeaseExpiresAt = NULL, LeaseRunId = NULL, LeaseOwner = NULL, LeaseEpoch = LeaseEpoch + 1;
        UPDATE dbo.BlobDeltaSource SET SourceId = @Own;
        EXEC dbo.usp_BlobDelta_AddServer;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
    SELECT TableName, Slice, Outcome, NeedsAttention FROM #Slice ORDER BY TableName;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_AdoptBundle', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_AdoptBundle AS RETURN 0');
GO
-- Records one table of a bundle that was published before this job database was restored from a backup, with its run; the
-- next bundle of the chain follows it. To be called for the bundles of a chain from the oldest on, with the watermark after
-- the last of them. The scope's watermark goes back to that, if it stands behind it, and never forward: what the lost job
-- database knew beside it (keys that waited for their blobs, keys held back) is in no bundle. Can be repeated.
ALTER PROCEDURE dbo.usp_BlobDelta_AdoptBundle
    @TableName nvarchar(400),
    @Scope nvarchar(36),
    @RunId uniqueidentifier,
    @RunType nvarchar(20),
    @RequestedBy nvarchar(256),
    @RunStartedAt datetime2(7),
    @BusinessUnitId uniqueidentifier = NULL,
    @PackNumber int,
    @RootSha256 nvarchar(64),
    @PreviousRootSha256 nvarchar(64) = NULL,
    @Name nvarchar(256),
    @Folder nvarchar(2000),
    @Watermark datetime2(7),
    @Columns nvarchar(max) = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    EXEC dbo.usp_BlobDelta_CheckServer;
    BEGIN TRY
        BEGIN TRANSACTION;
        INSERT INTO dbo.BlobDeltaRun (RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, RunCompletedAt, Status, TableName,
            BusinessUnitId, BatchSize, MaxDOP)
        SELECT @RunId, @RunType, @RequestedBy, @RunStartedAt, @RunStartedAt, @RunStartedAt, N'Completed',
            CASE WHEN @RunType = N'SingleTable' THEN @TableName END, @BusinessUnitId, 1, 0
        WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaRun WHERE RunId = @RunId);
        DELETE FROM dbo.BlobDeltaBundle WHERE RunId = @RunId AND TableName = @TableName;
        INSERT INTO dbo.BlobDeltaBundle (RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder, PublishedAt, Columns)
        VALUES (@RunId, @TableName, @PackNumber, @Scope, @RootSha256, @PreviousRootSha256, @Name, @Folder, dbo.ufn_BlobDelta_UtcNow(), @Columns);
        -- What this job database told since it left that chain is not in it.
        DELETE FROM dbo.BlobDeltaReportedDeletion WHERE TableName = @TableName AND Scope = @Scope AND IsDeletion = 1;
        -- Nor does it know what content that chain has.
        DELETE FROM dbo.BlobDeltaKnownContent WHERE TableName = @TableName AND Scope = @Scope;
        IF @Scope = N'all'
            UPDATE dbo.BlobDeltaHighWatermark SET LastHighWaterModifiedOn = @Watermark
            WHERE TableName = @TableName AND LastHighWaterModifiedOn > @Watermark;
        ELSE
            UPDATE dbo.BlobDeltaBusinessUnitWatermark SET LastHighWaterModifiedOn = @Watermark
            WHERE TableName = @TableName AND BusinessUnitId = @BusinessUnitId AND LastHighWaterModifiedOn > @Watermark;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_AdoptKeys', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_AdoptKeys AS RETURN 0');
GO
-- Rules 7 and 17: keeps what a bundle that is taken over brought the receivers of a scope, as the run that shipped it did, so that
-- the unit's next run tells deletions of it, and what left; nothing is lowered. With @HasLeft the bundle told that the keys left
-- the unit. The keys stand in #BlobDeltaStage of the caller (k, and vm, their DeltaModifiedOn), each once. Can be repeated.
ALTER PROCEDURE dbo.usp_BlobDelta_AdoptKeys
    @TableName nvarchar(400),
    @Scope nvarchar(36),
    @HasLeft bit,
    @IsWhole bit
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    IF @HasLeft = 1
    BEGIN
        DELETE FROM dbo.BlobDeltaShippedKey
        WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (SELECT s.k FROM #BlobDeltaStage AS s)
        OPTION (RECOMPILE);
        RETURN 0;
    END;
    UPDATE k SET
        ModifiedOn = CASE WHEN k.ModifiedOn >= s.vm OR s.vm IS NULL THEN k.ModifiedOn ELSE s.vm END,
        IsWhole = CASE WHEN @IsWhole = 1 THEN 1 ELSE k.IsWhole END
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN #BlobDeltaStage AS s ON s.k = k.stream_id
    WHERE k.TableName = @TableName AND k.Scope = @Scope
    OPTION (RECOMPILE);
    INSERT INTO dbo.BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
    SELECT @TableName, @Scope, s.k, s.vm, @IsWhole
    FROM #BlobDeltaStage AS s
    WHERE NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = s.k
    )
    OPTION (RECOMPILE);
END;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 7, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'09_BlobDeltaJobs_Servers.sql' AND Version <= 7;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'09_BlobDeltaJobs_Servers.sql', 7
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'09_BlobDeltaJobs_Servers.sql');
GO
SET NOEXEC OFF;
GO
