-- The next keys of step 1 or 3 by number, and what is asked of their rows before they are copied:
-- where the row is, the path of the parent, the bytes of its large values, and whether one of them is
-- copied in pieces.
SELECT q.stream_id, q.Seq, q.WasHeldBack, q.IsPending, s.{PlaceColumn}, {ParentPath}, {LargeBytes}, {IsPiecewise}
FROM BlobDeltaWindowQueue AS q
LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = q.stream_id
WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Step = @Step AND q.Seq > @After AND q.State IS NULL
ORDER BY q.Seq
LIMIT @BatchSize;
