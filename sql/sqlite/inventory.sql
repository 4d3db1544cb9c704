-- name: inventory
-- The next keys of the metadata that are in scope, after @After, and what the source has of them.
WITH Page AS MATERIALIZED (
    SELECT {ToId(}m.{MetadataIdColumn}{)ToId} AS stream_id, max({ModifiedOn}) AS ModifiedOn
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} > coalesce({ToKey(}@After{)ToKey}, {LeastKey}) AND {InScope}
    GROUP BY m.{MetadataIdColumn}
    ORDER BY m.{MetadataIdColumn}
    LIMIT @Most
)
SELECT
    p.stream_id,
    p.ModifiedOn,
    s.{KeyColumn} IS NOT NULL,
    EXISTS (
        SELECT 1 FROM BlobDeltaPendingKey AS k
        WHERE k.TableName = @TableName AND k.Scope IN ('', @Scope) AND k.stream_id = p.stream_id
    ),
    p.stream_id IS @ExcludedStreamId
    OR EXISTS (SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = p.stream_id),
    {Path}
FROM Page AS p
LEFT JOIN {SourceTable} AS s ON s.{KeyColumn} = {ToKey(}p.stream_id{)ToKey}
ORDER BY {ToKey(}p.stream_id{)ToKey};

-- name: reached
SELECT max(LastHighWaterModifiedOn) FROM (
    SELECT LastHighWaterModifiedOn FROM BlobDeltaHighWatermark WHERE TableName = ?1 AND ?2 IS NULL
    UNION ALL
    SELECT LastHighWaterModifiedOn FROM BlobDeltaBusinessUnitWatermark
    WHERE TableName = ?1 AND BusinessUnitId = ?2)

-- name: remains
-- What is left of the key @Key of the table @TableName: its row, its greatest stamp in whatever scope, whether the runs of the scope
-- know that they handed it out, and the latest that is logged, and that the next run of the scope tells: of its deletion,
-- and of its leaving; and the latest leaving that was told. A run of the business unit @BusinessUnitId tells deletions of what it handed out alone; all units are not asked.
-- @Latest is the latest time that a run would tell. Last come whether the key is deleted by DeletedWhen, by which stamp, whether it
-- was asked for, and whether it is never captured.
SELECT
    EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}@Key{)ToKey}),
    (SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}@Key{)ToKey}),
    @BusinessUnitId IS NULL OR EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = @Key
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaDeletionLog AS d
        WHERE d.TableName = @TableName AND d.stream_id = @Key AND d.Reason = 'Deleted' AND d.DeletedOn <= @Latest
            AND (@BusinessUnitId IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = @Key
            ))
            AND NOT EXISTS (
                SELECT 1 FROM BlobDeltaReportedDeletion AS t
                WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = @Key AND t.IsDeletion = 1 AND t.DeletedOn >= d.DeletedOn
            )
    ),
    (
        SELECT max(d.DeletedOn) FROM BlobDeltaDeletionLog AS d
        WHERE d.TableName = @TableName AND d.stream_id = @Key AND d.Reason = 'LeftScope' AND d.BusinessUnit IS @BusinessUnitId AND d.DeletedOn <= @Latest
            AND NOT EXISTS (
                SELECT 1 FROM BlobDeltaReportedDeletion AS t
                WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = @Key AND t.IsDeletion = 0 AND t.DeletedOn >= d.DeletedOn
            )
    ),
    (
        SELECT max(t.DeletedOn) FROM BlobDeltaReportedDeletion AS t
        WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = @Key AND t.IsDeletion = 0
    ),
    EXISTS (
        SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}@Key{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
    ),
    (
        SELECT max({ModifiedOn}) FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}@Key{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
    ),
    EXISTS (
        SELECT 1 FROM BlobDeltaPendingKey AS p
        WHERE p.TableName = @TableName AND p.Scope IN ('', @Scope) AND p.stream_id = @Key
    ),
    @Key IS @ExcludedStreamId
    OR EXISTS (SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = @Key);

-- name: parents
-- The parent of the row @Key, if the source has it: whether it is in scope, its greatest stamp in whatever scope,
-- whether it waits for the runs of the scope @Scope, whether it is never captured, and whether the next run brings it as an
-- ancestor because it was absent, or reported as deleted.
SELECT
    {ToId(}p.{KeyColumn}{)ToId},
    EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.{KeyColumn} AND {InScope}),
    (SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = p.{KeyColumn}),
    EXISTS (
        SELECT 1 FROM BlobDeltaPendingKey AS k
        WHERE k.TableName = @TableName AND k.Scope IN ('', @Scope) AND k.stream_id = {ToId(}p.{KeyColumn}{)ToId}
    )
    OR EXISTS (
        SELECT 1 FROM BlobDeltaAbsentParent AS a
        WHERE a.TableName = @TableName AND a.Scope = @Scope AND a.stream_id = {ToId(}c.{KeyColumn}{)ToId} AND a.RunId IS NULL
    )
    OR EXISTS (
        SELECT 1 FROM BlobDeltaReportedDeletion AS d
        WHERE d.TableName = @TableName AND d.Scope = @Scope AND d.stream_id = {ToId(}p.{KeyColumn}{)ToId} AND d.IsDeletion
            AND d.PassedByRunId IS NULL
    ),
    {ToId(}p.{KeyColumn}{)ToId} IS @ExcludedStreamId OR EXISTS (
        SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}p.{KeyColumn}{)ToId}
    ),
    {Path}
FROM {SourceTable} AS c
CROSS JOIN {SourceTable} AS p ON p.{PathColumn} = c.{ParentPathColumn}
WHERE c.{KeyColumn} = {ToKey(}@Key{)ToKey};

-- name: whole
-- What no window and no scan of keys finds, of the whole table ?1; ?2 is now, in the table's clock.
SELECT
    (
        SELECT count(*) FROM {SourceTable} AS s
        WHERE NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = s.{KeyColumn})
    ),
    (SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = ?1 AND d.Reason = 'Deleted'),
    (SELECT count(*) FROM BlobDeltaDeletionLog AS d WHERE d.TableName = ?1 AND d.DeletedOn > ?2);

-- name: due_deletions
-- The entries of the deletion log that a run of the scope ?2, of the business unit ?3, tells of the table ?1, as the statement
-- deletions has it; what was logged since ?4 is told again.
SELECT l.DeletionId, l.stream_id FROM BlobDeltaDeletionLog AS l
WHERE l.TableName = ?1
    AND CASE l.Reason
        WHEN 'LeftScope' THEN l.BusinessUnit IS ?3
        ELSE ?3 IS NULL OR EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k WHERE k.TableName = ?1 AND k.Scope = ?2 AND k.stream_id = l.stream_id
        )
    END
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaReportedDeletion AS t
        WHERE t.TableName = ?1 AND t.Scope = ?2 AND t.stream_id = l.stream_id
            AND t.IsDeletion = (l.Reason = 'Deleted') AND t.DeletedOn >= l.DeletedOn AND (?4 IS NULL OR l.LoggedAt < ?4)
    )
ORDER BY l.DeletionId;
