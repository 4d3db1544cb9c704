-- name: drop_empty_table
IF NOT EXISTS (SELECT 1 FROM [{Target}])
    AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayLedger WHERE TableName = @P1)
    AND NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaReplayBundle WHERE TableName = @P1)
    DROP TABLE [{Target}];
