-- 05: the engine. Version 13.
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
-- A script that fails is named to whoever asks: usp_BlobDelta_FillScript and usp_BlobDelta_Execute say in the
-- session's context which one they work on, and an error leaves it standing there. That holds too where a
-- server's error passes TRY/CATCH by. usp_BlobDelta_ScriptAtWork reads it.
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
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version > 13)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 05_BlobDeltaJobs_Engine.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version >= 5)
BEGIN
    RAISERROR (N'The tables of this job database are older than this engine. Run 03_BlobDeltaJobs_Schema.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
-- These two are the one place where the engine reads the server's clock, so that a test can move it.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_UtcNow', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_UtcNow() RETURNS datetime2(7) AS BEGIN RETURN SYSUTCDATETIME(); END');
GO
-- The offset is of whole minutes; rounding takes out the moment between the two readings.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_LocalNow', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_LocalNow() RETURNS datetime2(7) AS
BEGIN
    RETURN DATEADD(minute, CONVERT(int, ROUND(DATEDIFF(second, SYSUTCDATETIME(), SYSDATETIME()) / 60.0, 0)), dbo.ufn_BlobDelta_UtcNow());
END');
GO
-- The most bytes that a value of a slice can have; a file of a FileTable may have more.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_LargestValue', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_LargestValue() RETURNS bigint AS BEGIN RETURN 2147483647; END');
GO
-- Whether an error says that a lock was waited for too long.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_IsLocked', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_IsLocked(@Number int) RETURNS bit AS BEGIN RETURN CASE WHEN @Number = 1222 THEN 1 ELSE 0 END; END');
GO
-- Rule 30: a table's name is the same in any case of its letters, under every collation. The door of each procedure that is
-- called with one: from there on the name is as it is configured. One that is not configured is left as it is.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_TableName', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_TableName(@TableName nvarchar(400)) RETURNS nvarchar(400) AS
BEGIN
    RETURN COALESCE(
        (SELECT MAX(TableName) FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        (SELECT MAX(TableName) FROM dbo.BlobDeltaTableConfig WHERE LOWER(TableName) = LOWER(@TableName)),
        @TableName
    );
END');
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RespellKeys', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RespellKeys AS RETURN 0');
GO
-- Rule 30, within a transaction: what others have written of a table under another spelling of its name counts. A job database
-- whose collation goes by case would not find it, so it is spelled as configured there.
ALTER PROCEDURE dbo.usp_BlobDelta_RespellKeys
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF N'a' COLLATE DATABASE_DEFAULT = N'A' COLLATE DATABASE_DEFAULT RETURN 0;
    UPDATE dbo.BlobDeltaDeletionLog SET TableName = @TableName
    WHERE LOWER(TableName) = LOWER(@TableName) AND TableName <> @TableName;
    UPDATE dbo.BlobDeltaPendingKey SET TableName = @TableName
    WHERE LOWER(TableName) = LOWER(@TableName) AND TableName <> @TableName AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS o
        WHERE o.TableName = @TableName AND o.Scope = dbo.BlobDeltaPendingKey.Scope AND o.stream_id = dbo.BlobDeltaPendingKey.stream_id
    );
    UPDATE dbo.BlobDeltaExcludedKey SET TableName = @TableName
    WHERE LOWER(TableName) = LOWER(@TableName) AND TableName <> @TableName AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS o WHERE o.TableName = @TableName AND o.stream_id = dbo.BlobDeltaExcludedKey.stream_id
    );
END;
GO
-- These two are the one place that says on which server the job database stands, so that a test can move it. A
-- failover cluster instance has one name on all its nodes; replicas of an availability group have each its own.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_ServerIdentity', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_ServerIdentity() RETURNS nvarchar(256) AS
BEGIN
    RETURN COALESCE(CONVERT(nvarchar(256), SERVERPROPERTY(''ServerName'')), @@SERVERNAME, N''a server without a name'');
END');
GO
-- Only one database should ever have this guid, and RESTORE makes a new one for a database that was not there, so a
-- copy on the same server is noticed too. Empty where the server has no such view, or does not show the row.
IF OBJECT_ID(N'dbo.ufn_BlobDelta_DatabaseGuid', N'FN') IS NULL AND OBJECT_ID(N'sys.database_recovery_status') IS NOT NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_DatabaseGuid() RETURNS nvarchar(36) AS
BEGIN
    RETURN COALESCE((SELECT LOWER(CONVERT(nvarchar(36), database_guid)) FROM sys.database_recovery_status
        WHERE database_id = DB_ID()), N'''');
END');
GO
IF OBJECT_ID(N'dbo.ufn_BlobDelta_DatabaseGuid', N'FN') IS NULL
    EXEC (N'CREATE FUNCTION dbo.ufn_BlobDelta_DatabaseGuid() RETURNS nvarchar(36) AS BEGIN RETURN N''''; END');
GO
-- The first deployment notes its server. Another one is noted by usp_BlobDelta_AddServer alone.
INSERT INTO dbo.BlobDeltaKnownServer (ServerIdentity, DatabaseGuid)
SELECT dbo.ufn_BlobDelta_ServerIdentity(), dbo.ufn_BlobDelta_DatabaseGuid()
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaKnownServer);
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CheckServer', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CheckServer AS RETURN 0');
GO
-- Rule 28: that the job database knows the server on which it stands. A copy has the same SourceId, and would go on
-- with the original's chains.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckServer
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Here nvarchar(256) = dbo.ufn_BlobDelta_ServerIdentity(), @Guid nvarchar(36) = dbo.ufn_BlobDelta_DatabaseGuid();
    IF EXISTS (
        SELECT 1 FROM dbo.BlobDeltaKnownServer
        WHERE ServerIdentity = @Here AND (DatabaseGuid = @Guid OR DatabaseGuid = N'' OR @Guid = N'')
    )
        RETURN 0;
    SET @Message = CONCAT(N'this job database was deployed on ',
        COALESCE((SELECT MAX(RTRIM(ServerIdentity + N' ' + DatabaseGuid)) FROM dbo.BlobDeltaKnownServer
            WHERE FirstSeenAt = (SELECT MAX(FirstSeenAt) FROM dbo.BlobDeltaKnownServer)), N'a server that it forgot'),
        N', and stands on ', RTRIM(@Here + N' ' + @Guid), N' now; nothing was changed. If the original moved here, or this is its failover partner, ',
        N'EXEC dbo.usp_BlobDelta_AddServer (or blobdelta deploy --moved); if this is a copy, EXEC dbo.usp_BlobDelta_BecomeOwnSource ',
        N'(or blobdelta deploy --copied), which makes it a source of its own');
    SET @Message = REPLACE(@Message, N'%', N'%%');
    EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Throw', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Throw AS RETURN 0');
GO
-- An error of ours whose text holds names: THROW takes a % in it for the beginning of a format.
ALTER PROCEDURE dbo.usp_BlobDelta_Throw
    @Number int,
    @Message nvarchar(2000)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET @Message = REPLACE(@Message, N'%', N'%%');
    THROW @Number, @Message, 1;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadCatalog', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadCatalog AS RETURN 0');
