-- Forgets all that stands of a table (@P1, as [schema].[table]) that was dropped, before it is made anew.
DELETE FROM dbo.BlobDeltaReplayLedger WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaTombstone WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayRun WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayOther WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayBundle WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayRow WHERE TableName = @P1;
DELETE FROM dbo.BlobDeltaReplayDisplaced WHERE TableName = @P1;
