-- The backup of the slices, restored under another name.
DECLARE @Folder nvarchar(400), @Sql nvarchar(max);
SELECT @Folder = REPLACE(LEFT(physical_name, LEN(physical_name) - CHARINDEX(N'\', REVERSE(REPLACE(physical_name, N'/', N'\'))) + 1), N'''', N'''''')
FROM sys.master_files WHERE database_id = DB_ID(N'BlobDeltaDemo_Delta') AND file_id = 1;
SET @Sql = CONCAT(N'RESTORE DATABASE BlobDeltaDemo_Restored FROM DISK = N''', @Folder, N'BlobDeltaDemo.bak'' WITH
    MOVE N''BlobDeltaDemo_Delta'' TO N''', @Folder, N'BlobDeltaDemo_Restored.mdf'', MOVE N''BlobDeltaDemo_Delta_log'' TO N''', @Folder, N'BlobDeltaDemo_Restored.ldf''');
EXEC (@Sql);
GO
SELECT CONCAT(COUNT(*), N' slices restored') FROM BlobDeltaDemo_Restored.dbo.BlobDeltaSlice WHERE State IN (N'Complete', N'Packed');
