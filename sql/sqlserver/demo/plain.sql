-- A table without a tree that is its own metadata.
USE BlobDeltaDemo;
CREATE TABLE dbo.Plain (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, name nvarchar(100) NOT NULL, file_stream varbinary(max) NULL
);
GO
INSERT INTO dbo.Plain (stream_id, ModifiedOn, name, file_stream)
VALUES (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), N'one', 0x01), (NEWID(), DATEADD(minute, -9, SYSUTCDATETIME()), N'zwei', 0x0202),
    (NEWID(), DATEADD(minute, -8, SYSUTCDATETIME()), N'trois', NULL);
CREATE INDEX IX_Plain_ModifiedOn ON dbo.Plain (ModifiedOn, stream_id);
GO
SELECT CASE WHEN COUNT(*) = 3 THEN CONCAT(COUNT(*), N' rows equal') END
FROM BlobDeltaDemo.dbo.Plain AS s INNER JOIN BlobDeltaDemo_Copy.dbo.Plain AS c ON c.stream_id = s.stream_id
WHERE s.name = c.name AND s.ModifiedOn = c.ModifiedOn AND COALESCE(s.file_stream, 0x) = COALESCE(c.file_stream, 0x);
