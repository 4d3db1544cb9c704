-- Rule 7: what the receivers of all units have of ancestors out of the scope. Of such a one that came into it all is noted
-- that is handed out: it may leave again.
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT @TableName, @Scope, t.{KeyColumn}, t.DeltaModifiedOn, 0
FROM {TargetTable} AS t
WHERE (
        t.DeltaStep = 2
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn} AND {InScope})
    )
    OR EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = t.{KeyColumn}
    )
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET
    ModifiedOn = CASE
        WHEN excluded.ModifiedOn > coalesce(ModifiedOn, '') THEN excluded.ModifiedOn ELSE ModifiedOn
    END;
