-- Rule 17: a row of a bundle that is taken over, as the run that shipped it kept it: nothing is lowered.
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET
    ModifiedOn = CASE
        WHEN excluded.ModifiedOn > coalesce(ModifiedOn, '') THEN excluded.ModifiedOn ELSE ModifiedOn
    END,
    IsWhole = max(IsWhole, excluded.IsWhole);
