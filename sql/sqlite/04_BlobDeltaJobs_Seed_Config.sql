-- An embedded instance begins without tables: `table add` configures them. What is done here is for tables
-- that were configured without the program: each has a watermark row.
INSERT OR IGNORE INTO BlobDeltaHighWatermark (TableName)
SELECT TableName FROM BlobDeltaTableConfig;
