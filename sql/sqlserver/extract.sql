-- name: window
-- The window of a table run, and how many keys of its queue have ended.
SELECT t.WindowStart, t.WindowEnd, (
    SELECT COUNT(*) FROM dbo.BlobDeltaWindowQueue AS q
    WHERE q.RunId = t.RunId AND q.TableName = t.TableName AND q.State IS NOT NULL),
    t.WindowGoal, t.OneStampRows
FROM dbo.BlobDeltaRunTable AS t
WHERE t.RunId = @P1 AND t.TableName = @P2
