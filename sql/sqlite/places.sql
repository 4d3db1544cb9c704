-- name: records
-- Rule 18: every place that rows of this source were told to go to, with the run that was told (its unit, or the
-- scope of the bundle), and those that somebody allowed by name.
SELECT OutFolder AS Place, RunId, BusinessUnitId, NULL AS Scope FROM BlobDeltaRun WHERE OutFolder IS NOT NULL
UNION ALL
SELECT ShipTo, RunId, BusinessUnitId, NULL FROM BlobDeltaRun WHERE ShipTo IS NOT NULL
UNION ALL
SELECT Folder, RunId, NULL, Scope FROM BlobDeltaBundle
UNION ALL
SELECT ShipTo, RunId, NULL, Scope FROM BlobDeltaBundle WHERE ShipTo IS NOT NULL
UNION ALL
SELECT Place, NULL, NULL, Scope FROM BlobDeltaSharedPlace;

-- name: waive_shipments
INSERT INTO BlobDeltaWaivedShipment (RunId, PackNumber, ShipTo, WaivedAt)
SELECT DISTINCT RunId, PackNumber, ShipTo, ?2 {Unshipped}
