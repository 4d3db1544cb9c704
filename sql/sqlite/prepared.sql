-- name: batch_parents
-- The ancestors of a batch, counted: one row a distinct parent path. Depth is the number of
-- ancestors that the source has, ParentKey the key of the nearest. UNION, not UNION ALL: paths
-- that are not unique, or a cycle, must not multiply; 512 levels are the caller's to refuse.
-- An excluded row counts as absent, and nothing above it is counted: excluding a row of a cycle frees the others.
-- CROSS JOIN keeps SQLite to this order of tables.
INSERT INTO "#Parents" (ParentPath, ParentKey, Depth)
WITH RECURSIVE Up (Start, Path, Found) AS (
    SELECT DISTINCT b.ParentPath, b.ParentPath, 0
    FROM "#Batch" AS b
    WHERE b.ParentPath IS NOT NULL
    UNION
    SELECT u.Start, s.{ParentPathColumn}, u.Found + 1
    FROM Up AS u
    CROSS JOIN {SourceTable} AS s ON s.{PathColumn} = u.Path
    WHERE u.Found < 512
        AND {ToId(}s.{KeyColumn}{)ToId} IS NOT @ExcludedStreamId
        AND {ToId(}s.{KeyColumn}{)ToId} NOT IN (
            SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName
        )
)
SELECT
    u.Start,
    (SELECT {ToId(}min(s.{KeyColumn}){)ToId} FROM {SourceTable} AS s WHERE s.{PathColumn} = u.Start),
    max(u.Found)
FROM Up AS u
GROUP BY u.Start;

-- name: batch_keys
-- The next keys of step 1 or 3 by number, and what is asked of their rows before they are copied:
-- whether it was asked for even if no metadata names it, where the row is, the path of the parent, the bytes of
-- its large values, and whether one of them is copied in pieces.
-- A row is looked for where it was found when its key was queued, and by its key where another stands
-- there now, or none, or nobody knows. A plus keeps SQLite from the index over keys.
SELECT
    q.stream_id,
    q.Seq,
    q.WasHeldBack,
    q.IsPending AND @BusinessUnitId IS NULL AND EXISTS (
        SELECT 1 FROM BlobDeltaPendingKey AS a
        WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.stream_id = q.stream_id AND a.WithoutMetadata
    ) AS WithoutMetadata,
    s.{PlaceColumn},
    {ParentPath},
    {LargeBytes},
    {IsPiecewise}
FROM BlobDeltaWindowQueue AS q
LEFT JOIN {SourceTable} AS p ON p.{PlaceColumn} = q.Place AND +p.{KeyColumn} = {ToKey(}q.stream_id{)ToKey}
LEFT JOIN {SourceTable} AS s ON s.{PlaceColumn} = coalesce(
    p.{PlaceColumn}, (SELECT k.{PlaceColumn} FROM {SourceTable} AS k WHERE k.{KeyColumn} = {ToKey(}q.stream_id{)ToKey})
)
WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq > @After AND q.State IS NULL
ORDER BY q.Seq
LIMIT @BatchSize;

-- name: batch_ancestors
-- The next keys of step 2; columns as of batch_keys.
SELECT q.stream_id, NULL, 0, 0, s.{PlaceColumn}, {ParentPath}, {LargeBytes}, {IsPiecewise}
FROM BlobDeltaMissingParentsQueue AS q
LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = {ToKey(}q.stream_id{)ToKey}
WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Processed = 0
ORDER BY q.stream_id
LIMIT @BatchSize;

-- name: batch_states
-- How each key of the batch ended: Copied; HeldBack (re-stamped to the window's end or later; one that was held back
-- before, to a day after the run's start or later, rule 27; or deleted by DeletedWhen since it was queued: the next run
-- tells that);
-- Moved (it is a child now, and step 3 takes it); Absent (metadata in scope, but no such row in
-- the source); Gone (neither, or out of scope now). NULL: the template left it out, which is an
-- error of the template.
UPDATE "#Batch" AS b SET State = CASE
    WHEN EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}) THEN 'Copied'
    WHEN (
        SELECT max({ModifiedOn}) FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScopeOrDeleted}
    ) >= iif(b.WasHeldBack, @Latest, @WindowEnd) THEN 'HeldBack'
    WHEN EXISTS (
        SELECT 1 FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
    ) THEN 'HeldBack'
    WHEN NOT EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}b.stream_id{)ToKey}) THEN
        CASE
            WHEN EXISTS (
                SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
            ) THEN 'Absent'
            ELSE 'Gone'
        END
    WHEN NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey} AND {InScope}
    ) AND NOT (b.WithoutMetadata AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}b.stream_id{)ToKey}
    )) THEN 'Gone'
    WHEN @Step = 1 AND EXISTS (
        SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}b.stream_id{)ToKey} AND {ParentPath} IS NOT NULL
    ) THEN 'Moved'
END;
