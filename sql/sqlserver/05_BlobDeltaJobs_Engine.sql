-- 05: the engine. Version 35.
--
-- One procedure an operation; usp_BlobDelta_Run is the loop over them, usp_BlobDelta_RunOperator
-- what an operator or a SQL Agent job calls. The program calls the same procedures, batch by batch.
-- Can be run again at any time; grants are kept.
--
-- Errors, by number:
--   51000  configuration: something in the configuration, a script or the catalog is wrong
--   51001  usage: the call does not make sense
--   51002  the lease is held by another run (which, and until when)
--   51003  superseded: lease or slice were taken by another run; nothing more was written
--   51004  blocked: an open transaction is older than the last watermark (rule 2)
--   51005  internal: the sums do not fit
-- Any other number is the server's. One table's failure ends that table alone.
--
-- Every write of a run is fenced: in its transaction usp_BlobDelta_Pass updates the lease row where
-- RunId and LeaseEpoch still are the caller's, which also locks that row until the commit; and the
-- slice's marker row has to name the run. Names go into dynamic SQL only as the catalog spells
-- them, through QUOTENAME; values only as parameters.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version > 35)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 05_BlobDeltaJobs_Engine.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version >= 16)
    OR NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql' AND Version >= 8)
BEGIN
    RAISERROR (N'This job database is older than this engine. Run 03_BlobDeltaJobs_Schema.sql and 04_BlobDeltaJobs_Seed_Config.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadMarker', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadMarker AS RETURN 0');
GO
-- Rule 9: the marker row of a table. Without one the slice table may be anybody's: error 51000.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadMarker
    @TableName nvarchar(400),
    @MarkerRunId uniqueidentifier = NULL OUTPUT,
    @State nvarchar(20) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Db nvarchar(128), @Table nvarchar(128), @Sql nvarchar(max);
    SELECT @Db = d.name, @Table = c.TargetTable
    FROM dbo.BlobDeltaTableConfig AS c
    INNER JOIN sys.databases AS d ON d.database_id = DB_ID(c.TargetDb)
    WHERE c.TableName = @TableName;
    SELECT @MarkerRunId = NULL, @State = NULL;
    IF OBJECT_ID(QUOTENAME(@Db) + N'.[dbo].[BlobDeltaSlice]') IS NOT NULL
    BEGIN
        SET @Sql = REPLACE(N'SELECT @MarkerRunId = RunId, @State = State FROM {Db}.[dbo].[BlobDeltaSlice] WHERE TargetTable = @Table',
            N'{Db}', QUOTENAME(@Db));
        EXEC sp_executesql @Sql, N'@Table nvarchar(128), @MarkerRunId uniqueidentifier OUTPUT, @State nvarchar(20) OUTPUT',
            @Table = @Table, @MarkerRunId = @MarkerRunId OUTPUT, @State = @State OUTPUT;
    END;
    IF @State IS NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': the slice table has no marker row, so nothing was deleted from it; usp_BlobDelta_MakeSlice marks empty slices');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_SetMarker', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_SetMarker AS RETURN 0');
GO
-- Within a transaction behind the fence: writes the marker row of a table run.
ALTER PROCEDURE dbo.usp_BlobDelta_SetMarker
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @State nvarchar(20)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Sql nvarchar(max), @Db nvarchar(128), @Table nvarchar(128), @Started datetime2(7), @Start datetime2(7),
        @End datetime2(7), @Scope nvarchar(36), @Source uniqueidentifier;
    SELECT @Db = d.name, @Table = c.TargetTable, @Started = r.RunStartedAt, @Start = t.WindowStart, @End = t.WindowEnd,
        @Scope = t.Scope, @Source = (SELECT SourceId FROM dbo.BlobDeltaSource)
    FROM dbo.BlobDeltaRunTable AS t
    INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
    INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = t.TableName
    INNER JOIN sys.databases AS d ON d.database_id = DB_ID(c.TargetDb)
    WHERE t.RunId = @RunId AND t.TableName = @TableName;
    SET @Sql = REPLACE(N'UPDATE {Db}.[dbo].[BlobDeltaSlice] SET TableName = @TableName, SourceId = @Source, RunId = @RunId,
        RunStartedAt = @Started, WindowStart = @Start, WindowEnd = @End, Scope = @Scope, State = @State WHERE TargetTable = @Table',
        N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@TableName nvarchar(400), @Source uniqueidentifier, @RunId uniqueidentifier, @Started datetime2(7),
        @Start datetime2(7), @End datetime2(7), @Scope nvarchar(36), @State nvarchar(20), @Table nvarchar(128)',
        @TableName = @TableName, @Source = @Source, @RunId = @RunId, @Started = @Started, @Start = @Start, @End = @End,
        @Scope = @Scope, @State = @State, @Table = @Table;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Pass', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Pass AS RETURN 0');
GO
-- Rule 8, within a transaction: renews the lease where the fence is still the caller's; and rule 9, where
-- a state is given: the slice is still this run's. Else error 51003.
ALTER PROCEDURE dbo.usp_BlobDelta_Pass
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @State nvarchar(20) = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Holder uniqueidentifier, @Found nvarchar(20), @Now datetime2(7);
    SET @Now = dbo.ufn_BlobDelta_UtcNow();
    UPDATE dbo.BlobDeltaHighWatermark SET RunLeaseExpiresAt = DATEADD(second, LeaseSeconds, @Now)
    WHERE TableName = @TableName AND LeaseRunId = @RunId AND LeaseEpoch = @LeaseEpoch AND IsRunning = 1;
    IF @@ROWCOUNT = 0
    BEGIN
        SET @Message = CONCAT(@TableName, N': the lease was lost to another run or resume; nothing more was written');
        EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
    END;
    IF @State IS NOT NULL
    BEGIN
        EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @Found OUTPUT;
        IF @Holder IS NULL OR @Holder <> @RunId OR @Found <> @State
        BEGIN
            SET @Message = CONCAT(@TableName, N': the slice is ', @Found, N' and holds run ', CONVERT(nvarchar(36), @Holder),
                N'; nothing was written. A run whose slice was taken is never resumed or packed: start a new run');
            EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
        END;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_PassRun', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_PassRun AS RETURN 0');
GO
-- Rule 8, within a transaction: the run is still the caller's attempt, and stays so until the commit. Else error 51003:
-- somebody resumed it, and whoever was at it before writes nothing more.
ALTER PROCEDURE dbo.usp_BlobDelta_PassRun
    @RunId uniqueidentifier,
    @Attempt int
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000);
    UPDATE dbo.BlobDeltaRun SET Attempt = Attempt WHERE RunId = @RunId AND Attempt = @Attempt;
    IF @@ROWCOUNT = 0
    BEGIN
        SET @Message = CONCAT(N'run ', LOWER(CONVERT(nvarchar(36), @RunId)), N' was resumed by somebody else since attempt ', @Attempt,
            N' of it began; nothing more was written. Let that one end it');
        EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_TakeLease', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_TakeLease AS RETURN 0');
GO
-- Rule 8: takes a lease that nobody holds or that has expired, with the next epoch. Also one that has not:
-- * of this same run, where the caller is a later attempt of it (@Attempt from usp_BlobDelta_ResumeRun), for the one
--   before is dead or about to be told that it is superseded;
-- * of this same run under the same @OwnerToken: who lost the answer to his take meets his own lease;
-- * of the run @TakeOver, which the operator says is dead. That is noted as a step of this run, and @TookOver says so.
ALTER PROCEDURE dbo.usp_BlobDelta_TakeLease
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseSeconds int = 600,
    @LeaseEpoch bigint OUTPUT,
    @OwnerToken uniqueidentifier = NULL,
    @Attempt int = NULL,
    @TakeOver uniqueidentifier = NULL,
    @TookOver uniqueidentifier = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Message nvarchar(2000), @Holder uniqueidentifier, @Until datetime2(7), @Taken int, @Now datetime2(7), @IsHeld bit, @IsOpen bit;
    EXEC dbo.usp_BlobDelta_CheckServer;
    SELECT @LeaseEpoch = NULL, @TookOver = NULL;
    BEGIN TRY
        SET @Now = dbo.ufn_BlobDelta_UtcNow();
        BEGIN TRANSACTION;
        IF @Attempt IS NOT NULL EXEC dbo.usp_BlobDelta_PassRun @RunId, @Attempt;
        INSERT INTO dbo.BlobDeltaHighWatermark (TableName)
        SELECT @TableName WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName);
        -- Locks the row, so that who holds it cannot change between the question and the take.
        UPDATE dbo.BlobDeltaHighWatermark SET LeaseEpoch = LeaseEpoch WHERE TableName = @TableName;
        SELECT @Holder = LeaseRunId, @Until = RunLeaseExpiresAt,
            @IsHeld = CASE WHEN IsRunning = 1 AND RunLeaseExpiresAt > @Now THEN 1 ELSE 0 END, @IsOpen = IsRunning
        FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName;
        UPDATE dbo.BlobDeltaHighWatermark
        SET IsRunning = 1, LeaseRunId = @RunId, LeaseOwner = @OwnerToken, LeaseEpoch = LeaseEpoch + 1, LeaseSeconds = @LeaseSeconds,
            RunLeaseExpiresAt = DATEADD(second, @LeaseSeconds, @Now)
        WHERE TableName = @TableName
            AND (@IsHeld = 0 OR LeaseRunId = @TakeOver OR (LeaseRunId = @RunId AND (LeaseOwner = @OwnerToken OR @Attempt > 1)));
        SET @Taken = @@ROWCOUNT;
        IF @Taken = 1 AND @IsHeld = 1 AND @Holder = @TakeOver
        BEGIN
            SET @TookOver = @Holder;
            SET @Message = CONCAT(N'the lease of run ', LOWER(CONVERT(nvarchar(36), @Holder)), N', which would have lasted until ',
                CONVERT(nvarchar(27), @Until, 126), N'Z, was taken over as asked');
            INSERT INTO dbo.BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
                BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
            SELECT @RunId, @TableName, 0, COALESCE(MAX(BatchNumber), 0) + 1, 0, 0, @Now, @Now, N'TookOver', @Message
            FROM dbo.BlobDeltaRunStep WHERE RunId = @RunId AND TableName = @TableName AND StepNumber = 0;
            UPDATE dbo.BlobDeltaRunTable
            SET Status = N'Superseded', LastError = CONCAT(N'run ', LOWER(CONVERT(nvarchar(36), @RunId)), N' took the lease over')
            WHERE RunId = @Holder AND RunId <> @RunId AND TableName = @TableName AND Status <> N'Completed';
        END;
        -- A run that did not release its lease is ended by the one that has it now, unless it holds another that has not
        -- expired and nobody has said that it is dead.
        IF @Taken = 1 AND @IsOpen = 1 AND @Holder <> @RunId
            UPDATE dbo.BlobDeltaRun
            SET Status = N'Failed', RunCompletedAt = @Now,
                ErrorMessage = CONCAT(N'it did not end: run ', LOWER(CONVERT(nvarchar(36), @RunId)), N' took the lease of ', @TableName, N' over')
            WHERE RunId = @Holder AND Status = N'Running' AND (@TookOver IS NOT NULL OR NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaHighWatermark AS h
                WHERE h.LeaseRunId = @Holder AND h.IsRunning = 1 AND h.RunLeaseExpiresAt > @Now
            ));
        IF @Taken = 1
            SET @LeaseEpoch = (SELECT LeaseEpoch FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName);
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
    IF @Taken = 0
    BEGIN
        SET @Message = CONCAT(@TableName, N': run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' holds the lease until ',
            CONVERT(nvarchar(27), @Until, 126), N'Z; wait for it to end. If it died, go on with it: `blobdelta run --resume ', LOWER(CONVERT(nvarchar(36), @Holder)),
            N' --out FOLDER` (@ResumeRunId), or take it over: --take-over ', LOWER(CONVERT(nvarchar(36), @Holder)), N' (@TakeOver)');
        EXEC dbo.usp_BlobDelta_Throw 51002, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RenewLease', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RenewLease AS RETURN 0');
GO
-- Renews a lease that is still held under this fence, else error 51003. With @LeaseSeconds it lasts so long
-- from here on, at every renewal.
ALTER PROCEDURE dbo.usp_BlobDelta_RenewLease
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @LeaseSeconds int = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @LeaseSeconds IS NOT NULL
        UPDATE dbo.BlobDeltaHighWatermark SET LeaseSeconds = @LeaseSeconds
        WHERE TableName = @TableName AND LeaseRunId = @RunId AND LeaseEpoch = @LeaseEpoch AND IsRunning = 1;
    EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReleaseLease', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReleaseLease AS RETURN 0');
GO
-- Releases a lease, if it is still held under this fence; without an epoch, if it is held under this
-- token: that is for a taker whom an error that passes TRY/CATCH by kept from being told the epoch.
ALTER PROCEDURE dbo.usp_BlobDelta_ReleaseLease
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint = NULL,
    @OwnerToken uniqueidentifier = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    UPDATE dbo.BlobDeltaHighWatermark SET IsRunning = 0, RunLeaseExpiresAt = NULL, LeaseOwner = NULL
    WHERE TableName = @TableName AND LeaseRunId = @RunId
        AND (LeaseEpoch = @LeaseEpoch OR (@LeaseEpoch IS NULL AND LeaseOwner = @OwnerToken));
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_OldestTransaction', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_OldestTransaction AS RETURN 0');
GO
-- Rule 2: since when the oldest open transaction of another session has log records in the source's or
-- metadata's database, in the table's clock. @LagOnly: this login may not look, or there is nowhere to.
ALTER PROCEDURE dbo.usp_BlobDelta_OldestTransaction
    @TableName nvarchar(400),
    @Oldest datetime2(7) = NULL OUTPUT,
    @SessionId int = NULL OUTPUT,
    @LagOnly bit = 1 OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Sql nvarchar(max), @IsUtc bit, @Databases nvarchar(200);
    SELECT @Oldest = NULL, @SessionId = NULL, @LagOnly = 1;
    IF NOT EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'dm_tran_database_transactions')
        OR NOT EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'dm_tran_session_transactions')
        RETURN 0;
    -- The second right is the one that SQL Server 2022 knows; earlier versions answer NULL.
    IF COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE'), 0) = 0
        AND COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER PERFORMANCE STATE'), 0) = 0
        RETURN 0;
    -- The times are datetime in the server's local time: 4 ms are taken off for their rounding. A
    -- transaction without a session (in doubt) counts too.
    SET @Sql = N'
        SELECT TOP (1) @Oldest = DATEADD(millisecond, -4, CAST(t.database_transaction_begin_time AS datetime2(7))), @SessionId = s.session_id
        FROM sys.dm_tran_database_transactions AS t
        LEFT JOIN sys.dm_tran_session_transactions AS s ON s.transaction_id = t.transaction_id
        WHERE t.database_transaction_begin_time IS NOT NULL AND (s.session_id IS NULL OR s.session_id <> @@SPID)
            AND t.database_id IN (
                SELECT DB_ID(c.SourceDb) FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
                UNION ALL
                SELECT DB_ID(c.MetadataDb) FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
            )
        ORDER BY t.database_transaction_begin_time';
    EXEC sp_executesql @Sql, N'@TableName nvarchar(400), @Oldest datetime2(7) OUTPUT, @SessionId int OUTPUT',
        @TableName = @TableName, @Oldest = @Oldest OUTPUT, @SessionId = @SessionId OUTPUT;
    SET @IsUtc = (SELECT ModifiedOnIsUtc FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
    IF @IsUtc = 1
        SET @Oldest = DATEADD(minute, CONVERT(int, ROUND(DATEDIFF(second, dbo.ufn_BlobDelta_LocalNow(), dbo.ufn_BlobDelta_UtcNow()) / 60.0, 0)), @Oldest);
    SET @LagOnly = 0;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CheckClock', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CheckClock AS RETURN 0');
