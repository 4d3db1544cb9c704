-- Rule 7: queues every ancestor, of the window's rows that are still to come and of what stands
-- in the slice, that the slice lacks and the source has.
-- CROSS JOIN keeps SQLite to this order of tables: up by the path, never over the whole source. A row is
-- looked for where it was found when its key was queued, and by its key where another stands there now.
INSERT INTO BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
WITH RECURSIVE Up (Path) AS (
    SELECT {ParentPath}
    FROM BlobDeltaWindowQueue AS q
    LEFT JOIN {SourceTable} AS p ON p.{PlaceColumn} = q.Place AND +p.{KeyColumn} = {ToKey(}q.stream_id{)ToKey}
    CROSS JOIN {SourceTable} AS s ON s.{PlaceColumn} = coalesce(
        p.{PlaceColumn}, (SELECT k.{PlaceColumn} FROM {SourceTable} AS k WHERE k.{KeyColumn} = {ToKey(}q.stream_id{)ToKey})
    )
    WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = 3 AND q.State IS NULL
        AND {ParentPath} IS NOT NULL
    UNION
    SELECT s.{ParentPathColumn}
    FROM {TargetTable} AS s
    WHERE s.{ParentPathColumn} IS NOT NULL
    UNION
    SELECT s.{ParentPathColumn}
    FROM Up
    CROSS JOIN {SourceTable} AS s ON s.{PathColumn} = Up.Path
    WHERE s.{ParentPathColumn} IS NOT NULL
)
SELECT
    @RunId,
    @TableName,
    {ToId(}s.{KeyColumn}{)ToId},
    (SELECT max({BusinessUnit}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = s.{KeyColumn}),
    0,
    @Now
FROM Up
CROSS JOIN {SourceTable} AS s ON s.{PathColumn} = Up.Path
WHERE
    -- The keys that wait are read once, and only if the slice lacks an ancestor: CASE asks in this order.
    CASE
        WHEN EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = s.{KeyColumn}) THEN 0
        ELSE {ToId(}s.{KeyColumn}{)ToId} NOT IN (
            SELECT q.stream_id FROM BlobDeltaWindowQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.State IS NULL
        )
    END
    AND (@ExcludedStreamId IS NULL OR {ToId(}s.{KeyColumn}{)ToId} <> @ExcludedStreamId)
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}s.{KeyColumn}{)ToId}
    )
ON CONFLICT (RunId, TableName, stream_id) DO UPDATE SET Processed = 0;
