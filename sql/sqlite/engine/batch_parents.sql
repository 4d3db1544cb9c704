-- The ancestors of a batch, counted: one row a distinct parent path. Depth is the number of
-- ancestors that the source has, ParentKey the key of the nearest. UNION, not UNION ALL: paths
-- that are not unique, or a cycle, must not multiply; 512 levels are the caller's to refuse.
-- CROSS JOIN keeps SQLite to this order of tables.
INSERT INTO "#Parents" (ParentPath, ParentKey, Depth)
WITH RECURSIVE Up (Start, Path, Found) AS (
    SELECT DISTINCT b.ParentPath, b.ParentPath, 0
    FROM "#Batch" AS b
    WHERE b.ParentPath IS NOT NULL
    UNION
    SELECT u.Start, s.{ParentPathColumn}, u.Found + 1
    FROM Up AS u
    CROSS JOIN {SourceTable} AS s ON s.{PathColumn} = u.Path
    WHERE u.Found < 512
)
SELECT
    u.Start,
    (SELECT min(s.{KeyColumn}) FROM {SourceTable} AS s WHERE s.{PathColumn} = u.Start),
    max(u.Found)
FROM Up AS u
GROUP BY u.Start;
