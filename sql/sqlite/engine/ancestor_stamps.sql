-- Rules 7 and 14: an ancestor that comes without a stamp would lose against what this scope has been told of it before.
-- First whether it was handed it, and by which stamp, where the ancestor is in this scope no more (one that came before its
-- window waits, as in left_scope); the time at which somebody logged that it left, and the one at which it was told to have
-- left: on a tie the later run wins. Then what it was told to be deleted by, or is by this slice, which a row has to pass. The
-- greatest stamp of its metadata comes last: others may have the row by it.
SELECT
    t.{KeyColumn},
    k.stream_id IS NOT NULL,
    k.ModifiedOn,
    (
        SELECT d.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS d
        WHERE d.TableName = @TableName AND d.stream_id = t.{KeyColumn} AND d.Reason = 'LeftScope' AND t.DeltaBusinessUnit IS NULL
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaToldDeletion AS d
        WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = t.{KeyColumn} AND NOT d.IsDeletion
    ),
    (
        SELECT max(d.DeletedOn)
        FROM (
            SELECT o.DeletedOn FROM BlobDeltaToldDeletion AS o
            WHERE o.TableName = @TableName AND o.Scope = @Scope AND o.stream_id = t.{KeyColumn} AND o.IsDeletion
            UNION ALL
            SELECT n.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS n
            WHERE n.TableName = @TableName AND n.stream_id = t.{KeyColumn} AND n.Reason = 'Deleted'
        ) AS d
    ),
    (SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn})
FROM {TargetTable} AS t
LEFT JOIN BlobDeltaShippedKey AS k
    ON k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = t.{KeyColumn}
        AND (NOT k.IsWhole OR coalesce(k.ModifiedOn < @WindowEnd, 1))
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NULL;
