-- name: inside
SELECT coalesce(max(name IN ('BlobDeltaTableConfig', 'BlobDeltaSource')), 0), coalesce(max(name = 'BlobDeltaSlice'), 0)
FROM {Schema}.sqlite_master WHERE type = 'table'
