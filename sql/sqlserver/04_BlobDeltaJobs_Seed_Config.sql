-- 04: the two tables of the design documents, and the scripts of a run. Version 27.
--
-- The shared templates of the steps and queues; below them the engine's own scripts, and what fills and executes both.
-- Can be run again at any time: what is missing is added, what an operator changed is left alone; grants are kept.
-- To get a shared template back as it is here, delete its row and run this script.
--
-- A template is T-SQL with names in braces. The engine fills them with names from the catalog,
-- quoted, and with expressions over these, never with values; values are parameters:
-- @BatchSize, @ExcludedStreamId, @WindowStart, @WindowEnd, @BusinessUnitId, @Scope, @RunId, @PreviousRunId,
-- @TableName, @RunStart, @Now, @Step, @DeletionsFrom. The steps read their keys from #Batch
-- (stream_id, Seq, WasHeldBack, WithoutMetadata, Depth, ParentKey), and may leave out no row that is in
-- the window: exclude keys in BlobDeltaExcludedKey instead. Placeholders:
--   {SourceTable} {TargetTable} {MetadataTable} {BusinessUnitTable}  tables, three-part
--   {SliceSchema}                  the slice's database and schema dbo
--   {SourceHint}                   WITH (READCOMMITTEDLOCK) for a FileTable and for a view, else nothing
--   {ToKey(}q.stream_id{)ToKey}    the key of an id, to be held against {KeyColumn} or {MetadataIdColumn}
--   {ToId(}s.{KeyColumn}{)ToId}    the id of a key. Both are nothing where keys are uniqueidentifier
--   {KeyColumn} {PathColumn} {ParentPathColumn} {MetadataIdColumn} {MetadataModifiedOnCol}
--   {MetadataBusinessUnitCol} {BusinessUnitIdColumn}                 columns
--   {ModifiedOn}                   the stamp of a row of the metadata table, AS m, as a datetime2 in the table's clock
--   {InWindow} {InBuffer} {FromRunStart} {BeforeRunStart} {WithoutStamp}  conditions on it that an index serves: in the
--                                  window, from its end to the run's start, from there on, before it, no stamp at all.
--                                  {MetadataModifiedOnCol} is there only where it is the whole stamp
--   {ParentPath} {BusinessUnit}    s.<parent path>, m.<business unit>, or a NULL where there is none
--   {InScope}                      whether a row of the metadata table, AS m, belongs to the run, and is not deleted by DeletedWhen
--   {InScopeOrDeleted}             whether it belongs to the run, deleted or not
--   {IsDeleted}                    whether the key of such a row is deleted by DeletedWhen
--   {MetadataFilter}               whether such a row counts at all; part of the one before
--   {TargetColumns} {SourceColumns} {AncestorColumns}  column lists; the last without blobs where f.IsForeign = 1
--   {MaxDOP}                       a number
--
-- A script that fails is named to whoever asks: usp_BlobDelta_FillTable and usp_BlobDelta_Execute say in the
-- session's context which one they work on, and an error leaves it standing there. That holds too where a
-- server's error passes TRY/CATCH by. usp_BlobDelta_ScriptAtWork reads it.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql' AND Version > 27)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 04_BlobDeltaJobs_Seed_Config.sql. Use the newer script; this one changes nothing.', 16, 1);
    SET NOEXEC ON;
END;
GO
IF NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'03_BlobDeltaJobs_Schema.sql' AND Version >= 16)
BEGIN
    RAISERROR (N'The tables of this job database are older than this script. Run 03_BlobDeltaJobs_Schema.sql first; nothing was changed.', 16, 1);
    SET NOEXEC ON;
END;
GO
INSERT INTO dbo.BlobDeltaTableConfig (
    TableName, SourceDb, SourceTable, TargetDb, TargetTable, MetadataDb, MetadataTable,
    MetadataIdColumn, MetadataBusinessUnitCol, BusinessUnitDb, BusinessUnitTable, BusinessUnitIdColumn,
    IsActive
)
SELECT
    N'Gwent_LA_FileTable.dbo.' + t.Name, N'Gwent_LA_FileTable', t.Name, N'Gwent_LA_FileTable_Delta', t.Name,
    N'AdvancedRBS_MetaData', t.Name, N'AttachmentId', N'BusinessUnit', N'Gwent_LA_FileTable', N'LA_BU', N'BusinessUnitId',
    CASE
        WHEN OBJECT_ID(N'Gwent_LA_FileTable.dbo.' + t.Name) IS NOT NULL
            AND OBJECT_ID(N'AdvancedRBS_MetaData.dbo.' + t.Name) IS NOT NULL THEN 1
        ELSE 0
    END
FROM (SELECT N'ReferralAttachment' AS Name UNION ALL SELECT N'ClientAttachment') AS t
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = N'Gwent_LA_FileTable.dbo.' + t.Name
);
GO
INSERT INTO dbo.BlobDeltaHighWatermark (TableName)
SELECT c.TableName FROM dbo.BlobDeltaTableConfig AS c
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaHighWatermark AS h WHERE h.TableName = c.TableName);
GO
-- In the steps below a slice's rows of a key are counted, and not asked for by NOT EXISTS: some servers answer that by
-- going through the whole slice once a batch, which takes longer with every batch.
INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
SELECT NULL, 1, N'Roots', N'-- Step 1: the roots of a batch. A key whose row was given a parent since it was queued is left to
-- step 3. ModifiedOn is read again in this very statement: the stamp that a row carries is the
-- stamp of the bytes beside it.
INSERT INTO {TargetTable} (
    {TargetColumns}, DeltaModifiedOn, DeltaBusinessUnit, DeltaStep, DeltaDepth, DeltaParentKey, DeltaEarly
)
SELECT
    {SourceColumns}, f.ModifiedOn, f.BusinessUnit, 1, b.Depth, {ToKey(}b.ParentKey{)ToKey},
    CASE WHEN f.ModifiedOn >= @WindowEnd THEN 1 ELSE 0 END
FROM #Batch AS b
INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}
OUTER APPLY (
    SELECT TOP (1) {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, {ModifiedOn} AS ModifiedOn, {BusinessUnit} AS BusinessUnit
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
    ORDER BY {ModifiedOn} DESC
) AS f
WHERE (f.stream_id IS NOT NULL OR (b.WithoutMetadata = 1 AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey}
    )))
    AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd OR (b.WasHeldBack = 1 AND f.ModifiedOn < DATEADD(day, 1, @RunStart)))
    AND {ParentPath} IS NULL
    AND (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}) = 0
OPTION (MAXDOP {MaxDOP});'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaStepScript WHERE TableName IS NULL AND StepNumber = 1);
GO
INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
SELECT NULL, 2, N'MissingParentsBatch', N'-- Step 2: ancestors of a batch, whatever their metadata. One of another business unit comes without
-- its blobs, and without ModifiedOn, so that the whole row wins wherever it comes from; one whose
-- ModifiedOn lies in the future comes without it, so that a correction wins.
INSERT INTO {TargetTable} (
    {TargetColumns}, DeltaModifiedOn, DeltaBusinessUnit, DeltaStep, DeltaDepth, DeltaParentKey, DeltaEarly
)
SELECT
    {AncestorColumns}, CASE WHEN f.ModifiedOn <= @RunStart THEN f.ModifiedOn END,
    f.BusinessUnit, 2, f.Depth, {ToKey(}f.ParentKey{)ToKey}, 0
FROM (
    SELECT
        b.stream_id, b.Depth, b.ParentKey, i.ModifiedOn, i.BusinessUnit,
        CASE
            WHEN i.stream_id IS NOT NULL THEN 0
            WHEN @BusinessUnitId IS NOT NULL THEN 1
            WHEN EXISTS (SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey}) THEN 1
            ELSE 0
        END AS IsForeign
    FROM #Batch AS b
    OUTER APPLY (
        SELECT TOP (1) {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, {ModifiedOn} AS ModifiedOn, {BusinessUnit} AS BusinessUnit
        FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
        ORDER BY {ModifiedOn} DESC
    ) AS i
) AS f
INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}f.stream_id{)ToKey}
WHERE (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}f.stream_id{)ToKey}) = 0
OPTION (MAXDOP {MaxDOP});'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaStepScript WHERE TableName IS NULL AND StepNumber = 2);
GO
INSERT INTO dbo.BlobDeltaStepScript (TableName, StepNumber, ScriptName, ScriptText)
SELECT NULL, 3, N'Children', N'-- Step 3: the children of a batch, and what lost its parent since it was queued. ModifiedOn is read again in this very statement: the stamp that a row carries is the
-- stamp of the bytes beside it.
INSERT INTO {TargetTable} (
    {TargetColumns}, DeltaModifiedOn, DeltaBusinessUnit, DeltaStep, DeltaDepth, DeltaParentKey, DeltaEarly
)
SELECT
    {SourceColumns}, f.ModifiedOn, f.BusinessUnit, 3, b.Depth, {ToKey(}b.ParentKey{)ToKey},
    CASE WHEN f.ModifiedOn >= @WindowEnd THEN 1 ELSE 0 END
FROM #Batch AS b
INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}
OUTER APPLY (
    SELECT TOP (1) {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, {ModifiedOn} AS ModifiedOn, {BusinessUnit} AS BusinessUnit
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
    ORDER BY {ModifiedOn} DESC
) AS f
WHERE (f.stream_id IS NOT NULL OR (b.WithoutMetadata = 1 AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey}
    )))
    AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd OR (b.WasHeldBack = 1 AND f.ModifiedOn < DATEADD(day, 1, @RunStart)))
    AND (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}) = 0
OPTION (MAXDOP {MaxDOP});'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaStepScript WHERE TableName IS NULL AND StepNumber = 3);
GO
INSERT INTO dbo.BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
SELECT NULL, N'WindowQueue', N'-- Rules 3, 4 and 5: queues each key of the window once, with the greatest ModifiedOn among its
-- in-scope metadata rows; keys that the last completed run held back, if they would be held back
-- again; and pending keys of this scope whose rows have come. A run over all units takes one that no
-- metadata names where that was asked for.
INSERT INTO dbo.BlobDeltaWindowQueue (RunId, TableName, Step, Seq, stream_id, ModifiedOn, WasHeldBack, IsPending)
SELECT
    @RunId,
    @TableName,
    CASE WHEN s.{KeyColumn} IS NULL OR {ParentPath} IS NULL THEN 1 ELSE 3 END,
    ROW_NUMBER() OVER (ORDER BY f.stream_id),
    f.stream_id,
    f.ModifiedOn,
    f.WasHeldBack,
    f.IsPending
