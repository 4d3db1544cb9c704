-- Rule 21: deletions that this slice tells, and those of them whose row stands in the source by no later stamp, in whatever
-- scope: its receivers would lose it. One that was stamped since has come again, and wins.
SELECT
    count(*),
    coalesce(sum(
        EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = d.stream_id)
        AND NOT EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = d.stream_id AND m.{MetadataModifiedOnCol} > d.DeletedOn
        )
    ), 0)
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName AND d.Reason = 'Deleted';