GO
-- Reads the columns of all that the tables of #Chosen are configured with into #BlobDeltaCatalog, both of the caller, so
-- that usp_BlobDelta_ReadColumns finds them there: one query a database, because a server takes as long to say it of
-- one table as of many. What cannot be read here is told by whoever needs it.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadCatalog
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Db nvarchar(128), @Object int, @Objects nvarchar(max), @Sql nvarchar(max);
    CREATE TABLE #Object (DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, ObjectId int NULL);
    INSERT INTO #Object (DbName, ObjectId)
    SELECT d.name, OBJECT_ID(QUOTENAME(d.name) + N'.' + QUOTENAME(p.SchemaName) + N'.' + QUOTENAME(p.TableName))
    FROM (
        SELECT c.SourceDb AS DbName, c.SourceSchema AS SchemaName, c.SourceTable AS TableName
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        UNION
        SELECT c.MetadataDb, c.MetadataSchema, c.MetadataTable
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        UNION
        SELECT c.TargetDb, c.TargetSchema, c.TargetTable
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        UNION
        SELECT c.BusinessUnitDb, COALESCE(c.BusinessUnitSchema, N'dbo'), c.BusinessUnitTable
        FROM dbo.BlobDeltaTableConfig AS c INNER JOIN #Chosen AS k ON k.TableName = c.TableName
        WHERE c.BusinessUnitDb IS NOT NULL AND c.BusinessUnitTable IS NOT NULL
    ) AS p
    INNER JOIN sys.databases AS d ON d.database_id = DB_ID(p.DbName);
    SET @Db = (SELECT MIN(DbName) FROM #Object WHERE ObjectId IS NOT NULL);
    WHILE @Db IS NOT NULL
    BEGIN
        SET @Object = (SELECT MIN(ObjectId) FROM #Object WHERE DbName = @Db);
        SET @Objects = CONVERT(nvarchar(20), @Object);
        WHILE @Object IS NOT NULL
        BEGIN
            SET @Object = (SELECT MIN(ObjectId) FROM #Object WHERE DbName = @Db AND ObjectId > @Object);
            IF @Object IS NOT NULL SET @Objects = @Objects + N', ' + CONVERT(nvarchar(20), @Object);
        END;
        SET @Sql = REPLACE(N'
            INSERT INTO #BlobDeltaCatalog (DbName, ObjectId, Ordinal, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
                NumberScale, IsNullable, IsComputed, CollationName)
            SELECT @Db, c.object_id, c.column_id, s.name, o.name, c.name, y.name, c.max_length, c.precision,
                c.scale, c.is_nullable, c.is_computed, c.collation_name
            FROM {Db}.sys.columns AS c
            INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
            INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
            INNER JOIN {Db}.sys.types AS y
                ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
            WHERE o.type IN (''U'', ''V'') AND o.object_id IN (', N'{Db}', QUOTENAME(@Db)) + @Objects + N')';
        BEGIN TRY
            EXEC sp_executesql @Sql, N'@Db nvarchar(128)', @Db = @Db;
        END TRY
        BEGIN CATCH
            DELETE FROM #BlobDeltaCatalog WHERE DbName = @Db;
        END CATCH;
        SET @Db = (SELECT MIN(DbName) FROM #Object WHERE ObjectId IS NOT NULL AND DbName > @Db);
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadColumns', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadColumns AS RETURN 0');
GO
-- Reads the columns of a table or view into #Column of the caller, from a #BlobDeltaCatalog if there is one and it is in
-- it, else from the server's. None: there is no such table.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadColumns
    @Role nvarchar(20),
    @Db nvarchar(128),
    @Schema nvarchar(128),
    @Table nvarchar(128)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Sql nvarchar(max), @Name nvarchar(128), @ObjectId int;
    SET @Name = (SELECT d.name FROM sys.databases AS d WHERE d.database_id = DB_ID(@Db));
    IF @Name IS NULL
    BEGIN
        SET @Message = CONCAT(N'there is no database ', @Db, N', or this login may not see it');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF OBJECT_ID(N'tempdb..#BlobDeltaCatalog') IS NOT NULL
    BEGIN
        SET @ObjectId = OBJECT_ID(QUOTENAME(@Name) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table));
        INSERT INTO #Column (Role, Ordinal, DbName, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
            NumberScale, IsNullable, IsComputed, CollationName)
        SELECT @Role, Ordinal, DbName, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
            NumberScale, IsNullable, IsComputed, CollationName
        FROM #BlobDeltaCatalog WHERE DbName = @Name AND ObjectId = @ObjectId;
        IF @@ROWCOUNT > 0 RETURN 0;
    END;
    SET @Sql = REPLACE(N'
        INSERT INTO #Column (Role, Ordinal, DbName, SchemaName, TableName, Name, TypeName, MaxLength, NumberPrecision,
            NumberScale, IsNullable, IsComputed, CollationName)
        SELECT @Role, c.column_id, @Name, s.name, o.name, c.name, y.name, c.max_length, c.precision,
            c.scale, c.is_nullable, c.is_computed, c.collation_name
        FROM {Db}.sys.columns AS c
        INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        INNER JOIN {Db}.sys.types AS y
            ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
        WHERE s.name = @Schema AND o.name = @Table AND o.type IN (''U'', ''V'')', N'{Db}', QUOTENAME(@Name));
    EXEC sp_executesql @Sql,
        N'@Role nvarchar(20), @Name nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128)',
        @Role = @Role, @Name = @Name, @Schema = @Schema, @Table = @Table;
    IF NOT EXISTS (SELECT 1 FROM #Column WHERE Role = @Role)
    BEGIN
        SET @Message = CONCAT(N'there is no table ', @Db, N'.', @Schema, N'.', @Table, N', or this login may not see it',
            CASE WHEN @Role = N'Target' THEN N'; a slice table that was dropped is made again by blobdelta deploy, or usp_BlobDelta_MakeSlice' ELSE N'' END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ReadFilter', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ReadFilter AS RETURN 0');
GO
-- What a MetadataFilter says of a row of the metadata table, AS m, as a condition: Column=value[,value...]. A value
-- with a comma, a quote or blanks at its ends stands in single quotes, and a single quote in it is doubled. The
-- column is spelled as in the catalog (#Column of the caller), and a value is a literal of its type. No SQL.
ALTER PROCEDURE dbo.usp_BlobDelta_ReadFilter
    @FilterText nvarchar(2000),
    @Condition nvarchar(4000) OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Rest nvarchar(2000), @At int, @Asked nvarchar(2000), @Column nvarchar(128), @TypeName nvarchar(128),
        @MaxLength int, @Length int, @Type nvarchar(200), @IsText bit, @Value nvarchar(2000), @IsQuoted bit, @More bit = 1, @Fits bit,
        @Sql nvarchar(max), @Values nvarchar(max) = N'';
    SET @Condition = N'(1 = 1)';
    IF @FilterText IS NULL RETURN 0;
    SET @At = CHARINDEX(N'=', @FilterText);
    IF @At = 0
        SET @Message = N'has no equals sign';
    ELSE
    BEGIN
        SET @Asked = LTRIM(RTRIM(SUBSTRING(@FilterText, 1, @At - 1)));
        SELECT @Column = MAX(Name), @TypeName = MAX(TypeName), @MaxLength = MAX(MaxLength)
        FROM #Column WHERE Role = N'Metadata' AND LOWER(Name) = LOWER(@Asked);
        IF @Column IS NULL
            SET @Message = CONCAT(N'names the column ', @Asked, N', which the metadata table does not have');
        ELSE IF @MaxLength = -1 OR @TypeName NOT IN (N'bit', N'tinyint', N'smallint', N'int', N'bigint', N'uniqueidentifier',
            N'char', N'varchar', N'nchar', N'nvarchar')
            SET @Message = CONCAT(N'is of the column ', @Column, N', ', @TypeName,
                N'; it can be of whole numbers, bit, texts with a length and uniqueidentifier');
    END;
    SET @IsText = CASE WHEN @TypeName IN (N'char', N'varchar', N'nchar', N'nvarchar') THEN 1 ELSE 0 END;
    SET @Length = CASE WHEN @TypeName IN (N'nchar', N'nvarchar') THEN @MaxLength / 2 ELSE @MaxLength END;
    SET @Type = @TypeName + CASE WHEN @IsText = 1 THEN CONCAT(N'(', @Length, N')') ELSE N'' END;
    SET @Rest = SUBSTRING(@FilterText, @At + 1, 2000);
    WHILE @More = 1 AND @Message IS NULL
    BEGIN
        SELECT @Rest = LTRIM(@Rest), @Value = N'', @IsQuoted = CASE WHEN LEFT(LTRIM(@Rest), 1) = N'''' THEN 1 ELSE 0 END;
        IF @IsQuoted = 0
        BEGIN
            SET @At = CHARINDEX(N',', @Rest);
            SET @More = CASE WHEN @At > 0 THEN 1 ELSE 0 END;
            SET @Value = RTRIM(CASE WHEN @At > 0 THEN SUBSTRING(@Rest, 1, @At - 1) ELSE @Rest END);
            SET @Rest = CASE WHEN @At > 0 THEN SUBSTRING(@Rest, @At + 1, 2000) ELSE N'' END;
            IF @Value = N'' SET @Message = N'has an empty value, which has to be written in quotes';
            IF CHARINDEX(N'''', @Value) > 0 SET @Message = N'has a single quote in a value without quotes around it';
        END;
        WHILE @IsQuoted = 1 AND @Message IS NULL
        BEGIN
            -- From the opening quote, or from a doubled one, to the next.
            SET @Rest = SUBSTRING(@Rest, 2, 2000);
            SET @At = CHARINDEX(N'''', @Rest);
            IF @At = 0
                SET @Message = N'has a single quote that is never closed';
            ELSE
            BEGIN
                SET @Value = CONCAT(@Value, SUBSTRING(@Rest, 1, @At - 1));
                SET @Rest = SUBSTRING(@Rest, @At + 1, 2000);
                IF LEFT(@Rest, 1) = N''''
                    SET @Value = CONCAT(@Value, N'''');
                ELSE
                BEGIN
                    SET @IsQuoted = 0;
                    SET @Rest = LTRIM(@Rest);
                    SET @More = CASE WHEN LEFT(@Rest, 1) = N',' THEN 1 ELSE 0 END;
                    IF @More = 0 AND @Rest <> N'' SET @Message = N'has something between a closing quote and the next comma';
                    SET @Rest = SUBSTRING(@Rest, 2, 2000);
                END;
            END;
        END;
        IF @Message IS NULL
        BEGIN
            SET @Fits = 1;
            IF @IsText = 1
                SET @Fits = CASE WHEN LEN(CONCAT(@Value, N'.')) - 1 > @Length THEN 0 ELSE 1 END;
            ELSE IF @TypeName = N'bit'
                SET @Fits = CASE WHEN LOWER(@Value) IN (N'0', N'1', N'true', N'false') THEN 1 ELSE 0 END;
            ELSE IF @Value = N''
                SET @Fits = 0;
            ELSE
            BEGIN
                SET @Sql = CONCAT(N'SET @Fits = CASE WHEN TRY_CONVERT(', @Type, N', @Value) IS NULL THEN 0 ELSE 1 END');
                EXEC sp_executesql @Sql, N'@Value nvarchar(2000), @Fits bit OUTPUT', @Value = @Value, @Fits = @Fits OUTPUT;
            END;
            IF @Fits = 0
                SET @Message = CONCAT(N'has the value ', @Value, N', which the column ', @Column, N', ', @Type, N', cannot have');
            SET @Values = CONCAT(@Values, CASE WHEN @Values = N'' THEN N'' ELSE N', ' END,
                N'CONVERT(', @Type, N', N''', REPLACE(@Value, N'''', N''''''), N''')');
        END;
    END;
    IF LEN(@Values) > 3800 SET @Message = N'has too many values';
    IF @Message IS NOT NULL
    BEGIN
        SET @Message = CONCAT(N'the MetadataFilter ', REPLACE(@Message, N'%', N'%%'),
            N'; write Column=value[,value...], values with commas or quotes in single quotes');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Condition = CONCAT(N'(m.', QUOTENAME(@Column), N' IN (', @Values, N'))');
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListHidden', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListHidden AS RETURN 0');
GO
-- Rule 25: what this login does not see of a table or view as it is, into #Hidden of the caller: columns that are masked
-- for it, columns under Always Encrypted, and tables whose rows a security policy filters. A view shows what lies below it,
-- if the login may look that up. Policies that a login may not see are not told; doctor says where that is so.
ALTER PROCEDURE dbo.usp_BlobDelta_ListHidden
    @Role nvarchar(20),
    @Db nvarchar(128),
    @Schema nvarchar(128),
    @Table nvarchar(128)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Sql nvarchar(max), @Object int, @Found int = 1, @IsView int;
    SET @Object = OBJECT_ID(QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table));
    CREATE TABLE #Below (ObjectId int NOT NULL PRIMARY KEY);
    INSERT INTO #Below (ObjectId) SELECT @Object WHERE @Object IS NOT NULL;
    SET @IsView = CASE WHEN OBJECT_ID(QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table), N'V') IS NULL THEN 0 ELSE 1 END;
    IF @IsView = 1 AND HAS_PERMS_BY_NAME(QUOTENAME(@Db) + N'.sys.sql_expression_dependencies', N'OBJECT', N'SELECT') = 1
    BEGIN
        SET @Sql = REPLACE(N'INSERT INTO #Below (ObjectId)
            SELECT DISTINCT d.referenced_id FROM {Db}.sys.sql_expression_dependencies AS d
            INNER JOIN #Below AS b ON b.ObjectId = d.referencing_id
            WHERE d.referenced_id IS NOT NULL AND d.referenced_database_name IS NULL
                AND NOT EXISTS (SELECT 1 FROM #Below AS k WHERE k.ObjectId = d.referenced_id);
            SET @Found = @@ROWCOUNT;', N'{Db}', QUOTENAME(@Db));
        WHILE @Found > 0 EXEC sp_executesql @Sql, N'@Found int OUTPUT', @Found = @Found OUTPUT;
    END;
    -- The right to see a masked column is one of the database; since SQL Server 2022 also of a schema, a table or a column.
    SET @Sql = REPLACE(N'INSERT INTO #Hidden (Role, Name, ColumnName, Kind)
        SELECT @Role, CONCAT(@Db, N''.'', s.name, N''.'', o.name, N''.'', c.name), c.name,
            CASE WHEN c.encryption_type IS NOT NULL THEN N''encrypted'' ELSE N''masked'' END
        FROM {Db}.sys.columns AS c
        INNER JOIN {Db}.sys.objects AS o ON o.object_id = c.object_id
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        INNER JOIN #Below AS b ON b.ObjectId = c.object_id
        WHERE c.encryption_type IS NOT NULL OR (
            c.is_masked = 1 AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(@Db), N''DATABASE'', N''UNMASK''), 0) = 0
            AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(@Db) + N''.'' + QUOTENAME(s.name) + N''.'' + QUOTENAME(o.name), N''OBJECT'', N''UNMASK'', c.name, N''COLUMN''), 0) = 0
        )', N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@Role nvarchar(20), @Db nvarchar(128)', @Role = @Role, @Db = @Db;
    IF NOT EXISTS (SELECT 1 FROM sys.all_objects WHERE name = N'security_predicates') RETURN 0;
    -- A filter holds for everybody, sysadmin too.
    SET @Sql = REPLACE(N'INSERT INTO #Hidden (Role, Name, ColumnName, Kind)
        SELECT DISTINCT @Role, CONCAT(@Db, N''.'', s.name, N''.'', o.name), NULL, N''filtered''
        FROM {Db}.sys.security_predicates AS p
        INNER JOIN {Db}.sys.security_policies AS y ON y.object_id = p.object_id
        INNER JOIN {Db}.sys.objects AS o ON o.object_id = p.target_object_id
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        INNER JOIN #Below AS b ON b.ObjectId = p.target_object_id
        WHERE y.is_enabled = 1 AND p.predicate_type = 0', N'{Db}', QUOTENAME(@Db));
    EXEC sp_executesql @Sql, N'@Role nvarchar(20), @Db nvarchar(128)', @Role = @Role, @Db = @Db;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_CheckHidden', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_CheckHidden AS RETURN 0');
GO
-- Rule 25: refuses a table of which this login does not see all, unless AcceptedHidden names what it does not see. The
-- columns by which keys, stamps, units and places are known cannot be accepted: a mask makes them one and the same.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckHidden
    @TableName nvarchar(400)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Role nvarchar(20), @Db nvarchar(128), @Schema nvarchar(128), @Table nvarchar(128), @Nth int = 1,
        @Name nvarchar(700), @Kind nvarchar(20), @Names nvarchar(1000), @Accepted nvarchar(4000);
    CREATE TABLE #Hidden (
        Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(700) COLLATE DATABASE_DEFAULT NOT NULL,
        ColumnName nvarchar(128) COLLATE DATABASE_DEFAULT NULL, Kind nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL
    );
    WHILE @Nth <= 3
    BEGIN
        SELECT
            @Role = CASE @Nth WHEN 1 THEN N'Source' WHEN 2 THEN N'Metadata' ELSE N'Unit' END,
            @Db = CASE @Nth WHEN 1 THEN SourceDb WHEN 2 THEN MetadataDb ELSE BusinessUnitDb END,
            @Schema = CASE @Nth WHEN 1 THEN SourceSchema WHEN 2 THEN MetadataSchema ELSE COALESCE(BusinessUnitSchema, N'dbo') END,
            @Table = CASE @Nth WHEN 1 THEN SourceTable WHEN 2 THEN MetadataTable ELSE BusinessUnitTable END,
            @Accepted = CONCAT(N',', REPLACE(AcceptedHidden, N', ', N','), N',')
        FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
        IF @Db IS NOT NULL AND @Table IS NOT NULL EXEC dbo.usp_BlobDelta_ListHidden @Role, @Db, @Schema, @Table;
        SET @Nth = @Nth + 1;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Hidden) RETURN 0;
    -- Of metadata and units a few columns are read, of the source all.
    DELETE h FROM #Hidden AS h INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = @TableName
    WHERE h.ColumnName IS NOT NULL AND (
        (h.Role = N'Metadata' AND h.ColumnName NOT IN (c.MetadataIdColumn, c.MetadataModifiedOnCol, COALESCE(c.MetadataBusinessUnitCol, N'')))
        OR (h.Role = N'Unit' AND h.ColumnName <> COALESCE(c.BusinessUnitIdColumn, N''))
    );
    SET @Name = (
        SELECT MIN(h.Name) FROM #Hidden AS h INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = @TableName
        WHERE h.ColumnName IS NOT NULL AND (
            h.Kind = N'encrypted' OR h.Role <> N'Source'
            OR h.ColumnName IN (c.KeyColumn, COALESCE(c.PathColumn, N''), COALESCE(c.ParentPathColumn, N''))
        )
    );
    IF @Name IS NOT NULL
    BEGIN
        SET @Kind = (SELECT MIN(Kind) FROM #Hidden WHERE Name = @Name);
        SET @Message = CONCAT(@TableName, N': ', @Name, N' is ', @Kind, N' for this login, and the column is needed as it is; ', CASE @Kind
            WHEN N'encrypted' THEN N'values under Always Encrypted cannot be copied on the server: let SourceTable or MetadataTable name a view without the column'
            ELSE N'let this login see it: GRANT UNMASK TO ' + QUOTENAME(SUSER_SNAME())
        END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    SET @Names = N'';
    SET @Name = (SELECT MIN(Name) FROM #Hidden WHERE CHARINDEX(CONCAT(N',', Name, N','), @Accepted) = 0);
    WHILE @Name IS NOT NULL
    BEGIN
        SET @Kind = (SELECT MIN(Kind) FROM #Hidden WHERE Name = @Name);
        IF LEN(@Names) < 800 SET @Names = CONCAT(@Names, CASE WHEN @Names = N'' THEN N'' ELSE N',' END, @Name);
        SET @Message = CONCAT(@Message, CASE WHEN @Message IS NULL THEN N'' ELSE N'; ' END, @Name, CASE @Kind WHEN N'filtered' THEN N' has its rows filtered' ELSE N' is masked' END);
        SET @Name = (SELECT MIN(Name) FROM #Hidden WHERE CHARINDEX(CONCAT(N',', Name, N','), @Accepted) = 0 AND Name > @Name);
    END;
    IF @Names = N'' RETURN 0;
    SET @Message = CONCAT(@TableName, N': this login does not see all of it: ', LEFT(@Message, 700), N'. Let it see (GRANT UNMASK; a predicate that lets it by), or accept it by name: blobdelta table set "',
        @TableName, N'" "AcceptedHidden=', @Names, N'", and every manifest says so');
    EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListPlaceholders', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListPlaceholders AS RETURN 0');
GO
-- Holds the configuration of a table against the catalog, and lists in #Placeholder what the braces of a script
-- stand for, names quoted as they go into it. #Placeholder, #Column and #BlobDeltaCatalog are the caller's. Whatever does
-- not fit is error 51000.
ALTER PROCEDURE dbo.usp_BlobDelta_ListPlaceholders
    @TableName nvarchar(400),
    @WithTarget bit = 1,
    @MaxDOP int = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @SourceDb nvarchar(128), @SourceSchema nvarchar(128), @SourceName nvarchar(128),
        @TargetDb nvarchar(128), @TargetSchema nvarchar(128), @TargetName nvarchar(128),
        @MetadataDb nvarchar(128), @MetadataSchema nvarchar(128), @MetadataName nvarchar(128),
        @UnitDb nvarchar(128), @UnitSchema nvarchar(128), @UnitName nvarchar(128), @IsUtc bit, @SafetyBufferMinutes int,
        @KeyColumn nvarchar(128), @PathColumn nvarchar(128), @ParentPathColumn nvarchar(128), @MetadataIdColumn nvarchar(128),
        @MetadataModifiedOnCol nvarchar(128), @MetadataBusinessUnitCol nvarchar(128), @BusinessUnitIdColumn nvarchar(128),
        @KeyType nvarchar(128), @PathType nvarchar(128), @ParentPathType nvarchar(128), @IdType nvarchar(128),
        @ModifiedOnType nvarchar(128), @OfUnitType nvarchar(128), @UnitIdType nvarchar(128), @Own nvarchar(128), @BadPath nvarchar(128),
        @IsFileTable int, @SourceTable nvarchar(800), @TargetTable nvarchar(800), @MetadataTable nvarchar(800),
        @UnitTable nvarchar(800), @SliceSchema nvarchar(800), @Name nvarchar(128), @DeltaColumns int, @Lacks int,
        @TargetColumns nvarchar(max), @SourceColumns nvarchar(max), @AncestorColumns nvarchar(max), @RowBytes nvarchar(max) = N'0', @Ordinal int,
        @Quoted nvarchar(300), @IsLarge bit, @Sql nvarchar(max), @FilterText nvarchar(2000), @Filter nvarchar(4000);
    DELETE FROM #Column;
    DELETE FROM #Placeholder;
    SELECT
        @SourceDb = SourceDb, @SourceSchema = SourceSchema, @SourceName = SourceTable,
        @TargetDb = TargetDb, @TargetSchema = TargetSchema, @TargetName = TargetTable,
        @MetadataDb = MetadataDb, @MetadataSchema = MetadataSchema, @MetadataName = MetadataTable,
        @UnitDb = BusinessUnitDb, @UnitSchema = COALESCE(BusinessUnitSchema, N'dbo'), @UnitName = BusinessUnitTable,
        @KeyColumn = KeyColumn, @PathColumn = PathColumn, @ParentPathColumn = ParentPathColumn,
        @MetadataIdColumn = MetadataIdColumn, @MetadataModifiedOnCol = MetadataModifiedOnCol,
        @MetadataBusinessUnitCol = MetadataBusinessUnitCol, @BusinessUnitIdColumn = BusinessUnitIdColumn,
        @SafetyBufferMinutes = SafetyBufferMinutes, @IsUtc = ModifiedOnIsUtc, @FilterText = MetadataFilter
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    IF @SourceName IS NULL
    BEGIN
        SET @Message = CONCAT(N'the table ', @TableName, N' is not configured in BlobDeltaTableConfig');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF @IsUtc = 0 AND @SafetyBufferMinutes < 120
    BEGIN
        SET @Message = CONCAT(@TableName, N': a table in local time needs SafetyBufferMinutes of 120 at least, because one hour of a year comes twice');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF (@PathColumn IS NULL AND @ParentPathColumn IS NOT NULL)
    BEGIN
        SET @Message = CONCAT(@TableName, N': ParentPathColumn needs PathColumn');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    IF @MetadataBusinessUnitCol IS NOT NULL AND (@UnitDb IS NULL OR @UnitName IS NULL OR @BusinessUnitIdColumn IS NULL)
    BEGIN
        SET @Message = CONCAT(@TableName, N': MetadataBusinessUnitCol needs BusinessUnitDb, BusinessUnitTable and BusinessUnitIdColumn');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Source', @SourceDb, @SourceSchema, @SourceName;
    EXEC dbo.usp_BlobDelta_ReadColumns N'Metadata', @MetadataDb, @MetadataSchema, @MetadataName;
    IF @UnitName IS NOT NULL AND @UnitDb IS NOT NULL
        EXEC dbo.usp_BlobDelta_ReadColumns N'Unit', @UnitDb, @UnitSchema, @UnitName;
    SELECT
        @KeyType = MAX(CASE WHEN Role = N'Source' AND Name = @KeyColumn THEN TypeName END),
        @PathType = MAX(CASE WHEN Role = N'Source' AND Name = @PathColumn THEN TypeName END),
        @ParentPathType = MAX(CASE WHEN Role = N'Source' AND Name = @ParentPathColumn THEN TypeName END),
        @IdType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataIdColumn THEN TypeName END),
        @ModifiedOnType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataModifiedOnCol THEN TypeName END),
        @OfUnitType = MAX(CASE WHEN Role = N'Metadata' AND Name = @MetadataBusinessUnitCol THEN TypeName END),
        @UnitIdType = MAX(CASE WHEN Role = N'Unit' AND Name = @BusinessUnitIdColumn THEN TypeName END),
        @Own = MAX(CASE
            WHEN Role = N'Source' AND Name IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly') THEN Name
        END),
        @BadPath = MAX(CASE
            WHEN Role = N'Source' AND Name IN (@PathColumn, @ParentPathColumn)
                AND TypeName NOT IN (N'hierarchyid', N'uniqueidentifier', N'binary', N'varbinary') THEN Name
        END),
        @SourceDb = MAX(CASE WHEN Role = N'Source' THEN DbName END),
        @SourceTable = MAX(CASE WHEN Role = N'Source' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END),
        @MetadataTable = MAX(CASE WHEN Role = N'Metadata' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END),
        @UnitTable = MAX(CASE WHEN Role = N'Unit' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END)
    FROM #Column;
    SET @Message = CASE
        WHEN @KeyColumn IS NOT NULL AND @KeyType IS NULL THEN CONCAT(N'KeyColumn names the column ', @KeyColumn, N', which is not there')
        WHEN @PathColumn IS NOT NULL AND @PathType IS NULL THEN CONCAT(N'PathColumn names the column ', @PathColumn, N', which is not there')
        WHEN @ParentPathColumn IS NOT NULL AND @ParentPathType IS NULL
            THEN CONCAT(N'ParentPathColumn names the column ', @ParentPathColumn, N', which is not there')
        WHEN @MetadataIdColumn IS NOT NULL AND @IdType IS NULL
            THEN CONCAT(N'MetadataIdColumn names the column ', @MetadataIdColumn, N', which is not there')
        WHEN @MetadataModifiedOnCol IS NOT NULL AND @ModifiedOnType IS NULL
            THEN CONCAT(N'MetadataModifiedOnCol names the column ', @MetadataModifiedOnCol, N', which is not there')
        WHEN @MetadataBusinessUnitCol IS NOT NULL AND @OfUnitType IS NULL
            THEN CONCAT(N'MetadataBusinessUnitCol names the column ', @MetadataBusinessUnitCol, N', which is not there')
        WHEN @UnitName IS NOT NULL AND @UnitIdType IS NULL
            THEN CONCAT(N'BusinessUnitIdColumn names the column ', @BusinessUnitIdColumn, N', which is not there')
        WHEN @KeyType <> N'uniqueidentifier'
            THEN CONCAT(N'the key column ', @KeyColumn, N' is ', @KeyType, N', and has to be uniqueidentifier')
        WHEN @ModifiedOnType NOT IN (N'datetime2', N'datetime', N'smalldatetime')
            THEN CONCAT(N'the column of change ', @MetadataModifiedOnCol, N' is ', @ModifiedOnType, N', and has to be datetime2, datetime or smalldatetime')
        WHEN @IdType NOT IN (N'uniqueidentifier', N'char', N'varchar', N'nchar', N'nvarchar', N'binary', N'varbinary')
            THEN CONCAT(N'MetadataIdColumn names ', @MetadataIdColumn, N', which is ', @IdType, N' and cannot hold the keys of the source')
        WHEN @IdType <> N'uniqueidentifier'
            THEN CONCAT(N'MetadataIdColumn ', @MetadataIdColumn, N' is ', @IdType, N', and has to be uniqueidentifier, or no index on it can be used and a text that is none ends a run late')
        WHEN @OfUnitType <> N'uniqueidentifier'
            THEN CONCAT(N'MetadataBusinessUnitCol ', @MetadataBusinessUnitCol, N' is ', @OfUnitType, N', and has to be uniqueidentifier')
        WHEN @UnitIdType <> N'uniqueidentifier'
            THEN CONCAT(N'BusinessUnitIdColumn ', @BusinessUnitIdColumn, N' is ', @UnitIdType, N', and has to be uniqueidentifier')
        WHEN @Own IS NOT NULL THEN CONCAT(N'the source has a column ', @Own, N', a name that the slice needs for itself')
        WHEN @BadPath IS NOT NULL
            THEN CONCAT(N'the path column ', @BadPath, N' has to be hierarchyid, a binary type or uniqueidentifier')
    END;
    IF @Message IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': ', @Message);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    EXEC dbo.usp_BlobDelta_ReadFilter @FilterText = @FilterText, @Condition = @Filter OUTPUT;
    EXEC dbo.usp_BlobDelta_CheckHidden @TableName;
    IF @WithTarget = 1
    BEGIN
        EXEC dbo.usp_BlobDelta_ReadColumns N'Target', @TargetDb, @TargetSchema, @TargetName;
        SELECT
            @DeltaColumns = SUM(CASE
                WHEN Role = N'Target' AND Name IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly') THEN 1 ELSE 0
            END),
            @TargetTable = MAX(CASE WHEN Role = N'Target' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(SchemaName) + N'.' + QUOTENAME(TableName) END),
            @SliceSchema = MAX(CASE WHEN Role = N'Target' THEN QUOTENAME(DbName) + N'.' + QUOTENAME(N'dbo') END)
        FROM #Column;
        IF @DeltaColumns < 6
        BEGIN
            SET @Message = CASE
                WHEN COALESCE(@DeltaColumns, 0) = 0
                    THEN CONCAT(@TableName, N': ', @TargetTable, N' is no slice of ours, it has none of its columns; give the slice another TargetTable (blobdelta table set), or rename that table')
                ELSE CONCAT(@TableName, N': the slice table ', @TargetTable, N' lacks a Delta column; when what it holds is packed, drop it, and blobdelta deploy (usp_BlobDelta_MakeSlice) makes it again')
            END;
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        SET @Name = (
            SELECT MAX(t.Name) FROM #Column AS t
            WHERE t.Role = N'Target' AND t.Name NOT IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly')
                AND NOT EXISTS (
                    SELECT 1 FROM #Column AS s WHERE s.Role = N'Source' AND s.Name = t.Name AND s.MaxLength = t.MaxLength
                        AND s.NumberPrecision = t.NumberPrecision AND s.NumberScale = t.NumberScale
                        AND (s.TypeName = t.TypeName OR (s.TypeName = N'timestamp' AND t.TypeName = N'binary'))
                        -- Another code page would lose letters.
                        AND (s.TypeName NOT IN (N'char', N'varchar', N'text') OR s.CollationName = t.CollationName
                            OR COLLATIONPROPERTY(s.CollationName, 'CodePage') = COLLATIONPROPERTY(t.CollationName, 'CodePage'))
                )
        );
        IF @Name IS NOT NULL
        BEGIN
            SET @Message = CONCAT(@TableName, N': the slice column ', @Name, N' is not in the source, or of another type or code page there; drop the slice table when it is packed, and blobdelta deploy (usp_BlobDelta_MakeSlice) makes it again');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        SET @Lacks = (
            SELECT COUNT(*) FROM #Column AS s WHERE s.Role = N'Source' AND s.Name IN (@KeyColumn, @PathColumn, @ParentPathColumn)
                AND NOT EXISTS (SELECT 1 FROM #Column AS t WHERE t.Role = N'Target' AND t.Name = s.Name)
        );
        IF @Lacks > 0
        BEGIN
            SET @Message = CONCAT(@TableName, N': the slice table lacks the key, path or parent path column');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        -- Columns, in the order of the slice. A loop, because it gives the same list on every server.
        SELECT @TargetColumns = N'', @SourceColumns = N'', @AncestorColumns = N'';
        SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Role = N'Target');
        WHILE @Ordinal IS NOT NULL
        BEGIN
            SELECT @Name = Name, @IsLarge = CASE WHEN MaxLength = -1 OR TypeName IN (N'text', N'ntext', N'image') THEN 1 ELSE 0 END
            FROM #Column WHERE Role = N'Target' AND Ordinal = @Ordinal;
            SET @Quoted = QUOTENAME(@Name);
            IF @Name NOT IN (N'DeltaModifiedOn', N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly')
            BEGIN
                SET @AncestorColumns = @AncestorColumns + CASE WHEN @TargetColumns = N'' THEN N'' ELSE N', ' END
                    + CASE WHEN @IsLarge = 1 THEN N'CASE WHEN f.IsForeign = 0 THEN s.' + @Quoted + N' END' ELSE N's.' + @Quoted END;
                IF @IsLarge = 1 SET @RowBytes = @RowBytes + N' + COALESCE(CONVERT(bigint, DATALENGTH(s.' + @Quoted + N')), 0)';
                SET @SourceColumns = @SourceColumns + CASE WHEN @TargetColumns = N'' THEN N'' ELSE N', ' END + N's.' + @Quoted;
                SET @TargetColumns = @TargetColumns + CASE WHEN @TargetColumns = N'' THEN N'' ELSE N', ' END + @Quoted;
            END;
            SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Role = N'Target' AND Ordinal > @Ordinal);
        END;
    END;
    -- A view hands its hints on to whatever lies below it, which this login may not be allowed to look up.
    SET @Sql = REPLACE(N'SELECT @IsFileTable = MAX(CASE WHEN o.type = ''V'' THEN 1 ELSE CAST(t.is_filetable AS int) END)
        FROM {Db}.sys.objects AS o
        INNER JOIN {Db}.sys.schemas AS s ON s.schema_id = o.schema_id
        LEFT JOIN {Db}.sys.tables AS t ON t.object_id = o.object_id
        WHERE o.name = @Table AND s.name = @Schema AND o.type IN (''U'', ''V'')',
        N'{Db}', QUOTENAME(@SourceDb));
    EXEC sp_executesql @Sql, N'@Table nvarchar(128), @Schema nvarchar(128), @IsFileTable int OUTPUT',
        @Table = @SourceName, @Schema = @SourceSchema, @IsFileTable = @IsFileTable OUTPUT;
    -- What a FileTable keeps in the row is known without its file.
    IF @IsFileTable = 1 AND EXISTS (SELECT 1 FROM #Column WHERE Role = N'Source' AND Name = N'cached_file_size' AND IsComputed = 1)
        SET @RowBytes = N'COALESCE(s.[cached_file_size], 0)';
    INSERT INTO #Placeholder (Name, Value) VALUES
        (N'SourceTable', @SourceTable), (N'TargetTable', @TargetTable), (N'MetadataTable', @MetadataTable),
        (N'BusinessUnitTable', @UnitTable), (N'SliceSchema', @SliceSchema),
        (N'SourceHint', CASE WHEN @IsFileTable = 1 THEN N'WITH (READCOMMITTEDLOCK)' ELSE N'' END),
        (N'KeyColumn', QUOTENAME(@KeyColumn)), (N'PathColumn', QUOTENAME(@PathColumn)),
        (N'ParentPathColumn', QUOTENAME(@ParentPathColumn)),
        (N'ParentPath', COALESCE(N's.' + QUOTENAME(@ParentPathColumn), N'CAST(NULL AS varbinary(1))')),
        (N'MetadataIdColumn', QUOTENAME(@MetadataIdColumn)), (N'MetadataModifiedOnCol', QUOTENAME(@MetadataModifiedOnCol)),
        (N'MetadataBusinessUnitCol', QUOTENAME(@MetadataBusinessUnitCol)),
        (N'BusinessUnitIdColumn', QUOTENAME(@BusinessUnitIdColumn)),
        (N'BusinessUnit', COALESCE(N'm.' + QUOTENAME(@MetadataBusinessUnitCol), N'CAST(NULL AS uniqueidentifier)')),
        (N'InScope', CASE
            WHEN @MetadataBusinessUnitCol IS NULL THEN N'(@BusinessUnitId IS NULL AND ' + @Filter + N')'
            ELSE N'(EXISTS (SELECT 1 FROM ' + @UnitTable + N' AS u WHERE u.' + QUOTENAME(@BusinessUnitIdColumn) + N' = m.'
                + QUOTENAME(@MetadataBusinessUnitCol) + N') AND (@BusinessUnitId IS NULL OR m.' + QUOTENAME(@MetadataBusinessUnitCol) + N' = @BusinessUnitId) AND ' + @Filter + N')'
        END),
        (N'MetadataFilter', @Filter),
        (N'TargetColumns', @TargetColumns), (N'SourceColumns', @SourceColumns), (N'AncestorColumns', @AncestorColumns),
        (N'RowBytes', @RowBytes), (N'MaxDOP', CONVERT(nvarchar(10), @MaxDOP));
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ResolveTableConfig', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ResolveTableConfig AS RETURN 0');
GO
-- Resolves the configuration of a table in the catalog: full names and column names, quoted as they
-- go into a script, and the buffer. Whatever does not fit is error 51000.
ALTER PROCEDURE dbo.usp_BlobDelta_ResolveTableConfig
    @TableName nvarchar(400),
    @SourceTable nvarchar(800) = NULL OUTPUT,
    @TargetTable nvarchar(800) = NULL OUTPUT,
    @MetadataTable nvarchar(800) = NULL OUTPUT,
    @BusinessUnitTable nvarchar(800) = NULL OUTPUT,
    @SliceSchema nvarchar(800) = NULL OUTPUT,
    @KeyColumn nvarchar(800) = NULL OUTPUT,
    @PathColumn nvarchar(800) = NULL OUTPUT,
    @ParentPathColumn nvarchar(800) = NULL OUTPUT,
    @MetadataIdColumn nvarchar(800) = NULL OUTPUT,
    @MetadataModifiedOnCol nvarchar(800) = NULL OUTPUT,
    @MetadataBusinessUnitCol nvarchar(800) = NULL OUTPUT,
    @BusinessUnitIdColumn nvarchar(800) = NULL OUTPUT,
    @SafetyBufferMinutes int = NULL OUTPUT,
    @SourceHint nvarchar(60) = NULL OUTPUT,
    @WithTarget bit = 1
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    CREATE TABLE #Column (
        Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Ordinal int NOT NULL, DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
        TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
        NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
        CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL
    );
    CREATE TABLE #Placeholder (Name nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, Value nvarchar(max) COLLATE DATABASE_DEFAULT NULL);
    EXEC dbo.usp_BlobDelta_ListPlaceholders @TableName, @WithTarget;
    SELECT
        @SourceTable = MAX(CASE WHEN Name = N'SourceTable' THEN Value END),
        @TargetTable = MAX(CASE WHEN Name = N'TargetTable' THEN Value END),
        @MetadataTable = MAX(CASE WHEN Name = N'MetadataTable' THEN Value END),
        @BusinessUnitTable = MAX(CASE WHEN Name = N'BusinessUnitTable' THEN Value END),
        @SliceSchema = MAX(CASE WHEN Name = N'SliceSchema' THEN Value END),
        @KeyColumn = MAX(CASE WHEN Name = N'KeyColumn' THEN Value END),
        @PathColumn = MAX(CASE WHEN Name = N'PathColumn' THEN Value END),
        @ParentPathColumn = MAX(CASE WHEN Name = N'ParentPathColumn' THEN Value END),
        @MetadataIdColumn = MAX(CASE WHEN Name = N'MetadataIdColumn' THEN Value END),
        @MetadataModifiedOnCol = MAX(CASE WHEN Name = N'MetadataModifiedOnCol' THEN Value END),
        @MetadataBusinessUnitCol = MAX(CASE WHEN Name = N'MetadataBusinessUnitCol' THEN Value END),
        @BusinessUnitIdColumn = MAX(CASE WHEN Name = N'BusinessUnitIdColumn' THEN Value END),
        @SourceHint = MAX(CASE WHEN Name = N'SourceHint' THEN Value END)
    FROM #Placeholder;
    SET @SafetyBufferMinutes = (SELECT SafetyBufferMinutes FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName);
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ScriptAtWork', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ScriptAtWork AS RETURN 0');
GO
-- The script in which the last error of this session came up, as the script tables name it, and the line;
-- NULL if in none. Forgets it. Not inside of a transaction that cannot be committed any more.
ALTER PROCEDURE dbo.usp_BlobDelta_ScriptAtWork
    @Script nvarchar(1000) OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @AtWork nvarchar(500), @Name nvarchar(64), @Line nvarchar(20), @TableName nvarchar(400), @Title nvarchar(256), @Kind nvarchar(60), @Only nvarchar(400);
    SET @Script = NULL;
    SET @AtWork = CONVERT(nvarchar(500), SESSION_CONTEXT(N'BlobDeltaScript'));
    IF @AtWork IS NULL RETURN 0;
    EXEC sp_set_session_context N'BlobDeltaScript', NULL;
    -- Script, line (0: not known here) and table, which alone may have blanks in its name.
    SET @Name = SUBSTRING(@AtWork, 1, CHARINDEX(N' ', @AtWork) - 1);
    SET @AtWork = SUBSTRING(@AtWork, CHARINDEX(N' ', @AtWork) + 1, 500);
    SET @Line = SUBSTRING(@AtWork, 1, CHARINDEX(N' ', @AtWork) - 1);
    SET @TableName = SUBSTRING(@AtWork, CHARINDEX(N' ', @AtWork) + 1, 400);
    SELECT TOP (1) @Title = s.ScriptName, @Kind = CONCAT(N'step ', s.StepNumber), @Only = s.TableName
    FROM dbo.BlobDeltaStepScript AS s
    WHERE CONCAT(N'Step', s.StepNumber) = @Name AND (s.TableName = @TableName OR s.TableName IS NULL)
    ORDER BY CASE WHEN s.TableName IS NULL THEN 1 ELSE 0 END;
    SELECT TOP (1) @Title = s.QueueName, @Kind = N'queue', @Only = s.TableName
    FROM dbo.BlobDeltaQueuePopulationScript AS s
    WHERE s.QueueName = @Name AND (s.TableName = @TableName OR s.TableName IS NULL)
    ORDER BY CASE WHEN s.TableName IS NULL THEN 1 ELSE 0 END;
    SET @Script = CASE
        WHEN @Kind IS NULL THEN CONCAT(@Name, N' (the engine''s own)')
        WHEN @Only IS NULL THEN CONCAT(@Title, N' (', @Kind, N')')
        ELSE CONCAT(@Title, N' (', @Kind, N', of ', @Only, N' alone)')
    END;
    IF @Line <> N'0' SET @Script = CONCAT(@Script, N', line ', @Line);
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FillScript', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FillScript AS RETURN 0');
GO
-- Replaces every {Name} in a row of #Script by its value in #Placeholder, both of the caller.
ALTER PROCEDURE dbo.usp_BlobDelta_FillScript
    @TableName nvarchar(400),
    @ScriptName nvarchar(64)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Text nvarchar(max), @Filled nvarchar(max), @Message nvarchar(2000), @Open bigint, @Close bigint, @Name nvarchar(128), @Value nvarchar(max),
        @AtWork nvarchar(500), @Line int = 1, @Before nvarchar(max);
    SET @AtWork = CONCAT(@ScriptName, N' 0 ', @TableName);
    EXEC sp_set_session_context N'BlobDeltaScript', @AtWork;
    SET @Text = (SELECT ScriptText FROM #Script WHERE ScriptName = @ScriptName);
    SET @Filled = N'';
    SET @Open = CHARINDEX(N'{', @Text);
    WHILE @Open > 0
    BEGIN
        SET @Before = SUBSTRING(@Text, 1, @Open - 1);
        -- The stop keeps LEN from leaving out blanks at the end.
        SET @Line = @Line + LEN(CONCAT(@Before, N'.')) - LEN(CONCAT(REPLACE(@Before, NCHAR(10), N''), N'.'));
        SET @Close = CHARINDEX(N'}', @Text, @Open);
        IF @Close = 0
        BEGIN
            SET @Message = CONCAT(@TableName, N': the script ', @ScriptName, N' has an opening brace without a closing one in line ', @Line);
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        SET @Name = SUBSTRING(@Text, @Open + 1, @Close - @Open - 1);
        IF NOT EXISTS (SELECT 1 FROM #Placeholder WHERE Name = @Name)
        BEGIN
            SET @Message = CONCAT(@TableName, N': the script ', @ScriptName, N' uses the unknown placeholder {', @Name, N'} in line ', @Line, N'; script 04 lists those that there are');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        SET @Value = (SELECT Value FROM #Placeholder WHERE Name = @Name);
        IF @Value IS NULL
        BEGIN
            SET @Message = CONCAT(@TableName, N': the script ', @ScriptName, N' uses {', @Name, N'} in line ', @Line, N', which the configuration of this table leaves empty');
            EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
        END;
        SET @Filled = CONCAT(@Filled, @Before, @Value);
        SET @Text = SUBSTRING(@Text, @Close + 1, 1000000000);
        SET @Open = CHARINDEX(N'{', @Text);
    END;
    UPDATE #Script SET ScriptText = CONCAT(@Filled, @Text) WHERE ScriptName = @ScriptName;
    EXEC sp_set_session_context N'BlobDeltaScript', NULL;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_Execute', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_Execute AS RETURN 0');
GO
-- Executes a filled script with every parameter that a script may name.
ALTER PROCEDURE dbo.usp_BlobDelta_Execute
    @ScriptName nvarchar(64),
    @TableName nvarchar(400),
    @Sql nvarchar(max),
    @BatchSize int = NULL,
    @ExcludedStreamId uniqueidentifier = NULL,
    @WindowStart datetime2(7) = NULL,
    @WindowEnd datetime2(7) = NULL,
    @BusinessUnitId uniqueidentifier = NULL,
    @RunId uniqueidentifier = NULL,
    @PreviousRunId uniqueidentifier = NULL,
    @RunStart datetime2(7) = NULL,
    @Now datetime2(7) = NULL,
    @Step int = NULL,
    @DeletionsFrom datetime2(7) = NULL,
    @Rows bigint = NULL OUTPUT,
    @Json nvarchar(4000) = NULL OUTPUT,
    @Key uniqueidentifier = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @AtWork nvarchar(500), @Scope nvarchar(36);
    SET @Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all');
    SET @AtWork = CONCAT(@ScriptName, N' 0 ', @TableName);
    EXEC sp_set_session_context N'BlobDeltaScript', @AtWork;
    BEGIN TRY
        EXEC sp_executesql @Sql,
            N'@BatchSize int, @ExcludedStreamId uniqueidentifier, @WindowStart datetime2(7), @WindowEnd datetime2(7), @BusinessUnitId uniqueidentifier, @Scope nvarchar(36), @RunId uniqueidentifier, @PreviousRunId uniqueidentifier, @TableName nvarchar(400), @RunStart datetime2(7), @Now datetime2(7), @Step int, @DeletionsFrom datetime2(7), @Rows bigint OUTPUT, @Json nvarchar(4000) OUTPUT, @Key uniqueidentifier OUTPUT',
            @BatchSize = @BatchSize,
            @ExcludedStreamId = @ExcludedStreamId,
            @WindowStart = @WindowStart,
            @WindowEnd = @WindowEnd,
            @BusinessUnitId = @BusinessUnitId,
            @Scope = @Scope,
            @RunId = @RunId,
            @PreviousRunId = @PreviousRunId,
            @TableName = @TableName,
            @RunStart = @RunStart,
            @Now = @Now,
            @Step = @Step,
            @DeletionsFrom = @DeletionsFrom,
            @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
    END TRY
    BEGIN CATCH
        SET @AtWork = CONCAT(@ScriptName, N' ', ERROR_LINE(), N' ', @TableName);
        EXEC sp_set_session_context N'BlobDeltaScript', @AtWork;
        THROW;
    END CATCH;
    EXEC sp_set_session_context N'BlobDeltaScript', NULL;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListOwnScripts', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListOwnScripts AS RETURN 0');
GO
-- The engine's own scripts, into #Own of the caller, and which tables need them.
ALTER PROCEDURE dbo.usp_BlobDelta_ListOwnScripts
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BatchParents', 1, 0, N'
    -- Rules 7 and 13: parent and depth of each key of #Batch. One level a turn; 512 are a cycle.
    UPDATE #Batch SET Depth = 0, ParentKey = (
        SELECT MIN(p.{KeyColumn})
        FROM {SourceTable} AS s {SourceHint}
        INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
        WHERE s.{KeyColumn} = #Batch.stream_id
    );
    CREATE TABLE #Parent (ParentKey uniqueidentifier NOT NULL PRIMARY KEY, AtKey uniqueidentifier NULL, Depth int NOT NULL);
    INSERT INTO #Parent (ParentKey, AtKey, Depth)
    SELECT DISTINCT ParentKey, ParentKey, 0 FROM #Batch WHERE ParentKey IS NOT NULL;
    DECLARE @Left bigint = 1, @Turn int = 0;
    WHILE @Left > 0 AND @Turn < 512
    BEGIN
        UPDATE #Parent SET Depth = Depth + 1, AtKey = (
            SELECT MIN(p.{KeyColumn})
            FROM {SourceTable} AS s {SourceHint}
            INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
            WHERE s.{KeyColumn} = #Parent.AtKey
        )
        WHERE AtKey IS NOT NULL;
        SET @Left = (SELECT COUNT(*) FROM #Parent WHERE AtKey IS NOT NULL);
        SET @Turn = @Turn + 1;
    END;
    SET @Key = (
        SELECT MIN(b.stream_id) FROM #Batch AS b INNER JOIN #Parent AS p ON p.ParentKey = b.ParentKey WHERE p.Depth >= 512
    );
    UPDATE b SET Depth = p.Depth FROM #Batch AS b INNER JOIN #Parent AS p ON p.ParentKey = b.ParentKey;
    DROP TABLE #Parent;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BatchSizes', 0, 0, N'
    -- A batch ends with the row that reaches @BatchSize, here a number of bytes: each is one transaction, and is in the log as a whole.
    CREATE TABLE #Size (stream_id uniqueidentifier NOT NULL PRIMARY KEY, Seq bigint NOT NULL, Bytes bigint NOT NULL);
    INSERT INTO #Size (stream_id, Seq, Bytes)
    SELECT b.stream_id, COALESCE(b.Seq, 0), COALESCE(MAX({RowBytes}), 0)
    FROM #Batch AS b
    LEFT JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = b.stream_id
    GROUP BY b.stream_id, b.Seq;
    -- No column of a slice holds these: they are left, each for itself.
    UPDATE #Batch SET State = N''TooLarge''
    WHERE @Step <> 2 AND stream_id IN (SELECT z.stream_id FROM #Size AS z WHERE z.Bytes > dbo.ufn_BlobDelta_LargestValue());
    DELETE FROM #Batch
    WHERE stream_id IN (
        SELECT w.stream_id
        FROM (
            SELECT z.stream_id, SUM(z.Bytes) OVER (ORDER BY z.Seq, z.stream_id ROWS UNBOUNDED PRECEDING) - z.Bytes AS BytesBefore
            FROM #Size AS z
            WHERE @Step = 2 OR z.Bytes <= dbo.ufn_BlobDelta_LargestValue()
        ) AS w
        WHERE w.BytesBefore >= @BatchSize
    );
    DROP TABLE #Size;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BatchStates', 0, 0, N'
    -- How each key of #Batch ended. NULL: the template left it out, which is an error of the template.
    UPDATE #Batch SET State = CASE
        WHEN EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = #Batch.stream_id) THEN N''Copied''
        WHEN (
            SELECT MAX(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = #Batch.stream_id AND {InScope}
        ) >= CASE WasHeldBack WHEN 0 THEN @WindowEnd ELSE DATEADD(day, 1, @RunStart) END THEN N''HeldBack''
        WHEN NOT EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = #Batch.stream_id) THEN
            CASE
                WHEN EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = #Batch.stream_id AND {InScope})
                    THEN N''Absent''
                ELSE N''Gone''
            END
        WHEN NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = #Batch.stream_id AND {InScope}
        ) AND NOT (IsPending = 1 AND @BusinessUnitId IS NULL AND NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = #Batch.stream_id
        )) THEN N''Gone''
        WHEN @Step = 1 AND EXISTS (
            SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = #Batch.stream_id AND {ParentPath} IS NOT NULL
        ) THEN N''Moved''
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Survey', 0, 0, N'
    -- Rules 19 and 20: what the types of a server let through. @Json says what is wrong, if anything is.
    SET @Json = NULL;
    SET @Key = (
        SELECT MIN(d.stream_id)
        FROM (
            SELECT s.{KeyColumn} AS stream_id FROM {SourceTable} AS s {SourceHint}
            WHERE s.{KeyColumn} IS NOT NULL GROUP BY s.{KeyColumn} HAVING COUNT(*) > 1
        ) AS d
        WHERE (@ExcludedStreamId IS NULL OR d.stream_id <> @ExcludedStreamId) AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = d.stream_id
        )
    );
    IF @Key IS NOT NULL
        SET @Json = CONCAT(N''two rows of the source have this key, '', LOWER(CONVERT(nvarchar(36), @Key)),
            N''; give each row a key of its own, and a unique index on the key keeps it so, or set KeyColumn to the column that tells rows apart'');
    ELSE
        SET @Json = (
            SELECT TOP (1) CONCAT(N''the key '', CONVERT(nvarchar(80), m.{MetadataIdColumn}), N'' of the metadata is no uniqueidentifier; mend it in the column that MetadataIdColumn names'')
            FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} IS NOT NULL AND TRY_CONVERT(uniqueidentifier, m.{MetadataIdColumn}) IS NULL
        );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'WentBack', 0, 0, N'
    -- Rows of the slice before, of its 10,000 that were stamped last, whose stamp in the source is older now:
    -- a source that was restored. One that moved to another business unit has its newest stamp there.
    SET @Rows = (
        SELECT COUNT(*)
        FROM (
            SELECT TOP (10000) t.{KeyColumn} AS stream_id, t.DeltaModifiedOn
            FROM {TargetTable} AS t
            WHERE t.DeltaStep <> 2 AND t.DeltaModifiedOn IS NOT NULL
            ORDER BY t.DeltaModifiedOn DESC
        ) AS n
        WHERE n.DeltaModifiedOn > (
            SELECT MAX(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = n.stream_id
        )
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SuspectKeys', 0, 0, N'
    -- Rule 21. @Json says what is suspect, if anything is; with fewer than 20 of them a sample of the table decides too.
    DECLARE @Accepted int = (SELECT AcceptedAbsentPercent FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        @Of bigint, @Lost bigint, @WholeOf bigint, @WholeLost bigint, @Percent bigint;
    SET @Json = NULL;
    SELECT @Of = COUNT(*), @Lost = COALESCE(SUM(k.IsLost), 0)
    FROM (
        SELECT CASE
            WHEN NOT EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = q.stream_id)
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.stream_id = q.stream_id
                ) THEN 1
            ELSE 0
        END AS IsLost
        FROM #Window AS q
        WHERE q.IsPending = 0 AND q.WasHeldBack = 0
    ) AS k;
    IF @Lost * 100 > @Of * @Accepted
    BEGIN
        SET @Percent = (@Lost * 100 + @Of - 1) / @Of;
        IF @Of < 20
        BEGIN
            SELECT @WholeOf = COUNT(*), @WholeLost = COALESCE(SUM(k.IsLost), 0)
            FROM (
                SELECT CASE
                    WHEN EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = n.stream_id) THEN 0
                    ELSE 1
                END AS IsLost
                FROM (
                    SELECT TOP (1000) m.{MetadataIdColumn} AS stream_id FROM {MetadataTable} AS m
                    WHERE m.{MetadataIdColumn} IS NOT NULL AND {InScope}
                    ORDER BY m.{MetadataModifiedOnCol} DESC
                ) AS n
            ) AS k;
            IF @WholeOf >= 20 AND (@WholeLost * 100 + @WholeOf - 1) / @WholeOf > @Percent SET @Percent = (@WholeLost * 100 + @WholeOf - 1) / @WholeOf;
        END;
        IF @Of >= 20 OR (@WholeOf >= 20 AND @WholeLost * 100 > @WholeOf * @Accepted)
            SET @Json = CONCAT(
                N''suspect: '', @Lost, N'' of '', @Of, N'' keys of the metadata'', N'', and '' + CONVERT(nvarchar(20), @WholeLost) + N'' of '' + CONVERT(nvarchar(20), @WholeOf) + N'' in a sample of the whole table,'',
                N'' have no row in the source ('', @Percent, N'' percent), and at most '', @Accepted,
                N'' percent are accepted; see whether MetadataIdColumn holds the keys of the source; if so, many rows of the metadata have no blob here: accept that with `blobdelta table set NAME AcceptedAbsentPercent='',
                CASE WHEN @Percent > 95 THEN 100 ELSE @Percent + 5 END, N''`, then run again''
            );
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SuspectTree', 1, 0, N'
    -- Rule 21. @Json says what is suspect, if anything is; with fewer than 20 of them a sample of the table decides too.
    DECLARE @Accepted int = (SELECT AcceptedOrphanPercent FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        @Of bigint, @Lost bigint, @WholeOf bigint, @WholeLost bigint, @Percent bigint;
    SET @Json = NULL;
    SELECT @Of = COUNT(*), @Lost = COALESCE(SUM(CASE WHEN t.DeltaParentKey IS NULL THEN 1 ELSE 0 END), 0)
    FROM {TargetTable} AS t
    WHERE t.DeltaStep = 3 AND t.{ParentPathColumn} IS NOT NULL;
    IF @Lost * 100 > @Of * @Accepted
    BEGIN
        SET @Percent = (@Lost * 100 + @Of - 1) / @Of;
        IF @Of < 20
        BEGIN
            SELECT @WholeOf = COUNT(*), @WholeLost = COALESCE(SUM(k.IsLost), 0)
            FROM (
                SELECT CASE
                    WHEN EXISTS (SELECT 1 FROM {SourceTable} AS p {SourceHint} WHERE p.{PathColumn} = n.ParentPath) THEN 0
                    ELSE 1
                END AS IsLost
                FROM (
                    SELECT TOP (1000) s.{ParentPathColumn} AS ParentPath FROM {SourceTable} AS s {SourceHint}
                    WHERE s.{ParentPathColumn} IS NOT NULL
                ) AS n
            ) AS k;
            IF @WholeOf >= 20 AND (@WholeLost * 100 + @WholeOf - 1) / @WholeOf > @Percent SET @Percent = (@WholeLost * 100 + @WholeOf - 1) / @WholeOf;
        END;
        IF @Of >= 20 OR (@WholeOf >= 20 AND @WholeLost * 100 > @WholeOf * @Accepted)
            SET @Json = CONCAT(
                N''suspect: '', @Lost, N'' of '', @Of, N'' children'', N'', and '' + CONVERT(nvarchar(20), @WholeLost) + N'' of '' + CONVERT(nvarchar(20), @WholeOf) + N'' in a sample of the whole table,'',
                N'' have no parent in the source ('', @Percent, N'' percent), and at most '', @Accepted,
                N'' percent are accepted; see whether PathColumn and ParentPathColumn name the right columns; if so, many parents are not kept here: accept that with `blobdelta table set NAME AcceptedOrphanPercent='',
                CASE WHEN @Percent > 95 THEN 100 ELSE @Percent + 5 END, N''`, then run again''
            );
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'HeldBack', 0, 0, N'
    -- Rule 4: the keys that are stamped between the end of the window and the start of the run.
    INSERT INTO dbo.BlobDeltaHeldBackKey (RunId, TableName, stream_id)
    SELECT DISTINCT @RunId, @TableName, m.{MetadataIdColumn}
    FROM {MetadataTable} AS m
    WHERE m.{MetadataModifiedOnCol} >= @WindowEnd AND m.{MetadataModifiedOnCol} < @RunStart AND {InScope}
        AND m.{MetadataIdColumn} IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaHeldBackKey AS h
            WHERE h.RunId = @RunId AND h.TableName = @TableName AND h.stream_id = m.{MetadataIdColumn}
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Deletions', 0, 0, N'
    -- Rule 15: an entry is due until this scope has told a deletion of its key that is as late or later; DeletedOn
    -- competes. LoggedAt has no say, but that a run which goes back takes again what was logged since then. A key that
    -- left a scope (rule 17) is told to that scope alone; on a tie the deletion outranks it. The runs of a business unit
    -- tell deletions of what they have handed out, whatever unit the log names. What is dated too late is not told
    -- (rule 27).
    INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
    SELECT @TableName, d.stream_id, d.DeletedOn, d.BusinessUnit, d.LoggedAt, d.Reason
    FROM (
        SELECT
            l.TableName, l.stream_id, l.DeletedOn, l.BusinessUnit, l.LoggedAt, l.Reason,
            ROW_NUMBER() OVER (PARTITION BY l.stream_id ORDER BY l.DeletedOn DESC, l.Reason, l.DeletionId DESC) AS Newest
        FROM dbo.BlobDeltaDeletionLog AS l
        WHERE l.TableName = @TableName AND l.DeletedOn <= DATEADD(day, 1, @RunStart)
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaToldDeletion AS t
                WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = l.stream_id
                    AND t.IsDeletion = CASE l.Reason WHEN N''Deleted'' THEN 1 ELSE 0 END AND t.DeletedOn >= l.DeletedOn
                    AND (@DeletionsFrom IS NULL OR l.LoggedAt < @DeletionsFrom)
            )
            AND (
                (l.Reason = N''Deleted'' AND (@BusinessUnitId IS NULL OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                    WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = l.stream_id
                )))
                OR (l.Reason = N''LeftScope'' AND l.BusinessUnit = @BusinessUnitId)
                OR (l.Reason = N''LeftScope'' AND l.BusinessUnit IS NULL AND @BusinessUnitId IS NULL)
            )
    ) AS d
    WHERE d.Newest = 1;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ToldDeletions', 0, 0, N'
    -- Rule 15: what this slice says was deleted, or left, its scope has been told.
    INSERT INTO dbo.BlobDeltaToldDeletion (TableName, Scope, stream_id, IsDeletion, DeletedOn, RunId)
    SELECT @TableName, @Scope, d.stream_id, CASE d.Reason WHEN N''Deleted'' THEN 1 ELSE 0 END, d.DeletedOn, @RunId
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaToldDeletion AS t
        WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = d.stream_id
            AND t.IsDeletion = CASE d.Reason WHEN N''Deleted'' THEN 1 ELSE 0 END AND t.DeletedOn = d.DeletedOn
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Told', 0, 0, N'
    -- Rule 6: keys with a metadata row in the window that no run of this scope takes; a row that the table''s
    -- filter leaves out is not told.
    SELECT @Json = CONCAT(
        CHAR(123), N''"excluded":'', COALESCE(SUM(k.IsExcluded), 0),
        N'',"out_of_scope":'', COALESCE(SUM(CASE WHEN k.IsInScope = 0 AND k.HasUnit = 1 AND @BusinessUnitId IS NULL THEN 1 ELSE 0 END), 0),
        N'',"without_business_unit":'', COALESCE(SUM(CASE WHEN k.IsInScope = 0 AND k.HasUnit = 0 AND @BusinessUnitId IS NULL THEN 1 ELSE 0 END), 0),
        N'',"future":'', (
            SELECT COUNT(DISTINCT m.{MetadataIdColumn}) FROM {MetadataTable} AS m
            WHERE m.{MetadataModifiedOnCol} >= @RunStart AND {InScope}
        ),
        N'',"without_stamp":'', (SELECT COUNT(*) FROM {MetadataTable} AS m WHERE m.{MetadataModifiedOnCol} IS NULL AND {InScope}),
        N'',"without_key":'', (SELECT COUNT(*) FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} IS NULL)
            + (SELECT COUNT(*) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} IS NULL),
        N'',"logged_deletions":'', (SELECT COUNT(*) FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.Reason = N''Deleted''),
        N'',"future_deletions":'', (
            SELECT COUNT(*) FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.DeletedOn > @RunStart
        ),
        (
            SELECT CONCAT(N'',"withheld_deletions":'', COUNT(*), N'',"withheld_deletion":'' + CONVERT(nvarchar(20), MIN(d.DeletionId)))
            FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.DeletedOn > DATEADD(day, 1, @RunStart)
        ), CHAR(125)
    )
    FROM (
        SELECT
            w.stream_id, w.IsInScope, w.HasUnit,
            CASE
                WHEN w.IsInScope = 1 AND (w.stream_id = @ExcludedStreamId OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = w.stream_id
                )) THEN 1
                ELSE 0
            END AS IsExcluded
        FROM (
            SELECT r.stream_id, MAX(r.IsInScope) AS IsInScope, MAX(r.HasUnit) AS HasUnit
            FROM (
                SELECT
                    m.{MetadataIdColumn} AS stream_id,
                    CASE WHEN {InScope} THEN 1 ELSE 0 END AS IsInScope,
                    CASE WHEN {BusinessUnit} IS NULL THEN 0 ELSE 1 END AS HasUnit
                FROM {MetadataTable} AS m
                WHERE m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd AND {MetadataFilter}
            ) AS r
            GROUP BY r.stream_id
        ) AS w
    ) AS k
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- By this the next run sees whether the source went back in time. Of whatever scope: a row that moves to another
    -- business unit takes nothing back.
    UPDATE dbo.BlobDeltaRunTable SET NewestModifiedOn = (
        SELECT MAX(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataModifiedOnCol} < @RunStart
    )
    WHERE RunId = @RunId AND TableName = @TableName
    OPTION (MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SliceCounts', 0, 0, N'
    -- What the slice holds. Late are rows of steps 1 and 3 before the window.
    SELECT @Json = CONCAT(
        CHAR(123), N''"roots":'', COALESCE(SUM(CASE WHEN t.DeltaStep = 1 THEN 1 ELSE 0 END), 0),
        N'',"missing_parents":'', COALESCE(SUM(CASE WHEN t.DeltaStep = 2 THEN 1 ELSE 0 END), 0),
        N'',"children":'', COALESCE(SUM(CASE WHEN t.DeltaStep = 3 THEN 1 ELSE 0 END), 0),
        N'',"early":'', COALESCE(SUM(CASE WHEN t.DeltaEarly = 1 THEN 1 ELSE 0 END), 0),
        N'',"late":'', COALESCE(SUM(CASE
            WHEN t.DeltaStep <> 2 AND (t.DeltaModifiedOn IS NULL OR t.DeltaModifiedOn < @WindowStart) THEN 1 ELSE 0
        END), 0),
        N'',"tombstones":'', (SELECT COUNT(*) FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName),
        N'',"buried":'', (
            SELECT COUNT(*) FROM {SliceSchema}.BlobDeltaDeletion AS d
            INNER JOIN {TargetTable} AS o ON o.{KeyColumn} = d.stream_id
            WHERE d.TableName = @TableName AND (o.DeltaModifiedOn IS NULL OR o.DeltaModifiedOn <= d.DeletedOn)
        ), CHAR(125)
    )
    FROM {TargetTable} AS t
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'RefreshParents', 1, 0, N'
    -- A parent that came to the source after its child was copied.
    UPDATE t SET DeltaParentKey = s.{KeyColumn}
    FROM {TargetTable} AS t
    INNER JOIN {SourceTable} AS s {SourceHint} ON s.{PathColumn} = t.{ParentPathColumn}
    WHERE t.DeltaParentKey IS NULL;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'MendDepths', 1, 0, N'
    -- Rule 13: a parent stands before its children also where rows moved between two batches.
    DECLARE @Left bigint = 1, @Turn int = 0;
    WHILE @Left > 0 AND @Turn < 513
    BEGIN
        UPDATE c SET DeltaDepth = p.DeltaDepth + 1
        FROM {TargetTable} AS c
        INNER JOIN {TargetTable} AS p ON p.{KeyColumn} = c.DeltaParentKey
        WHERE c.DeltaDepth <> p.DeltaDepth + 1;
        SET @Left = @@ROWCOUNT;
        SET @Turn = @Turn + 1;
    END;
    IF @Left > 0
        SET @Key = (
            SELECT MIN(c.{KeyColumn}) FROM {TargetTable} AS c INNER JOIN {TargetTable} AS p ON p.{KeyColumn} = c.DeltaParentKey
            WHERE c.DeltaDepth <> p.DeltaDepth + 1
        );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'TruncateSlice', 0, 0, N'
    -- At once and with hardly any log, where this login may (ALTER) and no foreign key or indexed view hangs on the table.
    TRUNCATE TABLE {TargetTable};');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'EmptySlice', 0, 0, N'
    DELETE TOP (@BatchSize) FROM {TargetTable};
    SET @Rows = @@ROWCOUNT;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'EmptyDeletions', 0, 0, N'
    DELETE FROM {SliceSchema}.BlobDeltaDeletion WHERE TableName = @TableName;
    SET @Rows = (SELECT COUNT(*) FROM {TargetTable});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'NewUnits', 0, 1, N'
    -- Rule 12: units in scope now that no completed run over all units has seen.
    INSERT INTO #Unit (BusinessUnitId)
    SELECT DISTINCT u.{BusinessUnitIdColumn}
    FROM {BusinessUnitTable} AS u
    WHERE u.{BusinessUnitIdColumn} IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaBusinessUnitWatermark AS k
        WHERE k.TableName = @TableName AND k.BusinessUnitId = u.{BusinessUnitIdColumn} AND k.IsKnownToAllRuns = 1
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftBack', 0, 0, N'
    -- Rule 17: a key that was logged as having left this scope, and whose row is in it or in this slice, has not.
    DELETE d
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = N''LeftScope'' AND (
        (
            EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = d.stream_id AND {InScope})
            AND EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = d.stream_id)
        )
        OR (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = d.stream_id) > 0
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ShippedKeys', 0, 1, N'
    -- Rule 17: what the slice of a business unit''s run hands out. An ancestor out of the unit''s scope came without
    -- its blobs, and has no business unit.
    UPDATE k SET
        ModifiedOn = CASE WHEN k.ModifiedOn >= t.DeltaModifiedOn OR t.DeltaModifiedOn IS NULL THEN k.ModifiedOn ELSE t.DeltaModifiedOn END,
        IsWhole = CASE WHEN t.DeltaStep <> 2 OR t.DeltaBusinessUnit IS NOT NULL THEN 1 ELSE k.IsWhole END
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = k.stream_id
    WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId;
    INSERT INTO dbo.BlobDeltaShippedKey (TableName, BusinessUnitId, stream_id, ModifiedOn, IsWhole)
    SELECT @TableName, @BusinessUnitId, t.{KeyColumn}, t.DeltaModifiedOn,
        CASE WHEN t.DeltaStep <> 2 OR t.DeltaBusinessUnit IS NOT NULL THEN 1 ELSE 0 END
    FROM {TargetTable} AS t
    WHERE NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = t.{KeyColumn}
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftScope', 0, 0, N'
    -- Rule 17: keys that a business unit''s runs have handed out, and that are not in its scope any more, into #Left of
    -- the caller; and those that somebody has logged as having left it. What stands in this slice is needed. An
    -- ancestor that came without its blobs leaves as a whole row does, and holds nothing above it in its place.
    -- LeftOn is the greatest stamp that was handed out, no later one: it outranks what was, and nothing that comes.
    -- A row that came before its window may come again by the next one, so it is asked for then.
    DELETE FROM #Left;
    -- IsPassed: whoever else has the row has it by a later stamp, so that what this scope is told of it outranks nothing
    -- there.
    INSERT INTO #Left (stream_id, IsWhole, LeftOn, IsPassed)
    SELECT k.stream_id, k.IsWhole, COALESCE(k.ModifiedOn, CONVERT(datetime2(7), ''0001-01-01'')),
        CASE
            WHEN (SELECT MAX(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id)
                > COALESCE(k.ModifiedOn, CONVERT(datetime2(7), ''0001-01-01'')) THEN 1
            ELSE 0
        END
    FROM dbo.BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId
        AND (k.IsWhole = 0 OR k.ModifiedOn IS NULL OR k.ModifiedOn < @WindowEnd)
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
        AND (k.IsWhole = 0 OR EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id))
        AND NOT EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = k.stream_id);
    INSERT INTO #Left (stream_id, IsWhole, LeftOn, IsPassed)
    SELECT d.stream_id, 1, d.DeletedOn, CASE WHEN @BusinessUnitId IS NULL THEN 1 ELSE 0 END
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = N''LeftScope''
        AND NOT EXISTS (SELECT 1 FROM #Left AS l WHERE l.stream_id = d.stream_id);');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftStays', 1, 0, N'
    -- Rules 7 and 17: what left a scope stays at its receivers while one of its children does; one level a turn, and
    -- each turn takes a key out at least. What the receivers of all units have is not kept, so that there any child
    -- counts that has not left.
    DECLARE @Left bigint = (SELECT COUNT(*) FROM #Left);
    WHILE @Left > 0
    BEGIN
        UPDATE #Left SET Stays = 1 WHERE Stays = 0 AND stream_id IN (
            SELECT l.stream_id
            FROM #Left AS l
            INNER JOIN {SourceTable} AS p {SourceHint} ON p.{KeyColumn} = l.stream_id
            INNER JOIN {SourceTable} AS c {SourceHint} ON c.{ParentPathColumn} = p.{PathColumn}
            WHERE l.Stays = 0 AND NOT EXISTS (SELECT 1 FROM #Left AS o WHERE o.stream_id = c.{KeyColumn} AND o.Stays = 0)
                AND (@BusinessUnitId IS NULL OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                    WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = c.{KeyColumn}
                ))
        );
        SET @Left = @@ROWCOUNT;
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftBehind', 1, 0, N'
    -- Rules 7 and 17: what left a scope and stays for what lies below it comes once more, as an ancestor of
    -- another unit comes.
    INSERT INTO dbo.BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
    SELECT @RunId, @TableName, l.stream_id, NULL, 0, @Now
    FROM #Left AS l
    WHERE l.Stays = 1 AND l.IsWhole = 1 AND l.IsPassed = 1 AND (@ExcludedStreamId IS NULL OR l.stream_id <> @ExcludedStreamId)
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = l.stream_id AND {InScope})
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = l.stream_id
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = l.stream_id
        );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'AncestorStamps', 1, 0, N'
    -- Rules 7 and 14: an ancestor that comes without a stamp would lose against what this scope has been told of it
    -- before. First what it was handed, where the ancestor is in this scope no more, and the time at which somebody
    -- logged that it left: on a tie the later run wins. Then what it was told to be rid of, which a row has to pass, by
    -- a microsecond, which every server keeps. One that came before its window waits, as in LeftScope. And whoever has
    -- the row of another scope keeps it: the greatest stamp of its metadata has to be greater.
    CREATE TABLE #Stamp (stream_id uniqueidentifier NOT NULL PRIMARY KEY, Handed datetime2(7) NULL, Logged datetime2(7) NULL, Told datetime2(7) NULL, Newest datetime2(7) NULL);
    INSERT INTO #Stamp (stream_id, Handed, Logged, Told, Newest)
    SELECT
        t.{KeyColumn},
        (
            SELECT k.ModifiedOn FROM dbo.BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = t.{KeyColumn}
                AND t.DeltaBusinessUnit IS NULL
                AND (k.IsWhole = 0 OR (
                    (k.ModifiedOn IS NULL OR k.ModifiedOn < @WindowEnd)
                    AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
                ))
        ),
        (
            SELECT d.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS d
            WHERE d.TableName = @TableName AND d.stream_id = t.{KeyColumn} AND d.Reason = N''LeftScope'' AND t.DeltaBusinessUnit IS NULL
        ),
        (
            -- Not every server adds to the first of all times.
            SELECT CASE
                WHEN MAX(d.DeletedOn) = CONVERT(datetime2(7), ''0001-01-01'') THEN CONVERT(datetime2(7), ''0001-01-01T00:00:00.000001'')
                ELSE DATEADD(microsecond, 1, MAX(d.DeletedOn))
            END
            FROM dbo.BlobDeltaToldDeletion AS d
            WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = t.{KeyColumn}
        ),
        (SELECT MAX(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn})
    FROM {TargetTable} AS t
    WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NULL;
    UPDATE #Stamp SET Handed = Logged WHERE Logged IS NOT NULL AND (Handed IS NULL OR Handed < Logged);
    -- On a tie the run that started later wins, and the server''s clock may have gone back since.
    UPDATE #Stamp SET Handed = CASE
        WHEN Handed = CONVERT(datetime2(7), ''0001-01-01'') THEN CONVERT(datetime2(7), ''0001-01-01T00:00:00.000001'')
        ELSE DATEADD(microsecond, 1, Handed)
    END
    WHERE Handed IS NOT NULL AND EXISTS (
        SELECT 1 FROM dbo.BlobDeltaRun AS own
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt AND r.RunId <> own.RunId
        WHERE own.RunId = @RunId
    );
    UPDATE #Stamp SET Handed = Told WHERE Told IS NOT NULL AND (Handed IS NULL OR Handed < Told);
    UPDATE t SET DeltaModifiedOn = s.Handed
    FROM {TargetTable} AS t
    INNER JOIN #Stamp AS s ON s.stream_id = t.{KeyColumn}
    WHERE s.Handed IS NOT NULL AND (@BusinessUnitId IS NULL OR s.Newest > s.Handed);
    DROP TABLE #Stamp;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftBare', 0, 1, N'
    -- Rule 17: of what left a business unit, and comes in this slice as an ancestor of another unit that wins there, its
    -- receivers have the whole row no more.
    UPDATE k SET IsWhole = 0
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = k.stream_id
    WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.IsWhole = 1
        AND (k.ModifiedOn IS NULL OR k.ModifiedOn < @WindowEnd)
        AND t.DeltaStep = 2 AND t.DeltaBusinessUnit IS NULL
        AND (k.ModifiedOn IS NULL OR t.DeltaModifiedOn >= k.ModifiedOn);');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftWhole', 0, 1, N'
    -- Where the slice is given up: what it brought without its blob stands whole at receivers that never had it.
    UPDATE k SET IsWhole = 1
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = k.stream_id
    WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND t.DeltaStep = 2 AND t.DeltaBusinessUnit IS NULL;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftTold', 0, 1, N'
    -- Rule 17: #Left into the slice, and out of what its receivers have. A deletion that is told already says more.
    DELETE FROM {SliceSchema}.BlobDeltaDeletion WHERE TableName = @TableName AND Reason = N''LeftScope'';
    INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
    SELECT @TableName, l.stream_id, l.LeftOn, @BusinessUnitId, @Now, N''LeftScope''
    FROM #Left AS l
    WHERE l.Stays = 0 AND (l.IsWhole = 1 OR l.IsPassed = 1) AND NOT EXISTS (
        SELECT 1 FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName AND d.stream_id = l.stream_id
    );
    -- As in AncestorStamps.
    UPDATE {SliceSchema}.BlobDeltaDeletion SET DeletedOn = CASE
        WHEN DeletedOn = CONVERT(datetime2(7), ''0001-01-01'') THEN CONVERT(datetime2(7), ''0001-01-01T00:00:00.000001'')
        ELSE DATEADD(microsecond, 1, DeletedOn)
    END
    WHERE TableName = @TableName AND Reason = N''LeftScope'' AND EXISTS (
        SELECT 1 FROM dbo.BlobDeltaRun AS own
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt AND r.RunId <> own.RunId
        WHERE own.RunId = @RunId
    );
    DELETE FROM dbo.BlobDeltaShippedKey
    WHERE TableName = @TableName AND BusinessUnitId = @BusinessUnitId AND stream_id IN (
        SELECT d.stream_id FROM {SliceSchema}.BlobDeltaDeletion AS d
        WHERE d.TableName = @TableName AND d.Reason = N''LeftScope''
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BackAgain', 0, 1, N'
    -- Rule 17: what left this business unit, was told so, and is in it again: with its old stamp it lies in no window.
    INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
    SELECT DISTINCT @TableName, @Scope, d.stream_id, N''it left its business unit, and is in it again'', @Now
    FROM dbo.BlobDeltaToldDeletion AS d
    WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.IsDeletion = 0
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = d.stream_id
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
            WHERE p.TableName = @TableName AND p.Scope = @Scope AND p.stream_id = d.stream_id
        )
        AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = d.stream_id AND {InScope});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ForeignPending', 0, 1, N'
    -- Rule 17: a pending key of a business unit whose row has come, and is another unit''s by its metadata, is not
    -- this unit''s to wait for. The runs of the other unit take it by its stamp.
    DELETE FROM dbo.BlobDeltaPendingKey
    WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
        SELECT p.stream_id
        FROM dbo.BlobDeltaPendingKey AS p
        INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = p.stream_id
        WHERE p.TableName = @TableName AND p.Scope = @Scope
            AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id)
            AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id AND {InScope})
    );');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'KnownUnits', 0, 1, N'
    -- Rule 12: the units that a completed run over all units has seen. One that is away, and comes back, is new again:
    -- its changes of meanwhile lie in no window.
    UPDATE dbo.BlobDeltaBusinessUnitWatermark
    SET IsKnownToAllRuns = CASE
        WHEN BusinessUnitId IN (SELECT u.{BusinessUnitIdColumn} FROM {BusinessUnitTable} AS u) THEN 1 ELSE 0
    END
    WHERE TableName = @TableName;
    INSERT INTO dbo.BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, IsKnownToAllRuns)
    SELECT DISTINCT @TableName, u.{BusinessUnitIdColumn}, 1
    FROM {BusinessUnitTable} AS u
    WHERE u.{BusinessUnitIdColumn} IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaBusinessUnitWatermark AS k
        WHERE k.TableName = @TableName AND k.BusinessUnitId = u.{BusinessUnitIdColumn}
    );');
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_ListNames', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_ListNames AS RETURN 0');
GO
-- All names that scripts take from the configuration of a table, in one text: scripts that were filled under
-- another one are not of this configuration.
ALTER PROCEDURE dbo.usp_BlobDelta_ListNames
    @TableName nvarchar(400),
    @Names nvarchar(4000) OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET @Names = (
        SELECT CONCAT(
            QUOTENAME(SourceDb), QUOTENAME(SourceSchema), QUOTENAME(SourceTable), N' ', QUOTENAME(TargetDb), QUOTENAME(TargetSchema),
            QUOTENAME(TargetTable), N' ', QUOTENAME(MetadataDb), QUOTENAME(MetadataSchema), QUOTENAME(MetadataTable), N' ',
            QUOTENAME(BusinessUnitDb), QUOTENAME(BusinessUnitSchema), QUOTENAME(BusinessUnitTable), N' ', QUOTENAME(KeyColumn), N' ',
            QUOTENAME(PathColumn), N' ', QUOTENAME(ParentPathColumn), N' ', QUOTENAME(MetadataIdColumn), N' ',
            QUOTENAME(MetadataModifiedOnCol), N' ', QUOTENAME(MetadataBusinessUnitCol), N' ', QUOTENAME(BusinessUnitIdColumn),
            N' ', MetadataFilter
        )
        FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName
    );
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_FillTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_FillTable AS RETURN 0');
GO
-- Fills every script that a run of a table uses into #Script, by #Placeholder and #Own, all of the caller, and
-- checks the templates. One that is, word for word, what a completed run of this table executed was
-- checked then; with @CheckAll it is checked again.
ALTER PROCEDURE dbo.usp_BlobDelta_FillTable
    @TableName nvarchar(400),
    @CheckAll bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @IsTree bit, @HasUnits bit, @HasBrace bit, @Name nvarchar(64), @Names nvarchar(4000), @Given nvarchar(max),
        @SourceTable nvarchar(max), @TargetTable nvarchar(max), @MetadataTable nvarchar(max), @UnitTable nvarchar(max),
        @SliceSchema nvarchar(max), @SourceHint nvarchar(max), @Key nvarchar(max), @Path nvarchar(max), @ParentPathColumn nvarchar(max),
        @ParentPath nvarchar(max), @Id nvarchar(max), @ModifiedOn nvarchar(max), @OfUnit nvarchar(max), @UnitId nvarchar(max),
        @Unit nvarchar(max), @InScope nvarchar(max), @Filter nvarchar(max), @TargetColumns nvarchar(max), @SourceColumns nvarchar(max),
        @AncestorColumns nvarchar(max), @RowBytes nvarchar(max), @Dop nvarchar(max);
    -- One that stands for nothing stays as it is, and is told below.
    SELECT
        @IsTree = MAX(CASE WHEN Name = N'ParentPathColumn' AND Value IS NOT NULL THEN 1 ELSE 0 END),
        @HasUnits = MAX(CASE WHEN Name = N'MetadataBusinessUnitCol' AND Value IS NOT NULL THEN 1 ELSE 0 END),
        @HasBrace = MAX(CASE WHEN CHARINDEX(N'{', Value) > 0 THEN 1 ELSE 0 END),
        @SourceTable = COALESCE(MAX(CASE WHEN Name = N'SourceTable' THEN Value END), N'{SourceTable}'),
        @TargetTable = COALESCE(MAX(CASE WHEN Name = N'TargetTable' THEN Value END), N'{TargetTable}'),
        @MetadataTable = COALESCE(MAX(CASE WHEN Name = N'MetadataTable' THEN Value END), N'{MetadataTable}'),
        @UnitTable = COALESCE(MAX(CASE WHEN Name = N'BusinessUnitTable' THEN Value END), N'{BusinessUnitTable}'),
        @SliceSchema = COALESCE(MAX(CASE WHEN Name = N'SliceSchema' THEN Value END), N'{SliceSchema}'),
        @SourceHint = COALESCE(MAX(CASE WHEN Name = N'SourceHint' THEN Value END), N'{SourceHint}'),
        @Key = COALESCE(MAX(CASE WHEN Name = N'KeyColumn' THEN Value END), N'{KeyColumn}'),
        @Path = COALESCE(MAX(CASE WHEN Name = N'PathColumn' THEN Value END), N'{PathColumn}'),
        @ParentPathColumn = COALESCE(MAX(CASE WHEN Name = N'ParentPathColumn' THEN Value END), N'{ParentPathColumn}'),
        @ParentPath = COALESCE(MAX(CASE WHEN Name = N'ParentPath' THEN Value END), N'{ParentPath}'),
        @Id = COALESCE(MAX(CASE WHEN Name = N'MetadataIdColumn' THEN Value END), N'{MetadataIdColumn}'),
        @ModifiedOn = COALESCE(MAX(CASE WHEN Name = N'MetadataModifiedOnCol' THEN Value END), N'{MetadataModifiedOnCol}'),
        @OfUnit = COALESCE(MAX(CASE WHEN Name = N'MetadataBusinessUnitCol' THEN Value END), N'{MetadataBusinessUnitCol}'),
        @UnitId = COALESCE(MAX(CASE WHEN Name = N'BusinessUnitIdColumn' THEN Value END), N'{BusinessUnitIdColumn}'),
        @Unit = COALESCE(MAX(CASE WHEN Name = N'BusinessUnit' THEN Value END), N'{BusinessUnit}'),
        @InScope = COALESCE(MAX(CASE WHEN Name = N'InScope' THEN Value END), N'{InScope}'),
        @Filter = COALESCE(MAX(CASE WHEN Name = N'MetadataFilter' THEN Value END), N'{MetadataFilter}'),
        @TargetColumns = COALESCE(MAX(CASE WHEN Name = N'TargetColumns' THEN Value END), N'{TargetColumns}'),
        @SourceColumns = COALESCE(MAX(CASE WHEN Name = N'SourceColumns' THEN Value END), N'{SourceColumns}'),
        @AncestorColumns = COALESCE(MAX(CASE WHEN Name = N'AncestorColumns' THEN Value END), N'{AncestorColumns}'),
        @RowBytes = COALESCE(MAX(CASE WHEN Name = N'RowBytes' THEN Value END), N'{RowBytes}'),
        @Dop = COALESCE(MAX(CASE WHEN Name = N'MaxDOP' THEN Value END), N'{MaxDOP}')
    FROM #Placeholder;
    DELETE FROM #Script;

    -- The templates: the table's own, or the shared ones.
    INSERT INTO #Script (ScriptName, IsTemplate, ScriptText)
    SELECT N'Step' + CONVERT(nvarchar(1), s.StepNumber), 1, s.ScriptText
    FROM dbo.BlobDeltaStepScript AS s
    WHERE (s.TableName = @TableName OR (s.TableName IS NULL AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaStepScript AS o WHERE o.TableName = @TableName AND o.StepNumber = s.StepNumber
        ))) AND (s.StepNumber = 1 OR @IsTree = 1);
    INSERT INTO #Script (ScriptName, IsTemplate, ScriptText)
    SELECT s.QueueName, 1, s.ScriptText
    FROM dbo.BlobDeltaQueuePopulationScript AS s
    WHERE (s.TableName = @TableName OR (s.TableName IS NULL AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaQueuePopulationScript AS o WHERE o.TableName = @TableName AND o.QueueName = s.QueueName
        ))) AND (s.QueueName = N'WindowQueue' OR @IsTree = 1);
    IF (SELECT COUNT(*) FROM #Script) < CASE WHEN @IsTree = 1 THEN 5 ELSE 2 END
    BEGIN
        SET @Message = CONCAT(@TableName, N': a template is missing in BlobDeltaStepScript or BlobDeltaQueuePopulationScript; run script 04, which puts the shared ones back');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    INSERT INTO #Script (ScriptName, IsTemplate, ScriptText)
    SELECT ScriptName, 0, ScriptText FROM #Own
    WHERE (IsOfTrees = 0 OR @IsTree = 1) AND (IsOfUnits = 0 OR @HasUnits = 1);

    -- All scripts at once; where a name has a brace in it, which could then be taken for a placeholder, none.
    IF @HasBrace = 0
    BEGIN
        UPDATE #Script SET ScriptText =
            REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(ScriptText,
            N'{SourceTable}', @SourceTable), N'{TargetTable}', @TargetTable), N'{MetadataTable}', @MetadataTable),
            N'{BusinessUnitTable}', @UnitTable), N'{SliceSchema}', @SliceSchema), N'{SourceHint}', @SourceHint), N'{KeyColumn}', @Key),
            N'{PathColumn}', @Path), N'{ParentPathColumn}', @ParentPathColumn), N'{ParentPath}', @ParentPath);
        UPDATE #Script SET ScriptText =
            REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(ScriptText,
            N'{RowBytes}', @RowBytes), N'{MetadataFilter}', @Filter), N'{MetadataIdColumn}', @Id), N'{MetadataModifiedOnCol}', @ModifiedOn), N'{MetadataBusinessUnitCol}', @OfUnit),
            N'{BusinessUnitIdColumn}', @UnitId), N'{BusinessUnit}', @Unit), N'{InScope}', @InScope), N'{TargetColumns}', @TargetColumns),
            N'{SourceColumns}', @SourceColumns), N'{AncestorColumns}', @AncestorColumns), N'{MaxDOP}', @Dop);
    END;
    -- What has a brace yet is gone through one by one, and an error says where it stands.
    SET @Name = (SELECT MIN(ScriptName) FROM #Script WHERE CHARINDEX(N'{', ScriptText) > 0);
    WHILE @Name IS NOT NULL
    BEGIN
        EXEC dbo.usp_BlobDelta_FillScript @TableName, @Name;
        SET @Name = (SELECT MIN(ScriptName) FROM #Script WHERE CHARINDEX(N'{', ScriptText) > 0 AND ScriptName > @Name);
    END;
    UPDATE #Script SET ScriptText = CONCAT(ScriptText, N'
    SET @Rows = @@ROWCOUNT;') WHERE IsTemplate = 1;
    -- The keys of a window are gathered beside the queue, where nobody waits for them, and are put into it in chunks.
    UPDATE #Script SET ScriptText = REPLACE(ScriptText, N'dbo.BlobDeltaWindowQueue', N'#Window') WHERE ScriptName = N'WindowQueue';

    IF @CheckAll = 0
        UPDATE #Script SET IsTemplate = 0
        WHERE EXISTS (
            SELECT 1 FROM dbo.BlobDeltaRunScript AS r
            INNER JOIN dbo.BlobDeltaRunTable AS t ON t.RunId = r.RunId AND t.TableName = r.TableName
            WHERE t.Status = N'Completed' AND r.TableName = @TableName AND r.ScriptName = #Script.ScriptName
                AND r.SqlText COLLATE Latin1_General_BIN2 = #Script.ScriptText COLLATE Latin1_General_BIN2
        );
    SET @Name = (SELECT MIN(ScriptName) FROM #Script WHERE IsTemplate = 1);
    WHILE @Name IS NOT NULL
    BEGIN
        -- Its syntax is checked here, before anything is written: the branch is parsed and never taken. It
        -- begins in the template's first line, so that the lines of both are the same.
        SET @Given = (SELECT CONCAT(N'IF 1 = 0 BEGIN ', ScriptText, N'
    END;') FROM #Script WHERE ScriptName = @Name);
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = @Name, @TableName = @TableName, @Sql = @Given;
        SET @Name = (SELECT MIN(ScriptName) FROM #Script WHERE IsTemplate = 1 AND ScriptName > @Name);
    END;
    EXEC dbo.usp_BlobDelta_ListNames @TableName, @Names OUTPUT;
    INSERT INTO #Script (ScriptName, IsTemplate, ScriptText) VALUES (N'Names', 0, @Names);
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_PrepareTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_PrepareTable AS RETURN 0');
GO
-- Fills every script that a run of a table uses, and keeps them in BlobDeltaRunScript; with
-- @CheckOnly it fills and checks the templates and writes nothing.
ALTER PROCEDURE dbo.usp_BlobDelta_PrepareTable
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @CheckOnly bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Dop int;
    CREATE TABLE #Column (
        Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Ordinal int NOT NULL, DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
        TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
        NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
        CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL
    );
    CREATE TABLE #Placeholder (Name nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, Value nvarchar(max) COLLATE DATABASE_DEFAULT NULL);
    CREATE TABLE #Own (ScriptName nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, IsOfTrees bit NOT NULL, IsOfUnits bit NOT NULL, ScriptText nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    CREATE TABLE #Script (ScriptName nvarchar(64) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, IsTemplate bit NOT NULL, ScriptText nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    SET @Dop = COALESCE((SELECT MaxDOP FROM dbo.BlobDeltaRun WHERE RunId = @RunId), 0);
    EXEC dbo.usp_BlobDelta_ListPlaceholders @TableName, 1, @Dop;
    EXEC dbo.usp_BlobDelta_ListOwnScripts;
    EXEC dbo.usp_BlobDelta_FillTable @TableName, @CheckOnly;
    IF @CheckOnly = 1 RETURN 0;
    DELETE FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName;
    INSERT INTO dbo.BlobDeltaRunScript (RunId, TableName, ScriptName, SqlText)
    SELECT @RunId, @TableName, ScriptName, ScriptText FROM #Script;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RunScript', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RunScript AS RETURN 0');
GO
-- Executes a prepared script of a table run.
ALTER PROCEDURE dbo.usp_BlobDelta_RunScript
    @RunId uniqueidentifier,
    @TableName nvarchar(400),
    @ScriptName nvarchar(64),
    @Step int = 0,
    @BatchSize int = 0,
    @Rows bigint = NULL OUTPUT,
    @Json nvarchar(4000) = NULL OUTPUT,
    @Key uniqueidentifier = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Sql nvarchar(max), @Excluded uniqueidentifier, @Start datetime2(7), @End datetime2(7),
        @Unit uniqueidentifier, @Previous uniqueidentifier, @RunStart datetime2(7), @Now datetime2(7), @From datetime2(7);
    SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = @ScriptName);
    IF @Sql IS NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': the script ', @ScriptName, N' was not prepared; start the table first');
        EXEC dbo.usp_BlobDelta_Throw 51001, @Message;
    END;
    SELECT
        @Excluded = c.ExcludedStreamId, @Start = t.WindowStart, @End = t.WindowEnd, @Unit = r.BusinessUnitId,
        @Previous = t.PreviousRunId, @From = t.DeletionsFrom,
        @RunStart = CASE WHEN c.ModifiedOnIsUtc = 1 THEN r.RunStartedAt ELSE r.RunStartedAtLocal END
    FROM dbo.BlobDeltaRunTable AS t
    INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
    INNER JOIN dbo.BlobDeltaTableConfig AS c ON c.TableName = t.TableName
    WHERE t.RunId = @RunId AND t.TableName = @TableName;
    SET @Now = dbo.ufn_BlobDelta_UtcNow();
    EXEC dbo.usp_BlobDelta_Execute @ScriptName = @ScriptName, @TableName = @TableName, @Sql = @Sql, @BatchSize = @BatchSize, @ExcludedStreamId = @Excluded, @WindowStart = @Start,
        @WindowEnd = @End, @BusinessUnitId = @Unit, @RunId = @RunId, @PreviousRunId = @Previous,
        @RunStart = @RunStart, @Now = @Now, @Step = @Step, @DeletionsFrom = @From,
        @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
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
    DECLARE @Message nvarchar(2000), @Holder uniqueidentifier, @Until datetime2(7), @Taken int, @Now datetime2(7), @IsHeld bit;
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
            @IsHeld = CASE WHEN IsRunning = 1 AND RunLeaseExpiresAt > @Now THEN 1 ELSE 0 END
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
-- Rule 1: a clock that stands before the last run's start by more than the buffer is refused.
ALTER PROCEDURE dbo.usp_BlobDelta_CheckClock
    @Now datetime2(7),
    @TableName nvarchar(400) = NULL
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Message nvarchar(2000), @Last datetime2(7), @Buffer int;
    SET @Last = (SELECT MAX(RunStartedAt) FROM dbo.BlobDeltaRun);
    SET @Buffer = COALESCE((
        SELECT MIN(SafetyBufferMinutes) FROM dbo.BlobDeltaTableConfig
        WHERE TableName = @TableName OR (@TableName IS NULL AND IsActive = 1)
    ), 0);
    IF @Now < DATEADD(minute, -@Buffer, @Last)
    BEGIN
        SET @Message = CONCAT(N'the server''s clock says ', CONVERT(nvarchar(27), @Now, 126), N'Z, but the last run started at ',
            CONVERT(nvarchar(27), @Last, 126), N'Z; set the clock right, a window computed from it would lose changes. If it was wrong in the last run, let the next one',
            N' that is not refused go back with --from (@WindowFrom) to the true time of that run, less the buffer');
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
-- From version 1: not every server lets an ALTER give a default to a parameter that is there already.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version = 1)
    EXEC (N'ALTER PROCEDURE dbo.usp_BlobDelta_StartRun AS RETURN 0');
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
    @BundleForm nvarchar(20) = NULL
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
    EXEC dbo.usp_BlobDelta_CheckClock @Utc, @TableName;
    CREATE TABLE #BlobDeltaCatalog (
        DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, ObjectId int NOT NULL, Ordinal int NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
        TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
        NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
        CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL, PRIMARY KEY (DbName, ObjectId, Ordinal)
    );
    CREATE TABLE #Column (
        Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Ordinal int NOT NULL, DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
        TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
        NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
        CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL
    );
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
    IF @BusinessUnitId IS NOT NULL AND @Known = 0
    BEGIN
        SET @Message = CONCAT(N'no configured table has the business unit ', LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N' in its scope');
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    BEGIN TRY
        BEGIN TRANSACTION;
        SET @RunId = COALESCE(@RunId, NEWID());
        INSERT INTO dbo.BlobDeltaRun (RunId, RunType, RequestedBy, RunStartedAt, RunStartedAtLocal, Status, TableName,
            BusinessUnitId, BatchSize, MaxDOP, WindowFrom, OutFolder, ShipTo, SignedBy, EncryptedTo, BundleForm)
        VALUES (@RunId, CASE WHEN @TableName IS NULL THEN N'AllTables' ELSE N'SingleTable' END,
            COALESCE(@RequestedBy, ORIGINAL_LOGIN()), @Utc, @Local, N'Running', @TableName, @BusinessUnitId, @BatchSize, @MaxDOP, @WindowFrom,
            @OutFolder, @ShipTo, @SignedBy, @EncryptedTo, @BundleForm);
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
    EXEC dbo.usp_BlobDelta_CheckClock @Now;
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
-- it is computed from. @Blocked says why there can be none now.
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
    @Blocked nvarchar(2000) = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @Buffer int, @Baseline datetime2(7), @IsUtc bit, @Session int, @Scope nvarchar(36),
        @Begin datetime2(7) = CONVERT(datetime2(7), '0001-01-01');
    SELECT @Buffer = SafetyBufferMinutes, @Baseline = InitialBaseline, @IsUtc = ModifiedOnIsUtc FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
    SELECT @Watermark = NULL, @PreviousRunId = NULL, @Blocked = NULL,
        @Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all');
    IF @BusinessUnitId IS NULL
        SET @Watermark = (SELECT LastHighWaterModifiedOn FROM dbo.BlobDeltaHighWatermark WHERE TableName = @TableName);
    ELSE
        SET @Watermark = (
            SELECT LastHighWaterModifiedOn FROM dbo.BlobDeltaBusinessUnitWatermark
            WHERE TableName = @TableName AND BusinessUnitId = @BusinessUnitId
        );
    SELECT TOP (1) @PreviousRunId = t.RunId
    FROM dbo.BlobDeltaRunTable AS t
    INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
    WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.Status = N'Completed'
    ORDER BY r.RunStartedAt DESC, t.RunId DESC;
    EXEC dbo.usp_BlobDelta_OldestTransaction @TableName, @Oldest OUTPUT, @Session OUTPUT, @LagOnly OUTPUT;
    SET @WindowEnd = DATEADD(minute, -@Buffer, @RunStart);
    IF @Oldest < @WindowEnd
    BEGIN
        SET @WindowEnd = @Oldest;
        IF @WindowEnd <= @Watermark
            SET @Blocked = CONCAT(@TableName, N': session ', @Session, N' has had a transaction open since ', CONVERT(nvarchar(27), @Oldest, 126),
                N', before the last watermark ', CONVERT(nvarchar(27), @Watermark, 126), N'; nothing was emptied. Run the table again when it has ended');
    END;
    SET @WindowStart = CASE
        WHEN @Watermark IS NULL THEN COALESCE(@Baseline, @Begin)
        WHEN @Watermark < CONVERT(datetime2(7), '0003-01-01') THEN @Begin
        ELSE DATEADD(minute, -@Buffer, @Watermark)
    END;
    IF @WindowFrom < @WindowStart SET @WindowStart = @WindowFrom;
    IF @WindowEnd < @WindowStart SET @WindowStart = @WindowEnd;
    -- LoggedAt is UTC; no local time is a day away from it.
    SET @DeletionsFrom = CASE
        WHEN @IsUtc = 1 OR @WindowFrom < CONVERT(datetime2(7), '0001-01-02') THEN @WindowFrom
        ELSE DATEADD(day, -1, @WindowFrom)
    END;
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
    INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
    SELECT p.TableName, s.Scope, p.stream_id, p.Reason, p.CreatedAt
    FROM dbo.BlobDeltaPendingKey AS p
    CROSS JOIN (
        SELECT Scope FROM #Scope
        UNION
        SELECT COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all')
    ) AS s
    WHERE p.TableName = @TableName AND p.Scope = N'' AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaPendingKey AS k
        WHERE k.TableName = p.TableName AND k.Scope = s.Scope AND k.stream_id = p.stream_id
    );
    IF EXISTS (SELECT 1 FROM #Scope) DELETE FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = N'';
    DROP TABLE #Scope;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_StartTable', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_StartTable AS RETURN 0');
GO
-- Takes the lease, computes the window, empties the slice and queues the window's keys; or, if this run
-- did that before, takes the lease with the next epoch and goes on there. @IsComplete: nothing is left to do.
-- Can be repeated under the same @OwnerToken when its answer is lost. @Attempt, @TakeOver and @TookOver are those of
-- usp_BlobDelta_TakeLease.
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
    @TookOver uniqueidentifier = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 60000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT > 0 THROW 51001, N'Call this procedure outside of a transaction: it commits by itself.', 1;
    SET @TableName = dbo.ufn_BlobDelta_TableName(@TableName);
    DECLARE @Message nvarchar(2000), @Holder uniqueidentifier, @State nvarchar(20), @Unit uniqueidentifier,
        @RunStart datetime2(7), @From datetime2(7), @Buffer int, @Require bit, @WithDeletions bit,
        @Watermark datetime2(7), @Previous uniqueidentifier, @DeletionsFrom datetime2(7),
        @WindowStart datetime2(7), @WindowEnd datetime2(7), @Oldest datetime2(7), @LagOnly bit, @Rows bigint,
        @Json nvarchar(4000), @Units nvarchar(max), @One uniqueidentifier, @HasUnits bit, @Key uniqueidentifier, @Names nvarchar(4000),
        @Older bigint = 0, @Before datetime2(7), @Newest datetime2(7), @Dropped bigint, @After bigint;
    SELECT @LeaseEpoch = NULL, @QueuedKeys = NULL, @IsComplete = 0;
    SELECT @Unit = r.BusinessUnitId, @From = r.WindowFrom, @Buffer = c.SafetyBufferMinutes,
        @Require = c.RequireBundle, @WithDeletions = c.IncludeDeletions,
        @RunStart = CASE WHEN c.ModifiedOnIsUtc = 1 THEN r.RunStartedAt ELSE r.RunStartedAtLocal END,
        @WindowStart = t.WindowStart, @WindowEnd = t.WindowEnd, @QueuedKeys = t.QueuedKeys,
        @HasUnits = CASE WHEN c.MetadataBusinessUnitCol IS NULL THEN 0 ELSE 1 END
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
        IF @WindowEnd IS NOT NULL AND @QueuedKeys IS NOT NULL
        BEGIN
            SET @IsComplete = CASE WHEN @State = N'Filling' THEN 0 ELSE 1 END;
            -- A key that was excluded since it was queued is not waited for: the way out of a row that cannot be copied.
            BEGIN TRANSACTION;
            EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch;
            DELETE FROM dbo.BlobDeltaWindowQueue
            WHERE RunId = @RunId AND TableName = @TableName AND State IS NULL
                AND stream_id IN (
                    SELECT e.stream_id FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
                    UNION ALL SELECT c.ExcludedStreamId FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
                );
            SET @Dropped = @@ROWCOUNT;
            DELETE FROM dbo.BlobDeltaMissingParentsQueue
            WHERE RunId = @RunId AND TableName = @TableName AND Processed = 0
                AND stream_id IN (
                    SELECT e.stream_id FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
                    UNION ALL SELECT c.ExcludedStreamId FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
                );
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
        EXEC dbo.usp_BlobDelta_ComputeWindow @TableName, @Unit, @RunStart, @From, @WindowStart OUTPUT, @WindowEnd OUTPUT,
            @Watermark OUTPUT, @Previous OUTPUT, @DeletionsFrom OUTPUT, @Oldest OUTPUT, @LagOnly OUTPUT, @Message OUTPUT;
        IF @Message IS NOT NULL EXEC dbo.usp_BlobDelta_Throw 51004, @Message;
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
        SET Status = N'Running', WindowStart = @WindowStart, WindowEnd = @WindowEnd, BufferMinutes = @Buffer,
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
        IF @Unit IS NOT NULL AND EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = LOWER(CONVERT(nvarchar(36), @Unit))
        )
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ForeignPending';
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
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'HeldBack';
        IF @WithDeletions = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Deletions';
        -- Rule 17: folders that left the scope and stay there come once more, without their blobs.
        IF EXISTS (
            SELECT 1 FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName AND ParentPathColumn IS NOT NULL
        )
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftScope';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftStays';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftBehind';
        END;
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'Told', 0, 0, @Rows OUTPUT, @Json OUTPUT, @Key OUTPUT;
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
-- run would not start. Until it ends, a start of the same table may have to wait for it.
ALTER PROCEDURE dbo.usp_BlobDelta_PlanTable
    @TableName nvarchar(400),
    @BusinessUnitId uniqueidentifier = NULL,
    @WindowFrom datetime2(7) = NULL
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
        @QueuedKeys bigint, @Counts nvarchar(4000), @IsUtc bit, @Message nvarchar(2000);
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
        @Watermark OUTPUT, @Previous OUTPUT, @DeletionsFrom OUTPUT, @Oldest OUTPUT, @LagOnly OUTPUT, @Sql OUTPUT;
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
        SET @Sql = (
            SELECT SqlText FROM dbo.BlobDeltaRunScript
            WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'ForeignPending' AND @BusinessUnitId IS NOT NULL
        );
        IF @Sql IS NOT NULL
            EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'ForeignPending', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'WindowQueue');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'WindowQueue', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded, @WindowStart = @WindowStart, @WindowEnd = @WindowEnd,
            @BusinessUnitId = @BusinessUnitId, @RunId = @RunId, @PreviousRunId = @Previous,
            @RunStart = @RunStart, @Now = @Utc, @Step = 0, @BatchSize = 0, @DeletionsFrom = @DeletionsFrom;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'SuspectKeys');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'SuspectKeys', @TableName = @TableName, @Sql = @Sql, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId,
            @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
        IF @Json IS NOT NULL AND @Refused IS NULL
            SET @Refused = CONCAT(@TableName, N': ', REPLACE(@Json, N' set NAME ', CONCAT(N' set ', @TableName, N' ')));
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'HeldBack');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'HeldBack', @TableName = @TableName, @Sql = @Sql, @WindowEnd = @WindowEnd, @BusinessUnitId = @BusinessUnitId, @RunId = @RunId,
            @RunStart = @RunStart;
        SET @Sql = (SELECT SqlText FROM dbo.BlobDeltaRunScript WHERE RunId = @RunId AND TableName = @TableName AND ScriptName = N'Told');
        EXEC dbo.usp_BlobDelta_Execute @ScriptName = N'Told', @TableName = @TableName, @Sql = @Sql, @ExcludedStreamId = @Excluded, @WindowStart = @WindowStart, @WindowEnd = @WindowEnd,
            @BusinessUnitId = @BusinessUnitId, @RunStart = @RunStart,
            @Rows = @Rows OUTPUT, @Json = @Json OUTPUT, @Key = @Key OUTPUT;
        SET @QueuedKeys = (SELECT COUNT(*) FROM #Window);
        SET @Counts = CONCAT(
            N'{"roots":0,"missing_parents":0,"children":0,"early":0,"late":0,"tombstones":0,', SUBSTRING(@Json, 2, LEN(@Json) - 2),
            N',"gone":0,"held_back":', (SELECT COUNT(*) FROM dbo.BlobDeltaHeldBackKey WHERE RunId = @RunId AND TableName = @TableName),
            (
                SELECT CONCAT(N',"pending":', COUNT(*), N',"pending_since":"' + CONVERT(nvarchar(27), MIN(CreatedAt), 126) + N'Z"')
                FROM dbo.BlobDeltaPendingKey
                WHERE TableName = @TableName AND Scope = COALESCE(LOWER(CONVERT(nvarchar(36), @BusinessUnitId)), N'all')
            ), N'}'
        );
        ROLLBACK TRANSACTION;
    END TRY
    BEGIN CATCH
        IF XACT_STATE() <> 0 ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
    SELECT @WindowStart AS WindowStart, @WindowEnd AS WindowEnd, @QueuedKeys AS QueuedKeys, @Counts AS Counts, @Refused AS Refused;
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
        IsPending int NOT NULL DEFAULT 0, Depth int NOT NULL DEFAULT 0, ParentKey uniqueidentifier NULL, State nvarchar(10) COLLATE DATABASE_DEFAULT NULL
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
            SET @After = (
                SELECT CASE WHEN @Step = 1 THEN RootsSeq ELSE ChildrenSeq END FROM dbo.BlobDeltaRunTable
                WHERE RunId = @RunId AND TableName = @TableName
            );
            INSERT INTO #Batch (stream_id, Seq, WasHeldBack, IsPending)
            SELECT TOP (@BatchSize) q.stream_id, q.Seq, q.WasHeldBack, q.IsPending FROM dbo.BlobDeltaWindowQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq > @After AND q.State IS NULL
            ORDER BY q.Seq;
            -- A step ends when no key is unmarked, not when the numbers have run out.
            IF @After > 0 AND NOT EXISTS (SELECT 1 FROM #Batch)
                INSERT INTO #Batch (stream_id, Seq, WasHeldBack, IsPending)
                SELECT TOP (@BatchSize) q.stream_id, q.Seq, q.WasHeldBack, q.IsPending FROM dbo.BlobDeltaWindowQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.State IS NULL
                ORDER BY q.Seq;
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
                SET @Message = CONCAT(@TableName, N': the row ', LOWER(CONVERT(nvarchar(36), @Key)), N' has a cycle or 512 levels of parents above it; mend its parent path in the source, or exclude the key in BlobDeltaExcludedKey');
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
                SET @Message = CONCAT(@TableName, N': the script of step ', @Step, N' left out a row that is in the window, ', LOWER(CONVERT(nvarchar(36), @Key)), N'; a script may not filter rows, exclude keys in BlobDeltaExcludedKey, with a reason');
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
            -- Both tables are bounded to the batch: a server that does not know yet how large the queue has become
            -- would else go through all of it, once a row of the batch. What rarely happens is asked for first.
            SET @Scope = (SELECT Scope FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName);
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
    DECLARE @Message nvarchar(2000), @Unmarked bigint, @Copied bigint, @Gone bigint, @Json nvarchar(4000), @Told nvarchar(4000),
        @Unused bigint, @Key uniqueidentifier, @Unit uniqueidentifier, @Scope nvarchar(36), @End datetime2(7), @InSlice bigint,
        @HasUnits bit, @IsTree bit, @Now datetime2(7) = dbo.ufn_BlobDelta_UtcNow();
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
        IF @IsTree = 1
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'MendDepths', 0, 0, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
            IF @Key IS NOT NULL
            BEGIN
                SET @Message = CONCAT(@TableName, N': rows were moved while the slice was filled, and stand in a cycle now, ', LOWER(CONVERT(nvarchar(36), @Key)), N'; run the table again');
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'SuspectTree', 0, 0, @Unused OUTPUT, @Json OUTPUT, @Key OUTPUT;
            IF @Json IS NOT NULL
            BEGIN
                SET @Message = REPLACE(REPLACE(CONCAT(@TableName, N': ', @Json), N'%', N'%%'), N' set NAME ', CONCAT(N' set ', @TableName, N' '));
                EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
            END;
        END;
        SELECT @Unit = r.BusinessUnitId, @Scope = t.Scope, @End = t.WindowEnd, @Told = t.Counts
        FROM dbo.BlobDeltaRunTable AS t INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
        WHERE t.RunId = @RunId AND t.TableName = @TableName;
        -- Rule 17: what the slice hands out is noted, and receivers of a business unit are told what left it.
        IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'AncestorStamps';
        -- Before LeftBack, what was logged stands in the slice: what has come back is settled too.
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ToldDeletions';
        EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftBack';
        IF @Unit IS NOT NULL
        BEGIN
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftBare';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ShippedKeys';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftScope';
            IF @IsTree = 1 EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftStays';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftTold';
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'ToldDeletions';
        END;
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
        -- Rule 17: its scope has had what was copied.
        IF EXISTS (SELECT 1 FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = @Scope)
            DELETE FROM dbo.BlobDeltaPendingKey
            WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
                SELECT q.stream_id FROM dbo.BlobDeltaWindowQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending = 1 AND q.State = N'Copied'
            );
        SET @Counts = CONCAT(
            SUBSTRING(@Json, 1, LEN(@Json) - 1), N',', SUBSTRING(@Told, 2, LEN(@Told) - 2), N',"gone":', @Gone, N',"held_back":',
            (SELECT COUNT(*) FROM dbo.BlobDeltaHeldBackKey WHERE RunId = @RunId AND TableName = @TableName),
            (
                SELECT CONCAT(N',"pending":', COUNT(*), N',"pending_since":"' + CONVERT(nvarchar(27), MIN(CreatedAt), 126) + N'Z"')
                FROM dbo.BlobDeltaPendingKey WHERE TableName = @TableName AND Scope = @Scope
            ), N'}'
        );
        -- Rules 11 and 12: never backwards, and a run for one unit moves that unit's alone.
        IF @Unit IS NULL
        BEGIN
            UPDATE dbo.BlobDeltaHighWatermark
            SET LastRunId = @RunId, LastRunCompletedAt = @Now, IsInitialFullLoadDone = 1,
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
-- is excluded; a page of @Limit after the child @After, in the server's order of uniqueidentifier.
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
        @ParentPath nvarchar(800), @Sql nvarchar(max);
    IF @Limit IS NULL OR @Limit < 1 THROW 51001, N'@Limit is a number of rows, 1 at least', 1;
    EXEC dbo.usp_BlobDelta_PassSlice @RunId, @TableName, @LeaseEpoch;
    CREATE TABLE #Column (
        Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Ordinal int NOT NULL, DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
        TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
        NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
        CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL
    );
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
    SET @Sql = CONCAT(N'
    SELECT TOP (@Limit) c.', @Key, N' AS Child, c.DeltaParentKey AS Parent
    FROM ', @Full, N' AS c
    WHERE c.', @ParentPath, N' IS NOT NULL', CASE WHEN @After IS NULL THEN N'' ELSE CONCAT(N' AND c.', @Key, N' > @After') END, N'
        AND (
            c.DeltaParentKey IS NULL
            OR NOT EXISTS (SELECT 1 FROM ', @Full, N' AS p WHERE p.', @Key, N' = c.DeltaParentKey)
        )
    ORDER BY c.', @Key);
    EXEC sp_executesql @Sql, N'@After uniqueidentifier, @Limit int', @After = @After, @Limit = @Limit;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_RecordBundle', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_RecordBundle AS RETURN 0');
