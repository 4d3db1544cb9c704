-- name: reported_and_handed_out
SELECT stream_id, DeletedOn FROM {Slice}.BlobDeltaDeletion
WHERE TableName = ?1 AND Reason = 'LeftScope'
    AND stream_id IN (SELECT stream_id FROM temp."#Left")

-- name: outrank_handed
UPDATE {Slice}.BlobDeltaDeletion SET DeletedOn = ?3
WHERE TableName = ?1 AND Reason = 'LeftScope' AND stream_id = ?2

-- name: reported_deletions
-- Rule 15: what this slice says was deleted, or left, was reported to its scope.
INSERT OR IGNORE INTO BlobDeltaReportedDeletion (TableName, Scope, stream_id, IsDeletion, DeletedOn, RunId)
SELECT @TableName, @Scope, d.stream_id, d.Reason = 'Deleted', d.DeletedOn, @RunId
FROM {SliceSchema}.BlobDeltaDeletion AS d
WHERE d.TableName = @TableName;

-- name: passed_deletions
-- Rules 7 and 15: deletions that this scope was told, and that an ancestor of this slice comes after: it stands.
UPDATE BlobDeltaReportedDeletion SET PassedByRunId = @RunId
WHERE TableName = @TableName AND Scope = @Scope AND IsDeletion AND PassedByRunId IS NULL
    AND stream_id IN (SELECT {ToId(}t.{KeyColumn}{)ToId} FROM {TargetTable} AS t WHERE t.DeltaStep = 2 AND t.DeltaModifiedOn IS NOT NULL)
    AND DeletedOn < (
        SELECT t.DeltaModifiedOn FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}BlobDeltaReportedDeletion.stream_id{)ToKey}
    );

-- name: left_back
-- Rule 17: a key that was logged as having left this scope, and whose row is in it or in this slice, has not.
DELETE FROM {SliceSchema}.BlobDeltaDeletion
WHERE TableName = @TableName AND Reason = 'LeftScope' AND (
    (
        EXISTS (
            SELECT 1 FROM {MetadataTable} AS m
            WHERE m.{MetadataIdColumn} = {ToKey(}{SliceSchema}.BlobDeltaDeletion.stream_id{)ToKey} AND {InScope}
        )
        AND EXISTS (
            SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = {ToKey(}{SliceSchema}.BlobDeltaDeletion.stream_id{)ToKey}
        )
    )
    OR EXISTS (
        SELECT 1 FROM {TargetTable} AS t WHERE t.{KeyColumn} = {ToKey(}{SliceSchema}.BlobDeltaDeletion.stream_id{)ToKey}
    )
);

-- name: shipped_ancestors
-- Rule 7: what the receivers of all units have of ancestors out of the scope. Of such a one that came into it all is noted
-- that is handed out: it may leave again.
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT @TableName, @Scope, {ToId(}t.{KeyColumn}{)ToId}, t.DeltaModifiedOn, 0
FROM {TargetTable} AS t
WHERE (
        t.DeltaStep = 2
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = t.{KeyColumn} AND {InScope})
    )
    OR EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = {ToId(}t.{KeyColumn}{)ToId}
    )
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET
    ModifiedOn = CASE
        WHEN excluded.ModifiedOn > coalesce(ModifiedOn, '') THEN excluded.ModifiedOn ELSE ModifiedOn
    END;

-- name: were_whole
-- Rule 17: of the ancestors of this slice, those that this scope's receivers have whole: they do again where it is given up.
UPDATE BlobDeltaMissingParentsQueue SET WasWhole = 1
WHERE RunId = @RunId AND TableName = @TableName AND EXISTS (
    SELECT 1 FROM BlobDeltaShippedKey AS k
    WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = BlobDeltaMissingParentsQueue.stream_id AND k.IsWhole
);

-- name: left_bare
-- Rule 17: of what left a business unit, and comes in this slice as an ancestor of another unit that wins there, its
-- receivers have the whole row no more.
UPDATE BlobDeltaShippedKey SET IsWhole = 0
WHERE TableName = @TableName AND Scope = @Scope AND IsWhole AND coalesce(ModifiedOn < @WindowEnd, 1)
    AND stream_id IN (
        SELECT {ToId(}t.{KeyColumn}{)ToId} FROM {TargetTable} AS t
        WHERE t.DeltaStep = 2 AND t.DeltaBusinessUnit IS NULL
            AND coalesce(t.DeltaModifiedOn, '') >= coalesce(BlobDeltaShippedKey.ModifiedOn, '')
    );

-- name: shipped_keys
-- Rule 17: what the slice of a business unit's run hands out. An ancestor out of the unit's scope came without
-- its blobs, and has no business unit.
INSERT INTO BlobDeltaShippedKey (TableName, Scope, stream_id, ModifiedOn, IsWhole)
SELECT
    @TableName, @Scope, {ToId(}t.{KeyColumn}{)ToId}, t.DeltaModifiedOn,
    t.DeltaStep <> 2 OR t.DeltaBusinessUnit IS NOT NULL
FROM {TargetTable} AS t
WHERE true
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET
    ModifiedOn = CASE
        WHEN excluded.ModifiedOn > coalesce(ModifiedOn, '') THEN excluded.ModifiedOn ELSE ModifiedOn
    END,
    IsWhole = max(IsWhole, excluded.IsWhole);

-- name: drop_outranked
DELETE FROM {Slice}.BlobDeltaDeletion WHERE TableName = ?1 AND EXISTS (
    SELECT 1 FROM temp."#Left" AS l
    WHERE l.stream_id = BlobDeltaDeletion.stream_id AND NOT l.Stays AND l.LeftOn > DeletedOn)

-- name: tell_left
INSERT OR IGNORE INTO {Slice}.BlobDeltaDeletion
    (TableName, stream_id, DeletedOn, BusinessUnit, LoggedAt, Reason)
SELECT ?1, stream_id, LeftOn, ?2, ?3, 'LeftScope' FROM temp."#Left" WHERE NOT Stays AND (IsWhole OR IsPassed)

-- name: drop_reported
DELETE FROM BlobDeltaShippedKey WHERE TableName = ?1 AND Scope = ?2 AND stream_id IN (
    SELECT stream_id FROM {Slice}.BlobDeltaDeletion WHERE TableName = ?1 AND Reason = 'LeftScope')
