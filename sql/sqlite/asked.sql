-- name: drop_excluded_keys
DELETE FROM BlobDeltaWindowQueue
WHERE RunId = ?1 AND TableName = ?2 AND State IS NULL AND {IsExcluded}

-- name: is_excluded
-- A condition on a queue: the key is excluded for its table.
(stream_id IS ?3 OR stream_id IN (SELECT e.stream_id FROM BlobDeltaExcludedKey AS e WHERE e.TableName = ?2))

-- name: drop_excluded_parents
DELETE FROM BlobDeltaMissingParentsQueue
WHERE RunId = ?1 AND TableName = ?2 AND Processed = 0 AND {IsExcluded}

-- name: expand_pending
-- Rule 17: what everybody asked for is asked for by this run's scope, and by every scope that has a watermark.
INSERT INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt, WithoutMetadata)
SELECT p.TableName, s.Scope, p.stream_id, p.Reason, p.CreatedAt, p.WithoutMetadata
FROM BlobDeltaPendingKey AS p
CROSS JOIN (
    SELECT @Scope AS Scope
    UNION
    SELECT 'all' FROM BlobDeltaHighWatermark
    WHERE TableName = @TableName AND LastHighWaterModifiedOn IS NOT NULL
    UNION
    SELECT
        lower(
            substr(u.Hex, 1, 8) || '-' || substr(u.Hex, 9, 4) || '-' || substr(u.Hex, 13, 4) || '-'
            || substr(u.Hex, 17, 4) || '-' || substr(u.Hex, 21)
        )
    FROM (
        SELECT hex(BusinessUnitId) AS Hex FROM BlobDeltaBusinessUnitWatermark
        WHERE TableName = @TableName AND LastHighWaterModifiedOn IS NOT NULL
    ) AS u
) AS s
WHERE p.TableName = @TableName AND p.Scope = ''
ON CONFLICT (TableName, Scope, stream_id) DO UPDATE SET WithoutMetadata = max(WithoutMetadata, excluded.WithoutMetadata);

-- name: drop_expanded
DELETE FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = '' AND (
    EXISTS (SELECT 1 FROM BlobDeltaHighWatermark
        WHERE TableName = ?1 AND LastHighWaterModifiedOn IS NOT NULL)
    OR EXISTS (SELECT 1 FROM BlobDeltaBusinessUnitWatermark
        WHERE TableName = ?1 AND LastHighWaterModifiedOn IS NOT NULL))

-- name: back_again
-- Rule 17: what left this business unit, was told so or came as an ancestor, and is in it again: with its old stamp it lies in
-- no window.
INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
SELECT @TableName, @Scope, k.stream_id, 'it left its business unit, and is in it again', @Now
FROM BlobDeltaShippedKey AS k
WHERE k.TableName = @TableName AND k.Scope = @Scope AND NOT k.IsWhole
    AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}k.stream_id{)ToKey} AND {InScope})
UNION
SELECT @TableName, @Scope, d.stream_id, 'it left its business unit, and is in it again', @Now
FROM BlobDeltaReportedDeletion AS d
WHERE d.TableName = @TableName AND d.Scope = @Scope AND NOT d.IsDeletion
    AND NOT EXISTS (
        SELECT 1 FROM BlobDeltaShippedKey AS k
        WHERE k.TableName = @TableName AND k.Scope = @Scope AND k.stream_id = d.stream_id
    )
    AND EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}d.stream_id{)ToKey} AND {InScope});

-- name: asked_ancestors
-- Rules 5 and 7: ancestors out of scope of this slice that were asked for by name.
UPDATE BlobDeltaMissingParentsQueue SET IsPending = 1
WHERE RunId = @RunId AND TableName = @TableName AND stream_id IN (
    SELECT p.stream_id
    FROM BlobDeltaPendingKey AS p
    CROSS JOIN {TargetTable} AS t ON t.{KeyColumn} = {ToKey(}p.stream_id{)ToKey}
    WHERE p.TableName = @TableName AND p.Scope = @Scope AND t.DeltaStep = 2
        AND NOT EXISTS (SELECT 1 FROM {MetadataTable} AS m WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScope})
);

-- name: asked_deletions
-- Rule 5: keys that were asked for and that this slice tells to be deleted by DeletedWhen. They stand in this queue as settled.
INSERT INTO BlobDeltaMissingParentsQueue (RunId, TableName, stream_id, Processed, CreatedAt, IsPending)
SELECT @RunId, @TableName, p.stream_id, 1, @Now, 1
FROM BlobDeltaPendingKey AS p
CROSS JOIN {SliceSchema}.BlobDeltaDeletion AS d ON d.TableName = @TableName AND d.stream_id = p.stream_id
WHERE p.TableName = @TableName AND p.Scope = @Scope AND d.Reason = 'Deleted'
    AND EXISTS (
        SELECT 1 FROM {MetadataTable} AS m
        WHERE m.{MetadataIdColumn} = {ToKey(}p.stream_id{)ToKey} AND {InScopeOrDeleted} AND {IsDeleted}
    )
ON CONFLICT (RunId, TableName, stream_id) DO UPDATE SET IsPending = 1;

-- name: note_without_metadata
-- Keys of a queue that somebody asked for without metadata.
UPDATE {Queue} SET IsPending = 2 WHERE RunId = ?3 AND TableName = ?1 AND IsPending AND stream_id IN (
    SELECT stream_id FROM BlobDeltaPendingKey
    WHERE TableName = ?1 AND Scope = ?2 AND WithoutMetadata)

-- name: forget_taken
-- What was asked for by name comes whole: who asked may lack what an earlier bundle holds. The version stays: a row that loses
-- against it brings receivers nothing.
UPDATE BlobDeltaKnownContent SET Sha256 = NULL, RootSha256 = NULL WHERE TableName = ?1 AND Scope = ?2 AND stream_id IN (
    SELECT stream_id FROM BlobDeltaWindowQueue
    WHERE RunId = ?3 AND TableName = ?1 AND IsPending AND State = 'Copied'
    UNION ALL
    SELECT stream_id FROM BlobDeltaMissingParentsQueue
    WHERE RunId = ?3 AND TableName = ?1 AND IsPending)

-- name: drop_taken
-- Pending keys that this slice has.
DELETE FROM BlobDeltaPendingKey WHERE TableName = ?1 AND Scope = ?2 AND stream_id IN (
    SELECT stream_id FROM BlobDeltaWindowQueue
    WHERE RunId = ?3 AND TableName = ?1 AND IsPending AND State = 'Copied'
    UNION ALL
    SELECT stream_id FROM BlobDeltaMissingParentsQueue
    WHERE RunId = ?3 AND TableName = ?1 AND IsPending)
