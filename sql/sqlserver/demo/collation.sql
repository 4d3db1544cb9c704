-- A database of another collation and code page, with letters that the other code page lacks.
CREATE DATABASE BlobDeltaDemo_Other COLLATE Turkish_100_CS_AS;
GO
USE BlobDeltaDemo_Other;
CREATE TABLE dbo.Words (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, narrow varchar(50) NOT NULL, wide nvarchar(50) NOT NULL
);
INSERT INTO dbo.Words (stream_id, ModifiedOn, narrow, wide)
VALUES (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), N'ığdır', N'İstanbul'), (NEWID(), DATEADD(minute, -9, SYSUTCDATETIME()), 'I', N'i');
GO
SELECT CASE WHEN COUNT(*) = 2 THEN CONCAT(COUNT(*), N' rows equal, ', CONVERT(nvarchar(128), DATABASEPROPERTYEX(N'BlobDeltaDemo_Other', N'Collation')), N' beside ',
    CONVERT(nvarchar(128), SERVERPROPERTY(N'Collation'))) END
FROM BlobDeltaDemo_Other.dbo.Words AS s INNER JOIN BlobDeltaDemo_Copy.dbo.Words AS c ON c.stream_id = s.stream_id
WHERE CONVERT(nvarchar(50), s.narrow) COLLATE Latin1_General_100_BIN2 = CONVERT(nvarchar(50), c.narrow) COLLATE Latin1_General_100_BIN2
    AND s.wide COLLATE Latin1_General_100_BIN2 = c.wide COLLATE Latin1_General_100_BIN2
    AND CONVERT(nvarchar(50), s.narrow) COLLATE Latin1_General_100_BIN2 IN (N'ığdır', N'I');
