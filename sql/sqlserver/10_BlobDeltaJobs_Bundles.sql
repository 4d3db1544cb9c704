-- 10: bundles of complete slices, as the program publishes, records and ships them. Version 13.
--
-- Needs the engine (05); a run that publishes nothing needs nothing of it. Can be run again at any time; grants are kept.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'10_BlobDeltaJobs_Bundles.sql' AND Version > 13)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 10_BlobDeltaJobs_Bundles.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version >= 18)
BEGIN
    RAISERROR (N'The engine of this job database is missing, or older than this script. Run 05_BlobDeltaJobs_Engine.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RecordDestination', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RecordDestination AS RETURN 0');
GO
-- Rule 18: what a run is told of its bundle, in place of what it was told before.
ALTER PROCEDURE dbo.usp_BlobDelta_RecordDestination
    @RunId uniqueidentifier,
    @OutFolder nvarchar(2000),
    @ShipTo nvarchar(2000) = NULL,
    @SignedBy nvarchar(200) = NULL,
    @EncryptedTo nvarchar(max) = NULL,
    @BundleForm nvarchar(20)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    UPDATE dbo.BlobDeltaRun
    SET OutFolder = @OutFolder, ShipTo = @ShipTo, SignedBy = @SignedBy, EncryptedTo = @EncryptedTo, BundleForm = @BundleForm
    WHERE RunId = @RunId;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_PassSlice', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_PassSlice AS RETURN 0');
GO
-- For whoever reads the slice, to pack it or to back it up: renews the lease where the fence is still the
-- caller's, and checks that the slice is this run's and complete. Else error 51003.
ALTER PROCEDURE dbo.usp_BlobDelta_PassSlice
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @Message nvarchar(2000), @Holder uniqueidentifier, @State nvarchar(20);
    EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
    EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @State OUTPUT;
    IF @Holder IS NULL OR @Holder <> @RunId OR @State NOT IN (N'Complete', N'Packed')
    BEGIN
        SET @Message = CONCAT(@TableName, N': the slice is ', @State, N' and holds run ', LOWER(CONVERT(nvarchar(36), @Holder)),
            N'; it cannot be read for this run. A run whose slice was taken is never packed: start a new run');
        EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_AbsentParents', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_AbsentParents AS RETURN 0');
GO
-- Rule 7: rows of a complete slice whose parent is not in it, because the source has no such row or because it
-- is excluded, by their ids (ufn_BlobDelta_KeyId); a page of @Limit after the child @After, in the server's order of the keys.
ALTER PROCEDURE dbo.usp_BlobDelta_AbsentParents
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @After uniqueidentifier = NULL,
    @Limit int
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @Full nvarchar(800), @Key nvarchar(800),
        @ParentPath nvarchar(800), @Sql nvarchar(max), @ToId nvarchar(100), @EndOfToId nvarchar(100), @AfterKey nvarchar(200);
    IF @Limit IS NULL OR @Limit < 1 THROW 51001, N'@Limit is a number of rows, 1 at least', 1;
    EXEC dbo.usp_BlobDelta_PassSlice @RunId, @TableName, @LeaseEpoch;
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    SELECT @Db = TargetDb, @Schema = TargetSchema, @Table = TargetTable FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Target', @Db, @Schema, @Table;
    SELECT
        @Full = MAX(QUOTENAME(t.DbName) + N'.' + QUOTENAME(t.SchemaName) + N'.' + QUOTENAME(t.TableName)),
        @Key = MAX(CASE WHEN t.Name = c.KeyColumn THEN QUOTENAME(t.Name) END),
        @ParentPath = MAX(CASE WHEN t.Name = c.ParentPathColumn THEN QUOTENAME(t.Name) END)
    FROM #Column AS t
    INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = @TableName;
    DROP TABLE #Column;
    IF @ParentPath IS NULL
    BEGIN
        -- A flat table has no parents.
        SELECT CAST(NULL AS uniqueidentifier) AS Child, CAST(NULL AS uniqueidentifier) AS Parent WHERE 1 = 0;
        RETURN 0;
    END;
    SELECT @ToId = dbo.ufn_BlobDelta_KeySql(KeyType, N'ToId('), @EndOfToId = dbo.ufn_BlobDelta_KeySql(KeyType, N')ToId'),
        @AfterKey = CONCAT(dbo.ufn_BlobDelta_KeySql(KeyType, N'ToKey('), N'@After', dbo.ufn_BlobDelta_KeySql(KeyType, N')ToKey'))
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SET @Sql = CONCAT(N'
    SELECT TOP (@Limit) ', @ToId, N'c.', @Key, @EndOfToId, N' AS Child, ', @ToId, N'c.DeltaParentKey', @EndOfToId, N' AS Parent
    FROM ', @Full, N' AS c
    WHERE c.', @ParentPath, N' IS NOT NULL', CASE WHEN @After IS NULL THEN N'' ELSE CONCAT(N' AND c.', @Key, N' > ', @AfterKey) END, N'
        AND (
            c.DeltaParentKey IS NULL
            OR NOT EXISTS (SELECT 1 FROM ', @Full, N' AS p WHERE p.', @Key, N' = c.DeltaParentKey)
        )
    ORDER BY c.', @Key);
    EXEC sp_executesql @Sql, N'@After uniqueidentifier, @Limit int', @After = @After, @Limit = @Limit;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RememberContent', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RememberContent AS RETURN 0');
