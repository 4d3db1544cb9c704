-- Rule 12: units in scope now that no completed run over all units has seen.
SELECT u.{BusinessUnitIdColumn}
FROM {BusinessUnitTable} AS u
WHERE NOT EXISTS (
    SELECT 1 FROM BlobDeltaBusinessUnitWatermark AS k
    WHERE k.TableName = @TableName AND k.BusinessUnitId = u.{BusinessUnitIdColumn} AND k.IsKnownToAllRuns
)
ORDER BY u.{BusinessUnitIdColumn};
