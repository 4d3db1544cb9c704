-- Rows of the slice before, of its 10,000 that were stamped last, whose stamp in the source is older now: a
-- source that was restored. One that moved to another business unit has its newest stamp there.
SELECT count(*)
FROM (
    SELECT t.{KeyColumn} AS stream_id, t.DeltaModifiedOn
    FROM {TargetTable} AS t
    WHERE t.DeltaStep <> 2 AND t.DeltaModifiedOn IS NOT NULL
    ORDER BY t.DeltaModifiedOn DESC
    LIMIT 10000
) AS n
WHERE n.DeltaModifiedOn > (
    SELECT max(m.{MetadataModifiedOnCol}) FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} = n.stream_id
);