GO
-- Rule 1: a clock that stands before the last run's start by more than the buffer is refused. A run that completed no table,
-- and has no bundle, moved nothing; but one that is gone on with (@Resumed) would.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckClock
    @Now datetime2(7),
    @TableName nvarchar(400) = NULL,
    @Resumed uniqueidentifier = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Last datetime2(7), @RunId uniqueidentifier, @Buffer int;
    SELECT TOP (1) @RunId = r.RunId, @Last = r.RunStartedAt
    FROM dbo.BlobDeltaRun AS r
    WHERE r.RunId = @Resumed
        OR EXISTS (SELECT 1 FROM dbo.BlobDeltaRunTable AS t WHERE t.RunId = r.RunId AND t.Status = N'Completed')
        OR EXISTS (SELECT 1 FROM dbo.BlobDeltaBundle AS b WHERE b.RunId = r.RunId)
    ORDER BY r.RunStartedAt DESC;
    SET @Buffer = COALESCE((
        SELECT MIN(SafetyBufferMinutes) FROM dbo.BlobDeltaTableConfig
        WHERE TableName = @TableName OR (@TableName IS NULL AND IsActive = 1)
    ), 0);
    IF @Now < DATEADD(minute, -@Buffer, @Last)
    BEGIN
        SET @Message = CONCAT(N'the server''s clock says ', CONVERT(nvarchar(27), @Now, 126), N'Z, but the last run started at ',
            CONVERT(nvarchar(27), @Last, 126), N'Z; set the clock right, a window computed from it would lose changes. If it is right now, and was wrong in that run, ',
            CASE WHEN @RunId = @Resumed THEN N'start a new run: what that one has yet to take would be taken by the wrong time'
                ELSE CONCAT(N'`blobdelta pack --run ', LOWER(CONVERT(nvarchar(36), @RunId)), N' --give-up` takes that run back, and the next one takes all that it took again')
            END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CheckScope', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CheckScope AS RETURN 0');
GO
-- A table without business units cannot serve a run for one.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckScope
    @TableName nvarchar(400),
    @BusinessUnitId uniqueidentifier
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000);
    IF @BusinessUnitId IS NOT NULL AND EXISTS (
        SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND MetadataBusinessUnitCol IS NULL
    )
    BEGIN
        SET @Message = CONCAT(@TableName, N': this table has no business units, so no run for ', LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'; set MetadataBusinessUnitCol, or run it for all');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_StartRun', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_StartRun AS RETURN 0');
GO
-- Checks clock, scope and every template that the run would use, and writes the header of the run and the scripts
-- as they were filled: what a table is configured with is looked up once a run.
-- Nothing is written if anything is wrong. Without @TableName: all active tables. A caller that names the
-- @RunId itself can repeat the call when its answer is lost: where that run is, nothing more is done.
ALTER PROCEDURE dbo.usp_BlobDelta_StartRun
    @TableName nvarchar(400) = NULL,
    @BatchSize int = 500,
    @MaxDOP int = 2,
    @BusinessUnitId uniqueidentifier = NULL,
    @RequestedBy nvarchar(256) = NULL,
    @WindowFrom datetime2(7) = NULL,
    @RunId uniqueidentifier = NULL OUTPUT,
    -- What the run is told of its bundle (rule 18); a run without one is told nothing.
    @OutFolder nvarchar(2000) = NULL,
    @ShipTo nvarchar(2000) = NULL,
    @SignedBy nvarchar(200) = NULL,
    @EncryptedTo nvarchar(max) = NULL,
    @BundleForm nvarchar(20) = NULL,
    -- Ends the windows, in each table's own clock. And the run whose windows MaxWindow cut, and that this one goes on from: it
    -- takes the next windows of those tables alone.
    @WindowUntil datetime2(7) = NULL,
    @ContinuesRunId uniqueidentifier = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Message nvarchar(2000), @Utc datetime2(7), @Local datetime2(7), @Table nvarchar(400),
        @Known bit = 0, @Found bigint, @Resolved bit, @Sql nvarchar(max);
    IF @RunId IS NOT NULL AND EXISTS (SELECT 1 FROM dbo.BlobDeltaRun WHERE RunId = @RunId) RETURN 0;
    EXEC dbo.usp_BlobDelta_CheckServer;
    IF @BatchSize IS NULL OR @BatchSize NOT BETWEEN 1 AND 1000000
        THROW 51001, N'the batch size has to be between 1 and 1,000,000 rows', 1;
    IF @MaxDOP IS NULL OR @MaxDOP NOT BETWEEN 0 AND 32767
        THROW 51001, N'MaxDOP has to be between 0 and 32767', 1;
    -- One reading of both clocks; the offset is of whole minutes.
    SET @Utc = dbo.ufn_BlobDelta_UtcNow();
    SET @Local = DATEADD(minute, CONVERT(int, ROUND(DATEDIFF(second, @Utc, dbo.ufn_BlobDelta_LocalNow()) / 60.0, 0)), @Utc);
    CREATE TABLE #Chosen (TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY);
    -- A run for one unit over all tables leaves out those that have no units, and its steps tell so.
    INSERT INTO #Chosen (TableName)
    SELECT TableName FROM dbo.BlobDeltaTableConfig
    WHERE TableName = @TableName
        OR (@TableName IS NULL AND IsActive = 1 AND (@BusinessUnitId IS NULL OR MetadataBusinessUnitCol IS NOT NULL));
    IF @ContinuesRunId IS NOT NULL
    BEGIN
        DELETE FROM #Chosen WHERE TableName NOT IN (
            SELECT t.TableName
            FROM dbo.BlobDeltaRunTable AS t
            INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
            INNER JOIN dbo.BlobDeltaHighWatermark AS h ON h.TableName = t.TableName
            LEFT JOIN dbo.BlobDeltaBusinessUnitWatermark AS u ON u.TableName = t.TableName AND u.BusinessUnitId = r.BusinessUnitId
            WHERE t.RunId = @ContinuesRunId AND t.Status = N'Completed' AND t.WindowEnd < t.WindowGoal
                AND t.Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all')
                AND CASE WHEN r.BusinessUnitId IS NULL THEN h.LastRunId ELSE u.LastRunId END = t.RunId
        );
        IF NOT EXISTS (SELECT 1 FROM #Chosen) THROW 51001, N'no table of this run has a window that goes on; start a new run', 1;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Chosen)
    BEGIN
        SET @Message = CASE
            WHEN @TableName IS NULL AND EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE IsActive = 1)
                THEN CONCAT(N'no active table has business units, so no run for ', LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'; set MetadataBusinessUnitCol where one has')
            WHEN @TableName IS NULL THEN N'no active table is configured; add one in BlobDeltaTableConfig'
            ELSE CONCAT(@TableName, N': this table is not configured in BlobDeltaTableConfig')
        END;
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    -- It sets windows back; a time that is yet to come means another one. Each table reads it in its own clock.
    SET @Table = (
        SELECT MIN(k.TableName) FROM #Chosen AS k
        INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = k.TableName
        WHERE @WindowFrom > CASE WHEN c.ModifiedOnIsUtc = 1 THEN @Utc ELSE @Local END
    );
    IF @Table IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@Table, N': @WindowFrom ', CONVERT(nvarchar(27), @WindowFrom, 126), N' lies in the future, it is ',
            CONVERT(nvarchar(27), @Utc, 126), N'Z now; name the time from which on changes are to be taken once more');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    SET @Table = (
        SELECT MIN(k.TableName) FROM #Chosen AS k
        INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = k.TableName
        WHERE @WindowUntil > CASE WHEN c.ModifiedOnIsUtc = 1 THEN @Utc ELSE @Local END
    );
    IF @Table IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@Table, N': @WindowUntil ', CONVERT(nvarchar(27), @WindowUntil, 126), N' lies in the future, it is ',
            CONVERT(nvarchar(27), @Utc, 126), N'Z now; leave it out to take all that there is');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    EXEC dbo.usp_BlobDelta_CheckClock @Utc, @TableName;
    CREATE TABLE #BlobDeltaCatalog (
        DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, ObjectId int NOT NULL, Ordinal int NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
        TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
        NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
        CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL, PRIMARY KEY (DbName, ObjectId, Ordinal)
    );
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    CREATE TABLE #Placeholder (Name nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, Value nvarchar(max) COLLATE DATABASE_DEFAULT NULL);
    CREATE TABLE #Own (ScriptName nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, IsOfTrees bit NOT NULL, IsOfUnits bit NOT NULL, ScriptText nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    CREATE TABLE #Script (ScriptName nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, IsTemplate bit NOT NULL, ScriptText nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    CREATE TABLE #Filled (TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, ScriptName nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL, ScriptText nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    EXEC dbo.usp_BlobDelta_ReadCatalog;
    EXEC dbo.usp_BlobDelta_ListOwnScripts;
    SET @Table = (SELECT MIN(TableName) FROM #Chosen);
    WHILE @Table IS NOT NULL
    BEGIN
        -- One table of several that cannot run is a failure of that table; a wrong template is not.
        SET @Resolved = 0;
        BEGIN TRY
            EXEC dbo.usp_BlobDelta_ListPlaceholders @Table, 1, @MaxDOP;
            SET @Resolved = 1;
        END TRY
        BEGIN CATCH
            IF @TableName IS NOT NULL THROW;
        END CATCH;
        IF @Resolved = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_FillTable @Table;
            INSERT INTO #Filled (TableName, ScriptName, ScriptText) SELECT @Table, ScriptName, ScriptText FROM #Script;
            IF @BusinessUnitId IS NOT NULL AND @Known = 0
            BEGIN
                SET @Sql = (
                    SELECT N'SET @Found = (SELECT COUNT(*) FROM ' + MAX(CASE WHEN Name = N'BusinessUnitTable' THEN Value END) + N' AS u WHERE u.'
                        + MAX(CASE WHEN Name = N'BusinessUnitIdColumn' THEN Value END) + N' = @Unit)'
                    FROM #Placeholder
                );
                SET @Found = 0;
                IF @Sql IS NOT NULL
                    EXEC sp_executesql @Sql, N'@Unit uniqueidentifier, @Found bigint OUTPUT', @Unit = @BusinessUnitId, @Found = @Found OUTPUT;
                IF @Found > 0 SET @Known = 1;
            END;
        END;
        SET @Table = (SELECT MIN(TableName) FROM #Chosen WHERE TableName > @Table);
    END;
    IF @TableName IS NOT NULL
    BEGIN
        EXEC dbo.usp_BlobDelta_CheckScope @TableName, @BusinessUnitId;
        EXEC dbo.usp_BlobDelta_ReadMarker @TableName;
    END;
    -- Where no table could be resolved each says why, and nobody was asked for the unit.
    IF @BusinessUnitId IS NOT NULL AND @Known = 0 AND EXISTS (SELECT 1 FROM #Filled)
    BEGIN
        SET @Message = CONCAT(N'no configured table has the business unit ', LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N' in its scope');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    BEGIN TRY
        BEGIN TRANSACTION;
        SET @RunId = COALESCE(@RunId, NEWID());
        INSERT INTO dbo.BlobDeltaRun (RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, Status, TableName,
            BusinessUnitId, BatchSize, MaxDOP, WindowFrom, WindowUntil, ContinuesRunId, OutFolder, ShipTo, SignedBy, EncryptedTo, BundleForm)
        VALUES (@RunId, CASE WHEN @TableName IS NULL THEN N'AllTables' ELSE N'SingleTable' END,
            COALESCE(@RequestedBy, ORIGINAL_LOGIN()), @Utc, @Local, N'Running', @TableName, @BusinessUnitId, @BatchSize, @MaxDOP, @WindowFrom,
            @WindowUntil, @ContinuesRunId, @OutFolder, @ShipTo, @SignedBy, @EncryptedTo, @BundleForm);
        INSERT INTO dbo.BlobDeltaRunTable (RunId, TableName, Scope, Status)
        SELECT @RunId, TableName, COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all'), N'Waiting' FROM #Chosen;
        INSERT INTO dbo.BlobDeltaRunScript (RunId, TableName, ScriptName, SqlText)
        SELECT @RunId, TableName, ScriptName, ScriptText FROM #Filled;
        IF @TableName IS NULL AND @BusinessUnitId IS NOT NULL
            INSERT INTO dbo.BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
                BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
            SELECT @RunId, TableName, 0, 1, 0, 0, @Utc, @Utc, N'LeftOut', N'this table has no business units'
            FROM dbo.BlobDeltaTableConfig WHERE IsActive = 1 AND MetadataBusinessUnitCol IS NULL;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ResumeRun', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ResumeRun AS RETURN 0');
GO
-- Takes up a run that did not complete, as its next @Attempt, which alone may write from here on.
ALTER PROCEDURE dbo.usp_BlobDelta_ResumeRun
    @RunId uniqueidentifier,
    @Attempt int = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Now datetime2(7) = dbo.ufn_BlobDelta_UtcNow();
    EXEC dbo.usp_BlobDelta_CheckServer;
    EXEC dbo.usp_BlobDelta_CheckClock @Now, NULL, @RunId;
    IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaRun WHERE RunId = @RunId) THROW 51001, N'there is no such run', 1;
    BEGIN TRY
        BEGIN TRANSACTION;
        UPDATE dbo.BlobDeltaRun SET Status = N'Running', RunCompletedAt = NULL, ErrorMessage = NULL, Attempt = Attempt + 1
        WHERE RunId = @RunId AND Status <> N'Completed';
        IF @@ROWCOUNT = 0 THROW 51001, N'this run is completed; start a new one', 1;
        SET @Attempt = (SELECT Attempt FROM dbo.BlobDeltaRun WHERE RunId = @RunId);
        -- Templates and tables may have been mended since: a table that has not started is prepared when it does.
        DELETE FROM dbo.BlobDeltaRunScript
        WHERE RunId = @RunId AND TableName IN (SELECT TableName FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND WindowEnd IS NULL);
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ComputeWindow', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ComputeWindow AS RETURN 0');
GO
-- Rules 1, 2 and 15: the window of a table for a run that starts at @RunStart (in the table's clock), and what
-- it is computed from. @Blocked says why there can be none now. @Fresh: where no run before has been; from there on rows count for
-- MaxWindow, which cuts the window later. @Latest: where it could end at most. A run that @Continues one whose window MaxWindow had
-- cut begins where that ended, and ends no later than that would have, so that all of them together take what one would.
ALTER PROCEDURE dbo.usp_BlobDelta_ComputeWindow
    @TableName nvarchar(400),
    @BusinessUnitId uniqueidentifier,
    @RunStart datetime2(7),
    @WindowFrom datetime2(7) = NULL,
    @WindowStart datetime2(7) = NULL OUTPUT,
    @WindowEnd datetime2(7) = NULL OUTPUT,
    @Watermark datetime2(7) = NULL OUTPUT,
    @PreviousRunId uniqueidentifier = NULL OUTPUT,
    @DeletionsFrom datetime2(7) = NULL OUTPUT,
    @Oldest datetime2(7) = NULL OUTPUT,
    @LagOnly bit = NULL OUTPUT,
    @Blocked nvarchar(2000) = NULL OUTPUT,
    @WindowUntil datetime2(7) = NULL,
    @Continues uniqueidentifier = NULL,
    @Fresh datetime2(7) = NULL OUTPUT,
    @Latest datetime2(7) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Buffer int, @Baseline datetime2(7), @IsUtc bit, @Session int, @Scope nvarchar(36), @InDays bit,
        @Last uniqueidentifier, @End datetime2(7), @Goal datetime2(7), @Message nvarchar(2000),
        @Begin datetime2(7) = CONVERT(datetime2(7), '0001-01-01');
    SELECT @Buffer = SafetyBufferMinutes, @Baseline = InitialBaseline, @IsUtc = ModifiedOnIsUtc FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SELECT @Watermark = NULL, @PreviousRunId = NULL, @Blocked = NULL,
        @Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all');
    IF @BusinessUnitId IS NULL
        SELECT @Watermark = LastHighWaterModifiedOn, @Last = LastRunId FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName;
    ELSE
        SELECT @Watermark = LastHighWaterModifiedOn, @Last = LastRunId
        FROM dbo.BlobDeltaBusinessUnitWatermark WHERE TableName = @TableName AND BusinessUnitId = @BusinessUnitId;
    -- Two runs may have started at one moment of the clock: what moved the watermark last is the run before.
    SELECT @PreviousRunId = RunId, @End = WindowEnd, @Goal = WindowGoal
    FROM dbo.BlobDeltaRunTable
    WHERE RunId = @Last AND TableName = @TableName AND Scope = @Scope AND Status = N'Completed';
    IF @Continues IS NOT NULL AND (@PreviousRunId IS NULL OR @PreviousRunId <> @Continues OR @Goal IS NULL)
    BEGIN
        SET @Message = CONCAT(@TableName, N': this run goes on where run ', LOWER(CONVERT(nvarchar(36), @Continues)), N' ended, and ',
            COALESCE(N'run ' + LOWER(CONVERT(nvarchar(36), @Last)), N'nobody'), N' was there last; nothing was written, start a new run');
        EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
    END;
    -- Windows that went back in time and did not come to their end are behind the watermark: any run takes what they left.
    IF @End < @Goal AND @End < @Watermark AND (@WindowFrom IS NULL OR @End < @WindowFrom) SET @WindowFrom = @End;
    EXEC dbo.usp_BlobDelta_OldestTransaction @TableName, @Oldest OUTPUT, @Session OUTPUT, @LagOnly OUTPUT;
    SET @WindowEnd = DATEADD(minute, -@Buffer, @RunStart);
    EXEC dbo.usp_BlobDelta_IsStampedInDays @TableName, @InDays OUTPUT;
    IF @Oldest < @WindowEnd
    BEGIN
        SET @WindowEnd = @Oldest;
        IF @InDays = 1 SET @WindowEnd = CONVERT(date, @WindowEnd);
        IF @WindowEnd <= @Watermark
            SET @Blocked = CONCAT(@TableName, N': session ', @Session, N' has had a transaction open since ', CONVERT(nvarchar(27), @Oldest, 126),
                N', before the last watermark ', CONVERT(nvarchar(27), @Watermark, 126), N'; nothing was emptied. Run the table again when it has ended');
    END;
    SET @WindowStart = CASE
        WHEN @Watermark IS NULL THEN COALESCE(@Baseline, @Begin)
        WHEN @Watermark < CONVERT(datetime2(7), '0003-01-01') THEN @Begin
        ELSE DATEADD(minute, -@Buffer, @Watermark)
    END;
    SET @Fresh = COALESCE(@Watermark, @WindowStart);
    IF @WindowFrom < @WindowStart SELECT @WindowStart = @WindowFrom, @Fresh = @WindowFrom;
    IF @Continues IS NOT NULL SELECT @WindowStart = @End, @Fresh = @End;
    IF @InDays = 1
        SELECT @WindowStart = CONVERT(date, @WindowStart), @WindowEnd = CONVERT(date, @WindowEnd), @Fresh = CONVERT(date, @Fresh),
            @WindowUntil = CONVERT(date, @WindowUntil), @Goal = CONVERT(date, @Goal);
    SET @Latest = @WindowEnd;
    IF @Continues IS NULL AND @WindowUntil <= @Fresh
    BEGIN
        SET @Message = CONCAT(@TableName, N': @WindowUntil (--until) ', CONVERT(nvarchar(27), @WindowUntil, 126), N' leaves nothing to take: the next window of this table begins at ',
            CONVERT(nvarchar(27), @Fresh, 126), N'; name a later time, or an earlier one with @WindowFrom (--from)');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    IF @WindowUntil < @WindowEnd SET @WindowEnd = @WindowUntil;
    IF @Continues IS NOT NULL AND @Goal < @WindowEnd SET @WindowEnd = @Goal;
    IF @WindowEnd < @WindowStart SET @WindowStart = @WindowEnd;
    IF @WindowEnd < @Fresh SET @Fresh = @WindowEnd;
    -- LoggedAt is UTC; no local time is a day away from it.
    SET @DeletionsFrom = CASE
        WHEN @IsUtc = 1 OR @WindowFrom < CONVERT(datetime2(7), '0001-01-02') THEN @WindowFrom
        ELSE DATEADD(day, -1, @WindowFrom)
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CutWindow', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CutWindow AS RETURN 0');
GO
-- Rule 1: where MaxWindow ends a window that may take what is stamped from @Fresh until @WindowEnd, by the script of a run.
-- @OneStampRows: how many rows the one stamp has that alone is more than MaxWindow. A window of its own for each of them is up to
-- whoever calls: usp_BlobDelta_Run makes one window a call, because the slice of each has to be taken before the next one empties it.
ALTER PROCEDURE dbo.usp_BlobDelta_CutWindow
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @BusinessUnitId uniqueidentifier,
    @RunStart datetime2(7),
    @Fresh datetime2(7),
    @WindowEnd datetime2(7) OUTPUT,
    @OneStampRows bigint = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Text nvarchar(40), @Number nvarchar(40), @Unit nvarchar(40), @Most int, @Kind int, @Sql nvarchar(max),
        @Json nvarchar(4000), @Key uniqueidentifier, @Message nvarchar(2000), @End datetime2(7);
    SET @OneStampRows = NULL;
    SET @Text = (SELECT LOWER(LTRIM(RTRIM(MaxWindow))) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
    IF @Text IS NULL OR @Fresh >= @WindowEnd RETURN 0;
    SET @Number = LEFT(@Text, CHARINDEX(N' ', @Text + N' ') - 1);
    SET @Unit = LTRIM(SUBSTRING(@Text, LEN(@Number) + 1, 40));
    SET @Most = TRY_CONVERT(int, @Number);
    SET @Kind = CASE
        WHEN @Most IS NULL OR @Number = N'' OR CONVERT(nvarchar(40), @Most) <> @Number THEN 0
        WHEN @Unit IN (N'day', N'days') AND @Most BETWEEN 1 AND 3652059 THEN 1
        WHEN @Unit IN (N'row', N'rows') AND @Most BETWEEN 1 AND 1000000000 THEN 2
        ELSE 0
    END;
    IF @Kind = 0
    BEGIN
        SET @Message = REPLACE(CONCAT(@TableName, N': "', @Text, N'" is no MaxWindow; write it as "30 days" (1 to 3652059) or "1000000 rows" (1 to 1000000000), or NULL'), N'%', N'%%');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'CutWindow');
    EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'CutWindow', @TableName = @TableName, @Sql = @Sql, @BatchSize = @Most, @WindowStart = @Fresh,
        @WindowEnd = @WindowEnd, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId, @RunStart = @RunStart, @Step = @Kind,
        @Rows = @OneStampRows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
    SET @End = CONVERT(datetime2(7), @Json);
    IF @End < @WindowEnd SET @WindowEnd = @End;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ExpandPending', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ExpandPending AS RETURN 0');
