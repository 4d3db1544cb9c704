-- sql_variant: base types with their properties, texts too.
USE BlobDeltaDemo;
CREATE TABLE dbo.Variant (
    stream_id uniqueidentifier NOT NULL PRIMARY KEY, ModifiedOn datetime2(7) NOT NULL, anything sql_variant NULL
);
GO
INSERT INTO dbo.Variant (stream_id, ModifiedOn, anything)
SELECT NEWID(), DATEADD(minute, -10, SYSUTCDATETIME()), v.anything
FROM (
    SELECT CONVERT(sql_variant, CONVERT(bigint, 9007199254740993)) AS anything
    UNION ALL SELECT CONVERT(sql_variant, CONVERT(bit, 1))
    UNION ALL SELECT CONVERT(sql_variant, CONVERT(decimal(19, 4), 12345.6789))
    UNION ALL SELECT CONVERT(sql_variant, CONVERT(float, 0.1))
    UNION ALL SELECT CONVERT(sql_variant, CONVERT(date, '2026-02-28'))
    UNION ALL SELECT CONVERT(sql_variant, CONVERT(datetime2(3), '2026-02-28T12:34:56.789'))
    UNION ALL SELECT CONVERT(sql_variant, CONVERT(uniqueidentifier, '6F9619FF-8B86-D011-B42D-00C04FC964FF'))
    UNION ALL SELECT CONVERT(sql_variant, N'wide')
    UNION ALL SELECT CONVERT(sql_variant, 'narrow')
    UNION ALL SELECT NULL
) AS v;
GO
SELECT CASE WHEN COUNT(*) = (SELECT COUNT(*) FROM BlobDeltaDemo.dbo.Variant) THEN CONCAT(COUNT(*), N' values equal, with their types') END
FROM BlobDeltaDemo.dbo.Variant AS s INNER JOIN BlobDeltaDemo_Copy.dbo.Variant AS c ON c.stream_id = s.stream_id
WHERE (s.anything IS NULL AND c.anything IS NULL) OR (
    s.anything = c.anything
    AND CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(s.anything, 'BaseType')) = CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY(c.anything, 'BaseType'))
    AND CONVERT(int, SQL_VARIANT_PROPERTY(s.anything, 'Precision')) = CONVERT(int, SQL_VARIANT_PROPERTY(c.anything, 'Precision'))
    AND CONVERT(int, SQL_VARIANT_PROPERTY(s.anything, 'Scale')) = CONVERT(int, SQL_VARIANT_PROPERTY(c.anything, 'Scale'))
);
