-- Rule 21: the keys that were stamped last, and those of them that have no row.
SELECT count(*), coalesce(sum(NOT EXISTS (SELECT 1 FROM {SourceTable} AS s WHERE s.{KeyColumn} = k.stream_id)), 0)
FROM (
    SELECT m.{MetadataIdColumn} AS stream_id
    FROM {MetadataTable} AS m
    WHERE m.{MetadataIdColumn} IS NOT NULL AND {InScope}
    ORDER BY m.{MetadataModifiedOnCol} DESC
    LIMIT @Limit
) AS k;
