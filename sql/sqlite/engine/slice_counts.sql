-- What the slice holds. Late are rows of steps 1 and 3 before the window: pending keys, and
-- stamps that went back.
SELECT
    coalesce(sum(t.DeltaStep = 1), 0),
    coalesce(sum(t.DeltaStep = 2), 0),
    coalesce(sum(t.DeltaStep = 3), 0),
    coalesce(sum(t.DeltaEarly), 0),
    coalesce(sum(t.DeltaStep <> 2 AND (t.DeltaModifiedOn IS NULL OR t.DeltaModifiedOn < @WindowStart)), 0),
    -- Rule 14: a tombstone wins a tie, and no stamp is least.
    (
        SELECT count(*) FROM {SliceSchema}.BlobDeltaDeletion AS d
        INNER JOIN {TargetTable} AS o ON o.{KeyColumn} = d.stream_id
        WHERE d.TableName = @TableName AND (o.DeltaModifiedOn IS NULL OR o.DeltaModifiedOn <= d.DeletedOn)
    )
FROM {TargetTable} AS t;
