-- The tables of a receiver who has the slice and nothing else.
CREATE DATABASE BlobDeltaDemo_Applied;
GO
USE BlobDeltaDemo_Applied;
CREATE TABLE dbo.Plain (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, name nvarchar(100) NOT NULL, file_stream varbinary(max) NULL,
    DeltaModifiedOn datetime2(7) NULL, DeltaRunStartedAt datetime2(7) NULL, DeltaRunId uniqueidentifier NULL
);
GO
SELECT CASE WHEN COUNT(*) = 3 THEN CONCAT(COUNT(*), N' rows equal') END
FROM BlobDeltaDemo.dbo.Plain AS s INNER JOIN BlobDeltaDemo_Applied.dbo.Plain AS a ON a.stream_id = s.stream_id
WHERE s.name = a.name AND COALESCE(s.file_stream, 0x) = COALESCE(a.file_stream, 0x);