GO
-- Rule 17, within the transaction that fills the queue: what everybody asked for is asked for by this run's scope,
-- and by every scope that has a watermark. It is kept while none has: the first run of each takes what its window
-- has, and no more.
ALTER PROCEDURE dbo.usp_BlobDelta_ExpandPending
    @TableName nvarchar(400),
    @BusinessUnitId uniqueidentifier = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = N'') RETURN 0;
    CREATE TABLE #Scope (Scope nvarchar(36) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY);
    INSERT INTO #Scope (Scope)
    SELECT N'all' FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName AND LastHighWaterModifiedOn IS NOT NULL
    UNION
    SELECT LOWER(CONVERT(nvarchar(36), BusinessUnitId)) FROM dbo.BlobDeltaBusinessUnitWatermark
    WHERE TableName = @TableName AND LastHighWaterModifiedOn IS NOT NULL;
    UPDATE k SET WithoutMetadata = 1
    FROM dbo.BlobDeltaPendingKey AS k
    INNER JOIN dbo.BlobDeltaPendingKey AS p ON p.TableName = k.TableName AND p.stream_id = k.stream_id
    WHERE k.TableName = @TableName AND k.Scope = N'all' AND k.WithoutMetadata = 0 AND p.Scope = N'' AND p.WithoutMetadata = 1
    OPTION (RECOMPILE);
    INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
    SELECT p.TableName, s.Scope, p.stream_id, p.Reason, p.CreatedAt, p.WithoutMetadata
    FROM dbo.BlobDeltaPendingKey AS p
    CROSS JOIN (
        SELECT Scope FROM #Scope
        UNION
        SELECT COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all')
    ) AS s
    WHERE p.TableName = @TableName AND p.Scope = N'' AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS k
        WHERE k.TableName = p.TableName AND k.Scope = s.Scope AND k.stream_id = p.stream_id
    )
    OPTION (RECOMPILE);
    IF EXISTS (SELECT 1 FROM #Scope) DELETE FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = N'';
    DROP TABLE #Scope;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_StartTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_StartTable AS RETURN 0');
GO
-- Takes the lease, computes the window, empties the slice and queues the window's keys; or, if this run
-- did that before, takes the lease with the next epoch and goes on there. @IsComplete: nothing is left to do.
-- Can be repeated under the same @OwnerToken when its answer is lost. @Attempt, @TakeOver and @TookOver are those of
-- usp_BlobDelta_TakeLease. @SliceChanged: the slice table has other columns than before.
ALTER PROCEDURE dbo.usp_BlobDelta_StartTable
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseSeconds int = 600,
    @LeaseEpoch bigint OUTPUT,
    @QueuedKeys bigint = NULL OUTPUT,
    @IsComplete bit = 0 OUTPUT,
    @OwnerToken uniqueidentifier = NULL,
    @Attempt int = NULL,
    @TakeOver uniqueidentifier = NULL,
    @TookOver uniqueidentifier = NULL OUTPUT,
    @SliceChanged bit = 0 OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Message nvarchar(2000), @Drift nvarchar(4000), @Carried nvarchar(4000), @Policy nvarchar(10), @Holder uniqueidentifier, @State nvarchar(20), @Unit uniqueidentifier,
        @RunStart datetime2(7), @From datetime2(7), @Buffer int, @Require bit, @WithDeletions bit,
        @Watermark datetime2(7), @Previous uniqueidentifier, @DeletionsFrom datetime2(7),
        @WindowStart datetime2(7), @WindowEnd datetime2(7), @Oldest datetime2(7), @LagOnly bit, @Rows bigint,
        @WindowUntil datetime2(7), @Continues uniqueidentifier, @Fresh datetime2(7), @Latest datetime2(7), @Goal datetime2(7),
        @OneStampRows bigint, @Excluded uniqueidentifier, @Sql nvarchar(max), @Json nvarchar(4000), @Units nvarchar(max), @One uniqueidentifier, @HasUnits bit, @Key uniqueidentifier, @Names nvarchar(4000),
        @Older bigint = 0, @Before datetime2(7), @Newest datetime2(7), @Dropped bigint, @After bigint, @IsTree bit;
    SELECT @LeaseEpoch = NULL, @QueuedKeys = NULL, @IsComplete = 0, @SliceChanged = 0;
    SELECT @Unit = r.BusinessUnitId, @From = r.WindowFrom, @WindowUntil = r.WindowUntil, @Continues = r.ContinuesRunId,
        @Excluded = c.ExcludedStreamId, @Policy = c.SchemaDrift, @Buffer = c.SafetyBufferMinutes,
        @Require = c.RequireBundle, @WithDeletions = c.IncludeDeletions,
        @RunStart = CASE WHEN c.ModifiedOnIsUtc = 1 THEN r.RunStartedAt ELSE r.RunStartedAtLocal END,
        @WindowStart = t.WindowStart, @WindowEnd = t.WindowEnd, @QueuedKeys = t.QueuedKeys,
        @HasUnits = CASE WHEN c.MetadataBusinessUnitCol IS NULL THEN 0 ELSE 1 END,
        @IsTree = CASE WHEN c.ParentPathColumn IS NULL THEN 0 ELSE 1 END
    FROM dbo.BlobDeltaRunTable AS t
    INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
    INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = t.TableName
    WHERE t.RunId = @RunId AND t.TableName = @TableName;
    IF @RunStart IS NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': this table is not part of the run, or not configured any more');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    EXEC dbo.usp_BlobDelta_CheckScope @TableName, @Unit;
    EXEC dbo.usp_BlobDelta_TakeLease @RunId, @TableName, @LeaseSeconds, @LeaseEpoch OUTPUT, @OwnerToken, @Attempt, @TakeOver, @TookOver OUTPUT;
    BEGIN TRY
        -- What the start of the run has filled, unless this is a resume or the configuration is another by now.
        EXEC dbo.usp_BlobDelta_ListNames @TableName, @Names OUTPUT;
        IF @WindowEnd IS NOT NULL OR NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaRunScript
            WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Names'
                AND SqlText COLLATE Latin1_General_BIN2 = @Names COLLATE Latin1_General_BIN2
        )
            EXEC dbo.usp_BlobDelta_PrepareTable @RunId = @RunId, @TableName = @TableName;
        EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @State OUTPUT;
        IF @WindowEnd IS NOT NULL AND (@Holder IS NULL OR @Holder <> @RunId)
        BEGIN
            SET @Message = CONCAT(@TableName, N': the slice was taken by run ', CONVERT(nvarchar(36), @Holder), N'; nothing was written, start a new run');
            EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
        END;
        -- Rule 24.
        EXEC dbo.usp_BlobDelta_FitSlice @TableName, 0, @Drift OUTPUT;
        IF @WindowEnd IS NOT NULL AND @QueuedKeys IS NOT NULL
        BEGIN
            SET @IsComplete = CASE WHEN @State = N'Filling' THEN 0 ELSE 1 END;
            IF @IsComplete = 0 AND @Drift IS NOT NULL
            BEGIN
                SET @Message = CONCAT(@TableName, N': the source''s columns were changed while this run copied its rows: ', LEFT(@Drift, 1500), N'; a fresh run takes the same rows in their new shape');
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
            -- A key that was excluded since it was queued is not waited for: the way out of a row that cannot be copied.
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
            DELETE FROM dbo.BlobDeltaWindowQueue
            WHERE RunId = @RunId AND TableName = @TableName AND State IS NULL
                AND stream_id IN (
                    SELECT e.stream_id FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
                    UNION ALL SELECT c.ExcludedStreamId FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
                )
            OPTION (RECOMPILE);
            SET @Dropped = @@ROWCOUNT;
            DELETE FROM dbo.BlobDeltaMissingParentsQueue
            WHERE RunId = @RunId AND TableName = @TableName AND Processed = 0
                AND stream_id IN (
                    SELECT e.stream_id FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
                    UNION ALL SELECT c.ExcludedStreamId FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
                )
            OPTION (RECOMPILE);
            IF @Dropped > 0
            BEGIN
                SET @QueuedKeys = @QueuedKeys - @Dropped;
                SET @Json = (SELECT Counts FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName);
                SET @Rows = CONVERT(bigint, JSON_VALUE(@Json, N'$.excluded'));
                UPDATE dbo.BlobDeltaRunTable
                SET QueuedKeys = @QueuedKeys,
                    Counts = REPLACE(@Json, CONCAT(N'"excluded":', @Rows, N','), CONCAT(N'"excluded":', @Rows + @Dropped, N','))
                WHERE RunId = @RunId AND TableName = @TableName;
            END;
            COMMIT TRANSACTION;
            RETURN 0;
        END;
        -- Rule 10.
        IF @State = N'Complete' AND @Require = 1
        BEGIN
            SET @Message = CONCAT(@TableName, N': the complete slice of run ', CONVERT(nvarchar(36), @Holder), N' is in no bundle yet, and this table requires one; pack it first: blobdelta pack --run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' --out FOLDER');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        IF @Drift IS NOT NULL AND @Policy = N'Refuse'
        BEGIN
            SET @Message = CONCAT(@TableName, N': the source''s columns are not those of the slice, and SchemaDrift is Refuse: ', LEFT(@Drift, 1300),
                N'; blobdelta table refresh (usp_BlobDelta_RefreshSlice) has the slice follow once, SchemaDrift=Carry each time; what is named in ExcludedColumns is left out');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        EXEC dbo.usp_BlobDelta_ComputeWindow @TableName, @Unit, @RunStart, @From, @WindowStart OUTPUT, @WindowEnd OUTPUT,
            @Watermark OUTPUT, @Previous OUTPUT, @DeletionsFrom OUTPUT, @Oldest OUTPUT, @LagOnly OUTPUT, @Message OUTPUT,
            @WindowUntil, @Continues, @Fresh OUTPUT, @Latest OUTPUT;
        IF @Message IS NOT NULL EXEC dbo.usp_BlobDelta_Throw 51004, @Message;
        SET @Goal = @WindowEnd;
        EXEC dbo.usp_BlobDelta_CutWindow @RunId, @TableName, @Unit, @RunStart, @Fresh, @WindowEnd OUTPUT, @OneStampRows OUTPUT;
        IF @State IN (N'Complete', N'Packed') AND EXISTS (
            SELECT 1 FROM dbo.BlobDeltaRun AS h
            WHERE h.RunId = @Holder AND COALESCE(CONVERT(nvarchar(36), h.BusinessUnitId), N'') = COALESCE(CONVERT(nvarchar(36), @Unit), N'')
        )
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'WentBack', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
            SET @Older = @Rows;
        END;
        -- The slice is this run's from here on: the marker says Filling, and without QueuedKeys a
        -- resume empties again, so that the rows can go in chunks.
        BEGIN TRANSACTION;
        EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
        UPDATE dbo.BlobDeltaRunTable
        SET Status = N'Running', WindowStart = @WindowStart, WindowEnd = @WindowEnd, WindowGoal = @Goal, OneStampRows = @OneStampRows, BufferMinutes = @Buffer,
            DeletionsFrom = @DeletionsFrom, PreviousRunId = @Previous, WatermarkBefore = @Watermark,
            ActiveTransactionFloor = @Oldest, LagOnly = @LagOnly, RootsSeq = 0, ChildrenSeq = 0, QueuedKeys = NULL
        WHERE RunId = @RunId AND TableName = @TableName;
        EXEC dbo.usp_BlobDelta_SetMarker @RunId, @TableName, N'Filling';
        DELETE FROM dbo.BlobDeltaRunScript WHERE TableName = @TableName AND RunId <> @RunId;
        DELETE FROM dbo.BlobDeltaMissingParentsQueue WHERE TableName = @TableName AND RunId = @RunId;
        COMMIT TRANSACTION;
        -- The queues of earlier runs go in chunks, each behind the fence: no statement takes so many locks that the whole
        -- table is locked, and in between the lease's row is free.
        SET @Rows = 1;
        WHILE @Rows > 0
        BEGIN
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
            DELETE TOP (2000) FROM dbo.BlobDeltaWindowQueue
            WHERE TableName = @TableName AND RunId IN (SELECT t.RunId FROM dbo.BlobDeltaRunTable AS t WHERE t.TableName = @TableName);
            SET @Rows = @@ROWCOUNT;
            COMMIT TRANSACTION;
        END;
        BEGIN TRY
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'TruncateSlice';
            COMMIT TRANSACTION;
        END TRY
        BEGIN CATCH
            IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
            -- Ours is about the fence. Whatever else keeps the table from being truncated does not keep its rows from being deleted.
            IF ERROR_NUMBER() >= 50000 AND ERROR_NUMBER() < 60000 THROW;
            EXEC sp_set_session_context N'BlobDeltaScript', NULL;
        END CATCH;
        SET @Rows = 1;
        WHILE @Rows > 0
        BEGIN
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'EmptySlice', 0, 1000, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
            COMMIT TRANSACTION;
        END;
        IF @Drift IS NOT NULL
        BEGIN
            BEGIN TRY
                BEGIN TRANSACTION;
                EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
                EXEC dbo.usp_BlobDelta_FitSlice @TableName, 1, @Carried OUTPUT;
                COMMIT TRANSACTION;
            END TRY
            BEGIN CATCH
                IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
                IF ERROR_NUMBER() >= 50000 AND ERROR_NUMBER() < 60000 THROW;
                SET @Message = CONCAT(@TableName, N': the slice cannot follow its source (', LEFT(@Drift, 700), N'): ', LEFT(ERROR_MESSAGE(), 500),
                    N'; have somebody who may alter the slice table call blobdelta table refresh (usp_BlobDelta_RefreshSlice), then run again');
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END CATCH;
            EXEC dbo.usp_BlobDelta_PrepareTable @RunId = @RunId, @TableName = @TableName;
            SET @SliceChanged = 1;
        END;
        -- Rules 3 to 6, 12 and 15: the queue, and what is told.
        CREATE TABLE #Window (
            RunId uniqueidentifier NOT NULL, TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, Step int NOT NULL, Seq bigint NOT NULL,
            stream_id uniqueidentifier NOT NULL, ModifiedOn datetime2(7) NULL, WasHeldBack int NOT NULL DEFAULT 0, IsPending int NOT NULL DEFAULT 0,
            State nvarchar(10) COLLATE DATABASE_DEFAULT NULL, PRIMARY KEY (Seq, Step)
        );
        CREATE TABLE #Unit (BusinessUnitId uniqueidentifier NOT NULL PRIMARY KEY);
        CREATE TABLE #Left (stream_id uniqueidentifier NOT NULL PRIMARY KEY, IsWhole bit NOT NULL, LeftOn datetime2(7) NOT NULL, Stays bit NOT NULL DEFAULT 0, IsPassed bit NOT NULL);
        BEGIN TRANSACTION;
        EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'EmptyDeletions', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        IF @Rows > 0 THROW 51005, N'the slice was filled by somebody else while it was emptied', 1;
        -- What runs of this scope before the previous one held back has been looked at. What that one held back
        -- stays until the next run: the slice of this one may be given up.
        DELETE FROM dbo.BlobDeltaHeldBackKey
        WHERE TableName = @TableName AND (@Previous IS NULL OR RunId <> @Previous) AND RunId IN (
            SELECT t.RunId FROM dbo.BlobDeltaRunTable AS t
            WHERE t.TableName = @TableName AND t.Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @Unit)), N'all')
        );
        EXEC dbo.usp_BlobDelta_RespellKeys @TableName;
        EXEC dbo.usp_BlobDelta_ExpandPending @TableName, @Unit;
        IF @Unit IS NOT NULL EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'BackAgain';
        IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Orphans';
        COMMIT TRANSACTION;
        -- The scans of the whole window hold no lock of the job database's, the lease's least of all.
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Survey', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        IF @Json IS NULL
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'WindowQueue';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectKeys', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        END;
        IF @Json IS NOT NULL
        BEGIN
            SET @Message = REPLACE(REPLACE(CONCAT(@TableName, N': ', @Json), N'%', N'%%'), N' set NAME ', CONCAT(N' set ', @TableName, N' '));
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        -- No statement takes so many locks that the whole queue is locked, for which a run of another table would wait.
        SET @After = COALESCE((SELECT MIN(Seq) FROM #Window), 0) - 1;
        WHILE EXISTS (SELECT 1 FROM #Window WHERE Seq > @After)
        BEGIN
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
            INSERT INTO dbo.BlobDeltaWindowQueue (RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending)
            SELECT RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending FROM #Window
            WHERE Seq > @After AND Seq <= @After + 2000;
            COMMIT TRANSACTION;
            SET @After = COALESCE((SELECT MIN(Seq) - 1 FROM #Window WHERE Seq > @After + 2000), 9223372036854770000);
        END;
        DROP TABLE #Window;
        BEGIN TRANSACTION;
        EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
        -- Rule 4. Behind a window that was cut nothing is held back: the next one takes it.
        IF @WindowEnd >= @Goal
        BEGIN
            SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'HeldBack');
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'HeldBack', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded,
                @WindowEnd = @Latest, @BusinessUnitId = @Unit, @RunId = @RunId, @RunStart = @RunStart;
        END;
        SET @Json = NULL;
        IF @WithDeletions = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Deletions';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectStanding', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        END;
        IF @Json IS NULL AND EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND DeletedWhen IS NOT NULL)
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Flagged';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectFlagged', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        END;
        IF @DeletionsFrom IS NOT NULL EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftAgain';
        IF @Json IS NULL
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectLeft', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        IF @Json IS NOT NULL
        BEGIN
            SET @Message = REPLACE(REPLACE(CONCAT(@TableName, N': ', @Json), N'%', N'%%'), N' set NAME ', CONCAT(N' set ', @TableName, N' '));
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        -- Rules 7 and 17: ancestors out of the scope come that its receivers need, and no window brings; and folders that left
        -- it and stay there come once more, without their blobs.
        IF @IsTree = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftScope';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftStays';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'NeededAncestors';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftBehind';
        END;
        IF @Unit IS NOT NULL AND EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = LOWER(CONVERT(nvarchar(36), @Unit))
        )
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ForeignPending';
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Reported', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        SET @Units = N'';
        IF @Unit IS NULL AND @Watermark IS NOT NULL AND @HasUnits = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'NewUnits';
            SET @One = (SELECT MIN(BusinessUnitId) FROM #Unit);
            WHILE @One IS NOT NULL
            BEGIN
                SET @Units = CONCAT(@Units, CASE WHEN @Units = N'' THEN N'"' ELSE N',"' END, LOWER(CONVERT(nvarchar(36), @One)), N'"');
                SET @One = (SELECT MIN(BusinessUnitId) FROM #Unit WHERE BusinessUnitId > @One);
            END;
        END;
        SET @Before = (SELECT NewestModifiedOn FROM dbo.BlobDeltaRunTable WHERE RunId = @Previous AND TableName = @TableName);
        SET @Newest = (SELECT NewestModifiedOn FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName);
        SET @Json = CONCAT(SUBSTRING(@Json, 1, LEN(@Json) - 1), N',"older_now":', @Older, N',"went_back_minutes":',
            CASE
                -- DATEDIFF counts the minutes that begin in between; rounded up, as the other kind of instance does.
                WHEN @Newest < @Before AND DATEDIFF(day, @Newest, @Before) < 1000000 THEN DATEDIFF(minute, @Newest, @Before)
                    + CASE WHEN DATEADD(minute, DATEDIFF(minute, @Newest, @Before), @Newest) < @Before THEN 1 ELSE 0 END
                WHEN @Newest < @Before THEN 1440000000
                ELSE 0
            END, N'}');
        SET @QueuedKeys = (SELECT COUNT(*) FROM dbo.BlobDeltaWindowQueue WHERE RunId = @RunId AND TableName = @TableName);
        UPDATE dbo.BlobDeltaRunTable SET QueuedKeys = @QueuedKeys, Counts = @Json, NewBusinessUnits = CONCAT(N'[', @Units, N']')
        WHERE RunId = @RunId AND TableName = @TableName;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_PlanTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_PlanTable AS RETURN 0');
GO
-- What a run of a table that started now would do, as one row; changes nothing. It gathers the keys as a run
-- would, beside the queue, and counts them. @Counts that cannot be known without copying are 0. Refused: why the
-- run would not start. Ends: where its first ten windows would end, as MaxWindow cuts them, with commas between; HasMore: there are
-- more. Until it ends, a start of the same table may have to wait for it.
ALTER PROCEDURE dbo.usp_BlobDelta_PlanTable
    @TableName nvarchar(400),
    @BusinessUnitId uniqueidentifier = NULL,
    @WindowFrom datetime2(7) = NULL,
    @WindowUntil datetime2(7) = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it rolls back by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Utc datetime2(7), @RunStart datetime2(7), @RunId uniqueidentifier = NEWID(), @Excluded uniqueidentifier, @Require bit,
        @Holder uniqueidentifier, @Until datetime2(7), @State nvarchar(20), @Refused nvarchar(2000), @WindowStart datetime2(7),
        @WindowEnd datetime2(7), @Watermark datetime2(7), @Previous uniqueidentifier, @DeletionsFrom datetime2(7),
        @Oldest datetime2(7), @LagOnly bit, @Sql nvarchar(max), @Rows bigint, @Json nvarchar(4000), @Key uniqueidentifier,
        @QueuedKeys bigint, @Counts nvarchar(4000), @IsUtc bit, @Message nvarchar(2000), @Tombstones bigint, @Fresh datetime2(7), @Latest datetime2(7),
        @End datetime2(7), @Ends nvarchar(400) = N'', @Turn int = 0;
    SET @Utc = dbo.ufn_BlobDelta_UtcNow();
    EXEC dbo.usp_BlobDelta_CheckClock @Utc, @TableName;
    EXEC dbo.usp_BlobDelta_ResolveTableConfig @TableName = @TableName;
    EXEC dbo.usp_BlobDelta_CheckScope @TableName, @BusinessUnitId;
    SELECT @Excluded = ExcludedStreamId, @Require = RequireBundle, @IsUtc = ModifiedOnIsUtc
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SET @RunStart = CASE WHEN @IsUtc = 1 THEN @Utc ELSE dbo.ufn_BlobDelta_LocalNow() END;
    IF @WindowFrom > @RunStart
    BEGIN
        SET @Message = CONCAT(@TableName, N': @WindowFrom ', CONVERT(nvarchar(27), @WindowFrom, 126), N' lies in the future, it is ',
            CONVERT(nvarchar(27), @RunStart, 126), N' now; name the time from which on changes are to be taken once more');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    -- Before the transaction, which an error would end.
    BEGIN TRY
        EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @State OUTPUT;
        IF @State = N'Complete' AND @Require = 1
            SET @Refused = CONCAT(@TableName, N': the complete slice of run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' is packed first');
    END TRY
    BEGIN CATCH
        IF ERROR_NUMBER() <> 51000 THROW;
        SET @Refused = ERROR_MESSAGE();
    END CATCH;
    EXEC dbo.usp_BlobDelta_ComputeWindow @TableName, @BusinessUnitId, @RunStart, @WindowFrom, @WindowStart OUTPUT, @WindowEnd OUTPUT,
        @Watermark OUTPUT, @Previous OUTPUT, @DeletionsFrom OUTPUT, @Oldest OUTPUT, @LagOnly OUTPUT, @Sql OUTPUT,
        @WindowUntil, NULL, @Fresh OUTPUT, @Latest OUTPUT;
    SET @Refused = COALESCE(@Sql, @Refused);
    SELECT @Holder = LeaseRunId, @Until = RunLeaseExpiresAt
    FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName AND IsRunning = 1 AND RunLeaseExpiresAt > @Utc;
    IF @Until IS NOT NULL
        SET @Refused = CONCAT(@TableName, N': run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' holds the lease until ', CONVERT(nvarchar(27), @Until, 126), N'Z');
    CREATE TABLE #Window (
        RunId uniqueidentifier NOT NULL, TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, Step int NOT NULL, Seq bigint NOT NULL,
        stream_id uniqueidentifier NOT NULL, ModifiedOn datetime2(7) NULL, WasHeldBack int NOT NULL DEFAULT 0, IsPending int NOT NULL DEFAULT 0,
        State nvarchar(10) COLLATE DATABASE_DEFAULT NULL, PRIMARY KEY (Seq, Step)
    );
    BEGIN TRY
        BEGIN TRANSACTION;
        EXEC dbo.usp_BlobDelta_PrepareTable @RunId = @RunId, @TableName = @TableName;
        WHILE @Turn = 0 OR (@Turn < 10 AND @Fresh < @WindowEnd)
        BEGIN
            SET @End = @WindowEnd;
            EXEC dbo.usp_BlobDelta_CutWindow @RunId, @TableName, @BusinessUnitId, @RunStart, @Fresh, @End OUTPUT;
            SET @Ends = CONCAT(@Ends, CASE WHEN @Turn > 0 THEN N',' END, CONVERT(nvarchar(27), @End, 126));
            SELECT @Fresh = @End, @Turn = @Turn + 1;
        END;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Survey');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'Survey', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded,
            @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
        IF @Json IS NOT NULL
        BEGIN
            SET @Message = REPLACE(CONCAT(@TableName, N': ', @Json), N'%', N'%%');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        EXEC dbo.usp_BlobDelta_ExpandPending @TableName, @BusinessUnitId;
        SET @Sql = (
            SELECT SqlText FROM dbo.BlobDeltaRunScript
            WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'BackAgain' AND @BusinessUnitId IS NOT NULL
        );
        IF @Sql IS NOT NULL
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'BackAgain', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @Now = @Utc;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Orphans');
        IF @Sql IS NOT NULL
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'Orphans', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded,
                @BusinessUnitId = @BusinessUnitId, @Now = @Utc;
        SET @Sql = (
            SELECT SqlText FROM dbo.BlobDeltaRunScript
            WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'ForeignPending' AND @BusinessUnitId IS NOT NULL
        );
        IF @Sql IS NOT NULL
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'ForeignPending', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'WindowQueue');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'WindowQueue', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded, @WindowStart = @WindowStart, @WindowEnd = @WindowEnd,
            @BusinessUnitId = @BusinessUnitId, @RunId = @RunId, @PreviousRunId = @Previous,
            @RunStart = @RunStart, @Now = @Utc, @Step = 0, @BatchSize = 0, @DeletionsFrom = @DeletionsFrom;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'SuspectKeys');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'SuspectKeys', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId,
            @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
        -- What a run would do to the slice is undone with all the rest.
        SET @Tombstones = 0;
        IF @Json IS NULL AND @State IS NOT NULL AND EXISTS (
            SELECT 1 FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName AND c.IncludeDeletions = 1
                AND (c.DeletedWhen IS NOT NULL OR EXISTS (SELECT 1 FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = c.TableName))
        )
        BEGIN
            SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'EmptyDeletions');
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'EmptyDeletions', @TableName = @TableName, @Sql = @Sql;
            SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Deletions');
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'Deletions', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId,
                @RunStart = @RunStart, @DeletionsFrom = @DeletionsFrom;
            SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'SuspectStanding');
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'SuspectStanding', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @RunStart = @RunStart,
                @Json = @Json OUTPUT;
            IF @Json IS NULL AND EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND DeletedWhen IS NOT NULL)
            BEGIN
                SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Flagged');
                EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'Flagged', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded, @WindowStart = @WindowStart, @WindowEnd = @WindowEnd,
                    @BusinessUnitId = @BusinessUnitId, @RunId = @RunId, @PreviousRunId = @Previous, @RunStart = @RunStart, @Now = @Utc;
                SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'SuspectFlagged');
                EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'SuspectFlagged', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId,
                    @RunStart = @RunStart, @Json = @Json OUTPUT;
            END;
            SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'CountDeletions');
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'CountDeletions', @TableName = @TableName, @Sql = @Sql, @Rows = @Tombstones OUTPUT;
        END;
        IF @Json IS NULL AND @State IS NOT NULL
        BEGIN
            SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'SuspectLeft');
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'SuspectLeft', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId, @RunStart = @RunStart,
                @Json = @Json OUTPUT;
        END;
        IF @Json IS NOT NULL AND @Refused IS NULL
            SET @Refused = CONCAT(@TableName, N': ', REPLACE(@Json, N' set NAME ', CONCAT(N' set ', @TableName, N' ')));
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'HeldBack');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'HeldBack', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded, @WindowEnd = @Latest, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId,
            @RunStart = @RunStart;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Reported');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'Reported', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded, @WindowStart = @WindowStart, @WindowEnd = @WindowEnd,
            @BusinessUnitId = @BusinessUnitId, @RunStart = @RunStart,
            @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
        SET @QueuedKeys = (SELECT COUNT(*) FROM #Window);
        SELECT @Counts = CONCAT(
            N'{"roots":0,"missing_parents":0,"children":0,"early":0,"late":0,"tombstones":', @Tombstones, N',', SUBSTRING(@Json, 2, LEN(@Json) - 2),
            N',"gone":0,"held_back":', (SELECT COUNT(*) FROM dbo.BlobDeltaHeldBackKey WHERE RunId = @RunId AND TableName = @TableName),
            (
                SELECT CONCAT(N',"pending":', COUNT(*), N',"pending_since":"' + CONVERT(nvarchar(27), MIN(CreatedAt), 126) + N'Z"')
                FROM dbo.BlobDeltaPendingKey
                WHERE TableName = @TableName AND Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all')
            ), N'}'
        )
        OPTION (RECOMPILE);
        ROLLBACK TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
    SELECT @WindowStart AS WindowStart, @WindowEnd AS WindowEnd, @QueuedKeys AS QueuedKeys, @Counts AS Counts, @Refused AS Refused,
        @Ends AS Ends, CASE WHEN @Fresh < @WindowEnd THEN 1 ELSE 0 END AS HasMore;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_QueueMissingParents', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_QueueMissingParents AS RETURN 0');
