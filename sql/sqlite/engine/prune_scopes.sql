-- The scopes that a table has completed runs of, into temp.PruneScope, each with the newest of them, whose slice may
-- yet be given up.
INSERT INTO temp.PruneScope (TableName, Scope, BusinessUnitId, RunId)
SELECT n.TableName, n.Scope, n.BusinessUnitId, n.RunId
FROM (
    SELECT
        t.TableName, t.Scope, r.BusinessUnitId, t.RunId,
        row_number() OVER (PARTITION BY t.TableName, t.Scope ORDER BY r.RunStartedAt DESC, t.RunId DESC) AS Nr
    FROM BlobDeltaRunTable AS t
    INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
    WHERE t.Status = 'Completed'
) AS n
WHERE n.Nr = 1;
