-- Rule 25: a column that is masked for a login without UNMASK.
USE BlobDeltaDemo;
CREATE TABLE dbo.Masked (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, secret nvarchar(50) MASKED WITH (FUNCTION = 'default()') NOT NULL
);
GO
INSERT INTO dbo.Masked (stream_id, ModifiedOn, secret) VALUES (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), N'as it is');
GO
SELECT CASE WHEN COUNT(*) = 1 THEN N'carried for a login that may see it' END FROM BlobDeltaDemo_Copy.dbo.Masked WHERE secret = N'as it is';
