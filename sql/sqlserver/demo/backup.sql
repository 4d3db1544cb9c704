-- A backup of the slices, beside their own files.
DECLARE @File nvarchar(400);
SELECT @File = LEFT(physical_name, LEN(physical_name) - CHARINDEX(N'\', REVERSE(REPLACE(physical_name, N'/', N'\'))) + 1) + N'BlobDeltaDemo.bak'
FROM sys.master_files WHERE database_id = DB_ID(N'BlobDeltaDemo_Delta') AND file_id = 1;
BACKUP DATABASE BlobDeltaDemo_Delta TO DISK = @File WITH COPY_ONLY, FORMAT;
GO
SELECT LEFT(physical_name, LEN(physical_name) - CHARINDEX(N'\', REVERSE(REPLACE(physical_name, N'/', N'\'))) + 1) + N'BlobDeltaDemo.bak'
FROM sys.master_files WHERE database_id = DB_ID(N'BlobDeltaDemo_Delta') AND file_id = 1;
