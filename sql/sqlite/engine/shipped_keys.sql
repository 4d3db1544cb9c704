-- Rule 17: what the slice of a business unit's run hands out. An ancestor out of the unit's scope came without
-- its blobs, and has no business unit.
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT
    @TableName, @Scope, t.{KeyColumn}, t.DeltaModifiedOn,
    t.DeltaStep <> 2 OR t.DeltaBusinessUnit IS NOT NULL
FROM {TargetTable} AS t
WHERE true
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET
    ModifiedOn = CASE
        WHEN excluded.ModifiedOn > coalesce(ModifiedOn, '') THEN excluded.ModifiedOn ELSE ModifiedOn
    END,
    IsWhole = max(IsWhole, excluded.IsWhole);
