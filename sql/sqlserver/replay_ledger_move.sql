-- Moves the ledger of one part from @P6 rows to @P4, and says whether it did; changes nothing if
-- it stands elsewhere.
DECLARE @moved int;
UPDATE dbo.BlobDeltaReplayLedger
SET [Rows] = @P4, Complete = @P5, AppliedAt = @P7
WHERE RootSha256 = CONVERT(char(64), @P1) AND TableName = @P2 AND Part = @P3 AND Complete = 0 AND [Rows] = @P6;
SET @moved = @@ROWCOUNT;
INSERT INTO dbo.BlobDeltaReplayLedger (RootSha256, TableName, Part, [Rows], Complete, AppliedAt)
SELECT CONVERT(char(64), @P1), @P2, @P3, @P4, @P5, @P7
WHERE @P6 = 0
  AND NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaReplayLedger AS l
    WHERE l.RootSha256 = CONVERT(char(64), @P1) AND l.TableName = @P2 AND l.Part = @P3
  );
SET @moved = @moved + @@ROWCOUNT;
SELECT @moved AS Moved;