FROM (
    SELECT
        c.stream_id, c.WasHeldBack, c.IsPending, c.WithoutMetadata,
        COUNT(m.{MetadataIdColumn}) AS MetadataRows,
        MAX({ModifiedOn}) AS ModifiedOn
    FROM (
        SELECT a.stream_id, MAX(a.WasHeldBack) AS WasHeldBack, MAX(a.IsPending) AS IsPending, MAX(a.WithoutMetadata) AS WithoutMetadata
        FROM (
            SELECT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, 0 AS WasHeldBack, 0 AS IsPending, 0 AS WithoutMetadata
            FROM {MetadataTable} AS m
            WHERE {InWindow} AND {InScope}
                AND m.{MetadataIdColumn} IS NOT NULL
            UNION ALL
            SELECT h.stream_id, 1, 0, 0
            FROM dbo.BlobDeltaHeldBackKey AS h
            WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName
            UNION ALL
            SELECT p.stream_id, 0, 1, CONVERT(int, p.WithoutMetadata)
            FROM dbo.BlobDeltaPendingKey AS p
            INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}p.stream_id{)ToKey}
            WHERE p.TableName = @TableName AND p.Scope = @Scope
        ) AS a
        GROUP BY a.stream_id
    ) AS c
    LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}c.stream_id{)ToKey} AND {InScope}
    GROUP BY c.stream_id, c.WasHeldBack, c.IsPending, c.WithoutMetadata
) AS f
LEFT JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}f.stream_id{)ToKey}
WHERE (f.MetadataRows > 0 OR (f.WithoutMetadata = 1 AND @BusinessUnitId IS NULL AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = {ToKey(}f.stream_id{)ToKey}
    )))
    AND (
        (f.ModifiedOn >= @WindowStart AND f.ModifiedOn < @WindowEnd)
        OR (f.IsPending = 1 AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd))
        OR (f.WasHeldBack = 1 AND f.ModifiedOn >= @WindowEnd AND f.ModifiedOn < @RunStart)
    )
    AND (@ExcludedStreamId IS NULL OR f.stream_id <> @ExcludedStreamId)
    AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = f.stream_id
    )
OPTION (RECOMPILE, MAXDOP {MaxDOP});'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaQueuePopulationScript WHERE TableName IS NULL AND QueueName = N'WindowQueue');
GO
INSERT INTO dbo.BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
SELECT NULL, N'MissingParents', N'-- Rule 7: queues every ancestor, of the window''s rows that are still to come and of what stands in
-- the slice, that the slice lacks and the source has. One level a turn; a key is taken once, so a
-- cycle ends too.
CREATE TABLE #Ancestor (stream_id uniqueidentifier NOT NULL PRIMARY KEY, Level int NOT NULL);
CREATE TABLE #Found (stream_id uniqueidentifier NOT NULL);
DECLARE @Level int = 0, @Found bigint = 1;

INSERT INTO #Ancestor (stream_id, Level)
SELECT DISTINCT {ToId(}p.{KeyColumn}{)ToId}, 0
FROM (
    SELECT s.{ParentPathColumn} AS Path
    FROM dbo.BlobDeltaWindowQueue AS q
    INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}q.stream_id{)ToKey}
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = 3 AND q.State IS NULL
    UNION
    SELECT t.{ParentPathColumn} FROM {TargetTable} AS t
) AS a
INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = a.Path
OPTION (RECOMPILE, MAXDOP {MaxDOP});

-- Looked for first, and sorted out then: where both are one statement, a server that cannot know how few rows
-- a level has may hold each of them against the whole source.
WHILE @Found > 0
BEGIN
    DELETE FROM #Found;
    INSERT INTO #Found (stream_id)
    SELECT {ToId(}p.{KeyColumn}{)ToId}
    FROM #Ancestor AS a
    INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
    WHERE a.Level = @Level
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    SET @Level = @Level + 1;
    INSERT INTO #Ancestor (stream_id, Level)
    SELECT DISTINCT f.stream_id, @Level
    FROM #Found AS f
    WHERE NOT EXISTS (SELECT 1 FROM #Ancestor AS k WHERE k.stream_id = f.stream_id)
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    SET @Found = @@ROWCOUNT;
END;
DROP TABLE #Found;

DELETE FROM #Ancestor
WHERE stream_id = @ExcludedStreamId
    OR EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}#Ancestor.stream_id{)ToKey})
    OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaWindowQueue AS q
        WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = #Ancestor.stream_id AND q.State IS NULL
    )
    OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e
        WHERE e.TableName = @TableName AND e.stream_id = #Ancestor.stream_id
    )
OPTION (RECOMPILE, MAXDOP {MaxDOP});

UPDATE q SET Processed = 0
FROM dbo.BlobDeltaMissingParentsQueue AS q
INNER JOIN #Ancestor AS a ON a.stream_id = q.stream_id
WHERE q.RunId = @RunId AND q.TableName = @TableName
OPTION (RECOMPILE, MAXDOP {MaxDOP});

INSERT INTO dbo.BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
SELECT @RunId, @TableName, a.stream_id, MAX({BusinessUnit}), 0, @Now
FROM #Ancestor AS a
LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}a.stream_id{)ToKey}
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = a.stream_id
)
GROUP BY a.stream_id
OPTION (RECOMPILE, MAXDOP {MaxDOP});