GO
-- Makes what a pack put aside known content of the chain, each value where its version wins (rule 14), held by the bundle with the
-- root digest @Root; or forgets the chain, where that is NULL.
-- The caller has the transaction open.
ALTER PROCEDURE dbo.usp_BlobDelta_RememberContent
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @Scope nvarchar(36),
    @Root varbinary(32)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Started datetime2(7);
    IF @Root IS NULL
        DELETE FROM dbo.BlobDeltaKnownContent WHERE TableName = @TableName AND Scope = @Scope;
    ELSE
    BEGIN
        SET @Started = (SELECT RunStartedAt FROM dbo.BlobDeltaRun WHERE RunId = @RunId);
        UPDATE k SET Sha256 = a.Sha256, RootSha256 = CASE WHEN a.Sha256 IS NULL THEN NULL ELSE COALESCE(a.RootSha256, @Root) END,
            ModifiedOn = a.ModifiedOn, RunStartedAt = @Started, RunId = @RunId
        FROM dbo.BlobDeltaKnownContent AS k
        INNER JOIN dbo.BlobDeltaContentAside AS a
            ON a.TableName = k.TableName AND a.ColumnName = k.ColumnName AND a.stream_id = k.stream_id
        WHERE k.TableName = @TableName AND k.Scope = @Scope
            AND (a.ModifiedOn > k.ModifiedOn OR (a.ModifiedOn = k.ModifiedOn AND @Started >= k.RunStartedAt))
        OPTION (RECOMPILE);
        INSERT INTO dbo.BlobDeltaKnownContent (TableName, Scope, ColumnName, stream_id, Sha256, RootSha256, ModifiedOn, RunStartedAt, RunId)
        SELECT @TableName, @Scope, a.ColumnName, a.stream_id, a.Sha256, COALESCE(a.RootSha256, @Root), a.ModifiedOn, @Started, @RunId
        FROM dbo.BlobDeltaContentAside AS a
        WHERE a.TableName = @TableName AND a.Sha256 IS NOT NULL
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaKnownContent AS k
                WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.ColumnName = a.ColumnName AND k.stream_id = a.stream_id
            )
        OPTION (RECOMPILE);
    END;
    DELETE FROM dbo.BlobDeltaContentAside WHERE TableName = @TableName;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RecordBundle', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RecordBundle AS RETURN 0');
