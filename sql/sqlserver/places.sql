-- name: records
-- Rule 18: every place that rows of this source were told to go to, with the run that was told (its unit, or the
-- scope of the bundle), and those that somebody allowed by name.
SELECT OutFolder AS Place, RunId, BusinessUnitId, CAST(NULL AS nvarchar(36)) AS Scope FROM dbo.BlobDeltaRun WHERE OutFolder IS NOT NULL
UNION ALL
SELECT ShipTo, RunId, BusinessUnitId, NULL FROM dbo.BlobDeltaRun WHERE ShipTo IS NOT NULL
UNION ALL
SELECT Folder, RunId, NULL, Scope FROM dbo.BlobDeltaBundle
UNION ALL
SELECT ShipTo, RunId, NULL, Scope FROM dbo.BlobDeltaBundle WHERE ShipTo IS NOT NULL
UNION ALL
SELECT Place, NULL, NULL, Scope FROM dbo.BlobDeltaSharedPlace

-- name: share
INSERT INTO dbo.BlobDeltaSharedPlace (Place, Scope)
SELECT @P1, @P2
WHERE NOT EXISTS (SELECT 1 FROM dbo.BlobDeltaSharedPlace WHERE Place = @P1 AND Scope = @P2)

-- name: unshipped
SELECT DISTINCT ShipTo
FROM dbo.BlobDeltaBundle
WHERE ShipTo IS NOT NULL AND ShippedAt IS NULL AND RunId = @P1
ORDER BY ShipTo
