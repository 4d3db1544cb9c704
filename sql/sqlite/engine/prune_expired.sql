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
