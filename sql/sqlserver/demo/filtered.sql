-- Rule 25: a table whose rows a security policy filters, for everybody.
USE BlobDeltaDemo;
CREATE TABLE dbo.Filtered (stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, region int NOT NULL);
EXEC (N'CREATE FUNCTION dbo.ufn_Region (@Region int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS IsSeen WHERE @Region = 1');
EXEC (N'CREATE SECURITY POLICY dbo.Regions ADD FILTER PREDICATE dbo.ufn_Region(region) ON dbo.Filtered WITH (STATE = OFF)');
GO
INSERT INTO dbo.Filtered (stream_id, ModifiedOn, region)
VALUES (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), 1), (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), 2);
GO
SELECT CASE WHEN COUNT(*) = 1 THEN CONCAT(COUNT(*), N' of 2 rows once it was accepted by name') END FROM BlobDeltaDemo_Copy.dbo.Filtered;
