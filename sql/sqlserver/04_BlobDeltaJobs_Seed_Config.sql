-- 04: the two tables of the design documents, and the shared templates. Version 4.
--
-- Can be run again at any time: what is missing is added, what an operator changed is left alone.
-- To get a shared template back as it is here, delete its row and run this script.
--
-- A template is T-SQL with names in braces. The engine fills them with names from the catalog,
-- quoted, and with expressions over these, never with values; values are parameters:
-- @BatchSize, @ExcludedStreamId, @WindowStart, @WindowEnd, @BusinessUnitId, @Scope, @RunId, @PreviousRunId,
-- @TableName, @RunStart, @Now, @Step, @DeletionsFrom. The steps read their keys from #Batch
-- (stream_id, Seq, WasHeldBack, IsPending, Depth, ParentKey), and may leave out no row that is in
-- the window: exclude keys in BlobDeltaExcludedKey instead. Placeholders:
--   {SourceTable} {TargetTable} {MetadataTable} {BusinessUnitTable}  tables, three-part
--   {SliceSchema}                  the slice's database and schema dbo
--   {SourceHint}                   WITH (READCOMMITTEDLOCK) for a FileTable and for a view, else nothing
--   {KeyColumn} {PathColumn} {ParentPathColumn} {MetadataIdColumn} {MetadataModifiedOnCol}
--   {MetadataBusinessUnitCol} {BusinessUnitIdColumn}                 columns
--   {ParentPath} {BusinessUnit}    s.<parent path>, m.<business unit>, or a NULL where there is none
--   {InScope}                      whether a row of the metadata table, AS m, belongs to the run
--   {MetadataFilter}               whether such a row counts at all; part of the one before
--   {TargetColumns} {SourceColumns} {AncestorColumns}  column lists; the last without blobs where f.IsForeign = 1
--   {MaxDOP}                       a number
--
-- Not executed yet: the FileTable hint, and everything on Microsoft SQL Server; the rest ran on
-- another server that speaks T-SQL.
SET QUOTED_IDENTIFIER ON;
SET ANSI_NULLS ON;
GO
USE BlobDeltaJobs;
GO
-- A newer version is refused; NOEXEC keeps a client that goes on after an error from going on.
IF EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql' AND Version > 4)
BEGIN
    RAISERROR (N'This job database was deployed by a newer version of 04_BlobDeltaJobs_Seed_Config.sql. Use the newer script; this one changes nothing.', 16, 1);
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
    {SourceColumns}, f.ModifiedOn, f.BusinessUnit, 1, b.Depth, b.ParentKey,
    CASE WHEN f.ModifiedOn >= @WindowEnd THEN 1 ELSE 0 END
FROM #Batch AS b
INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = b.stream_id
OUTER APPLY (
    SELECT TOP (1) m.{MetadataIdColumn} AS stream_id, m.{MetadataModifiedOnCol} AS ModifiedOn, {BusinessUnit} AS BusinessUnit
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} = b.stream_id AND {InScope}
    ORDER BY m.{MetadataModifiedOnCol} DESC
) AS f
WHERE (f.stream_id IS NOT NULL OR (b.IsPending = 1 AND @BusinessUnitId IS NULL AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = b.stream_id
    )))
    AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd OR (b.WasHeldBack = 1 AND f.ModifiedOn < DATEADD(day, 1, @RunStart)))
    AND {ParentPath} IS NULL
    AND (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = b.stream_id) = 0
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
    f.BusinessUnit, 2, f.Depth, f.ParentKey, 0
FROM (
    SELECT
        b.stream_id, b.Depth, b.ParentKey, i.ModifiedOn, i.BusinessUnit,
        CASE
            WHEN i.stream_id IS NOT NULL THEN 0
            WHEN @BusinessUnitId IS NOT NULL THEN 1
            WHEN EXISTS (SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = b.stream_id) THEN 1
            ELSE 0
        END AS IsForeign
    FROM #Batch AS b
    OUTER APPLY (
        SELECT TOP (1) m.{MetadataIdColumn} AS stream_id, m.{MetadataModifiedOnCol} AS ModifiedOn, {BusinessUnit} AS BusinessUnit
        FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = b.stream_id AND {InScope}
        ORDER BY m.{MetadataModifiedOnCol} DESC
    ) AS i
) AS f
INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = f.stream_id
WHERE (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = f.stream_id) = 0
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
    {SourceColumns}, f.ModifiedOn, f.BusinessUnit, 3, b.Depth, b.ParentKey,
    CASE WHEN f.ModifiedOn >= @WindowEnd THEN 1 ELSE 0 END
FROM #Batch AS b
INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = b.stream_id
OUTER APPLY (
    SELECT TOP (1) m.{MetadataIdColumn} AS stream_id, m.{MetadataModifiedOnCol} AS ModifiedOn, {BusinessUnit} AS BusinessUnit
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} = b.stream_id AND {InScope}
    ORDER BY m.{MetadataModifiedOnCol} DESC
) AS f
WHERE (f.stream_id IS NOT NULL OR (b.IsPending = 1 AND @BusinessUnitId IS NULL AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = b.stream_id
    )))
    AND (f.ModifiedOn IS NULL OR f.ModifiedOn < @WindowEnd OR (b.WasHeldBack = 1 AND f.ModifiedOn < DATEADD(day, 1, @RunStart)))
    AND (SELECT COUNT(*) FROM {TargetTable} AS t WHERE t.{KeyColumn} = b.stream_id) = 0
