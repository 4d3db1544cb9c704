-- 07: a look at the whole deployment. Version 48.
--
-- Needs the engine (05); the engine needs nothing of it. Can be run again at any time; grants are kept.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'07_BlobDeltaJobs_Doctor.sql' AND Version > 48)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 07_BlobDeltaJobs_Doctor.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version >= 6)
BEGIN
    RAISERROR (N'The engine of this job database is missing, or older than this script. Run 05_BlobDeltaJobs_Engine.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtRight', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtRight AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: one right of this login on one table, into #Advice where it is missing.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtRight
    @TableName nvarchar(400),
    @Db nvarchar(128),
    @Schema nvarchar(128),
    @Table nvarchar(128),
    @Needed nvarchar(20),
    @Missing int OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Bad nvarchar(20), @Has int, @Name nvarchar(800) = CONCAT(QUOTENAME(@Db), N'.', QUOTENAME(@Schema), N'.', QUOTENAME(@Table)),
        @Login nvarchar(300) = QUOTENAME(SUSER_SNAME());
    IF @Table IS NULL RETURN 0;
    SET @Bad = (SELECT CASE WHEN IsActive = 1 THEN N'error' ELSE N'warning' END FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
    IF DB_ID(@Db) IS NULL
    BEGIN
        SET @Missing = @Missing + 1;
        RETURN 0;
    END;
    IF COALESCE(HAS_DBACCESS(@Db), 0) = 0
    BEGIN
        SET @Missing = @Missing + 1;
        IF NOT EXISTS (SELECT 1 FROM #Advice WHERE Subject = CONCAT(N'rights in ', @Db))
            INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
            VALUES (@Bad, CONCAT(N'rights in ', @Db), N'this login may not enter the database',
                CONCAT(N'USE ', QUOTENAME(@Db), N'; CREATE USER ', @Login, N' FOR LOGIN ', @Login));
        RETURN 0;
    END;
    -- The function takes 128 characters and cuts the rest.
    IF LEN(@Name) > 128
    BEGIN
        SET @Missing = @Missing + 1;
        INSERT INTO #Advice (Severity, Subject, Finding)
        VALUES (N'warning', @TableName, CONCAT(N'whether this login has ', @Needed, N' on ', @Name, N' cannot be asked, the name is too long'));
        RETURN 0;
    END;
    -- NULL: there is no such table, or this login may not even see it; said once.
    SET @Has = HAS_PERMS_BY_NAME(@Name, N'OBJECT', @Needed);
    IF @Has = 1 RETURN 0;
    SET @Missing = @Missing + 1;
    -- Who administers the server sees every table there is: a GRANT on one that is not there helps nobody.
    IF (@Has IS NULL OR OBJECT_ID(@Name) IS NULL) AND COALESCE(IS_SRVROLEMEMBER(N'sysadmin'), 0) = 1
    BEGIN
        IF @Needed <> N'SELECT' RETURN 0;
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        SELECT @Bad, @TableName, CONCAT(N'there is no table ', @Name), CASE
            WHEN c.TargetDb = @Db AND (c.TargetTable = @Table OR @Table IN (N'BlobDeltaSlice', N'BlobDeltaDeletion'))
                THEN CONCAT(N'blobdelta deploy, or EXEC dbo.usp_BlobDelta_MakeSlice N''', REPLACE(@TableName, N'''', N''''''), N''', which make it again')
            ELSE N'correct its row in BlobDeltaTableConfig, with blobdelta table set'
        END
        FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName;
        RETURN 0;
    END;
    IF @Has IS NULL AND @Needed <> N'SELECT' RETURN 0;
    INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
    VALUES (@Bad, @TableName, CONCAT(N'this login lacks ', @Needed, N' on ', @Name, CASE WHEN @Has IS NULL THEN N', or there is no such table' ELSE N'' END),
        CONCAT(N'USE ', QUOTENAME(@Db), N'; GRANT ', @Needed, N' ON ', QUOTENAME(@Schema), N'.', QUOTENAME(@Table), N' TO ', @Login));
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtRights', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtRights AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: the rights that a run needs on what one table is made of.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtRights
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @Needed nvarchar(20), @Missing int = 0, @Nth int = 1;
    SELECT @Db = SourceDb, @Schema = SourceSchema, @Table = SourceTable FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    EXEC dbo.usp_BlobDelta_LookAtRight @TableName, @Db, @Schema, @Table, N'SELECT', @Missing OUTPUT;
    SELECT @Db = MetadataDb, @Schema = MetadataSchema, @Table = MetadataTable FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    EXEC dbo.usp_BlobDelta_LookAtRight @TableName, @Db, @Schema, @Table, N'SELECT', @Missing OUTPUT;
    SELECT @Db = BusinessUnitDb, @Schema = COALESCE(BusinessUnitSchema, N'dbo'), @Table = BusinessUnitTable
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    EXEC dbo.usp_BlobDelta_LookAtRight @TableName, @Db, @Schema, @Table, N'SELECT', @Missing OUTPUT;
    SELECT @Db = TargetDb, @Schema = TargetSchema, @Table = TargetTable FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    WHILE @Nth <= 4
    BEGIN
        SET @Needed = CASE @Nth WHEN 1 THEN N'SELECT' WHEN 2 THEN N'INSERT' WHEN 3 THEN N'UPDATE' ELSE N'DELETE' END;
        EXEC dbo.usp_BlobDelta_LookAtRight @TableName, @Db, @Schema, @Table, @Needed, @Missing OUTPUT;
        IF @Nth IN (1, 3) EXEC dbo.usp_BlobDelta_LookAtRight @TableName, @Db, N'dbo', N'BlobDeltaSlice', @Needed, @Missing OUTPUT;
        IF @Nth IN (1, 2, 4) EXEC dbo.usp_BlobDelta_LookAtRight @TableName, @Db, N'dbo', N'BlobDeltaDeletion', @Needed, @Missing OUTPUT;
        SET @Nth = @Nth + 1;
    END;
    IF @Missing = 0
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', @TableName, N'this login has the rights that a run needs on source, metadata, business units and slice');
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtIndex', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtIndex AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: whether an index of a table begins with a column, and goes on with @Second if that is given; if none does, a line in #Advice
-- with the statement to type.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtIndex
    @TableName nvarchar(400),
    @Db nvarchar(128),
    @Schema nvarchar(128),
    @Table nvarchar(128),
    @Column nvarchar(128),
    @Include nvarchar(800) = NULL,
    @Second nvarchar(128) = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Sql nvarchar(max), @Found int, @IsView int, @Columns nvarchar(300) = CONCAT(@Column, N', ' + @Second);
    SET @Sql = REPLACE(N'SELECT
            @IsView = MAX(CASE WHEN o.type = ''V'' THEN 1 ELSE 0 END),
            @Found = SUM(CASE WHEN k.key_ordinal = 1 AND c.name = @Column AND i.is_disabled = 0 AND i.has_filter = 0 AND (@Second IS NULL OR k2.name = @Second) THEN 1 ELSE 0 END)
        FROM {Db}.sys.objects AS o
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        LEFT JOIN {Db}.sys.indexes AS i ON i.object_id = o.object_id
        LEFT JOIN {Db}.sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
        LEFT JOIN {Db}.sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
        LEFT JOIN (
            SELECT x.object_id, x.index_id, y.name
            FROM {Db}.sys.index_columns AS x
            INNER JOIN {Db}.sys.columns AS y ON y.object_id = x.object_id AND y.column_id = x.column_id
            WHERE x.key_ordinal = 2
        ) AS k2 ON k2.object_id = i.object_id AND k2.index_id = i.index_id
        WHERE s.name = @Schema AND o.name = @Table AND o.type IN (''U'', ''V'')', N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@Schema nvarchar(128), @Table nvarchar(128), @Column nvarchar(128), @Second nvarchar(128), @Found int OUTPUT, @IsView int OUTPUT',
        @Schema = @Schema, @Table = @Table, @Column = @Column, @Second = @Second, @Found = @Found OUTPUT, @IsView = @IsView OUTPUT;
    IF @IsView = 1 AND COALESCE(@Found, 0) = 0
        INSERT INTO #Advice (Severity, Subject, Finding)
        VALUES (N'warning', @TableName, CONCAT(@Db, N'.', @Schema, N'.', @Table, N' is a view, and the indexes below it cannot be looked at here; see that ', @Columns, N' has one'));
    ELSE IF @Found = 0
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @TableName, CONCAT(N'no index of ', @Db, N'.', @Schema, N'.', @Table, N' begins with ', @Columns, N', so the whole table is read'),
            CONCAT(N'CREATE INDEX ', QUOTENAME(LEFT(CONCAT(N'IX_', @Table, N'_', @Column, N'_' + @Second), 128)), N' ON ', QUOTENAME(@Db), N'.', QUOTENAME(@Schema), N'.', QUOTENAME(@Table),
                N' (', QUOTENAME(@Column), N', ' + QUOTENAME(@Second), N')', N' INCLUDE (' + @Include + N')'));
    ELSE IF @Found > 0
        INSERT INTO #Advice (Severity, Subject, Finding)
        VALUES (N'ok', @TableName, CONCAT(N'an index of ', @Db, N'.', @Schema, N'.', @Table, N' begins with ', @Columns));
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtData', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtData AS RETURN 0');
GO
-- Rule 21, for usp_BlobDelta_Doctor and usp_BlobDelta_LookAtSamples: what the data of one table says of its
-- configuration, into #Advice of the caller.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtData
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Bad nvarchar(20), @RunStart datetime2(7), @WithDeletions bit, @Absent int, @Orphan int, @Sql nvarchar(max),
        @Name nvarchar(64), @Value nvarchar(max), @Of bigint, @Lost bigint, @ChildOf bigint = 0, @ChildLost bigint = 0,
        @UnitOf bigint = 0, @UnitKnown bigint = 0, @WithoutStamp bigint, @Future bigint, @Unknown bigint, @Logged bigint, @FutureDeletions bigint,
        @Parameters nvarchar(1000) = N'@BusinessUnitId uniqueidentifier, @RunStart datetime2(7), @Of bigint OUTPUT,
            @Lost bigint OUTPUT, @ChildOf bigint OUTPUT, @ChildLost bigint OUTPUT, @UnitOf bigint OUTPUT, @UnitKnown bigint OUTPUT,
            @WithoutStamp bigint OUTPUT, @Future bigint OUTPUT, @Unknown bigint OUTPUT';
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
    CREATE TABLE #Placeholder (Name nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, Value nvarchar(max) COLLATE DATABASE_DEFAULT NULL);
    EXEC dbo.usp_BlobDelta_ListPlaceholders @TableName, 0;
    SELECT
        @Bad = CASE WHEN IsActive = 1 THEN N'error' ELSE N'warning' END, @WithDeletions = CASE WHEN DeletedWhen IS NULL THEN IncludeDeletions ELSE 0 END,
        @Absent = AcceptedAbsentPercent, @Orphan = AcceptedOrphanPercent,
        @RunStart = CASE WHEN ModifiedOnIsUtc = 1 THEN dbo.ufn_BlobDelta_UtcNow() ELSE dbo.ufn_BlobDelta_LocalNow() END
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    -- Folders have no metadata in many systems; a row with a blob should.
    INSERT INTO #Placeholder (Name, Value)
    SELECT N'Blob', COALESCE(N's.' + QUOTENAME(MIN(Name)) + N' IS NOT NULL', N'1 = 1') FROM #Column
    WHERE Role = N'Source' AND MetadataName IS NULL AND (TypeName = N'image' OR (TypeName = N'varbinary' AND MaxLength = -1));
    SET @Sql = N'
        SELECT @Of = COUNT(*), @Lost = COALESCE(SUM(k.IsLost), 0)
        FROM (
            SELECT CASE
                WHEN EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}n.stream_id{)ToKey}) THEN 0
                ELSE 1
            END AS IsLost
            FROM (
                SELECT TOP (1000) {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id FROM {MetadataTable} AS m
                WHERE m.{MetadataIdColumn} IS NOT NULL AND {InScope}
                ORDER BY {ModifiedOn} DESC
            ) AS n
        ) AS k
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        SELECT @WithoutStamp = COUNT(*) FROM {MetadataTable} AS m WHERE {WithoutStamp} AND {InScopeOrDeleted}
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        SELECT @Future = COUNT(DISTINCT m.{MetadataIdColumn}) FROM {MetadataTable} AS m
        WHERE {FromRunStart} AND {InScopeOrDeleted}
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        SELECT @Unknown = COUNT(*) FROM {SourceTable} AS s {SourceHint}
        WHERE {Blob} AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = s.{KeyColumn})
        OPTION (RECOMPILE, MAXDOP {MaxDOP});';
    IF EXISTS (SELECT 1 FROM #Placeholder WHERE Name = N'ParentPathColumn' AND Value IS NOT NULL)
        SET @Sql = @Sql + N'
        SELECT @ChildOf = COUNT(*), @ChildLost = COALESCE(SUM(k.IsLost), 0)
        FROM (
            SELECT CASE
                WHEN EXISTS (SELECT 1 FROM {SourceTable} AS p {SourceHint} WHERE p.{PathColumn} = n.ParentPath) THEN 0
                ELSE 1
            END AS IsLost
            FROM (
                SELECT TOP (1000) s.{ParentPathColumn} AS ParentPath FROM {SourceTable} AS s {SourceHint}
                WHERE s.{ParentPathColumn} IS NOT NULL
            ) AS n
        ) AS k
        OPTION (RECOMPILE, MAXDOP {MaxDOP});';
    IF EXISTS (SELECT 1 FROM #Placeholder WHERE Name = N'MetadataBusinessUnitCol' AND Value IS NOT NULL)
        SET @Sql = @Sql + N'
        SELECT @UnitOf = COUNT(*), @UnitKnown = COALESCE(SUM(k.IsKnown), 0)
        FROM (
            SELECT CASE
                WHEN EXISTS (SELECT 1 FROM {BusinessUnitTable} AS u WHERE u.{BusinessUnitIdColumn} = n.BusinessUnit) THEN 1
                ELSE 0
            END AS IsKnown
            FROM (
                SELECT TOP (1000) m.{MetadataBusinessUnitCol} AS BusinessUnit FROM {MetadataTable} AS m
                WHERE m.{MetadataBusinessUnitCol} IS NOT NULL
                ORDER BY {ModifiedOn} DESC
            ) AS n
        ) AS k
        OPTION (RECOMPILE, MAXDOP {MaxDOP});';
    SET @Name = (SELECT MIN(Name) FROM #Placeholder WHERE Value IS NOT NULL);
    WHILE @Name IS NOT NULL
    BEGIN
        SET @Value = (SELECT Value FROM #Placeholder WHERE Name = @Name);
        SET @Sql = REPLACE(@Sql, N'{' + @Name + N'}', @Value);
        SET @Name = (SELECT MIN(Name) FROM #Placeholder WHERE Value IS NOT NULL AND Name > @Name);
    END;
    EXEC sp_executesql @Sql, @Parameters, @BusinessUnitId = NULL, @RunStart = @RunStart, @Of = @Of OUTPUT, @Lost = @Lost OUTPUT,
        @ChildOf = @ChildOf OUTPUT, @ChildLost = @ChildLost OUTPUT, @UnitOf = @UnitOf OUTPUT, @UnitKnown = @UnitKnown OUTPUT,
        @WithoutStamp = @WithoutStamp OUTPUT, @Future = @Future OUTPUT, @Unknown = @Unknown OUTPUT;
    SELECT @Logged = COUNT(*), @FutureDeletions = COALESCE(SUM(CASE WHEN DeletedOn > @RunStart THEN 1 ELSE 0 END), 0)
    FROM dbo.BlobDeltaDeletionLog WHERE TableName = @TableName;
    INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
    SELECT f.Severity, @TableName, f.Finding, f.WhatToDo
    FROM (
        SELECT 2 AS Nr, @Bad AS Severity,
            CONCAT(N'suspect: ', @Lost, N' of ', @Of, N' keys of the metadata have no row in the source, and at most ', @Absent, N' percent are accepted') AS Finding,
            N'see whether MetadataIdColumn holds the keys of the source; if so, blobdelta table set with AcceptedAbsentPercent' AS WhatToDo,
            CASE WHEN @Of >= 20 AND @Lost * 100 > @Of * @Absent THEN 1 ELSE 0 END AS IsSo
        UNION ALL SELECT 3, @Bad, CONCAT(N'suspect: ', @ChildLost, N' of ', @ChildOf, N' children have no parent in the source, and at most ', @Orphan, N' percent are accepted'),
            N'see whether PathColumn and ParentPathColumn name the right columns; if so, blobdelta table set with AcceptedOrphanPercent',
            CASE WHEN @ChildOf >= 20 AND @ChildLost * 100 > @ChildOf * @Orphan THEN 1 ELSE 0 END
        UNION ALL SELECT 4, N'warning', N'no business unit that the metadata names is in the table of business units, so no row is in scope',
            N'see MetadataBusinessUnitCol, BusinessUnit and BusinessUnitIdColumn', CASE WHEN @UnitOf > 0 AND @UnitKnown = 0 THEN 1 ELSE 0 END
        UNION ALL SELECT 5, N'warning', CONCAT(@WithoutStamp, N' rows of the metadata have no stamp, and no window takes them'),
            N'stamp them, or leave them out with MetadataFilter', CASE WHEN @WithoutStamp > 0 THEN 1 ELSE 0 END
        UNION ALL SELECT 6, N'warning', CONCAT(@Future, N' keys are stamped in the future, and wait until then'), N'correct their stamps', CASE WHEN @Future > 0 THEN 1 ELSE 0 END
        UNION ALL SELECT 7, N'warning', CONCAT(@Unknown, N' blobs of the source have no metadata row, and no window takes them'),
            N'give them one, or see MetadataIdColumn; a row whose key is NULL needs a key first', CASE WHEN @Unknown > 0 THEN 1 ELSE 0 END
        UNION ALL SELECT 8, N'warning', CONCAT(@FutureDeletions, N' logged deletions are dated in the future, and outrank every row until then'),
            N'correct DeletedOn in BlobDeltaDeletionLog', CASE WHEN @FutureDeletions > 0 THEN 1 ELSE 0 END
        UNION ALL SELECT 9, N'ok', N'no deletion of this table is logged: rows that are deleted stay with receivers',
            N'nothing, if no row is ever deleted; else log them, or let blobdelta reconcile --log-deletions do it',
            CASE WHEN @WithDeletions = 1 AND @Logged = 0 THEN 1 ELSE 0 END
    ) AS f
    WHERE f.IsSo = 1
    ORDER BY f.Nr;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtSamples', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtSamples AS RETURN 0');
GO
-- What the data of one table says of its configuration; a row a finding, none where nothing is odd.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtSamples
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    CREATE TABLE #Advice (
        Nr int IDENTITY(1, 1) NOT NULL PRIMARY KEY, Severity nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL, Subject nvarchar(800) COLLATE DATABASE_DEFAULT NOT NULL,
        Finding nvarchar(4000) COLLATE DATABASE_DEFAULT NOT NULL, WhatToDo nvarchar(4000) COLLATE DATABASE_DEFAULT NULL
    );
    EXEC dbo.usp_BlobDelta_LookAtData @TableName;
    SELECT Severity, Subject, Finding, WhatToDo FROM #Advice ORDER BY Nr;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtTable AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: configuration, templates, marker row, lease, rights and indexes of one table.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtTable
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Bad nvarchar(20), @Holder uniqueidentifier, @State nvarchar(20), @SourceDb nvarchar(128), @SourceSchema nvarchar(128),
        @SourceTable nvarchar(128), @Key nvarchar(128), @Path nvarchar(128), @MetadataDb nvarchar(128), @MetadataSchema nvarchar(128),
        @MetadataTable nvarchar(128), @Id nvarchar(128), @ModifiedOn nvarchar(128), @CreatedOn nvarchar(128), @Unit nvarchar(128), @Include nvarchar(800),
        @Require bit, @IsRunning bit, @Until datetime2(7), @Hint nvarchar(60), @Level int, @Type nvarchar(128), @Sql nvarchar(max),
        @Message nvarchar(4000), @Script nvarchar(1000), @Drift nvarchar(4000), @Policy nvarchar(10);
    SELECT
        @Policy = c.SchemaDrift, @Bad = CASE WHEN c.IsActive = 1 THEN N'error' ELSE N'warning' END, @Require = c.RequireBundle,
        @SourceDb = c.SourceDb, @SourceSchema = c.SourceSchema, @SourceTable = c.SourceTable, @Key = c.KeyColumn, @Path = c.PathColumn,
        @MetadataDb = c.MetadataDb, @MetadataSchema = c.MetadataSchema, @MetadataTable = c.MetadataTable, @Id = c.MetadataIdColumn,
        @ModifiedOn = c.MetadataModifiedOnCol, @CreatedOn = c.MetadataCreatedOnCol, @Unit = c.MetadataBusinessUnitCol, @IsRunning = h.IsRunning, @Until = h.RunLeaseExpiresAt
    FROM dbo.BlobDeltaTableConfig AS c
    LEFT JOIN dbo.BlobDeltaHighWatermark AS h ON h.TableName = c.TableName
    WHERE c.TableName = @TableName;
    -- First, because a catalog that may not be read looks like an empty one.
    EXEC dbo.usp_BlobDelta_LookAtRights @TableName;
    IF EXISTS (
        SELECT 1 FROM dbo.BlobDeltaTableConfig AS c
        WHERE c.TableName = @TableName
            AND 0 IN (HAS_DBACCESS(c.SourceDb), HAS_DBACCESS(c.TargetDb), HAS_DBACCESS(c.MetadataDb), HAS_DBACCESS(c.BusinessUnitDb))
    )
    BEGIN
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'warning', @TableName, N'configuration, slice and indexes cannot be looked at without the rights above');
        RETURN 0;
    END;
    BEGIN TRY
        EXEC dbo.usp_BlobDelta_ResolveTableConfig @TableName = @TableName, @SourceHint = @Hint OUTPUT;
        EXEC dbo.usp_BlobDelta_PrepareTable NULL, @TableName, 1;
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', @TableName, N'configuration and templates fit');
        EXEC dbo.usp_BlobDelta_FitSlice @TableName, 0, @Drift OUTPUT;
        IF @Drift IS NOT NULL
            INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
            VALUES (CASE WHEN @Policy = N'Carry' THEN N'warning' ELSE @Bad END, @TableName, LEFT(CONCAT(N'the source''s columns are not those of the slice: ', @Drift), 2000),
                CASE WHEN @Policy = N'Carry' THEN N'nothing, if it is meant: the next run carries it; what is to be left out goes into ExcludedColumns'
                    ELSE N'SchemaDrift is Refuse, so the next run fails: blobdelta table refresh has the slice follow once; what is to be left out goes into ExcludedColumns' END);
    END TRY
    BEGIN CATCH
        SET @Message = ERROR_MESSAGE();
        EXEC dbo.usp_BlobDelta_ScriptAtWork @Script OUTPUT;
        IF @Script IS NOT NULL SET @Message = CONCAT(@Message, N' (script ', @Script, N')');
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (@Bad, @TableName, @Message, CASE WHEN @Bad = N'warning' THEN N'nothing, as long as the table is not active; else correct its row in BlobDeltaTableConfig' ELSE N'correct its row in BlobDeltaTableConfig, or the template that is named, or set IsActive = 0' END);
        -- What else would be found follows from this.
        RETURN 0;
    END CATCH;
    -- Rule 25: what a login may not see of the catalog, nobody can refuse.
    IF COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(@SourceDb), N'DATABASE', N'VIEW DEFINITION'), 0) = 0
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @TableName, CONCAT(N'whether a security policy of ', @SourceDb, N' filters rows from this login cannot be seen'),
            CONCAT(N'USE ', QUOTENAME(@SourceDb), N'; GRANT VIEW DEFINITION TO ', QUOTENAME(SUSER_SNAME()), N'; for views also: GRANT SELECT ON sys.sql_expression_dependencies TO ', QUOTENAME(SUSER_SNAME())));
    IF EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND AcceptedHidden <> N'')
        INSERT INTO #Advice (Severity, Subject, Finding)
        SELECT N'warning', @TableName, CONCAT(N'accepted as not seen, and so not in its bundles as it is: ', AcceptedHidden)
        FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    BEGIN TRY
        EXEC dbo.usp_BlobDelta_ReadMarker @TableName, @Holder OUTPUT, @State OUTPUT;
        IF @State = N'Complete' AND @Require = 1
            INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
            VALUES (N'warning', @TableName, CONCAT(N'the complete slice of run ', LOWER(CONVERT(nvarchar(36), @Holder)), N' is in no bundle yet'),
                CONCAT(N'blobdelta pack --run ', LOWER(CONVERT(nvarchar(36), @Holder))));
        ELSE IF @State = N'Filling' AND COALESCE(@IsRunning, 0) = 0
            INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
            VALUES (N'warning', @TableName, CONCAT(N'the slice was left unfinished by run ', LOWER(CONVERT(nvarchar(36), @Holder))),
                CONCAT(N'blobdelta run --resume ', LOWER(CONVERT(nvarchar(36), @Holder)), N', or start a new run'));
        ELSE
            INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', @TableName, CONCAT(N'the slice is marked, and is ', @State));
    END TRY
    BEGIN CATCH
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (@Bad, @TableName, ERROR_MESSAGE(), CONCAT(N'if its rows can go, empty the slice table; then EXEC dbo.usp_BlobDelta_MakeSlice N''', REPLACE(@TableName, N'''', N''''''), N''''));
    END CATCH;
    IF @IsRunning = 1 AND @Until <= dbo.ufn_BlobDelta_UtcNow()
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @TableName, CONCAT(N'the lease of a run expired at ', CONVERT(nvarchar(27), @Until, 126), N'Z; that run died or lost its connection'), N'blobdelta run --resume RUNID, or start a new run');
    -- Reading a FileTable under READ_COMMITTED_SNAPSHOT fails without the hint.
    IF @Hint <> N''
    BEGIN
        INSERT INTO #Advice (Severity, Subject, Finding)
        SELECT N'ok', @TableName, CONCAT(N'the source is a FileTable or a view, read ', @Hint, N'; READ_COMMITTED_SNAPSHOT of ', d.name, N' is ', CASE WHEN d.is_read_committed_snapshot_on = 1 THEN N'on' ELSE N'off' END)
        FROM sys.databases AS d WHERE d.database_id = DB_ID(@SourceDb);
        IF EXISTS (SELECT 1 FROM dbo.BlobDeltaStepScript WHERE (TableName = @TableName OR TableName IS NULL) AND ScriptText LIKE N'%{SourceTable}%' AND ScriptText NOT LIKE N'%{SourceHint}%')
            OR EXISTS (SELECT 1 FROM dbo.BlobDeltaQueuePopulationScript WHERE (TableName = @TableName OR TableName IS NULL) AND ScriptText LIKE N'%{SourceTable}%' AND ScriptText NOT LIKE N'%{SourceHint}%')
            INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
            VALUES (N'warning', @TableName, N'a template reads {SourceTable} without {SourceHint}, which fails for a FileTable under READ_COMMITTED_SNAPSHOT', N'write {SourceHint} behind {SourceTable} and its alias');
    END;
    -- A file that somebody has open on the share holds a lock on its row; what is written there is in no transaction.
    IF @Hint <> N'' AND EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'dm_filestream_non_transacted_handles')
    BEGIN
        BEGIN TRY
            SET @Sql = N'SELECT @Level = COUNT(*) FROM sys.dm_filestream_non_transacted_handles AS h WHERE h.database_id = DB_ID(@Db)';
            EXEC sp_executesql @Sql, N'@Db nvarchar(128), @Level int OUTPUT', @Db = @SourceDb, @Level = @Level OUTPUT;
            IF @Level > 0
                INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
                VALUES (N'warning', @TableName, CONCAT(@Level, N' files of ', @SourceDb, N' are open on its share: a batch waits for such a row, and a write by the share is in no transaction that rule 2 could see'),
                    CONCAT(N'see SELECT * FROM sys.dm_filestream_non_transacted_handles; run when they are closed, and keep SafetyBufferMinutes above the longest that a file is open'));
        END TRY
        BEGIN CATCH
            INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'warning', @TableName, CONCAT(N'which files are open on the share cannot be told: ', ERROR_MESSAGE()));
        END CATCH;
    END;
    -- Exact comparison of datetime with datetime2 begins with level 130.
    SET @Level = (SELECT d.compatibility_level FROM sys.databases AS d WHERE d.database_id = DB_ID());
    IF @Level < 130
    BEGIN
        SET @Sql = REPLACE(N'SELECT @Type = MAX(y.name) FROM {Db}.sys.columns AS c
            INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
            INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
            INNER JOIN {Db}.sys.types AS y ON y.user_type_id = c.system_type_id
            WHERE s.name = @Schema AND o.name = @Table AND c.name = @Column', N'{Db}', QUOTENAME(@MetadataDb));
        EXEC sp_executesql @Sql, N'@Schema nvarchar(128), @Table nvarchar(128), @Column nvarchar(128), @Type nvarchar(128) OUTPUT',
            @Schema = @MetadataSchema, @Table = @MetadataTable, @Column = @ModifiedOn, @Type = @Type OUTPUT;
        IF @Type = N'datetime'
            INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
            VALUES (N'error', @TableName, CONCAT(@ModifiedOn, N' is a datetime, and below compatibility level 130 the job database compares it with the window inexactly'), N'ALTER DATABASE BlobDeltaJobs SET COMPATIBILITY_LEVEL = 130');
    END;
    SET @Include = CONCAT(QUOTENAME(@Id), N', ' + QUOTENAME(@Unit));
    EXEC dbo.usp_BlobDelta_LookAtIndex @TableName, @SourceDb, @SourceSchema, @SourceTable, @Key;
    IF @Path IS NOT NULL EXEC dbo.usp_BlobDelta_LookAtIndex @TableName, @SourceDb, @SourceSchema, @SourceTable, @Path;
    EXEC dbo.usp_BlobDelta_LookAtIndex @TableName, @MetadataDb, @MetadataSchema, @MetadataTable, @ModifiedOn, @Include, @CreatedOn;
    SET @Include = CONCAT(QUOTENAME(@ModifiedOn), N', ' + QUOTENAME(@CreatedOn), N', ' + QUOTENAME(@Unit));
    EXEC dbo.usp_BlobDelta_LookAtIndex @TableName, @MetadataDb, @MetadataSchema, @MetadataTable, @Id, @Include;
    EXEC dbo.usp_BlobDelta_LookAtData @TableName;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtJobRights', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtJobRights AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: which rights this login lacks in the job database, and who may write what is the deployer's.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtJobRights
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Login nvarchar(300) = QUOTENAME(SUSER_SNAME()), @Lacks nvarchar(400), @Wider nvarchar(400), @IsAdmin bit;
    IF OBJECT_ID(N'dbo.usp_BlobDelta_ListTables', N'P') IS NULL
    BEGIN
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', N'rights in BlobDeltaJobs', N'there is no role for the account that runs', N'run script 11_BlobDeltaJobs_Rights.sql, or blobdelta deploy');
        RETURN 0;
    END;
    CREATE TABLE #Kind (Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, IsDeployers bit NOT NULL);
    EXEC dbo.usp_BlobDelta_ListTables;
    DELETE FROM #Kind WHERE OBJECT_ID(N'dbo.' + Name) IS NULL;
    SET @IsAdmin = CASE WHEN COALESCE(IS_SRVROLEMEMBER(N'sysadmin'), 0) = 1 OR COALESCE(IS_MEMBER(N'db_owner'), 0) = 1 THEN 1 ELSE 0 END;
    -- Filled scripts write these as the caller, so the right to execute is not enough.
    SET @Lacks = (
        SELECT MIN(Name) FROM #Kind
        WHERE IsDeployers = 0 AND 0 IN (
            COALESCE(HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'SELECT'), 0), COALESCE(HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'INSERT'), 0),
            COALESCE(HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'UPDATE'), 0), COALESCE(HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'DELETE'), 0)
        )
    );
    IF @Lacks IS NULL AND COALESCE(HAS_PERMS_BY_NAME(N'dbo.usp_BlobDelta_StartTable', N'OBJECT', N'EXECUTE'), 0) = 0
        SET @Lacks = N'usp_BlobDelta_StartTable';
    IF @Lacks IS NOT NULL
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'error', N'rights in BlobDeltaJobs', CONCAT(N'this login lacks a right on ', @Lacks, N' that a run needs'),
            CONCAT(N'USE BlobDeltaJobs; ALTER ROLE BlobDeltaRunner ADD MEMBER ', @Login, N' (its user there); if it is one, run script 11_BlobDeltaJobs_Rights.sql again'));
    ELSE
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', N'rights in BlobDeltaJobs', N'what a run needs');
    SET @Wider = (
        SELECT MIN(Name) FROM #Kind
        WHERE IsDeployers = 1 AND 1 IN (
            HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'INSERT'), HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'UPDATE'),
            HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'DELETE'), HAS_PERMS_BY_NAME(N'dbo.' + Name, N'OBJECT', N'ALTER')
        )
    );
    IF @IsAdmin = 1
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'ok', N'rights in BlobDeltaJobs', N'this login administers the job database, which deploying and adding tables need',
            N'let runs be a login of their own, a member of BlobDeltaRunner: this one carries out whatever a script template says');
    ELSE IF @Wider IS NOT NULL
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', N'rights in BlobDeltaJobs', CONCAT(N'this login may write ', @Wider, N', which is the deployer''s: what stands there is carried out with the rights of whoever runs next'),
            CONCAT(N'USE BlobDeltaJobs; REVOKE INSERT, UPDATE, DELETE, ALTER, CONTROL ON SCHEMA::dbo FROM ', @Login, N'; ALTER ROLE BlobDeltaRunner ADD MEMBER ', @Login));
    -- Everybody else, where the catalog tells: roles of the database, and rights on the database, its schema or one of these tables.
    INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
    SELECT N'warning', N'rights in BlobDeltaJobs', CONCAT(m.name, N' is a member of ', r.name, N', and may write or change script templates and configuration'),
        CONCAT(N'if it is not a deployer: USE BlobDeltaJobs; ALTER ROLE ', QUOTENAME(r.name), N' DROP MEMBER ', QUOTENAME(m.name))
    FROM sys.database_role_members AS x
    INNER JOIN sys.database_principals AS r ON r.principal_id = x.role_principal_id
    INNER JOIN sys.database_principals AS m ON m.principal_id = x.member_principal_id
    WHERE r.name IN (N'db_datawriter', N'db_ddladmin', N'db_securityadmin') AND m.name <> N'dbo';
    INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
    SELECT N'warning', N'rights in BlobDeltaJobs',
        CONCAT(u.name, N' has ', p.permission_name, N' on ', CASE p.class WHEN 0 THEN N'the database' WHEN 3 THEN N'schema dbo' ELSE OBJECT_NAME(p.major_id) END,
            N', and may write or change script templates and configuration'),
        CONCAT(N'if it is not a deployer: USE BlobDeltaJobs; REVOKE ', p.permission_name,
            CASE p.class WHEN 0 THEN N'' WHEN 3 THEN N' ON SCHEMA::dbo' ELSE CONCAT(N' ON dbo.', QUOTENAME(OBJECT_NAME(p.major_id))) END, N' FROM ', QUOTENAME(u.name))
    FROM sys.database_permissions AS p
    INNER JOIN sys.database_principals AS u ON u.principal_id = p.grantee_principal_id
    WHERE p.state IN (N'G', N'W') AND p.permission_name IN (N'INSERT', N'UPDATE', N'DELETE', N'ALTER', N'CONTROL', N'TAKE OWNERSHIP', N'ALTER ANY SCHEMA')
        AND u.name <> N'dbo'
        AND (p.class = 0 OR (p.class = 3 AND p.major_id = SCHEMA_ID(N'dbo'))
            OR (p.class = 1 AND OBJECT_NAME(p.major_id) IN (SELECT k.Name FROM #Kind AS k WHERE k.IsDeployers = 1)));
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtTemplates', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtTemplates AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: script templates that one table has for itself. Whether the shared ones are as they were shipped, the
-- program tells, which has their texts.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtTemplates
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
    SELECT N'warning', s.TableName, CONCAT(N'the script ', s.ScriptName, N' of this table alone stands in place of the shared one'),
        N'see that it is yours; the row of BlobDeltaStepScript or BlobDeltaQueuePopulationScript can be deleted'
    FROM (
        SELECT TableName, ScriptName FROM dbo.BlobDeltaStepScript WHERE TableName IS NOT NULL
        UNION ALL SELECT TableName, QueueName FROM dbo.BlobDeltaQueuePopulationScript WHERE TableName IS NOT NULL
    ) AS s;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtServer', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtServer AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: versions of the scripts, rights in the job database and on the server, clock.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtServer
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Utc datetime2(7) = dbo.ufn_BlobDelta_UtcNow(), @Local datetime2(7) = dbo.ufn_BlobDelta_LocalNow(), @Last datetime2(7),
        @Login nvarchar(300) = QUOTENAME(SUSER_SNAME());
    INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
    SELECT
        CASE WHEN v.Version = w.Version THEN N'ok' ELSE N'error' END, w.Script,
        CASE WHEN v.Version IS NULL THEN N'was not run' ELSE CONCAT(N'version ', v.Version, N', run at ', CONVERT(nvarchar(27), v.AppliedAt, 126), N'Z') END,
        CASE WHEN v.Version = w.Version THEN NULL ELSE CONCAT(N'run version ', w.Version, N' of this script, or blobdelta deploy') END
    FROM (
        SELECT N'03_BlobDeltaJobs_Schema.sql' AS Script, 21 AS Version
        UNION ALL SELECT N'04_BlobDeltaJobs_Seed_Config.sql', 27
        UNION ALL SELECT N'05_BlobDeltaJobs_Engine.sql', 35
        UNION ALL SELECT N'07_BlobDeltaJobs_Doctor.sql', 48
        UNION ALL SELECT N'08_BlobDeltaJobs_Prune.sql', 6
        UNION ALL SELECT N'09_BlobDeltaJobs_Servers.sql', 7
        UNION ALL SELECT N'10_BlobDeltaJobs_Bundles.sql', 13
        UNION ALL SELECT N'11_BlobDeltaJobs_Rights.sql', 6
    ) AS w
    LEFT JOIN dbo.BlobDeltaSchemaVersion AS v ON v.Script = w.Script;
    IF EXISTS (
        SELECT 1 FROM dbo.BlobDeltaKnownServer
        WHERE ServerIdentity = dbo.ufn_BlobDelta_ServerIdentity()
            AND (DatabaseGuid = dbo.ufn_BlobDelta_DatabaseGuid() OR DatabaseGuid = N'' OR dbo.ufn_BlobDelta_DatabaseGuid() = N'')
    )
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', N'server', CONCAT(N'the job database knows ', dbo.ufn_BlobDelta_ServerIdentity()));
    ELSE
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'error', N'server', CONCAT(N'the job database does not know ', dbo.ufn_BlobDelta_ServerIdentity(), N': it moved, or is a copy, and every run is refused'),
            N'blobdelta deploy --moved (EXEC dbo.usp_BlobDelta_AddServer) where the original moved here; blobdelta deploy --copied (EXEC dbo.usp_BlobDelta_BecomeOwnSource) where this is a copy');
    EXEC dbo.usp_BlobDelta_LookAtJobRights;
    EXEC dbo.usp_BlobDelta_LookAtTemplates;
    IF NOT EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'dm_tran_database_transactions')
        INSERT INTO #Advice (Severity, Subject, Finding)
        VALUES (N'warning', N'open transactions', N'this server does not show them: a window ends at the buffer alone, and the manifest says lag_only');
    ELSE IF COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER STATE'), 0) = 0
        AND COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, N'VIEW SERVER PERFORMANCE STATE'), 0) = 0
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', N'open transactions', N'this login may not look for them: a change whose transaction is open for longer than the buffer is missed, and the manifest says lag_only',
            CONCAT(N'USE master; GRANT VIEW SERVER STATE TO ', @Login));
    ELSE
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', N'open transactions', N'this login may look for them');
    -- Of runs by which a later one is bound, as usp_BlobDelta_CheckClock has them.
    SET @Last = (
        SELECT MAX(r.RunStartedAt) FROM dbo.BlobDeltaRun AS r
        WHERE EXISTS (SELECT 1 FROM dbo.BlobDeltaRunTable AS t WHERE t.RunId = r.RunId AND t.Status = N'Completed')
            OR EXISTS (SELECT 1 FROM dbo.BlobDeltaBundle AS b WHERE b.RunId = r.RunId)
    );
    IF @Last > @Utc
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'error', N'clock', CONCAT(N'it says ', CONVERT(nvarchar(27), @Utc, 126), N'Z, before the last run''s start ', CONVERT(nvarchar(27), @Last, 126), N'Z'),
            N'set the server''s clock right; a window computed from it would lose changes');
    ELSE
        INSERT INTO #Advice (Severity, Subject, Finding)
        VALUES (N'ok', N'clock', CONCAT(CONVERT(nvarchar(27), @Utc, 126), N'Z; local time is ', CONVERT(int, ROUND(DATEDIFF(second, @Utc, @Local) / 60.0, 0)), N' minutes from UTC'));
    IF ABS(DATEDIFF(minute, @Utc, SYSUTCDATETIME())) > 1
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', N'clock', N'dbo.ufn_BlobDelta_UtcNow was replaced and does not give the server''s time, as tests do it', N'DROP FUNCTION dbo.ufn_BlobDelta_UtcNow, then run script 03 again');
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_LookAtDatabase', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_LookAtDatabase AS RETURN 0');
GO
-- For usp_BlobDelta_Doctor: collation, compatibility level and free space of one database.
ALTER PROCEDURE dbo.usp_BlobDelta_LookAtDatabase
    @Db nvarchar(128)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Collation nvarchar(128), @Own nvarchar(128), @Temporary nvarchar(128), @Level int, @Sql nvarchar(max), @Free bigint, @Total bigint,
        @IsSlice bit, @Recovery nvarchar(60), @Versioned bit, @Subject nvarchar(200) = CONCAT(N'database ', @Db);
    SELECT @Collation = d.collation_name, @Level = d.compatibility_level, @IsSlice = CASE WHEN EXISTS (
            SELECT 1 FROM dbo.BlobDeltaTableConfig AS c WHERE DB_ID(c.TargetDb) = d.database_id
        ) THEN 1 ELSE 0 END, @Recovery = d.recovery_model_desc, @Versioned = d.is_read_committed_snapshot_on
    FROM sys.databases AS d WHERE d.database_id = DB_ID(@Db);
    SET @Own = (SELECT d.collation_name FROM sys.databases AS d WHERE d.database_id = DB_ID());
    IF @Collation = @Own
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', @Subject, CONCAT(N'collation ', @Collation));
    ELSE
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @Subject, CONCAT(N'collation ', COALESCE(@Collation, N'unknown'), N', and the job database has ', @Own),
            N'nothing for the shared templates; where one of your own compares text of both, it needs COLLATE DATABASE_DEFAULT');
    SET @Temporary = (SELECT d.collation_name FROM sys.databases AS d WHERE d.database_id = DB_ID(N'tempdb'));
    IF @Db = DB_NAME() AND @Temporary <> @Own
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @Subject, CONCAT(N'temporary tables have the collation ', @Temporary, N', and the job database has ', @Own),
            N'nothing for the shared templates; in one of your own, text of a temporary table needs COLLATE DATABASE_DEFAULT');
    IF @Db = DB_NAME() AND @Versioned = 0
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @Subject, N'READ_COMMITTED_SNAPSHOT is off: status, doctor and --plan wait for a batch that is at work',
            CONCAT(N'when nothing runs: ALTER DATABASE ', QUOTENAME(@Db), N' SET READ_COMMITTED_SNAPSHOT ON'));
    IF @IsSlice = 1 AND @Recovery <> N'SIMPLE'
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @Subject, CONCAT(N'recovery model ', @Recovery, N': every row of a slice stands in its log until that is backed up, as much as the blobs have'),
            CONCAT(N'a slice can be made again from its source: ALTER DATABASE ', QUOTENAME(@Db), N' SET RECOVERY SIMPLE, unless your backups need its log'));
    IF @Level >= 130
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'ok', @Subject, CONCAT(N'compatibility level ', @Level));
    ELSE
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', @Subject, CONCAT(N'compatibility level ', @Level, N', and everything here was made for 130 and later'),
            CONCAT(N'ALTER DATABASE ', QUOTENAME(@Db), N' SET COMPATIBILITY_LEVEL = 130'));
    IF NOT EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'dm_os_volume_stats')
    BEGIN
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'warning', @Subject, N'this server does not tell how much space is free');
        RETURN 0;
    END;
    BEGIN TRY
        SET @Sql = N'SELECT TOP (1) @Free = v.available_bytes, @Total = v.total_bytes
            FROM sys.master_files AS f CROSS APPLY sys.dm_os_volume_stats(f.database_id, f.file_id) AS v
            WHERE f.database_id = DB_ID(@Db) AND f.type IN (0, 2) ORDER BY v.available_bytes';
        EXEC sp_executesql @Sql, N'@Db nvarchar(128), @Free bigint OUTPUT, @Total bigint OUTPUT', @Db = @Db, @Free = @Free OUTPUT, @Total = @Total OUTPUT;
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (CASE WHEN @Free >= @Total / 10 THEN N'ok' ELSE N'warning' END, @Subject,
            COALESCE(N'its fullest volume has ' + CONVERT(nvarchar(20), @Free / 1048576) + N' MiB free of ' + CONVERT(nvarchar(20), @Total / 1048576),
                N'how much space is free cannot be told: the server says nothing of its volumes'),
            CASE WHEN @Free < @Total / 10 THEN N'make room: a first full load needs as much as the blobs have' END);
    END TRY
    BEGIN CATCH
        INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'warning', @Subject, CONCAT(N'how much space is free cannot be told: ', ERROR_MESSAGE()));
    END CATCH;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Doctor', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Doctor AS RETURN 0');
