-- name: source_trigger
-- For whoever administers the source: printed, and not sent. What it says to people stands behind its first line, for lines above
-- that are not in it.
USE [{Db}];
GO
-- Every row that is deleted from [{Table}], by whatever statement, is logged as deleted, and the next run ships that.
-- TRUNCATE TABLE, ALTER TABLE ... SWITCH and DISABLE TRIGGER take rows away without this trigger: after one of them,
-- blobdelta reconcile --log-deletions logs them. Nor is it a deletion if an UPDATE changes a key.
-- Whoever deletes rows needs INSERT on BlobDeltaJobs.dbo.BlobDeltaDeletionLog; without it the DELETE fails, and nothing is deleted.
-- A DELETE, INSERT or UPDATE with OUTPUT and without INTO is refused by SQL Server on a table that has a trigger.
CREATE TRIGGER [{Trigger}] ON [{Table}] AFTER DELETE AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO BlobDeltaJobs.dbo.BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, BusinessUnit)
    SELECT [{Name}], [{ToId(}]d.[{KeyColumn}][{)ToId}], [{Now}], [{BusinessUnit}]
    FROM deleted AS d
    WHERE d.[{KeyColumn}] IS NOT NULL;
END;
GO

-- name: unit_of_metadata
-- The unit of a row that was deleted, while its metadata is there.
(SELECT TOP (1) m.[{Unit}] FROM [{Metadata}] AS m WHERE m.[{MetadataIdColumn}] = d.[{KeyColumn}] ORDER BY [{Stamp}] DESC)

-- name: metadata_trigger
-- The same for whoever administers the metadata.
USE [{Db}];
GO
-- Every key of which the last row is deleted from [{Table}], by whatever statement, is logged as deleted, and the next
-- run ships that. This is right where the row of the source is deleted too.
-- TRUNCATE TABLE, ALTER TABLE ... SWITCH and DISABLE TRIGGER take rows away without this trigger: after one of them,
-- blobdelta reconcile --log-deletions logs what is gone from the source. Nor is it a deletion if an UPDATE changes a key.
-- Whoever deletes rows needs INSERT on BlobDeltaJobs.dbo.BlobDeltaDeletionLog; without it the DELETE fails, and nothing is deleted.
-- A DELETE, INSERT or UPDATE with OUTPUT and without INTO is refused by SQL Server on a table that has a trigger.
CREATE TRIGGER [{Trigger}] ON [{Table}] AFTER DELETE AS
BEGIN
    SET NOCOUNT ON;
    INSERT INTO BlobDeltaJobs.dbo.BlobDeltaDeletionLog (TableName, stream_id, DeletedOn, BusinessUnit)
    SELECT [{Name}], [{ToId(}]d.KeyValue[{)ToId}], [{Now}], d.BusinessUnit
    FROM (
        SELECT
            o.[{MetadataIdColumn}] AS KeyValue, [{BusinessUnit}] AS BusinessUnit,
            ROW_NUMBER() OVER (PARTITION BY o.[{MetadataIdColumn}] ORDER BY [{Stamp}] DESC) AS Newest
        FROM deleted AS o
    ) AS d
    WHERE d.Newest = 1 AND d.KeyValue IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM [{Full}] AS m WHERE m.[{MetadataIdColumn}] = d.KeyValue);
END;
GO

-- name: audit_insert
-- The same for whoever has deletions in a table of audit records.
USE BlobDeltaJobs;
GO
-- Logs the deletions that [{Audit}] has, the latest of each key. Let a job call it before every run: what is logged
-- already is not logged again.
INSERT INTO dbo.BlobDeltaDeletionLog (TableName, stream_id, DeletedOn)
SELECT [{Name}], r.stream_id, r.DeletedOn
FROM (
    SELECT [{ToId(}]a.[{Key}][{)ToId}] AS stream_id, MAX(CONVERT(datetime2(7), [{DeletedOn}])) AS DeletedOn
    FROM [{Audit}] AS a
    WHERE a.[{Key}] IS NOT NULL AND [{Condition}]
    GROUP BY a.[{Key}]
) AS r
WHERE r.DeletedOn IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaDeletionLog AS l
    WHERE l.TableName = [{Name}] AND l.stream_id = r.stream_id AND l.DeletedOn >= r.DeletedOn
);
GO

-- name: is_table
-- By the catalog: not every server asks OBJECT_ID for the type, too.
SELECT CASE WHEN EXISTS (
    SELECT 1 FROM [{Db}].sys.objects AS o INNER JOIN [{Db}].sys.schemas AS s ON s.schema_id = o.schema_id
    WHERE s.name = @P1 AND o.name = @P2 AND o.type = 'V'
) THEN 0 ELSE 1 END
