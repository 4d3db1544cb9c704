-- The greatest stamp before the run's start, of whatever scope: a row that moves to another business unit takes nothing back.
SELECT m.{MetadataModifiedOnCol}
FROM {MetadataTable} AS m
WHERE m.{MetadataModifiedOnCol} < @RunStart
    -- Those of keys that are excluded may be anything.
    AND m.{MetadataIdColumn} IS NOT @ExcludedStreamId
    AND m.{MetadataIdColumn} NOT IN (SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName)
ORDER BY m.{MetadataModifiedOnCol} DESC
LIMIT 1;
