-- Rule 7: a row that comes again is decided anew.
DELETE FROM BlobDeltaAbsentParent
WHERE TableName = @TableName AND Scope = @Scope
    AND EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = BlobDeltaAbsentParent.stream_id);
