-- name: existing_version
SELECT {Modified}, {Started}, {Run}, {Scope}, {Id}, {IsPart}
FROM {Target} AS t{Beside} WHERE {Condition}

-- name: tombstone_read
-- The tombstones of a key: that of its deletion has no scope.
SELECT DeletedOn, RunStartedAt, RunId, nullif(Scope, '')
FROM {Schema}.BlobDeltaTombstone
WHERE TableName = ?1 AND stream_id = ?2;

-- name: other_read
-- What other chains than the row's have of a key.
SELECT ModifiedOn, RunStartedAt, RunId, Scope, IsPart
FROM {Schema}.BlobDeltaReplayOther
WHERE TableName = ?1 AND stream_id = ?2;

-- name: tombstone_write
INSERT INTO {Schema}.BlobDeltaTombstone (TableName, stream_id, Scope, Reason, DeletedOn, RunStartedAt, RunId)
VALUES (?1, ?2, coalesce(?3, ''), iif(?3 IS NULL, 'Deleted', 'LeftScope'), ?4, ?5, ?6)
ON CONFLICT (TableName, stream_id, Scope) DO UPDATE
SET DeletedOn = excluded.DeletedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId;

-- name: other_write
INSERT INTO {Schema}.BlobDeltaReplayOther (TableName, stream_id, Scope, ModifiedOn, RunStartedAt, RunId, IsPart)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
ON CONFLICT (TableName, stream_id, Scope) DO UPDATE
SET ModifiedOn = excluded.ModifiedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId,
    IsPart = excluded.IsPart;

-- name: row_write
INSERT INTO {Schema}.BlobDeltaReplayRow (TableName, stream_id, ModifiedOn, RunStartedAt, RunId)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (TableName, stream_id) DO UPDATE
SET ModifiedOn = excluded.ModifiedOn, RunStartedAt = excluded.RunStartedAt, RunId = excluded.RunId;

-- name: write_version
UPDATE {Target} SET {Modified} = ?2, {Started} = ?3, {Run} = ?4
WHERE {Key} = ?1
