-- The database that a name (@P1) leads to here, as the server calls it, and whether it is the server's own or the job
-- database; no row where there is none.
SELECT
    CONVERT(nvarchar(128), DB_NAME(DB_ID(@P1))),
    CASE WHEN DB_ID(@P1) <= 4 OR DB_ID(@P1) IN (DB_ID(N'BlobDeltaJobs'), DB_ID(N'distribution')) THEN 1 ELSE 0 END
WHERE DB_ID(@P1) IS NOT NULL;
