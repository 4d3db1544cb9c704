-- Rule 21: rows of the source that have a parent path, and those of them whose parent is not there.
SELECT count(*), coalesce(sum(NOT EXISTS (SELECT 1 FROM {SourceTable} AS p WHERE p.{PathColumn} = c.ParentPath)), 0)
FROM (
    SELECT s.{ParentPathColumn} AS ParentPath
    FROM {SourceTable} AS s
    WHERE s.{ParentPathColumn} IS NOT NULL
    LIMIT @Limit
) AS c;
