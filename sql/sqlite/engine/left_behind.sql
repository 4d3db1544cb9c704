-- Rules 7 and 17: what left a scope and stays for what lies below it comes once more, as an ancestor of
-- another unit comes.
INSERT OR IGNORE INTO BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, BusinessUnit, Processed, CreatedAt)
SELECT @RunId, @TableName, l.stream_id, NULL, 0, @Now
FROM "#Left" AS l
WHERE l.Stays AND l.IsWhole AND l.IsPassed AND l.stream_id IS NOT @ExcludedStreamId
    AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = l.stream_id AND {InScope})
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = l.stream_id
    );
