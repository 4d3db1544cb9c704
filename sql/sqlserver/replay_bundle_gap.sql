-- Says of a bundle that was applied (@P2, of the target @P1) what is missing before it: @P3, or nothing any more
-- where that is empty.
UPDATE dbo.BlobDeltaReplayBundle
SET Gap = NULLIF(@P3, N'')
WHERE TableName = @P1 AND RootSha256 = CONVERT(char(64), @P2);