GO
-- Rule 10: notes that the slice of a table run is in a published bundle. The caller has the transaction open, so
-- that all tables of a bundle are recorded or none. Repeated with the same root digest it does nothing.
-- With @ShipTo the bundle is owed to that destination from this transaction on, until it was shipped there.
-- @IsRequiredNow: nobody had said anything of RequireBundle, and it was set to 1.
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
    @IsRequiredNow bit = 0 OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF @@TRANCOUNT = 0 THROW 51001, N'Call this procedure within a transaction: all tables of a bundle are recorded or none.', 1;
    DECLARE @Message nvarchar(2000), @Recorded nvarchar(64);
    SET @IsRequiredNow = 0;
    SET @Recorded = (SELECT RootSha256 FROM dbo.BlobDeltaBundle WHERE RunId = @RunId AND TableName = @TableName);
    IF @Recorded = @RootSha256 RETURN 0;
    IF @Recorded IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@TableName, N': this table run is recorded already, in another bundle, with the root digest ', @Recorded, N'; nothing was written');
        EXEC dbo.usp_BlobDelta_Throw 51003, @Message;
    END;
    EXEC dbo.usp_BlobDelta_Pass @RunId, @TableName, @LeaseEpoch, N'Complete';
    INSERT INTO dbo.BlobDeltaBundle (RunId, TableName, PackNumber, Scope, RootSha256, PreviousRootSha256, Name, Folder, PublishedAt, ShipTo)
    VALUES (@RunId, @TableName, @PackNumber, @Scope, @RootSha256, @PreviousRootSha256, @Name, @Folder, @PublishedAt, @ShipTo);
    UPDATE dbo.BlobDeltaRunTable SET PackNumber = @PackNumber WHERE RunId = @RunId AND TableName = @TableName;
    EXEC dbo.usp_BlobDelta_SetMarker @RunId, @TableName, N'Packed';
    UPDATE dbo.BlobDeltaTableConfig SET RequireBundle = 1 WHERE TableName = @TableName AND RequireBundle IS NULL;
    IF @@ROWCOUNT > 0 SET @IsRequiredNow = 1;