DROP TABLE #Ancestor;'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaQueuePopulationScript WHERE TableName IS NULL AND QueueName = N'MissingParents');
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
    -- Rules 7 and 13: parent and depth of each key of #Batch. One level a turn; 512 are a cycle, or as good as one.
    -- An excluded row counts as absent, and nothing above it is counted: excluding a row of a cycle frees the others.
    UPDATE #Batch SET Depth = 0, ParentKey = (
        SELECT MIN({ToId(}p.{KeyColumn}{)ToId})
        FROM {SourceTable} AS s {SourceHint}
        INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
        WHERE s.{KeyColumn} = {ToKey(}#Batch.stream_id{)ToKey}
    )
    OPTION (MAXDOP {MaxDOP});
    CREATE TABLE #Parent (ParentKey uniqueidentifier NOT NULL PRIMARY KEY, AtKey uniqueidentifier NULL, Depth int NOT NULL);
    INSERT INTO #Parent (ParentKey, AtKey, Depth)
    SELECT DISTINCT ParentKey, ParentKey, 0 FROM #Batch WHERE ParentKey IS NOT NULL;
    DECLARE @Left bigint = 1, @Turn int = 0, @At uniqueidentifier, @First int, @Last int;
    WHILE @Left > 0 AND @Turn < 512
    BEGIN
        UPDATE #Parent SET AtKey = NULL
        WHERE AtKey = @ExcludedStreamId
            OR AtKey IN (SELECT e.stream_id FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName)
        OPTION (MAXDOP {MaxDOP});
        UPDATE #Parent SET Depth = Depth + 1, AtKey = (
            SELECT MIN({ToId(}p.{KeyColumn}{)ToId})
            FROM {SourceTable} AS s {SourceHint}
            INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
            WHERE s.{KeyColumn} = {ToKey(}#Parent.AtKey{)ToKey}
        )
        WHERE AtKey IS NOT NULL
        OPTION (MAXDOP {MaxDOP});
        SET @Left = (SELECT COUNT(*) FROM #Parent WHERE AtKey IS NOT NULL);
        SET @Turn = @Turn + 1;
    END;
    SELECT @Key = (
        SELECT MIN(b.stream_id) FROM #Batch AS b INNER JOIN #Parent AS p ON p.ParentKey = b.ParentKey WHERE p.Depth >= 512
    )
    OPTION (MAXDOP {MaxDOP});
    -- @Key: the row to exclude. @Json: the rows of the cycle; NULL where the way up only is too long.
    IF @Key IS NOT NULL
    BEGIN
        CREATE TABLE #Above (Turn int NOT NULL PRIMARY KEY, AtKey uniqueidentifier NOT NULL);
        SELECT @At = @Key, @Turn = 0;
        WHILE @At IS NOT NULL AND @Turn < 512 AND NOT EXISTS (SELECT 1 FROM #Above WHERE AtKey = @At)
        BEGIN
            INSERT INTO #Above (Turn, AtKey) VALUES (@Turn, @At);
            SELECT @At = (
                SELECT MIN({ToId(}p.{KeyColumn}{)ToId})
                FROM {SourceTable} AS s {SourceHint}
                INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
                WHERE s.{KeyColumn} = {ToKey(}@At{)ToKey}
            )
            OPTION (MAXDOP {MaxDOP});
            SET @Turn = @Turn + 1;
        END;
        SET @First = (SELECT Turn FROM #Above WHERE AtKey = @At);
        SET @Last = @Turn;
        SET @Key = COALESCE((SELECT AtKey FROM #Above WHERE Turn = @First), (SELECT ParentKey FROM #Batch WHERE stream_id = @Key));
        SET @Turn = @First;
        WHILE @Turn < @Last AND @Turn < @First + 5
        BEGIN
            SET @At = (SELECT AtKey FROM #Above WHERE Turn = @Turn);
            SET @Json = CONCAT(@Json + N'', '', (
                SELECT dbo.ufn_BlobDelta_KeyText(c.KeyType, @At) FROM dbo.BlobDeltaTableConfig AS c WHERE c.TableName = @TableName
            ));
            SET @Turn = @Turn + 1;
        END;
        IF @Last > @First + 5 SET @Json = CONCAT(@Json, N'' ... ('', @Last - @First, N'' rows)'');
        DROP TABLE #Above;
    END;
    UPDATE b SET Depth = p.Depth FROM #Batch AS b INNER JOIN #Parent AS p ON p.ParentKey = b.ParentKey
    OPTION (MAXDOP {MaxDOP});
    DROP TABLE #Parent;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BatchSizes', 0, 0, N'
    -- A batch ends with the row that reaches @BatchSize, here a number of bytes: each is one transaction, and is in the log as a whole.
    CREATE TABLE #Size (stream_id uniqueidentifier NOT NULL PRIMARY KEY, Seq bigint NOT NULL, Bytes bigint NOT NULL);
    INSERT INTO #Size (stream_id, Seq, Bytes)
    SELECT b.stream_id, COALESCE(b.Seq, 0), COALESCE(MAX({RowBytes}), 0)
    FROM #Batch AS b
    LEFT JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}
    GROUP BY b.stream_id, b.Seq
    OPTION (MAXDOP {MaxDOP});
    -- No column of a slice holds these: they are left, each for itself.
    UPDATE #Batch SET State = N''TooLarge''
    WHERE @Step <> 2 AND stream_id IN (SELECT z.stream_id FROM #Size AS z WHERE z.Bytes > dbo.ufn_BlobDelta_LargestValue())
    OPTION (MAXDOP {MaxDOP});
    DELETE FROM #Batch
    WHERE stream_id IN (
        SELECT w.stream_id
        FROM (
            SELECT z.stream_id, SUM(z.Bytes) OVER (ORDER BY z.Seq, z.stream_id ROWS UNBOUNDED PRECEDING) - z.Bytes AS BytesBefore
            FROM #Size AS z
            WHERE @Step = 2 OR z.Bytes <= dbo.ufn_BlobDelta_LargestValue()
        ) AS w
        WHERE w.BytesBefore >= @BatchSize
    )
    OPTION (MAXDOP {MaxDOP});
    DROP TABLE #Size;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BatchStates', 0, 0, N'
    -- How each key of #Batch ended. NULL: the template left it out, which is an error of the template.
    UPDATE #Batch SET State = CASE
        WHEN EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}#Batch.stream_id{)ToKey}) THEN N''Copied''
        WHEN (
            SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}#Batch.stream_id{)ToKey} AND {InScopeOrDeleted}
        ) >= CASE WasHeldBack WHEN 0 THEN @WindowEnd ELSE DATEADD(day, 1, @RunStart) END THEN N''HeldBack''
        -- Deleted by DeletedWhen since it was queued: the next run tells that.
        WHEN EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}#Batch.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
        ) THEN N''HeldBack''
        WHEN NOT EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}#Batch.stream_id{)ToKey}) THEN
            CASE
                WHEN EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}#Batch.stream_id{)ToKey} AND {InScope})
                    THEN N''Absent''
                ELSE N''Gone''
            END
        WHEN NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}#Batch.stream_id{)ToKey} AND {InScope}
        ) AND NOT (WithoutMetadata = 1 AND NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}#Batch.stream_id{)ToKey}
        )) THEN N''Gone''
        WHEN @Step = 1 AND EXISTS (
            SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}#Batch.stream_id{)ToKey} AND {ParentPath} IS NOT NULL
        ) THEN N''Moved''
    END
    OPTION (MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Survey', 0, 0, N'
    -- Rules 19 and 20: what the types of a server let through. @Json says what is wrong, if anything is.
    SET @Json = NULL;
    SELECT @Key = (
        SELECT MIN(d.stream_id)
        FROM (
            SELECT {ToId(}s.{KeyColumn}{)ToId} AS stream_id FROM {SourceTable} AS s {SourceHint}
            WHERE s.{KeyColumn} IS NOT NULL GROUP BY s.{KeyColumn} HAVING COUNT(*) > 1
        ) AS d
        WHERE (@ExcludedStreamId IS NULL OR d.stream_id <> @ExcludedStreamId) AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = d.stream_id
        )
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    IF @Key IS NOT NULL
        SET @Json = CONCAT(N''two rows of the source have this key, '', dbo.ufn_BlobDelta_KeyText(N''{KeyType}'', @Key),
            N''; give each row a key of its own, and a unique index on the key keeps it so, or set KeyColumn to the column that tells rows apart'');
    ELSE IF N''{KeyType}'' <> N''uniqueidentifier''
        SELECT @Json = (
            SELECT TOP (1) CONCAT(w.Place, N'' has the id '', LOWER(CONVERT(nvarchar(36), w.stream_id)), N'' for this table, whose keys are of the type {KeyType}'', NCHAR(10), N''write it as dbo.ufn_BlobDelta_KeyId(N''''{KeyType}'''', KEY), or take it out'')
            FROM (
                SELECT N''BlobDeltaPendingKey'' AS Place, p.stream_id FROM dbo.BlobDeltaPendingKey AS p WHERE p.TableName = @TableName
                UNION ALL
                SELECT N''BlobDeltaExcludedKey'', e.stream_id FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
                UNION ALL
                SELECT N''BlobDeltaDeletionLog'', d.stream_id FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName
                UNION ALL
                SELECT N''ExcludedStreamId'', @ExcludedStreamId WHERE @ExcludedStreamId IS NOT NULL
            ) AS w
            WHERE CASE WHEN N''{KeyType}'' <> N''integer'' THEN dbo.ufn_BlobDelta_KeyText(N''{KeyType}'', w.stream_id)
                WHEN LEFT(CONVERT(nvarchar(36), w.stream_id), 18) = N''00000000-0000-0000'' THEN N'''' END IS NULL
        )
        OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'WentBack', 0, 0, N'
    -- Rows of the slice before, of its 10,000 that were stamped last, whose stamp in the source is older now:
    -- a source that was restored. One that moved to another business unit has its newest stamp there.
    SELECT @Rows = (
        SELECT COUNT(*)
        FROM (
            SELECT TOP (10000) {ToId(}t.{KeyColumn}{)ToId} AS stream_id, t.DeltaModifiedOn
            FROM {TargetTable} AS t
            WHERE t.DeltaStep <> 2 AND t.DeltaModifiedOn IS NOT NULL
            ORDER BY t.DeltaModifiedOn DESC
        ) AS n
        WHERE n.DeltaModifiedOn > (
            SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}n.stream_id{)ToKey}
        )
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SuspectKeys', 0, 0, N'
    -- Rule 21. @Json says what is suspect, if anything is; with fewer than 20 of them a sample of the table decides too.
    DECLARE @Accepted int = (SELECT AcceptedAbsentPercent FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        @Of bigint, @Lost bigint, @WholeOf bigint, @WholeLost bigint, @Percent bigint;
    SET @Json = NULL;
    SELECT @Of = COUNT(*), @Lost = COALESCE(SUM(k.IsLost), 0)
    FROM (
        SELECT CASE
            WHEN NOT EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}q.stream_id{)ToKey})
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.stream_id = q.stream_id
                ) THEN 1
            ELSE 0
        END AS IsLost
        FROM #Window AS q
        WHERE q.IsPending = 0 AND q.WasHeldBack = 0
    ) AS k
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    IF @Lost * 100 > @Of * @Accepted
    BEGIN
        SET @Percent = (@Lost * 100 + @Of - 1) / @Of;
        IF @Of < 20
        BEGIN
            SELECT @WholeOf = COUNT(*), @WholeLost = COALESCE(SUM(k.IsLost), 0)
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
    WHERE t.DeltaStep = 3 AND t.{ParentPathColumn} IS NOT NULL
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
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
            ) AS k
            OPTION (RECOMPILE, MAXDOP {MaxDOP});
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
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SuspectLeft', 0, 0, N'
    -- Rule 21. Rows that a scope was handed, and those of them that are out of it by their metadata, as LeftScope has it, or
    -- that somebody logged to have left it: a log that was written under a wrong configuration explains nothing. Of a
    -- business unit its runs keep what they handed out; all units were handed what is logged, and what is in scope. Ancestors
    -- without their blobs are nobody''s loss, and what was told before is not told anew. @Json says what is suspect, if
    -- anything is; of fewer than 20 nothing can be said.
    DECLARE @Accepted int = (SELECT AcceptedLeftPercent FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        @Of bigint, @Lost bigint, @Percent bigint;
    SET @Json = NULL;
    CREATE TABLE #Logged (stream_id uniqueidentifier NOT NULL PRIMARY KEY);
    INSERT INTO #Logged (stream_id)
    SELECT d.stream_id
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = N''LeftScope''
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = d.stream_id AND k.IsWhole = 0
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
            WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = d.stream_id
                AND t.IsDeletion = 0 AND t.DeletedOn >= d.DeletedOn AND t.RunId <> @RunId
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    SELECT @Of = COUNT(*), @Lost = COALESCE(SUM(h.IsLost), 0)
    FROM (
        SELECT CASE
            WHEN NOT EXISTS (
                    SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey} AND {InScopeOrDeleted}
                )
                AND (
                    EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey})
                    OR EXISTS (SELECT 1 FROM #Logged AS l WHERE l.stream_id = k.stream_id)
                ) THEN 1
            ELSE 0
        END AS IsLost
        FROM (
            SELECT c.stream_id FROM dbo.BlobDeltaShippedKey AS c
            WHERE c.TableName = @TableName AND c.Scope = @Scope AND c.IsWhole = 1
            UNION
            SELECT l.stream_id FROM #Logged AS l
        ) AS k
    ) AS h
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    IF @BusinessUnitId IS NULL AND @Of >= 20
        SELECT @Of = @Of + COUNT(DISTINCT m.{MetadataIdColumn})
        FROM {MetadataTable} AS m
        WHERE {InScope} AND NOT EXISTS (SELECT 1 FROM #Logged AS l WHERE l.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId})
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
    DROP TABLE #Logged;
    IF @Of >= 20 AND @Lost * 100 > @Of * @Accepted
    BEGIN
        SET @Percent = (@Lost * 100 + @Of - 1) / @Of;
        SET @Json = CONCAT(
            N''suspect: '', @Lost, N'' of '', @Of, N'' rows that this scope was handed are out of it now, and its receivers would be told to delete them ('',
            @Percent, N'' percent), and at most '', @Accepted,
            N'' percent are accepted; see whether MetadataFilter, MetadataBusinessUnitCol and the table of units say what they should, and BlobDeltaDeletionLog too; if so, they left it: accept that with `blobdelta table set NAME AcceptedLeftPercent='',
            CASE WHEN @Percent > 95 THEN 100 ELSE @Percent + 5 END, N''`, then run again''
        );
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SuspectStanding', 0, 0, N'
    -- Rule 21. Deletions that this slice tells, and those of them whose row stands in the source by no later stamp, in
    -- whatever scope: its receivers would lose it. One that was stamped since has come again, and wins. @Json as in SuspectLeft.
    DECLARE @Accepted int = (SELECT AcceptedStandingPercent FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        @Of bigint, @Lost bigint, @Percent bigint;
    SET @Json = NULL;
    SELECT @Of = COUNT(*), @Lost = COALESCE(SUM(h.IsLost), 0)
    FROM (
        SELECT CASE
            WHEN EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}d.stream_id{)ToKey})
                AND NOT EXISTS (
                    SELECT 1 FROM {MetadataTable} AS m
                    WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey} AND {ModifiedOn} > d.DeletedOn
                ) THEN 1
            ELSE 0
        END AS IsLost
        FROM {SliceSchema}.BlobDeltaDeletion AS d
        WHERE d.TableName = @TableName AND d.Reason = N''Deleted''
    ) AS h
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    IF @Of >= 20 AND @Lost * 100 > @Of * @Accepted
    BEGIN
        SET @Percent = (@Lost * 100 + @Of - 1) / @Of;
        SET @Json = CONCAT(
            N''suspect: '', @Lost, N'' of '', @Of, N'' logged deletions that are due are of rows that stand in the source, and receivers would be told to delete them ('',
            @Percent, N'' percent), and at most '', @Accepted,
            N'' percent are accepted; see whether what writes BlobDeltaDeletionLog logs rows that are gone, and take out what it should not have; if so, rows that stand count as deleted here: accept that with `blobdelta table set NAME AcceptedStandingPercent='',
            CASE WHEN @Percent > 95 THEN 100 ELSE @Percent + 5 END, N''`, then run again''
        );
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Flagged', 0, 0, N'
    -- Rules 3, 4 and 5 of keys that are deleted by DeletedWhen: a tombstone for each whose stamp lies in the window, for those
    -- that the last completed run held back, if they would be held back again, and for those that were asked for. What the log
    -- says of such a key counts where it is later. An excluded key is told as little as its rows are.
    CREATE TABLE #Flag (stream_id uniqueidentifier NOT NULL PRIMARY KEY, DeletedOn datetime2(7) NULL, BusinessUnit uniqueidentifier NULL);
    INSERT INTO #Flag (stream_id, DeletedOn, BusinessUnit)
    SELECT f.stream_id, MAX(f.ModifiedOn), MAX(CASE WHEN f.Newest = 1 THEN f.BusinessUnit END)
    FROM (
        SELECT
            c.stream_id, c.WasHeldBack, c.IsPending, {ModifiedOn} AS ModifiedOn, {BusinessUnit} AS BusinessUnit,
            ROW_NUMBER() OVER (PARTITION BY c.stream_id ORDER BY {ModifiedOn} DESC) AS Newest
        FROM (
            SELECT a.stream_id, MAX(a.WasHeldBack) AS WasHeldBack, MAX(a.IsPending) AS IsPending
            FROM (
                SELECT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, 0 AS WasHeldBack, 0 AS IsPending
                FROM {MetadataTable} AS m
                WHERE {InWindow} AND {InScopeOrDeleted} AND {IsDeleted} AND m.{MetadataIdColumn} IS NOT NULL
                UNION ALL
                SELECT h.stream_id, 1, 0 FROM dbo.BlobDeltaHeldBackKey AS h WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName
                UNION ALL
                SELECT p.stream_id, 0, 1 FROM dbo.BlobDeltaPendingKey AS p WHERE p.TableName = @TableName AND p.Scope = @Scope
            ) AS a
            WHERE (@ExcludedStreamId IS NULL OR a.stream_id <> @ExcludedStreamId)
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = a.stream_id
                )
            GROUP BY a.stream_id
        ) AS c
        INNER JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}c.stream_id{)ToKey}
        WHERE {InScopeOrDeleted} AND {IsDeleted}
    ) AS f
    GROUP BY f.stream_id
    HAVING (MAX(f.ModifiedOn) < @WindowEnd AND (MAX(f.ModifiedOn) >= @WindowStart OR MAX(f.IsPending) = 1 OR MAX(f.WasHeldBack) = 1))
        OR (MAX(f.ModifiedOn) >= @WindowEnd AND MAX(f.WasHeldBack) = 1 AND MAX(f.ModifiedOn) < @RunStart)
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    UPDATE d SET DeletedOn = f.DeletedOn, BusinessUnit = f.BusinessUnit, LoggedAt = @Now, Reason = N''Deleted''
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    INNER JOIN #Flag AS f ON f.stream_id = d.stream_id
    WHERE d.TableName = @TableName AND f.DeletedOn >= d.DeletedOn
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
    SELECT @TableName, f.stream_id, f.DeletedOn, f.BusinessUnit, @Now, N''Deleted''
    FROM #Flag AS f
    WHERE NOT EXISTS (
        SELECT 1 FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName AND d.stream_id = f.stream_id
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    DROP TABLE #Flag;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'SuspectFlagged', 0, 0, N'
    -- Rule 21. Keys that this slice tells to be deleted by DeletedWhen, and that no run of the scope told before, of all rows
    -- of the scope. Of the rest no more is counted than decides. @Json as in SuspectLeft.
    DECLARE @Accepted bigint = (SELECT AcceptedLeftPercent FROM dbo.BlobDeltaTableConfig WHERE TableName = @TableName),
        @Of bigint, @Lost bigint, @Percent bigint;
    SET @Json = NULL;
    SELECT @Lost = COUNT(*)
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = N''Deleted''
        AND EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
            WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = d.stream_id
                AND t.IsDeletion = 1 AND t.DeletedOn >= d.DeletedOn AND t.RunId <> @RunId
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    IF @Lost >= 20
    BEGIN
        SET @Percent = @Lost * 100 / CASE WHEN @Accepted < 1 THEN 1 ELSE @Accepted END;
        SELECT @Of = @Lost + COUNT(*)
        FROM (SELECT TOP (@Percent) 1 AS One FROM {MetadataTable} AS m WHERE {InScope}) AS r
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        IF @Lost * 100 > @Of * @Accepted
        BEGIN
            SET @Percent = (@Lost * 100 + @Of - 1) / @Of;
            SET @Json = CONCAT(
                N''suspect: '', @Lost, N'' of '', @Of, N'' rows of this scope are deleted by DeletedWhen at once, and receivers would be told to delete them ('',
                @Percent, N'' percent), and at most '', @Accepted,
                N'' percent are accepted; see whether DeletedWhen names the column and the values of rows that are deleted; if so, they are deleted: accept that with `blobdelta table set NAME AcceptedLeftPercent='',
                CASE WHEN @Percent > 95 THEN 100 ELSE @Percent + 5 END, N''`, then run again''
            );
        END;
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'AskedDeletions', 0, 0, N'
    -- Rule 5: keys that were asked for and that this slice tells to be deleted by DeletedWhen. They stand in this queue as settled.
    UPDATE q SET IsPending = 1
    FROM dbo.BlobDeltaMissingParentsQueue AS q
    INNER JOIN dbo.BlobDeltaPendingKey AS p ON p.TableName = q.TableName AND p.stream_id = q.stream_id
    INNER JOIN {SliceSchema}.BlobDeltaDeletion AS d ON d.TableName = q.TableName AND d.stream_id = q.stream_id
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND p.Scope = @Scope AND d.Reason = N''Deleted''
        AND EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}q.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO dbo.BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt, IsPending)
    SELECT @RunId, @TableName, p.stream_id, NULL, 1, @Now, 1
    FROM dbo.BlobDeltaPendingKey AS p
    INNER JOIN {SliceSchema}.BlobDeltaDeletion AS d ON d.TableName = p.TableName AND d.stream_id = p.stream_id
    WHERE p.TableName = @TableName AND p.Scope = @Scope AND d.Reason = N''Deleted''
        AND EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = p.stream_id
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftAgain', 0, 0, N'
    -- Rules 15 and 17: a run that goes back tells again what left its scope by runs that started since. What has come back
    -- is taken out again when the slice completes.
    INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
    SELECT @TableName, t.stream_id, MAX(t.DeletedOn), @BusinessUnitId, MAX(r.RunStartedAt), N''LeftScope''
    FROM dbo.BlobDeltaReportedDeletion AS t
    INNER JOIN dbo.BlobDeltaRun AS r ON r.RunId = t.RunId
    WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.IsDeletion = 0 AND r.RunStartedAt >= @DeletionsFrom
        AND NOT EXISTS (
            SELECT 1 FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName AND d.stream_id = t.stream_id
        )
    GROUP BY t.stream_id
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'CutWindow', 0, 0, N'
    -- Rule 1: where MaxWindow ends a window. @WindowStart: where no run before has been. @Step 1: after @BatchSize days; 2: after
    -- @BatchSize rows, of which those of one stamp are never parted. @Json: the end as text; NULL where nothing is cut. @Rows: how
    -- many rows the one stamp has that alone is more.
    DECLARE @First datetime2(7), @Behind datetime2(7), @End datetime2(7), @Goal datetime2(7) = @WindowEnd;
    SELECT @Rows = NULL, @Json = NULL;
    SELECT @First = (SELECT MIN({ModifiedOn}) FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope})
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    IF @Step = 1 AND DATEDIFF(day, @First, @WindowEnd) >= @BatchSize
        SET @End = DATEADD(day, @BatchSize, CASE WHEN {StampInDays} = 1 THEN CONVERT(datetime2(7), CONVERT(date, @First)) ELSE @First END);
    IF @Step = 2 AND @First IS NOT NULL
    BEGIN
        SELECT @Behind = {ModifiedOn}
        FROM {MetadataTable} AS m
        WHERE {InWindow} AND {InScope}
        ORDER BY {ModifiedOn} OFFSET @BatchSize ROWS FETCH NEXT 1 ROWS ONLY
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        IF {StampInDays} = 1 SET @Behind = CONVERT(date, @Behind);
        IF @Behind > @First SET @End = @Behind;
        IF @Behind <= @First
        BEGIN
            IF {StampInDays} = 1
                SET @End = DATEADD(day, 1, CONVERT(datetime2(7), CONVERT(date, @First)));
            ELSE
                SELECT @End = (SELECT MIN({ModifiedOn}) FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope} AND {ModifiedOn} > @First)
                OPTION (RECOMPILE, MAXDOP {MaxDOP});
            IF @End < @WindowEnd SET @WindowEnd = @End;
            SELECT @Rows = (SELECT COUNT(*) FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope})
            OPTION (RECOMPILE, MAXDOP {MaxDOP});
        END;
    END;
    -- Behind the last row nothing is left to cut.
    SELECT @WindowStart = @End, @WindowEnd = @Goal;
    IF @End < @Goal
        SELECT @Json = (
            SELECT CASE WHEN COUNT(*) > 0 THEN CONVERT(nvarchar(27), @End, 126) END
            FROM (SELECT TOP (1) m.{MetadataIdColumn} FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope}) AS n
        )
        OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'HeldBack', 0, 0, N'
    -- Rule 4: the keys that are stamped between the end of what a run may take and its start, deleted by DeletedWhen or not.
    INSERT INTO dbo.BlobDeltaHeldBackKey (RunId, TableName, stream_id)
    SELECT DISTINCT @RunId, @TableName, {ToId(}m.{MetadataIdColumn}{)ToId}
    FROM {MetadataTable} AS m
    WHERE {InBuffer} AND {InScopeOrDeleted}
        AND m.{MetadataIdColumn} IS NOT NULL
        AND (@ExcludedStreamId IS NULL OR {ToId(}m.{MetadataIdColumn}{)ToId} <> @ExcludedStreamId)
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaHeldBackKey AS h
            WHERE h.RunId = @RunId AND h.TableName = @TableName AND h.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Deletions', 0, 0, N'
    -- Rule 15: an entry is due until this scope has reported a deletion of its key that is as late or later; DeletedOn
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
                SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
                WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = l.stream_id
                    AND t.IsDeletion = CASE l.Reason WHEN N''Deleted'' THEN 1 ELSE 0 END AND t.DeletedOn >= l.DeletedOn
                    AND (@DeletionsFrom IS NULL OR l.LoggedAt < @DeletionsFrom)
            )
            AND (
                (l.Reason = N''Deleted'' AND (@BusinessUnitId IS NULL OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = l.stream_id
                )))
                OR (l.Reason = N''LeftScope'' AND l.BusinessUnit = @BusinessUnitId)
                OR (l.Reason = N''LeftScope'' AND l.BusinessUnit IS NULL AND @BusinessUnitId IS NULL)
            )
    ) AS d
    WHERE d.Newest = 1
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ReportedDeletions', 0, 0, N'
    -- Rule 15: what this slice says was deleted, or left, was reported to its scope.
    INSERT INTO dbo.BlobDeltaReportedDeletion (TableName, Scope, stream_id, IsDeletion, DeletedOn, RunId)
    SELECT @TableName, @Scope, d.stream_id, CASE d.Reason WHEN N''Deleted'' THEN 1 ELSE 0 END, d.DeletedOn, @RunId
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
        WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = d.stream_id
            AND t.IsDeletion = CASE d.Reason WHEN N''Deleted'' THEN 1 ELSE 0 END AND t.DeletedOn = d.DeletedOn
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Reported', 0, 0, N'
    -- Rule 6: keys with a metadata row in the window that no run of this scope takes: excluded by name, of another unit or
    -- none, or left out by the table''s filter alone. An excluded key is counted as nothing else.
    SELECT @Json = CONCAT(
        CHAR(123), N''"excluded":'', COALESCE(SUM(k.IsExcluded), 0),
        N'',"out_of_scope":'', COALESCE(SUM(CASE WHEN k.IsInScope = 0 AND k.HasUnit = 1 AND @BusinessUnitId IS NULL THEN 1 ELSE 0 END), 0),
        N'',"without_business_unit":'', COALESCE(SUM(CASE WHEN k.IsInScope = 0 AND k.HasUnit = 0 AND @BusinessUnitId IS NULL THEN 1 ELSE 0 END), 0),
        N'',"future":'', (
            SELECT COUNT(DISTINCT m.{MetadataIdColumn}) FROM {MetadataTable} AS m
            WHERE {FromRunStart} AND {InScopeOrDeleted}
                AND (@ExcludedStreamId IS NULL OR m.{MetadataIdColumn} IS NULL OR {ToId(}m.{MetadataIdColumn}{)ToId} <> @ExcludedStreamId)
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
                )
        ),
        N'',"without_stamp":'', (
            SELECT COUNT(*) FROM {MetadataTable} AS m
            WHERE {WithoutStamp} AND {InScopeOrDeleted}
                AND (@ExcludedStreamId IS NULL OR m.{MetadataIdColumn} IS NULL OR {ToId(}m.{MetadataIdColumn}{)ToId} <> @ExcludedStreamId)
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
                )
        ),
        N'',"filtered":'', (
            SELECT COUNT(*)
            FROM (
                SELECT DISTINCT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id FROM {MetadataTable} AS m
                WHERE {InWindow} AND {InUnits}
                    AND CASE WHEN {MetadataFilter} THEN 1 ELSE 0 END = 0
                    AND (@ExcludedStreamId IS NULL OR m.{MetadataIdColumn} IS NULL OR {ToId(}m.{MetadataIdColumn}{)ToId} <> @ExcludedStreamId)
                    AND NOT EXISTS (
                        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
                    )
            ) AS f
            WHERE NOT EXISTS (
                SELECT 1 FROM {MetadataTable} AS m
                WHERE m.{MetadataIdColumn} = {ToKey(}f.stream_id{)ToKey} AND {InScopeOrDeleted}
                    AND {InWindow}
            )
        ),
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
                    {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id,
                    CASE WHEN {InScopeOrDeleted} THEN 1 ELSE 0 END AS IsInScope,
                    CASE WHEN {BusinessUnit} IS NULL THEN 0 ELSE 1 END AS HasUnit
                FROM {MetadataTable} AS m
                WHERE {InWindow} AND {MetadataFilter}
            ) AS r
            GROUP BY r.stream_id
        ) AS w
    ) AS k
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- By this the next run sees whether the source went back in time. Of whatever scope: a row that moves to another
    -- business unit takes nothing back.
    UPDATE dbo.BlobDeltaRunTable SET NewestModifiedOn = (
        SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m WHERE {BeforeRunStart}
    )
    WHERE RunId = @RunId AND TableName = @TableName
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
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
            INNER JOIN {TargetTable} AS o ON o.{KeyColumn} = {ToKey(}d.stream_id{)ToKey}
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
    WHERE t.DeltaParentKey IS NULL
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'MendDepths', 1, 0, N'
    -- Rule 13: a parent stands before its children also where rows moved between two batches.
    DECLARE @Left bigint = 1, @Turn int = 0;
    WHILE @Left > 0 AND @Turn < 513
    BEGIN
        UPDATE c SET DeltaDepth = p.DeltaDepth + 1
        FROM {TargetTable} AS c
        INNER JOIN {TargetTable} AS p ON p.{KeyColumn} = c.DeltaParentKey
        WHERE c.DeltaDepth <> p.DeltaDepth + 1
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        SET @Left = @@ROWCOUNT;
        SET @Turn = @Turn + 1;
    END;
    IF @Left > 0
        SELECT @Key = (
            SELECT MIN({ToId(}c.{KeyColumn}{)ToId}) FROM {TargetTable} AS c INNER JOIN {TargetTable} AS p ON p.{KeyColumn} = c.DeltaParentKey
            WHERE c.DeltaDepth <> p.DeltaDepth + 1
        )
        OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'TruncateSlice', 0, 0, N'
    -- At once and with hardly any log, where this login may (ALTER) and no foreign key or indexed view hangs on the table.
    TRUNCATE TABLE {TargetTable};');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'EmptySlice', 0, 0, N'
    DELETE TOP (@BatchSize) FROM {TargetTable}
    OPTION (MAXDOP {MaxDOP});
    SET @Rows = @@ROWCOUNT;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'EmptyDeletions', 0, 0, N'
    DELETE FROM {SliceSchema}.BlobDeltaDeletion WHERE TableName = @TableName
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    SELECT @Rows = (SELECT COUNT(*) FROM {TargetTable})
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'CountDeletions', 0, 0, N'
    SELECT @Rows = (SELECT COUNT(*) FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName)
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'NewUnits', 0, 1, N'
    -- Rule 12: units in scope now that no completed run over all units has seen.
    INSERT INTO #Unit (BusinessUnitId)
    SELECT DISTINCT u.{BusinessUnitIdColumn}
    FROM {BusinessUnitTable} AS u
    WHERE u.{BusinessUnitIdColumn} IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaBusinessUnitWatermark AS k
        WHERE k.TableName = @TableName AND k.BusinessUnitId = u.{BusinessUnitIdColumn} AND k.IsKnownToAllRuns = 1
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftBack', 0, 0, N'
    -- Rule 17: a key that was logged as having left this scope, and whose row is in it or in this slice, has not.
    DELETE d
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = N''LeftScope'' AND (
        (
            EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey} AND {InScope})
            AND EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}d.stream_id{)ToKey})
        )
        OR (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}d.stream_id{)ToKey}) > 0
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ShippedKeys', 0, 1, N'
    -- Rule 17: what the slice of a business unit''s run hands out. An ancestor out of the unit''s scope came without
    -- its blobs, and has no business unit.
    UPDATE k SET
        ModifiedOn = CASE WHEN k.ModifiedOn >= t.DeltaModifiedOn OR t.DeltaModifiedOn IS NULL THEN k.ModifiedOn ELSE t.DeltaModifiedOn END,
        IsWhole = CASE WHEN t.DeltaStep <> 2 OR t.DeltaBusinessUnit IS NOT NULL THEN 1 ELSE k.IsWhole END
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = {ToKey(}k.stream_id{)ToKey}
    WHERE k.TableName = @TableName AND k.Scope = @Scope
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO dbo.BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
    SELECT @TableName, @Scope, {ToId(}t.{KeyColumn}{)ToId}, t.DeltaModifiedOn,
        CASE WHEN t.DeltaStep <> 2 OR t.DeltaBusinessUnit IS NOT NULL THEN 1 ELSE 0 END
    FROM {TargetTable} AS t
    WHERE NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}t.{KeyColumn}{)ToId}
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftScope', 0, 0, N'
    -- Rule 17: keys that a business unit''s runs have handed out, and that are not in its scope any more, into #Left of
    -- the caller; and those that somebody has logged as having left it. What stands in this slice is needed. An
    -- ancestor that came without its blobs leaves as a whole row does, and holds nothing above it in its place. Of what
    -- all units were handed, ancestors out of the scope alone are kept.
    -- What is gone has not left: a row without metadata, an ancestor without a row, whose deletion has to be logged; and a whole
    -- row that is deleted by DeletedWhen. One that stayed without its blob for what lay below it leaves with that.
    -- LeftOn is the greatest stamp that was handed out, no later one: it outranks what was, and nothing that comes.
    -- A row that came before its window may come again by the next one, so it is asked for then.
    DELETE FROM #Left;
    -- What was logged comes first: it was asked for by name, and comes once more without its blob where it stays, whatever
    -- this scope was handed of it before, and may not have got.
    INSERT INTO #Left (stream_id, IsWhole, LeftOn, IsPassed)
    SELECT d.stream_id, 1, d.DeletedOn, CASE
        WHEN @BusinessUnitId IS NULL THEN 1
        WHEN (SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey}) >= d.DeletedOn THEN 1
        ELSE 0
    END
    FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND d.Reason = N''LeftScope''
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- IsPassed: whoever else has the row has it by no lesser stamp than what this scope is told of it by (which is a later
    -- one than was handed out, where a run started later than this one), so that this outranks nothing there; or a deletion
    -- was told that outranks what they have.
    INSERT INTO #Left (stream_id, IsWhole, LeftOn, IsPassed)
    SELECT k.stream_id, k.IsWhole, COALESCE(k.ModifiedOn, CONVERT(datetime2(7), ''0001-01-01'')),
        CASE
            WHEN (SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey})
                > COALESCE(k.ModifiedOn, CONVERT(datetime2(7), ''0001-01-01'')) THEN 1
            WHEN (SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey})
                = COALESCE(k.ModifiedOn, CONVERT(datetime2(7), ''0001-01-01''))
                AND NOT EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaRun AS own
                    INNER JOIN dbo.BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt AND r.RunStartedAt < DATEADD(day, 1, own.RunStartedAt) AND r.RunId <> own.RunId
                    WHERE own.RunId = @RunId
                ) THEN 1
            WHEN EXISTS (
                SELECT 1 FROM dbo.BlobDeltaReportedDeletion AS t
                WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = k.stream_id AND t.IsDeletion = 1
                    AND t.DeletedOn >= COALESCE((
                        SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}
                    ), CONVERT(datetime2(7), ''0001-01-01''))
            ) THEN 1
            ELSE 0
        END
    FROM dbo.BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND (@BusinessUnitId IS NOT NULL OR k.IsWhole = 0)
        AND (k.IsWhole = 0 OR k.ModifiedOn IS NULL OR k.ModifiedOn < @WindowEnd)
        AND NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey} AND {InScopeOrDeleted} AND (k.IsWhole = 1 OR {InScope})
        )
        AND (
            (k.IsWhole = 1 AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}))
            OR (k.IsWhole = 0 AND EXISTS (SELECT 1 FROM {SourceTable} AS s {SourceHint} WHERE s.{KeyColumn} = {ToKey(}k.stream_id{)ToKey}))
        )
        AND NOT EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}k.stream_id{)ToKey})
        AND NOT EXISTS (SELECT 1 FROM #Left AS l WHERE l.stream_id = k.stream_id)
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftStays', 1, 0, N'
    -- Rules 7 and 17: what left a scope stays at its receivers while one of its children does; one level a turn, and
    -- each turn takes a key out at least. What the receivers of all units have is not kept, so that there any child
    -- counts that has not left. One that is excluded is handed to nobody, and holds what lies above the rows below it. One that
    -- is deleted by DeletedWhen holds it only where it stays itself, without its blob.
    DECLARE @Left bigint = (SELECT COUNT(*) FROM #Left);
    WHILE @Left > 0
    BEGIN
        UPDATE #Left SET Stays = 1 WHERE Stays = 0 AND stream_id IN (
            SELECT l.stream_id
            FROM #Left AS l
            INNER JOIN {SourceTable} AS p {SourceHint} ON p.{KeyColumn} = {ToKey(}l.stream_id{)ToKey}
            INNER JOIN {SourceTable} AS c {SourceHint} ON c.{ParentPathColumn} = p.{PathColumn}
            WHERE l.Stays = 0 AND NOT EXISTS (SELECT 1 FROM #Left AS o WHERE o.stream_id = {ToId(}c.{KeyColumn}{)ToId} AND o.Stays = 0)
                AND (@BusinessUnitId IS NULL OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}c.{KeyColumn}{)ToId}
                ) OR {ToId(}c.{KeyColumn}{)ToId} = @ExcludedStreamId OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}c.{KeyColumn}{)ToId}
                ))
                AND (
                    NOT EXISTS (
                        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScopeOrDeleted} AND {IsDeleted}
                    )
                    OR EXISTS (
                        SELECT 1 FROM dbo.BlobDeltaShippedKey AS b
                        WHERE b.TableName = @TableName AND b.Scope = @Scope AND b.stream_id = {ToId(}c.{KeyColumn}{)ToId} AND b.IsWhole = 0
                    )
                )
        )
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
        SET @Left = @@ROWCOUNT;
    END;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftBehind', 1, 0, N'
    -- Rules 7 and 17: what left a scope and stays for what lies below it comes once more, as an ancestor of
    -- another unit comes.
    INSERT INTO dbo.BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
    SELECT @RunId, @TableName, l.stream_id, NULL, 0, @Now
    FROM #Left AS l
    WHERE l.Stays = 1 AND l.IsWhole = 1 AND l.IsPassed = 1 AND (@ExcludedStreamId IS NULL OR l.stream_id <> @ExcludedStreamId)
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}l.stream_id{)ToKey} AND {InScope})
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = l.stream_id
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = l.stream_id
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'AncestorStamps', 1, 0, N'
    -- Rules 7 and 14: an ancestor that comes without a stamp would lose against what this scope has been told of it
    -- before. First whether it was handed it, and by which stamp, where the ancestor is in this scope no more (one that came
    -- before its window waits, as in LeftScope); and the time at which somebody logged that it left, or at which it was told
    -- to have left: on a tie the later run wins. Then what it was reported as deleted by, or is by this slice, which a row has
    -- to pass, by a microsecond, which every server keeps.
    DECLARE @IsLate bit = 0;
    IF EXISTS (
        SELECT 1 FROM dbo.BlobDeltaRun AS own
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt AND r.RunStartedAt < DATEADD(day, 1, own.RunStartedAt) AND r.RunId <> own.RunId
        WHERE own.RunId = @RunId
    ) SET @IsLate = 1;
    CREATE TABLE #Stamp (
        stream_id uniqueidentifier NOT NULL PRIMARY KEY, IsHanded bit NOT NULL, Stamp datetime2(7) NULL, LeftOn datetime2(7) NULL,
        DeletedOn datetime2(7) NULL, Passes datetime2(7) NULL, Newest datetime2(7) NULL
    );
    INSERT INTO #Stamp (stream_id, IsHanded, Stamp, LeftOn, DeletedOn, Newest)
    SELECT
        {ToId(}t.{KeyColumn}{)ToId},
        CASE WHEN k.stream_id IS NULL THEN 0 ELSE 1 END,
        k.ModifiedOn,
        (
            SELECT MAX(l.DeletedOn)
            FROM (
                SELECT d.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS d
                WHERE d.TableName = @TableName AND d.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND d.Reason = N''LeftScope'' AND t.DeltaBusinessUnit IS NULL
                UNION ALL
                SELECT d.DeletedOn FROM dbo.BlobDeltaReportedDeletion AS d
                WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND d.IsDeletion = 0
            ) AS l
        ),
        (
            SELECT MAX(l.DeletedOn)
            FROM (
                SELECT d.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS d
                WHERE d.TableName = @TableName AND d.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND d.Reason = N''Deleted''
                UNION ALL
                SELECT d.DeletedOn FROM dbo.BlobDeltaReportedDeletion AS d
                WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = {ToId(}t.{KeyColumn}{)ToId} AND d.IsDeletion = 1
            ) AS l
        ),
        (SELECT MAX({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn})
    FROM {TargetTable} AS t
    LEFT JOIN (
        SELECT h.stream_id, h.ModifiedOn FROM dbo.BlobDeltaShippedKey AS h
        WHERE h.TableName = @TableName AND h.Scope = @Scope AND (h.IsWhole = 0 OR h.ModifiedOn IS NULL OR h.ModifiedOn < @WindowEnd)
            AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}h.stream_id{)ToKey} AND {InScope})
    ) AS k ON k.stream_id = {ToId(}t.{KeyColumn}{)ToId}
    WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NULL
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    UPDATE #Stamp SET Stamp = LeftOn WHERE LeftOn IS NOT NULL AND (Stamp IS NULL OR Stamp < LeftOn);
    -- The server''s clock may have gone back since. Not every server adds to the first of all times.
    UPDATE #Stamp SET Stamp = CONVERT(datetime2(7), ''0001-01-01'') WHERE Stamp IS NULL AND IsHanded = 1 AND @IsLate = 1;
    UPDATE #Stamp SET Stamp = CASE
        WHEN Stamp = CONVERT(datetime2(7), ''0001-01-01'') THEN CONVERT(datetime2(7), ''0001-01-01T00:00:00.000001'')
        ELSE DATEADD(microsecond, 1, Stamp)
    END
    WHERE Stamp IS NOT NULL AND @IsLate = 1;
    UPDATE #Stamp SET Passes = DATEADD(microsecond, 1, DeletedOn) WHERE DeletedOn IS NOT NULL;
    UPDATE #Stamp SET Passes = Newest WHERE @BusinessUnitId IS NOT NULL AND Newest > DeletedOn AND Newest < Passes;
    UPDATE #Stamp SET Stamp = Passes WHERE Passes IS NOT NULL AND (Stamp IS NULL OR Stamp < Passes);
    -- Whoever has the row of another scope keeps it: between chains the whole row wins a tie, and a deletion outranks the rows
    -- of all. Nothing is later than a day after the run''s start (rule 27).
    UPDATE t SET DeltaModifiedOn = s.Stamp
    FROM {TargetTable} AS t
    INNER JOIN #Stamp AS s ON s.stream_id = {ToId(}t.{KeyColumn}{)ToId}
    WHERE s.Stamp <= DATEADD(day, 1, @RunStart) AND (
        @BusinessUnitId IS NULL OR s.Newest >= s.Stamp
        OR (s.Passes = s.Stamp AND (s.Newest IS NULL OR s.DeletedOn >= s.Newest))
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    DROP TABLE #Stamp;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'PassedDeletions', 1, 0, N'
    -- Rules 7 and 15: deletions that this scope was told, and that an ancestor of this slice comes after: it stands.
    UPDATE d SET PassedByRunId = @RunId
    FROM dbo.BlobDeltaReportedDeletion AS d
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = {ToKey(}d.stream_id{)ToKey}
    WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.IsDeletion = 1 AND d.PassedByRunId IS NULL
        AND t.DeltaStep = 2 AND t.DeltaModifiedOn > d.DeletedOn
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'Orphans', 1, 0, N'
    -- Rule 7, before the queue is filled: of the rows whose parents were absent, those are settled whose parents came in a
    -- slice that is not given up any more, that are gone from the source, or that this unit was handed no more.
    DELETE a
    FROM dbo.BlobDeltaAbsentParent AS a
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND (
        a.RunId IS NOT NULL
        OR NOT EXISTS (SELECT 1 FROM {SourceTable} AS c {SourceHint} WHERE c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey})
        OR (@BusinessUnitId IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = a.stream_id
        ))
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Rows of this scope that came without the key of their parent, which is there now: they come again and bring it. Those
    -- out of scope are ancestors themselves, and come as NeededAncestors says.
    INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
    SELECT DISTINCT @TableName, @Scope, a.stream_id, N''its parent was not there when it came'', @Now
    FROM dbo.BlobDeltaAbsentParent AS a
    INNER JOIN {SourceTable} AS c {SourceHint} ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND a.ParentKey IS NULL
        AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}a.stream_id{)ToKey} AND {InScope})
        AND (@ExcludedStreamId IS NULL OR (a.stream_id <> @ExcludedStreamId AND {ToId(}p.{KeyColumn}{)ToId} <> @ExcludedStreamId))
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e
            WHERE e.TableName = @TableName AND e.stream_id IN (a.stream_id, {ToId(}p.{KeyColumn}{)ToId})
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = a.stream_id
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'NeededAncestors', 1, 0, N'
    -- Rules 7 and 17: ancestors out of this scope that its receivers need and no window of it brings: each comes once, and
    -- what lies above it with it. Needed is what stands in the source above a row that is in scope, or that was handed out
    -- and is not in #Left of the caller to leave.
    CREATE TABLE #Candidate (stream_id uniqueidentifier NOT NULL, IsNew int NOT NULL DEFAULT 0);
    CREATE TABLE #Needed (stream_id uniqueidentifier NOT NULL PRIMARY KEY);
    -- Renamed or moved: stamped in this window, in whatever scope.
    INSERT INTO #Candidate (stream_id)
    SELECT k.stream_id
    FROM dbo.BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.IsWhole = 0
        AND EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}
                AND {InWindow}
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Took the place of another folder above rows that stand: stamped in this window, and never handed out. What the first run
    -- of a scope brings has all that lies above it.
    IF EXISTS (SELECT 1 FROM dbo.BlobDeltaRunTable WHERE TableName = @TableName AND Scope = @Scope AND Status = N''Completed'')
        INSERT INTO #Candidate (stream_id, IsNew)
        SELECT {ToId(}m.{MetadataIdColumn}{)ToId}, 1
        FROM {MetadataTable} AS m
        WHERE {InWindow}
            AND m.{MetadataIdColumn} IS NOT NULL
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}m.{MetadataIdColumn}{)ToId}
            )
        OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Reported as deleted, by this slice or by an earlier one that nothing has passed yet.
    INSERT INTO #Candidate (stream_id)
    SELECT d.stream_id FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName AND d.Reason = N''Deleted''
    UNION ALL
    SELECT d.stream_id FROM dbo.BlobDeltaReportedDeletion AS d
    WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.IsDeletion = 1 AND d.PassedByRunId IS NULL
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Asked for by name.
    INSERT INTO #Candidate (stream_id)
    SELECT p.stream_id FROM dbo.BlobDeltaPendingKey AS p WHERE p.TableName = @TableName AND p.Scope = @Scope;
    -- Came without the key of their parents, which are there now.
    INSERT INTO #Candidate (stream_id)
    SELECT a.stream_id
    FROM dbo.BlobDeltaAbsentParent AS a
    INNER JOIN {SourceTable} AS c {SourceHint} ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND a.ParentKey IS NULL
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO #Needed (stream_id)
    SELECT DISTINCT n.stream_id
    FROM #Candidate AS n
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{KeyColumn} = {ToKey(}n.stream_id{)ToKey}
    WHERE NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}n.stream_id{)ToKey} AND {InScope})
        AND EXISTS (
            SELECT 1 FROM {SourceTable} AS c {SourceHint}
            WHERE c.{ParentPathColumn} = p.{PathColumn} AND (
                EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScope})
                OR (
                    EXISTS (
                        SELECT 1 FROM dbo.BlobDeltaShippedKey AS h
                        WHERE h.TableName = @TableName AND h.Scope = @Scope AND h.stream_id = {ToId(}c.{KeyColumn}{)ToId}
                    )
                    AND NOT EXISTS (SELECT 1 FROM #Left AS l WHERE l.stream_id = {ToId(}c.{KeyColumn}{)ToId} AND l.Stays = 0)
                    AND NOT EXISTS (
                        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScopeOrDeleted} AND {IsDeleted}
                    )
                )
                -- It holds what lies above the rows below it.
                OR (n.IsNew = 0 AND ({ToId(}c.{KeyColumn}{)ToId} = @ExcludedStreamId OR EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}c.{KeyColumn}{)ToId}
                )))
            )
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Not there, or excluded, when the rows below them came. One that is in scope by now may lie in no window. A row below that
    -- is another scope''s by now asks for nothing: what it lies in may never have been above a row of this scope.
    INSERT INTO #Needed (stream_id)
    SELECT DISTINCT {ToId(}p.{KeyColumn}{)ToId}
    FROM dbo.BlobDeltaAbsentParent AS a
    INNER JOIN {SourceTable} AS c {SourceHint} ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = c.{ParentPathColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL
        AND NOT EXISTS (SELECT 1 FROM #Needed AS n WHERE n.stream_id = {ToId(}p.{KeyColumn}{)ToId})
        AND (
            EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScope})
            OR (
                EXISTS (
                    SELECT 1 FROM dbo.BlobDeltaShippedKey AS h
                    WHERE h.TableName = @TableName AND h.Scope = @Scope AND h.stream_id = a.stream_id
                )
                AND NOT EXISTS (SELECT 1 FROM #Left AS l WHERE l.stream_id = a.stream_id AND l.Stays = 0)
            )
            -- What all units were handed whole is not kept: without metadata it is nobody else''s.
            OR (
                @BusinessUnitId IS NULL
                AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn})
            )
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO dbo.BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
    SELECT @RunId, @TableName, n.stream_id, MAX({BusinessUnit}), 0, @Now
    FROM #Needed AS n
    LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = {ToKey(}n.stream_id{)ToKey}
    WHERE (@ExcludedStreamId IS NULL OR n.stream_id <> @ExcludedStreamId)
        AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = n.stream_id)
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaWindowQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = n.stream_id
        )
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = n.stream_id
        )
    GROUP BY n.stream_id
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    DROP TABLE #Candidate;
    DROP TABLE #Needed;');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'AskedAncestors', 1, 0, N'
    -- Rules 5 and 7: ancestors out of scope of this slice that were asked for by name.
    UPDATE q SET IsPending = 1
    FROM dbo.BlobDeltaMissingParentsQueue AS q
    INNER JOIN dbo.BlobDeltaPendingKey AS p ON p.TableName = q.TableName AND p.stream_id = q.stream_id
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = {ToKey(}q.stream_id{)ToKey}
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND p.Scope = @Scope AND t.DeltaStep = 2
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}q.stream_id{)ToKey} AND {InScope})
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ShippedAncestors', 1, 0, N'
    -- Rule 7: what the receivers of all units have of ancestors out of the scope. Of such a one that came into it all is
    -- noted that is handed out: it may leave again.
    UPDATE k SET ModifiedOn = t.DeltaModifiedOn
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = {ToKey(}k.stream_id{)ToKey}
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND (k.ModifiedOn IS NULL OR k.ModifiedOn < t.DeltaModifiedOn)
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO dbo.BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
    SELECT @TableName, @Scope, {ToId(}t.{KeyColumn}{)ToId}, t.DeltaModifiedOn, 0
    FROM {TargetTable} AS t
    WHERE t.DeltaStep = 2
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn} AND {InScope})
        AND NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}t.{KeyColumn}{)ToId}
        )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'AbsentNoted', 1, 0, N'
    -- Rule 7: a row that comes again is decided anew.
    DELETE a
    FROM dbo.BlobDeltaAbsentParent AS a
    WHERE a.TableName = @TableName AND a.Scope = @Scope
        AND EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}a.stream_id{)ToKey})
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Rows whose parent is not in the slice, as usp_BlobDelta_AbsentParents lists them.
    INSERT INTO dbo.BlobDeltaAbsentParent (TableName, Scope, stream_id, ParentKey)
    SELECT @TableName, @Scope, {ToId(}c.{KeyColumn}{)ToId}, {ToId(}c.DeltaParentKey{)ToId}
    FROM {TargetTable} AS c
    WHERE c.{ParentPathColumn} IS NOT NULL AND (
        c.DeltaParentKey IS NULL
        OR NOT EXISTS (SELECT 1 FROM {TargetTable} AS p WHERE p.{KeyColumn} = c.DeltaParentKey)
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- Rows of earlier slices whose parent is in this one.
    UPDATE a SET RunId = @RunId
    FROM dbo.BlobDeltaAbsentParent AS a
    INNER JOIN {SourceTable} AS c {SourceHint} ON c.{KeyColumn} = {ToKey(}a.stream_id{)ToKey}
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = c.{ParentPathColumn}
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = p.{KeyColumn}
    WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftBare', 0, 1, N'
    -- Rule 17: of what left a business unit, and comes in this slice as an ancestor of another unit that wins there, its
    -- receivers have the whole row no more.
    UPDATE k SET IsWhole = 0
    FROM dbo.BlobDeltaShippedKey AS k
    INNER JOIN {TargetTable} AS t ON t.{KeyColumn} = {ToKey(}k.stream_id{)ToKey}
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.IsWhole = 1
        AND (k.ModifiedOn IS NULL OR k.ModifiedOn < @WindowEnd)
        AND t.DeltaStep = 2 AND t.DeltaBusinessUnit IS NULL
        AND (k.ModifiedOn IS NULL OR t.DeltaModifiedOn >= k.ModifiedOn)
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'WereWhole', 1, 1, N'
    -- Rule 17: of the ancestors of this slice, those that this scope''s receivers have whole: they do again where it is
    -- given up.
    UPDATE q SET WasWhole = 1
    FROM dbo.BlobDeltaMissingParentsQueue AS q
    INNER JOIN dbo.BlobDeltaShippedKey AS k ON k.TableName = q.TableName AND k.stream_id = q.stream_id
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND k.Scope = @Scope AND k.IsWhole = 1
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'LeftReported', 0, 0, N'
    -- Rule 17: #Left into the slice, and out of what its receivers have. What is logged to have left all units stands in the
    -- slice as it was logged. A deletion that is told already says more, unless it is one of before the row came.
    DELETE FROM #Left WHERE @BusinessUnitId IS NULL AND IsWhole = 1;
    DELETE d FROM {SliceSchema}.BlobDeltaDeletion AS d
    WHERE d.TableName = @TableName AND ((d.Reason = N''LeftScope'' AND @BusinessUnitId IS NOT NULL) OR EXISTS (
        SELECT 1 FROM #Left AS l WHERE l.stream_id = d.stream_id AND l.Stays = 0 AND l.LeftOn > d.DeletedOn
    ))
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO {SliceSchema}.BlobDeltaDeletion (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
    SELECT @TableName, l.stream_id, l.LeftOn, @BusinessUnitId, @Now, N''LeftScope''
    FROM #Left AS l
    WHERE l.Stays = 0 AND (l.IsWhole = 1 OR l.IsPassed = 1) AND NOT EXISTS (
        SELECT 1 FROM {SliceSchema}.BlobDeltaDeletion AS d WHERE d.TableName = @TableName AND d.stream_id = l.stream_id
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    -- As in AncestorStamps.
    UPDATE {SliceSchema}.BlobDeltaDeletion SET DeletedOn = CASE
        WHEN DeletedOn = CONVERT(datetime2(7), ''0001-01-01'') THEN CONVERT(datetime2(7), ''0001-01-01T00:00:00.000001'')
        ELSE DATEADD(microsecond, 1, DeletedOn)
    END
    WHERE TableName = @TableName AND Reason = N''LeftScope'' AND stream_id IN (SELECT l.stream_id FROM #Left AS l) AND EXISTS (
        SELECT 1 FROM dbo.BlobDeltaRun AS own
        INNER JOIN dbo.BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt AND r.RunStartedAt < DATEADD(day, 1, own.RunStartedAt) AND r.RunId <> own.RunId
        WHERE own.RunId = @RunId
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    DELETE FROM dbo.BlobDeltaShippedKey
    WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
        SELECT d.stream_id FROM {SliceSchema}.BlobDeltaDeletion AS d
        WHERE d.TableName = @TableName AND d.Reason = N''LeftScope''
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'BackAgain', 0, 1, N'
    -- Rule 17: what left this business unit, was told so or came as an ancestor, and is in it again: with its old stamp it
    -- lies in no window.
    INSERT INTO dbo.BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
    SELECT @TableName, @Scope, b.stream_id, N''it left its business unit, and is in it again'', @Now
    FROM (
        SELECT k.stream_id FROM dbo.BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.IsWhole = 0
        UNION
        SELECT d.stream_id FROM dbo.BlobDeltaReportedDeletion AS d
        WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.IsDeletion = 0
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = d.stream_id
            )
    ) AS b
    WHERE NOT EXISTS (
            SELECT 1 FROM dbo.BlobDeltaPendingKey AS p
            WHERE p.TableName = @TableName AND p.Scope = @Scope AND p.stream_id = b.stream_id
        )
        AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope})
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'ForeignPending', 0, 1, N'
    -- Rule 17: a pending key of a business unit whose row has come, and is another unit''s by its metadata, is not
    -- this unit''s to wait for, unless the unit needs it as an ancestor. The runs of the other unit take it by its stamp.
    DELETE FROM dbo.BlobDeltaPendingKey
    WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
        SELECT p.stream_id
        FROM dbo.BlobDeltaPendingKey AS p
        INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = {ToKey(}p.stream_id{)ToKey}
        WHERE p.TableName = @TableName AND p.Scope = @Scope
            AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey})
            AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScopeOrDeleted})
            AND NOT EXISTS (
                SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
                WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = p.stream_id
            )
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
    INSERT INTO #Own (ScriptName, IsOfTrees, IsOfUnits, ScriptText) VALUES (N'KnownUnits', 0, 1, N'
    -- Rule 12: the units that a completed run over all units has seen. One that is away, and comes back, is new again:
    -- its changes of meanwhile lie in no window.
    UPDATE dbo.BlobDeltaBusinessUnitWatermark
    SET IsKnownToAllRuns = CASE
        WHEN BusinessUnitId IN (SELECT u.{BusinessUnitIdColumn} FROM {BusinessUnitTable} AS u) THEN 1 ELSE 0
    END
    WHERE TableName = @TableName
    OPTION (RECOMPILE, MAXDOP {MaxDOP});
    INSERT INTO dbo.BlobDeltaBusinessUnitWatermark (TableName, BusinessUnitId, IsKnownToAllRuns)
    SELECT DISTINCT @TableName, u.{BusinessUnitIdColumn}, 1
    FROM {BusinessUnitTable} AS u
    WHERE u.{BusinessUnitIdColumn} IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM dbo.BlobDeltaBusinessUnitWatermark AS k
        WHERE k.TableName = @TableName AND k.BusinessUnitId = u.{BusinessUnitIdColumn}
    )
    OPTION (RECOMPILE, MAXDOP {MaxDOP});');
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
            QUOTENAME(MetadataModifiedOnCol), N' ', QUOTENAME(MetadataCreatedOnCol), N' ', QUOTENAME(MetadataBusinessUnitCol), N' ', QUOTENAME(BusinessUnitIdColumn),
            N' ', MetadataFilter, N' ', DeletedWhen
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
    DECLARE @Message nvarchar(2000), @IsTree bit, @HasUnits bit, @AtWork nvarchar(500), @Open bigint, @Close bigint, @Line bigint, @Name nvarchar(64), @Names nvarchar(4000), @Given nvarchar(max),
        @SourceTable nvarchar(max), @TargetTable nvarchar(max), @MetadataTable nvarchar(max), @UnitTable nvarchar(max),
        @SliceSchema nvarchar(max), @SourceHint nvarchar(max), @Key nvarchar(max), @Path nvarchar(max), @ParentPathColumn nvarchar(max),
        @ParentPath nvarchar(max), @Id nvarchar(max), @ModifiedOn nvarchar(max), @Stamp nvarchar(max),
        @InWindow nvarchar(max), @InBuffer nvarchar(max), @FromRunStart nvarchar(max), @BeforeRunStart nvarchar(max), @WithoutStamp nvarchar(max), @OfUnit nvarchar(max), @UnitId nvarchar(max),
        @Unit nvarchar(max), @InScope nvarchar(max), @InUnits nvarchar(max), @InScopeOrDeleted nvarchar(max), @IsDeleted nvarchar(max), @Filter nvarchar(max), @TargetColumns nvarchar(max), @SourceColumns nvarchar(max),
        @AncestorColumns nvarchar(max), @RowBytes nvarchar(max), @Dop nvarchar(max), @KeyType nvarchar(20), @ToKey nvarchar(200),
        @EndOfToKey nvarchar(200), @ToId nvarchar(200), @EndOfToId nvarchar(200), @StampInDays nvarchar(10);
    UPDATE #Placeholder SET Value = REPLACE(Value, N'{', N'{}') WHERE CHARINDEX(N'{', Value) > 0;
    -- One that stands for nothing stays as it is, and is told below.
    SELECT
        @IsTree = MAX(CASE WHEN Name = N'ParentPathColumn' AND Value IS NOT NULL THEN 1 ELSE 0 END),
        @HasUnits = MAX(CASE WHEN Name = N'MetadataBusinessUnitCol' AND Value IS NOT NULL THEN 1 ELSE 0 END),
        @SourceTable = COALESCE(MAX(CASE WHEN Name = N'SourceTable' THEN Value END), N'{SourceTable}'),
        @TargetTable = COALESCE(MAX(CASE WHEN Name = N'TargetTable' THEN Value END), N'{TargetTable}'),
        @MetadataTable = COALESCE(MAX(CASE WHEN Name = N'MetadataTable' THEN Value END), N'{MetadataTable}'),
        @UnitTable = COALESCE(MAX(CASE WHEN Name = N'BusinessUnitTable' THEN Value END), N'{BusinessUnitTable}'),
        @SliceSchema = COALESCE(MAX(CASE WHEN Name = N'SliceSchema' THEN Value END), N'{SliceSchema}'),
        @SourceHint = COALESCE(MAX(CASE WHEN Name = N'SourceHint' THEN Value END), N'{SourceHint}'),
        @Key = COALESCE(MAX(CASE WHEN Name = N'KeyColumn' THEN Value END), N'{KeyColumn}'),
        @KeyType = MAX(CASE WHEN Name = N'KeyType' THEN Value END),
        @ToKey = MAX(CASE WHEN Name = N'ToKey(' THEN Value END), @EndOfToKey = MAX(CASE WHEN Name = N')ToKey' THEN Value END),
        @ToId = MAX(CASE WHEN Name = N'ToId(' THEN Value END), @EndOfToId = MAX(CASE WHEN Name = N')ToId' THEN Value END),
        @Path = COALESCE(MAX(CASE WHEN Name = N'PathColumn' THEN Value END), N'{PathColumn}'),
        @ParentPathColumn = COALESCE(MAX(CASE WHEN Name = N'ParentPathColumn' THEN Value END), N'{ParentPathColumn}'),
        @ParentPath = COALESCE(MAX(CASE WHEN Name = N'ParentPath' THEN Value END), N'{ParentPath}'),
        @Id = COALESCE(MAX(CASE WHEN Name = N'MetadataIdColumn' THEN Value END), N'{MetadataIdColumn}'),
        @ModifiedOn = COALESCE(MAX(CASE WHEN Name = N'MetadataModifiedOnCol' THEN Value END), N'{MetadataModifiedOnCol}'),
        @Stamp = MAX(CASE WHEN Name = N'ModifiedOn' THEN Value END), @InWindow = MAX(CASE WHEN Name = N'InWindow' THEN Value END),
        @InBuffer = MAX(CASE WHEN Name = N'InBuffer' THEN Value END), @FromRunStart = MAX(CASE WHEN Name = N'FromRunStart' THEN Value END),
        @StampInDays = MAX(CASE WHEN Name = N'StampInDays' THEN Value END),
        @BeforeRunStart = MAX(CASE WHEN Name = N'BeforeRunStart' THEN Value END), @WithoutStamp = MAX(CASE WHEN Name = N'WithoutStamp' THEN Value END),
        @OfUnit = COALESCE(MAX(CASE WHEN Name = N'MetadataBusinessUnitCol' THEN Value END), N'{MetadataBusinessUnitCol}'),
        @UnitId = COALESCE(MAX(CASE WHEN Name = N'BusinessUnitIdColumn' THEN Value END), N'{BusinessUnitIdColumn}'),
        @Unit = COALESCE(MAX(CASE WHEN Name = N'BusinessUnit' THEN Value END), N'{BusinessUnit}'),
        @InScope = COALESCE(MAX(CASE WHEN Name = N'InScope' THEN Value END), N'{InScope}'),
        @InUnits = COALESCE(MAX(CASE WHEN Name = N'InUnits' THEN Value END), N'{InUnits}'),
        @InScopeOrDeleted = MAX(CASE WHEN Name = N'InScopeOrDeleted' THEN Value END), @IsDeleted = MAX(CASE WHEN Name = N'IsDeleted' THEN Value END),
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

    -- All at once. A brace in a name, which is not to be taken for a placeholder's, is written as {} until all are filled.
    UPDATE #Script SET ScriptText = REPLACE(ScriptText, N'{}', N'{ }') WHERE CHARINDEX(N'{}', ScriptText) > 0;
    UPDATE #Script SET ScriptText =
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(ScriptText,
        N'{SourceTable}', @SourceTable), N'{TargetTable}', @TargetTable), N'{MetadataTable}', @MetadataTable),
        N'{BusinessUnitTable}', @UnitTable), N'{SliceSchema}', @SliceSchema), N'{SourceHint}', @SourceHint), N'{KeyColumn}', @Key),
        N'{PathColumn}', @Path), N'{ParentPathColumn}', @ParentPathColumn), N'{ParentPath}', @ParentPath);
    UPDATE #Script SET ScriptText =
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(ScriptText,
        N'{StampInDays}', @StampInDays), N'{ModifiedOn}', @Stamp), N'{InWindow}', @InWindow), N'{InBuffer}', @InBuffer), N'{FromRunStart}', @FromRunStart),
        N'{BeforeRunStart}', @BeforeRunStart), N'{WithoutStamp}', @WithoutStamp);
    UPDATE #Script SET ScriptText =
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(ScriptText,
        N'{InScopeOrDeleted}', @InScopeOrDeleted), N'{IsDeleted}', @IsDeleted), N'{ToKey(}', @ToKey), N'{)ToKey}', @EndOfToKey), N'{ToId(}', @ToId), N'{)ToId}', @EndOfToId), N'{KeyType}', @KeyType);
    UPDATE #Script SET ScriptText =
        REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(ScriptText,
        N'{RowBytes}', @RowBytes), N'{InUnits}', @InUnits), N'{MetadataFilter}', @Filter), N'{MetadataIdColumn}', @Id), N'{MetadataModifiedOnCol}', @ModifiedOn), N'{MetadataBusinessUnitCol}', @OfUnit),
        N'{BusinessUnitIdColumn}', @UnitId), N'{BusinessUnit}', @Unit), N'{InScope}', @InScope), N'{TargetColumns}', @TargetColumns),
        N'{SourceColumns}', @SourceColumns), N'{AncestorColumns}', @AncestorColumns), N'{MaxDOP}', @Dop);
    SET @Name = (SELECT MIN(ScriptName) FROM #Script WHERE CHARINDEX(N'{', REPLACE(ScriptText, N'{}', N'')) > 0);
    IF @Name IS NOT NULL
    BEGIN
        SET @AtWork = CONCAT(@Name, N' 0 ', @TableName);
        EXEC sp_set_session_context N'BlobDeltaScript', @AtWork;
        SET @Given = (SELECT REPLACE(ScriptText, N'{}', N'') FROM #Script WHERE ScriptName = @Name);
        SELECT @Open = CHARINDEX(N'{', @Given), @Close = CHARINDEX(N'}', @Given, CHARINDEX(N'{', @Given));
        -- The stop keeps LEN from leaving out blanks at the end.
        SET @Line = 1 + LEN(CONCAT(LEFT(@Given, @Open - 1), N'.')) - LEN(CONCAT(REPLACE(LEFT(@Given, @Open - 1), NCHAR(10), N''), N'.'));
        SET @Given = CASE WHEN @Close > 0 THEN SUBSTRING(@Given, @Open + 1, @Close - @Open - 1) END;
        SET @Message = CONCAT(@TableName, N': the script ', @Name, CASE
            WHEN @Close = 0 THEN CONCAT(N' has an opening brace without a closing one in line ', @Line)
            WHEN EXISTS (SELECT 1 FROM #Placeholder WHERE Name = @Given)
                THEN CONCAT(N' uses {', @Given, N'} in line ', @Line, CASE @Given
                    WHEN N'MetadataModifiedOnCol' THEN N', and the stamp of this table is more than that column; write {ModifiedOn} in place of m.{MetadataModifiedOnCol}, and {InWindow} and the like for conditions on it'
                    ELSE N', which the configuration of this table leaves empty'
                END)
            ELSE CONCAT(N' uses the unknown placeholder {', LEFT(@Given, 128), N'} in line ', @Line, N'; script 04 lists those that there are')
        END);
        EXEC dbo.usp_BlobDelta_Throw 51000, @Message;
    END;
    UPDATE #Script SET ScriptText = REPLACE(ScriptText, N'{}', N'{') WHERE CHARINDEX(N'{}', ScriptText) > 0;
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
    SELECT * INTO #Column FROM dbo.BlobDeltaColumnShape WHERE 1 = 0;
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
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 27, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql' AND Version <= 27;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'04_BlobDeltaJobs_Seed_Config.sql', 27
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql');
GO
SET NOEXEC OFF;
GO