GO
-- Rule 7: queues every ancestor that the slice lacks; how many wait now.
ALTER PROCEDURE dbo.usp_BlobDelta_QueueMissingParents
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @Waiting bigint OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @Waiting = 0;
    IF EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND ParentPathColumn IS NULL) RETURN 0;
    BEGIN TRY
        BEGIN TRANSACTION;
        EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'RefreshParents';
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'MissingParents', 2;
        SET @Waiting = (
            SELECT COUNT(*) FROM dbo.BlobDeltaMissingParentsQueue WHERE RunId = @RunId AND TableName = @TableName AND Processed = 0
        );
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CopyBatch', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CopyBatch AS RETURN 0');
GO
-- The next batch of a step, in one transaction with the marks of its keys and its row in BlobDeltaRunStep. With @Reason
-- nothing is copied: its keys are left for a later run, which is told why.
ALTER PROCEDURE dbo.usp_BlobDelta_CopyBatch
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @Step int,
    @BatchSize int,
    @BatchBytes int,
    @IsHasty bit,
    @Reason nvarchar(1000),
    @Keys bigint OUTPUT,
    @Rows bigint OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    -- Which of its rows somebody holds is looked for without waiting long for each.
    IF @IsHasty = 1 SET LOCK_TIMEOUT 2000; ELSE SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Message nvarchar(2000), @After bigint, @Started datetime2(7) = dbo.ufn_BlobDelta_UtcNow(), @IsTree bit, @Key uniqueidentifier,
        @Script nvarchar(64), @First bigint, @Last bigint, @Number int, @Total bigint, @Unused bigint, @Json nvarchar(4000), @Scope nvarchar(36), @Turn int = 0;
    IF @Step NOT IN (1, 2, 3) THROW 51001, N'steps are 1 Roots, 2 MissingParents, 3 Children', 1;
    SET @IsTree = (SELECT CASE WHEN ParentPathColumn IS NULL THEN 0 ELSE 1 END FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
    IF @IsTree = 0 AND @Step > 1 THROW 51001, N'a flat table has step 1 alone', 1;
    SELECT @Keys = 0, @Rows = 0;
    CREATE TABLE #Batch (
        stream_id uniqueidentifier NOT NULL PRIMARY KEY, Seq bigint NULL, WasHeldBack int NOT NULL DEFAULT 0,
        WithoutMetadata int NOT NULL DEFAULT 0, Depth int NOT NULL DEFAULT 0, ParentKey uniqueidentifier NULL, State nvarchar(10) COLLATE DATABASE_DEFAULT NULL
    );
    CREATE TABLE #Later (stream_id uniqueidentifier NOT NULL PRIMARY KEY, Seq bigint NULL, Reason nvarchar(1000) COLLATE DATABASE_DEFAULT NOT NULL);
    BEGIN TRY
        BEGIN TRANSACTION;
        EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
        IF @Step = 2
            INSERT INTO #Batch (stream_id)
            SELECT TOP (@BatchSize) q.stream_id FROM dbo.BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Processed = 0
            ORDER BY q.stream_id;
        ELSE
        BEGIN
            SELECT @After = CASE WHEN @Step = 1 THEN RootsSeq ELSE ChildrenSeq END, @Scope = Scope
            FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName;
            INSERT INTO #Batch (stream_id, Seq, WasHeldBack, WithoutMetadata)
            SELECT TOP (@BatchSize) q.stream_id, q.Seq, q.WasHeldBack, q.IsPending FROM dbo.BlobDeltaWindowQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq > @After AND q.State IS NULL
            ORDER BY q.Seq;
            -- A step ends when no key is unmarked, not when the numbers have run out.
            IF @After > 0 AND NOT EXISTS (SELECT 1 FROM #Batch)
                INSERT INTO #Batch (stream_id, Seq, WasHeldBack, WithoutMetadata)
                SELECT TOP (@BatchSize) q.stream_id, q.Seq, q.WasHeldBack, q.IsPending FROM dbo.BlobDeltaWindowQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.State IS NULL
                ORDER BY q.Seq;
            -- Rule 5: of what was asked for, a run over all units takes a row that no metadata names where that was asked for too.
            IF EXISTS (SELECT 1 FROM #Batch WHERE WithoutMetadata = 1)
                UPDATE #Batch SET WithoutMetadata = 0
                WHERE WithoutMetadata = 1 AND (@Scope <> N'all' OR NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
                    WHERE p.TableName = @TableName AND p.Scope = N'all' AND p.stream_id = #Batch.stream_id AND p.WithoutMetadata = 1
                ));
        END;
        IF @Reason IS NULL AND EXISTS (SELECT 1 FROM #Batch)
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'BatchSizes', @Step, @BatchBytes, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
        SET @Keys = (SELECT COUNT(*) FROM #Batch);
        IF @Keys = 0
        BEGIN
            COMMIT TRANSACTION;
            RETURN 0;
        END;
        SELECT @First = MIN(Seq), @Last = MAX(Seq) FROM #Batch;
        INSERT INTO #Later (stream_id, Seq, Reason)
        SELECT stream_id, Seq, COALESCE(@Reason, CONCAT(N'It is larger than the ', dbo.ufn_BlobDelta_LargestValue(), N' bytes that a column holds'))
        FROM #Batch WHERE @Reason IS NOT NULL OR State = N'TooLarge';
        DELETE FROM #Batch WHERE @Reason IS NOT NULL OR State = N'TooLarge';
        IF @IsTree = 1 AND EXISTS (SELECT 1 FROM #Batch)
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'BatchParents', @Step, @BatchSize, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
            IF @Key IS NOT NULL
            BEGIN
                SET @Reason = (SELECT dbo.ufn_BlobDelta_KeyText(KeyType, @Key) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
                SET @Message = CONCAT(
                    @TableName, CASE
                        WHEN @Json IS NULL THEN N': there are 512 levels of parents or more above the rows below '
                        WHEN @Json = @Reason THEN N': this row is its own parent: '
                        ELSE N': these rows form a cycle, in which each one''s parent is the next: '
                    END, COALESCE(@Json, @Reason), N'; correct the parent of ', @Reason, N' in the source, or exclude that row with `blobdelta key exclude ',
                    @TableName, N' ', @Reason, N' --reason TEXT`: the rows below it then come without their parent; then run again, or go on with --resume'
                );
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
        END;
        SET @Script = CONCAT(N'Step', @Step);
        IF EXISTS (SELECT 1 FROM #Batch)
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, @Script, @Step, @BatchSize, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
        IF @Step = 2
            UPDATE dbo.BlobDeltaMissingParentsQueue SET Processed = 1
            WHERE RunId = @RunId AND TableName = @TableName AND stream_id IN (SELECT b.stream_id FROM #Batch AS b);
        ELSE
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'BatchStates', @Step, @BatchSize;
            -- A row that was committed between the two statements is there for the second alone: it is taken now.
            WHILE @Turn < 5 AND EXISTS (SELECT 1 FROM #Batch WHERE State IS NULL)
            BEGIN
                SET @Turn = @Turn + 1;
                EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, @Script, @Step, @BatchSize, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
                SET @Rows = @Rows + @Unused;
                EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'BatchStates', @Step, @BatchSize;
            END;
            SET @Key = (SELECT MIN(stream_id) FROM #Batch WHERE State IS NULL);
            IF @Key IS NOT NULL
            BEGIN
                SET @Message = CONCAT(@TableName, N': the script of step ', @Step, N' left out a row that is in the window, ', (SELECT dbo.ufn_BlobDelta_KeyText(KeyType, @Key) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName), N'; a script may not filter rows, exclude keys in BlobDeltaExcludedKey, with a reason');
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
            -- Both tables are bounded to the batch: a server that does not know yet how large the queue has become
            -- would else go through all of it, once a row of the batch. What rarely happens is asked for first.
            UPDATE q SET State = CASE b.State WHEN N'Absent' THEN N'Gone' ELSE b.State END
            FROM dbo.BlobDeltaWindowQueue AS q
            INNER JOIN #Batch AS b ON b.Seq = q.Seq
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq >= @First AND q.Seq <= @Last
                AND b.State <> N'Moved';
            IF EXISTS (SELECT 1 FROM #Batch WHERE State = N'Moved')
                UPDATE q SET Step = 3
                FROM dbo.BlobDeltaWindowQueue AS q
                INNER JOIN #Batch AS b ON b.Seq = q.Seq
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = 1 AND q.Seq >= @First AND q.Seq <= @Last
                    AND b.State = N'Moved';
            IF EXISTS (SELECT 1 FROM #Batch WHERE State = N'HeldBack')
                INSERT INTO dbo.BlobDeltaHeldBackKey (RunId, TableName, stream_id)
                SELECT @RunId, @TableName, b.stream_id FROM #Batch AS b
                WHERE b.State = N'HeldBack' AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaHeldBackKey AS h
                    WHERE h.RunId = @RunId AND h.TableName = @TableName AND h.stream_id = b.stream_id
                );
            -- A pending key that was copied waits on until the slice is complete: a run that dies before it has
            -- handed nothing out.
            IF EXISTS (SELECT 1 FROM #Batch WHERE State = N'Absent')
                INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
                SELECT @TableName, @Scope, b.stream_id, N'The metadata has this key, the source does not', @Started FROM #Batch AS b
                WHERE b.State = N'Absent'
                    AND NOT EXISTS (
                        SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
                        WHERE p.TableName = @TableName AND p.Scope = @Scope AND p.stream_id = b.stream_id
                    )
                    -- A deletion after the stamp explains why the row is not there; to have left a scope does not.
                    AND NOT EXISTS (
                        SELECT 1 FROM dbo.BlobDeltaDeletionLog AS d
                        INNER JOIN dbo.BlobDeltaWindowQueue AS q
                            ON q.RunId = @RunId AND q.TableName = d.TableName AND q.stream_id = d.stream_id
                        WHERE d.TableName = @TableName AND d.stream_id = b.stream_id AND d.Reason = N'Deleted'
                            AND d.DeletedOn >= COALESCE(q.ModifiedOn, d.DeletedOn)
                    );
            IF EXISTS (SELECT 1 FROM #Later)
            BEGIN
                UPDATE q SET State = N'Gone'
                FROM dbo.BlobDeltaWindowQueue AS q
                INNER JOIN #Later AS l ON l.Seq = q.Seq
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq >= @First AND q.Seq <= @Last;
                UPDATE p SET Reason = l.Reason
                FROM dbo.BlobDeltaPendingKey AS p
                INNER JOIN #Later AS l ON l.stream_id = p.stream_id
                WHERE p.TableName = @TableName AND p.Scope = @Scope;
                INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
                SELECT @TableName, @Scope, l.stream_id, l.Reason, @Started FROM #Later AS l
                WHERE NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
                    WHERE p.TableName = @TableName AND p.Scope = @Scope AND p.stream_id = l.stream_id
                );
            END;
            UPDATE dbo.BlobDeltaRunTable
            SET RootsSeq = CASE WHEN @Step = 1 AND @Last > RootsSeq THEN @Last ELSE RootsSeq END,
                ChildrenSeq = CASE WHEN @Step = 3 AND @Last > ChildrenSeq THEN @Last ELSE ChildrenSeq END
            WHERE RunId = @RunId AND TableName = @TableName;
        END;
        SELECT @Number = COALESCE(MAX(BatchNumber), 0) + 1, @Total = COALESCE(MAX(TotalRowsProcessed), 0) + @Rows
        FROM dbo.BlobDeltaRunStep WHERE RunId = @RunId AND TableName = @TableName AND StepNumber = @Step;
        INSERT INTO dbo.BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
            WindowStart, WindowEnd, BatchStartedAt, BatchCompletedAt, Status)
        SELECT @RunId, @TableName, @Step, @Number, @Rows, @Total, WindowStart, WindowEnd, @Started, dbo.ufn_BlobDelta_UtcNow(), N'Completed'
        FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RunBatch', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RunBatch AS RETURN 0');
GO
-- The next batch of a step: so many rows, or the row that reaches @BatchBytes. A step is done when @Keys is 0. A row that
-- somebody holds (a document that is open on the share) keeps nobody else: the batch is halved until it is found, and is left
-- for a later run. Where a hundred are held, the table is, and the error stands.
ALTER PROCEDURE dbo.usp_BlobDelta_RunBatch
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @Step int,
    @BatchSize int,
    @Keys bigint = NULL OUTPUT,
    @Rows bigint = NULL OUTPUT,
    @BatchBytes int = 268435456
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Size int = @BatchSize, @IsHasty bit = 0, @Script nvarchar(500), @Held bigint, @Number int,
        @Reason nvarchar(1000) = N'Another session holds its row; it was not waited for any longer';
    WHILE @Size > 0
    BEGIN
        BEGIN TRY
            EXEC sp_set_session_context N'BlobDeltaScript', NULL;
            EXEC dbo.usp_BlobDelta_CopyBatch @RunId, @TableName, @LeaseEpoch, @Step, @Size, @BatchBytes, @IsHasty, NULL, @Keys OUTPUT, @Rows OUTPUT;
            RETURN 0;
        END TRY
        BEGIN CATCH
            SET @Number = ERROR_NUMBER();
            IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
            SET @Script = CONVERT(nvarchar(500), SESSION_CONTEXT(N'BlobDeltaScript'));
            -- A lock of the job database's own is not of a row; without its folder a row is not whole.
            IF dbo.ufn_BlobDelta_IsLocked(@Number) = 0 OR @Script IS NULL OR @Step = 2 THROW;
            SET @Held = (
                SELECT COUNT(*) FROM dbo.BlobDeltaPendingKey AS p
                INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = @RunId AND p.CreatedAt >= r.RunStartedAt
                WHERE p.TableName = @TableName AND p.Reason = @Reason
            );
            IF @Size = 1 AND @Held >= 100 THROW;
            SELECT @Size = @Size / 2, @IsHasty = 1;
        END CATCH;
    END;
    EXEC sp_set_session_context N'BlobDeltaScript', NULL;
    EXEC dbo.usp_BlobDelta_CopyBatch @RunId, @TableName, @LeaseEpoch, @Step, 1, @BatchBytes, 0, @Reason, @Keys OUTPUT, @Rows OUTPUT;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FinishTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FinishTable AS RETURN 0');
GO
-- Rule 11: completes the slice and moves the watermark, in one transaction. Called again under the same fence
-- after it succeeded, it gives the same @Counts, whether the lease was kept or released.
ALTER PROCEDURE dbo.usp_BlobDelta_FinishTable
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @KeepLease bit = 0,
    @Counts nvarchar(4000) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Message nvarchar(2000), @Drift nvarchar(4000), @Unmarked bigint, @Copied bigint, @Gone bigint, @Json nvarchar(4000), @Reported nvarchar(4000),
        @Unused bigint, @Key uniqueidentifier, @Unit uniqueidentifier, @Scope nvarchar(36), @End datetime2(7), @InSlice bigint,
        @HasUnits bit, @IsTree bit, @IsWhole bit, @Now datetime2(7) = dbo.ufn_BlobDelta_UtcNow();
    SELECT @IsTree = CASE WHEN ParentPathColumn IS NULL THEN 0 ELSE 1 END,
        @HasUnits = CASE WHEN MetadataBusinessUnitCol IS NULL THEN 0 ELSE 1 END
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    CREATE TABLE #Left (stream_id uniqueidentifier NOT NULL PRIMARY KEY, IsWhole bit NOT NULL, LeftOn datetime2(7) NOT NULL, Stays bit NOT NULL DEFAULT 0, IsPassed bit NOT NULL);
    BEGIN TRY
        BEGIN TRANSACTION;
        SET @Counts = (
            SELECT t.Counts FROM dbo.BlobDeltaRunTable AS t
            INNER JOIN dbo.BlobDeltaHighWatermark AS h ON h.TableName = t.TableName
            WHERE t.RunId = @RunId AND t.TableName = @TableName AND t.Status = N'Completed'
                AND h.LeaseRunId = @RunId AND h.LeaseEpoch = @LeaseEpoch
        );
        IF @Counts IS NOT NULL
        BEGIN
            IF @KeepLease = 1
                EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
            ELSE
                EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
            COMMIT TRANSACTION;
            RETURN 0;
        END;
        EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Filling';
        -- Rule 24: the rows of one slice have one shape, from the first that was copied to the last.
        EXEC dbo.usp_BlobDelta_FitSlice @TableName, 0, @Drift OUTPUT;
        IF @Drift IS NOT NULL
        BEGIN
            SET @Message = CONCAT(@TableName, N': the source''s columns were changed while this run copied its rows: ', LEFT(@Drift, 1500), N'; a fresh run takes the same rows in their new shape');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        IF @IsTree = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'MendDepths', 0, 0, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
            IF @Key IS NOT NULL
            BEGIN
                SET @Message = CONCAT(@TableName, N': rows were moved while the slice was filled, and stand in a cycle now, ', (SELECT dbo.ufn_BlobDelta_KeyText(KeyType, @Key) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName), N'; run the table again');
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectTree', 0, 0, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
            IF @Json IS NOT NULL
            BEGIN
                SET @Message = REPLACE(REPLACE(CONCAT(@TableName, N': ', @Json), N'%', N'%%'), N' set NAME ', CONCAT(N' set ', @TableName, N' '));
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
        END;
        -- The first load is done where no part of it is left.
        SELECT @Unit = r.BusinessUnitId, @Scope = t.Scope, @End = t.WindowEnd, @Reported = t.Counts,
            @IsWhole = CASE WHEN t.WindowEnd >= t.WindowGoal AND r.WindowUntil IS NULL THEN 1 ELSE 0 END
        FROM dbo.BlobDeltaRunTable AS t INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
        WHERE t.RunId = @RunId AND t.TableName = @TableName;
        -- Rule 17: what the slice hands out is noted, and its receivers are told what left their scope; those of all units,
        -- which ancestors out of it nothing lies in any more.
        IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'AncestorStamps';
        -- Before LeftBack, what was logged stands in the slice: what has come back is settled too.
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ReportedDeletions';
        IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'PassedDeletions';
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftBack';
        IF @Unit IS NULL AND @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ShippedAncestors';
        IF @Unit IS NOT NULL
        BEGIN
            -- By what was handed out before this slice.
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectLeft', 0, 0, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
            IF @Json IS NOT NULL
            BEGIN
                SET @Message = REPLACE(REPLACE(CONCAT(@TableName, N': ', @Json), N'%', N'%%'), N' set NAME ', CONCAT(N' set ', @TableName, N' '));
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
            IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'WereWhole';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftBare';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ShippedKeys';
        END;
        IF @Unit IS NOT NULL OR @IsTree = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftScope';
            IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftStays';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftReported';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ReportedDeletions';
        END;
        IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'AbsentNoted';
        -- Rule 3: every key has ended, and what was copied stands in the slice.
        SELECT
            @Unmarked = COALESCE(SUM(CASE WHEN State IS NULL THEN 1 ELSE 0 END), 0),
            @Copied = COALESCE(SUM(CASE WHEN State = N'Copied' THEN 1 ELSE 0 END), 0),
            @Gone = COALESCE(SUM(CASE WHEN State = N'Gone' THEN 1 ELSE 0 END), 0)
        FROM dbo.BlobDeltaWindowQueue WHERE RunId = @RunId AND TableName = @TableName;
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SliceCounts', 0, 0, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
        SET @InSlice = CONVERT(bigint, JSON_VALUE(@Json, N'$.roots')) + CONVERT(bigint, JSON_VALUE(@Json, N'$.children'));
        IF @Unmarked > 0 OR @InSlice <> @Copied
        BEGIN
            SET @Message = CONCAT(@TableName, N': the sums do not fit: ', @Unmarked, N' keys have not ended, ', @Copied, N' were copied, ', @InSlice, N' stand in the slice; go on with a resume');
            EXEC dbo.usp_BlobDelta_Throw 51005, @Message;
        END;
        -- Rule 17: its scope has had what was copied, and the ancestors that were asked for.
        IF EXISTS (SELECT 1 FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = @Scope)
        BEGIN
            IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'AskedAncestors';
            IF EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND DeletedWhen IS NOT NULL)
                EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'AskedDeletions';
            -- What was asked for even without metadata is that again, where the slice is given up.
            UPDATE q SET IsPending = 2
            FROM dbo.BlobDeltaWindowQueue AS q
            INNER JOIN dbo.BlobDeltaPendingKey AS p ON p.TableName = q.TableName AND p.stream_id = q.stream_id
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending = 1 AND p.Scope = @Scope AND p.WithoutMetadata = 1
            OPTION (RECOMPILE);
            UPDATE q SET IsPending = 2
            FROM dbo.BlobDeltaMissingParentsQueue AS q
            INNER JOIN dbo.BlobDeltaPendingKey AS p ON p.TableName = q.TableName AND p.stream_id = q.stream_id
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending = 1 AND p.Scope = @Scope AND p.WithoutMetadata = 1
            OPTION (RECOMPILE);
            -- It comes whole: who asked may lack what an earlier bundle holds. The version stays: a row that loses against it
            -- brings receivers nothing.
            UPDATE dbo.BlobDeltaKnownContent SET Sha256 = NULL, RootSha256 = NULL
            WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
                SELECT q.stream_id FROM dbo.BlobDeltaWindowQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending > 0 AND q.State = N'Copied'
                UNION ALL
                SELECT q.stream_id FROM dbo.BlobDeltaMissingParentsQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending > 0
            )
            OPTION (RECOMPILE);
            DELETE FROM dbo.BlobDeltaPendingKey
            WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
                SELECT q.stream_id FROM dbo.BlobDeltaWindowQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending > 0 AND q.State = N'Copied'
                UNION ALL
                SELECT q.stream_id FROM dbo.BlobDeltaMissingParentsQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending > 0
            )
            OPTION (RECOMPILE);
        END;
        SELECT @Counts = CONCAT(
            SUBSTRING(@Json, 1, LEN(@Json) - 1), N',', SUBSTRING(@Reported, 2, LEN(@Reported) - 2), N',"gone":', @Gone, N',"held_back":',
            (SELECT COUNT(*) FROM dbo.BlobDeltaHeldBackKey WHERE RunId = @RunId AND TableName = @TableName),
            (
                SELECT CONCAT(N',"pending":', COUNT(*), N',"pending_since":"' + CONVERT(nvarchar(27), MIN(CreatedAt), 126) + N'Z"')
                FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = @Scope
            ), N'}'
        )
        OPTION (RECOMPILE);
        -- Rules 11 and 12: never backwards, and a run for one unit moves that unit's alone.
        IF @Unit IS NULL
        BEGIN
            UPDATE dbo.BlobDeltaHighWatermark
            SET LastRunId = @RunId, LastRunCompletedAt = @Now,
                IsInitialFullLoadDone = CASE WHEN @IsWhole = 1 THEN 1 ELSE IsInitialFullLoadDone END,
                LastHighWaterModifiedOn = CASE WHEN LastHighWaterModifiedOn > @End THEN LastHighWaterModifiedOn ELSE @End END
            WHERE TableName = @TableName;
            IF @HasUnits = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'KnownUnits';
        END;
        ELSE
        BEGIN
            UPDATE dbo.BlobDeltaBusinessUnitWatermark
            SET LastRunId = @RunId, LastRunCompletedAt = @Now,
                LastHighWaterModifiedOn = CASE WHEN LastHighWaterModifiedOn > @End THEN LastHighWaterModifiedOn ELSE @End END
            WHERE TableName = @TableName AND BusinessUnitId = @Unit;
            IF @@ROWCOUNT = 0
                INSERT INTO dbo.BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, LastHighWaterModifiedOn, LastRunId, LastRunCompletedAt)
                VALUES (@TableName, @Unit, @End, @RunId, @Now);
        END;
        EXEC dbo.usp_BlobDelta_SetMarker @RunId, @TableName, N'Complete';
        UPDATE dbo.BlobDeltaRunTable
        SET Status = N'Completed', Counts = @Counts, CompletedAt = @Now, LastError = NULL,
            WatermarkAfter = CASE WHEN WatermarkBefore > WindowEnd THEN WatermarkBefore ELSE WindowEnd END
        WHERE RunId = @RunId AND TableName = @TableName;
        IF @KeepLease = 0 EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FailTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FailTable AS RETURN 0');
GO
-- Logs that a table failed (step 0), and releases its lease if it is still held under this fence. Under an @Attempt that is
-- not the run's any more, nothing is written: error 51003.
ALTER PROCEDURE dbo.usp_BlobDelta_FailTable
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint = NULL,
    @Status nvarchar(20) = N'Failed',
    @Message nvarchar(4000) = NULL,
    @Attempt int = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Now datetime2(7) = dbo.ufn_BlobDelta_UtcNow(), @Number int;
    BEGIN TRY
        BEGIN TRANSACTION;
        IF @Attempt IS NOT NULL EXEC dbo.usp_BlobDelta_PassRun @RunId, @Attempt;
        IF @LeaseEpoch IS NOT NULL EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
        -- Of one that is completed, the packing failed; bundles of the run say the first reason.
        UPDATE dbo.BlobDeltaRunTable
        SET LastError = CASE WHEN Status = N'Completed' THEN COALESCE(LastError, @Message) ELSE @Message END,
            Status = CASE WHEN Status IN (N'Completed', N'GivenUp') THEN Status ELSE @Status END
        WHERE RunId = @RunId AND TableName = @TableName;
        SET @Number = (
            SELECT COALESCE(MAX(BatchNumber), 0) + 1 FROM dbo.BlobDeltaRunStep
            WHERE RunId = @RunId AND TableName = @TableName AND StepNumber = 0
        );
        INSERT INTO dbo.BlobDeltaRunStep (RunId, TableName, StepNumber, BatchNumber, RowsProcessed, TotalRowsProcessed,
            WindowStart, WindowEnd, BatchStartedAt, BatchCompletedAt, Status, ErrorMessage)
        SELECT @RunId, @TableName, 0, @Number, 0, 0, WindowStart, WindowEnd, @Now, @Now, @Status, @Message
        FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FinishRun', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FinishRun AS RETURN 0');
GO
-- Ends the run. Under an @Attempt that is not the run's any more, nothing is written: error 51003.
ALTER PROCEDURE dbo.usp_BlobDelta_FinishRun
    @RunId uniqueidentifier,
    @Status nvarchar(20),
    @Message nvarchar(4000) = NULL,
    @Attempt int = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    BEGIN TRY
        BEGIN TRANSACTION;
        IF @Attempt IS NOT NULL EXEC dbo.usp_BlobDelta_PassRun @RunId, @Attempt;
        UPDATE dbo.BlobDeltaRun SET Status = @Status, ErrorMessage = @Message, RunCompletedAt = dbo.ufn_BlobDelta_UtcNow() WHERE RunId = @RunId;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RunStep', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RunStep AS RETURN 0');
GO
-- Batches of one step until it is done. A deadlock or a lock that was waited for too long costs the
-- batch alone: it is tried again, five times at most.
ALTER PROCEDURE dbo.usp_BlobDelta_RunStep
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @Step int,
    @BatchSize int,
    @BatchBytes int
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Keys bigint = 1, @Rows bigint, @Tries int;
    WHILE @Keys > 0
    BEGIN
        SET @Tries = 1;
        WHILE @Tries > 0
        BEGIN
            BEGIN TRY
                EXEC dbo.usp_BlobDelta_RunBatch @RunId, @TableName, @LeaseEpoch, @Step, @BatchSize, @Keys OUTPUT, @Rows OUTPUT, @BatchBytes;
                SET @Tries = 0;
            END TRY
            BEGIN CATCH
                IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
                IF ERROR_NUMBER() NOT IN (1204, 1205, 1222) OR @Tries >= 5 THROW;
                SET @Tries = @Tries + 1;
            END CATCH;
        END;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RunParents', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RunParents AS RETURN 0');
GO
-- Rule 7: ancestors until none that the source has is missing.
ALTER PROCEDURE dbo.usp_BlobDelta_RunParents
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @BatchSize int,
    @BatchBytes int
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Waiting bigint = 1, @Turn int = 0, @Tries int, @Message nvarchar(2000);
    WHILE @Waiting > 0
    BEGIN
        SET @Tries = 1;
        WHILE @Tries > 0
        BEGIN
            BEGIN TRY
                EXEC dbo.usp_BlobDelta_QueueMissingParents @RunId, @TableName, @LeaseEpoch, @Waiting OUTPUT;
                SET @Tries = 0;
            END TRY
            BEGIN CATCH
                IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
                IF ERROR_NUMBER() NOT IN (1204, 1205, 1222) OR @Tries >= 5 THROW;
                SET @Tries = @Tries + 1;
            END CATCH;
        END;
        SET @Turn = @Turn + 1;
        IF @Waiting > 0 AND @Turn > 512
        BEGIN
            SET @Message = CONCAT(@TableName, N': after many passes rows still lack parents that the source has; run the table when the source is quieter');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        IF @Waiting > 0 EXEC dbo.usp_BlobDelta_RunStep @RunId, @TableName, @LeaseEpoch, 2, @BatchSize, @BatchBytes;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Run', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Run AS RETURN 0');
GO
-- The engine: the tables one after the other, each failing alone. With @ResumeRunId it goes on with a
-- run that did not complete; with @TakeOver it takes leases that the run of this number, which is dead, still holds.
-- Of a table whose windows MaxWindow cuts, one call fills one slice: it has to be taken away before the next call empties it. @IsMore
-- says that there is a next one; it goes on from the watermark by itself, or after a run with @WindowFrom with @ContinuesRunId.
ALTER PROCEDURE dbo.usp_BlobDelta_Run
    @TableName nvarchar(400) = NULL,
    @BatchSize int = 500,
    @MaxDOP int = 2,
    @BusinessUnitId uniqueidentifier = NULL,
    @RequestedBy nvarchar(256) = NULL,
    @WindowFrom datetime2(7) = NULL,
    @LeaseSeconds int = 600,
    @ResumeRunId uniqueidentifier = NULL,
    @RunId uniqueidentifier = NULL OUTPUT,
    @TakeOver uniqueidentifier = NULL,
    @BatchBytes int = 268435456,
    @WindowUntil datetime2(7) = NULL,
    @ContinuesRunId uniqueidentifier = NULL,
    @IsMore bit = 0 OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Table nvarchar(400), @Epoch bigint, @IsComplete bit, @Queued bigint, @IsTree bit, @Number int, @Status nvarchar(20),
        @Message nvarchar(4000), @Failed int, @Tables int, @Script nvarchar(1000), @Attempt int = 1, @Tries int;
    IF @TakeOver IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaRun WHERE RunId = @TakeOver)
        THROW 51001, N'there is no run of the number that is to be taken over', 1;
    -- A run of its own, also where the caller's variable still holds the last one's RunId.
    SET @RunId = NULL;
    IF @ResumeRunId IS NULL
        EXEC dbo.usp_BlobDelta_StartRun @TableName, @BatchSize, @MaxDOP, @BusinessUnitId, @RequestedBy, @WindowFrom, @RunId OUTPUT,
            @WindowUntil = @WindowUntil, @ContinuesRunId = @ContinuesRunId;
    ELSE
    BEGIN
        EXEC dbo.usp_BlobDelta_ResumeRun @ResumeRunId, @Attempt OUTPUT;
        SET @RunId = @ResumeRunId;
        SET @BatchSize = (SELECT BatchSize FROM dbo.BlobDeltaRun WHERE RunId = @RunId);
    END;
    -- What an earlier call of this session left there is not this run's.
    EXEC sp_set_session_context N'BlobDeltaScript', NULL;
    SET @Table = (SELECT MIN(TableName) FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND Status NOT IN (N'Completed', N'GivenUp'));
    WHILE @Table IS NOT NULL
    BEGIN
        BEGIN TRY
            SELECT @Epoch = NULL, @Queued = NULL, @IsComplete = 0;
            SET @Tries = 1;
            WHILE @Tries > 0
            BEGIN
                BEGIN TRY
                    EXEC dbo.usp_BlobDelta_StartTable @RunId, @Table, @LeaseSeconds, @Epoch OUTPUT, @Queued OUTPUT, @IsComplete OUTPUT,
                        @Attempt = @Attempt, @TakeOver = @TakeOver;
                    SET @Tries = 0;
                END TRY
                BEGIN CATCH
                    IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
                    IF ERROR_NUMBER() NOT IN (1204, 1205, 1222) OR @Tries >= 5 THROW;
                    SET @Tries = @Tries + 1;
                END CATCH;
            END;
            IF @IsComplete = 1
                EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @Table, @Epoch;
            ELSE
            BEGIN
                SET @IsTree = (SELECT CASE WHEN ParentPathColumn IS NULL THEN 0 ELSE 1 END FROM dbo.BlobDeltaTableConfig WHERE TableName = @Table);
                -- Where no key was queued there is nothing to copy but folders that left a scope and stay there (rule 17).
                IF @Queued > 0 EXEC dbo.usp_BlobDelta_RunStep @RunId, @Table, @Epoch, 1, @BatchSize, @BatchBytes;
                IF @Queued > 0 OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue WHERE RunId = @RunId AND TableName = @Table AND Processed = 0
                )
                    EXEC dbo.usp_BlobDelta_RunParents @RunId, @Table, @Epoch, @BatchSize, @BatchBytes;
                IF @Queued > 0 AND @IsTree = 1
                BEGIN
                    EXEC dbo.usp_BlobDelta_RunStep @RunId, @Table, @Epoch, 3, @BatchSize, @BatchBytes;
                    EXEC dbo.usp_BlobDelta_RunParents @RunId, @Table, @Epoch, @BatchSize, @BatchBytes;
                END;
                SET @Tries = 1;
                WHILE @Tries > 0
                BEGIN
                    BEGIN TRY
                        EXEC dbo.usp_BlobDelta_FinishTable @RunId, @Table, @Epoch;
                        SET @Tries = 0;
                    END TRY
                    BEGIN CATCH
                        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
                        IF ERROR_NUMBER() NOT IN (1204, 1205, 1222) OR @Tries >= 5 THROW;
                        SET @Tries = @Tries + 1;
                    END CATCH;
                END;
            END;
        END TRY
        BEGIN CATCH
            SELECT @Number = ERROR_NUMBER(), @Message = CONCAT(N'error ', ERROR_NUMBER(), N': ', ERROR_MESSAGE());
            IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
            EXEC dbo.usp_BlobDelta_ScriptAtWork @Script OUTPUT;
            IF @Script IS NOT NULL SET @Message = CONCAT(@Message, N' (script ', @Script, N')');
            SET @Status = CASE @Number WHEN 51003 THEN N'Superseded' WHEN 51004 THEN N'Blocked' ELSE N'Failed' END;
            -- Where somebody else has resumed this run, that is refused, and ends this attempt.
            EXEC dbo.usp_BlobDelta_FailTable @RunId, @Table, @Epoch, @Status, @Message, @Attempt;
        END CATCH;
        SET @Table = (
            SELECT MIN(TableName) FROM dbo.BlobDeltaRunTable
            WHERE RunId = @RunId AND Status NOT IN (N'Completed', N'GivenUp') AND TableName > @Table
        );
    END;
    SELECT @Tables = COUNT(*), @Failed = COALESCE(SUM(CASE WHEN Status = N'Completed' THEN 0 ELSE 1 END), 0)
    FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId;
    SELECT
        @Status = CASE WHEN @Failed = 0 THEN N'Completed' ELSE N'Failed' END,
        @Message = CASE WHEN @Failed = 0 THEN NULL ELSE CONCAT(@Failed, N' of ', @Tables, N' tables failed') END;
    EXEC dbo.usp_BlobDelta_FinishRun @RunId, @Status, @Message, @Attempt;
    SET @IsMore = CASE WHEN EXISTS (
        SELECT 1 FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND Status = N'Completed' AND WindowEnd < WindowGoal
    ) THEN 1 ELSE 0 END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RunOperator', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RunOperator AS RETURN 0');
