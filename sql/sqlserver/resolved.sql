-- name: database
-- The database that a name (@P1) leads to here, as the server calls it, and whether it is the server's own or the job
-- database; no row where there is none.
SELECT
    CONVERT(nvarchar(128), DB_NAME(DB_ID(@P1))),
    CASE WHEN DB_ID(@P1) <= 4 OR DB_ID(@P1) IN (DB_ID(N'BlobDeltaJobs'), DB_ID(N'distribution')) THEN 1 ELSE 0 END
WHERE DB_ID(@P1) IS NOT NULL;

-- name: table
-- Whether a database is one of ours, and what stands there under a schema (@P1) and a name (@P2), as the catalog spells it.
SELECT d.IsJobs, d.IsSlices, f.SchemaName, f.ObjectName, f.Kind
FROM (
    SELECT
        COUNT(CASE WHEN t.name IN (N'BlobDeltaTableConfig', N'BlobDeltaSource') THEN 1 END) AS IsJobs,
        COUNT(CASE WHEN t.name = N'BlobDeltaSlice' THEN 1 END) AS IsSlices
    FROM [{Db}].sys.tables AS t
) AS d
LEFT JOIN (
    SELECT
        CONVERT(nvarchar(128), s.name) AS SchemaName, CONVERT(nvarchar(128), o.name) AS ObjectName,
        RTRIM(CONVERT(nvarchar(2), o.type)) AS Kind
    FROM [{Db}].sys.objects AS o
    INNER JOIN [{Db}].sys.schemas AS s ON s.schema_id = o.schema_id
    WHERE s.name = @P1 AND o.name = @P2
) AS f ON 1 = 1;