GO
-- Rule 10: notes that the slice of a table run is in a published bundle. The caller has the transaction open, so
-- that all tables of a bundle are recorded or none. Repeated with the same root digest it does nothing.
-- With @ShipTo the bundle is owed to that destination from this transaction on, until it was shipped there.
-- @IsRequiredNow: nobody had said anything of RequireBundle, and it was set to 1. @KeepLease = 0: the lease is released
-- with it, so that a run that dies now leaves none. @Columns: those of the bundle's rows, a JSON array. @KnownRoot: the
-- root digest as bytes, where what the pack put aside is known content from now on; NULL: nothing is known of the chain any more.
ALTER PROCEDURE dbo.usp_BlobDelta_RecordBundle
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint,
    @PackNumber int,
    @Scope nvarchar(36),
    @RootSha256 nvarchar(64),
    @PreviousRootSha256 nvarchar(64) = NULL,
    @Name nvarchar(256),
    @Folder nvarchar(2000),
    @PublishedAt datetime2(7),
    @ShipTo nvarchar(2000) = NULL,
    @IsRequiredNow bit = 0 OUTPUT,
    @KeepLease bit = 1,
    @Columns nvarchar(max) = NULL,
    @KnownRoot varbinary(32) = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF @@TRANCOUNT = 0 THROW 51001, N'Call this procedure within a transaction: all tables of a bundle are recorded or none.', 1;
    DECLARE @Message nvarchar(2000), @Recorded nvarchar(64);
    SET @IsRequiredNow = 0;
    SET @Recorded = (SELECT RootSha256 FROM dbo.BlobDeltaBundle WHERE RunId = @RunId AND TableName = @TableName);
    IF @Recorded = @RootSha256
    BEGIN
        IF @KeepLease = 0 EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
        RETURN 0;
    END;
    IF @Recorded IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': this table run is recorded already, in another bundle, with the root digest ', @Recorded, N'; nothing was written');
        EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
    END;
    EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Complete';
    INSERT INTO dbo.BlobDeltaBundle (RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder, PublishedAt, ShipTo, Columns)
    VALUES (@RunId, @TableName, @PackNumber, @Scope, @RootSha256, @PreviousRootSha256, @Name, @Folder, @PublishedAt, @ShipTo, @Columns);
    UPDATE dbo.BlobDeltaRunTable SET PackNumber = @PackNumber WHERE RunId = @RunId AND TableName = @TableName;
    EXEC dbo.usp_BlobDelta_SetMarker @RunId, @TableName, N'Packed';
    UPDATE dbo.BlobDeltaTableConfig SET RequireBundle = 1 WHERE TableName = @TableName AND RequireBundle IS NULL;
    IF @@ROWCOUNT > 0 SET @IsRequiredNow = 1;
    EXEC dbo.usp_BlobDelta_RememberContent @RunId, @TableName, @Scope, @KnownRoot;
    IF @KeepLease = 0 EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_GiveUp', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_GiveUp AS RETURN 0');
