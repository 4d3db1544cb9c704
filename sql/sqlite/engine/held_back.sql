-- Rule 4: the keys that are stamped between the window's end and the run's start.
INSERT OR IGNORE INTO BlobDeltaHeldBackKey (RunId, TableName, stream_id)
SELECT @RunId, @TableName, m.{MetadataIdColumn}
FROM {MetadataTable} AS m
WHERE m.{MetadataModifiedOnCol} >= @WindowEnd AND m.{MetadataModifiedOnCol} < @RunStart AND {InScope}
    AND m.{MetadataIdColumn} IS NOT @ExcludedStreamId
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = m.{MetadataIdColumn}
    );
