-- Rule 21: keys of the window, and those of them that have no row. Keys that were asked for by name, or held
-- back, are no sign of anything; a deletion that was logged explains an absent row.
SELECT
    count(*),
    coalesce(sum(
        q.Place IS NULL
        AND NOT EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = q.stream_id)
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaDeletionLog AS d WHERE d.TableName = @TableName AND d.stream_id = q.stream_id
        )
    ), 0)
FROM BlobDeltaWindowQueue AS q
WHERE q.RunId = @RunId AND q.TableName = @TableName AND NOT q.IsPending AND NOT q.WasHeldBack;
