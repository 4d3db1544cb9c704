-- name: is_deployed
SELECT count(*) = 2 FROM sqlite_master
WHERE name IN ('BlobDeltaSource', 'BlobDeltaTableConfig')
