-- Rules 5 and 7: ancestors out of scope of this slice that were asked for by name.
UPDATE BlobDeltaMissingParentsQueue SET IsPending = 1
WHERE RunId = @RunId AND TableName = @TableName AND stream_id IN (
    SELECT p.stream_id
    FROM BlobDeltaPendingKey AS p
    CROSS JOIN {TargetTable} AS t ON t.{KeyColumn} = p.stream_id
    WHERE p.TableName = @TableName AND p.Scope = @Scope AND t.DeltaStep = 2
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.stream_id AND {InScope})
);
