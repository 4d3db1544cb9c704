-- Binaries in sql_variant, which travel as text.
IF CONVERT(varchar(10), 0x0102, 1) <> '0x0102' THROW 50404, N'CONVERT knows no style 1 between binary and text', 1;
GO
USE BlobDeltaDemo;
CREATE TABLE dbo.VariantBinary (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, anything sql_variant NULL
);
INSERT INTO dbo.VariantBinary (stream_id, ModifiedOn, anything)
VALUES (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), CONVERT(sql_variant, CONVERT(varbinary(8), 0x0102FF))),
    (NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), CONVERT(sql_variant, CONVERT(binary(4), 0x0A0B)));
GO
SELECT CASE WHEN COUNT(*) = 2 THEN CONCAT(COUNT(*), N' values equal, with their types') END
FROM BlobDeltaDemo.dbo.VariantBinary AS s INNER JOIN BlobDeltaDemo_Copy.dbo.VariantBinary AS c ON c.stream_id = s.stream_id
WHERE s.anything = c.anything
    AND CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(s.anything, 'BaseType')) = CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(c.anything, 'BaseType'));
