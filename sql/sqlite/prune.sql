-- name: temporary
CREATE TEMP TABLE IF NOT EXISTS PruneExpired (RunId BLOB NOT NULL PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS PruneMarker (RunId BLOB NOT NULL PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS PruneScope (
    TableName TEXT COLLATE NOCASE NOT NULL, Scope TEXT NOT NULL, BusinessUnitId BLOB NULL, RunId BLOB NOT NULL);

-- name: prune_reported
-- Which entries of BlobDeltaDeletionLog may go, of the table ?2: they were logged before ?3, and every scope that has to be
-- told of them was, by a run before its newest.
TableName = ?2 AND LoggedAt < ?3 AND NOT EXISTS (
    SELECT 1 FROM temp.PruneScope AS s
    WHERE s.TableName = ?2
        AND CASE Reason
            WHEN 'LeftScope' THEN s.BusinessUnitId IS BusinessUnit
            ELSE s.BusinessUnitId IS NULL OR EXISTS (
                SELECT 1 FROM BlobDeltaShippedKey AS k
                WHERE k.TableName = ?2 AND k.Scope = s.Scope
                    AND k.stream_id = BlobDeltaDeletionLog.stream_id
            )
        END
        AND NOT EXISTS (
            SELECT 1 FROM BlobDeltaReportedDeletion AS t
            WHERE t.TableName = ?2 AND t.Scope = s.Scope AND t.stream_id = BlobDeltaDeletionLog.stream_id
                AND t.IsDeletion = (Reason = 'Deleted') AND t.DeletedOn >= BlobDeltaDeletionLog.DeletedOn
                AND t.RunId <> s.RunId
        )
)

-- name: prune_expired
-- The oldest runs that may go, at most @Limit of them (-1: all), into temp.PruneExpired. @KeepRuns: how many of the newest runs
-- of each table stay (NULL: none for their number); runs that started at @KeepSince or later stay
-- (NULL: none for their age). Whatever these say, a run stays whole that
--   * is the newest of a table and scope, or the newest that completed: windows, deletions and
--     held-back keys of the next run are computed from it, and it is the one to resume;
--   * is the newest of all: the clock is held against it;
--   * a slice's marker row names (temp.PruneMarker): it can be resumed, has to be packed, or can be
--     packed again; and before one that is not packed, the one that is the newest again where its slice
--     is given up;
--   * a watermark or a lease names;
--   * runs: it may be between two leases. One that says so for 30 days has died;
--   * has the last bundle of a chain, to which the next one links, or one that has yet to be shipped.
INSERT INTO temp.PruneExpired (RunId)
WITH
Part (RunId, TableName, IsCompleted, RunStartedAt, OfTable, OfScope, OfOutcome) AS (
    SELECT
        t.RunId, t.TableName, t.Status = 'Completed', r.RunStartedAt,
        row_number() OVER (PARTITION BY t.TableName ORDER BY r.RunStartedAt DESC, t.RunId DESC),
        row_number() OVER (PARTITION BY t.TableName, t.Scope ORDER BY r.RunStartedAt DESC, t.RunId DESC),
        row_number() OVER (
            PARTITION BY t.TableName, t.Scope, t.Status = 'Completed' ORDER BY r.RunStartedAt DESC, t.RunId DESC
        )
    FROM BlobDeltaRunTable AS t
    INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
),
Kept (RunId) AS (
    SELECT RunId FROM Part WHERE OfTable <= @KeepRuns OR OfScope = 1 OR (IsCompleted AND OfOutcome = 1)
    UNION
    SELECT RunId FROM BlobDeltaRun WHERE RunStartedAt >= @KeepSince
    UNION
    SELECT RunId FROM BlobDeltaRun WHERE RunStartedAt = (SELECT max(RunStartedAt) FROM BlobDeltaRun)
    UNION
    SELECT RunId FROM temp.PruneMarker
    UNION
    SELECT PreviousRunId FROM BlobDeltaRunTable
    WHERE RunId IN (SELECT RunId FROM temp.PruneMarker) AND PackNumber IS NULL AND PreviousRunId IS NOT NULL
    UNION
    SELECT LastRunId FROM BlobDeltaHighWatermark WHERE LastRunId IS NOT NULL
    UNION
    SELECT LeaseRunId FROM BlobDeltaHighWatermark WHERE IsRunning AND LeaseRunId IS NOT NULL
    UNION
    SELECT LastRunId FROM BlobDeltaBusinessUnitWatermark WHERE LastRunId IS NOT NULL
    UNION
    SELECT RunId FROM BlobDeltaRun WHERE Status = 'Running' AND RunStartedAt >= @RunningSince
    UNION
    SELECT RunId FROM BlobDeltaBundle
    WHERE BundleId IN (SELECT max(BundleId) FROM BlobDeltaBundle GROUP BY TableName, Scope)
        OR (ShipTo IS NOT NULL AND ShippedAt IS NULL)
)
SELECT r.RunId
FROM BlobDeltaRun AS r
WHERE NOT EXISTS (SELECT 1 FROM Kept AS k WHERE k.RunId = r.RunId)
ORDER BY r.RunStartedAt, r.RunId
LIMIT @Limit;

-- name: prune_scopes
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

-- name: prune_deletions
-- For each table with a completed run, the start of its oldest run that stays, and the longest buffer
-- that any of them had or the next one will have. What was logged before the one less the other is taken again by
-- no run that could be asked for (`--from` a time that is still known).
SELECT
    t.TableName,
    min(r.RunStartedAt),
    max(max(coalesce(t.BufferMinutes, 0)), coalesce((
        SELECT c.SafetyBufferMinutes FROM BlobDeltaTableConfig AS c WHERE c.TableName = t.TableName
    ), 0))
FROM BlobDeltaRunTable AS t
INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE NOT EXISTS (SELECT 1 FROM temp.PruneExpired AS d WHERE d.RunId = t.RunId)
GROUP BY t.TableName
HAVING sum(t.Status = 'Completed') > 0;
