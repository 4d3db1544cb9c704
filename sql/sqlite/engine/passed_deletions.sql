-- Rules 7 and 15: deletions that this scope was told, and that an ancestor of this slice comes after: it stands.
UPDATE BlobDeltaToldDeletion SET PassedByRunId = @RunId
WHERE TableName = @TableName AND Scope = @Scope AND IsDeletion AND PassedByRunId IS NULL
    AND stream_id IN (SELECT t.{KeyColumn} FROM {TargetTable} AS t WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NOT NULL)
    AND DeletedOn < (
        SELECT t.DeltaModifiedOn FROM {TargetTable} AS t WHERE t.{KeyColumn} = BlobDeltaToldDeletion.stream_id
    );
