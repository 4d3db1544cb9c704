-- name: is_locked
-- Whether a table or view (@P1, @P2) is read under locks.
SELECT MAX(CASE WHEN o.type = 'V' THEN 1 ELSE CONVERT(int, t.is_filetable) END)
FROM [{Db}].sys.objects AS o
INNER JOIN [{Db}].sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN [{Db}].sys.tables AS t ON t.object_id = o.object_id
WHERE o.type IN ('U', 'V') AND s.name = @P1 AND o.name = @P2

-- name: find_table
SELECT CONVERT(nvarchar(128), s.name), CONVERT(nvarchar(128), o.name)
FROM [{Db}].sys.objects AS o INNER JOIN [{Db}].sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND s.name = @P1 AND o.name = @P2

-- name: configured_tables
-- The numbers of the source and slice tables in a database (@P1) that are configured.
SELECT OBJECT_ID(QUOTENAME(k.SourceDb) + N'.' + QUOTENAME(k.SourceSchema) + N'.' + QUOTENAME(k.SourceTable))
FROM dbo.BlobDeltaTableConfig AS k WHERE DB_ID(k.SourceDb) = DB_ID(@P1)
UNION
SELECT OBJECT_ID(QUOTENAME(k.TargetDb) + N'.' + QUOTENAME(k.TargetSchema) + N'.' + QUOTENAME(k.TargetTable))
FROM dbo.BlobDeltaTableConfig AS k WHERE DB_ID(k.TargetDb) = DB_ID(@P1)

-- name: columns
-- The columns of tables and views, in their order, and whose they are. [{Which}] is a condition on s and o.
SELECT
    CONVERT(nvarchar(128), c.name), ISNULL(y.name, N'unknown'), ISNULL(c.max_length, 0),
    ISNULL(c.precision, 0), ISNULL(c.scale, 0), c.is_nullable, c.is_computed, c.collation_name,
    CONVERT(nvarchar(128), s.name), CONVERT(nvarchar(128), o.name)
FROM [{Db}].sys.columns AS c
INNER JOIN [{Db}].sys.objects AS o ON o.object_id = c.object_id
INNER JOIN [{Db}].sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN [{Db}].sys.types AS y
    ON y.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
WHERE o.type IN ('U', 'V') AND [{Which}]
ORDER BY o.object_id, c.column_id
