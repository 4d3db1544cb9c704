-- Rule 7, before the queue is filled: of the rows whose parents were absent, those are settled whose parents came in a slice
-- that is not given up any more, that are gone from the source, or that this unit was handed no more.
DELETE FROM BlobDeltaAbsentParent
WHERE TableName = @TableName AND Scope = @Scope AND (
    RunId IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM {SourceTable} AS c WHERE c.{KeyColumn} = BlobDeltaAbsentParent.stream_id)
    OR (@BusinessUnitId IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = BlobDeltaAbsentParent.stream_id
    ))
);
