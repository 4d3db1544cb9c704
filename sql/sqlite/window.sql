-- name: watermark
SELECT LastHighWaterModifiedOn, LastRunId FROM BlobDeltaHighWatermark WHERE TableName = ?1

-- name: unit_watermark
SELECT LastHighWaterModifiedOn, LastRunId FROM BlobDeltaBusinessUnitWatermark
WHERE TableName = ?1 AND BusinessUnitId = ?2

-- name: completed
SELECT WindowEnd, WindowGoal FROM BlobDeltaRunTable
WHERE RunId = ?1 AND TableName = ?2 AND Scope = ?3 AND Status = 'Completed'

-- name: first_stamp
SELECT min({ModifiedOn}) FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope};

-- name: stamp_behind
-- The first stamp that so many rows would be too many with.
SELECT {ModifiedOn} FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope} ORDER BY {ModifiedOn} LIMIT 1 OFFSET @MaxRows;

-- name: next_stamp
SELECT min({ModifiedOn}) FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope} AND {ModifiedOn} > @After;

-- name: rows_of_window
SELECT count(*) FROM {MetadataTable} AS m WHERE {InWindow} AND {InScope};