GO
-- Rule 19: gives up a complete slice that is in no bundle, and releases its lease. The scope's watermark goes back
-- to where it was before the run, where it still is the run's; pending keys that the run took, logged deletions, and
-- units that it told as new, are asked for and told again. Held-back keys of the run before come by themselves: that run
-- is the previous one again. The marker names no run; the rows go when the next run fills the slice. Of
-- a run that is not known any more the marker alone is changed. Rule 1: a run that is recorded under a time that is yet to
-- come, because the server's clock ran ahead, is taken back whatever became of its slice, and its bundle is recorded no more.
ALTER PROCEDURE dbo.usp_BlobDelta_GiveUp
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @LeaseEpoch bigint
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    DECLARE @Unit uniqueidentifier, @Before datetime2(7), @After datetime2(7), @Previous uniqueidentifier,
        @NewUnits nvarchar(max), @Db nvarchar(128), @Table nvarchar(128), @Sql nvarchar(max), @Scope nvarchar(36),
        @Later uniqueidentifier, @Message nvarchar(2000);
    -- Whose answer was lost may call again.
    IF EXISTS (SELECT 1 FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName AND Status = N'GivenUp') RETURN 0;
    BEGIN TRY
        BEGIN TRANSACTION;
        IF EXISTS (SELECT 1 FROM dbo.BlobDeltaRun WHERE RunId = @RunId AND RunStartedAt > dbo.ufn_BlobDelta_UtcNow())
        BEGIN
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
            -- What came after it goes on from its watermark, and behind its bundle.
            SELECT TOP (1) @Later = r.RunId
            FROM dbo.BlobDeltaRunTable AS own
            INNER JOIN dbo.BlobDeltaRunTable AS t ON t.TableName = own.TableName AND t.Scope = own.Scope
            INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
            WHERE own.RunId = @RunId AND own.TableName = @TableName AND t.PreviousRunId = @RunId AND t.Status = N'Completed'
            ORDER BY r.RunStartedAt DESC;
            IF @Later IS NOT NULL
            BEGIN
                SET @Message = CONCAT(@TableName, N': run ', LOWER(CONVERT(nvarchar(36), @Later)),
                    N' came after this one, and goes on where it ended; nothing was given up. Where that one is recorded under a time that is yet to come too, give it up first: `blobdelta pack --run ',
                    LOWER(CONVERT(nvarchar(36), @Later)), N' --give-up`');
                EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
            END;
            DELETE FROM dbo.BlobDeltaBundle WHERE RunId = @RunId AND TableName = @TableName;
        END;
        ELSE
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Complete';
        SELECT @Unit = r.BusinessUnitId, @Before = t.WatermarkBefore, @After = t.WatermarkAfter, @Previous = t.PreviousRunId,
            @NewUnits = t.NewBusinessUnits, @Scope = t.Scope
        FROM dbo.BlobDeltaRunTable AS t INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
        WHERE t.RunId = @RunId AND t.TableName = @TableName;
        IF @Unit IS NULL
            UPDATE dbo.BlobDeltaHighWatermark
            SET LastHighWaterModifiedOn = @Before, LastRunId = @Previous,
                LastRunCompletedAt = (
                    SELECT t.CompletedAt FROM dbo.BlobDeltaRunTable AS t WHERE t.RunId = @Previous AND t.TableName = @TableName
                ),
                IsInitialFullLoadDone = CASE WHEN @Before IS NULL THEN 0 ELSE IsInitialFullLoadDone END
            WHERE TableName = @TableName AND LastHighWaterModifiedOn = @After;
        ELSE
            UPDATE dbo.BlobDeltaBusinessUnitWatermark
            SET LastHighWaterModifiedOn = @Before, LastRunId = @Previous,
                LastRunCompletedAt = (
                    SELECT t.CompletedAt FROM dbo.BlobDeltaRunTable AS t WHERE t.RunId = @Previous AND t.TableName = @TableName
                )
            WHERE TableName = @TableName AND BusinessUnitId = @Unit AND LastHighWaterModifiedOn = @After;
        INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
        SELECT
            @TableName, @Scope, q.stream_id, N'The slice of the run that had copied this key was given up', dbo.ufn_BlobDelta_UtcNow(),
            MAX(q.WithoutMetadata)
        FROM (
            SELECT w.stream_id, CASE WHEN w.IsPending = 2 THEN 1 ELSE 0 END AS WithoutMetadata
            FROM dbo.BlobDeltaWindowQueue AS w
            WHERE w.RunId = @RunId AND w.TableName = @TableName AND w.IsPending > 0 AND w.State = N'Copied'
            UNION ALL
            SELECT a.stream_id, CASE WHEN a.IsPending = 2 THEN 1 ELSE 0 END FROM dbo.BlobDeltaMissingParentsQueue AS a
            WHERE a.RunId = @RunId AND a.TableName = @TableName AND a.IsPending > 0
        ) AS q
        WHERE NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
            WHERE p.TableName = @TableName AND p.Scope = @Scope AND p.stream_id = q.stream_id
        )
        GROUP BY q.stream_id
        OPTION (RECOMPILE);
        -- What it told to have left its scope is to be told again; the slice may be another run's by now. What was logged to have
        -- left all units is due again by the log.
        INSERT INTO dbo.BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
        SELECT t.TableName, t.Scope, t.stream_id, MAX(t.DeletedOn), CASE WHEN @Unit IS NULL THEN 0 ELSE 1 END
        FROM dbo.BlobDeltaReportedDeletion AS t
        WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.RunId = @RunId AND t.IsDeletion = 0
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                WHERE k.TableName = t.TableName AND k.Scope = t.Scope AND k.stream_id = t.stream_id
            )
            AND (@Unit IS NOT NULL OR NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaDeletionLog AS l
                WHERE l.TableName = t.TableName AND l.stream_id = t.stream_id AND l.Reason = N'LeftScope' AND l.BusinessUnit IS NULL
            ))
        GROUP BY t.TableName, t.Scope, t.stream_id
        OPTION (RECOMPILE);
        DELETE FROM dbo.BlobDeltaReportedDeletion WHERE TableName = @TableName AND Scope = @Scope AND RunId = @RunId;
        -- What it brought without its blob stands whole where it did; deletions that it passed are passed no more, and parents
        -- that it brought are absent again.
        UPDATE k SET IsWhole = 1
        FROM dbo.BlobDeltaShippedKey AS k
        INNER JOIN dbo.BlobDeltaMissingParentsQueue AS q ON q.TableName = k.TableName AND q.stream_id = k.stream_id
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND q.RunId = @RunId AND q.WasWhole = 1
        OPTION (RECOMPILE);
        UPDATE dbo.BlobDeltaReportedDeletion SET PassedByRunId = NULL WHERE TableName = @TableName AND Scope = @Scope AND PassedByRunId = @RunId;
        DELETE FROM dbo.BlobDeltaKnownContent
        WHERE TableName = @TableName AND Scope = @Scope AND RunId = @RunId;
        UPDATE dbo.BlobDeltaAbsentParent SET RunId = NULL WHERE TableName = @TableName AND Scope = @Scope AND RunId = @RunId;
        SELECT @Db = d.name, @Table = c.TargetTable
        FROM dbo.BlobDeltaTableConfig AS c
        INNER JOIN sys.databases AS d ON d.database_id = DB_ID(c.TargetDb)
        WHERE c.TableName = @TableName;
        SET @Sql = REPLACE(N'INSERT INTO dbo.BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
            SELECT @TableName, @Scope, d.stream_id, d.DeletedOn, 1 FROM {Db}.[dbo].[BlobDeltaDeletion] AS d
            WHERE d.TableName = @TableName AND d.Reason = N''LeftScope''
                AND EXISTS (SELECT 1 FROM {Db}.[dbo].[BlobDeltaSlice] AS m WHERE m.TargetTable = @Table AND m.RunId = @RunId)
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = d.stream_id
                )', N'{Db}', QUOTENAME(@Db));
        IF @Unit IS NOT NULL
            EXEC sp_executesql @Sql, N'@TableName nvarchar(400), @Scope nvarchar(36), @Table nvarchar(128), @RunId uniqueidentifier',
                @TableName = @TableName, @Scope = @Scope, @Table = @Table, @RunId = @RunId;
        UPDATE dbo.BlobDeltaBusinessUnitWatermark SET IsKnownToAllRuns = 0
        WHERE TableName = @TableName AND CHARINDEX(LOWER(CONVERT(nvarchar(36), BusinessUnitId)), @NewUnits) > 0;
        UPDATE dbo.BlobDeltaRunTable SET Status = N'GivenUp' WHERE RunId = @RunId AND TableName = @TableName;
        SET @Sql = REPLACE(N'UPDATE {Db}.[dbo].[BlobDeltaSlice] SET RunId = NULL, RunStartedAt = NULL, WindowStart = NULL,
            WindowEnd = NULL, State = N''Empty'' WHERE TargetTable = @Table AND RunId = @RunId', N'{Db}', QUOTENAME(@Db));
        EXEC sp_executesql @Sql, N'@Table nvarchar(128), @RunId uniqueidentifier', @Table = @Table, @RunId = @RunId;
        EXEC dbo.usp_BlobDelta_ReleaseLease @RunId, @TableName, @LeaseEpoch;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_OweShipment', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_OweShipment AS RETURN 0');
