-- name: is_noted
SELECT EXISTS (SELECT * FROM {Schema}.BlobDeltaReplayLedger WHERE TableName = ?1)
    OR EXISTS (SELECT * FROM {Schema}.BlobDeltaReplayBundle WHERE TableName = ?1)
