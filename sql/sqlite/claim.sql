-- name: put_into_batch
INSERT INTO temp."#Batch" (stream_id, Seq, WasHeldBack, WithoutMetadata, Place, ParentPath)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- name: mark_parents
UPDATE BlobDeltaMissingParentsQueue SET Processed = 1
WHERE RunId = ?1 AND TableName = ?2 AND stream_id IN (SELECT stream_id FROM temp."#Batch")

-- name: mark_rest_copied
UPDATE BlobDeltaWindowQueue SET State = 'Copied'
WHERE RunId = ?1 AND TableName = ?2 AND Step = ?3 AND Seq > ?4 AND Seq <= ?5 AND State IS NULL

-- name: mark_exceptions
-- By number, and not as a join, which SQLite would begin at the whole queue.
UPDATE BlobDeltaWindowQueue AS q SET State = (
    SELECT CASE b.State WHEN 'Absent' THEN 'Gone' ELSE b.State END
    FROM temp."#Batch" AS b WHERE b.Seq = q.Seq)
WHERE RunId = ?1 AND TableName = ?2 AND Step = ?3
    AND Seq IN (SELECT Seq FROM temp."#Batch" WHERE State NOT IN ('Moved', 'Copied'))

-- name: move_to_children
UPDATE BlobDeltaWindowQueue SET Step = 3 WHERE RunId = ?1 AND TableName = ?2 AND Step = 1
    AND Seq IN (SELECT Seq FROM temp."#Batch" WHERE State = 'Moved')

-- name: note_held_back
INSERT OR IGNORE INTO BlobDeltaHeldBackKey (RunId, TableName, stream_id)
SELECT ?1, ?2, stream_id FROM temp."#Batch" WHERE State = 'HeldBack'

-- name: note_absent
INSERT OR IGNORE INTO BlobDeltaPendingKey (TableName, Scope, stream_id, Reason, CreatedAt)
SELECT ?1, ?5, b.stream_id, 'The metadata has this key, the source does not', ?2 FROM temp."#Batch" AS b
WHERE b.State = 'Absent' AND NOT EXISTS (
    -- A deletion after the stamp explains why the row is not there; to have left a scope does not.
    SELECT 1 FROM BlobDeltaDeletionLog AS d INNER JOIN BlobDeltaWindowQueue AS q
        ON q.RunId = ?3 AND q.TableName = ?1 AND q.Step = ?4 AND q.Seq = b.Seq
    WHERE d.TableName = ?1 AND d.stream_id = b.stream_id AND d.Reason = 'Deleted'
        AND d.DeletedOn >= coalesce(q.ModifiedOn, d.DeletedOn))
