-- name: in_units
(EXISTS (SELECT 1 FROM {Units} AS u WHERE u.{Id} = m.{Unit}) AND (@BusinessUnitId IS NULL OR m.{Unit} = @BusinessUnitId))

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
