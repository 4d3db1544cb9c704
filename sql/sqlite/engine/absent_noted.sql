-- Rule 7: rows whose parent is not in the slice, as absent_parents lists them.
INSERT INTO BlobDeltaAbsentParent (TableName, Scope, stream_id, ParentKey)
SELECT @TableName, @Scope, c.{KeyColumn}, c.DeltaParentKey
FROM {TargetTable} AS c
WHERE c.{ParentPathColumn} IS NOT NULL AND (
    c.DeltaParentKey IS NULL
    OR NOT EXISTS (SELECT 1 FROM {TargetTable} AS p WHERE p.{KeyColumn} = c.DeltaParentKey)
);
