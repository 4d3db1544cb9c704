-- What was applied of one bundle to one table.
SELECT Part, Rows, Complete, AppliedAt
FROM {Schema}.BlobDeltaReplayLedger
WHERE RootSha256 = ?1 AND TableName = ?2
ORDER BY Part;
