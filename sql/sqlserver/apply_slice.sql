-- apply_slice: merges a restored slice database into your own tables. Version 1.
--
-- For a receiver who has the slice as a database and needs nothing else: set the names below and run
-- the script. It reads the slice, writes to the target database alone, and can be run again at any
-- time: each slice is applied once, and what was cut off goes on where it was.
--
-- What wins, for each key: the greatest DeltaModifiedOn, NULL being least; on a tie the run that started
-- later, then the greater RunId by its text; a deletion wins a tie against a row, and a key that left its unit one
-- against the rows of earlier runs. Between slices of several scopes the whole row wins a tie against one that a unit's
-- slice brought without its blobs, if the target keeps DeltaStep and DeltaBusinessUnit. So slices may
-- overlap, and may come late. Deletions are kept in dbo.BlobDeltaTombstone, so that one that came
-- before its row still wins; what was applied stands in dbo.BlobDeltaSliceApplied.
--
-- A key that left the business unit of the slice (Reason LeftScope) is no deletion: its row goes if slices of that
-- unit brought it, and slices of no other unit, nor of all of them, were ever applied to the table. Else it stays,
-- because this script cannot know whether another one brought it too, and the outcome says so.
--
-- A table of the slice goes into the table of the same schema and name as its source; where the target
-- database has none, into that of the slice table. It needs the columns of the slice table (computed
-- columns are left alone), and three that say where a row came from: DeltaModifiedOn,
-- DeltaRunStartedAt, DeltaRunId. Where one is missing the script says what to type.
--
-- It refuses, before anything is written: a slice that its run had not completed (unless @TableName
-- names another table of it); a target that lacks a column, has a narrower one or one of another
-- type, or whose key is not unique, or that is a FileTable. Do not run it beside another merge into the same tables.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
-- What an earlier try in this window left.
IF OBJECT_ID(N'tempdb..#Marker') IS NOT NULL DROP TABLE #Marker;
IF OBJECT_ID(N'tempdb..#Plan') IS NOT NULL DROP TABLE #Plan;
IF OBJECT_ID(N'tempdb..#Column') IS NOT NULL DROP TABLE #Column;
IF OBJECT_ID(N'tempdb..#There') IS NOT NULL DROP TABLE #There;
IF OBJECT_ID(N'tempdb..#Outcome') IS NOT NULL DROP TABLE #Outcome;
IF OBJECT_ID(N'tempdb..#Key') IS NOT NULL DROP TABLE #Key;
GO
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE
    @SliceDb   nvarchar(128) = N'Slice',    -- set this: the restored slice
    @TargetDb  nvarchar(128) = N'Target',   -- set this: the database with your tables
    @TableName nvarchar(400) = NULL,        -- NULL: every table of the slice; else this one, as dbo.BlobDeltaSlice names it
    @BatchSize int = 500;                   -- rows of one transaction

DECLARE
    @Message nvarchar(2000), @Sql nvarchar(max), @Slice nvarchar(300), @Target nvarchar(300), @Here nvarchar(300), @Nr int,
    @Name nvarchar(400), @SliceTable nvarchar(128), @SliceSchema nvarchar(128), @TargetSchema nvarchar(128), @TargetTable nvarchar(128),
    @From nvarchar(800), @Into nvarchar(800), @Key nvarchar(300), @KeyName nvarchar(128), @KeyType nvarchar(128), @ToKey nvarchar(100), @EndOfToKey nvarchar(20), @ToId nvarchar(100), @EndOfToId nvarchar(20), @Source uniqueidentifier, @RunId uniqueidentifier,
    @RunStart datetime2(7), @WindowStart datetime2(7), @WindowEnd datetime2(7), @Scope nvarchar(36), @State nvarchar(20), @Found int,
    @Ordinal int, @Column nvarchar(128), @Quoted nvarchar(300), @Sets nvarchar(max), @Columns nvarchar(max), @Values nvarchar(max),
    @TargetName nvarchar(1700), @Tie nvarchar(200), @IsPart nvarchar(100), @Wins nvarchar(max), @Beaten nvarchar(max), @After bigint, @To bigint, @Last bigint, @Depth int, @Updated bigint, @Inserted bigint,
    @Removed bigint, @Tombstones bigint, @Stays bigint, @Others int, @Rows bigint, @End datetime2(7), @Outcome nvarchar(1000);

SELECT @Slice = QUOTENAME(d.name) FROM sys.databases AS d WHERE d.database_id = DB_ID(@SliceDb);
SELECT @Target = QUOTENAME(d.name) FROM sys.databases AS d WHERE d.database_id = DB_ID(@TargetDb);
SET @Here = QUOTENAME(DB_NAME());
IF @Slice IS NULL OR @Target IS NULL
BEGIN
    SET @Message = CONCAT(N'there is no database ', CASE WHEN @Slice IS NULL THEN @SliceDb ELSE @TargetDb END, N', or this login may not see it; set @SliceDb and @TargetDb at the top');
    SET @Message = REPLACE(@Message, N'%', N'%%');
    THROW 51000, @Message, 1;
