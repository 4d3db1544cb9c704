-- 08: removing old runs from the job database. Version 6.
--
-- Needs the engine (05); the engine needs nothing of it. Can be run again at any time; grants are kept.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'08_BlobDeltaJobs_Prune.sql' AND Version > 6)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 08_BlobDeltaJobs_Prune.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version >= 17)
BEGIN
    RAISERROR (N'The engine of this job database is missing, or older than this script. Run 05_BlobDeltaJobs_Engine.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FindDoomed', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FindDoomed AS RETURN 0');
GO
-- For usp_BlobDelta_Prune: the oldest runs that may go, at most @Limit of them, into #Expired of the caller.
-- Whatever @KeepRuns and @KeepSince say, a run stays whole that
--   * is the newest of a table and scope, or the newest that completed: windows, deletions and held-back
--     keys of the next run are computed from it, and it is the one to resume;
--   * is the newest of all: the clock is held against it;
--   * the marker row of a slice names: it can be resumed, has to be packed, or can be packed again; and before
--     one that is not packed, the one that is the newest again where its slice is given up;
--   * a watermark or a lease names;
--   * runs: it may be between two leases. One that says so for 30 days has died;
--   * has the last bundle of a chain, to which the next one links, or one that has yet to be shipped.
ALTER PROCEDURE dbo.usp_BlobDelta_FindDoomed
    @KeepRuns int,
    @KeepDays int,
    @Limit bigint
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Now datetime2(7), @Newest datetime2(7), @KeepSince datetime2(7), @RunningSince datetime2(7),
        @Db nvarchar(128), @Sql nvarchar(max);
    -- A clock that runs ahead makes nothing old.
    SET @Now = dbo.ufn_BlobDelta_UtcNow();
    SET @Newest = (SELECT MAX(RunStartedAt) FROM dbo.BlobDeltaRun);
    IF @Newest < @Now SET @Now = @Newest;
    SET @KeepSince = DATEADD(day, -@KeepDays, @Now);
    SET @RunningSince = DATEADD(day, -30, @Now);
    DELETE FROM #Expired;
    CREATE TABLE #Marker (RunId uniqueidentifier NOT NULL);
    CREATE TABLE #SliceDb (Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY);
    INSERT INTO #SliceDb (Name)
    SELECT DISTINCT d.name
    FROM dbo.BlobDeltaTableConfig AS c INNER JOIN sys.databases AS d ON d.database_id = DB_ID(c.TargetDb);
    SET @Db = (SELECT MIN(Name) FROM #SliceDb);
    WHILE @Db IS NOT NULL
    BEGIN
        IF COALESCE(HAS_DBACCESS(@Db), 0) = 0
        BEGIN
            SET @Message = CONCAT(N'this login may not enter ', @Db, N', so nobody can tell which runs its slices hold; nothing more was removed');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        IF OBJECT_ID(QUOTENAME(@Db) + N'.[dbo].[BlobDeltaSlice]') IS NOT NULL
        BEGIN
            SET @Sql = REPLACE(N'INSERT INTO #Marker (RunId) SELECT RunId FROM {Db}.[dbo].[BlobDeltaSlice] WHERE RunId IS NOT NULL', N'{Db}', QUOTENAME(@Db));
            EXEC sp_executesql @Sql;
        END;
        SET @Db = (SELECT MIN(Name) FROM #SliceDb WHERE Name > @Db);
    END;
    WITH
    Part AS (
        SELECT
            t.RunId, t.Status,
            ROW_NUMBER() OVER (PARTITION BY t.TableName ORDER BY r.RunStartedAt DESC, t.RunId DESC) AS OfTable,
            ROW_NUMBER() OVER (PARTITION BY t.TableName, t.Scope ORDER BY r.RunStartedAt DESC, t.RunId DESC) AS OfScope,
            ROW_NUMBER() OVER (
                PARTITION BY t.TableName, t.Scope, CASE WHEN t.Status = N'Completed' THEN 1 ELSE 0 END
                ORDER BY r.RunStartedAt DESC, t.RunId DESC
            ) AS OfOutcome
        FROM dbo.BlobDeltaRunTable AS t
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
    ),
    Kept AS (
        SELECT RunId FROM Part WHERE OfTable <= @KeepRuns OR OfScope = 1 OR (Status = N'Completed' AND OfOutcome = 1)
        UNION
        SELECT RunId FROM dbo.BlobDeltaRun WHERE RunStartedAt >= @KeepSince OR RunStartedAt = @Newest
        UNION
        SELECT RunId FROM #Marker
        UNION
        SELECT PreviousRunId FROM dbo.BlobDeltaRunTable
        WHERE RunId IN (SELECT RunId FROM #Marker) AND PackNumber IS NULL AND PreviousRunId IS NOT NULL
        UNION
        SELECT LastRunId FROM dbo.BlobDeltaHighWatermark WHERE LastRunId IS NOT NULL
        UNION
        SELECT LeaseRunId FROM dbo.BlobDeltaHighWatermark WHERE IsRunning = 1 AND LeaseRunId IS NOT NULL
        UNION
        SELECT LastRunId FROM dbo.BlobDeltaBusinessUnitWatermark WHERE LastRunId IS NOT NULL
        UNION
        SELECT RunId FROM dbo.BlobDeltaRun WHERE Status = N'Running' AND RunStartedAt >= @RunningSince
        UNION
        SELECT RunId FROM dbo.BlobDeltaBundle
        WHERE BundleId IN (SELECT MAX(BundleId) FROM dbo.BlobDeltaBundle GROUP BY TableName, Scope)
            OR (ShipTo IS NOT NULL AND ShippedAt IS NULL)
    )
    INSERT INTO #Expired (RunId)
    SELECT TOP (@Limit) r.RunId
    FROM dbo.BlobDeltaRun AS r
    WHERE NOT EXISTS (SELECT 1 FROM Kept AS k WHERE k.RunId = r.RunId)
    ORDER BY r.RunStartedAt, r.RunId;
    DROP TABLE #Marker;
    DROP TABLE #SliceDb;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_PruneRows', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_PruneRows AS RETURN 0');
GO
-- For usp_BlobDelta_Prune: deletes what stands under the runs of #Expired in one table, so many rows a
-- statement, each of which commits by itself.
ALTER PROCEDURE dbo.usp_BlobDelta_PruneRows
    @JobTable nvarchar(128),
    @MostRows int
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Rows bigint = 1, @Sql nvarchar(max) = CONCAT(N'DELETE TOP (@MostRows) FROM dbo.', QUOTENAME(@JobTable),
        N' WHERE RunId IN (SELECT RunId FROM #Expired); SET @Rows = @@ROWCOUNT;');
    WHILE @Rows > 0
    BEGIN
        EXEC sp_executesql @Sql, N'@MostRows int, @Rows bigint OUTPUT', @MostRows = @MostRows, @Rows = @Rows OUTPUT;
        UPDATE #Pruned SET RowsGone = RowsGone + @Rows WHERE JobTable = @JobTable;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Prune', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Prune AS RETURN 0');
GO
-- Removes old runs with all that stands under their RunId, and logged deletions that are older than every
-- run that stays. Kept are the @KeepRuns newest runs of each table, those that started in the last
-- @KeepDays days (either may be NULL), and what usp_BlobDelta_FindDoomed says that something still needs.
-- One row a table of the job database. @PlanOnly = 1: what would go; changes nothing. Can be stopped and called
-- again at any time.
ALTER PROCEDURE dbo.usp_BlobDelta_Prune
    @KeepRuns int = 100,
    @KeepDays int = NULL,
    @PlanOnly bit = 0,
    @MostRows int = 5000
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    IF (@KeepRuns IS NULL AND @KeepDays IS NULL) OR @KeepRuns < 1 OR @KeepDays < 1 OR @KeepDays > 36500 OR @MostRows IS NULL OR @MostRows < 1
        THROW 51001, N'what is to be kept has to be said, in runs or in days, 1 at least and 36500 days at most', 1;
    DECLARE @Nr int, @JobTable nvarchar(128), @Sql nvarchar(max), @Found bigint, @Rows bigint;
    IF @PlanOnly = 0 EXEC dbo.usp_BlobDelta_CheckServer;
    CREATE TABLE #Expired (RunId uniqueidentifier NOT NULL PRIMARY KEY);
    -- In the order of deleting: without its rows in BlobDeltaRunTable nobody can resume a run, and as long as the
    -- header is there the next call finds what this one left.
    CREATE TABLE #Pruned (Nr int NOT NULL PRIMARY KEY, JobTable nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, RowsFound bigint NOT NULL, RowsGone bigint NOT NULL);
    INSERT INTO #Pruned (Nr, JobTable, RowsFound, RowsGone) VALUES
        (1, N'BlobDeltaRunTable', 0, 0), (2, N'BlobDeltaRunScript', 0, 0), (3, N'BlobDeltaRunStep', 0, 0), (4, N'BlobDeltaWindowQueue', 0, 0),
        (5, N'BlobDeltaMissingParentsQueue', 0, 0), (6, N'BlobDeltaHeldBackKey', 0, 0), (7, N'BlobDeltaBundle', 0, 0),
        (8, N'BlobDeltaRun', 0, 0), (9, N'BlobDeltaDeletionLog', 0, 0);
    IF @PlanOnly = 1 EXEC dbo.usp_BlobDelta_FindDoomed @KeepRuns, @KeepDays, 9223372036854775807;
    SET @Nr = 1;
    WHILE @Nr <= 9
    BEGIN
        SET @JobTable = (SELECT JobTable FROM #Pruned WHERE Nr = @Nr);
        SET @Sql = CONCAT(N'SET @Found = (SELECT COUNT_BIG(*) FROM dbo.', QUOTENAME(@JobTable), N'); SET @Rows = ',
            CASE WHEN @Nr < 9 THEN CONCAT(N'(SELECT COUNT_BIG(*) FROM dbo.', QUOTENAME(@JobTable), N' WHERE RunId IN (SELECT RunId FROM #Expired))') ELSE N'0' END);
        EXEC sp_executesql @Sql, N'@Found bigint OUTPUT, @Rows bigint OUTPUT', @Found = @Found OUTPUT, @Rows = @Rows OUTPUT;
        UPDATE #Pruned SET RowsFound = @Found, RowsGone = CASE WHEN @PlanOnly = 1 THEN @Rows ELSE 0 END WHERE Nr = @Nr;
        SET @Nr = @Nr + 1;
    END;
    SET @Found = CASE WHEN @PlanOnly = 1 THEN 0 ELSE 1 END;
    WHILE @Found > 0
    BEGIN
        BEGIN TRY
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_FindDoomed @KeepRuns, @KeepDays, 100;
            -- The headers are locked now; one that was taken up since it was found stays.
            UPDATE dbo.BlobDeltaRun SET ErrorMessage = ErrorMessage WHERE RunId IN (SELECT RunId FROM #Expired);
            DELETE FROM #Expired WHERE RunId IN (
                SELECT r.RunId FROM dbo.BlobDeltaRun AS r
                WHERE r.Status = N'Running' AND r.RunStartedAt >= DATEADD(day, -30, (SELECT MAX(m.RunStartedAt) FROM dbo.BlobDeltaRun AS m))
            );
            DELETE FROM dbo.BlobDeltaRunTable WHERE RunId IN (SELECT RunId FROM #Expired);
            SET @Rows = @@ROWCOUNT;
            COMMIT TRANSACTION;
        END TRY
        BEGIN CATCH
            IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
            THROW;
        END CATCH;
        UPDATE #Pruned SET RowsGone = RowsGone + @Rows WHERE Nr = 1;
        SET @Found = (SELECT COUNT(*) FROM #Expired);
        SET @Nr = CASE WHEN @Found > 0 THEN 2 ELSE 9 END;
        WHILE @Nr <= 8
        BEGIN
            SET @JobTable = (SELECT JobTable FROM #Pruned WHERE Nr = @Nr);
            EXEC dbo.usp_BlobDelta_PruneRows @JobTable, @MostRows;
            SET @Nr = @Nr + 1;
        END;
    END;
    -- What was logged before the oldest run of its table that stays, less its buffer, is taken again by no run that
    -- could be asked for. A table without a completed run keeps all.
    CREATE TABLE #Floor (TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, Since datetime2(7) NOT NULL);
    INSERT INTO #Floor (TableName, Since)
    SELECT p.TableName, DATEADD(minute, -CASE WHEN p.Buffer > COALESCE(c.SafetyBufferMinutes, 0) THEN p.Buffer ELSE COALESCE(c.SafetyBufferMinutes, 0) END, p.Oldest)
    FROM (
        SELECT t.TableName, MIN(r.RunStartedAt) AS Oldest, MAX(COALESCE(t.BufferMinutes, 0)) AS Buffer
        FROM dbo.BlobDeltaRunTable AS t
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
        WHERE NOT EXISTS (SELECT 1 FROM #Expired AS d WHERE d.RunId = t.RunId)
        GROUP BY t.TableName
        HAVING SUM(CASE WHEN t.Status = N'Completed' THEN 1 ELSE 0 END) > 0
    ) AS p
    LEFT JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = p.TableName;
    -- And only what every scope that has to be told of it was told, by a run before its newest, whose slice may yet be
    -- given up.
    CREATE TABLE #Scope (TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, Scope nvarchar(36) COLLATE DATABASE_DEFAULT NOT NULL, BusinessUnitId uniqueidentifier NULL, RunId uniqueidentifier NOT NULL);
    INSERT INTO #Scope (TableName, Scope, BusinessUnitId, RunId)
    SELECT n.TableName, n.Scope, n.BusinessUnitId, n.RunId
    FROM (
        SELECT t.TableName, t.Scope, r.BusinessUnitId, t.RunId,
            ROW_NUMBER() OVER (PARTITION BY t.TableName, t.Scope ORDER BY r.RunStartedAt DESC, t.RunId DESC) AS Nr
        FROM dbo.BlobDeltaRunTable AS t
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
        WHERE t.Status = N'Completed'
    ) AS n
    WHERE n.Nr = 1;
    CREATE TABLE #Reported (DeletionId bigint NOT NULL PRIMARY KEY);
    INSERT INTO #Reported (DeletionId)
    SELECT d.DeletionId
    FROM dbo.BlobDeltaDeletionLog AS d INNER JOIN #Floor AS f ON f.TableName = d.TableName
    WHERE d.LoggedAt < f.Since AND NOT EXISTS (
        SELECT 1 FROM #Scope AS s
        WHERE s.TableName = d.TableName
            AND (
                (d.Reason = N'Deleted' AND (s.BusinessUnitId IS NULL OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                    WHERE k.TableName = d.TableName AND k.Scope = s.Scope AND k.stream_id = d.stream_id
                )))
                OR (d.Reason = N'LeftScope' AND d.BusinessUnit = s.BusinessUnitId)
                OR (d.Reason = N'LeftScope' AND d.BusinessUnit IS NULL AND s.BusinessUnitId IS NULL)
            )
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
                WHERE t.TableName = d.TableName AND t.Scope = s.Scope AND t.stream_id = d.stream_id
                    AND t.IsDeletion = CASE d.Reason WHEN N'Deleted' THEN 1 ELSE 0 END AND t.DeletedOn >= d.DeletedOn
                    AND t.RunId <> s.RunId
            )
    )
    OPTION (RECOMPILE);
    IF @PlanOnly = 1 UPDATE #Pruned SET RowsGone = (SELECT COUNT_BIG(*) FROM #Reported) WHERE Nr = 9;
    SET @Rows = CASE WHEN @PlanOnly = 1 THEN 0 ELSE 1 END;
    WHILE @Rows > 0
    BEGIN
        DELETE FROM dbo.BlobDeltaDeletionLog WHERE DeletionId IN (
            SELECT TOP (@MostRows) t.DeletionId FROM #Reported AS t
            INNER JOIN dbo.BlobDeltaDeletionLog AS d ON d.DeletionId = t.DeletionId
        );
        SET @Rows = @@ROWCOUNT;
        UPDATE #Pruned SET RowsGone = RowsGone + @Rows WHERE Nr = 9;
    END;
    SELECT JobTable, RowsFound, RowsGone FROM #Pruned ORDER BY CASE WHEN Nr = 8 THEN 0 ELSE Nr END;
END;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 6, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'08_BlobDeltaJobs_Prune.sql' AND Version <= 6;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'08_BlobDeltaJobs_Prune.sql', 6
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'08_BlobDeltaJobs_Prune.sql');
GO
SET NOEXEC OFF;
GO
