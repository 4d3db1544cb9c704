-- A tree by hierarchyid, with the parent's path computed as a FileTable has it. The folders have an old stamp, so that those
-- that the second run brings are missing parents.
USE BlobDeltaDemo;
CREATE TABLE dbo.Tree (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, path_locator hierarchyid NOT NULL UNIQUE, parent_path_locator AS path_locator.GetAncestor(1) PERSISTED,
    ModifiedOn datetime2(7) NULL, name nvarchar(100) NOT NULL, file_stream varbinary(max) NULL
);
GO
INSERT INTO dbo.Tree (stream_id, path_locator, ModifiedOn, name, file_stream)
VALUES (NEWID(), hierarchyid::Parse('/1/'), NULL, N'folder', NULL),
    (NEWID(), hierarchyid::Parse('/1/1/'), NULL, N'folder in it', NULL),
    (NEWID(), hierarchyid::Parse('/1/1/1/'), DATEADD(minute, -10, SYSUTCDATETIME()), N'a', 0x0A),
    (NEWID(), hierarchyid::Parse('/1/1/2.5/'), DATEADD(minute, -10, SYSUTCDATETIME()), N'b', 0x0B),
    (NEWID(), hierarchyid::Parse('/2/'), DATEADD(minute, -10, SYSUTCDATETIME()), N'at the top', 0x0C);
CREATE INDEX IX_Tree_Parent ON dbo.Tree (parent_path_locator);
GO
SELECT CASE WHEN COUNT(*) = 5 THEN CONCAT(COUNT(*), N' rows equal, ', MAX(s.path_locator.GetLevel()), N' levels deep') END
FROM BlobDeltaDemo.dbo.Tree AS s INNER JOIN BlobDeltaDemo_Copy.dbo.Tree AS c ON c.stream_id = s.stream_id
WHERE s.path_locator = c.path_locator AND s.name = c.name AND COALESCE(s.file_stream, 0x) = COALESCE(c.file_stream, 0x);