END;
IF OBJECT_ID(@Slice + N'.[dbo].[BlobDeltaSlice]') IS NULL OR OBJECT_ID(@Slice + N'.[dbo].[BlobDeltaDeletion]') IS NULL
BEGIN
    SET @Message = CONCAT(@SliceDb, N' is no slice database: it lacks dbo.BlobDeltaSlice or dbo.BlobDeltaDeletion');
    SET @Message = REPLACE(@Message, N'%', N'%%');
    THROW 51000, @Message, 1;
END;

-- What the slice holds. A table that no run ever filled is passed over.
CREATE TABLE #Marker (
    Nr int NOT NULL PRIMARY KEY, TargetTable nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, SourceId uniqueidentifier NOT NULL,
    RunId uniqueidentifier NULL, RunStartedAt datetime2(7) NULL, WindowStart datetime2(7) NULL, WindowEnd datetime2(7) NULL,
    Scope nvarchar(36) COLLATE DATABASE_DEFAULT NOT NULL, State nvarchar(20) COLLATE DATABASE_DEFAULT NOT NULL
);
SET @Sql = REPLACE(N'
    INSERT INTO #Marker (Nr, TargetTable, TableName, SourceId, RunId, RunStartedAt, WindowStart, WindowEnd, Scope, State)
    SELECT ROW_NUMBER() OVER (ORDER BY m.TableName), m.TargetTable, m.TableName, m.SourceId, m.RunId, m.RunStartedAt, m.WindowStart, m.WindowEnd, m.Scope, m.State
    FROM {Slice}.[dbo].[BlobDeltaSlice] AS m
    WHERE m.State <> N''Empty'' AND (@TableName IS NULL OR m.TableName = @TableName)', N'{Slice}', @Slice);
EXEC sp_executesql @Sql, N'@TableName nvarchar(400)', @TableName = @TableName;
IF NOT EXISTS (SELECT 1 FROM #Marker)
BEGIN
    SET @Message = CONCAT(N'the marker table of ', @SliceDb, N' names no slice', N' of ' + @TableName, N'; nothing was done');
    SET @Message = REPLACE(@Message, N'%', N'%%');
    THROW 51000, @Message, 1;
END;
SET @Nr = (SELECT MIN(Nr) FROM #Marker WHERE State NOT IN (N'Complete', N'Packed') OR RunId IS NULL OR RunStartedAt IS NULL);
IF @Nr IS NOT NULL
BEGIN
    SELECT @Message = CONCAT(TableName, N': the slice is ', State, N', its run had not ended when this copy was made; nothing was done. Ask for a copy that is Complete or Packed')
    FROM #Marker WHERE Nr = @Nr;
    SET @Message = REPLACE(@Message, N'%', N'%%');
    THROW 51000, @Message, 1;
END;

-- How each table goes into its target: decided for all of them before anything is written.
CREATE TABLE #Plan (
    Nr int NOT NULL PRIMARY KEY, FromTable nvarchar(800) COLLATE DATABASE_DEFAULT NOT NULL, IntoTable nvarchar(800) COLLATE DATABASE_DEFAULT NOT NULL, KeyColumn nvarchar(300) COLLATE DATABASE_DEFAULT NOT NULL,
    KeyType nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, Sets nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL, TargetColumns nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL, SliceColumns nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL
);
CREATE TABLE #Column (
    Ordinal int NOT NULL PRIMARY KEY, Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL,
    NumberPrecision int NOT NULL, NumberScale int NOT NULL, TargetName nvarchar(128) COLLATE DATABASE_DEFAULT NULL, TargetType nvarchar(128) COLLATE DATABASE_DEFAULT NULL,
    TargetLength int NULL, TargetPrecision int NULL, TargetScale int NULL, IsComputed int NULL, IsIdentity int NULL
);
CREATE TABLE #There (
    Name nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL PRIMARY KEY, TypeName nvarchar(128) COLLATE DATABASE_DEFAULT NOT NULL, MaxLength int NOT NULL, NumberPrecision int NOT NULL,
    NumberScale int NOT NULL, IsComputed int NOT NULL, IsIdentity int NOT NULL
);
SET @Nr = (SELECT MIN(Nr) FROM #Marker);
WHILE @Nr IS NOT NULL
BEGIN
    SELECT @Name = TableName, @SliceTable = TargetTable FROM #Marker WHERE Nr = @Nr;
    SELECT @SliceSchema = NULL, @Found = 0, @KeyName = NULL;
    SET @Sql = REPLACE(N'
        SELECT @SliceSchema = MAX(s.name), @Found = COUNT(*)
        FROM {Slice}.sys.tables AS t
        INNER JOIN {Slice}.sys.schemas AS s ON s.schema_id = t.schema_id
        INNER JOIN {Slice}.sys.columns AS c ON c.object_id = t.object_id AND c.name = N''DeltaModifiedOn''
        WHERE t.name = @SliceTable', N'{Slice}', @Slice);
    EXEC sp_executesql @Sql, N'@SliceTable nvarchar(128), @SliceSchema nvarchar(128) OUTPUT, @Found int OUTPUT',
        @SliceTable = @SliceTable, @SliceSchema = @SliceSchema OUTPUT, @Found = @Found OUTPUT;
    IF @Found <> 1
    BEGIN
        SET @Message = CONCAT(@Name, N': ', @SliceDb, N' holds ', @Found, N' slice tables named ', @SliceTable, N', and has to hold one');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    SET @From = @Slice + N'.' + QUOTENAME(@SliceSchema) + N'.' + QUOTENAME(@SliceTable);
    SELECT @TargetSchema = PARSENAME(@Name, 2), @TargetTable = PARSENAME(@Name, 1);
    IF OBJECT_ID(@Target + N'.' + QUOTENAME(@TargetSchema) + N'.' + QUOTENAME(@TargetTable)) IS NULL
        SELECT @TargetSchema = @SliceSchema, @TargetTable = @SliceTable;
    SET @Into = @Target + N'.' + QUOTENAME(@TargetSchema) + N'.' + QUOTENAME(@TargetTable);
    IF OBJECT_ID(@Into) IS NULL
    BEGIN
        SET @Message = CONCAT(@Name, N': there is no table ', @Into, N'; make it first, the DDL of the slice table does');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    -- A FileTable has the columns that it has, so it cannot keep the three.
    SET @Sql = REPLACE(N'SELECT @Found = COUNT(*) FROM {Target}.sys.tables AS t WHERE t.object_id = OBJECT_ID(@Into) AND t.is_filetable = 1', N'{Target}', @Target);
    EXEC sp_executesql @Sql, N'@Into nvarchar(800), @Found int OUTPUT', @Into = @Into, @Found = @Found OUTPUT;
    IF @Found > 0
    BEGIN
        SET @Message = CONCAT(@Name, N': ', @Into, N' is a FileTable, whose columns are fixed, so it cannot remember where its rows came from. Apply the slice to a plain table; or replay the bundle with blobdelta replay, which keeps that in a table beside it');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    -- The key: the slice table's primary key.
    SET @Sql = REPLACE(N'
        SELECT @KeyName = MAX(c.name), @KeyType = MAX(CASE y.name WHEN N''binary'' THEN N''binary('' + CONVERT(nvarchar(10), c.max_length) + N'')'' ELSE y.name END), @Found = COUNT(*)
        FROM {Slice}.sys.indexes AS i
        INNER JOIN {Slice}.sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
        INNER JOIN {Slice}.sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
        INNER JOIN {Slice}.sys.types AS y ON y.user_type_id = c.system_type_id
        WHERE i.object_id = OBJECT_ID(@From) AND i.is_primary_key = 1', N'{Slice}', @Slice);
    EXEC sp_executesql @Sql, N'@From nvarchar(800), @KeyName nvarchar(128) OUTPUT, @KeyType nvarchar(128) OUTPUT, @Found int OUTPUT',
        @From = @From, @KeyName = @KeyName OUTPUT, @KeyType = @KeyType OUTPUT, @Found = @Found OUTPUT;
    IF @Found <> 1
    BEGIN
        SET @Message = CONCAT(@Name, N': the slice table has no primary key of one column');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    -- A row replaces the row of its key, so the key alone has to be unique in the target.
    SET @Sql = REPLACE(N'
        SELECT @Found = COUNT(*)
        FROM {Target}.sys.indexes AS i
        INNER JOIN {Target}.sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id
        INNER JOIN {Target}.sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
        WHERE i.object_id = OBJECT_ID(@Into) AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0
            AND k.is_included_column = 0 AND c.name = @KeyName
            AND NOT EXISTS (
                SELECT 1 FROM {Target}.sys.index_columns AS o
                WHERE o.object_id = i.object_id AND o.index_id = i.index_id AND o.is_included_column = 0 AND o.column_id <> k.column_id
            )', N'{Target}', @Target);
    EXEC sp_executesql @Sql, N'@Into nvarchar(800), @KeyName nvarchar(128), @Found int OUTPUT', @Into = @Into, @KeyName = @KeyName, @Found = @Found OUTPUT;
    IF @Found = 0
    BEGIN
        SET @Message = CONCAT(@Name, N': no index of ', @Into, N' is unique on ', @KeyName, N' alone; CREATE UNIQUE INDEX UX_BlobDelta_Key ON ', @Into, N' (', QUOTENAME(@KeyName), N')');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    DELETE FROM #Column;
    DELETE FROM #There;
    -- One catalog a query: not every server reads those of two databases in one.
    SET @Sql = REPLACE(N'
        INSERT INTO #Column (Ordinal, Name, TypeName, MaxLength, NumberPrecision, NumberScale)
        SELECT c.column_id, c.name, y.name, c.max_length, c.precision, c.scale
        FROM {Slice}.sys.columns AS c
        INNER JOIN {Slice}.sys.types AS y ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
        WHERE c.object_id = OBJECT_ID(@From)', N'{Slice}', @Slice);
    EXEC sp_executesql @Sql, N'@From nvarchar(800)', @From = @From;
    SET @Sql = REPLACE(N'
        INSERT INTO #There (Name, TypeName, MaxLength, NumberPrecision, NumberScale, IsComputed, IsIdentity)
        SELECT c.name, y.name, c.max_length, c.precision, c.scale, CAST(c.is_computed AS int), CAST(c.is_identity AS int)
        FROM {Target}.sys.columns AS c
        INNER JOIN {Target}.sys.types AS y ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
        WHERE c.object_id = OBJECT_ID(@Into)', N'{Target}', @Target);
    EXEC sp_executesql @Sql, N'@Into nvarchar(800)', @Into = @Into;
    -- The start of a run is as exact as the stamp of the slice is.
    INSERT INTO #Column (Ordinal, Name, TypeName, MaxLength, NumberPrecision, NumberScale)
    SELECT 100001, N'DeltaRunStartedAt', TypeName, MaxLength, NumberPrecision, NumberScale FROM #Column WHERE Name = N'DeltaModifiedOn';
    INSERT INTO #Column (Ordinal, Name, TypeName, MaxLength, NumberPrecision, NumberScale)
    VALUES (100002, N'DeltaRunId', N'uniqueidentifier', 16, 0, 0);
    UPDATE c SET TargetName = t.Name, TargetType = t.TypeName, TargetLength = t.MaxLength, TargetPrecision = t.NumberPrecision,
        TargetScale = t.NumberScale, IsComputed = t.IsComputed, IsIdentity = t.IsIdentity
    FROM #Column AS c INNER JOIN #There AS t ON t.Name = c.Name;
    -- What the slice knows of itself may be missing in the target, but for the three.
    DELETE FROM #Column
    WHERE TargetName IS NULL AND Name IN (N'DeltaBusinessUnit', N'DeltaStep', N'DeltaDepth', N'DeltaParentKey', N'DeltaEarly');
    SELECT @Sql = CONCAT(
        MAX(CASE WHEN Name = N'DeltaModifiedOn' THEN N', DeltaModifiedOn datetime2(7) NULL' END),
        MAX(CASE WHEN Name = N'DeltaRunStartedAt' THEN N', DeltaRunStartedAt datetime2(7) NULL' END),
        MAX(CASE WHEN Name = N'DeltaRunId' THEN N', DeltaRunId uniqueidentifier NULL' END)
    )
    FROM #Column WHERE TargetName IS NULL;
    IF @Sql <> N''
    BEGIN
        SET @Message = CONCAT(@Name, N': ', @Into, N' cannot remember where its rows came from; ALTER TABLE ', @Into, N' ADD ', SUBSTRING(@Sql, 3, 200));
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    SET @Column = (SELECT MIN(Name) FROM #Column WHERE TargetName IS NULL);
    IF @Column IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@Name, N': ', @Into, N' lacks the column ', @Column, N' of the slice; add it');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    -- The server fills them by itself.
    DELETE FROM #Column WHERE IsComputed = 1 OR TargetType IN (N'timestamp', N'rowversion');
    SET @Column = (
        SELECT MIN(Name) FROM #Column
        WHERE IsIdentity = 1 OR TypeName <> TargetType OR NumberScale > TargetScale OR NumberPrecision > TargetPrecision
            OR (TargetLength <> -1 AND (MaxLength = -1 OR MaxLength > TargetLength))
    );
    IF @Column IS NOT NULL
    BEGIN
        SET @Message = CONCAT(@Name, N': the column ', @Column, N' of ', @Into, N' is narrower than that of the slice, of another type, or an identity, so a value could not come as it is; change it');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    IF NOT EXISTS (SELECT 1 FROM #Column WHERE Name = @KeyName)
    BEGIN
        SET @Message = CONCAT(@Name, N': the key ', @KeyName, N' is computed in ', @Into);
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    SELECT @Sets = N'', @Columns = N'', @Values = N'';
    SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column);
    WHILE @Ordinal IS NOT NULL
    BEGIN
        SELECT
            @Column = Name, @Quoted = QUOTENAME(TargetName),
            @Sql = CASE Name WHEN N'DeltaRunStartedAt' THEN N'@RunStart' WHEN N'DeltaRunId' THEN N'@RunId' ELSE N's.' + QUOTENAME(Name) END
        FROM #Column WHERE Ordinal = @Ordinal;
        IF @Column <> @KeyName SET @Sets = CONCAT(@Sets, CASE WHEN @Sets = N'' THEN N'' ELSE N', ' END, @Quoted, N' = ', @Sql);
        SELECT
            @Columns = CONCAT(@Columns, CASE WHEN @Columns = N'' THEN N'' ELSE N', ' END, @Quoted),
            @Values = CONCAT(@Values, CASE WHEN @Values = N'' THEN N'' ELSE N', ' END, @Sql);
        SET @Ordinal = (SELECT MIN(Ordinal) FROM #Column WHERE Ordinal > @Ordinal);
    END;
    INSERT INTO #Plan (Nr, FromTable, IntoTable, KeyColumn, KeyType, Sets, TargetColumns, SliceColumns)
    VALUES (@Nr, @From, @Into, QUOTENAME(@KeyName), @KeyType, @Sets, @Columns, @Values);
    SET @Nr = (SELECT MIN(Nr) FROM #Marker WHERE Nr > @Nr);
END;
DROP TABLE #Column;
DROP TABLE #There;

-- From here on something is written. Tables are made in the database that is used; the second USE leads back.
IF OBJECT_ID(@Target + N'.[dbo].[BlobDeltaTombstone]') IS NULL
BEGIN
    SET @Sql = CONCAT(N'USE ', @Target, N';
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
            (Reason = N''Deleted'' AND Scope = N'''') OR (Reason = N''LeftScope'' AND Scope <> N'''')
        )
    );
    USE ', @Here, N';');
    EXEC sp_executesql @Sql;
END;
IF OBJECT_ID(@Target + N'.[dbo].[BlobDeltaSliceApplied]') IS NULL
BEGIN
    SET @Sql = CONCAT(N'USE ', @Target, N';
    CREATE TABLE dbo.BlobDeltaSliceApplied (
        RunId       uniqueidentifier NOT NULL,
        TableName   nvarchar(400) NOT NULL,
        SourceId    uniqueidentifier NOT NULL,
        Scope       nvarchar(36) NOT NULL,
        WindowStart datetime2(7) NULL,
        WindowEnd   datetime2(7) NULL,
        AppliedAt   datetime2(7) NOT NULL,
        CONSTRAINT PK_BlobDeltaSliceApplied PRIMARY KEY (RunId, TableName)
    );
    USE ', @Here, N';');
    EXEC sp_executesql @Sql;
END;

CREATE TABLE #Outcome (
    Nr int NOT NULL PRIMARY KEY, TableName nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, RunId uniqueidentifier NOT NULL, Outcome nvarchar(1000) COLLATE DATABASE_DEFAULT NOT NULL,
    RowsUpdated bigint NULL, RowsInserted bigint NULL, RowsRemoved bigint NULL, Tombstones bigint NULL
);
CREATE TABLE #Key (Nr bigint NOT NULL PRIMARY KEY, k uniqueidentifier NOT NULL UNIQUE, Depth int NOT NULL);
SET @Nr = (SELECT MIN(Nr) FROM #Marker);
WHILE @Nr IS NOT NULL
BEGIN
    SELECT @Name = m.TableName, @Source = m.SourceId, @RunId = m.RunId, @RunStart = m.RunStartedAt, @WindowStart = m.WindowStart,
        @WindowEnd = m.WindowEnd, @Scope = LOWER(m.Scope), @From = p.FromTable, @Into = p.IntoTable, @Key = p.KeyColumn, @KeyType = p.KeyType,
        @Sets = p.Sets, @Columns = p.TargetColumns, @Values = p.SliceColumns
    FROM #Marker AS m INNER JOIN #Plan AS p ON p.Nr = m.Nr WHERE m.Nr = @Nr;
    -- Tombstones, of the slice and of the target, have the ids of keys: of an integer its eight bytes behind eight zeros, of a
    -- binary the bytes with zeros behind them.
    SELECT @ToKey = N'', @EndOfToKey = N'', @ToId = N'', @EndOfToId = N'';
    IF @KeyType IN (N'bigint', N'int', N'smallint', N'tinyint')
        SELECT @ToKey = N'CONVERT(bigint, SUBSTRING(CONVERT(binary(16), ', @EndOfToKey = N'), 9, 8))',
            @ToId = N'CONVERT(uniqueidentifier, CONVERT(binary(16), CONVERT(bigint, ', @EndOfToId = N')))';
    ELSE IF @KeyType LIKE N'binary(%)'
        SELECT @ToKey = N'CONVERT(' + @KeyType + N', CONVERT(binary(16), ', @EndOfToKey = N'))',
            @ToId = N'CONVERT(uniqueidentifier, CONVERT(binary(16), SUBSTRING(', @EndOfToId = N', 1, 16)))';
    ELSE IF @KeyType <> N'uniqueidentifier'
    BEGIN
        SET @Message = CONCAT(@Name, N': the key of the slice table is ', @KeyType, N', which no slice has');
        SET @Message = REPLACE(@Message, N'%', N'%%');
        THROW 51000, @Message, 1;
    END;
    -- Another window of the same table and scope stood before, and this one begins after its end: one is missing.
    SET @Sql = REPLACE(N'
        SELECT
            @Found = SUM(CASE WHEN a.RunId = @RunId THEN 1 ELSE 0 END),
            @End = MAX(CASE WHEN a.RunId <> @RunId AND a.Scope = @Scope THEN a.WindowEnd END),
            @Others = SUM(CASE WHEN a.Scope <> @Scope THEN 1 ELSE 0 END)
        FROM {Target}.[dbo].[BlobDeltaSliceApplied] AS a
        WHERE a.TableName = @Name AND a.SourceId = @Source', N'{Target}', @Target);
    EXEC sp_executesql @Sql, N'@RunId uniqueidentifier, @Name nvarchar(400), @Source uniqueidentifier, @Scope nvarchar(36), @Found int OUTPUT, @End datetime2(7) OUTPUT, @Others int OUTPUT',
        @RunId = @RunId, @Name = @Name, @Source = @Source, @Scope = @Scope, @Found = @Found OUTPUT, @End = @End OUTPUT, @Others = @Others OUTPUT;
    SELECT @Updated = 0, @Inserted = 0, @Removed = 0, @Tombstones = 0, @Stays = 0;
    IF @Found > 0
        INSERT INTO #Outcome (Nr, TableName, RunId, Outcome) VALUES (@Nr, @Name, @RunId, N'was applied before; nothing was done');
    ELSE
    BEGIN
        -- Tombstones go by the table that is written, as those of a replay do.
        SET @TargetName = N'N''' + REPLACE(SUBSTRING(@Into, LEN(@Target) + 2, 800), N'''', N'''''') + N'''';
        SET @Beaten = REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(N'EXISTS (
            SELECT 1 FROM {Target}.[dbo].[BlobDeltaTombstone] AS d
            WHERE d.TableName = {TargetName} AND d.stream_id = {ToId(}s.{Key}{)ToId} AND d.Scope IN (N'''', @Scope) AND (
                s.DeltaModifiedOn IS NULL
                OR d.DeletedOn > s.DeltaModifiedOn
                OR (d.DeletedOn = s.DeltaModifiedOn AND (d.Scope = N'''' OR d.RunStartedAt > @RunStart))
            )
        )', N'{Target}', @Target), N'{Key}', @Key), N'{TargetName}', @TargetName), N'{ToId(}', @ToId), N'{)ToId}', @EndOfToId);
        SET @Wins = N'(
            s.DeltaModifiedOn > t.DeltaModifiedOn
            OR (s.DeltaModifiedOn IS NOT NULL AND t.DeltaModifiedOn IS NULL)
            OR (
                (s.DeltaModifiedOn = t.DeltaModifiedOn OR (s.DeltaModifiedOn IS NULL AND t.DeltaModifiedOn IS NULL))
                AND (
                    t.DeltaRunStartedAt IS NULL
                    OR t.DeltaRunStartedAt < @RunStart
                    OR (
                        t.DeltaRunStartedAt = @RunStart
                        AND (
                            t.DeltaRunId IS NULL
                            OR CONVERT(char(36), t.DeltaRunId) COLLATE Latin1_General_BIN2 < CONVERT(char(36), @RunId) COLLATE Latin1_General_BIN2
                        )
                    )
                )
            )
        )';
        -- What a unit's slice brings of another unit, for its place in the tree, is without its blobs. Where slices of other
        -- scopes were applied too, the whole row wins a tie against it, whichever run was later.
        IF @Others > 0
        BEGIN
            SET @Tie = N'(s.DeltaModifiedOn = t.DeltaModifiedOn OR (s.DeltaModifiedOn IS NULL AND t.DeltaModifiedOn IS NULL))';
            SET @IsPart = CASE WHEN @Scope = N'all' THEN N'1 = 0' ELSE N's.DeltaStep = 2 AND s.DeltaBusinessUnit IS NULL' END;
            SET @Wins = CONCAT(N'(', @Wins, N' AND NOT (', @IsPart, N' AND ', @Tie, N'))');
            IF COL_LENGTH(@Into, N'DeltaStep') IS NOT NULL AND COL_LENGTH(@Into, N'DeltaBusinessUnit') IS NOT NULL
                SET @Wins = CONCAT(N'(', @Wins, N' OR (t.DeltaStep = 2 AND t.DeltaBusinessUnit IS NULL AND NOT (', @IsPart, N') AND ', @Tie, N' AND EXISTS (
            SELECT 1 FROM ', @Target, N'.[dbo].[BlobDeltaSliceApplied] AS a
            WHERE a.TableName = @Name AND a.RunId = t.DeltaRunId AND a.Scope <> N''all''
        )))');
        END;
        -- Deletions first: they are kept for good, and remove what they beat.
        SET @Sql = REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(N'
            DELETE t
            FROM {Into} AS t
            INNER JOIN {Slice}.[dbo].[BlobDeltaDeletion] AS d ON t.{Key} = {ToKey(}d.stream_id{)ToKey} AND d.TableName = @Name
            WHERE d.Reason = N''Deleted'' AND (t.DeltaModifiedOn IS NULL OR d.DeletedOn >= t.DeltaModifiedOn);
            SET @Removed = @@ROWCOUNT;
            SELECT @Stays = COUNT(*)
            FROM {Into} AS t
            INNER JOIN {Slice}.[dbo].[BlobDeltaDeletion] AS d ON t.{Key} = {ToKey(}d.stream_id{)ToKey} AND d.TableName = @Name
            WHERE @Others > 0 AND d.Reason = N''LeftScope'' AND (t.DeltaModifiedOn IS NULL OR d.DeletedOn >= t.DeltaModifiedOn);
            DELETE t
            FROM {Into} AS t
            INNER JOIN {Slice}.[dbo].[BlobDeltaDeletion] AS d ON t.{Key} = {ToKey(}d.stream_id{)ToKey} AND d.TableName = @Name
            INNER JOIN {Target}.[dbo].[BlobDeltaSliceApplied] AS a ON a.RunId = t.DeltaRunId AND a.TableName = @Name AND a.Scope = @Scope
            WHERE COALESCE(@Others, 0) = 0 AND d.Reason = N''LeftScope'' AND (
                t.DeltaModifiedOn IS NULL
                OR d.DeletedOn > t.DeltaModifiedOn
                OR (d.DeletedOn = t.DeltaModifiedOn AND (t.DeltaRunStartedAt IS NULL OR t.DeltaRunStartedAt <= @RunStart))
            );
            SET @Removed = @Removed + @@ROWCOUNT;
            UPDATE b SET DeletedOn = d.DeletedOn, RunStartedAt = @RunStart, RunId = @RunId
            FROM {Target}.[dbo].[BlobDeltaTombstone] AS b
            INNER JOIN {Slice}.[dbo].[BlobDeltaDeletion] AS d ON d.stream_id = b.stream_id
            WHERE b.TableName = {TargetName} AND d.TableName = @Name AND b.Scope = CASE d.Reason WHEN N''LeftScope'' THEN @Scope ELSE N'''' END AND (
                b.DeletedOn IS NULL
                OR d.DeletedOn > b.DeletedOn
                OR (
                    d.DeletedOn = b.DeletedOn
                    AND (
                        @RunStart > b.RunStartedAt
                        OR (
                            @RunStart = b.RunStartedAt
                            AND CONVERT(char(36), @RunId) COLLATE Latin1_General_BIN2 > CONVERT(char(36), b.RunId) COLLATE Latin1_General_BIN2
                        )
                    )
                )
            );
            SET @Tombstones = @@ROWCOUNT;
            INSERT INTO {Target}.[dbo].[BlobDeltaTombstone] (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
            SELECT {TargetName}, d.stream_id, CASE d.Reason WHEN N''LeftScope'' THEN @Scope ELSE N'''' END, d.Reason, d.DeletedOn, @RunStart, @RunId
            FROM {Slice}.[dbo].[BlobDeltaDeletion] AS d
            WHERE d.TableName = @Name AND NOT EXISTS (
                SELECT 1 FROM {Target}.[dbo].[BlobDeltaTombstone] AS b
                WHERE b.TableName = {TargetName} AND b.stream_id = d.stream_id
                    AND b.Scope = CASE d.Reason WHEN N''LeftScope'' THEN @Scope ELSE N'''' END
            );
            SET @Tombstones = @Tombstones + @@ROWCOUNT;',
            N'{Into}', @Into), N'{Slice}', @Slice), N'{Target}', @Target), N'{Key}', @Key), N'{TargetName}', @TargetName), N'{ToKey(}', @ToKey), N'{)ToKey}', @EndOfToKey);
        BEGIN TRANSACTION;
        EXEC sp_executesql @Sql, N'@Name nvarchar(400), @RunId uniqueidentifier, @RunStart datetime2(7), @Scope nvarchar(36), @Others int, @Removed bigint OUTPUT, @Tombstones bigint OUTPUT, @Stays bigint OUTPUT',
            @Name = @Name, @RunId = @RunId, @RunStart = @RunStart, @Scope = @Scope, @Others = @Others, @Removed = @Removed OUTPUT, @Tombstones = @Tombstones OUTPUT, @Stays = @Stays OUTPUT;
        COMMIT TRANSACTION;
        -- Then the rows that win, parents before children: a batch is of one depth.
        DELETE FROM #Key;
        SET @Sql = CONCAT(N'
            INSERT INTO #Key (Nr, k, Depth)
            SELECT ROW_NUMBER() OVER (ORDER BY s.DeltaDepth, s.', @Key, N'), ', @ToId, N's.', @Key, @EndOfToId, N', s.DeltaDepth
            FROM ', @From, N' AS s
            LEFT JOIN ', @Into, N' AS t ON t.', @Key, N' = s.', @Key, N'
            WHERE (t.', @Key, N' IS NULL OR ', @Wins, N') AND NOT ', @Beaten);
        EXEC sp_executesql @Sql, N'@Name nvarchar(400), @RunId uniqueidentifier, @RunStart datetime2(7), @Scope nvarchar(36)', @Name = @Name, @RunId = @RunId, @RunStart = @RunStart, @Scope = @Scope;
        SET @Sql = CONCAT(N'
            UPDATE t SET ', @Sets, N'
            FROM ', @Into, N' AS t
            INNER JOIN #Key AS k ON t.', @Key, N' = ', @ToKey, N'k.k', @EndOfToKey, N'
            INNER JOIN ', @From, N' AS s ON s.', @Key, N' = ', @ToKey, N'k.k', @EndOfToKey, N'
            WHERE k.Nr > @After AND k.Nr <= @To AND ', @Wins, N' AND NOT ', @Beaten, N';
            SET @Updated = @Updated + @@ROWCOUNT;
            INSERT INTO ', @Into, N' (', @Columns, N')
            SELECT ', @Values, N'
            FROM #Key AS k
            INNER JOIN ', @From, N' AS s ON s.', @Key, N' = ', @ToKey, N'k.k', @EndOfToKey, N'
            WHERE k.Nr > @After AND k.Nr <= @To AND NOT ', @Beaten, N'
                AND NOT EXISTS (SELECT 1 FROM ', @Into, N' AS t WHERE t.', @Key, N' = ', @ToKey, N'k.k', @EndOfToKey, N');
            SET @Inserted = @Inserted + @@ROWCOUNT;');
        SELECT @After = 0, @Last = COALESCE((SELECT MAX(Nr) FROM #Key), 0);
        WHILE @After < @Last
        BEGIN
            SET @Depth = (SELECT Depth FROM #Key WHERE Nr = @After + 1);
            SET @To = (SELECT MAX(Nr) FROM #Key WHERE Nr > @After AND Nr <= @After + @BatchSize AND Depth = @Depth);
            BEGIN TRANSACTION;
            EXEC sp_executesql @Sql, N'@Name nvarchar(400), @RunId uniqueidentifier, @RunStart datetime2(7), @Scope nvarchar(36), @After bigint, @To bigint, @Updated bigint OUTPUT, @Inserted bigint OUTPUT',
                @Name = @Name, @RunId = @RunId, @RunStart = @RunStart, @Scope = @Scope, @After = @After, @To = @To, @Updated = @Updated OUTPUT, @Inserted = @Inserted OUTPUT;
            COMMIT TRANSACTION;
            SET @After = @To;
        END;
        SET @Sql = REPLACE(N'
            INSERT INTO {Target}.[dbo].[BlobDeltaSliceApplied] (RunId, TableName, SourceId, Scope, WindowStart, WindowEnd, AppliedAt)
            VALUES (@RunId, @Name, @Source, @Scope, @WindowStart, @WindowEnd, SYSUTCDATETIME())', N'{Target}', @Target);
        EXEC sp_executesql @Sql, N'@RunId uniqueidentifier, @Name nvarchar(400), @Source uniqueidentifier, @Scope nvarchar(36), @WindowStart datetime2(7), @WindowEnd datetime2(7)',
            @RunId = @RunId, @Name = @Name, @Source = @Source, @Scope = @Scope, @WindowStart = @WindowStart, @WindowEnd = @WindowEnd;
        SET @Outcome = CASE
            WHEN @End < @WindowStart THEN CONCAT(N'applied; a slice is missing before it: nothing is here from ', CONVERT(nvarchar(27), @End, 126), N' to ', CONVERT(nvarchar(27), @WindowStart, 126))
            ELSE N'applied'
        END;
        IF @Stays > 0
            SET @Outcome = CONCAT(@Outcome, N'; ', @Stays, N' rows left the scope of this slice and stay, for slices of another scope were applied to this table');
        INSERT INTO #Outcome (Nr, TableName, RunId, Outcome, RowsUpdated, RowsInserted, RowsRemoved, Tombstones)
        VALUES (@Nr, @Name, @RunId, @Outcome, @Updated, @Inserted, @Removed, @Tombstones);
    END;
    SET @Nr = (SELECT MIN(Nr) FROM #Marker WHERE Nr > @Nr);
END;
SELECT TableName, RunId, Outcome, RowsUpdated, RowsInserted, RowsRemoved, Tombstones FROM #Outcome ORDER BY Nr;
DROP TABLE #Key;
DROP TABLE #Outcome;
DROP TABLE #Plan;
DROP TABLE #Marker;
GO