GO
-- Looks at the whole deployment; changes nothing. One row a finding, ok or warning or error, with what to do.
-- What cannot be looked at is a warning that says so.
ALTER PROCEDURE dbo.usp_BlobDelta_Doctor
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: what it finds wrong would end it.', 1;
    DECLARE @Db nvarchar(128), @Table nvarchar(400);
    CREATE TABLE #Advice (
        Nr int IDENTITY(1, 1) NOT NULL PRIMARY KEY, Severity nvarchar(10) COLLATE DATABASE_DEFAULT NOT NULL, Subject nvarchar(800) COLLATE DATABASE_DEFAULT NOT NULL,
        Finding nvarchar(4000) COLLATE DATABASE_DEFAULT NOT NULL, WhatToDo nvarchar(4000) COLLATE DATABASE_DEFAULT NULL
    );
    EXEC dbo.usp_BlobDelta_LookAtServer;
    CREATE TABLE #Database (Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY);
    INSERT INTO #Database (Name)
    SELECT DISTINCT d.name
    FROM sys.databases AS d
    WHERE d.database_id = DB_ID() OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaTableConfig AS c
        WHERE d.database_id IN (DB_ID(c.SourceDb), DB_ID(c.TargetDb), DB_ID(c.MetadataDb), DB_ID(COALESCE(c.BusinessUnitDb, c.SourceDb)))
    );
    SET @Db = (SELECT MIN(Name) FROM #Database);
    WHILE @Db IS NOT NULL
    BEGIN
        EXEC dbo.usp_BlobDelta_LookAtDatabase @Db;
        SET @Db = (SELECT MIN(Name) FROM #Database WHERE Name > @Db);
    END;
    IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE IsActive = 1)
        INSERT INTO #Advice (Severity, Subject, Finding, WhatToDo)
        VALUES (N'warning', N'tables', N'no active table is configured', N'blobdelta table add, or an INSERT into BlobDeltaTableConfig');
    -- Of a table that is not active, and whose source is not there, nothing is to be said: script 04 seeds two.
    CREATE TABLE #Looked (TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY);
    INSERT INTO #Looked (TableName)
    SELECT TableName FROM dbo.BlobDeltaTableConfig
    WHERE IsActive = 1
        OR OBJECT_ID(QUOTENAME(SourceDb) + N'.' + QUOTENAME(SourceSchema) + N'.' + QUOTENAME(SourceTable)) IS NOT NULL;
    SET @Table = (SELECT MIN(TableName) FROM #Looked);
    WHILE @Table IS NOT NULL
    BEGIN
        BEGIN TRY
            EXEC dbo.usp_BlobDelta_LookAtTable @Table;
        END TRY
        BEGIN CATCH
            INSERT INTO #Advice (Severity, Subject, Finding) VALUES (N'warning', @Table, CONCAT(N'not all of it can be looked at: ', ERROR_MESSAGE()));
        END CATCH;
        SET @Table = (SELECT MIN(TableName) FROM #Looked WHERE TableName > @Table);
    END;
    SELECT Severity, Subject, Finding, WhatToDo FROM #Advice ORDER BY Nr;
END;
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 48, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'07_BlobDeltaJobs_Doctor.sql' AND Version <= 48;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'07_BlobDeltaJobs_Doctor.sql', 48
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'07_BlobDeltaJobs_Doctor.sql');
GO
SET NOEXEC OFF;
GO
