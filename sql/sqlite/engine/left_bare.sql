-- Rule 17: of what left a business unit, and comes in this slice as an ancestor of another unit that wins there, its
-- receivers have the whole row no more.
UPDATE BlobDeltaShippedKey SET IsWhole = 0
WHERE TableName = @TableName AND Scope = @Scope AND IsWhole AND coalesce(ModifiedOn < @WindowEnd, 1)
    AND stream_id IN (
        SELECT t.{KeyColumn} FROM {TargetTable} AS t
        WHERE t.DeltaStep = 2 AND t.DeltaBusinessUnit IS NULL
            AND coalesce(t.DeltaModifiedOn, '') >= coalesce(BlobDeltaShippedKey.ModifiedOn, '')
    );
