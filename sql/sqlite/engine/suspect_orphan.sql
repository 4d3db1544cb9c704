-- Rule 21: children in the slice, and those of them whose parent the source lacks.
SELECT count(*), coalesce(sum(t.DeltaParentKey IS NULL), 0)
FROM {TargetTable} AS t
WHERE t.DeltaStep = 3 AND t.{ParentPathColumn} IS NOT NULL;
