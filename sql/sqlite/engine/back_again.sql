-- Rule 17: what left this business unit, was told so or came as an ancestor, and is in it again: with its old stamp it lies in
-- no window.
INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
SELECT @TableName, @Scope, k.stream_id, 'it left its business unit, and is in it again', @Now
FROM BlobDeltaShippedKey AS k
WHERE k.TableName = @TableName AND k.Scope = @Scope AND NOT k.IsWhole
    AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
UNION
SELECT @TableName, @Scope, d.stream_id, 'it left its business unit, and is in it again', @Now
FROM BlobDeltaToldDeletion AS d
WHERE d.TableName = @TableName AND d.Scope = @Scope AND NOT d.IsDeletion
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = d.stream_id
    )
    AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = d.stream_id AND {InScope});
