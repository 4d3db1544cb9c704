-- name: in_units
(EXISTS (SELECT 1 FROM {Units} AS u WHERE u.{Id} = {Unit}) AND (@BusinessUnitId IS NULL OR {Unit} = @BusinessUnitId))

-- name: is_deleted
-- Whether the key of a row of the metadata AS m is deleted by DeletedWhen: as the row of this key, in scope, has it whose
-- stamp counts. Of several with this stamp one that is deleted counts, as a tombstone wins a tie.
(coalesce((
    SELECT CASE WHEN {Condition} THEN 1 ELSE 0 END AS IsDeleted FROM {MetadataTable} AS w
    WHERE w.{Id} = m.{Id} AND {InUnits} AND {Filter} ORDER BY {Stamp} DESC, IsDeleted DESC LIMIT 1
), 0) = 1)

-- name: of_metadata
-- A column of the metadata that comes along with the row s, of the metadata row whose stamp counts: in scope, and of the unit
-- that the row is said to be of. Of several with this stamp the greatest counts, in the order of the columns.
(SELECT m.{Column} FROM {MetadataTable} AS m
    WHERE m.{Id} = s.{Key} AND {InScope}{OfUnit} ORDER BY {Stamp} DESC{Then} LIMIT 1)

-- name: step_script
SELECT ScriptName || ' (step ' || StepNumber || coalesce(', of ' || TableName || ' alone', '') || ')',
    ScriptText
FROM BlobDeltaStepScript
WHERE StepNumber = ?1 AND (TableName = ?2 OR TableName IS NULL)
ORDER BY TableName IS NULL LIMIT 1

-- name: queue_script
SELECT QueueName || ' (queue' || coalesce(', of ' || TableName || ' alone', '') || ')', ScriptText
FROM BlobDeltaQueuePopulationScript
WHERE QueueName = ?1 AND (TableName = ?2 OR TableName IS NULL)
ORDER BY TableName IS NULL LIMIT 1

-- name: batch_tables
CREATE TEMP TABLE IF NOT EXISTS "#Batch" (
    Seq INTEGER PRIMARY KEY, stream_id BLOB NOT NULL, WasHeldBack INTEGER NOT NULL DEFAULT 0,
    WithoutMetadata INTEGER NOT NULL DEFAULT 0, Depth INTEGER NOT NULL DEFAULT 0, ParentKey BLOB, State TEXT,
    Place, ParentPath
);
CREATE TEMP TABLE IF NOT EXISTS "#Left" (
    stream_id BLOB NOT NULL PRIMARY KEY, IsWhole INTEGER NOT NULL, LeftOn TEXT NOT NULL,
    Stays INTEGER NOT NULL DEFAULT 0, IsPassed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS "#Parents" (
    ParentPath BLOB NOT NULL PRIMARY KEY, ParentKey BLOB, Depth INTEGER NOT NULL
) WITHOUT ROWID;
