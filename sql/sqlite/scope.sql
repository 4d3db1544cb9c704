-- name: foreign_pending
-- Rule 17: a pending key of a business unit whose row has come, and is another unit's by its metadata, is not
-- this unit's to wait for, unless the unit needs it as an ancestor. The runs of the other unit take it by its stamp.
DELETE FROM BlobDeltaPendingKey
WHERE TableName = @TableName AND Scope = @Scope AND stream_id IN (
    SELECT p.stream_id
    FROM BlobDeltaPendingKey AS p
    CROSS JOIN {SourceTable} AS s ON s.{KeyColumn} = {ToKey(}p.stream_id{)ToKey}
    WHERE p.TableName = @TableName AND p.Scope = @Scope
        AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey})
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScopeOrDeleted})
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaMissingParentsQueue AS q
            WHERE q.RunId = @RunId AND q.TableName = @TableName AND q.stream_id = p.stream_id
        )
);

-- name: left_scope
-- Rule 17: keys that a business unit's runs have handed out, and that are not in its scope any more, into
-- "#Left"; and those that somebody has logged as having left it. What stands in this slice is needed. An
-- ancestor that came without its blobs leaves as a whole row does, and holds nothing above it in its place. Of
-- what all units were handed, ancestors out of the scope alone are kept.
-- What is gone has not left: a row without metadata, an ancestor without a row, whose deletion has to be logged; and a whole row
-- that is deleted by DeletedWhen. One that stayed without its blob for what lay below it leaves with that.
-- LeftOn is the greatest stamp that was handed out, no later one: it outranks what was, and nothing that comes.
-- A row that came before its window may come again by the next one, so it is asked for then.
-- IsPassed: whoever else has the row has it by no lesser stamp than what this scope is told of it by (which is a later one
-- than was handed out, where a run started later than this one), so that this outranks nothing there; or a deletion was told
-- that outranks what they have.
-- What was logged comes first: it was asked for by name, and comes once more without its blob where it stays, whatever this
-- scope was handed of it before, and may not have got.
INSERT OR IGNORE INTO "#Left" (stream_id, IsWhole, LeftOn, IsPassed)
SELECT
    d.stream_id, 1, d.DeletedOn,
    @BusinessUnitId IS NULL OR coalesce((
        SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey}
    ) >= d.DeletedOn, 0)
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName AND d.Reason = 'LeftScope'
UNION ALL
SELECT
    k.stream_id, k.IsWhole, coalesce(k.ModifiedOn, '0001-01-01T00:00:00.0000000'),
    coalesce(CASE
        WHEN EXISTS (
            SELECT 1 FROM BlobDeltaRun AS own INNER JOIN BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt
                AND r.RunStartedAt < strftime('%Y-%m-%dT%H:%M:%f', own.RunStartedAt, '+1 day')
            WHERE own.RunId = @RunId AND r.RunId <> own.RunId
        ) THEN (
            SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}
        ) > coalesce(k.ModifiedOn, '0001-01-01T00:00:00.0000000')
        ELSE (
            SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}
        ) >= coalesce(k.ModifiedOn, '0001-01-01T00:00:00.0000000')
    END, 0) OR EXISTS (
        SELECT 1 FROM BlobDeltaReportedDeletion AS t
        WHERE t.TableName = @TableName AND t.Scope = @Scope AND t.stream_id = k.stream_id AND t.IsDeletion AND t.DeletedOn >= coalesce((
            SELECT max({ModifiedOn}) FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey}
        ), '')
    )
FROM BlobDeltaShippedKey AS k
WHERE k.TableName = @TableName AND k.Scope = @Scope AND (@BusinessUnitId IS NOT NULL OR NOT k.IsWhole)
    AND NOT (k.IsWhole AND coalesce(k.ModifiedOn >= @WindowEnd, 0))
    AND NOT EXISTS (
        SELECT 1 FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey} AND {InScopeOrDeleted} AND (k.IsWhole OR {InScope})
    )
    AND CASE
        WHEN k.IsWhole THEN EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey})
        ELSE EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}k.stream_id{)ToKey})
    END
    AND NOT EXISTS (SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}k.stream_id{)ToKey});

-- name: left_stays
-- Rules 7 and 17: what left a scope stays at its receivers while one of its children does; one level a turn. What the
-- receivers of all units have is not kept, so that there any child counts that has not left. One that is excluded is handed to
-- nobody, and holds what lies above the rows below it. One that is deleted by DeletedWhen holds it only where it stays itself,
-- without its blob.
-- CROSS JOIN keeps SQLite to this order of tables: from the keys that left down to their children.
UPDATE "#Left" SET Stays = 1 WHERE NOT Stays AND stream_id IN (
    SELECT l.stream_id
    FROM "#Left" AS l
    CROSS JOIN {SourceTable} AS p ON p.{KeyColumn} = {ToKey(}l.stream_id{)ToKey}
    CROSS JOIN {SourceTable} AS c ON c.{ParentPathColumn} = p.{PathColumn}
    WHERE NOT l.Stays AND {ToId(}c.{KeyColumn}{)ToId} NOT IN (SELECT o.stream_id FROM "#Left" AS o WHERE NOT o.Stays)
        AND (@BusinessUnitId IS NULL OR EXISTS (
            SELECT 1 FROM BlobDeltaShippedKey AS k
            WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}c.{KeyColumn}{)ToId}
        ) OR {ToId(}c.{KeyColumn}{)ToId} IS @ExcludedStreamId OR EXISTS (
            SELECT 1 FROM BlobDeltaExcludedKey AS e WHERE e.TableName = @TableName AND e.stream_id = {ToId(}c.{KeyColumn}{)ToId}
        ))
        AND (
            NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = c.{KeyColumn} AND {InScopeOrDeleted} AND {IsDeleted})
            OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS b
                WHERE b.TableName = @TableName AND b.Scope = @Scope AND b.stream_id = {ToId(}c.{KeyColumn}{)ToId} AND NOT b.IsWhole
            )
        )
);

-- name: has_later_run
SELECT EXISTS (
    SELECT 1 FROM BlobDeltaRun AS own JOIN BlobDeltaRun AS r ON r.RunStartedAt >= own.RunStartedAt
        AND r.RunStartedAt < strftime('%Y-%m-%dT%H:%M:%f', own.RunStartedAt, '+1 day')
    WHERE own.RunId = ?1 AND r.RunId <> own.RunId)
