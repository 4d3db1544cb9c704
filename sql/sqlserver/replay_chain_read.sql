SELECT WindowEnd
FROM dbo.BlobDeltaReplayChain
WHERE TableName = @P1 AND SourceId = @P2 AND Scope = @P3;