END;
GO
IF OBJECT_ID(N'dbo.usp_BlobDelta_GiveUp', N'P') IS NULL EXEC (N'CREATE PROCEDURE dbo.usp_BlobDelta_GiveUp AS RETURN 0');
GO
-- Rule 19: gives up a complete slice that is in no bundle, and releases its lease. The scope's watermark goes back
-- to where it was before the run, where it still is the run's; pending keys that the run took, logged deletions, and
-- units that it told as new, are asked for and told again. Held-back keys of the run before come by themselves: that run
-- is the previous one again. The marker names no run; the rows go when the next run fills the slice. Of
-- a run that is not known any more the marker alone is changed.
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
        @NewUnits nvarchar(max), @Db nvarchar(128), @Table nvarchar(128), @Sql nvarchar(max), @Scope nvarchar(36);
    -- Whose answer was lost may call again.
    IF EXISTS (SELECT 1 FROM dbo.BlobDeltaRunTable WHERE RunId = @RunId AND TableName = @TableName AND Status = N'GivenUp') RETURN 0;
    BEGIN TRY
        BEGIN TRANSACTION;
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
        INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
        SELECT @TableName, @Scope, q.stream_id, N'The slice of the run that had copied this key was given up', dbo.ufn_BlobDelta_UtcNow()
        FROM dbo.BlobDeltaWindowQueue AS q
        WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.IsPending = 1 AND q.State = N'Copied'
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
                WHERE p.TableName = @TableName AND p.Scope = @Scope AND p.stream_id = q.stream_id
            );
        DELETE FROM dbo.BlobDeltaToldDeletion WHERE TableName = @TableName AND Scope = @Scope AND RunId = @RunId;
        -- What it told to have left a unit is to be told again.
        SELECT @Db = d.name, @Table = c.TargetTable
        FROM dbo.BlobDeltaTableConfig AS c
        INNER JOIN sys.databases AS d ON d.database_id = DB_ID(c.TargetDb)
        WHERE c.TableName = @TableName;
        SET @Sql = REPLACE(N'INSERT INTO dbo.BlobDeltaShippedKey (TableName, BusinessUnitId, stream_id, ModifiedOn, IsWhole)
            SELECT @TableName, @Unit, d.stream_id, d.DeletedOn, 1 FROM {Db}.[dbo].[BlobDeltaDeletion] AS d
            WHERE d.TableName = @TableName AND d.Reason = N''LeftScope'' AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.BusinessUnitId = @Unit AND k.stream_id = d.stream_id
            )', N'{Db}', QUOTENAME(@Db));
        IF @Unit IS NOT NULL
        BEGIN
            EXEC sp_executesql @Sql, N'@TableName nvarchar(400), @Unit uniqueidentifier', @TableName = @TableName, @Unit = @Unit;
            EXEC dbo.usp_BlobDelta_RunScript @RunId, @TableName, N'LeftWhole';
        END;
        UPDATE dbo.BlobDeltaBusinessUnitWatermark SET IsKnownToAllRuns = 0
        WHERE TableName = @TableName AND CHARINDEX(LOWER(CONVERT(nvarchar(36), BusinessUnitId)), @NewUnits) > 0;
        UPDATE dbo.BlobDeltaRunTable SET Status = N'GivenUp' WHERE RunId = @RunId AND TableName = @TableName;
        SET @Sql = REPLACE(N'UPDATE {Db}.[dbo].[BlobDeltaSlice] SET RunId = NULL, RunStartedAt = NULL, WindowStart = NULL,
            WindowEnd = NULL, State = N''Empty'' WHERE TargetTable = @Table', N'{Db}', QUOTENAME(@Db));
        EXEC sp_executesql @Sql, N'@Table nvarchar(128)', @Table = @Table;
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
    @BatchBytes int = 268435456
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
        EXEC dbo.usp_BlobDelta_StartRun @TableName, @BatchSize, @MaxDOP, @BusinessUnitId, @RequestedBy, @WindowFrom, @RunId OUTPUT;
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
        @Full nvarchar(800), @Source uniqueidentifier, @Created bit = 0, @Found int, @Delta nvarchar(max), @Collation nvarchar(128), @Nullable bit,
        @Create nvarchar(300);
    EXEC dbo.usp_BlobDelta_ResolveTableConfig @TableName = @TableName, @WithTarget = 0;
    SELECT @SourceDb = SourceDb, @SourceSchema = SourceSchema, @SourceName = SourceTable, @Db = TargetDb, @Schema = TargetSchema,
        @Table = TargetTable, @Key = KeyColumn, @Path = PathColumn, @Parent = ParentPathColumn
    FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName;
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
    ELSE IF COL_LENGTH(QUOTENAME(@Db) + N'.[dbo].[BlobDeltaDeletion]', N'Reason') IS NULL
    BEGIN
        SET @Sql = N'USE ' + QUOTENAME(@Db) + N';
    ALTER TABLE dbo.BlobDeltaDeletion ADD Reason nvarchar(20) NOT NULL
        CONSTRAINT DF_BlobDeltaDeletion_Reason DEFAULT N''Deleted''
        CONSTRAINT CK_BlobDeltaDeletion_Reason CHECK (Reason IN (N''Deleted'', N''LeftScope''));
    USE BlobDeltaJobs;';
        EXEC sp_executesql @Sql;
    END;
    SET @Full = QUOTENAME(@Db) + N'.' + QUOTENAME(@Schema) + N'.' + QUOTENAME(@Table);
    IF OBJECT_ID(@Full) IS NULL
    BEGIN
        -- CREATE SCHEMA is a batch of its own.
        SET @Sql = CONCAT(N'USE ', QUOTENAME(@Db), N';
    IF NOT EXISTS (SELECT 1 FROM sys.schemas WHERE name = @Schema) EXEC (@Create);
    USE BlobDeltaJobs;');
        SET @Create = N'CREATE SCHEMA ' + QUOTENAME(@Schema);
        EXEC sp_executesql @Sql, N'@Schema nvarchar(128), @Create nvarchar(300)', @Schema = @Schema, @Create = @Create;
        CREATE TABLE #Column (
            Role nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL, Ordinal int NOT NULL, DbName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, SchemaName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL,
            TableName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
            NumberPrecision int NOT NULL, NumberScale int NOT NULL, IsNullable bit NOT NULL, IsComputed bit NOT NULL,
            CollationName nvarchar(128) COLLATE DATABASE_DEFAULT NULL
        );
        EXEC dbo.usp_BlobDelta_ReadColumns N'Source', @SourceDb, @SourceSchema, @SourceName;
        -- Small columns first, then the Delta columns, then the large ones.
        SET @Delta = N',
        DeltaModifiedOn datetime2(7) NULL,
        DeltaBusinessUnit uniqueidentifier NULL,
        DeltaStep tinyint NOT NULL,
        DeltaDepth smallint NOT NULL,
        DeltaParentKey uniqueidentifier NULL,
        DeltaEarly bit NOT NULL';
        SET @Pass = 0;
        WHILE @Pass < 2
        BEGIN
            SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column);
            WHILE @Ordinal IS NOT NULL
            BEGIN
                SELECT
                    @Name = Name, @Collation = CollationName, @Nullable = IsNullable,
                    @Large = CASE WHEN MaxLength = -1 OR TypeName IN (N'text', N'ntext', N'image') THEN 1 ELSE 0 END,
                    @Type = CASE
                        WHEN TypeName IN (N'timestamp', N'rowversion') THEN N'binary(8)'
                        WHEN TypeName IN (N'varbinary', N'varchar', N'nvarchar') AND MaxLength = -1 THEN TypeName + N'(max)'
                        WHEN TypeName IN (N'varbinary', N'binary', N'varchar', N'char') THEN TypeName + N'(' + CONVERT(nvarchar(10), MaxLength) + N')'
                        WHEN TypeName IN (N'nvarchar', N'nchar') THEN TypeName + N'(' + CONVERT(nvarchar(10), MaxLength / 2) + N')'
                        WHEN TypeName IN (N'decimal', N'numeric')
                            THEN TypeName + N'(' + CONVERT(nvarchar(10), NumberPrecision) + N', ' + CONVERT(nvarchar(10), NumberScale) + N')'
                        WHEN TypeName IN (N'datetime2', N'datetimeoffset', N'time') THEN TypeName + N'(' + CONVERT(nvarchar(10), NumberScale) + N')'
                        WHEN TypeName = N'float' AND NumberPrecision > 0 THEN N'float(' + CONVERT(nvarchar(10), NumberPrecision) + N')'
                        WHEN TypeName IN (N'uniqueidentifier', N'hierarchyid', N'bit', N'tinyint', N'smallint', N'int', N'bigint', N'real',
                            N'float', N'money', N'smallmoney', N'date', N'datetime', N'smalldatetime', N'text', N'ntext', N'image', N'xml',
                            N'sql_variant', N'geography', N'geometry') THEN TypeName
                    END
                FROM #Column WHERE Ordinal = @Ordinal;
                IF @Type IS NULL
                BEGIN
                    SET @Message = CONCAT(@TableName, N': the type of the source column ', @Name, N' cannot be carried');
                    EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
                END;
                IF @Large = @Pass
                    SET @Columns = CONCAT(@Columns, CASE WHEN @Columns = N'' THEN N'
        ' ELSE N',
        ' END, QUOTENAME(@Name), N' ', @Type, N' ', CASE WHEN @Collation IS NULL THEN N'' ELSE CONCAT(N'COLLATE ', @Collation, N' ') END,
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
        DROP TABLE #Column;
        SET @Created = 1;
    END;
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
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 13, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'05_BlobDeltaJobs_Engine.sql' AND Version <= 13;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'05_BlobDeltaJobs_Engine.sql', 13
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'05_BlobDeltaJobs_Engine.sql');
GO
SET NOEXEC OFF;
GO
