-- Rule 17: a pending key of a business unit whose row has come, and is another unit's by its metadata, is not
-- this unit's to wait for. The runs of the other unit take it by its stamp.
DELETE FROM BlobDeltaPendingKey
WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
    SELECT p.stream_id
    FROM BlobDeltaPendingKey AS p
    CROSS JOIN {SourceTable} AS s ON s.{KeyColumn} = p.stream_id
    WHERE p.TableName = @TableName AND p.Scope = @Scope
        AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id)
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id AND {InScope})
);