GO
-- The n-th bundle of a run is owed to this destination, and to the one before it no longer.
ALTER PROCEDURE dbo.usp_BlobDelta_OweShipment
    @RunId uniqueidentifier,
    @PackNumber int,
    @ShipTo nvarchar(2000)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @Message nvarchar(2000);
    IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaBundle WHERE RunId = @RunId AND PackNumber = @PackNumber)
    BEGIN
        SET @Message = CONCAT(N'run ', CONVERT(nvarchar(36), @RunId), N' has no bundle ', @PackNumber, N'; nothing was written');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    UPDATE dbo.BlobDeltaBundle SET ShipTo = @ShipTo, ShippedAt = NULL WHERE RunId = @RunId AND PackNumber = @PackNumber;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_WaiveShipments', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_WaiveShipments AS RETURN 0');
GO
-- What the bundles of a run owe to destinations is owed no more; it is recorded what was waived, and when.
ALTER PROCEDURE dbo.usp_BlobDelta_WaiveShipments
    @RunId uniqueidentifier
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    BEGIN TRY
        BEGIN TRANSACTION;
        INSERT INTO dbo.BlobDeltaWaivedShipment (RunId, PackNumber, ShipTo, WaivedAt)
        SELECT DISTINCT RunId, PackNumber, ShipTo, dbo.ufn_BlobDelta_UtcNow()
        FROM dbo.BlobDeltaBundle WHERE RunId = @RunId AND ShipTo IS NOT NULL AND ShippedAt IS NULL;
        UPDATE dbo.BlobDeltaBundle SET ShipTo = NULL WHERE RunId = @RunId AND ShipTo IS NOT NULL AND ShippedAt IS NULL;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RecordShipment', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RecordShipment AS RETURN 0');
GO
-- Notes that a bundle stands whole at the destination that it was owed to. No lease is asked for: a slow network must
-- not hold one, and two who ship the same bundle there do the same. Where the bundle is owed to another destination
-- by now, or is recorded with another root digest, nothing is written.
ALTER PROCEDURE dbo.usp_BlobDelta_RecordShipment
    @RunId uniqueidentifier,
    @PackNumber int,
    @ShipTo nvarchar(2000),
    @RootSha256 nvarchar(64)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    UPDATE dbo.BlobDeltaBundle SET ShippedAt = dbo.ufn_BlobDelta_UtcNow()
    WHERE RunId = @RunId AND PackNumber = @PackNumber AND ShipTo = @ShipTo AND RootSha256 = @RootSha256;
END;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 13, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'10_BlobDeltaJobs_Bundles.sql' AND Version <= 13;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'10_BlobDeltaJobs_Bundles.sql', 13
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'10_BlobDeltaJobs_Bundles.sql');
GO
SET NOEXEC OFF;
GO
