-- Rule 7: rows of this scope that came without the key of their parent, which is there now: they come again and bring it. Those
-- out of scope are ancestors themselves, and come as needed_ancestors says.
INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
SELECT @TableName, @Scope, a.stream_id, 'its parent was not there when it came', @Now
FROM BlobDeltaAbsentParent AS a
CROSS JOIN {SourceTable} AS c ON c.{KeyColumn} = a.stream_id
CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.RunId IS NULL AND a.ParentKey IS NULL
    AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = a.stream_id AND {InScope})
    AND a.stream_id IS NOT @ExcludedStreamId AND p.{KeyColumn} IS NOT @ExcludedStreamId
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e
        WHERE e.TableName = @TableName AND e.stream_id IN (a.stream_id, p.{KeyColumn})
    );
