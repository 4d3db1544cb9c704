-- Readers that wait for no writer, in the databases of the sources.
ALTER DATABASE BlobDeltaDemo SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE;
GO
IF DB_ID(N'BlobDeltaDemo_Files') IS NOT NULL ALTER DATABASE BlobDeltaDemo_Files SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE;
GO
SELECT CASE WHEN COUNT(*) = 0 THEN N'on' END
FROM sys.databases WHERE name IN (N'BlobDeltaDemo', N'BlobDeltaDemo_Files') AND is_read_committed_snapshot_on = 0;
