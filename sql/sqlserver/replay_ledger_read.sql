-- What was applied of one bundle (@P1) to one table (@P2).
SELECT Part, [Rows], Complete, AppliedAt
FROM dbo.BlobDeltaReplayLedger
WHERE RootSha256 = CONVERT(char(64), @P1) AND TableName = @P2
ORDER BY Part;
