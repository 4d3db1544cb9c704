-- The parent of the row @Key, if the source has it: whether it is in scope, its greatest stamp in whatever scope,
-- whether it waits for the runs of the scope @Scope, whether it is never captured, and whether the next run brings it as an
-- ancestor because it was absent, or told to be deleted.
SELECT
    p.{KeyColumn},
    EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.{KeyColumn} AND {InScope}),
    (SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.{KeyColumn}),
    EXISTS (
        SELECT 1 FROM BlobDeltaPendingKey AS k
        WHERE k.TableName = @TableName AND k.Scope IN ('', @Scope) AND k.stream_id = p.{KeyColumn}
    )
    OR EXISTS (
        SELECT 1 FROM BlobDeltaAbsentParent AS a
        WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.stream_id = c.{KeyColumn} AND a.RunId IS NULL
    )
    OR EXISTS (
        SELECT 1 FROM BlobDeltaToldDeletion AS d
        WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = p.{KeyColumn} AND d.IsDeletion
            AND d.PassedByRunId IS NULL
    ),
    p.{KeyColumn} IS @ExcludedStreamId OR EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = p.{KeyColumn}
    ),
    {Path}
FROM {SourceTable} AS c
CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
WHERE c.{KeyColumn} = @Key;
