-- The next keys of step 2; columns as of batch_keys.
SELECT q.stream_id, NULL, 0, 0, s.{PlaceColumn}, {ParentPath}, {LargeBytes}, {IsPiecewise}
FROM BlobDeltaMissingParentsQueue AS q
LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = q.stream_id
WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.Processed = 0
ORDER BY q.stream_id
LIMIT @BatchSize;
