-- name: is_at_work
SELECT EXISTS (SELECT 1 FROM BlobDeltaHighWatermark
    WHERE TableName = ?1 AND IsRunning AND RunLeaseExpiresAt > ?2)