GO
-- What an operator or a job calls. @Mode: AllTables, or SingleTable with @TableName. Returns the RunId.
ALTER PROCEDURE dbo.usp_BlobDelta_RunOperator
    @Mode nvarchar(20) = N'AllTables',
    @TableName nvarchar(400) = NULL,
    @BatchSize int = 500,
    @MaxDOP int = 2,
    @BusinessUnitId uniqueidentifier = NULL,
    @BatchBytes int = 268435456
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @RunId uniqueidentifier;
    IF @Mode IS NULL OR @Mode NOT IN (N'AllTables', N'SingleTable') THROW 51001, N'@Mode is AllTables or SingleTable', 1;
    IF @Mode = N'SingleTable' AND @TableName IS NULL THROW 51001, N'@Mode SingleTable needs @TableName', 1;
    IF @Mode = N'AllTables' SET @TableName = NULL;
    EXEC dbo.usp_BlobDelta_Run @TableName = @TableName, @BatchSize = @BatchSize, @MaxDOP = @MaxDOP,
        @BusinessUnitId = @BusinessUnitId, @RunId = @RunId OUTPUT, @BatchBytes = @BatchBytes;
    SELECT @RunId AS RunId;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FitSlice', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FitSlice AS RETURN 0');
GO
-- Rule 24: holds the columns of a slice table against those of its source. @Changes says what differs, in one line; NULL where
-- nothing does. With @Apply the slice follows. It has to be empty: a column that differs is dropped and added, so that no
-- value is ever converted. What cannot be altered so is error 51000, with what to do.
ALTER PROCEDURE dbo.usp_BlobDelta_FitSlice
    @TableName nvarchar(400),
    @Apply bit = 0,
    @Changes nvarchar(4000) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @SourceDb nvarchar(128), @SourceSchema nvarchar(128), @SourceName nvarchar(128),
        @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @Key nvarchar(128), @Path nvarchar(128), @Parent nvarchar(128),
        @Name nvarchar(128), @Was nvarchar(300), @Is nvarchar(300), @IsOrdered bit = 0, @Full nvarchar(800), @Sql nvarchar(max),
        @Found int;
    SET @Changes = NULL;
    SELECT @SourceDb = SourceDb, @SourceSchema = SourceSchema, @SourceName = SourceTable, @Db = TargetDb, @Schema = TargetSchema,
        @Table = TargetTable, @Key = KeyColumn, @Path = PathColumn, @Parent = ParentPathColumn
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Source', @SourceDb, @SourceSchema, @SourceName;
    EXEC dbo.usp_BlobDelta_AddMetadataColumns @TableName;
    EXEC dbo.usp_BlobDelta_DropExcluded @TableName;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Target', @Db, @Schema, @Table;
    -- Key and path are always there, and large values may be left out (rule 7).
    SELECT Role, Name, Declared
            + CASE WHEN Name IN (@Key, @Path) THEN N' NOT NULL'
                WHEN IsNullable = 1 OR MaxLength = -1 OR TypeName IN (N'text', N'ntext', N'image') THEN N' NULL'
                ELSE N' NOT NULL' END AS Declared
    INTO #Shape
    FROM #Column
    WHERE Name NOT IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly');
    SELECT COALESCE(s.Name, t.Name) AS Name, t.Declared AS Was, s.Declared AS Became, CASE WHEN s.Name IS NULL THEN 0 ELSE 1 END AS IsThere
    INTO #Difference
    FROM (SELECT Name, Declared FROM #Shape WHERE Role = N'Source') AS s
    FULL OUTER JOIN (SELECT Name, Declared FROM #Shape WHERE Role = N'Target') AS t ON t.Name = s.Name
    WHERE s.Name IS NULL OR t.Name IS NULL OR s.Declared IS NULL OR t.Declared IS NULL
        OR s.Declared COLLATE Latin1_General_BIN2 <> t.Declared COLLATE Latin1_General_BIN2;
    IF NOT EXISTS (SELECT 1 FROM #Difference) RETURN 0;
    SET @Name = (SELECT MAX(Name) FROM #Difference WHERE IsThere = 1 AND Became IS NULL);
    IF @Name IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': the type of the source column ', @Name, N' cannot be carried; name it in ExcludedColumns, take it out of MetadataColumns, or change its type');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Full = QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table);
    SET @Found = (SELECT COUNT(*) FROM #Difference WHERE Name = @Key);
    IF @Found > 0 AND @Apply = 1
    BEGIN
        SET @Message = CONCAT(@TableName, N': the key column of the slice table is another one than that of the source; when what the slice holds is packed, ',
            N'blobdelta deploy (usp_BlobDelta_MakeSlice) makes it again');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Changes = N'';
    SET @Sql = CONCAT(N'USE ', QUOTENAME(@Db), N';');
    -- What the index over the order holds is dropped behind it, and it is made again.
    IF EXISTS (SELECT 1 FROM #Difference WHERE Name IN (@Path, @Parent))
        SELECT @IsOrdered = 1, @Sql = CONCAT(@Sql, N' IF INDEXPROPERTY(OBJECT_ID(N''', REPLACE(@Full, N'''', N''''''), N'''), N''IX_Order'', ''IndexID'') IS NOT NULL DROP INDEX IX_Order ON ', @Full, N';');
    SET @Name = (SELECT MIN(Name) FROM #Difference);
    WHILE @Name IS NOT NULL
    BEGIN
        SELECT @Was = Was, @Is = Became FROM #Difference WHERE Name = @Name;
        SET @Changes = LEFT(CONCAT(@Changes, CASE WHEN @Changes = N'' THEN N'' ELSE N', ' END, @Name,
            CASE WHEN @Was IS NULL THEN CONCAT(N' added (', @Is, N')')
                WHEN @Is IS NULL THEN CONCAT(N' dropped (', @Was, N')')
                ELSE CONCAT(N' changed (', @Was, N', now ', @Is, N')') END), 4000);
        IF @Was IS NOT NULL SET @Sql = CONCAT(@Sql, N' ALTER TABLE ', @Full, N' DROP COLUMN ', QUOTENAME(@Name), N';');
        IF @Is IS NOT NULL SET @Sql = CONCAT(@Sql, N' ALTER TABLE ', @Full, N' ADD ', QUOTENAME(@Name), N' ', @Is, N';');
        SET @Name = (SELECT MIN(Name) FROM #Difference WHERE Name > @Name);
    END;
    IF @Apply = 0 RETURN 0;
    IF @IsOrdered = 1
        SET @Sql = CONCAT(@Sql, N' CREATE INDEX IX_Order ON ', @Full, N' (DeltaDepth, ', QUOTENAME(@Path) + N', ', QUOTENAME(@Key),
            N') INCLUDE (', QUOTENAME(@Parent) + N', ', N'DeltaParentKey, DeltaStep, DeltaEarly, DeltaModifiedOn);');
    SET @Sql = CONCAT(@Sql, N' USE BlobDeltaJobs;');
    EXEC (@Sql);
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RefreshSlice', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RefreshSlice AS RETURN 0');
GO
-- Rule 24: empties a slice whose rows are in a bundle, or that has none, and has it follow the columns of its source.
ALTER PROCEDURE dbo.usp_BlobDelta_RefreshSlice
    @TableName nvarchar(400),
    @Changes nvarchar(4000) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Message nvarchar(2000), @Holder uniqueidentifier, @State nvarchar(20), @Db nvarchar(128), @Schema nvarchar(128),
        @Table nvarchar(128), @Sql nvarchar(max);
    EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @State OUTPUT;
    EXEC dbo.usp_BlobDelta_FitSlice @TableName, 0, @Changes OUTPUT;
    IF @Changes IS NULL RETURN 0;
    SET @Message = CASE
        WHEN EXISTS (SELECT 1 FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName AND IsRunning = 1 AND RunLeaseExpiresAt > dbo.ufn_BlobDelta_UtcNow())
            THEN CONCAT(@TableName, N': a run is at work on this table; wait for it to end')
        WHEN @State = N'Complete'
            THEN CONCAT(@TableName, N': the slice of run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' is in no bundle yet; pack it first: blobdelta pack --run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' --out FOLDER')
    END;
    IF @Message IS NOT NULL EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    SELECT @Db = TargetDb, @Schema = TargetSchema, @Table = TargetTable FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SET @Sql = CONCAT(N'DELETE FROM ', QUOTENAME(@Db), N'.', QUOTENAME(@Schema), N'.', QUOTENAME(@Table), N';
        UPDATE ', QUOTENAME(@Db), N'.dbo.BlobDeltaSlice SET State = N''Empty'', RunId = NULL WHERE TargetTable = @Table');
    EXEC sp_executesql @Sql, N'@Table nvarchar(128)', @Table = @Table;
    EXEC dbo.usp_BlobDelta_FitSlice @TableName, 1, @Changes OUTPUT;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_MakeSlice', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_MakeSlice AS RETURN 0');
GO
-- Makes the slice database and slice table of a configured table where they are missing, from the source's
-- columns, and marks the table if it is empty. One that holds rows and has no marker row is never marked.
ALTER PROCEDURE dbo.usp_BlobDelta_MakeSlice
    @TableName nvarchar(400),
    @Outcome nvarchar(100) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Message nvarchar(2000), @SourceDb nvarchar(128), @SourceSchema nvarchar(128), @SourceName nvarchar(128),
        @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @Key nvarchar(128), @Path nvarchar(128), @Parent nvarchar(128),
        @Ordinal int, @Name nvarchar(128), @Type nvarchar(300), @Large bit, @Pass int, @Columns nvarchar(max) = N'', @Sql nvarchar(max),
        @Full nvarchar(800), @Source uniqueidentifier, @Created bit = 0, @Found int, @Delta nvarchar(max), @Nullable bit,
        @Create nvarchar(300), @Holder uniqueidentifier, @State nvarchar(20), @KeyType nvarchar(20), @HadType nvarchar(20), @Differs int;
    EXEC dbo.usp_BlobDelta_ResolveTableConfig @TableName = @TableName, @KeyType = @KeyType OUTPUT, @WithTarget = 0;
    SELECT @SourceDb = SourceDb, @SourceSchema = SourceSchema, @SourceName = SourceTable, @Db = TargetDb, @Schema = TargetSchema,
        @Table = TargetTable, @Key = KeyColumn, @Path = PathColumn, @Parent = ParentPathColumn
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SET @HadType = (SELECT KeyType FROM dbo.BlobDeltaKeyType WHERE TableName = @TableName);
    -- What the job database knows of this table goes by ids of the type before.
    IF @HadType <> @KeyType AND EXISTS (SELECT 1 FROM dbo.BlobDeltaRunTable WHERE TableName = @TableName AND Status = N'Completed')
    BEGIN
        SET @Message = CONCAT(@TableName, N': its keys are of another type now than those that were captured; begin a chain under another name: blobdelta table add NEWNAME --metadata ',
            (SELECT CONCAT(MetadataDb, N'.', MetadataSchema, N'.', MetadataTable) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
            N' Source=', @SourceDb, N'.', @SourceSchema, N'.', @SourceName, N', with its other settings, and blobdelta table remove ', @TableName, N' where it is configured');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    UPDATE dbo.BlobDeltaTableConfig SET KeyType = @KeyType WHERE TableName = @TableName AND KeyType <> @KeyType;
    UPDATE dbo.BlobDeltaKeyType SET KeyType = @KeyType WHERE TableName = @TableName AND KeyType <> @KeyType;
    IF @HadType IS NULL INSERT INTO dbo.BlobDeltaKeyType (TableName, KeyType) VALUES (@TableName, @KeyType);
    SET @Source = (SELECT SourceId FROM dbo.BlobDeltaSource);
    IF QUOTENAME(@Db) IS NULL OR QUOTENAME(@Schema) IS NULL OR QUOTENAME(@Table) IS NULL
        THROW 51000, N'a target name is too long', 1;
    IF DB_ID(@Db) IS NULL
    BEGIN
        SET @Sql = N'CREATE DATABASE ' + QUOTENAME(@Db);
        EXEC (@Sql);
        -- A slice can be made again, so its log is not kept. The history of backups is there on every server that has
        -- ALTER DATABASE; a managed instance keeps every log.
        SET @Sql = N'ALTER DATABASE ' + QUOTENAME(@Db) + N' SET RECOVERY SIMPLE';
        IF OBJECT_ID(N'msdb.dbo.backupset') IS NOT NULL AND CONVERT(int, SERVERPROPERTY(N'EngineEdition')) <> 8 EXEC (@Sql);
    END;
    SET @Db = (SELECT d.name FROM sys.databases AS d WHERE d.database_id = DB_ID(@Db));
    -- The marker row of a slice table goes by its name, without its schema.
    SET @Message = (
        SELECT MAX(CONCAT(@TableName, N': the slice table of ', TableName, N' has the same name in another schema, ', TargetSchema, N'; give one of them another TargetTable'))
        FROM dbo.BlobDeltaTableConfig
        WHERE TableName <> @TableName AND TargetDb = @Db AND TargetTable = @Table AND TargetSchema <> @Schema
    );
    IF @Message IS NOT NULL EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    -- Every server makes tables in the database that is used; the second USE leads back.
    IF OBJECT_ID(QUOTENAME(@Db) + N'.[dbo].[BlobDeltaSlice]') IS NULL
    BEGIN
        SET @Sql = N'USE ' + QUOTENAME(@Db) + N';
    CREATE TABLE dbo.BlobDeltaSlice (
        TargetTable  nvarchar(128) NOT NULL CONSTRAINT PK_BlobDeltaSlice PRIMARY KEY,
        TableName    nvarchar(400) NOT NULL,
        SourceId     uniqueidentifier NOT NULL,
        RunId        uniqueidentifier NULL,
        RunStartedAt datetime2(7) NULL,
        WindowStart  datetime2(7) NULL,
        WindowEnd    datetime2(7) NULL,
        Scope        nvarchar(36) NOT NULL CONSTRAINT DF_BlobDeltaSlice_Scope DEFAULT N''all'',
        State        nvarchar(20) NOT NULL CONSTRAINT CK_BlobDeltaSlice_State CHECK (State IN (N''Empty'', N''Filling'', N''Complete'', N''Packed''))
    );
    USE BlobDeltaJobs;';
        EXEC sp_executesql @Sql;
    END;
    IF OBJECT_ID(QUOTENAME(@Db) + N'.[dbo].[BlobDeltaDeletion]') IS NULL
    BEGIN
        SET @Sql = N'USE ' + QUOTENAME(@Db) + N';
    CREATE TABLE dbo.BlobDeltaDeletion (
        TableName    nvarchar(400) NOT NULL,
        stream_id    uniqueidentifier NOT NULL,
        DeletedOn    datetime2(7) NOT NULL,
        BusinessUnit uniqueidentifier NULL,
        LoggedAt     datetime2(7) NOT NULL,
        Reason       nvarchar(20) NOT NULL
            CONSTRAINT DF_BlobDeltaDeletion_Reason DEFAULT N''Deleted''
            CONSTRAINT CK_BlobDeltaDeletion_Reason CHECK (Reason IN (N''Deleted'', N''LeftScope'')),
        CONSTRAINT PK_BlobDeltaDeletion PRIMARY KEY (TableName, stream_id)
    );
    USE BlobDeltaJobs;';
        EXEC sp_executesql @Sql;
    END;
    SET @Full = QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table);
    -- Rule 24: where another column of the source is the key or a path now, or the key is of another type, a slice of ours that
    -- holds nothing that is still needed is made anew.
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Source', @SourceDb, @SourceSchema, @SourceName;
    IF OBJECT_ID(@Full) IS NOT NULL EXEC dbo.usp_BlobDelta_ReadColumns N'Target', @Db, @Schema, @Table;
    SET @Differs = (
        SELECT COUNT(*) FROM #Column AS s INNER JOIN #Column AS t ON t.Role = N'Target' AND t.Name IN (@Key, N'DeltaParentKey')
        WHERE s.Role = N'Source' AND s.Name = @Key AND s.Declared <> t.Declared
    );
    DELETE FROM #Column;
    -- The key of a slice is its primary key, or unique where somebody made the slice by hand.
    SET @Sql = REPLACE(N'
        SELECT @Found = COUNT(*)
        FROM {Db}.sys.indexes AS i
        INNER JOIN {Db}.sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
        INNER JOIN {Db}.sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
        WHERE i.object_id = OBJECT_ID(@Full) AND i.is_unique = 1 AND i.has_filter = 0 AND c.name = @Key AND NOT EXISTS (
            SELECT 1 FROM {Db}.sys.index_columns AS o
            WHERE o.object_id = i.object_id AND o.index_id = i.index_id AND o.is_included_column = 0 AND o.column_id <> k.column_id
        )', N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@Full nvarchar(800), @Key nvarchar(128), @Found int OUTPUT', @Full = @Full, @Key = @Key, @Found = @Found OUTPUT;
    IF @Found = 0 SET @Differs = @Differs + 1;
    IF COL_LENGTH(@Full, N'DeltaStep') IS NOT NULL AND (@Differs > 0 OR COL_LENGTH(@Full, @Key) IS NULL
        OR (@Path IS NOT NULL AND COL_LENGTH(@Full, @Path) IS NULL) OR (@Parent IS NOT NULL AND COL_LENGTH(@Full, @Parent) IS NULL))
    BEGIN
        EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @State OUTPUT;
        SET @Message = CASE
            WHEN EXISTS (SELECT 1 FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName AND IsRunning = 1 AND RunLeaseExpiresAt > dbo.ufn_BlobDelta_UtcNow())
                THEN CONCAT(@TableName, N': a run is at work on this table; wait for it to end')
            WHEN @State = N'Complete'
                THEN CONCAT(@TableName, N': the slice of run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' is in no bundle yet; pack it first: blobdelta pack --run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' --out FOLDER')
        END;
        IF @Message IS NOT NULL EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        SET @Sql = CONCAT(N'USE ', QUOTENAME(@Db), N';
    DROP TABLE ', QUOTENAME(@Schema), N'.', QUOTENAME(@Table), N';
    UPDATE dbo.BlobDeltaSlice SET State = N''Empty'', RunId = NULL WHERE TargetTable = @Table;
    USE BlobDeltaJobs;');
        EXEC sp_executesql @Sql, N'@Table nvarchar(128)', @Table = @Table;
    END;
    IF OBJECT_ID(@Full) IS NULL
    BEGIN
        -- CREATE SCHEMA is a batch of its own.
        SET @Sql = CONCAT(N'USE ', QUOTENAME(@Db), N';
    IF NOT EXISTS (SELECT 1 FROM sys.schemas WHERE name = @Schema) EXEC (@Create);
    USE BlobDeltaJobs;');
        SET @Create = N'CREATE SCHEMA ' + QUOTENAME(@Schema);
        EXEC sp_executesql @Sql, N'@Schema nvarchar(128), @Create nvarchar(300)', @Schema = @Schema, @Create = @Create;
        EXEC dbo.usp_BlobDelta_ReadColumns N'Source', @SourceDb, @SourceSchema, @SourceName;
        EXEC dbo.usp_BlobDelta_AddMetadataColumns @TableName;
        EXEC dbo.usp_BlobDelta_DropExcluded @TableName;
        -- Small columns first, then the Delta columns, then the large ones.
        SET @Delta = N',
        DeltaModifiedOn datetime2(7) NULL,
        DeltaBusinessUnit uniqueidentifier NULL,
        DeltaStep tinyint NOT NULL,
        DeltaDepth smallint NOT NULL,
        DeltaParentKey ' + (SELECT Declared FROM #Column WHERE Name = @Key) + N' NULL,
        DeltaEarly bit NOT NULL';
        SET @Pass = 0;
        WHILE @Pass < 2
        BEGIN
            SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column);
            WHILE @Ordinal IS NOT NULL
            BEGIN
                SELECT
                    @Name = Name, @Nullable = IsNullable,
                    @Large = CASE WHEN MaxLength = -1 OR TypeName IN (N'text', N'ntext', N'image') THEN 1 ELSE 0 END,
                    @Type = Declared
                FROM #Column WHERE Ordinal = @Ordinal;
                IF @Type IS NULL
                BEGIN
                    SET @Message = CONCAT(@TableName, N': the type of the source column ', @Name, N' cannot be carried');
                    EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
                END;
                IF @Large = @Pass
                    SET @Columns = CONCAT(@Columns, CASE WHEN @Columns = N'' THEN N'
        ' ELSE N',
        ' END, QUOTENAME(@Name), N' ', @Type, N' ',
                        CASE WHEN @Name = @Key OR @Name = @Path THEN N'NOT NULL' WHEN @Nullable = 1 OR @Large = 1 THEN N'NULL' ELSE N'NOT NULL' END);
                SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Ordinal > @Ordinal);
            END;
            IF @Pass = 0 SET @Columns = CONCAT(@Columns, @Delta);
            SET @Pass = @Pass + 1;
        END;
        -- The second index covers everything that is asked about a slice, so that no blob is read for it.
        SET @Sql = CONCAT(N'USE ', QUOTENAME(@Db), N';
    CREATE TABLE ', QUOTENAME(@Schema), N'.', QUOTENAME(@Table), N' (', @Columns, N',
        PRIMARY KEY (', QUOTENAME(@Key), N')
    );
    CREATE INDEX IX_Order ON ', QUOTENAME(@Schema), N'.', QUOTENAME(@Table), N' (DeltaDepth, ', QUOTENAME(@Path) + N', ', QUOTENAME(@Key),
            N') INCLUDE (', QUOTENAME(@Parent) + N', ', N'DeltaParentKey, DeltaStep, DeltaEarly, DeltaModifiedOn);
    USE BlobDeltaJobs;');
        EXEC sp_executesql @Sql;
        SET @Created = 1;
    END;
    DROP TABLE #Column;
    EXEC dbo.usp_BlobDelta_ResolveTableConfig @TableName = @TableName;
    SET @Sql = CONCAT(N'SELECT @Found = COUNT(*) FROM ', QUOTENAME(@Db), N'.dbo.BlobDeltaSlice WHERE TargetTable = @Table');
    EXEC sp_executesql @Sql, N'@Table nvarchar(128), @Found int OUTPUT', @Table = @Table, @Found = @Found OUTPUT;
    IF @Found > 0
    BEGIN
        SET @Outcome = N'is marked';
        RETURN 0;
    END;
    SET @Sql = CONCAT(N'SELECT @Found = COUNT(*) FROM (SELECT TOP (1) 1 AS One FROM ', @Full, N') AS t');
    EXEC sp_executesql @Sql, N'@Found int OUTPUT', @Found = @Found OUTPUT;
    IF @Found > 0
    BEGIN
        SET @Message = CONCAT(@TableName, N': the slice table holds rows, and no marker row says that they are ours; if they can go, empty the table and call this again');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Sql = CONCAT(N'INSERT INTO ', QUOTENAME(@Db), N'.dbo.BlobDeltaSlice (TargetTable, TableName, SourceId, State) VALUES (@Table, @TableName, @Source, N''Empty'')');
    EXEC sp_executesql @Sql, N'@Table nvarchar(128), @TableName nvarchar(400), @Source uniqueidentifier', @Table = @Table, @TableName = @TableName, @Source = @Source;
    SET @Outcome = CASE WHEN @Created = 1 THEN N'created and marked' ELSE N'marked' END;
END;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 35, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version <= 35;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'05_BlobDeltaJobs_Engine.sql', 35
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql');
GO
SET NOEXEC OFF;
GO
