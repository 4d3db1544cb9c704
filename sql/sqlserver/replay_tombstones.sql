-- Rules 14 and 15: removes the rows that staged tombstones beat, says how many, and keeps the
-- tombstones that are later than those kept before. @P1 is the configured table.
DECLARE @removed bigint;
DELETE t
FROM [{Target}] AS t
INNER JOIN #BlobDeltaStage AS s ON t.[{Key}] = s.k
WHERE EXISTS (SELECT 1 FROM [{Standing}] AS v WHERE v.k = s.k AND (v.vm IS NULL OR s.vm >= v.vm));
SET @removed = @@ROWCOUNT;
DELETE m
FROM dbo.BlobDeltaReplayRow AS m
INNER JOIN #BlobDeltaStage AS s ON m.stream_id = s.k
WHERE m.TableName = @P1 AND NOT EXISTS (SELECT 1 FROM [{Target}] AS t WHERE t.[{Key}] = s.k);
UPDATE d
SET DeletedOn = s.vm, RunStartedAt = s.vs, RunId = s.vr
FROM dbo.BlobDeltaTombstone AS d
INNER JOIN #BlobDeltaStage AS s ON d.stream_id = s.k
WHERE d.TableName = @P1
  AND (
    s.vm > d.DeletedOn
    OR (s.vm IS NOT NULL AND d.DeletedOn IS NULL)
    OR (
        (s.vm = d.DeletedOn OR (s.vm IS NULL AND d.DeletedOn IS NULL))
        AND (
            s.vs > d.RunStartedAt
            OR (
                s.vs = d.RunStartedAt
                AND CONVERT(char(36), s.vr) > CONVERT(char(36), d.RunId) COLLATE Latin1_General_BIN2
            )
        )
    )
  );
INSERT INTO dbo.BlobDeltaTombstone (TableName, stream_id, DeletedOn, RunStartedAt, RunId)
SELECT @P1, s.k, s.vm, s.vs, s.vr
FROM #BlobDeltaStage AS s
WHERE NOT EXISTS (
    SELECT 1 FROM dbo.BlobDeltaTombstone AS d WHERE d.TableName = @P1 AND d.stream_id = s.k
);
SELECT @removed AS Removed;
