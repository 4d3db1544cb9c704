-- Rule 21: rows that the runs of a business unit have handed out whole, and those of them that are out of its scope by
-- their metadata, as left_scope has it. What somebody logged to have left it explains itself.
SELECT
    count(*),
    coalesce(sum(
        EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id)
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaDeletionLog AS d
            WHERE d.TableName = @TableName AND d.stream_id = k.stream_id
                AND d.Reason = 'LeftScope' AND d.BusinessUnit = @BusinessUnitId
        )
    ), 0)
FROM BlobDeltaShippedKey AS k
WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.IsWhole;
