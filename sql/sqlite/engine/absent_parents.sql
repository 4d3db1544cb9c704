-- Rule 7: rows whose parent is not in the slice, because the source has no such row or because
-- it is excluded.
SELECT c.{KeyColumn}, c.DeltaParentKey
FROM {TargetTable} AS c
WHERE c.{ParentPathColumn} IS NOT NULL AND c.{KeyColumn} > @After
    AND (
        c.DeltaParentKey IS NULL
        OR NOT EXISTS (SELECT 1 FROM {TargetTable} AS p WHERE p.{KeyColumn} = c.DeltaParentKey)
    )
ORDER BY c.{KeyColumn}
LIMIT @Limit;
