-- For each table with a completed run, the start of its oldest run that stays, and the longest buffer
-- that any of them had or the next one will have. What was logged before the one less the other is taken again by
-- no run that could be asked for (`--from` a time that is still known).
SELECT
    t.TableName,
    min(r.RunStartedAt),
    max(max(coalesce(t.BufferMinutes, 0)), coalesce((
        SELECT c.SafetyBufferMinutes FROM BlobDeltaTableConfig AS c WHERE c.TableName = t.TableName
    ), 0))
FROM BlobDeltaRunTable AS t
INNER JOIN BlobDeltaRun AS r ON r.RunId = t.RunId
WHERE NOT EXISTS (SELECT 1 FROM temp.PruneExpired AS d WHERE d.RunId = t.RunId)
GROUP BY t.TableName
HAVING sum(t.Status = 'Completed') > 0;
