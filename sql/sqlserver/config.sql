-- name: add_watermark
INSERT INTO dbo.BlobDeltaHighWatermark (TableName)
SELECT @P1
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaHighWatermark WHERE TableName = @P1)
