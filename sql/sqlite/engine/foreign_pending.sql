-- Rule 17: a pending key of a business unit whose row has come, and is another unit's by its metadata, is not
-- this unit's to wait for, unless the unit needs it as an ancestor. The runs of the other unit take it by its stamp.
DELETE FROM BlobDeltaPendingKey
WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
    SELECT p.stream_id
    FROM BlobDeltaPendingKey AS p
    CROSS JOIN {SourceTable} AS s ON s.{KeyColumn} = p.stream_id
    WHERE p.TableName = @TableName AND p.Scope = @Scope
        AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id)
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id AND {InScope})
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = p.stream_id
        )
);
