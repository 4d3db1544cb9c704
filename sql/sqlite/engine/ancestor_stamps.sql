-- Rules 7 and 14: an ancestor that comes without a stamp would lose against what this scope has been told of it before.
-- First what it was handed, where the ancestor is in this scope no more, and the time at which somebody logged that it
-- left: on a tie the later run wins. Then what it was told to be rid of, which a row has to pass. One that came before its window waits, as in left_scope. The
-- greatest stamp of its metadata comes last: others may have the row by it.
SELECT
    t.{KeyColumn},
    (
        SELECT k.ModifiedOn FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.BusinessUnitId = @BusinessUnitId AND k.stream_id = t.{KeyColumn}
            AND t.DeltaBusinessUnit IS NULL
            AND (NOT k.IsWhole OR (
                coalesce(k.ModifiedOn < @WindowEnd, 1)
                AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = k.stream_id AND {InScope})
            ))
    ),
    (
        SELECT d.DeletedOn FROM {SliceSchema}.BlobDeltaDeletion AS d
        WHERE d.TableName = @TableName AND d.stream_id = t.{KeyColumn} AND d.Reason = 'LeftScope' AND t.DeltaBusinessUnit IS NULL
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaToldDeletion AS d
        WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = t.{KeyColumn}
    ),
    (SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn})
FROM {TargetTable} AS t
WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NULL;
