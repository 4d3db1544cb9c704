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
LEFT JOIN {SourceTable} AS p ON p.{PlaceColumn} = q.Place AND +p.{KeyColumn} = q.stream_id
LEFT JOIN {SourceTable} AS s ON s.{PlaceColumn} = coalesce(
    p.{PlaceColumn}, (SELECT k.{PlaceColumn} FROM {SourceTable} AS k WHERE k.{KeyColumn} = q.stream_id)
)
WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq > @After AND q.State IS NULL
ORDER BY q.Seq
LIMIT @BatchSize;
