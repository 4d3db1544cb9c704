-- Rule 17: a key that was logged as having left this scope, and whose row is in it or in this slice, has not.
DELETE FROM {SliceSchema}.BlobDeltaDeletion
WHERE TableName = @TableName AND Reason = 'LeftScope' AND (
    (
        EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {SliceSchema}.BlobDeltaDeletion.stream_id AND {InScope}
        )
        AND EXISTS (
            SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {SliceSchema}.BlobDeltaDeletion.stream_id
        )
    )
    OR EXISTS (
        SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {SliceSchema}.BlobDeltaDeletion.stream_id
    )
);
