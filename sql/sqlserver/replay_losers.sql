-- Rule 14: drops the staged rows that lose against what the target has, @P1 being the configured
-- table. What stays in #BlobDeltaStage is written. A row without a run, which came by another
-- way, is older than any that has one. RunIds are compared as text: the order of their type is
-- another one.
DELETE s
FROM #BlobDeltaStage AS s
WHERE EXISTS (
    SELECT 1
    FROM [{Standing}] AS t
    WHERE t.k = s.k
      AND (
        t.vm > s.vm
        OR (t.vm IS NOT NULL AND s.vm IS NULL)
        OR (
            (t.vm = s.vm OR (t.vm IS NULL AND s.vm IS NULL))
            AND (
                ISNULL(t.vs, '0001-01-01') > s.vs
                OR (
                    ISNULL(t.vs, '0001-01-01') = s.vs
                    AND ISNULL(CONVERT(char(36), t.vr), '00000000-0000-0000-0000-000000000000')
                        >= CONVERT(char(36), s.vr) COLLATE Latin1_General_BIN2
                )
            )
        )
      )
)
-- A tombstone wins a tie, whatever the runs.
OR EXISTS (
    SELECT 1
    FROM dbo.BlobDeltaTombstone AS d
    WHERE d.TableName = @P1 AND d.stream_id = s.k AND (s.vm IS NULL OR d.DeletedOn >= s.vm)
);