OPTION (MAXDOP {MaxDOP});'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaStepScript WHERE TableName IS NULL AND StepNumber = 3);
GO
INSERT INTO dbo.BlobDeltaQueuePopulationScript (TableName, QueueName, ScriptText)
SELECT NULL, N'WindowQueue', N'-- Rules 3, 4 and 5: queues each key of the window once, with the greatest ModifiedOn among its
-- in-scope metadata rows; keys that the last completed run held back, if they would be held back
-- again; and pending keys of this scope whose rows have come. A run over all units takes one without
-- metadata too.
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
        c.stream_id, c.WasHeldBack, c.IsPending,
        COUNT(m.{MetadataIdColumn}) AS MetadataRows,
        MAX(m.{MetadataModifiedOnCol}) AS ModifiedOn
    FROM (
        SELECT a.stream_id, MAX(a.WasHeldBack) AS WasHeldBack, MAX(a.IsPending) AS IsPending
        FROM (
            SELECT m.{MetadataIdColumn} AS stream_id, 0 AS WasHeldBack, 0 AS IsPending
            FROM {MetadataTable} AS m
            WHERE m.{MetadataModifiedOnCol} >= @WindowStart AND m.{MetadataModifiedOnCol} < @WindowEnd AND {InScope}
                AND m.{MetadataIdColumn} IS NOT NULL
            UNION ALL
            SELECT h.stream_id, 1, 0
            FROM dbo.BlobDeltaHeldBackKey AS h
            WHERE h.RunId = @PreviousRunId AND h.TableName = @TableName
            UNION ALL
            SELECT p.stream_id, 0, 1
            FROM dbo.BlobDeltaPendingKey AS p
            INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = p.stream_id
            WHERE p.TableName = @TableName AND p.Scope = @Scope
        ) AS a
        GROUP BY a.stream_id
    ) AS c
    LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = c.stream_id AND {InScope}
    GROUP BY c.stream_id, c.WasHeldBack, c.IsPending
) AS f
LEFT JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = f.stream_id
WHERE (f.MetadataRows > 0 OR (f.IsPending = 1 AND @BusinessUnitId IS NULL AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS o WHERE o.{MetadataIdColumn} = f.stream_id
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
SELECT DISTINCT p.{KeyColumn}, 0
FROM (
    SELECT s.{ParentPathColumn} AS Path
    FROM dbo.BlobDeltaWindowQueue AS q
    INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = q.stream_id
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = 3 AND q.State IS NULL
    UNION
    SELECT t.{ParentPathColumn} FROM {TargetTable} AS t
) AS a
INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = a.Path;

-- Looked for first, and sorted out then: where both are one statement, a server that cannot know how few rows
-- a level has may hold each of them against the whole source.
WHILE @Found > 0
BEGIN
    DELETE FROM #Found;
    INSERT INTO #Found (stream_id)
    SELECT p.{KeyColumn}
    FROM #Ancestor AS a
    INNER JOIN {SourceTable} AS s {SourceHint} ON s.{KeyColumn} = a.stream_id
    INNER JOIN {SourceTable} AS p {SourceHint} ON p.{PathColumn} = s.{ParentPathColumn}
    WHERE a.Level = @Level;
    SET @Level = @Level + 1;
    INSERT INTO #Ancestor (stream_id, Level)
    SELECT DISTINCT f.stream_id, @Level
    FROM #Found AS f
    WHERE NOT EXISTS (SELECT 1 FROM #Ancestor AS k WHERE k.stream_id = f.stream_id);
    SET @Found = @@ROWCOUNT;
END;
DROP TABLE #Found;

DELETE FROM #Ancestor
WHERE stream_id = @ExcludedStreamId
    OR EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = #Ancestor.stream_id)
    OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaWindowQueue AS q
        WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = #Ancestor.stream_id AND q.State IS NULL
    )
    OR EXISTS (
        SELECT 1 FROM dbo.BlobDeltaExcludedKey AS e
        WHERE e.TableName = @TableName AND e.stream_id = #Ancestor.stream_id
    );

UPDATE q SET Processed = 0
FROM dbo.BlobDeltaMissingParentsQueue AS q
INNER JOIN #Ancestor AS a ON a.stream_id = q.stream_id
WHERE q.RunId = @RunId AND q.TableName = @TableName;

INSERT INTO dbo.BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
SELECT @RunId, @TableName, a.stream_id, MAX({BusinessUnit}), 0, @Now
FROM #Ancestor AS a
LEFT JOIN {MetadataTable} AS m ON m.{MetadataIdColumn} = a.stream_id
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaMissingParentsQueue AS q
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = a.stream_id
)
GROUP BY a.stream_id;

DROP TABLE #Ancestor;'
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaQueuePopulationScript WHERE TableName IS NULL AND QueueName = N'MissingParents');
GO
UPDATE dbo.BlobDeltaSchemaVersion SET Version = 4, Sha256 = N'', AppliedAt = SYSUTCDATETIME()
WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql' AND Version <= 4;
INSERT INTO dbo.BlobDeltaSchemaVersion (Script, Version)
SELECT N'04_BlobDeltaJobs_Seed_Config.sql', 4
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSchemaVersion WHERE Script = N'04_BlobDeltaJobs_Seed_Config.sql');
GO
SET NOEXEC OFF;
GO
