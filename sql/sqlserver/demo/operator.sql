-- The engine alone, as SQL Server Agent calls it.
UPDATE BlobDeltaDemo.dbo.Plain SET ModifiedOn = DATEADD(second, -1, SYSUTCDATETIME());
GO
USE BlobDeltaJobs;
EXEC dbo.usp_BlobDelta_RunOperator @Mode = N'SingleTable', @TableName = N'BlobDeltaDemo.dbo.Plain', @BatchSize = 2, @MaxDOP = 1, @BusinessUnitId = NULL;
GO
SELECT CASE WHEN COUNT(*) = 3 THEN CONCAT(COUNT(*), N' rows in the slice') END
FROM BlobDeltaDemo.dbo.Plain AS s INNER JOIN BlobDeltaDemo_Delta.dbo.Plain AS d ON d.stream_id = s.stream_id AND d.DeltaModifiedOn = s.ModifiedOn
WHERE EXISTS (
    SELECT 1 FROM BlobDeltaDemo_Delta.dbo.BlobDeltaSlice AS m WHERE m.TableName = N'BlobDeltaDemo.dbo.Plain' AND m.State = N'Complete'
);
