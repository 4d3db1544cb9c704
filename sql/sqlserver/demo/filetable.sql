-- A FileTable, with full non-transacted access.
DECLARE @Folder nvarchar(400), @Sql nvarchar(max);
SELECT @Folder = LEFT(physical_name, LEN(physical_name) - CHARINDEX(N'\', REVERSE(REPLACE(physical_name, N'/', N'\'))) + 1)
FROM sys.master_files WHERE database_id = DB_ID(N'BlobDeltaDemo') AND file_id = 1;
CREATE DATABASE BlobDeltaDemo_Files;
ALTER DATABASE BlobDeltaDemo_Files ADD FILEGROUP Documents CONTAINS FILESTREAM;
SET @Sql = CONCAT(N'ALTER DATABASE BlobDeltaDemo_Files ADD FILE (NAME = N''Documents'', FILENAME = N''', REPLACE(@Folder, N'''', N''''''), N'BlobDeltaDemo_Documents'') TO FILEGROUP Documents');
EXEC (@Sql);
ALTER DATABASE BlobDeltaDemo_Files SET FILESTREAM (NON_TRANSACTED_ACCESS = FULL, DIRECTORY_NAME = N'BlobDeltaDemo');
GO
USE BlobDeltaDemo_Files;
CREATE TABLE dbo.Files AS FILETABLE WITH (FILETABLE_DIRECTORY = N'Files');
GO
INSERT INTO dbo.Files (name, is_directory) VALUES (N'folder', 1);
DECLARE @Path varchar(500), @Nr int = 1;
SELECT @Path = path_locator.ToString() FROM dbo.Files WHERE name = N'folder';
WHILE @Nr <= 3
BEGIN
    -- The way in which a FileTable numbers what is in a folder: three numbers, of 6, 6 and 4 bytes.
    INSERT INTO dbo.Files (name, file_stream, path_locator)
    SELECT CONCAT(N'file ', @Nr, N'.txt'), CONVERT(varbinary(max), REPLICATE(CONVERT(varchar(max), 'x'), @Nr * 100000)),
        hierarchyid::Parse(CONCAT(@Path, CONVERT(bigint, SUBSTRING(k.Bytes, 1, 6)), '.', CONVERT(bigint, SUBSTRING(k.Bytes, 7, 6)), '.',
            CONVERT(bigint, SUBSTRING(k.Bytes, 13, 4)), '/'))
    FROM (SELECT CONVERT(binary(16), NEWID()) AS Bytes) AS k;
    SET @Nr = @Nr + 1;
END;
GO
USE BlobDeltaDemo;
CREATE TABLE dbo.Files (AttachmentId uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL);
INSERT INTO dbo.Files (AttachmentId, ModifiedOn)
SELECT stream_id, DATEADD(minute, -10, SYSUTCDATETIME()) FROM BlobDeltaDemo_Files.dbo.Files WHERE is_directory = 0;
GO
SELECT CASE WHEN COUNT(*) = 4 THEN CONCAT(COUNT(*), N' rows equal, ', SUM(DATALENGTH(s.file_stream)), N' bytes') END
FROM BlobDeltaDemo_Files.dbo.Files AS s WITH (READCOMMITTEDLOCK) INNER JOIN BlobDeltaDemo_Copy.dbo.Files AS c ON c.stream_id = s.stream_id
WHERE s.path_locator = c.path_locator AND s.name = c.name AND COALESCE(s.file_stream, 0x) = COALESCE(c.file_stream, 0x);
